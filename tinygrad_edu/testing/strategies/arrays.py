"""Arrays and tensors: their numbers, dtypes, and how they lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.registry import Reals, reals
from tinygrad_edu.tensor import Tensor, from_numpy
from tinygrad_edu.testing.arguments import DOMAIN, DTYPE, NAMED_SHAPE, NONE, NUMBERS, STRATEGY, Kind, checked
from tinygrad_edu.testing.lazy import composite, drawn, elements, hypothesis
from tinygrad_edu.testing.strategies.domains import check_domain, within
from tinygrad_edu.testing.strategies.shapes import shapes

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tinygrad_edu.graph import Array, Shape


def dtypes(kinds: str = "fc") -> SearchStrategy[np.dtype[Any]]:
    """The dtypes that have a derivative: of floats ("f") float64, float32, float16; of complex numbers ("c") complex128, complex64.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.dtypes(), lambda dtype: dtype.itemsize < 8)
    dtype('float32')
    """
    if kinds not in ("f", "c", "fc", "cf"):
        raise ArgumentError(f"dtypes: kinds is 'f' (floats), 'c' (complex numbers) or 'fc', not {kinds!r}")
    found = [np.dtype(name) for name in ("f8", "f4", "f2", "c16", "c8") if name[0] in kinds]
    return hypothesis().strategies.sampled_from(found)  # type: ignore[no-any-return]


def _has_numbers(given: dict[str, Any]) -> str | None:
    """Whether the domain has numbers of the dtype."""
    domain, dtype = given["domain"], given["dtype"]
    if domain is not None:
        check_domain(domain, dtype if DTYPE.fits(dtype) and np.dtype(dtype).kind == "f" else np.float64)
    return None


@checked(
    _has_numbers,
    domain=DOMAIN | NONE,
    shape=NAMED_SHAPE | STRATEGY | NONE,
    dtype=DTYPE | STRATEGY,
    target=NUMBERS,
    layout=Kind("a Layout, as Layout('strided')", lambda value: isinstance(value, Layout)) | STRATEGY | NONE,
)
@composite
def arrays(
    draw: Any,
    domain: Reals | None = None,
    shape: Any = None,
    *,
    dtype: Any = np.float64,
    target: Sequence[complex] = (),
    layout: Any = None,
) -> Array:
    """Arrays of floats or complex numbers.

    Parameters
    ----------
    domain: where the values lie, as in `tinygrad_edu.reals` (which can ``avoid`` kinks) or `tinygrad_edu.complexes`.
    shape: a tuple, or a strategy for one; by default the domain's, or any that `shapes` draws.
    dtype: one, or a strategy for one, as `dtypes`. A complex domain takes the complex one of the same precision.
    target: kinks that values are drawn to: each element may be one of these, or lie just beside it; of a kink in the domain, on
        the sides that are in the domain too.
    layout: of the memory: a `Layout`, or a strategy for one, as `layouts`.

    Raises `ArgumentError` where an argument is of another kind, or no number is left to be drawn.

    >>> from hypothesis import find
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.arrays(tg.reals(-2, 2, avoid=(0,)), (2,)), lambda x: x[1] > 0)
    array([0.1, 0.1])
    """
    st = hypothesis().strategies
    domain = domain or reals()
    if shape is None:
        shape = domain.shape if domain.shape is not None else shapes(min_side=1 if domain.nonempty else 0)
    lengths: dict[str, int] = {}
    for name in (shape := drawn(draw, shape)):
        if isinstance(name, str) and name not in lengths:
            lengths[name] = draw(st.integers(1, 3))
    shape = tuple(lengths.get(length, length) for length in shape)
    dtype = np.dtype(drawn(draw, dtype))
    if domain.complex or dtype.kind == "c":
        dtype = np.result_type(dtype, np.complex64)
    values = _distinct(draw, domain, shape) if domain.grid else _numbers(draw, domain, shape, dtype)
    if target:
        values = _drawn_to(draw, values, target, domain)
    values = values.astype(dtype)
    layout = drawn(draw, layout)
    return values if layout is None else layout(values)


def _numbers(draw: Any, domain: Reals, shape: Shape, dtype: np.dtype[Any]) -> Array:
    floats = hypothesis().strategies.floats(domain.low, domain.high, allow_subnormal=False)
    values = elements(draw, shape, floats)
    if dtype.kind == "c":
        values = values + 1j * elements(draw, shape, floats)
    return within(values, domain, dtype)


def _distinct(draw: Any, domain: Reals, shape: Shape) -> Array:
    """Distinct values start + k · step within the bounds, in any order."""
    st = hypothesis().strategies
    start, step = domain.grid or (0.0, 1.0)
    size = int(np.prod(shape))
    first, last = np.ceil((domain.low - start) / step - 1e-9), np.floor((domain.high - start) / step + 1e-9)
    there = last - first + 1
    if size > there:
        raise ArgumentError(
            f"reals: grid={domain.grid} has {max(there, 0):g} numbers in [{domain.low:g}, {domain.high:g}], and an array of shape "
            f"{shape} takes {size} distinct ones: take a smaller step, wider bounds or a smaller shape"
        )
    order = draw(st.permutations(range(size)))
    # Around 0, where nothing says that the values should be positive.
    shift = draw(st.integers(-2, 2)) - size // 2 if start == 0 or step > start > 0 else 0
    shift = min(max(shift, first), last - size + 1)
    return np.asarray((start + step * (np.array(order, float) + shift)).reshape(shape))


def _drawn_to(draw: Any, values: Array, kinks: Sequence[complex], domain: Reals) -> Array:
    def inside(place: complex) -> bool:
        return all(domain.low <= part <= domain.high for part in ((place.real, place.imag) if domain.complex else (place.real,)))

    beside = [(kink, kink + side * domain.gap * 1e-6) for side in (0, 1, -1) for kink in kinks]
    places = [np.asarray(place) for kink, place in beside if inside(place) or not inside(kink)]
    choice = elements(draw, values.shape, hypothesis().strategies.integers(0, len(places)), "i8")
    return np.asarray(np.choose(choice, [*places, values]))


def tensors(
    domain: Reals | None = None, shape: Any = None, *, requires_grad: bool = True, **options: Any
) -> SearchStrategy[Tensor]:
    """Tensors of floats or complex numbers; the arguments are those of `arrays`. It is also what
    ``hypothesis.strategies.from_type(tg.Tensor)`` draws.

    >>> from hypothesis import find
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.tensors(), lambda x: x.ndim == 1 and x.size > 1)
    Tensor([0., 0.], requires_grad=True)
    """
    drawn_arrays = arrays(domain, shape, **options)
    return drawn_arrays.map(lambda array: from_numpy(array, requires_grad=requires_grad))


# ---------------------------------------------------------------------------------------------------------------- memory


@dataclass(frozen=True)
class Layout:
    """A way to keep an array in memory. Called with an array, it returns one of the same shape and dtype that is kept this way. The
    numbers are the same, but for "broadcast": there, the first entry along the first axis stands for all.

    >>> import numpy as np
    >>> from tinygrad_edu.testing import strategies
    >>> x = strategies.Layout("sliced")(np.array([3.0, 4.0]))
    >>> x, x.strides
    (array([3., 4.]), (16,))
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in LAYOUTS:
            raise ArgumentError(f"Layout: the layouts are {', '.join(map(repr, LAYOUTS))}, not {self.name!r}")

    def __call__(self, array: Array) -> Array:
        return LAYOUTS[self.name](np.asarray(array))


