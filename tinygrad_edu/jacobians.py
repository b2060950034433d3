"""Whole matrices of derivatives: `jacobian` by rows or by columns, `hessian`, and `hvp`, which needs none of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import DTypeError
from tinygrad_edu.ops import reshape, stack
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import Recorded, among, grad, matched, name_of, positions_of, pushforward, several, vjp
from tinygrad_edu.tree import leaves, mapped


def jacrev(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False) -> Any:
    """The function that computes all first derivatives of ``f``, row by row: one backward pass for each element of the result.

    For a result of shape s and an argument of shape t, the Jacobian has shape (*s, *t). Where results or arguments are nested,
    so is the Jacobian: the structure of the result, with the structure of the argument in the place of each leaf; with a
    sequence of ``argnums``, a tuple in the place of each leaf. ``has_aux`` is as in `grad`. Complex functions need
    ``holomorphic=True``: then the Jacobian is the complex derivative. Good for fewer results than arguments. Counterpart:
    ``jax.jacrev``, ``jax.jacobian``.

    >>> import tinygrad_edu as tg
    >>> tg.jacobian(lambda x: x**2)([1.0, 2.0, 3.0])
    Tensor([[2., 0., 0.],
            [0., 4., 0.],
            [0., 0., 6.]])
    """

    def rows(recorded: Recorded) -> list[list[Tensor]]:
        table = []
        for position, y in enumerate(recorded.outputs):
            pulled: list[list[Any]] = []
            for unit in _units(y):
                seeds = [unit if i == position else None for i in range(len(recorded.outputs))]
                pulled.append([part for part in leaves(recorded.pull(seeds)) if part is not None])
            variables = [v for v in leaves(recorded.variables) if v is not None]
            columns = [[row[k] for row in pulled] for k in range(len(variables))]
            blocks = [_joined(column, (*y.shape, *v.shape), v) for column, v in zip(columns, variables, strict=True)]
            table.append([block.conj() if block.dtype.kind == "c" else block for block in blocks])
        return table

    return _jacobian(f, rows, argnums, has_aux, holomorphic, "jacrev")


def jacfwd(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False) -> Any:
    """As `jacrev`, column by column: one forward derivative for each element of the arguments.

    Good for more results than arguments. Counterpart: ``jax.jacfwd``.

    >>> import tinygrad_edu as tg
    >>> tg.jacfwd(lambda t: tg.stack([tg.cos(t), tg.sin(t)]))(0.0)
    Tensor([0., 1.])
    """

    def columns(recorded: Recorded) -> list[list[Tensor]]:
        push = pushforward(recorded)
        variables = [v for v in leaves(recorded.variables) if v is not None]
        table: list[list[Tensor]] = [[] for _ in recorded.outputs]
        for position, v in enumerate(variables):
            pushed = []
            for unit in _units(v):
                pushed.append(push([unit if i == position else None for i in range(len(variables))]))
            for row, y, parts in zip(
                table, recorded.outputs, zip(*pushed, strict=True) if pushed else [[]] * len(table), strict=True
            ):
                row.append(_joined(list(parts), (*y.shape, *v.shape), y, last=y.ndim))
        return table

    return _jacobian(f, columns, argnums, has_aux, holomorphic, "jacfwd")


jacobian = jacrev


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False) -> Any:
    """The function that computes all second derivatives of ``f``. Structure and shapes are those of a Jacobian's Jacobian: for one
    argument of shape t and a result with one element, (*t, *t). The rest as in `jacrev`. Counterpart: ``jax.hessian``.

    >>> import tinygrad_edu as tg
    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])([3.0, 5.0])
    Tensor([[10.,  6.],
            [ 6.,  0.]])
    """
    return jacrev(jacrev(f, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of ``f``'s Hessian and a vector, at the cost of a few evaluations of ``f``: the Hessian is not formed.

    ``primals`` and ``tangents`` are tuples of arguments and of directions of the same structure and shapes; ``f`` returns one
    element. The result has the structure of ``primals``; for a single argument, of that argument. The gradient is
    differentiated backwards once more, with the vector as its cotangent (Pearlmutter, 1994). Counterpart in PyTorch:
    ``torch.autograd.functional.hvp``.

    >>> import tinygrad_edu as tg
    >>> tg.hvp(lambda x: (x**3).sum(), ([1.0, 2.0],), ([1.0, 10.0],))
    Tensor([  6., 120.])
    """
    primals = several(primals, "hvp: primals")
    gradient, pullback = vjp(grad(f, tuple(range(len(primals)))), *primals)
    along = several(tangents, "hvp: tangents")
    matched(gradient, along, f"hvp of {name_of(f)}: tangents")
    product = pullback(along)
    return product[0] if len(primals) == 1 else product


def _jacobian(
    f: Callable[..., Any],
    table_of: Callable[[Recorded], list[list[Tensor]]],
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
    who: str,
) -> Callable[..., Any]:
    """What `jacrev` and `jacfwd` share: which arguments, and how the blocks of the table are nested."""

    @functools.wraps(f, updated=())
    def differentiated(*args: Any, **keywords: Any) -> Any:
        positions = positions_of(argnums, len(args), f"{who} of {name_of(f)}")
        distinct = sorted(set(positions))
        recorded = Recorded(among(f, args, keywords, distinct), [args[p] for p in distinct], who=who, has_aux=has_aux)
        _check_kind(recorded, holomorphic, f"{who} of {name_of(f)}")
        table = iter(table_of(recorded))

        def nested(row: list[Tensor]) -> Any:
            blocks = iter(row)
            of = tuple(mapped(lambda leaf: None if leaf is None else next(blocks), v) for v in recorded.variables)
            in_order = tuple([of[distinct.index(p)] for p in positions])
            return in_order if isinstance(argnums, Sequence) else in_order[0]

        result = mapped(lambda leaf: None if leaf is None else nested(next(table)), recorded.y)
        return (result, recorded.result(recorded.aux)) if has_aux else result

    return differentiated


def _check_kind(recorded: Recorded, holomorphic: bool, who: str) -> None:
    kinds = [t.dtype for t in (*recorded.outputs, *[v for v in leaves(recorded.variables) if v is not None])]
    if holomorphic != all(dtype.kind == "c" for dtype in kinds) or (not holomorphic and any(dtype.kind == "c" for dtype in kinds)):
        raise DTypeError(
            f"{who}: arguments and results have dtypes {', '.join(map(str, kinds))}. A Jacobian is of real functions, or, with "
            "holomorphic=True, of complex ones with a complex derivative; split other functions into real and imaginary parts"
        )


def _units(like: Tensor) -> Iterator[Any]:
    """The arrays of this shape with a single 1, in order."""
    for i in range(like.size):
        unit = np.zeros(like.shape, like.dtype)
        unit.flat[i] = 1
        yield unit


def _joined(parts: list[Any], shape: tuple[int, ...], like: Tensor, last: int = 0) -> Tensor:
    """The parts side by side as one block, along an axis that is then unfolded."""
    if not parts:
        return Tensor(np.zeros(shape, like.dtype))
    block: Tensor = reshape(stack(parts, axis=last), shape)
    return block
