"""NumPy's functions on tensors: the same operations under another name, constants, or a refusal that says what to do instead."""

import inspect
import io
import types
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import numpy_protocol
from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.ops import constant
from tinygrad_edu.registry import NUMPY
from tinygrad_edu.tree import leaves


def recorded(*shape):
    return tg.Tensor(np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape), requires_grad=True)


def same(y, expected, *, requires_grad=True):
    assert isinstance(y, tg.Tensor)
    assert y.requires_grad == requires_grad
    np.testing.assert_array_equal(y.data, expected)
    assert y.dtype == np.asarray(expected).dtype


# ------------------------------------------------------------------------------------------- NumPy's ways of giving arguments


def test_functions_that_are_operations_record():
    x = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    assert np.exp(x)._node.op.name == "exp"
    assert np.sum(x, axis=0)._node.op.name == "sum"
    assert np.concatenate([x, np.zeros((1, 2))])._node.op.name == "concatenate"
    assert (np.ones((2, 1)) @ x)._node.op.name == "matmul"
    assert np.repeat(x, 2, axis=0).shape == (2, 2)
    (np.float64(2) * x - np.ones(2)).sum().backward()
    assert x.grad.tolist() == [[2, 2]]


def test_arguments_may_be_given_as_numpy_takes_them():
    x, a = recorded(2, 3), np.arange(1.0, 7).reshape(2, 3)
    same(np.sum(x, 1), a.sum(1))
    same(np.sum(a=x, axis=0), a.sum(0))
    same(np.sum(x, 0, None, None, True), a.sum(0, keepdims=True))
    same(np.max(x, axis=-1, out=None, keepdims=np._NoValue), a.max(-1))
    same(np.mean(a=x, dtype=None), a.mean())
    same(np.transpose(x, (1, 0)), a.T)
    same(np.reshape(x, (3, 2)), a.reshape(3, 2))
    same(np.concatenate((x, a), 1), np.concatenate((a, a), 1))
    same(np.stack([a, x], axis=-1), np.stack([a, a], axis=-1))
    same(np.where(x > 2, x, 0), np.where(a > 2, a, 0))
    same(np.where(x[0] > 1)[0], [1, 2], requires_grad=False)
    same(np.fft.rfft(x, 2, 0), np.fft.rfft(a, 2, 0))
    same(np.fft.fft2(a=x, norm="ortho"), np.fft.fft2(a, norm="ortho"))


def test_dtype_converts_what_the_function_is_given():
    x, wide = tg.Tensor([1.0, 2.0], dtype=np.float32, requires_grad=True), np.array([0.1, 0.2])
    same(np.sum(x, dtype=np.float64), 3.0)
    same(np.exp(x, dtype=np.float64), np.exp([1.0, 2.0]))
    same(np.add(x, wide, dtype=np.float32), np.add(x.data, wide, dtype=np.float32))
    same(np.stack([x, wide], dtype=np.float32), np.stack([x.data, wide.astype(np.float32)]))
    np.sum(x, dtype=np.float64).backward()
    assert x.grad.dtype == np.float32


def test_methods_of_ufuncs():
    x, a = recorded(2, 3), np.arange(1.0, 7).reshape(2, 3)
    same(np.add.reduce(x), a.sum(0))
    same(np.add.reduce(x, None), a.sum())
    same(np.add.reduce(x, axis=1, keepdims=True), a.sum(1, keepdims=True))
    same(np.maximum.reduce(x), a.max(0))
    same(np.logical_and.reduce(x > 2), [False, False, True], requires_grad=False)
    same(np.multiply.outer(x, a[0]), np.multiply.outer(a, a[0]))
    same(np.subtract.outer(a[0], x[0]), np.subtract.outer(a[0], a[0]))
    same(np.less.outer(x[0], x[1]), np.less.outer(a[0], a[1]), requires_grad=False)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: np.sum(a, 1, where=a > 3),
        lambda a: np.sum(a, where=[True, False, True], initial=2.0),
        lambda a: np.add.reduce(a, initial=a[0, 1]),
        lambda a: np.prod(a, 0, where=a > 3, keepdims=True),
        lambda a: np.multiply.reduce(a, initial=2),
        lambda a: np.max(a, 1, initial=5.5),
        lambda a: np.amin(a, 0, initial=-1.0, where=a > 9),
        lambda a: np.maximum.reduce(a, axis=(0, 1), initial=9.0, where=[True, False, False]),
        lambda a: np.nansum(np.where(a > 4, np.nan, a), 1, where=[True, False, True]),
        lambda a: np.nanmax(np.where(a > 4, np.nan, a), 1, initial=0.0),
    ],
)
def test_reductions_begin_with_a_number_and_leave_numbers_out(call):
    same(call(recorded(2, 3)), call(np.arange(1.0, 7).reshape(2, 3)))


