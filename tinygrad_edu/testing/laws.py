"""Laws that derivatives obey, whatever the function is: each is a function that raises `LawError` where the law does not hold.

No numerical derivative is taken, so that the laws hold to rounding: to 1000 times the precision of the inputs' dtype, relative to
the numbers that are compared and to 1. And they see what a comparison of numbers can miss. They take a function of tensors
that returns one tensor, and the point to try it at::

    @given(strategies.tensors())
    def test_cube(x):
        laws.linear_in_cotangent(cube, x)
        laws.homogeneous(cube, x, degree=3)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, LawError
from tinygrad_edu.graph import Variable
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import jvp, name_of, vjp

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

__all__ = [
    "accumulates",
    "adjoint",
    "broadcast_and_sum",
    "chain_rule",
    "forward_is_reverse",
    "homogeneous",
    "like_its_input",
    "linear_in_cotangent",
    "permutation_equivariant",
    "rows_sum_to_one",
    "symmetric_hessian",
    "translation_invariant",
]


def linear_in_cotangent(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> None:
    """The pullback is linear: Jᵀ(a u + b w) = a Jᵀu + b Jᵀw, and Jᵀ0 = 0; also of cotangents that are 2¹⁴ times as large, or as
    small, where the dtype has room for them.

    It finds a rule that uses the cotangent g twice, rounds it, cuts it (below 10⁴, or above 10⁻⁴), or adds to it.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.linear_in_cotangent(tg.tanh, [0.5, -1.0])
    """
    at = _Point(f, inputs, seed)
    y, pull = at.pullback()
    u, w = at.like(y), at.like(y)
    a, b = 0.75, -2.5
    left = pull(a * u + b * w)
    right = [a * one + b * other for one, other in zip(pull(u), pull(w), strict=True)]
    because = "its rule must multiply the cotangent g, once, by what does not depend on g"
    at.compare("linear in the cotangent: Jᵀ(a u + b w) = a Jᵀu + b Jᵀw", left, right, because)
    for factor in scales(u.dtype):
        law = f"linear in the cotangent: Jᵀ(a u) = a Jᵀu for a = {factor:g}"
        at.compare(law, [part / part.dtype.type(factor) for part in pull(u * u.dtype.type(factor))], pull(u), because)
    zero = pull(np.zeros_like(u))
    at.compare("linear in the cotangent: Jᵀ0 = 0", zero, [np.zeros_like(part) for part in zero], because)


def scales(dtype: np.dtype[Any]) -> tuple[float, float]:
    """A large and a small factor for cotangents. They are powers of 2, which round nothing."""
    power = min(14, int(np.finfo(dtype).maxexp) // 8)
    return 2.0**power, 2.0**-power


def forward_is_reverse(f: Callable[..., Any], *inputs: Any, forward: Callable[..., Any] | None = None, seed: int = 0) -> None:
    """The forward derivative is the transpose of the reverse one: ⟨Jv, w⟩ = ⟨v, Jᵀw⟩.

    ``forward(inputs, tangents)`` computes Jv, where it is written by hand or by another library; by default it is `jvp`.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.forward_is_reverse(tg.matmul, [[1.0, 2.0]], [[3.0], [4.0]])
    """
    at = _Point(f, inputs, seed)
    y, pull = at.pullback()
    w, v = at.like(y), [at.like(x) for x in at.chosen]
    pushed = _array(forward(at.chosen, v) if forward else jvp(at.function, at.chosen, v)[1])
    if pushed.shape != y.shape:
        raise LawError(f"{at.name}: its forward derivative has shape {pushed.shape}, and its result {y.shape}\n{at}")
    because = "one of the two derivatives is wrong"
    at.compare("forward = reverse: ⟨Jv, w⟩ = ⟨v, Jᵀw⟩", [_inner(pushed, w)], [_inner_all(v, pull(w))], because, at.size(pushed * w))


def accumulates(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> None:
    """An input that is used twice gets both gradients: that of f(x) + f(x), with two calls of f, is twice that of f(x).

    It finds gradients that are overwritten instead of added, and a function that keeps something from one call for the next.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.accumulates(tg.sin, [0.5, -1.0])
    """
    at = _Point(f, inputs, seed)
    y, pull = at.pullback()
    w = at.like(y)
    _, pull_both = at.pullback(lambda *values: at.function(*values) + at.function(*values))
    because = "gradients that reach an input on several ways are to be added, and none may replace another"
    at.compare("accumulation: x used twice gets twice the gradient", pull_both(w), [2 * part for part in pull(w)], because)


def like_its_input(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> None:
    """Each gradient has the shape and the dtype of its input, and is an array of its own.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.like_its_input(tg.add, np.ones((2, 3), np.float32), np.ones(3, np.float32))
    """
    at = _Point(f, inputs, seed)
    y, pull = at.pullback()
    for position, (x, gradient) in enumerate(zip(at.chosen, pull(at.like(y)), strict=True)):
        if (gradient.shape, gradient.dtype) != (x.shape, x.dtype):
            raise LawError(
                f"{at.name}: the gradient of input {position} has shape {gradient.shape} and dtype {gradient.dtype}, and the input "
                f"has shape {x.shape} and dtype {x.dtype}\n{at}"
            )


def adjoint(f: Callable[[Any], Any], g: Callable[[Any], Any], x: Any, y: Any) -> None:
    """Two linear functions are each other's transpose: ⟨f(x), y⟩ = ⟨x, g(y)⟩, and each one's derivative is the other.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.adjoint(tg.cumsum, lambda y: tg.flip(tg.cumsum(tg.flip(y))), [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    """
    there, back = _Point(f, (x,)), _Point(g, (y,))
    fx, pull_f = there.pullback()
    gy, pull_g = back.pullback()
    (x,), (y,) = there.chosen, back.chosen
    if fx.shape != y.shape or gy.shape != x.shape:
        raise LawError(
            f"{there.name} takes {x.shape} to {fx.shape}, and {back.name} takes {y.shape} to {gy.shape}: not each other's"
        )
    law, because = f"{there.name} and {back.name} are adjoint", "one of the two is not the other's transpose"
    there.compare(f"{law}: ⟨f(x), y⟩ = ⟨x, g(y)⟩", [_inner(fx, y)], [_inner(x, gy)], because, there.size(fx * y))
    there.compare(f"{law}: the derivative of f is g", pull_f(y), [gy], because)
    there.compare(f"{law}: the derivative of g is f", pull_g(x), [fx], because)


def broadcast_and_sum(x: Any, shape: tuple[int, ...], *, seed: int = 0) -> None:
    """Repeating an array up to ``shape`` and summing back over the repeated axes are adjoint; see `adjoint`.

    >>> from tinygrad_edu.testing import laws
    >>> laws.broadcast_and_sum([[1.0], [2.0]], (3, 2, 4))
    """
    from tinygrad_edu.ops import broadcast_to, reshape, sum

    x = _array(x)
    added = tuple(range(len(shape) - x.ndim))
    stretched = tuple(axis for axis in range(len(shape)) if axis in added or x.shape[axis - len(added)] != shape[axis])

    def repeated(a: Any) -> Any:
        return broadcast_to(a, shape)

    def summed(b: Any) -> Any:
        return reshape(sum(b, axis=stretched), x.shape)

    adjoint(repeated, summed, x, np.random.default_rng(seed).standard_normal(shape))


def homogeneous(f: Callable[..., Any], *inputs: Any, degree: float, seed: int = 0) -> None:
    """Euler's identity for f(t x) = tᵏ f(x), of degree k: J x = k f(x), the inputs together being x.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.homogeneous(tg.multiply, [1.0, 2.0], [3.0, 4.0], degree=2)
    >>> laws.homogeneous(tg.relu, [-1.0, 2.0], degree=1)
    """
    at = _Point(f, inputs, seed)
    y, pull = at.pullback()
    w = at.like(y)
    gradients = pull(w)
    law = f"Euler's identity for degree {degree:g}: ⟨x, ∇f⟩ = {degree:g} f(x)"
    scale = float(np.sum([at.size(x * g) for x, g in zip(at.chosen, gradients, strict=True)]))
    because = "the gradient is wrong, or the function is not homogeneous of that degree"
    at.compare(law, [_inner_all(at.chosen, gradients)], [degree * _inner(y, w)], because, scale)


def rows_sum_to_one(f: Callable[[Any], Any], x: Any, *, axis: int = -1, seed: int = 0) -> None:
    """Of a softmax: its rows sum to 1, and so the gradient of anything constant along a row is 0; and since adding a number to
    a whole row changes nothing, each row of a gradient sums to 0 (see `translation_invariant`).

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.rows_sum_to_one(tg.softmax, [[1.0, 2.0, 3.0], [0.0, 1000.0, 0.0]])
    """
    at = _Point(f, (x,), seed)
    y, pull = at.pullback()
    at.has_axis("rows_sum_to_one", y, axis)
    ones = np.ones(y.sum(axis=axis).shape, y.dtype)
    at.compare("rows sum to 1", [y.sum(axis=axis)], [ones], "the sum that it is divided by is taken along another axis")
    constant = pull(np.broadcast_to(np.expand_dims(at.like(ones), axis), y.shape))[0]
    because = "the derivative forgets that the sum of the row depends on every element"
    at.compare("the sum of a row has gradient 0", [constant], [np.zeros_like(constant)], because, 1.0)
    translation_invariant(f, x, axis=axis, seed=seed)


def translation_invariant(f: Callable[[Any], Any], x: Any, *, axis: int | None = -1, seed: int = 0) -> None:
    """f(x + c) = f(x), for numbers c that are constant along ``axis`` (everywhere, for None), and then gradients sum to 0 along it.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.translation_invariant(tg.std, [1.0, 2.0, 4.0])
    """
    at = _Point(f, (x,), seed)
    y, pull = at.pullback()
    (x,) = at.chosen
    if axis is not None:
        at.has_axis("translation_invariant", x, axis)
    c = at.like(x.sum(axis=axis, keepdims=True))
    moved = _array(at.function(Tensor(x + c)))
    because = "it is not invariant, or it computes with numbers that are too large"
    at.compare("invariance: f(x + c) = f(x)", [moved], [y], because, 1 + at.size(x), result=True)
    gradient = pull(at.like(y))[0]
    sums, scale = gradient.sum(axis=axis), float(np.max(np.abs(gradient).sum(axis=axis), initial=0.0))
    because = "the gradient is wrong: of an invariant function, it is orthogonal to the translations"
    at.compare("the gradient sums to 0 along the axis", [sums], [np.zeros_like(sums)], because, scale)


def permutation_equivariant(f: Callable[[Any], Any], x: Any, *, axis: int = 0, invariant: bool = False, seed: int = 0) -> None:
    """f(P x) = P f(x) for a permutation P of the places along ``axis``, and the gradient is permuted in the same way. With
    ``invariant=True``, f(P x) = f(x).

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.permutation_equivariant(tg.softmax, [1.0, 2.0, 3.0])
    >>> laws.permutation_equivariant(tg.logsumexp, [1.0, 2.0, 3.0], invariant=True)
    """
    at = _Point(f, (x,), seed)
    y, pull = at.pullback()
    (x,) = at.chosen
    at.has_axis("permutation_equivariant", x, axis)
    order = at.rng.permutation(x.shape[axis])
    if (order == np.arange(len(order))).all():
        order = np.roll(order, 1)
    moved = _Point(f, (np.take(x, order, axis),), seed)
    permuted, pull_permuted = moved.pullback()
    w = at.like(y)

    def same(array: Array) -> Array:
        return array if invariant else np.take(array, order, axis)

    kind = "f(P x) = f(x)" if invariant else "f(P x) = P f(x)"
    because = f"it treats places along axis {axis} differently"
    at.compare(f"permutation: {kind}", [permuted], [same(y)], because, result=True)
    found, expected = pull_permuted(same(w))[0], np.take(pull(w)[0], order, axis)
    at.compare("permutation: the gradient at P x is that at x, permuted", [found], [expected], "the gradient is wrong: " + because)


def chain_rule(f: Callable[[Any], Any], g: Callable[..., Any], *inputs: Any, seed: int = 0) -> None:
    """The derivative of a composition: pulling w back through f(g(x)) is pulling it through f, and then through g.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.chain_rule(tg.exp, tg.sin, [0.5, 1.0])
    """
    inner = _Point(g, inputs, seed)
    middle, pull_inner = inner.pullback()
    outer = _Point(f, (middle,), seed)
    y, pull_outer = outer.pullback()
    w = inner.like(y)
    _, pull = inner.pullback(lambda *values: f(inner.function(*values)))
    law = f"the chain rule of {outer.name}({inner.name}(x))"
    inner.compare(law, pull(w), pull_inner(pull_outer(w)[0]), "what one passes on is not what the other takes")


def symmetric_hessian(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> None:
    """The second derivative is symmetric: ⟨H u, v⟩ = ⟨u, H v⟩, with H the Hessian of ⟨f(x), w⟩.

    It finds rules whose second derivatives contradict each other, as most do that are right as a number and wrong as a
    function. Not all: where a rule forgets that the gradient of an element depends on the element itself, the diagonal of H is
    wrong, and H as symmetric as before. ``check_gradients(f, ..., order=2)`` compares H with numbers.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import laws
    >>> laws.symmetric_hessian(lambda x, y: tg.sin(x) * tg.exp(y), [0.5, -1.0], [1.0, 2.0])
    """
    at = _Point(f, inputs, seed)
    y, _ = at.pullback()
    w = at.like(y)

    def gradient(*values: Any) -> Any:
        return vjp(at.function, *values)[1](w)

    u, v = ([at.like(x) for x in at.chosen] for _ in range(2))
    pull = vjp(gradient, *at.chosen)[1]
    hu, hv = ([_array(part) for part in pull(tuple(along))] for along in (u, v))
    because = "a rule of it is right as a number and wrong as a function: it computes with raw arrays, or is not what it says"
    scale = float(np.sum([at.size(a * b) for a, b in zip(hu, v, strict=True)]))
    at.compare("symmetry of the second derivative: ⟨H u, v⟩ = ⟨u, H v⟩", [_inner_all(hu, v)], [_inner_all(u, hv)], because, scale)


# ------------------------------------------------------------------------------------------------------------- evaluation


class _Point:
    """A function at a point: its inputs, those that are differentiated, and random numbers for cotangents and directions."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any], seed: int = 0) -> None:
        self.name = name_of(f)
        self.inputs = [_array(x) for x in inputs]
        self.places = [i for i, x in enumerate(self.inputs) if x.dtype.kind in "fc"]
        self.chosen = [self.inputs[i] for i in self.places]
        self.rng = np.random.default_rng(seed)
        if not self.chosen:
            kinds = ", ".join(str(x.dtype) for x in self.inputs) or "none"
            raise ArgumentError(f"a law of {self.name} is tried on floats or complex numbers, and its inputs are: {kinds}")

        def function(*values: Any) -> Any:
            given = dict(zip(self.places, values, strict=True))
            return f(*[given.get(i, x) for i, x in enumerate(self.inputs)])

        self.function = function

    def pullback(self, f: Callable[..., Any] | None = None) -> tuple[Array, Callable[[Any], list[Array]]]:
        """The result, and the function that takes a cotangent to the gradients."""
        y, pull = vjp(f or self.function, *self.chosen)
        if not isinstance(y, Tensor):
            raise ArgumentError(
                f"a law of {self.name} needs a function that returns one tensor, and it returned {type(y).__name__}"
            )
        return _array(y), lambda w: [_array(part) for part in pull(w)]

    def has_axis(self, law: str, array: Array, axis: int) -> None:
        """Refuse an axis that is not there."""
        if not -array.ndim <= axis < array.ndim:
            raise ArgumentError(f"{law} of {self.name}: an array of shape {array.shape} has no axis {axis}\n{self}")

    def like(self, array: Array) -> Array:
        """Random numbers of the array's shape and dtype, none near 0."""
        rng = self.rng
        parts = [rng.uniform(0.5, 1.5, array.shape) * rng.choice([-1, 1], array.shape) for _ in range(2)]
        numbers = parts[0] + 1j * parts[1] if array.dtype.kind == "c" else parts[0]
        return np.asarray(numbers).astype(array.dtype)

    @staticmethod
    def size(array: Array) -> float:
        """The sum of the absolute values: what rounding of a sum is relative to."""
        return float(np.sum(np.abs(array)))

    def compare(
        self, law: str, left: Sequence[Any], right: Sequence[Any], because: str, scale: float = 0.0, *, result: bool = False
    ) -> None:
        """Raise, in one screen, unless both sides are the same but for rounding. ``scale`` is the size of what they are sums of."""
        eps = max(float(np.finfo(x.dtype).eps) for x in self.chosen)
        for position, (a, b) in enumerate(zip(map(np.asarray, left), map(np.asarray, right), strict=True)):
            where = f" at input {position}" if len(left) > 1 else ""
            if a.shape != b.shape:
                raise LawError(f"{self.name}: {law}{where}: the sides have shapes {a.shape} and {b.shape}\n  {because}\n{self}")
            size = max(scale, float(np.max(np.abs(b), initial=0.0)), 1.0)
            with np.errstate(invalid="ignore"):
                bad = ~((np.abs(a - b) <= 1000 * eps * size) | (a == b))
            if bad.any():
                index = np.unravel_index(int(np.argmax(bad)), bad.shape)
                place = f" (first at {tuple(map(int, index))})" if bad.ndim else ""
                raise LawError(
                    f"{self.name}: the law does not hold: {law}{where}, {int(bad.sum())} of {bad.size} numbers{place}\n"
                    f"  left  {_text(a)}\n  right {_text(b)}\n  {because}\n{self}"
                )

    def __str__(self) -> str:
        return "\n".join(f"  input {i} ({x.shape} {x.dtype}): {_text(x)}" for i, x in enumerate(self.inputs))


def _array(value: Any) -> Array:
    return value._data if isinstance(value, Variable) else np.asarray(value)


def _inner(a: Array, b: Array) -> float:
    """⟨a, b⟩, complex numbers counting as pairs of real ones."""
    return float(np.sum(np.real(np.conj(a) * b)))


def _inner_all(some: Sequence[Array], others: Sequence[Array]) -> float:
    return sum(_inner(a, b) for a, b in zip(some, others, strict=True))


def _text(array: Array) -> str:
    return np.array2string(np.asarray(array), precision=8, threshold=12, edgeitems=3, prefix=" " * 8)
