"""Incomplete gamma and beta functions, and the reciprocal of the gamma function: ends, poles and distributions."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError


def derivative(f, x, order=1):
    """The derivative of f at each element of x."""
    for _ in range(order):
        f = tg.grad(lambda x, f=f: tg.sum(f(x)))
    return f(np.asarray(x, float)).numpy()


def test_distribution_functions_have_densities_as_derivatives():
    x = np.array([0.2, 1.0, 3.5])
    for distribution, cdf in (
        (scipy.stats.gamma(2.5), lambda x: tg.gammainc(2.5, x)),
        (scipy.stats.chi2(3), lambda x: tg.gammainc(1.5, x / 2)),
        (scipy.stats.beta(2, 0.5), lambda x: tg.betainc(2, 0.5, x)),
        (scipy.stats.t(4), lambda x: 1 - tg.betainc(2, 0.5, 4 / (4 + x**2)) / 2),
    ):
        at = x / 4 if distribution.dist.name == "beta" else x
        np.testing.assert_allclose(cdf(at), distribution.cdf(at), rtol=1e-12, err_msg=distribution.dist.name)
        np.testing.assert_allclose(derivative(cdf, at), distribution.pdf(at), rtol=1e-12, err_msg=distribution.dist.name)


def test_the_ends_of_the_integrals():
    np.testing.assert_array_equal(derivative(lambda x: tg.gammainc(1, x), [0.0, np.inf]), [1, 0])
    np.testing.assert_array_equal(derivative(lambda x: tg.gammainc(3, x), [0.0]), [0])
    np.testing.assert_array_equal(derivative(lambda x: tg.betainc(1, 2, x), [0.0, 1.0]), [2, 0])
    with pytest.warns(RuntimeWarning, match="infinite"):
        assert derivative(lambda x: tg.gammainc(0.5, x), [0.0]).tolist() == [np.inf]
    small = derivative(lambda x: tg.gammaincc(2, x) / scipy.special.gammaincc(2, 600.0), [600.0])
    np.testing.assert_allclose(small, [-600 / 601], rtol=1e-10)  # the number itself is 1e-258


def test_a_parameter_has_no_derivative():
    a = tg.Tensor(1.5, requires_grad=True)
    for f, name in (
        (lambda: tg.gammainc(a, 1.0), "a"),
        (lambda: tg.betainc(1.0, a, 0.5), "b"),
        (lambda: tg.betaincc(a, 1.0, 0.5), "a"),
    ):
        with pytest.raises(DTypeError, match=rf"its derivative with respect to {name} is not implemented.*{name}\.detach"):
            f()


def test_one_over_gamma_is_smooth_at_its_zeros():
    np.testing.assert_allclose(derivative(tg.rgamma, [0.0, -1.0, -2.0, -3.0]), [1, -1, 2, -6], rtol=1e-12)
    np.testing.assert_allclose(derivative(tg.rgamma, [0.0], order=2), [2 * np.euler_gamma], rtol=1e-12)
    np.testing.assert_allclose(derivative(tg.rgamma, [1.0]), [np.euler_gamma], rtol=1e-12)
    np.testing.assert_array_equal(derivative(tg.rgamma, [1000.0]), [0])
    x = np.array([0.5, -0.5, -1.5])
    np.testing.assert_allclose(tg.gammasgn(x) * np.exp(tg.gammaln(x)) * tg.rgamma(x), 1, rtol=1e-12)
    assert not tg.gammasgn(tg.Tensor(x, requires_grad=True)).requires_grad


def test_the_gamma_function_of_matrices():
    np.testing.assert_allclose(tg.multigammaln(np.array([3.0]), 3), scipy.special.multigammaln(3.0, 3))
    assert tg.multigammaln(tg.Tensor([2.0], dtype=np.float32), 2).dtype == np.float32
    for d in (0, 1.5):
        with pytest.raises(ArgumentError, match="multigammaln: d is the size of a matrix, so it is an integer from 1 on"):
            tg.multigammaln(3.0, d)
    with pytest.raises(ArgumentError, match=r"it exists for a > \(d − 1\) / 2 = 1\.0, and the smallest a is 0\.5"):
        tg.multigammaln([3.0, 0.5], 3)


def test_bessel_functions_of_the_second_kind():
    x = np.array([0.5, 2.0, 20.0])
    np.testing.assert_allclose(x * (tg.j1(x) * tg.y0(x) - tg.j0(x) * tg.y1(x)) * math.pi / 2, 1, rtol=1e-12)  # Wronski
    for f, theirs in ((tg.y1, scipy.special.yvp), (tg.k1, scipy.special.kvp)):
        for order in (1, 2, 3):
            np.testing.assert_allclose(derivative(f, x, order), theirs(1, x, order), rtol=1e-10)