def test_what_a_reduction_leaves_out_has_the_gradient_zero():
    x = recorded(2, 3)
    (np.sum(x, axis=1, where=x > 2, initial=x[0, 0]) * [1.0, 10.0]).sum().backward()
    assert x.grad.tolist() == [[11, 0, 1], [10, 10, 10]]
    x.grad = None
    (np.max(x, initial=4.5, where=[True, True, False]) + np.prod(x, where=x < 3)).backward()
    assert x.grad.tolist() == [[2, 1, 0], [0, 1, 0]]
    with pytest.raises(ArgumentError, match="max: there is no number that changes no max: give initial= with where="):
        np.max(x, where=[True, False, False])
    with pytest.raises(ValueError, match="more dimensions"):
        np.sum(x, where=np.ones((3, 2, 3), bool))


def test_any_ufunc_of_two_operands_is_repeated():
    for f in (
        np.hypot.reduce,
        np.subtract.reduce,
        np.divide.accumulate,
        np.arctan2.reduce,
        np.power.accumulate,
        np.fmin.accumulate,
    ):
        x = np.array([[1.5, 0.7], [1.2, 2.2], [0.8, 1.1]])
        for axis in (0, 1):
            tg.testing.assert_gradients(lambda x, f=f, axis=axis: f(x, axis=axis), x, order=2)
    with pytest.raises(ArgumentError, match=r"numpy\.subtract\.reduce: of a tensor it goes along one axis, and got axis=\(0, 1\)"):
        np.subtract.reduce(recorded(2, 2), axis=(0, 1))
    with pytest.raises(ShapeError, match=r"subtract\.reduce.*axis 2"):
        np.subtract.reduce(recorded(2, 2), axis=2)
    with pytest.raises(ValueError, match="no identity"):
        np.subtract.reduce(recorded(0, 2))


def test_an_array_on_the_left_leaves_the_operation_to_the_tensor():
    x, a = recorded(3), np.array([1.0, 2.0, 3.0])
    same(a - x, a - a)
    same(np.float64(2) ** x, 2**a)
    same(a[None] @ x, a[None] @ a)
    same(a < x, a < a, requires_grad=False)
    with pytest.raises(
        DTypeError, match=r"numpy\.add .*no out= for it \(and no `array \+= tensor`\): write array = array \+ tensor"
    ):
        a += x
    a += tg.Tensor([1.0, 1.0, 1.0])
    assert a.tolist() == [2, 3, 4]


# -------------------------------------------------------------------------------------------------------------- refusals


def test_a_gradient_is_not_lost_silently():
    x = recorded(3)
    for tensor in (x, x * 2):
        for f in (np.asarray, np.array, np.asfortranarray, lambda x: np.array([x, x]), lambda x: np.sum([x[0], x[1]])):
            with pytest.raises(DTypeError, match=r"np\.asarray .*drop its gradient.*x\.numpy\(\) .*tg\.stack\(\[x, y\]\)"):
                f(tensor)
    with tg.no_grad():
        np.testing.assert_array_equal(np.asarray(x), [1, 2, 3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: np.resize(x, 5),
            r"numpy\.resize is not recorded .*drop the gradient .*tg\.tile and tg\.reshape; or pass x\.detach\(\)",
        ),
        (lambda x: np.trim_zeros(x), r"numpy\.trim_zeros .*x\[first:last\]"),
        (lambda x: np.apply_along_axis(np.sum, 0, x), r"numpy\.apply_along_axis .*write the function with them"),
        (lambda x: np.union1d(x, [1]), r"numpy\.union1d .*tg\.unique"),
        (lambda x: np.nextafter(x, 1), r"numpy\.nextafter .*x itself, which differs by rounding only"),
        (lambda x: np.add.at(x, [0], 1), r"numpy\.add\.at writes into its first argument.*y = x\.at\[key\]\.add\(v\)"),
        (lambda x: np.add.at(np.zeros(3), [0], x[0]), r"numpy\.add\.at is not recorded .*drop the gradient.*x\.at\[key\]\.add"),
        (lambda x: np.add.reduceat(x, [0, 1]), r"numpy\.add\.reduceat .*slices.*tg\.scatter_add"),
        (lambda x: np.exp(x, where=[True, False, True]), r"numpy\.exp .*tg\.where, before or after tg\.exp"),
        (lambda x: np.var(x, where=[True, False, True]), r"numpy\.var .*tg\.nanvar\(tg\.where\(mask, x, np\.nan\)\) leaves out"),
        (
            lambda x: np.median(x, overwrite_input=True),
            r"numpy\.median .*tg\.median has no overwrite_input: call it as tg\.median\(a, /, axis=None, keepdims=False\)",
        ),
        (lambda x: np.add(x, 1, casting="unsafe"), r"numpy\.add .*tg\.add has no casting: call it as tg\.add\(a, b, /\)"),
        (lambda x: np.exp(x, out=np.zeros(3)), r"numpy\.exp .*there is no out= for it"),
        (lambda x: np.exp(1.0, out=tg.Tensor(0.0)), r"numpy\.exp: out= cannot be a tensor; assign the result"),
        (lambda x: np.floor(1.5, out=tg.Tensor(0.0)), r"numpy\.floor: out= cannot be a tensor"),
        (
            lambda x: np.frompyfunc(float, 1, 1)(x),
            r"^float \(vectorized\) is not recorded .*write it with operations that are recorded",
        ),
        (lambda x: np.histogram(x, weights=x), r"histogram returns a constant.*given as weights requires grad.*tg\.bincount"),
    ],
)
def test_a_refusal_names_the_function_and_the_way_round(call, message):
    with pytest.raises(DTypeError, match=message):
        call(recorded(3))