def _filled(view: Array, array: Array) -> Array:
    view[...] = array
    return view


def _wide(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Memory for twice as many numbers, the others being nan, so that a wrong stride shows."""
    return np.full((*shape, 2), np.nan if dtype.kind in "fc" else 0, dtype)


def _backwards(array: Array) -> Array:
    index: Any = (..., *[slice(None, None, -1)] * array.ndim)
    return np.asarray(array[index])


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda a: np.array(a, order="C"),
    "transposed": lambda a: np.array(a, order="F"),
    "sliced": lambda a: _filled(_wide(a.shape, a.dtype)[..., 1], a),
    "reversed": lambda a: _filled(_backwards(np.empty(a.shape, a.dtype)), a),
    "strided": lambda a: _filled(_backwards(_wide(a.shape[::-1], a.dtype)[..., 1].T), a),  # all three at once
    "broadcast": lambda a: np.broadcast_to(a[:1].copy(), a.shape) if a.ndim else a,
}


def layouts(*, broadcast: bool = False) -> SearchStrategy[Layout]:
    """Layouts of memory: contiguous, transposed, sliced, reversed, strided (the last three at once), and, with
    ``broadcast=True``, a stride of 0.

    >>> from hypothesis import find
    >>> import numpy as np
    >>> from tinygrad_edu.testing import strategies
    >>> find(strategies.layouts(), lambda layout: layout(np.ones(3)).strides[0] < 0)
    Layout(name='reversed')
    """
    names = [name for name in LAYOUTS if broadcast or name != "broadcast"]
    return hypothesis().strategies.sampled_from([Layout(name) for name in names])  # type: ignore[no-any-return]
