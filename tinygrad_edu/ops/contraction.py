"""Sums of products over chosen axes: tensordot and einsum."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.ops.reduction import broadcast_to
from tinygrad_edu.ops.shape import reshape, transpose
from tinygrad_edu.primitive import primitive
from tinygrad_edu.registry import Case, complexes, reals, spelling

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array, Shape


def _pairs(axes: Any, a_ndim: int, b_ndim: int) -> tuple[list[int], list[int]]:
    """The contracted axes of both operands, counted from the front."""
    if np.ndim(axes) == 0 and not isinstance(axes, tuple | list):
        return list(range(a_ndim - axes, a_ndim)), list(range(axes))
    left, right = ([axis] if np.ndim(axis) == 0 else list(axis) for axis in axes)
    return [axis % a_ndim for axis in left], [axis % b_ndim for axis in right]


@primitive(
    numpy=(np.tensordot, np.linalg.tensordot),
    hint="the axes that axes= pairs must have equal lengths; an integer N pairs the last N axes of a with the first N of b",
    cases=[
        Case(a=reals(shape=(2, 3)), b=reals(shape=(3, 2)), axes=[1, 0, ([0, 1], [1, 0]), ((1,), (0,)), (-2, -1)]),
        Case(a=reals(shape=(2, 1, 3)), b=reals(shape=(3, 2, 2)), axes=[([0, 2], [1, 0]), ([2, 0], [0, 2]), (0, 2)]),
        Case(a=reals(shape=(2, 2)), b=reals(shape=(2, 2)), axes=[1, ([0], [1])]),
        Case(a=complexes(shape=(2, 2)), b=complexes(shape=(2,)), axes=[1]),
        Case(a=reals(shape=(0, 2)), b=reals(shape=(2,)), axes=[1]),
    ],
)
def tensordot(a: Array, b: Array, /, axes: Any = 2) -> Array:
    """y = Σ a b over pairs of axes        ∂L/∂a = Σ g b over the axes of b that are left        ∂L/∂b = Σ g a likewise

    ``axes`` is a pair of axes, a pair of equally long lists of axes, or the number of axes at the end of a and the beginning of b.
    The axes that are left are those of a, then those of b. Counterpart: ``numpy.tensordot``, ``torch.tensordot``.

    >>> import tinygrad_edu as tg
    >>> tg.tensordot(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 0.0], [1.0, 1.0]])
    Tensor(8.)
    """
    return np.tensordot(a, b, axes)


def _left(g: Any, b: Any, a_shape: Shape, axes: Any) -> Any:
    paired, partners = _pairs(axes, len(a_shape), b.ndim)
    rest = [axis for axis in range(b.ndim) if axis not in partners]
    y = tensordot(g, b, (list(range(np.ndim(g) - len(rest), np.ndim(g))), rest))
    # Its axes are those of a that were left, then b's partners of the others, in the order of b.
    free = [axis for axis in range(len(a_shape)) if axis not in paired]
    return _in_order(y, free + [paired[partners.index(axis)] for axis in sorted(partners)])


def _right(g: Any, a: Any, b_shape: Shape, axes: Any) -> Any:
    partners, paired = _pairs(axes, a.ndim, len(b_shape))
    rest = [axis for axis in range(a.ndim) if axis not in partners]
    y = tensordot(a, g, (rest, list(range(len(rest)))))
    free = [axis for axis in range(len(b_shape)) if axis not in paired]
    return _in_order(y, [paired[partners.index(axis)] for axis in sorted(partners)] + free)


def _in_order(y: Any, axes: list[int]) -> Any:
    """y, whose axes are those of an operand in some order, in the order of the operand."""
    return y if axes == sorted(axes) else transpose(y, tuple(sorted(range(len(axes)), key=axes.__getitem__)))


tensordot.vjp(a=_left, b=_right)


# ------------------------------------------------------------------------------------------------------------------ einsum

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MANY = 20_000  # products from which on it pays to look for a way to use matrix products


@primitive(
    variadic=True,
    label="einsum",
    reference=lambda operands, subscripts, optimize=False: np.einsum(subscripts, *operands, optimize=optimize),
    cases=[
        Case(
            operands=[reals(shape=(2, 3)), reals(shape=(3, 2))],
            subscripts=["ij,jk->ik", "ij,ji->", "ij,kl->kjil", "ij,jk->k"],
            optimize=[False, True],
        ),
        Case(operands=[reals(shape=(2, 2))], subscripts=["ii->", "ii->i", "ij->ji", "ij->", "ij->j"]),
        Case(operands=[reals(shape=(2, 2, 2)), reals(shape=(2,))], subscripts=["iii,i->i", "iji,j->i", "iij,k->k"]),
        Case(operands=[reals(shape=(1, 2)), reals(shape=(3, 1)), reals(shape=(2,))], subscripts=["ij,ij,j->i", "ij,ik,j->jk"]),
        Case(operands=[reals(shape=(1, 2)), reals(shape=(3, 2))], subscripts=["ij,ij->", "ij,ij->j", "ij,kj->ik"]),
        Case(operands=[reals(shape=()), reals(shape=(2,))], subscripts=[",i->i", ",i->"]),
        Case(operands=[complexes(shape=(2, 1)), complexes(shape=(1, 2))], subscripts=["ij,jk->ki"]),
        Case(operands=[reals(shape=(0, 2)), reals(shape=(2,))], subscripts=["ij,j->i", "ij,j->"]),
    ],
)
def _einsum(operands: Sequence[Array], /, subscripts: str, optimize: Any = False) -> Array:
    """y = Σ a b … over the indices that the result lacks        ∂L/∂a = Σ g b …, likewise

    ``subscripts`` are letters with a result, without an ellipsis: einsum writes them so.
    """
    return np.einsum(subscripts, *operands, optimize=optimize)  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=4096)
def _adjoint(subscripts: str, position: int, shapes: tuple[Shape, ...]) -> tuple[str, tuple[int, ...], Shape]:
    """How an operand's gradient is itself an einsum, of g, the other operands and identity matrices: its subscripts, the lengths of
    those matrices, and the shape in which the result broadcasts to that of the operand."""
    before, _, result = subscripts.partition("->")
    terms, others = before.split(","), list(shapes)
    lengths = _lengths(terms, shapes)
    labels, shape = terms.pop(position), others.pop(position)
    spare = iter([letter for letter in _LETTERS if letter not in subscripts])
    axes, ties = "", []
    for label, n in zip(labels, shape, strict=True):
        if label in axes:  # a diagonal was taken: another index, which an identity matrix ties to the first
            tied = next(spare)
            ties.append((label + tied, n))
            label = tied
        axes += label
    given = [result, *terms, *[tie for tie, _ in ties]]
    found = dict.fromkeys("".join(given), 1)
    found |= {label: lengths[label] for label in result} | {label: n for tie, n in ties for label in tie}
    found |= {label: n for label, n, _ in _labelled(terms, others) if n != 1}
    # An index that stands nowhere else was summed over: the gradient is the same along it. One along which the operand was repeated
    # is summed over now.
    kept = [label for label, n in zip(axes, shape, strict=True) if label in found and not n == 1 < found[label]]
    text = f"{','.join(given)}->{''.join(kept)}"
    return text, tuple([n for _, n in ties]), tuple([found[label] if label in kept else 1 for label in axes])


def _einsum_slope(
    g: Any, operands: Sequence[Any], operands_shape: tuple[Shape, ...], position: int, subscripts: str, optimize: Any
) -> Any:
    text, ties, shape = _adjoint(subscripts, position, operands_shape)
    factors = [g, *operands[:position], *operands[position + 1 :], *[np.eye(n, dtype=bool) for n in ties]]
    y = _einsum(factors, text, optimize if isinstance(optimize, bool | str) else True)
    y = y if y.shape == shape else reshape(y, shape)
    return y if shape == operands_shape[position] else broadcast_to(y, operands_shape[position])


_einsum.vjp(operands=_einsum_slope)


@spelling(np.einsum, method=False)
def einsum(*operands: Any, optimize: Any = None, **options: Any) -> Any:
    """y = Σ a b … over the indices that the result lacks, as the subscripts say        ∂L/∂a = Σ g b …, likewise

    ``einsum("ij,jk->ik", a, b)``, or ``einsum(a, [0, 1], b, [1, 2], [0, 2])``. As NumPy's: without ``->`` the result
    has the indices that occur once, in alphabetical order; an index twice in one operand is its diagonal; ``...`` are axes that
    broadcast; an axis of length 1 is repeated. ``optimize`` is NumPy's; None takes the way through matrix products where the
    operands are large. Counterpart: ``numpy.einsum``, ``torch.einsum``.

    >>> import tinygrad_edu as tg
    >>> a, b = tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), tg.Tensor([10.0, 1.0])
    >>> tg.einsum("ij,j->i", a, b)
    Tensor([12., 34.])
    >>> tg.einsum("ii", a)
    Tensor(5.)
    """
    if any(value is not None for value in options.values()):
        raise ArgumentError(f"einsum has no {', '.join(options)}: cast the operands or the result with astype")
    if operands and isinstance(operands[0], str):
        subscripts, factors = operands[0].replace(" ", ""), list(operands[1:])
    else:
        subscripts, factors = _from_lists(operands)
    explicit, large = _read(subscripts, tuple(map(np.shape, factors)))
    return _einsum(factors, explicit, large if optimize is None else optimize)


@functools.lru_cache(maxsize=4096)
def _read(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[str, bool]:
    """The subscripts with a result and without an ellipsis, and whether the operands are several and large."""
    terms, result = _explicit(subscripts, tuple(map(len, shapes)))
    products = math.prod(_lengths(terms, shapes).values())
    return f"{','.join(terms)}->{result}", len(shapes) > 1 and products > _MANY


def _from_lists(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The subscripts of operands that alternate with lists of their indices."""
    factors, lists = list(operands[:-1:2]), list(operands[1::2])
    result = [operands[-1]] if len(operands) % 2 else []

    def text(indices: Any) -> str:
        try:
            return "".join(["..." if index is ... else _LETTERS[index] for index in indices])
        except (TypeError, IndexError):
            raise ArgumentError(
                "einsum: a string of subscripts comes first, or each operand is followed by a list of integers below 52; "
                f"got {type(indices).__name__}"
            ) from None

    return "->".join([",".join(map(text, lists)), *map(text, result)]), factors


