"""Probability distributions: SciPy's numbers, derivatives by everything that is differentiated, and what lies outside."""

import numpy as np
import pytest
import scipy.stats

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, ShapeError

RNG = np.random.default_rng(0)
X = np.array([[0.3], [1.7]])
UNIT = np.array([0.2, 0.7])
FACTOR = np.array([[1.0, 0.0], [0.4, 0.8]])
SHIFTED = (np.array([-0.4, 0.2]), np.array(1.3))  # loc and scale; with broadcasting

# Of each distribution the functions, and arguments inside of where it lives.
CASES = {
    "norm": ("logpdf pdf cdf logcdf sf logsf", (X, *SHIFTED)),
    "t": ("logpdf pdf", (X, np.array(3.5), *SHIFTED)),
    "gamma": ("logpdf pdf", (X, np.array(2.5), *SHIFTED)),
    "chi2": ("logpdf pdf", (X, np.array(3.0), *SHIFTED)),
    "beta": ("logpdf pdf", (UNIT, np.array(1.5), np.array([[2.5], [0.7]]), np.array(-0.1), np.array(1.2))),
    "multivariate_normal": ("logpdf pdf", (RNG.normal(size=(3, 2)), RNG.normal(size=2), FACTOR @ FACTOR.T)),
}
# Distribution functions of which a parameter is fixed.
FIXED = {
    "t": ("cdf logcdf sf", 3.5, (X, *SHIFTED)),
    "gamma": ("cdf sf", 2.5, (X, *SHIFTED)),
    "chi2": ("cdf sf", 3.0, (X, *SHIFTED)),
}


@pytest.mark.parametrize(("name", "function"), [(name, f) for name, (functions, _) in CASES.items() for f in functions.split()])
def test_numbers_are_scipys_and_everything_is_differentiated(name, function):
    ours, theirs = getattr(getattr(tg.stats, name), function), getattr(getattr(scipy.stats, name), function)
    point = CASES[name][1]
    expected = theirs(*point)
    np.testing.assert_allclose(ours(*point), expected, rtol=1e-12)
    np.testing.assert_allclose(ours(*map(tg.Tensor, point)).numpy(), expected, rtol=1e-12)
    single = ours(*[tg.Tensor(p, dtype=np.float32) for p in point])
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-4)
    symmetric = (lambda f: lambda x, m, c: f(x, m, (c + c.T) / 2)) if name == "multivariate_normal" else lambda f: f
    report = tg.testing.assert_gradients(symmetric(ours), *point, order=2)
    assert min(report.largest) > 1e-3


@pytest.mark.parametrize(("name", "function"), [(name, f) for name, (functions, *_) in FIXED.items() for f in functions.split()])
def test_distribution_functions_are_differentiated_by_place_and_size(name, function):
    ours, theirs = getattr(getattr(tg.stats, name), function), getattr(getattr(scipy.stats, name), function)
    _, parameter, (x, *rest) = FIXED[name]
    np.testing.assert_allclose(ours(x, parameter, *rest), theirs(x, parameter, *rest), rtol=1e-12)
    tg.testing.assert_gradients(lambda x, *rest: ours(x, parameter, *rest), x, *rest, order=2)
    with pytest.raises(DTypeError, match="its derivative with respect to (a|df) is not implemented"):
        ours(x, tg.Tensor(parameter, requires_grad=True), *rest)


def test_the_beta_distribution_is_differentiated_by_its_place():
    for function in ("cdf", "sf"):
        ours, theirs = getattr(tg.stats.beta, function), getattr(scipy.stats.beta, function)
        np.testing.assert_allclose(ours(UNIT, 2.0, 0.7, -0.1, 1.2), theirs(UNIT, 2.0, 0.7, -0.1, 1.2), rtol=1e-12)
        tg.testing.assert_gradients(lambda x, loc, f=ours: f(x, 2.0, 0.7, loc, 1.2), UNIT, np.array(-0.1), order=2)


def test_counts():
    k, mu = np.array([[0], [2], [5]]), np.array([0.7, 3.0])
    for function in ("logpmf", "pmf", "cdf"):
        ours, theirs = getattr(tg.stats.poisson, function), getattr(scipy.stats.poisson, function)
        np.testing.assert_allclose(ours(k, mu), theirs(k, mu), rtol=1e-12)
        np.testing.assert_allclose(ours(k, mu, 2), theirs(k, mu, 2), rtol=1e-12)
        tg.testing.assert_gradients(lambda mu, f=ours: f(k, mu), mu, order=2)
        assert ours(tg.Tensor(k), tg.Tensor(mu, dtype=np.float32)).dtype == np.float32
    np.testing.assert_array_equal(tg.stats.poisson.pmf([-1.0, 1.5], 2.0), [0, 0])