def test_every_hint_belongs_to_a_function_that_needs_one():
    for name in set(numpy_protocol.WAY) - {"at", "reduceat"}:
        assert getattr(np, name) not in NUMPY, name


def test_on_constants_functions_without_an_operation_compute_as_usual():
    x = tg.Tensor([1.0, 2.0, 0.0])
    assert np.trim_zeros(x).tolist() == [1, 2]
    assert type(np.nextafter(x, 5)) is np.ndarray
    assert np.add.reduceat(x, [0, 1]).tolist() == [1, 2]
    with tg.no_grad():
        assert np.union1d(recorded(2), [5]).tolist() == [1, 2, 5]
    total = np.zeros(3)
    np.add.at(total, [0, 0, 2], x)
    assert total.tolist() == [3, 0, 0]


def test_what_is_an_operation_gives_tensors_with_every_argument():
    x = tg.Tensor([1.0, 2.0, 4.0])
    same(np.var(x, where=[True, False, True]), 2.25, requires_grad=False)
    out = np.zeros(3)
    assert np.exp(x, out=out) is out


# ------------------------------------------------------------------------------------------- constants and questions of shape


def test_questions_about_the_array_have_plain_answers():
    x = recorded(2, 3)
    assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 1)) == ((2, 3), 2, 6, 3)
    assert np.result_type(x, np.float32) == np.float64
    assert np.can_cast(x.dtype, np.complex64) is False
    assert np.shares_memory(x, x.data) is True
    assert [i.tolist() for i in np.tril_indices_from(x)] == [[0, 1, 1], [0, 0, 1]]
    for answer in (np.allclose(x, x), tg.allclose(x, x), x.allclose(x.data), np.array_equal(x, x), np.array_equiv(x, x)):
        assert answer is True
    file = io.BytesIO()
    np.savez(file, x=x)
    file.seek(0)
    np.testing.assert_array_equal(np.load(file)["x"], x.data)


def test_functions_without_a_derivative_give_constants():
    x = recorded(2, 3)
    same(np.argmax(x), 5, requires_grad=False)
    same(np.floor(x / 2), np.floor(x.data / 2), requires_grad=False)
    same(np.isin(x, [1, 2]), np.isin(x.data, [1, 2]), requires_grad=False)
    same(np.lexsort((x[0], x[1])), [0, 1, 2], requires_grad=False)
    same(np.zeros_like(x), np.zeros((2, 3)), requires_grad=False)
    same(np.full_like(x, 7, dtype=int), np.full((2, 3), 7), requires_grad=False)
    same(tg.Tensor([1, 2]) & np.array([3, 2]), [1, 2], requires_grad=False)
    same(tg.bitwise_left_shift(tg.Tensor([1, 2]), 2), [4, 8], requires_grad=False)
    same(tg.gcd(tg.Tensor([4, 6]), 10), [2, 2], requires_grad=False)
    counts, edges = np.histogram(x, bins=2)
    same(counts, [3, 3], requires_grad=False)
    same(edges, [1.0, 3.5, 6.0], requires_grad=False)
    same(np.bincount(tg.Tensor([0, 2, 2])), [1, 0, 2], requires_grad=False)
    assert tg.argsort(x.data[0]).tolist() == [0, 1, 2]
    assert not isinstance(tg.argsort(x.data[0]), tg.Tensor)