def _explicit(subscripts: str, ranks: tuple[int, ...]) -> tuple[list[str], str]:
    """The indices of each operand and of the result, with letters in the place of an ellipsis."""
    before, arrow, result = subscripts.partition("->")
    terms = before.split(",")
    if len(terms) != len(ranks):
        raise ShapeError(f"einsum: the subscripts {subscripts!r} are of {len(terms)} operands, and {len(ranks)} were given")
    strange = set(subscripts.replace("...", "").replace("->", "").replace(",", "")) - set(_LETTERS)
    if strange or any(term.count("...") > 1 for term in (*terms, result)):
        raise ArgumentError(
            f"einsum: the subscripts {subscripts!r} contain {' '.join(sorted(strange)) or '... twice in one operand'}: indices are "
            "letters, operands are parted by commas, and ... stands for the axes that are not named"
        )
    unnamed = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    for position, (term, rank, rest) in enumerate(zip(terms, ranks, unnamed, strict=True)):
        if rest < 0 or (rest and "..." not in term):
            raise ShapeError(
                f"einsum: {term!r} names {rank - rest} axes, and operand {position} has {rank}"
                + ("; ... stands for axes that are not named" if rest > 0 else "")
            )
    spare = "".join([letter for letter in _LETTERS if letter not in subscripts])[: max(unnamed, default=0)]
    full = [term.replace("...", spare[len(spare) - rest :]) for term, rest in zip(terms, unnamed, strict=True)]
    if not arrow:
        once = sorted({letter for letter in before if letter in _LETTERS and before.count(letter) == 1})
        return full, spare + "".join(once)
    if spare and "..." not in result:
        raise ShapeError(f"einsum: the result of {subscripts!r} lacks the ... of the operands, which stands for {len(spare)} axes")
    written = result.replace("...", spare)
    missing = sorted(set(written) - set("".join(full)))
    if missing or len(set(written)) < len(written):
        why = f"{' '.join(missing)} is the index of no operand" if missing else "an index stands twice in the result"
        raise ArgumentError(f"einsum: in {subscripts!r}, {why}")
    return full, written


def _lengths(terms: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """How long each index is; an axis of length 1 is repeated."""
    lengths: dict[str, int] = {}
    for label, n, position in _labelled(terms, shapes):
        if lengths.setdefault(label, n) == 1:
            lengths[label] = n
        elif n not in (1, lengths[label]):
            other = next(p for l, m, p in _labelled(terms, shapes) if l == label and m == lengths[label])
            raise ShapeError(
                f"einsum: the index {label} is {lengths[label]} long in operand {other} of shape {shapes[other]} and {n} long in "
                f"operand {position} of shape {shapes[position]}"
            )
    return lengths


def _labelled(terms: Sequence[str], shapes: Sequence[Shape]) -> Iterator[tuple[str, int, int]]:
    for position, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for label, n in zip(term, shape, strict=True):
            yield label, n, position
