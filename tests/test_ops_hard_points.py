"""Rules at fixed points where the drawn ones of the property tests never lie: infinite, nan, huge, tiny, and many."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.ops import indexing, loss
from tinygrad_edu.ops.error_function import _ratio

inf, nan = math.inf, math.nan


def gradients(f, *values, dtype=float):
    tensors = [tg.Tensor(value, requires_grad=True, dtype=dtype) for value in values]
    y = f(*tensors)
    y.backward(np.ones(y.shape))
    return [tensor.grad.numpy() for tensor in tensors]


def nth(f, x, n):
    """The n-th derivative of a function of one number."""
    for _ in range(n):
        f = tg.grad(f)
    return float(f(np.array(x)))


def check(f, x, expected, **tolerance):
    np.testing.assert_allclose(gradients(f, x)[0], expected, **tolerance)


# ---------------------------------------------------------------------------------------------------- logarithms of sums


@pytest.mark.parametrize(("dtype", "value"), [("f2", 1000), ("f4", 1e4), ("f4", 1e8), ("f8", 1e17), ("f8", -1e17)])
def test_shares_of_large_numbers_add_up_to_1(dtype, value):
    pairs = [value, value]
    assert gradients(tg.logsumexp, pairs, dtype=dtype)[0].tolist() == [0.5, 0.5]
    assert gradients(tg.logcumsumexp, pairs, dtype=dtype)[0].tolist() == [1.5, 0.5]
    for f in (tg.logaddexp, tg.logaddexp2):
        assert [part.tolist() for part in gradients(f, [value], [value], dtype=dtype)] == [[0.5], [0.5]]
    thirds = gradients(lambda x: tg.logcumsumexp(x)[-1], [value] * 3, dtype=dtype)[0]
    np.testing.assert_allclose(thirds, 1 / 3, rtol=1e-3)


def test_shares_of_infinite_numbers():
    shares = gradients(tg.logaddexp, [inf, -inf, inf, -inf], [0.0, 0.0, inf, -inf])
    assert [part.tolist() for part in shares] == [[1, 0, 0.5, 0], [0, 1, 0.5, 0]]
    for values, expected in [
        ([inf, 0.0], [1, 0]),
        ([inf, inf, 5.0], [0.5, 0.5, 0]),
        ([-inf, 0.0], [0, 1]),
        ([-inf, -inf], [0, 0]),
        ([1e308, -1e308], [1, 0]),
    ]:
        check(tg.logsumexp, values, expected)
        check(lambda x: tg.logcumsumexp(x)[-1], values, expected)
    check(tg.logcumsumexp, [-inf, 0.0, inf, 1.0], [0, 1, 2, 0])
    assert np.isnan(gradients(tg.logsumexp, [nan, 1.0])[0]).all()


def test_shares_of_a_wide_range_are_quiet():
    big = np.finfo(np.float16).max
    for f in (tg.softmax, tg.log_softmax, tg.logsumexp, lambda x: tg.logaddexp(x[:1], x[1:])):
        gradients(f, [big, -big], dtype=np.float16)


def test_the_second_derivatives_of_logarithms_of_sums():
    a = np.array([[1e9, 1e9 + 1.0, 1e9 - 2.0]])
    for f in (lambda x: tg.logsumexp(x), lambda x: tg.logcumsumexp(x, axis=1)[0, -1]):
        np.testing.assert_allclose(tg.hessian(f)(a).numpy(), tg.hessian(tg.logsumexp)(a - 1e9).numpy(), atol=1e-12)


def test_the_cross_entropy_is_differentiated_by_uneven_distributions():
    rng = np.random.default_rng(0)
    for reduction in ("mean", "sum", "none"):
        loss_of = lambda z, u, how=reduction: tg.softmax_cross_entropy(z, tg.softmax(u), how)
        tg.testing.assert_gradients(loss_of, rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), order=2)


# ------------------------------------------------------------------------------------------------------- special functions


def test_derivatives_of_bessel_functions_at_0():
    pytest.importorskip("scipy")
    assert [nth(tg.i1, 0.0, n) for n in range(1, 6)] == pytest.approx([1 / 2, 0, 3 / 8, 0, 5 / 16])
    assert [nth(tg.i0, 0.0, n) for n in range(1, 7)] == pytest.approx([0, 1 / 2, 0, 3 / 8, 0, 5 / 16])
    assert nth(tg.i1, 5e-324, 3) == pytest.approx(3 / 8)


@pytest.mark.parametrize("x", [39.0, 41.0, 1e3, 1e6, 1e10, 1e17, 1e100])
def test_scaled_bessel_functions_far_out(x):
    """With c = ν² − ¼ they are (1 − c / 2x + …) / √(2πx), of which the terms here are enough beyond 1000."""
    special = pytest.importorskip("scipy.special")
    size = 1 / math.sqrt(2 * math.pi * x)
    for sign in (1, -1):
        found = [nth(f, sign * x, n) / size for f, n in [(tg.i0e, 1), (tg.i0e, 2), (tg.i1e, 1), (tg.i1e, 2)]]
        series = [-sign * (0.5 + 3 / 16 / x) / x, 0.75 / x**2, -(0.5 - 9 / 16 / x) / x, sign * 0.75 / x**2]
        close = 1e-9 if x >= 1e6 else 5 / x**2 if x >= 1e3 else 0.1
        assert found[::2] == pytest.approx(series[::2], rel=close)
        assert found[1::2] == pytest.approx(series[1::2], rel=max(close, 5 / x))
    assert nth(tg.i0e, 39.9, 1) == pytest.approx(special.i1e(39.9) - special.i0e(39.9), rel=1e-12)
    assert nth(tg.i0e, 40.1, 1) == pytest.approx(special.i1e(40.1) - special.i0e(40.1), rel=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_the_curvature_of_log_ndtr_far_to_the_left(dtype, tolerance):
    pytest.importorskip("scipy")
    for x in (-7.9, -8.1, -20.0, -24.9, -25.1, -100.0, -1e3, -1e4, -1e8):
        found = float(tg.grad(tg.grad(tg.log_ndtr))(np.array(x, dtype)))
        t = np.float64(dtype(x)) ** -2
        near = float(tg.grad(tg.grad(tg.log_ndtr))(np.array(x))) if x > -25 else -1 + t * (1 - t * (6 - t * (50 - 518 * t)))
        assert found == pytest.approx(near, rel=tolerance if x > -25 or x < -50 else max(tolerance, 1e-9))  # the series is cut off
    assert nth(tg.log_ndtr, -1e3, 3) == pytest.approx(2e-9 * (1 - 12e-6), rel=1e-9)
    both = [float(tg.grad(_ratio)(np.array(x))) for x in (-25.0, np.nextafter(-25.0, -26))]  # where the formula changes
    assert both[0] == pytest.approx(both[1], rel=1e-12)


def test_a_nan_operand_gives_a_nan_derivative_to_every_order():
    pytest.importorskip("scipy")
    for f in (tg.silu, tg.mish, tg.gelu, lambda x: tg.gelu(x, "tanh"), tg.hardswish):
        assert np.isnan(nth(f, nan, 1))
    for f in (tg.silu, tg.mish, tg.gelu, lambda x: tg.gelu(x, "tanh")):
        assert np.isnan(nth(f, nan, 2))
    for f in (tg.relu, tg.relu6, tg.hardtanh, lambda x: tg.clip(x, -1, 1), lambda x: tg.clip(x, tg.Tensor(0.0), 1)):
        assert nth(f, nan, 1) == 1  # as at other numbers that no bound replaced, and as in maximum
    assert np.isnan(gradients(tg.xlog1py, 2.0, nan)[0])
    assert np.isnan(gradients(tg.xlogy, 2.0, nan)[0])


def test_xlogy_and_xlog1py_at_0():
    pytest.importorskip("scipy")
    for f, edge in [(tg.xlogy, 0.0), (tg.xlog1py, -1.0)]:
        assert [part.tolist() for part in gradients(f, [0.0, 0.0], [edge, edge - 1])] == [[0, 0], [0, 0]]
        np.testing.assert_allclose(gradients(f, 0.0, edge + 2)[0], math.log(2))


def test_powers_at_the_edges():
    values = [inf, 0.0, nan, -0.0, -inf, 2.0]
    for exponent in (0, 0.0, 0j, np.array(0.0), np.array(0)):
        x = tg.Tensor(np.array(values, complex if exponent == 0j and isinstance(exponent, complex) else float), requires_grad=True)
        (x**exponent).sum().backward(1.0)
        assert (x.grad.numpy() == 0).all()
    y = tg.Tensor(np.zeros(6), requires_grad=True)
    check(lambda x: x**y, values, np.zeros(6))
    with np.errstate(all="ignore"):
        by_exponent = gradients(lambda b: tg.power(0.0, b), [0.0, 2.0, -1.0])[0]
    np.testing.assert_array_equal(by_exponent, [0, 0, -inf])
    assert nth(lambda b: tg.power(0.0, b), 3.0, 2) == 0
    mixed = tg.grad(lambda b: tg.grad(lambda a: a**b)(np.array(0.0)))
    assert float(mixed(np.array(0.0))) == 0


def test_the_angle_of_tiny_real_numbers():
    for dtype, tiny in [(np.float64, 5e-324), (np.float32, 1e-45), (np.float16, 6e-8)]:
        assert gradients(tg.angle, [tiny, -tiny, 0.0], dtype=dtype)[0].tolist() == [0, 0, 0]


def test_finite_values_come_without_a_warning():
    for dtype in (np.float16, np.float32, np.float64):
        with warnings.catch_warnings(action="error"):
            largest, smallest = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
            x = tg.Tensor([largest, -largest], requires_grad=True, dtype=dtype)
            assert tg.csch(x).tolist() == [0, 0]
            np.testing.assert_allclose(
                tg.arccot(tg.Tensor([smallest, -smallest], dtype=dtype)).data, [math.pi / 2, -math.pi / 2], 1e-3
            )
            tg.csch(x).sum().backward()
            assert (x.grad.numpy() == 0).all()
    np.testing.assert_allclose(tg.csch(np.array([1e-20, -1e-3, 3.0])), 1 / np.sinh([1e-20, -1e-3, 3.0]), rtol=1e-14)


# ---------------------------------------------------------------------------------------------------- orders and NaN


def test_infinite_numbers_beside_an_interpolated_one():
    assert [float(tg.quantile(np.array([1, inf]), q)) for q in (0, 0.5, 1)] == [1, inf, inf]
    assert float(tg.quantile(np.array([1, 2, inf]), 0.5)) == 2
    assert [float(tg.quantile(np.array([-inf, 3]), q)) for q in (0, 0.5, 1)] == [-inf, -inf, 3]
    assert float(tg.quantile(np.array([inf, inf]), 0.3)) == inf
    check(lambda x: tg.quantile(x, 0.0), [1.0, inf], [1, 0])
    check(lambda x: tg.interp([0.0, 1.0], [0.0, 1.0, 2.0], x), [3.0, 4.0, inf], [1, 1, 0])
    check(lambda x: tg.interp(x, [0.0, 1.0, 2.0], [0.0, 5.0, inf]), [0.5], [5])


def test_of_nothing_but_nan_no_element_gets_a_gradient():
    for f in (tg.nanmax, tg.nanmin):
        with warnings.catch_warnings(action="ignore"):
            check(f, [nan, nan], [0, 0])
        check(lambda x, f=f: f(x, axis=1), [[nan, 2.0, 2.0], [1.0, nan, nan]], [[0, 0.5, 0.5], [1, 0, 0]])


def test_norms_of_nothing():
    for shape, axis in [((0,), None), ((3, 0), 1), ((0, 3), 1)]:
        check(lambda x, axis=axis: tg.vector_norm(x, axis=axis, ord=inf), np.zeros(shape), np.zeros(shape))
    check(lambda x: tg.matrix_norm(x, inf), np.zeros((0, 3)), np.zeros((0, 3)))


# ---------------------------------------------------------------------------------------------------------------- float16

MANY = 70_000  # more than float16 can count


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (tg.mean, 1),
        (tg.nanmean, 1),
        (tg.var, 0),
        (tg.nanvar, 0),
        (tg.std, 0),
        (tg.nanstd, 0),
        (lambda x: tg.average(x, weights=x), 1),
        (tg.logsumexp, 1 + math.log(MANY)),
        (lambda x: tg.softmax(x).sum(), 1),
        (lambda x: tg.log_softmax(x).max(), -math.log(MANY)),
        (lambda x: tg.logcumsumexp(x)[10], 1 + math.log(11)),
        (lambda x: tg.softmax_cross_entropy(x, 0), math.log(MANY)),
        (lambda x: tg.softmax_cross_entropy(x.reshape(-1, 2), np.zeros(MANY // 2, int)), math.log(2)),
    ],
)
def test_many_numbers_of_float16(f, expected):
    x = tg.Tensor(np.ones(MANY), requires_grad=True, dtype=np.float16)
    y = f(x)
    assert y.dtype == np.float16
    assert float(y) == pytest.approx(expected, rel=5e-3)
    y.backward()
    assert x.grad.dtype == np.float16
    assert np.isfinite(x.grad.data).all()


def test_the_variance_of_large_numbers_of_float16():
    x = tg.Tensor(np.tile([200.0, -200.0], 5000), requires_grad=True, dtype=np.float16)
    for f, expected in [(tg.var, 40_000), (tg.nanvar, 40_000), (tg.std, 200), (tg.nanstd, 200)]:
        assert float(f(x)) == expected
        f(x).backward()
    assert np.isfinite(x.grad.data).all()


# ------------------------------------------------------------------------------------------------- sizes at which code changes


@pytest.mark.parametrize("classes", [31, 32, 33, 40])
def test_a_softmax_of_few_and_of_many_classes(classes):
    logits = np.random.default_rng(0).normal(size=(3, classes))
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(tg.softmax(logits), expected)
    np.testing.assert_allclose(tg.log_softmax(logits), np.log(expected))
    labels = np.arange(3)
    np.testing.assert_allclose(tg.softmax_cross_entropy(logits, labels), -np.log(expected[labels, labels]).mean())
    np.testing.assert_allclose(
        gradients(lambda z: tg.softmax_cross_entropy(z, labels), logits)[0], (expected - np.eye(3, classes)) / 3
    )
    assert loss._columns(logits).flags.c_contiguous == (classes <= 32)


@pytest.mark.parametrize("rows", [indexing.SMALL // 8, indexing.SMALL // 8 + 1])
def test_the_places_of_an_index_in_few_and_in_many_elements(rows):
    key = (np.array([[1], [rows - 1]]), np.array([7, 0]))
    assert indexing.positions((rows, 8), key).tolist() == [[15, 8], [8 * rows - 1, 8 * rows - 8]]
    x = tg.Tensor(np.zeros((rows, 8)), requires_grad=True)
    y = x.at[[1, 1], [7, 7]].set([2.0, 3.0])
    assert (y[1, 7].item(), y.sum().item()) == (3, 3)
    y.sum().backward()
    assert (x.grad[1, 7].item(), x.grad.sum().item()) == (0, 8 * rows - 1)


@pytest.mark.parametrize("size", [4, 5, 39, 40, 41])
def test_elements_that_are_read_twice_get_both_gradients_however_many_there_are(size):
    expected = np.zeros(size)
    expected[1], expected[3] = 5, 1
    check(lambda x: x[[1, 1, 3]] * np.array([2.0, 3.0, 1.0]), np.zeros(size), expected)
    two = np.zeros((size, 2))
    two[1] = 2
    check(lambda x: x[np.array([1, 1])], np.zeros((size, 2)), two)


@pytest.mark.parametrize("size", [9_999, 10_001])
def test_a_branch_that_was_not_taken_gets_no_gradient_in_few_and_in_many_elements(size):
    values = np.ones(size)
    values[7] = 0
    expected = np.full(size, 0.5)
    expected[7] = 0
    check(lambda x: tg.where(x > 0, tg.sqrt(x), 0), values, expected)
    with pytest.warns(RuntimeWarning, match=f"sqrt: its derivative is infinite or undefined at 1 of {size}"):
        assert np.isinf(gradients(tg.sqrt, values)[0][7])
