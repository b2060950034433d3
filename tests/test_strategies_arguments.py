"""The strategies again: that values stay in the domain, whatever its form and their dtype, and that wrong arguments are refused
where the strategy is made."""

import inspect
import re

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.testing import strategies
from tinygrad_edu.testing.arguments import whole
from tinygrad_edu.testing.strategies.domains import intervals

# ------------------------------------------------------------------------------------------------------------- domains


def numbers(domain, shape=(3,), **options):
    """What a strategy draws, all in one array."""
    found = []
    drawing = settings(max_examples=200, database=None)(
        given(strategies.arrays(domain, shape, **options))(lambda x: found.append(x))
    )
    drawing()
    return np.array(found)


@pytest.mark.parametrize(
    ("domain", "pieces"),
    [
        (tg.reals(-3, 0, avoid=(0,)), [(-3, -0.1)]),
        (tg.reals(-1, 1, avoid=(0, 0.15)), [(-1, -0.1), (0.25, 1)]),
        (tg.reals(-1, 1, avoid=(0.15, 0)), [(-1, -0.1), (0.25, 1)]),
        (tg.reals(-2, 2, avoid=(5, 0)), [(-2, -0.1), (0.1, 2)]),
        (tg.reals(1, 2), [(1, 2)]),
    ],
    ids=str,
)
def test_values_lie_in_what_the_gaps_leave_of_the_interval(domain, pieces):
    assert intervals(domain).tolist() == [list(piece) for piece in pieces[::-1]]
    x = numbers(domain)
    where = [(low <= x) & (x <= high) for low, high in pieces]
    assert np.any(where, axis=0).all()
    assert all(there.any() for there in where)


def test_what_is_moved_shrinks_as_before():
    assert find(strategies.arrays(tg.reals(avoid=(0,)), ()), lambda x: True) == 0.1
    assert find(strategies.arrays(tg.reals(-3, 0, avoid=(0,)), ()), lambda x: True) == -0.1


@pytest.mark.parametrize("domain", [tg.complexes(0, 1, avoid=(0, 0.5)), tg.complexes(-1, 1, avoid=(1 + 1j,), gap=0.7)], ids=str)
def test_complex_values_stay_in_the_square_and_away(domain):
    x = numbers(domain)
    for part in (x.real, x.imag):
        assert part.min() >= domain.low
        assert part.max() <= domain.high
    for kink in domain.avoid:
        assert np.abs(x - kink).min() > domain.gap * (1 - 1e-6)


def test_no_value_is_rounded_out_of_its_interval():
    assert np.abs(numbers(tg.reals(-0.9999, 0.9999), dtype=np.float16)).max() == np.float16(0.9995)
    large = numbers(tg.reals(1e4, 1e6), dtype=np.float16)
    assert large.max() == np.finfo(np.float16).max
    assert large.min() >= 1e4
    third = numbers(tg.complexes(0, 1 / 3), dtype=np.complex64)
    assert third.dtype == np.complex64
    assert third.real.max() <= 1 / 3


def test_a_grid_ends_at_the_bounds():
    assert set(numbers(tg.reals(0, 1, grid=(0, 0.5)), (2,)).ravel()) == {0, 0.5, 1}
    assert numbers(tg.reals(grid=(0, 2)), (3,)).min() <= -4
    with pytest.raises(
        ArgumentError, match=r"grid=\(0, 0.5\) has 3 numbers in \[0, 1\], and an array of shape \(4,\) takes 4 dist"
    ):
        find(strategies.arrays(tg.reals(0, 1, grid=(0, 0.5)), (4,)), lambda x: True)


def test_values_are_drawn_to_a_kink_from_within_the_domain():
    x = numbers(tg.reals(0, 1), target=(0,))
    assert x.min() == 0
    assert 0 < x[x > 0].min() < 1e-6
    outside = numbers(tg.reals(1, 2), target=(0,))  # of which a kink outside says nothing
    assert outside.min() == -1e-7


# ----------------------------------------------------------------------------------------------------------- arguments

