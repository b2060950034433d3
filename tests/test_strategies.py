"""The strategies: that they draw what they promise, all kinds of it, and shrink to what can be read."""

import numpy as np
import pytest
from hypothesis import assume, find, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.testing import strategies
from tinygrad_edu.testing.strategies import ConvGeometry, Layout
from tinygrad_edu.testing.strategies.programs import NAMES


def ever(strategy, condition):
    """Whether the strategy draws what meets a condition; the smallest found."""
    return find(strategy, condition, settings=settings(max_examples=1000, database=None, deadline=None))


# ---------------------------------------------------------------------------------------------------- shapes and numbers


@given(st.data())
def test_shapes_broadcast_and_multiply(data):
    base = data.draw(strategies.shapes(min_side=0))
    shapes = data.draw(strategies.broadcastable_shapes(3, base=base, min_side=0))
    np.broadcast_shapes(base, *shapes)
    a, b = data.draw(strategies.matmul_operands())
    assert np.shape(a @ b) == (tg.Tensor(a) @ tg.Tensor(b)).shape


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 3), (3, 2), (2, 3), (3, 3), (4, 3)])
def test_every_pair_of_ranks_of_a_product_is_drawn(a, b):
    assert ever(strategies.matmul_shapes(), lambda pair: (len(pair[0]), len(pair[1])) == (a, b))


def test_stacks_of_matrices_broadcast_either_way():
    stretched = lambda short, long: len(short) == len(long) == 3 and short[0] == 1 < long[0]
    assert ever(strategies.matmul_shapes(max_dims=1), lambda pair: stretched(*pair)) == ((1, 1, 1), (2, 1, 1))
    assert ever(strategies.matmul_shapes(max_dims=1), lambda pair: stretched(*pair[::-1])) == ((2, 1, 1), (1, 1, 1))


@given(strategies.arrays(tg.reals(-2, 2, avoid=(0, 1), gap=0.2)))
def test_values_stay_within_and_away(x):
    assert x.dtype == np.float64
    assert (np.abs(x) <= 2).all()
    for kink in (0, 1):
        assert (np.abs(x - kink) > 0.2 - 1e-9).all()


@given(strategies.arrays(tg.reals(grid=(0.5, 0.25))), strategies.arrays(tg.reals(0.2, 2, grid=(0, 0.25)), (2, 3)))
def test_values_of_a_grid_are_distinct(x, within):
    assert len(set(x.ravel().tolist())) == x.size
    assert len(set(within.ravel().tolist())) == 6
    assert within.min() >= 0.25
    assert within.max() <= 2


@given(strategies.arrays(tg.complexes(avoid=(1j,)), dtype=strategies.dtypes("f")))
def test_complex_values_take_the_precision(x):
    assert x.dtype in (np.complex64, np.complex128)
    assert (np.abs(x - 1j) > 0.2 - 1e-6).all()


def test_kinks_are_hit_and_nearly_missed():
    near = strategies.arrays(tg.reals(1, 2), (3,), target=(0.0,))
    for wanted in ((lambda v: v == 0), (lambda v: 0 < v < 1e-6), (lambda v: -1e-6 < v < 0), (lambda v: v >= 1)):
        assert wanted(ever(near, lambda x, wanted=wanted: wanted(x[1]))[1])


def test_the_named_lengths_of_a_domain_are_drawn():
    square = ever(strategies.arrays(tg.reals(shape=("n", "n", 2))), lambda x: len(x) > 1)
    assert square.shape == (2, 2, 2)


def test_dtypes():
    assert ever(strategies.dtypes("c"), lambda dtype: True) == np.complex128
    drawn = {ever(strategies.dtypes(), lambda dtype, name=name: dtype.name == name).name for name in ("float16", "complex64")}
    assert drawn == {"float16", "complex64"}
    with pytest.raises(ArgumentError, match=r"kinds is 'f' \(floats\), 'c' \(complex numbers\) or 'fc', not 'i'"):
        strategies.dtypes("i")


# ---------------------------------------------------------------------------------------------------------------- memory


@given(strategies.arrays(), strategies.layouts())
def test_a_layout_keeps_the_numbers(x, layout):
    other = layout(x)
    assert (other.shape, other.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(other, x)
    assert other is not x
    assert not np.shares_memory(other, x)


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("contiguous", (24, 8)),
        ("transposed", (8, 16)),
        ("sliced", (48, 16)),
        ("reversed", (-24, -8)),
        ("strided", (-16, -32)),
        ("broadcast", (0, 8)),
    ],
)
def test_a_layout_is_what_it_says(name, strides):
    assert Layout(name)(np.ones((2, 3))).strides == strides


