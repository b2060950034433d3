"""Reductions and functions along an axis: zeros, norms, ties, extremes, NumPy's spellings, and the words of errors."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError

NAN, INF = math.nan, math.inf


def gradient(f, x):
    return tg.grad(lambda v: f(v).sum())(np.asarray(x, float)).numpy()


def hessian(f, x):
    """The second derivatives of the result's sum, row by row."""
    x = np.asarray(x, float)
    rows = [tg.grad(lambda v, e=e: (tg.grad(lambda u: f(u).sum())(v) * e).sum())(x) for e in np.eye(x.size).reshape(-1, *x.shape)]
    return np.array([row.numpy().ravel() for row in rows])


# --------------------------------------------------------------------------------------------------- products with zeros


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([0, 2, 3], [6, 0, 0]),
        ([2, 0, 3, 5], [0, 30, 0, 0]),
        ([0, 0, 3], [0, 0, 0]),
        ([7], [1]),
        ([0], [1]),
        ([], []),
        ([[2, 0], [3, 4]], [[0, 24], [0, 0]]),
    ],
)
def test_the_gradient_of_a_product_is_the_product_of_the_others(x, expected):
    np.testing.assert_array_equal(gradient(tg.prod, x), expected)


def test_second_derivatives_of_a_product_with_zeros_are_products_of_the_rest():
    np.testing.assert_array_equal(hessian(tg.prod, [0, 2, 3]), [[0, 3, 2], [3, 0, 0], [2, 0, 0]])
    np.testing.assert_array_equal(hessian(tg.prod, [0, 0, 3]), [[0, 3, 0], [3, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(hessian(tg.prod, [0, 0, 0, 5]), np.zeros((4, 4)))


@pytest.mark.parametrize("zeros", [[], [0], [3], [0, 1], [1, 4], [0, 2, 4], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("f", [tg.prod, tg.cumprod, tg.nanprod, lambda x: tg.prod(x.reshape(5, 1), axis=(1, 0))])
def test_products_with_zeros_agree_with_numerical_derivatives_to_order_3(f, zeros):
    x = np.array([1.5, -2.0, 0.5, 3.0, -1.0])
    x[zeros] = 0
    tg.testing.assert_gradients(f, x, order=3)


def test_a_long_product_costs_no_square():
    x = np.full(100_000, 1.0)
    x[[0, -1]] = 0
    assert not gradient(tg.prod, x).any()
    x[0] = 1
    assert gradient(tg.prod, x).tolist() == [0] * 99_999 + [1]
    assert gradient(tg.cumprod, x)[-1] == 1


def test_the_products_of_integers_and_booleans_are_numpys():
    for x in (np.array([3, 4]), np.array([True, False]), np.array([2, 3], np.uint8), np.array([2, 3], np.float16)):
        for ours, theirs in (
            (tg.prod, np.prod),
            (tg.cumprod, np.cumprod),
            (tg.cumsum, np.cumsum),
            (tg.sum, np.sum),
            (tg.mean, np.mean),
        ):
            assert ours(tg.Tensor(x)).dtype == theirs(x).dtype
            np.testing.assert_array_equal(ours(tg.Tensor(x)).numpy(), theirs(x))


# ------------------------------------------------------------------------------------------------------------------ norms


@pytest.mark.parametrize("f", [tg.norm, tg.vector_norm, lambda x: tg.vector_norm(x, ord=3), lambda x: tg.vector_norm(x, ord=1.5)])
def test_a_norm_at_zero_has_the_gradient_zero_to_order_2(f):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradient(f, [0.0, 0.0]).tolist() == [0, 0]
        assert gradient(lambda x: tg.where(f(x) > 0, f(x), 0), [0.0, 0.0]).tolist() == [0, 0]
        assert hessian(f, [0.0, 0.0]).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("order", [1, 2, 3, 0.5, -1, INF, -INF])
def test_an_element_that_is_zero_leaves_every_norm_differentiable(order):
    g = gradient(lambda x: tg.vector_norm(x, ord=order), [2.0, 0.0, -3.0])
    assert np.isfinite(g).all()
    assert g[1] == 0


def test_the_complex_gradient_of_a_norm_points_outwards():
    z = tg.Tensor([3 + 4j, 0], requires_grad=True)
    tg.norm(z).backward()
    np.testing.assert_allclose(z.grad.numpy(), [0.6 + 0.8j, 0])
    z = tg.Tensor([3 + 4j, 0], requires_grad=True)
    tg.vector_norm(z, ord=1).backward()
    np.testing.assert_allclose(z.grad.numpy(), [0.6 + 0.8j, 0])


def test_norms_of_integers_and_of_float16():
    assert tg.norm([3, 4]) == 5.0
    y = tg.norm(tg.Tensor(np.full(4, 300.0), dtype=np.float16))
    assert y.dtype == np.float16
    assert y.item() == 600
    x = tg.Tensor(np.array([3.0, 4.0]), requires_grad=True, dtype=np.float16)
    tg.vector_norm(x, ord=3).backward()
    assert x.grad.dtype == np.float16


def test_norm_says_what_it_does_not_take():
    with pytest.raises(ShapeError, match="a norm of vectors or matrices, and a has 3 axes"):
        tg.norm(np.ones((2, 2, 2)), 2)
    with pytest.raises(ShapeError, match="axis is an integer or a pair"):
        tg.norm(np.ones((2, 2, 2)), axis=(0, 1, 2))
    with pytest.raises(ArgumentError, match="ord is a number, got 'fro'"):
        tg.norm(tg.Tensor([1.0]), "fro")


# ------------------------------------------------------------------------------------------------------------------ ties


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (tg.max, [1, 3, 3], [0, 0.5, 0.5]),
        (tg.ptp, [2, 2], [0, 0]),
        (tg.median, [1, 2, 2, 9], [0, 0.5, 0.5, 0]),
        (tg.median, [5, 5, 5], [1 / 3, 1 / 3, 1 / 3]),
        (tg.median, [1, 2, 3, 4], [0, 0.5, 0.5, 0]),
        (lambda x: tg.quantile(x, 0.0), [1, 1, 4], [0.5, 0.5, 0]),
        (lambda x: tg.quantile(x, 1.0), [1, 4, 4], [0, 0.5, 0.5]),
        (lambda x: tg.quantile(x, 0.25), [1, 2, 2], [0.5, 0.25, 0.25]),
        (lambda x: tg.quantile(x, 0.3, method="lower"), [3, 1, 2], [0, 1, 0]),
        (lambda x: tg.quantile(x, 0.3, method="higher"), [3, 1, 2], [0, 0, 1]),
        (lambda x: tg.quantile(x, 0.3, method="nearest"), [3, 1, 2], [0, 0, 1]),
        (lambda x: tg.quantile(x, 0.3, method="midpoint"), [3, 1, 2], [0, 0.5, 0.5]),
        (tg.cummax, [2, 1, 2, 2, 3], [1 + 1 + 1 / 2 + 1 / 3, 0, 1 / 2 + 1 / 3, 1 / 3, 1]),
        (tg.cummin, [[1, 1], [1, 0]], [[1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3], [1 / 3, 1]]),
        (tg.std, [4, 4, 4], [0, 0, 0]),
        (lambda x: tg.std(x, axis=1), [[4, 4], [0, 2]], [[0, 0], [-0.5, 0.5]]),
    ],
)
def test_ties_share_and_flat_points_are_zero(f, x, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(gradient(f, x), expected)


def test_the_standard_deviation_of_equal_numbers_differentiates_twice():
    assert not hessian(tg.std, [2.0, 2.0, 2.0]).any()
    assert tg.std(tg.Tensor([2.0])).item() == 0


# ------------------------------------------------------------------------------------------------------- along an axis


def test_cumulative_functions_of_nothing_and_of_one():
    for f in (tg.cumsum, tg.cumprod, tg.cummax, tg.cummin, tg.logcumsumexp):
        x = tg.Tensor(np.zeros((2, 0)), requires_grad=True)
        y = f(x, axis=1)
        assert y.shape == (2, 0)
        y.sum().backward()
        assert x.grad.shape == (2, 0)
        assert gradient(f, [3.0]).tolist() == [1]
    assert np.cumsum(tg.Tensor(5.0), axis=0).tolist() == [5]


def test_logcumsumexp_neither_overflows_nor_forgets():
    x = np.array([-INF, -INF, 1000.0, 1000.0, -1000.0])
    assert tg.logcumsumexp(x).tolist() == [-INF, -INF, 1000, 1000 + math.log(2), 1000 + math.log(2)]
    np.testing.assert_allclose(gradient(tg.logcumsumexp, [1000.0, 1000.0, -1000.0]), [2, 1, 0], atol=1e-13)
    assert gradient(lambda v: tg.logcumsumexp(v)[2:], x)[:2].tolist() == [0, 0]


def test_cumulative_extrema_keep_a_nan():
    np.testing.assert_array_equal(tg.cummax([1.0, NAN, 2.0]), [1, NAN, NAN])
    np.testing.assert_array_equal(gradient(tg.cummax, [1.0, NAN, 2.0])[0], 1)
    np.testing.assert_array_equal(np.maximum.accumulate(tg.Tensor([[2.0, 3.0], [1.0, 4.0]])).numpy(), [[2, 3], [2, 4]])


def test_cumulative_sum_names_its_axis():
    with pytest.raises(ShapeError, match="cumulative_sum: a has 2 axes; say along which"):
        tg.cumulative_sum(np.ones((2, 2)))


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("spacing", [(), (0.5,), (2, 0.5), ([0, 1, 3], [0.0, 0.5, 2, 3])])
def test_gradient_is_numpys_along_every_axis(spacing, edge_order):
    x = np.random.default_rng(0).standard_normal((3, 4))
    ours = tg.gradient(tg.Tensor(x), *spacing, edge_order=edge_order)
    assert isinstance(ours, tuple)
    for a, b, c in zip(
        ours,
        np.gradient(x, *spacing, edge_order=edge_order),
        np.gradient(tg.Tensor(x), *spacing, edge_order=edge_order),
        strict=True,
    ):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-12)
        np.testing.assert_array_equal(a.numpy(), c.numpy())
    one = tg.gradient(x, *spacing[:1], axis=0, edge_order=edge_order)
    np.testing.assert_allclose(one, np.gradient(x, *spacing[:1], axis=0, edge_order=edge_order), rtol=1e-12)
    assert tg.gradient(np.array([1, 4, 9], np.int8)).tolist() == [3, 4, 5]


def test_gradient_says_what_does_not_fit():
    with pytest.raises(ShapeError, match="1 values along an axis, and edge_order=1 needs 2 or more"):
        tg.gradient(tg.Tensor([1.0]))
    with pytest.raises(ArgumentError, match="edge_order is 1 or 2"):
        tg.gradient(tg.Tensor([1.0, 2.0]), edge_order=3)
    with pytest.raises(ArgumentError, match="3 spacings for 2 axes"):
        tg.gradient(np.ones((2, 2)), 1, 2, 3)
    with pytest.raises(ShapeError, match=r"coordinates of shape \(3,\) for axis 0 of an array of shape \(2,\)"):
        tg.gradient(np.ones(2), np.arange(3))


def test_differences_join_what_is_prepended():
    x = np.array([[1.0, 4.0], [9.0, 16.0]])
    for options in ({"prepend": 0}, {"append": x[:, :1]}, {"prepend": x[:1], "append": 7.0, "axis": 0, "n": 2}):
        np.testing.assert_array_equal(tg.diff(tg.Tensor(x), **options).numpy(), np.diff(x, **options))
    with pytest.raises(ArgumentError, match="n ≥ 0 times"):
        tg.diff(tg.Tensor([1.0]), n=-1)


def test_interpolation_beyond_and_at_the_points():
    xp, fp = [0.0, 1.0, 3.0], [1.0, 5.0, 1.0]
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, INF, -INF, NAN])
    np.testing.assert_array_equal(tg.interp(x, xp, fp), np.interp(x, xp, fp))
    np.testing.assert_array_equal(tg.interp(x, xp, fp, left=-7.0, right=9.0), np.interp(x, xp, fp, left=-7.0, right=9.0))
    np.testing.assert_array_equal(gradient(lambda v: tg.interp(v, xp, fp), x[:-1]), [0, 4, 4, -2, -2, -2, 0, 0, 0])
    ends = tg.Tensor(fp, requires_grad=True)
    tg.interp(x[:7], xp, ends).sum().backward()
    assert ends.grad.tolist() == [2.5, 0.5 + 1 + 0.5, 0.5 + 2]
    assert tg.interp(tg.Tensor(3.0), [1.0], [2.0]).item() == 2
    np.testing.assert_allclose(
        tg.interp([370.0, -30], [350, 10, 190], [1.0, 2, 4], period=360),
        np.interp([370.0, -30], [350, 10, 190], [1.0, 2, 4], period=360),
    )


def test_interpolation_wants_points_in_order():
    with pytest.raises(ArgumentError, match="xp must rise: sort the points"):
        tg.interp(0.5, [1.0, 0.0], [0.0, 1.0])
    with pytest.raises(ShapeError, match=r"vectors of one length.* got \(2,\) and \(3,\)"):
        tg.interp(0.5, [0.0, 1.0], [0.0, 1.0, 2.0])
    with pytest.raises(ArgumentError, match="period is a number other than 0"):
        tg.interp(0.5, [0.0, 1.0], [0.0, 1.0], period=0)


# -------------------------------------------------------------------------------------------------------- NumPy's spellings


def test_numpys_functions_are_recorded_and_their_rare_arguments_refused_by_name():
    x = tg.Tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    for y in (
        *(np.multiply.reduce(x), np.linalg.vector_norm(x, ord=1), np.linalg.trace(x), np.percentile(x, 40), np.fmax.reduce(x)),
        *(
            np.std(x, mean=None),
            np.average(x, 1, [1, 2]),
            np.cumulative_prod(x, axis=1),
            np.trapezoid(x, dx=2.0),
            np.ediff1d(x, to_end=1.0),
        ),
        *(
            np.median(x, axis=0, overwrite_input=False),
            np.prod(x, axis=0, dtype=np.float32),
            np.add.accumulate(x),
            np.gradient(x, axis=0),
        ),
    ):
        assert isinstance(y, tg.Tensor)
        assert y.requires_grad
    assert np.multiply.reduce(x).tolist() == [3, 10]
    with pytest.raises(DTypeError, match="tg.var has no mean"):
        np.var(x, mean=np.array(2.75))
    with pytest.raises(DTypeError, match=r"there is no where= for it: tg\.nanmean"):
        np.mean(x, where=np.array([True, False]))
    with pytest.raises(DTypeError, match="tg.quantile has no weights"):
        np.quantile(x, 0.5, method="inverted_cdf", weights=np.ones((2, 2)))