ANY = st.integers(0, 3)
WRONG = [
    (lambda: strategies.arrays((2, 3)), "arrays: domain is what reals() or complexes() returns, or None, not (2, 3)"),
    (lambda: strategies.arrays(None, 3), "arrays: shape is a tuple of lengths, as (2, 3), or a strategy, or None, not 3"),
    (
        lambda: strategies.arrays(dtype=int),
        "dtype is a dtype of floats or of complex numbers, or a strategy, not <class 'int'>",
    ),
    (
        lambda: strategies.arrays(layout="strided"),
        "layout is a Layout, as Layout('strided'), or a strategy, or None",
    ),
    (lambda: strategies.arrays(target=0), "arrays: target is a tuple of numbers, as (0.0,), not 0"),
    (lambda: strategies.tensors(None, 3), "shape is a tuple of lengths"),
    (
        lambda: strategies.arrays(tg.reals(-0.05, 0.05, avoid=(0,))),
        "reals(-0.05, 0.05, avoid=(0,), gap=0.1) leaves no number to draw: take a smaller gap, or a wider interval",
    ),
    (lambda: strategies.arrays(tg.reals(3, 1)), "reals(3, 1) leaves no number to draw"),
    (lambda: strategies.arrays(tg.complexes(-0.1, 0.1, avoid=(0,))), "complexes(-0.1, 0.1, avoid=(0,), gap=0.2) leaves no number"),
    (lambda: strategies.arrays(tg.reals(1e5, 1e6), dtype="f2"), "float16 has no number there; its largest is 65504"),
    (lambda: strategies.arrays(tg.reals(grid=(0, 0))), "the step of a grid is larger than 0"),
    (lambda: strategies.Layout("x"), "Layout: the layouts are 'contiguous', 'transposed', "),
    (lambda: strategies.dtypes("fx"), "dtypes: kinds is 'f' (floats), 'c' (complex numbers) or 'fc', not 'fx'"),
    (lambda: strategies.dtypes("f8"), "not 'f8'"),
    (lambda: strategies.shapes(min_dims=3, max_dims=1), "shapes: min_dims ≤ max_dims is needed, and they are 3 and 1"),
    (lambda: strategies.shapes(min_side=4), "shapes: min_side ≤ max_side is needed, and they are 4 and 3"),
    (lambda: strategies.shapes(max_dims=1.5), "shapes: max_dims is a whole number from 0 on, not 1.5"),
    (lambda: strategies.broadcastable_shapes(base=3), "broadcastable_shapes: base is a tuple of lengths, as (2, 3), not 3"),
    (lambda: strategies.matmul_operands(shape=(2, 2)), "matmul_operands: the shapes are those of matmul_shapes()"),
    (lambda: strategies.matmul_operands(layout=3), "layout is a Layout"),
    (lambda: strategies.indices(ANY), "indices: shape is a tuple of lengths"),
    (lambda: strategies.indices(3), "indices: shape is a tuple of lengths, as (2, 3), not 3"),
    (lambda: strategies.axes((2, 3)), "axes: ndim is a whole number from 0 on, not (2, 3)"),
    (lambda: strategies.axes(0, several=False, none=False), "axes: an array without axes has only () and None for them"),
    (lambda: strategies.conv_geometries(max_stride=0), "conv_geometries: max_stride is a whole number from 1 on, not 0"),
    (lambda: strategies.labels(ANY), "labels: classes is a whole number from 1 on"),
    (lambda: strategies.one_hot_labels(3, 2), "one_hot_labels: shape is a tuple of lengths"),
    (lambda: strategies.soft_labels(0), "soft_labels: classes is a whole number from 1 on, not 0"),
    (lambda: strategies.extreme_logits(largest=-1), "extreme_logits: largest is a number larger than 0, not -1"),
    (lambda: strategies.symmetric(1.5), "symmetric: n is a whole number from 1 on, or a strategy, or None, not 1.5"),
    (lambda: strategies.well_conditioned(condition=0.5), "well_conditioned: condition is a number from 1 on, not 0.5"),
    (lambda: strategies.programs(0), "programs: min_nodes is a whole number from 1 on, not 0"),
    (lambda: strategies.programs(True), "programs: min_nodes is a whole number from 1 on, not True"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_argument_is_refused_where_the_strategy_is_made(number):
    make, message = WRONG[number]
    with pytest.raises(ArgumentError, match=re.escape(message)):
        make()


def test_an_argument_that_there_is_not_is_pythons_own_error():
    with pytest.raises(TypeError, match=r"labels\(\) got an unexpected keyword argument 'foo'"):
        strategies.labels(3, foo=1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'classes'"):
        strategies.labels()


def test_a_strategy_keeps_its_signature_and_its_words():
    assert list(inspect.signature(strategies.shapes).parameters) == ["min_dims", "max_dims", "min_side", "max_side"]
    assert strategies.shapes.__doc__.startswith("Shapes, by default")


def test_numbers_of_numpy_are_whole_numbers():
    whole(1).check("it", "n", np.int64(3))
    assert not whole(1).fits(np.float64(3))