@given(strategies.tensors(layout=strategies.layouts(broadcast=True)))
def test_tensors_keep_their_layout_and_have_a_gradient(x):
    assert x.requires_grad
    tg.sum(x * x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.numpy())


def test_a_broadcast_layout_has_a_stride_of_zero():
    x = ever(strategies.arrays(shape=(2, 2), layout=strategies.layouts(broadcast=True)), lambda x: x.strides[0] == 0)
    assert x.tolist() == [[0, 0], [0, 0]]


# -------------------------------------------------------------------------------------------------- axes, indices, geometry


@given(st.data())
def test_axes_and_indices_fit(data):
    x = data.draw(strategies.arrays(shape=strategies.shapes(min_side=0)))
    np.sum(x, axis=data.draw(strategies.axes(x.ndim)))
    index = data.draw(strategies.indices(x.shape))
    np.testing.assert_array_equal(tg.Tensor(x)[index].numpy(), x[index])


def kinds(index):
    parts = index if isinstance(index, tuple) else (index,)
    return {"array" if isinstance(part, np.ndarray) and part.dtype != bool else type(part).__name__ for part in parts}


@pytest.mark.parametrize(
    "wanted",
    [{"int"}, {"slice"}, {"ellipsis"}, {"NoneType", "slice"}, {"ndarray"}, {"array"}, {"array", "slice"}, {"array", "int"}],
    ids=lambda wanted: "+".join(sorted(wanted)),
)
def test_every_kind_of_index_is_drawn(wanted):
    assert ever(strategies.indices((2, 3)), lambda index: kinds(index) == wanted) is not None


def test_places_repeat_and_steps_go_backwards():
    ever(strategies.indices((3,)), lambda i: kinds(i) == {"array"} and len(set(i.ravel().tolist())) < i.size)
    ever(strategies.indices((3,)), lambda i: isinstance(i, slice) and (i.step or 1) < 0)


def test_axes_of_every_kind_are_drawn():
    assert ever(strategies.axes(2, several=False, none=False), lambda axis: True) == 0
    assert ever(strategies.axes(2), lambda axis: axis is None) is None
    assert ever(strategies.axes(3), lambda axis: isinstance(axis, tuple) and len(axis) == 3 and -1 in axis)
    assert ever(strategies.axes(0, none=False), lambda axis: True) == ()


@given(strategies.conv_geometries())
def test_a_convolution_has_a_result(geometry):
    x = np.zeros(geometry.length + 2 * geometry.padding)
    spread = geometry.dilation * (geometry.kernel - 1) + 1
    starts = np.arange(0, len(x) - spread + 1, geometry.stride)
    assert geometry.output == len(starts) >= 1


def test_geometries_vary_and_shrink():
    assert ever(strategies.conv_geometries(), lambda g: True) == ConvGeometry(1, 1)
    found = ever(strategies.conv_geometries(), lambda g: g.dilation > 1 and g.kernel > 2 and g.padding)
    assert found == ConvGeometry(length=3, kernel=3, padding=1, dilation=2)


# -------------------------------------------------------------------------------------------------------------- classes


@given(st.data())
def test_labels_and_distributions(data):
    shape = data.draw(strategies.shapes(max_dims=2))
    t = data.draw(strategies.labels(5, shape))
    assert t.shape == shape
    assert t.dtype.kind in "iu"
    assert ((t >= 0) & (t < 5)).all()
    for rows in (data.draw(strategies.one_hot_labels(5, shape)), data.draw(strategies.soft_labels(5, shape))):
        assert rows.shape == (*shape, 5)
        np.testing.assert_allclose(rows.sum(axis=-1), 1)
        assert (rows >= 0).all()


def careless_softmax(z):
    with np.errstate(all="ignore"):
        return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def test_extreme_logits_break_a_careless_softmax_and_not_ours():
    def breaks(z):
        return not np.isfinite(careless_softmax(z)).all()

    assert breaks(ever(strategies.extreme_logits(), breaks))
    assert breaks(ever(strategies.extreme_logits(2, (2,)), lambda z: (z[0] == 0).all() and breaks(z[1:])))
    check = given(strategies.extreme_logits())(lambda z: np.testing.assert_allclose(tg.softmax(z).sum(axis=-1), 1))
    check()


# -------------------------------------------------------------------------------------------------------------- matrices


