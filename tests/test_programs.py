"""Whole programs of several fields, written for NumPy, with derivatives to the second order."""

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(1)


def agrees(f, *point, order=2):
    """The program on tensors has the numbers of the program on arrays, and its derivatives are right and are not 0."""
    np.testing.assert_allclose(f(*map(tg.Tensor, point)).item(), f(*point), rtol=1e-10)
    report = tg.testing.assert_gradients(f, *point, order=order)
    assert min(report.largest) > 1e-3


def test_the_likelihood_of_a_kalman_filter():
    """Of a point with a velocity, of which noisy positions are seen."""
    seen = np.cumsum(RNG.normal(size=(4, 1)), axis=0)

    def negative_log_likelihood(noise, step):
        move, look = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[1.0, 0.0]])
        mean, cov, total = np.zeros(2), np.eye(2), 0.0
        for z in seen:
            mean, cov = move @ mean, move @ cov @ move.T + np.diag(step**2)
            surprise, spread = z - look @ mean, look @ cov @ look.T + noise**2
            gain = np.linalg.solve(spread, look @ cov).T
            total = total + 0.5 * (surprise @ np.linalg.inv(spread) @ surprise + np.linalg.slogdet(2 * np.pi * spread)[1])
            mean, cov = mean + gain @ surprise, (np.eye(2) - gain @ look) @ cov
        return total

    agrees(negative_log_likelihood, np.array(0.4), np.array([0.3, 0.7]))


def test_a_normalising_flow():
    """Linear layers and a bend that is inverted in closed form; the density changes by the determinant of each."""
    data = RNG.normal(size=(5, 3))

    def negative_log_likelihood(weights, shift):
        x, volume = data, 0.0
        for w, b in zip(weights, shift, strict=True):
            x = x @ w.T + b
            volume = volume + np.linalg.slogdet(w)[1] + np.mean(np.sum(np.log(1 + 0.5 / np.cosh(x) ** 2), axis=1))
            x = x + 0.5 * np.tanh(x)
        return 0.5 * np.mean(np.sum(x**2, axis=1)) - volume

    agrees(negative_log_likelihood, np.eye(3) + 0.3 * RNG.normal(size=(2, 3, 3)), RNG.normal(size=(2, 3)))


def log_sum_exp(x, axis):
    top = np.max(x, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=axis)) + np.squeeze(top, axis)


def test_the_forward_algorithm_of_a_hidden_markov_model():
    symbols = [0, 2, 1, 1, 0]

    def log_likelihood(start, transition, emission):
        log_a = transition - log_sum_exp(transition, 1)[:, None]
        log_b = emission - log_sum_exp(emission, 1)[:, None]
        alpha = start - log_sum_exp(start, 0) + log_b[:, symbols[0]]
        for symbol in symbols[1:]:
            alpha = log_sum_exp(alpha[:, None] + log_a, 0) + log_b[:, symbol]
        return log_sum_exp(alpha, 0)

    agrees(log_likelihood, RNG.normal(size=2), RNG.normal(size=(2, 2)), RNG.normal(size=(2, 3)))


def test_a_natural_cubic_spline():
    def area(x, y):
        h = np.diff(x)
        slope = np.diff(y) / h
        system = np.diag(2 * (h[:-1] + h[1:])) + np.diag(h[1:-1], 1) + np.diag(h[1:-1], -1)
        bend = np.pad(np.linalg.solve(system, 6 * np.diff(slope)), 1)
        return np.sum(h * (y[:-1] + y[1:]) / 2 - h**3 * (bend[:-1] + bend[1:]) / 24)

    agrees(area, np.array([0.0, 0.7, 1.2, 2.5, 3.1]), RNG.normal(size=5))


