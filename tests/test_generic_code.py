"""Code that was written for NumPy and SciPy, differentiated as it stands."""

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, (7, 2))
Y = np.sin(X[:, 0]) + X[:, 1] ** 2


def rbf(a, b, length, scale):
    squared = np.sum((a[:, None, :] - b[None, :, :]) ** 2 / length**2, axis=-1)
    return scale**2 * np.exp(-0.5 * squared)


def gaussian_process_log_likelihood(length, scale, noise, x, y):
    kernel = rbf(x, x, length, scale) + noise**2 * np.eye(len(x))
    lower = np.linalg.cholesky(kernel)
    alpha = np.linalg.solve(lower.T, np.linalg.solve(lower, y))
    return -0.5 * np.dot(y, alpha) - np.sum(np.log(np.diag(lower))) - 0.5 * len(x) * np.log(2 * np.pi)


def test_a_gaussian_process():
    point = (np.array([1.0, 1.5]), np.array(1.2), np.array(0.3))
    tensors = [tg.Tensor(p) for p in point]
    plain = gaussian_process_log_likelihood(*point, X, Y)
    assert gaussian_process_log_likelihood(*tensors, X, Y).item() == pytest.approx(plain, rel=1e-12)
    report = tg.testing.assert_gradients(lambda *p: gaussian_process_log_likelihood(*p, X, Y), *point, order=2)
    assert min(report.largest) > 1
    tg.testing.assert_gradients(lambda x: gaussian_process_log_likelihood(*point, x, Y), X, order=1)


def test_minimising_it_with_scipy():
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")

    def loss(log_parameters):
        p = np.exp(log_parameters)
        return -gaussian_process_log_likelihood(p[:2], p[2], p[3], X, Y)

    def value_and_gradient(v):
        value, gradient = tg.value_and_grad(loss)(v)
        return value.item(), gradient.numpy()

    start = np.log([1.0, 1.0, 1.0, 0.5])
    found = optimize.minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=[(-3, 3)] * 4)
    assert found.fun < value_and_gradient(start)[0] - 1
    by_difference = optimize.minimize(lambda v: value_and_gradient(v)[0], start, method="L-BFGS-B", bounds=[(-3, 3)] * 4)
    assert found.fun == pytest.approx(by_difference.fun, rel=1e-3)
    rosen = lambda v: np.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)
    directly = optimize.minimize(tg.value_and_grad(rosen), [-1.0, 2.0, 0.5], jac=True)  # no conversion at all
    np.testing.assert_allclose(directly.x, 1, atol=1e-4)
    assert optimize.check_grad(lambda v: float(rosen(v)), lambda v: tg.grad(rosen)(v).numpy(), [0.3, -0.7, 1.1]) < 1e-4


def spectral_loss(signal, target):
    difference = np.abs(np.fft.rfft(signal)) - np.abs(np.fft.rfft(target))
    return np.mean(difference**2)


def test_a_spectral_loss():
    signal, target = RNG.normal(size=9), RNG.normal(size=9)
    assert spectral_loss(tg.Tensor(signal), target).item() == pytest.approx(spectral_loss(signal, target), rel=1e-12)
    tg.testing.assert_gradients(lambda s: spectral_loss(s, target), signal, order=2, rtol=1e-5)


def attention(queries, keys, values):
    scores = np.einsum("bqhd,bkhd->bhqk", queries, keys) / np.sqrt(queries.shape[-1])
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    weights = weights / np.sum(weights, axis=-1, keepdims=True)
    return np.einsum("bhqk,bkhd->bqhd", weights, values)


def test_attention_by_einsum():
    q, k, v = (RNG.normal(size=(1, 3, 2, 2)) for _ in range(3))
    np.testing.assert_allclose(attention(*map(tg.Tensor, (q, k, v))).numpy(), attention(q, k, v), rtol=1e-12)
    tg.testing.assert_gradients(attention, q, k, v, order=2)


def test_newtons_method():
    def f(x):
        return np.sum(np.cosh(x - np.array([1.0, -2.0, 0.5]))) + 0.1 * np.prod(x)

    x = np.zeros(3)
    for _ in range(8):
        x = x - np.linalg.solve(tg.hessian(f)(x).numpy(), tg.grad(f)(x).numpy())
    assert np.abs(tg.grad(f)(x).numpy()).max() < 1e-12


def test_logistic_regression_written_for_numpy():
    def loss(parameters, x, labels):
        z = x @ parameters["w"] + parameters["b"]
        return np.mean(np.logaddexp(0, z) - labels * z) + 0.01 * np.linalg.norm(parameters["w"]) ** 2

    labels = (X[:, 0] > 0).astype(float)
    parameters = {"w": np.zeros(2), "b": np.array(0.0)}
    for _ in range(200):
        gradient = tg.grad(loss)(parameters, X, labels)
        parameters = {name: p - 0.5 * gradient[name].numpy() for name, p in parameters.items()}
    assert np.mean((X @ parameters["w"] + parameters["b"] > 0) == labels) == 1


def test_functions_of_functions_of_numpy():
    """Ufunc methods, statistics and selections in one formula, in both libraries."""

    def f(x):
        gram = np.multiply.outer(x, x) + np.add.outer(x, x)
        running = np.add.accumulate(x) * np.multiply.reduce(np.abs(x) + 1)
        chosen = np.where(x > 0, np.log1p(np.abs(x)), np.expm1(x))
        return np.sum(gram) + np.std(running) + np.median(chosen) + np.linalg.det(gram + 5 * np.eye(len(x)))

    x = np.array([0.3, -0.8, 1.1, 0.6])
    assert f(tg.Tensor(x)).item() == pytest.approx(f(x), rel=1e-12)
    tg.testing.assert_gradients(f, x, order=2)