@pytest.mark.parametrize("complex", [False, True])
@given(data=st.data())
def test_matrices_are_what_they_are_called(complex, data):
    batch = data.draw(strategies.shapes(max_dims=1))
    n = data.draw(st.integers(1, 4))
    options = {"batch": batch, "complex": complex}
    dagger = lambda a: np.conj(np.swapaxes(a, -1, -2))
    a = data.draw(strategies.symmetric(n, **options))
    np.testing.assert_array_equal(a, dagger(a))
    q = data.draw(strategies.orthogonal(n, **options))
    np.testing.assert_allclose(q @ dagger(q), np.broadcast_to(np.eye(n), q.shape), atol=1e-13)
    p = data.draw(strategies.positive_definite(n, condition=20, **options))
    np.testing.assert_array_equal(p, dagger(p))
    assert np.linalg.eigvalsh(p).min() > 1 - 1e-12
    w = data.draw(strategies.well_conditioned(n, condition=20, **options))
    assert np.linalg.cond(w).max() < 20 + 1e-9
    for matrix in (a, q, p, w):
        assert matrix.shape == (*batch, n, n)
        assert (matrix.dtype.kind == "c") == complex


def test_matrices_vary_and_shrink_to_the_identity():
    for strategy in (strategies.orthogonal(3), strategies.positive_definite(3), strategies.well_conditioned(3)):
        np.testing.assert_array_equal(ever(strategy, lambda a: True), np.eye(3))
    assert ever(strategies.symmetric(2), lambda a: True).tolist() == [[0, 0], [0, 0]]
    ever(strategies.orthogonal(2), lambda q: np.linalg.det(q) < 0 and abs(q[0, 1]) > 0.1)
    ever(strategies.positive_definite(2), lambda a: abs(a[0, 1]) > 1)
    ever(strategies.well_conditioned(2), lambda a: abs(a[0, 1] - a[1, 0]) > 1)


# -------------------------------------------------------------------------------------------------------------- programs


def derivatives(program):
    xs = [tg.Tensor(x, requires_grad=True) for x in program.inputs]
    y = program.run(*xs)
    y.backward(np.ones(y.shape))
    return y.numpy(), [x.grad for x in xs]


@given(strategies.programs(3, 12))
def test_a_program_runs_on_arrays_on_tensors_and_as_it_is_written(program):
    assert 3 <= len(program.steps) <= 12
    y, gradients = derivatives(program)
    np.testing.assert_array_equal(program.run(), y)
    assert len(program.values()) == len(program.steps)
    written = {"np": np, "tg": tg}
    exec(repr(program), written)
    np.testing.assert_allclose(written["program"](*program.inputs), y, rtol=1e-12, atol=1e-14)
    assert np.abs(y).max() <= 12
    for gradient in gradients:  # every input has a part in the result, and derivatives are of the order of 1
        assert gradient is not None
        assert np.isfinite(gradient.numpy()).all()
        assert np.abs(gradient.numpy()).max() <= 100


@given(strategies.programs(1, 10))
def test_every_step_of_a_program_is_used(program):
    used = {one for step in program.steps for group in step.operands for one in (group if isinstance(group, tuple) else (group,))}
    everything = range(len(program.inputs) + len(program.steps) - 1)
    assert set(everything) <= used


@settings(max_examples=20)
@given(strategies.programs(1, 6))
def test_a_program_has_right_derivatives(program):
    assume(sum(x.size for x in program.inputs) < 12)
    assert tg.testing.assert_gradients(program, *program.inputs).ok


def test_programs_fan_out_come_together_and_have_all_operations():
    programs = strategies.programs(1, 10)
    uses = lambda p: [one for step in p.steps for one in step.operands if isinstance(one, int)]
    ever(programs, lambda p: max(map(uses(p).count, uses(p)), default=0) > 2)
    ever(programs, lambda p: len(p.inputs) == 3)
    drawn = set()
    settings(max_examples=60)(given(strategies.programs(15, 20))(lambda p: drawn.update(step.name for step in p.steps)))()
    assert drawn == set(NAMES)


def test_a_program_shrinks_to_one_that_can_be_read():
    found = ever(strategies.programs(), lambda p: any(step.name == "tanh" for step in p.steps))
    assert str(found) == "x = np.array(0.)\n\ndef program(x):\n    return tg.tanh(x)"
    found = ever(strategies.programs(), lambda p: any(step.name == "stack" for step in p.steps))
    assert str(found) == "x = np.array(0.)\n\ndef program(x):\n    return tg.stack([x, x])"
    found = ever(strategies.programs(1, 12), lambda p: any(step.name == "matmul" for step in p.steps))
    assert len(found.steps) <= 6
    assert [x.size for x in found.inputs] == [1]


def test_a_wrong_call_of_a_program_is_named():
    program = ever(strategies.programs(), lambda p: len(p.inputs) == 1)
    with pytest.raises(ArgumentError, match=r"the program has 1 inputs, and 2 were given:\nx = np.array"):
        program.run(1.0, 2.0)
    with pytest.raises(ArgumentError, match=r"programs: min_nodes ≤ max_nodes is needed, and they are 5 and 4"):
        ever(strategies.programs(5, 4), lambda p: True)