def test_a_mixture_of_gaussians():
    data = RNG.normal(size=(6, 2))

    def log_likelihood(logits, means, factors):
        lower = np.tril(factors, -1) + np.exp(np.einsum("kii->ki", factors))[..., None] * np.eye(2)
        away = np.linalg.solve(lower[:, None], (data - means[:, None])[..., None])[..., 0]
        log_density = -0.5 * np.sum(away**2, -1) - np.sum(np.einsum("kii->ki", factors), -1)[:, None] - np.log(2 * np.pi)
        return np.mean(log_sum_exp(log_density + (logits - log_sum_exp(logits, 0))[:, None], 0))

    agrees(log_likelihood, RNG.normal(size=3), RNG.normal(size=(3, 2)), 0.3 * RNG.normal(size=(3, 2, 2)))


def test_the_valley_of_rosenbrock():
    """Newton's method with the product of the Hessian and a vector, in conjugate gradients."""

    def rosenbrock(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    agrees(rosenbrock, RNG.normal(size=4))
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")
    found = optimize.minimize(
        tg.value_and_grad(rosenbrock),
        np.array([1.2, 1.0, 0.5, 2.0]),
        jac=True,
        hessp=lambda x, v: tg.hvp(rosenbrock, (x,), (v,)).numpy(),
        method="Newton-CG",
        options={"xtol": 1e-10},
    )
    np.testing.assert_allclose(found.x, 1, atol=1e-6)


def test_a_planet():
    """Where a planet is after half a year, by the velocity that it is given; the energy does not depend on the time."""

    def motion(state, t, mass):
        x, v = np.split(state, 2)
        return np.concatenate([v, -mass * x / np.sum(x**2) ** 1.5])

    def end(velocity, mass):
        return tg.odeint(motion, np.concatenate([np.array([1.0, 0.0]), velocity]), np.array([0.0, 1.0, 3.0]), mass)

    def energy(velocity, mass):
        x, v = np.split(end(velocity, mass)[-1], 2)
        return 0.5 * np.sum(v**2) - mass / np.sqrt(np.sum(x**2))

    velocity, mass = np.array([0.1, 1.0]), np.array(1.1)
    by_velocity, by_mass = tg.grad(energy, (0, 1))(velocity, mass)
    np.testing.assert_allclose(by_velocity.numpy(), velocity, atol=1e-5)
    np.testing.assert_allclose(by_mass.numpy(), -1, atol=1e-5)
    tg.testing.assert_gradients(lambda v, m: np.sum(np.sin(end(v, m))), velocity, mass, order=1, rtol=1e-4)


def test_a_hyperparameter_by_implicit_differentiation():
    """Ridge regression inside, the error on other data outside: by the fixed point of gradient descent, and in closed form."""
    x, y = RNG.normal(size=(6, 2)), RNG.normal(size=6)
    x2, y2 = RNG.normal(size=(5, 2)), RNG.normal(size=5)

    def closed(log_penalty):
        return np.linalg.solve(x.T @ x + np.exp(log_penalty) * np.eye(2), x.T @ y)

    def descended(log_penalty):
        step = lambda w, penalty: w - 0.05 * (x.T @ (x @ w - y) + np.exp(penalty) * w)
        return tg.fixed_point(step, np.zeros(2), log_penalty)

    def error(solution):
        return lambda log_penalty: np.mean((x2 @ solution(log_penalty) - y2) ** 2)

    point = np.array(0.3)
    for order in (1, 2):
        a, b = (error(closed), error(descended))
        for _ in range(order):
            a, b = tg.grad(a), tg.grad(b)
        np.testing.assert_allclose(b(point).item(), a(point).item(), rtol=1e-8)
        assert abs(a(point).item()) > 1e-4


def test_learning_a_learning_rate():
    """The derivative of a training's end by the step of its gradient descent: a gradient of gradients."""
    x, y = RNG.normal(size=(8, 2)), RNG.normal(size=8)

    def loss(w):
        return np.mean(np.logaddexp(0, -y * (x @ w)))

    def end(log_rate, momentum):
        w, velocity = tg.Tensor(np.zeros(2)), 0.0
        for _ in range(4):
            velocity = momentum * velocity - np.exp(log_rate) * tg.grad(loss)(w)
            w = w + velocity
        return loss(w)

    report = tg.testing.assert_gradients(end, np.array(-0.5), np.array(0.6), order=2)
    assert min(report.largest) > 1e-4


def test_an_eigenvalue_by_perturbation():
    """The lowest vibration of a chain of masses: its derivative by a spring is the square of the stretch of that spring."""

    def lowest(springs, masses):
        stiffness = np.diag(springs[:-1] + springs[1:]) - np.diag(springs[1:-1], 1) - np.diag(springs[1:-1], -1)
        root = 1 / np.sqrt(masses)
        return np.linalg.eigvalsh(root[:, None] * stiffness * root)[0]

    springs, masses = RNG.uniform(1, 2, 5), RNG.uniform(1, 2, 4)
    agrees(lowest, springs, masses)
    stiffness = np.diag(springs[:-1] + springs[1:]) - np.diag(springs[1:-1], 1) - np.diag(springs[1:-1], -1)
    shape = np.linalg.eigh(stiffness / np.sqrt(np.outer(masses, masses)))[1][:, 0] / np.sqrt(masses)
    np.testing.assert_allclose(tg.grad(lowest)(springs, masses).numpy(), np.diff(np.pad(shape, 1)) ** 2, rtol=1e-9)


def test_the_forces_of_lennard_jones():
    def energy(places):
        i, j = np.triu_indices(len(places), 1)
        squared = np.sum((places[i] - places[j]) ** 2, axis=-1)
        return 4 * np.sum(squared**-6 - squared**-3)

    places = np.array([[0.0, 0, 0], [1.1, 0, 0.1], [0, 1.2, 0], [0.2, 0.1, 1.1]])
    agrees(energy, places)
    force = -tg.grad(energy)(places).numpy()
    np.testing.assert_allclose(force.sum(0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cross(places, force).sum(0), 0, atol=1e-10)


def test_heat_by_implicit_steps():
    """A rod is heated; what it was in the beginning is asked of the end: the adjoint of a solver of a differential equation."""

    def misfit(start, conductivity):
        n, u = 6, start
        spread = conductivity * (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
        for _ in range(3):
            u = np.linalg.solve(np.eye(n) + 0.1 * spread, u)
        return np.sum((u - np.linspace(0, 1, n)) ** 2)

    agrees(misfit, RNG.normal(size=6), np.array(1.3))


def test_an_image_is_sharpened():
    """Deconvolution with the Fourier transform, and total variation, in the style of a paper's code."""
    blurred = RNG.normal(size=(5, 6))

    def objective(image, width):
        y, x = np.meshgrid(np.arange(5) - 2, np.arange(6) - 3, indexing="ij")
        kernel = np.exp(-(x**2 + y**2) / (2 * width**2))
        transfer = np.fft.rfft2(np.fft.ifftshift(kernel / np.sum(kernel)))
        made = np.fft.irfft2(np.fft.rfft2(image) * transfer, s=(5, 6))
        rough = np.sqrt(np.diff(image, axis=0)[:, :-1] ** 2 + np.diff(image, axis=1)[:-1] ** 2 + 1e-2)
        return np.sum((made - blurred) ** 2) + 0.1 * np.sum(rough)

    agrees(objective, RNG.normal(size=(5, 6)), np.array(0.9))


def test_the_price_of_an_option():
    """Black and Scholes with SciPy's normal distribution: the greeks are known in closed form."""
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")

    def price(spot, volatility, time, rate=0.02, strike=100.0):
        spread = volatility * np.sqrt(time)
        d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * time) / spread
        return spot * special.ndtr(d1) - strike * np.exp(-rate * time) * special.ndtr(d1 - spread)

    point = np.array(105.0), np.array(0.25), np.array(0.8)
    agrees(price, *point)
    spread = 0.25 * np.sqrt(0.8)
    d1 = (np.log(1.05) + (0.02 + 0.25**2 / 2) * 0.8) / spread
    delta, vega = tg.grad(price, (0, 1))(*point)
    gamma = tg.grad(tg.grad(price))(*point)
    density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(delta.item(), special.ndtr(d1), rtol=1e-12)
    np.testing.assert_allclose(vega.item(), 105 * density * np.sqrt(0.8), rtol=1e-12)
    np.testing.assert_allclose(gamma.item(), density / (105 * spread), rtol=1e-12)
