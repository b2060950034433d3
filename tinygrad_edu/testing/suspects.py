"""The likely mistake behind a wrong gradient, read off how it differs from the right one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def likely_mistake(
    analytic: Array, numerical: Array, sizes: tuple[int, ...] = (), rtol: float = 1e-3, wrong: Array | None = None
) -> str | None:
    """What would turn the numerical gradient into the analytic one; None where nothing usual would.

    ``sizes`` are lengths that a wrong mean or sum could have to do with, such as those of the function's result; ``wrong`` marks
    the elements that differ, where that is known better than from ``rtol``.

    >>> import numpy as np
    >>> from tinygrad_edu.testing.suspects import likely_mistake
    >>> likely_mistake(np.array([-6.0, -8.0]), np.array([6.0, 8.0]))
    'a sign: the analytic gradient is −1 times the numerical one'
    """
    if analytic.size == 0 or not np.isfinite(numerical).all():
        return None
    if not np.isfinite(analytic).all():
        return "the analytic gradient is not finite: a division by 0 or an overflow in its rule"
    if not analytic.any():
        return "a zero: the gradient does not arrive (a rule that returns 0, or a constant in its place)"

    def same(a: Array, b: Array) -> bool:
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=rtol, atol=rtol * float(np.max(np.abs(numerical)))))

    if wrong is None:
        wrong = ~np.isclose(analytic, numerical, rtol=1e-4, atol=1e-6 * float(np.max(np.abs(numerical))))
    texts = [_places(analytic, wrong), _factors(analytic, numerical, sizes, same), _shapes(analytic, numerical, same)]
    return next(itertools.chain(*texts), None)


def _places(analytic: Array, wrong: Array) -> Iterator[str]:
    """A mistake in a few elements, where the others are right."""
    if wrong.size > wrong.sum() > 0 and not analytic[wrong].any():
        yield f"a zero in {wrong.sum()} of {wrong.size} elements: their part of the gradient does not arrive"
    if wrong.sum() == 1 and wrong.size > 1:
        yield f"one element only, {tuple(int(i) for i in np.argwhere(wrong)[0])}: an index at an end, or a special case"


def _factors(analytic: Array, numerical: Array, sizes: tuple[int, ...], same: Callable[[Array, Array], bool]) -> Iterator[str]:
    """A constant that the whole gradient is multiplied by."""
    top = np.unravel_index(int(np.argmax(np.abs(numerical))), numerical.shape)
    if not numerical[top]:
        return
    ratio = analytic[top] / numerical[top]
    if not same(analytic, ratio * numerical) or (np.iscomplexobj(ratio) and abs(ratio.imag) > 1e-6 * abs(ratio)):
        if np.iscomplexobj(numerical) and same(analytic, np.conj(numerical)):
            yield "a conjugate: the analytic gradient is the complex conjugate of the numerical one"
        return
    ratio = float(np.real(ratio))
    if not 1e-6 < abs(ratio) < 1e6:  # one of the two is as good as 0
        return
    if np.isclose(ratio, 1, rtol=2e-5):
        yield (
            f"nearly right, but for {abs(ratio - 1):.1g} of it: a small constant of forward, as 1e-7 in a logarithm, is not in its "
            "derivative, or a number is written with too few digits"
        )
        return
    if np.isclose(ratio, -1, rtol=1e-4):
        yield "a sign: the analytic gradient is −1 times the numerical one"
    for n in dict.fromkeys(size for size in sizes if size > 1):
        if np.isclose(ratio, n, rtol=1e-4):
            other = "" if n > 4 else "a factor, or "  # 2 is many things
            yield f"{other}a sum in the place of a mean: the analytic gradient is {n} times the numerical one, and {n} is a length"
        if np.isclose(ratio, 1 / n, rtol=1e-4):
            yield (
                f"a mean in the place of a sum, or one of {n} paths that is not accumulated: the analytic gradient is 1/{n} of the "
                f"numerical one, and {n} is a length"
            )
    simple = Fraction(ratio).limit_denominator(12)
    if np.isclose(ratio, float(simple), rtol=1e-5) and abs(ratio) < 100:
        name = f"{simple.numerator}" if simple.denominator == 1 else f"{simple.numerator}/{simple.denominator}"
        path = ", or a path that is not accumulated" if 0 < simple < 1 else ""
        yield f"a factor{path}: the analytic gradient is {name} times the numerical one"
    yield f"a factor: the analytic gradient is {ratio:.6g} times the numerical one"


def _shapes(analytic: Array, numerical: Array, same: Callable[[Array, Array], bool]) -> Iterator[str]:
    """The right numbers in the wrong places, or summed over the wrong axis."""
    for axes in itertools.permutations(range(numerical.ndim)):
        if axes != tuple(range(numerical.ndim)) and same(analytic, numerical.transpose(axes)):
            yield f"transposed: the analytic gradient is the numerical one with its axes in the order {axes}"
    for axis in range(numerical.ndim):
        if same(analytic, np.flip(numerical, axis)):
            yield f"reversed: the analytic gradient runs the other way along axis {axis}"
        if numerical.shape[axis] > 1:
            total = np.broadcast_to(numerical.sum(axis, keepdims=True), numerical.shape)
            if same(analytic, total):
                yield f"summed over axis {axis}, and repeated along it"
            if same(analytic, total / numerical.shape[axis]):
                yield f"averaged over axis {axis}, and repeated along it"
        for shift in range(1, min(numerical.shape[axis], 8)):
            if same(analytic, np.roll(numerical, shift, axis)):
                yield f"shifted: the analytic gradient stands {shift} places further along axis {axis}"
    if numerical.size > 1 and same(np.sort(np.ravel(analytic)), np.sort(np.ravel(numerical))):
        yield "the right numbers in the wrong places: an index or a reshape is wrong"
    if same(np.where(np.abs(analytic - numerical) <= np.abs(analytic + numerical), analytic, -analytic), numerical):
        yield "a sign, in some elements"