def test_of_a_pair_the_rest_is_differentiated():
    x = tg.Tensor([3.5, -3.5, np.inf], requires_grad=True)
    fraction, whole = np.modf(x)
    same(fraction, [0.5, -0.5, 0.0])
    same(whole, [3.0, -3.0, np.inf], requires_grad=False)
    quotient, rest = np.divmod(x[:2], 2)
    same(quotient, [1.0, -2.0], requires_grad=False)
    same(rest, [1.5, 0.5])
    (fraction.sum() + 10 * rest.sum()).backward()
    assert x.grad.tolist() == [11, 11, 1]


def test_counts_with_weights_are_differentiated():
    w = tg.Tensor([1.0, 2.0, 4.0], requires_grad=True)
    same(np.bincount([0, 2, 2], w), [1.0, 0.0, 6.0])
    same(np.bincount([0, 2, 2], weights=w, minlength=5), [1.0, 0.0, 6.0, 0.0, 0.0])
    same(tg.bincount(tg.Tensor([1, 0, 1]), w), [2.0, 5.0])
    with pytest.raises(ValueError, match=r"bincount: x has shape \(3,\), and the weights \(2,\)"):
        tg.bincount([0, 2, 2], w[:2])
    with pytest.raises(ValueError, match="negative"):
        tg.bincount([0, -1, 2], w)


ARGUMENTS = {  # of constant functions that take more than one array
    **dict.fromkeys(["isclose", "isin", "allclose", "array_equal", "array_equiv", "digitize"], lambda x: (x, [0.5, 1.5])),
    **dict.fromkeys(["logical_and", "logical_or", "logical_xor"], lambda x: (x, [1.0, 0.0])),
    "floor_divide": lambda x: (x, [0.4, 0.3]),
    "searchsorted": lambda x: ([0.5, 1.5], x),
    "argpartition": lambda x: (x, 1),
    "lexsort": lambda x: ((x, x),),
    "histogram": lambda x: (x, [0, 1, 2]),
    "histogram2d": lambda x: (x, x, [[0, 1, 2], [0, 2]]),
    "histogramdd": lambda x: (x[:, None], [[0, 1, 2]]),
    "matrix_rank": lambda x: (x[:, None] * x,),
}
OF_INTEGERS = (
    "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift bitwise_count gcd lcm ix_ unravel_index ravel_multi_index"
)
DIFFERENTIATED = ("bincount", "divmod", "modf")
CONSTANTS = {f.__name__: f for f in NUMPY.values() if f.__module__ == constant.__name__ and f.__name__ not in DIFFERENTIATED}


@pytest.mark.parametrize("name", sorted(set(CONSTANTS) - set(OF_INTEGERS.split()) - {"empty_like"}))
def test_what_is_called_constant_does_not_move_with_its_input(name):
    def values(shift):
        return CONSTANTS[name](*ARGUMENTS.get(name, lambda x: (x,))(np.array([0.7, 1.3]) + shift))

    for before, after in zip(leaves(values(0)), leaves(values(1e-9)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_every_function_of_numpy_that_is_not_answered_is_known():
    answered = {*NUMPY, *numpy_protocol.PLAIN}
    open_ = set()
    for home in (np, np.linalg, np.fft):
        for name in dir(home):
            with warnings.catch_warnings(action="ignore"):
                function = getattr(home, name)
            dispatched = isinstance(function, np.ufunc) or hasattr(function, "_implementation")
            if (
                not name.startswith("_")
                and dispatched
                and not isinstance(function, type | types.ModuleType)
                and function not in answered
            ):
                open_.add(name)
    dates_and_bits = {"busday_count", "busday_offset", "datetime_as_string", "is_busday", "isnat", "packbits", "unpackbits"}
    assert sorted(open_ - set(numpy_protocol.WAY) - dates_and_bits) == []


def test_positions_of_operands_are_numpys():
    """What is given by position in NumPy's order must arrive under the name that it has in ours."""
    wrong = []
    for theirs, ours in NUMPY.items():
        operands, names = numpy_protocol._parameters(ours)
        signature = numpy_protocol._signature(theirs)
        if operands is not None and signature is not None:
            by_position = [p.name for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY][operands:]
            ours_in_order = [p for p in inspect.signature(ours).parameters if p in names]
            common = [name for name in by_position if name in names]
            if common != [name for name in ours_in_order if name in common]:
                wrong.append(f"{theirs}: {by_position} and {ours_in_order}")
    assert wrong == []
