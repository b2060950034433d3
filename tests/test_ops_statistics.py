"""Quantiles, NaNs, averages and covariances: places between elements, what is left out, weights, and the words of errors."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError

NAN, INF = math.nan, math.inf


def gradient(f, x):
    return tg.grad(lambda v: f(v).sum())(np.asarray(x, float)).numpy()


# -------------------------------------------------------------------------------------------------------------- quantiles


METHODS = [
    *("linear", "lower", "higher", "nearest", "midpoint", "hazen", "weibull", "median_unbiased", "normal_unbiased"),
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_quantiles_at_every_place_are_numpys(method, n):
    x = np.random.default_rng(n).permutation(n).astype(float) ** 2
    q = np.append(np.linspace(0, 1, 21), [1 / 3, 0.999])
    np.testing.assert_allclose(tg.quantile(x, q, method=method), np.quantile(x, q, method=method), rtol=1e-12, atol=1e-13)
    x[0] = NAN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one element, none is left
        theirs = np.nanquantile(x, q, method=method)
        np.testing.assert_allclose(tg.nanquantile(x, q, method=method), theirs, rtol=1e-12, atol=1e-13)


def test_the_axes_of_q_come_first_as_numpys():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    for axis in (None, 1, (0, 2), (-1, 1), (2, 0, 1)):
        for q in (0.3, [0.1, 0.5, 0.9], [[0.1], [0.2]]):
            for keepdims in (False, True):
                y = tg.quantile(x, q, axis=axis, keepdims=keepdims)
                expected = np.quantile(x, q, axis=axis, keepdims=keepdims)
                assert np.shape(y) == expected.shape
                np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_no_quantiles_at_all():
    x = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    y = tg.quantile(x, [], axis=1)
    assert y.shape == (0, 1)
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0]]


def test_a_nan_makes_the_quantiles_of_its_row_nan_and_no_other():
    x = tg.Tensor([[1.0, NAN, 3.0], [1.0, 2.0, 4.0]], requires_grad=True)
    y = tg.median(x, axis=1)
    np.testing.assert_array_equal(y.numpy(), [NAN, 2])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(tg.quantile(x, [0.0, 1.0], axis=1).numpy(), [[NAN, 1], [NAN, 4]])
    assert np.isnan(tg.median(x).item())


def test_infinities_are_elements_as_others():
    assert tg.median(tg.Tensor([1.0, INF, INF, INF])).item() == INF
    assert tg.median(tg.Tensor([-INF, 2.0, INF])).item() == 2
    assert tg.quantile(tg.Tensor([1.0, 2.0, INF]), 0.5, method="lower").item() == 2


def test_what_quantiles_do_not_take():
    x = tg.Tensor([1.0, 2.0])
    with pytest.raises(ArgumentError, match=r"quantile: q is a fraction, between 0 and 1 .* got 30"):
        tg.quantile(x, 30)
    with pytest.raises(ArgumentError, match="percentile: q is a fraction"):
        tg.percentile(x, 101)
    with pytest.raises(ArgumentError, match="q is a fraction"):
        tg.quantile(x, NAN)
    with pytest.raises(ArgumentError, match="unknown method 'cubic'; there are linear, "):
        tg.quantile(x, 0.5, method="cubic")
    with pytest.raises(ShapeError, match="median of no elements"):
        tg.median(tg.Tensor(np.zeros((0, 2))), axis=0)
    with pytest.raises(DTypeError, match="an order of complex numbers"):
        tg.median(tg.Tensor([1j, 2.0]))


def test_quantiles_of_integers_are_floats_unless_they_are_chosen():
    x = tg.Tensor([1, 2, 4])
    assert tg.quantile(x, 0.5).dtype == np.float64
    assert tg.quantile(x, 0.5, method="higher").dtype == np.int64
    assert tg.median(x).dtype == np.float64


# ------------------------------------------------------------------------------------------------------------------- NaNs


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (tg.nansum, [1, 0, 1, 1]),
        (tg.nanprod, [6, 0, 3, 2]),
        (tg.nanmean, [1 / 3, 0, 1 / 3, 1 / 3]),
        (tg.nanmax, [0, 0, 0, 1]),
        (tg.nanmin, [1, 0, 0, 0]),
        (tg.nanmedian, [0, 0, 1, 0]),
        (tg.nanvar, [-2 / 3, 0, 0, 2 / 3]),
        (tg.nancumsum, [4, 0, 2, 1]),
        (tg.nancumprod, [1 + 1 + 2 + 6, 0, 1 + 3, 2]),
    ],
)
def test_a_nan_has_no_influence_and_no_gradient(f, expected):
    np.testing.assert_allclose(gradient(f, [1.0, NAN, 2.0, 3.0]), expected)


@pytest.mark.parametrize(
    "f", [tg.nanmean, tg.nanmax, tg.nanmin, tg.nanmedian, tg.nanvar, lambda x, axis: tg.nanquantile(x, 0.3, axis)]
)
def test_a_slice_of_nans_is_nan_with_a_warning_and_spoils_no_other(f):
    x = tg.Tensor([[NAN, NAN], [1.0, 3.0]], requires_grad=True)
    with pytest.warns(RuntimeWarning):
        y = f(x, axis=1)
    assert np.isnan(y.data).tolist() == [True, False]
    y[1].backward()
    assert np.isfinite(x.grad.data[1]).all()
    assert x.grad.data[1].any()


def test_nansum_and_nanprod_of_nothing():
    assert tg.nansum(tg.Tensor([NAN])).item() == 0
    assert tg.nanprod(tg.Tensor([NAN])).item() == 1
    assert tg.nansum(tg.Tensor([1, 2])).dtype == np.int64
    assert tg.nanmean(tg.Tensor([1, 2])).item() == 1.5


def test_minus_infinity_beside_a_nan_is_still_the_maximum():
    assert gradient(tg.nanmax, [NAN, -INF]).tolist() == [0, 1]


def test_too_few_numbers_for_a_variance():
    for f in (tg.var, tg.std):
        with (
            pytest.warns(RuntimeWarning, match="of 1 elements with ddof=1: no degree of freedom is left"),
            np.errstate(all="ignore"),
        ):
            assert np.isnan(f([2.0], ddof=1))
    with pytest.warns(RuntimeWarning, match="nanstd: a slice holds no more than 1 numbers"):
        assert np.isnan(tg.nanstd([2.0, NAN], ddof=1))


# --------------------------------------------------------------------------------------------------------------- averages


def test_weights_are_differentiated_and_can_be_returned():
    a, w = tg.Tensor([[1.0, 2.0], [3.0, 8.0]], requires_grad=True), tg.Tensor([1.0, 3.0], requires_grad=True)
    y, total = tg.average(a, axis=1, weights=w, returned=True)
    assert y.tolist() == [1.75, 6.75]
    assert total.tolist() == [4, 4]
    y.sum().backward()
    assert a.grad.tolist() == [[0.25, 0.75], [0.25, 0.75]]
    assert w.grad.tolist() == [(1 - 1.75 + 3 - 6.75) / 4, (2 - 1.75 + 8 - 6.75) / 4]
    y, total = tg.average(a, returned=True)
    assert (y.item(), total.item()) == (3.5, 4)


def test_weights_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"weights of shape \(2,\) for an array of \(3, 2\).*say along which axis"):
        tg.average(np.ones((3, 2)), weights=[1, 2])
    with pytest.raises(ShapeError, match=r"weights of shape \(2,\) .* is \(3, 2\) or, for axis=0, \(3,\)"):
        tg.average(np.ones((3, 2)), axis=0, weights=[1, 2])
    with pytest.raises(ArgumentError, match="the weights sum to 0"):
        tg.average(tg.Tensor([1.0, 2.0]), weights=[1, -1])


def test_covariances_with_weights_are_numpys():
    rng = np.random.default_rng(0)
    x, more, a, f = rng.standard_normal((3, 5)), rng.standard_normal((2, 5)), rng.uniform(0.5, 2, 5), np.array([1, 3, 0, 2, 1])
    for options in ({}, {"y": more}, {"fweights": f}, {"aweights": a}, {"aweights": a, "fweights": f}, {"bias": True}, {"ddof": 2}):
        for extra in ({}, {"aweights": a, "ddof": 0}):
            np.testing.assert_allclose(
                tg.cov(tg.Tensor(x), **{**options, **extra}).numpy(), np.cov(x, **{**options, **extra}), rtol=1e-12
            )
    np.testing.assert_allclose(tg.corrcoef(x.T, rowvar=False), np.corrcoef(x))
    assert tg.corrcoef(tg.Tensor([1.0, 2.0])).item() == 1
    with pytest.raises(ShapeError, match="a vector or a matrix"):
        tg.cov(np.ones((2, 2, 2)))