def test_shares():
    alpha, x = np.array([0.7, 2.0, 1.5]), np.array([[0.2, 0.5], [0.5, 0.1], [0.3, 0.4]])
    for function in ("logpdf", "pdf"):
        ours, theirs = getattr(tg.stats.dirichlet, function), getattr(scipy.stats.dirichlet, function)
        np.testing.assert_allclose(ours(x, alpha), theirs(x, alpha), rtol=1e-12)
        np.testing.assert_allclose(ours(x[:, 0], alpha), theirs(x[:, 0], alpha), rtol=1e-12)
        tg.testing.assert_gradients(ours, x, alpha, order=2)
    with pytest.raises(ShapeError, match=r"dirichlet: alpha is a vector of length k.*got shapes \(3,\) and \(2, 3\)"):
        tg.stats.dirichlet.logpdf(x.T, alpha)


def test_outside_the_density_is_zero_and_no_gradient_is_nan():
    for distribution, parameters, x in (
        ("gamma", (2.5,), [-1.0, 1.0]),
        ("chi2", (3.0,), [-1.0, 2.0]),
        ("beta", (2.0, 3.0), [-0.5, 0.5]),
        ("beta", (2.0, 3.0), [1.5, 0.5]),
    ):
        module, at = getattr(tg.stats, distribution), np.array(x)
        assert module.logpdf(at, *parameters)[0] == -np.inf
        assert module.pdf(at, *parameters)[0] == 0
        np.testing.assert_array_equal(module.cdf(at, *parameters)[0], float(at[0] > 1))
        for function in (module.pdf, module.cdf):
            slope = tg.grad(lambda x, f=function, p=parameters: np.sum(f(x, *p)))(at).numpy()
            assert slope[0] == 0 < abs(slope[1]) < 10, distribution
    np.testing.assert_array_equal(tg.stats.poisson.cdf(-1, 2.0), 0)


def test_the_ends_of_a_distribution():
    np.testing.assert_allclose(tg.stats.norm.logcdf(-40.0), scipy.stats.norm.logcdf(-40))
    np.testing.assert_allclose(tg.stats.norm.logsf(np.float64(40)), scipy.stats.norm.logsf(40))
    np.testing.assert_allclose(tg.stats.norm.ppf([0.1, 0.5], 1.0, 2.0), scipy.stats.norm.ppf([0.1, 0.5], 1, 2))
    np.testing.assert_allclose(tg.stats.t.sf(50.0, 9.0), scipy.stats.t.sf(50, 9), rtol=1e-10)
    np.testing.assert_allclose(tg.stats.gamma.sf(300.0, 2.0), scipy.stats.gamma.sf(300, 2), rtol=1e-10)


def test_a_normal_distribution_of_vectors():
    cov = FACTOR @ FACTOR.T
    np.testing.assert_allclose(
        tg.stats.multivariate_normal.entropy([0, 0], cov), scipy.stats.multivariate_normal.entropy([0, 0], cov)
    )
    tg.testing.assert_gradients(lambda c: tg.stats.multivariate_normal.entropy(0, (c + c.T) / 2), cov, order=2)
    with pytest.raises(ShapeError, match=r"x and mean have n components.*got shapes \(3,\), \(2,\) and \(2, 2\)"):
        tg.stats.multivariate_normal.logpdf(np.ones(3), np.zeros(2), cov)


def test_the_maximum_of_a_likelihood_is_found():
    data = scipy.stats.t.rvs(4, loc=1.5, scale=0.7, size=500, random_state=1)
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")

    def loss(p):
        return -np.mean(tg.stats.t.logpdf(data, np.exp(p[0]), p[1], np.exp(p[2])))

    found = optimize.minimize(tg.value_and_grad(loss), np.zeros(3), jac=True)
    df, loc, scale = scipy.stats.t.fit(data)
    np.testing.assert_allclose([np.exp(found.x[0]), found.x[1], np.exp(found.x[2])], [df, loc, scale], rtol=1e-2)
