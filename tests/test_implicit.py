"""Functions that are given by an equation: fixed points and differential equations."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, ConvergenceError, ShapeError

# ----------------------------------------------------------------------------------------------------------- fixed points


def babylonian(a):
    return tg.fixed_point(lambda x, a: (x + a / x) / 2, np.ones_like(a.data) if isinstance(a, tg.Tensor) else 1.0, a)


def test_the_square_root_to_order_4():
    f, expected, power = babylonian, 1.0, 0.5
    for _ in range(5):
        assert f(2.0).item() == pytest.approx(expected * 2.0**power, rel=1e-8)
        f, expected, power = tg.grad(f), expected * power, power - 1


def test_a_contraction_in_several_dimensions():
    rng = np.random.default_rng(0)
    a, b = 0.15 * rng.normal(size=(4, 4)), rng.normal(size=4)
    solve = lambda a, b: tg.fixed_point(lambda x, a, b: tg.tanh(a @ x) + b, np.zeros(4), a, b, rtol=1e-14)
    tg.testing.check_gradients(solve, a, b, order=1)
    tg.testing.check_gradients(lambda b: solve(a, b), b, order=2)


def test_what_the_equation_captures_is_differentiated():
    w = tg.Tensor(0.4, requires_grad=True)
    tg.fixed_point(lambda x: tg.cos(x) * w, 0.0).backward()
    given = tg.grad(lambda w: tg.fixed_point(lambda x, w: tg.cos(x) * w, 0.0, w))(0.4)
    assert w.grad.item() == pytest.approx(given.item(), rel=1e-9)
    captured = tg.grad(tg.grad(lambda w: tg.fixed_point(lambda x: tg.cos(x) * w, 0.0)))(0.4).item()
    assert captured == pytest.approx(
        tg.grad(tg.grad(lambda w: tg.fixed_point(lambda x, w: tg.cos(x) * w, 0.0, w)))(0.4).item(), rel=1e-7
    )


def test_a_fixed_point_of_a_structure():
    solve = lambda a: tg.fixed_point(lambda s, a: {"x": tg.cos(s["y"]) * a, "y": (s["x"] + 1) / 3}, {"x": 0.0, "y": 0.0}, a)
    solution = solve(tg.Tensor(0.7))
    assert solution["x"].item() == pytest.approx(np.cos(solution["y"].item()) * 0.7)
    tg.testing.check_gradients(lambda a: solve(a)["x"] * solve(a)["y"], 0.7, order=2)


def test_no_iteration_is_recorded():
    x = tg.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, tg.Tensor(2.0, requires_grad=True))
    assert len(x.graph().nodes) == 3  # a, the solution's node, the solution


def test_float32_stays_float32():
    a = tg.Tensor(2.0, requires_grad=True, dtype=np.float32)
    x = tg.fixed_point(lambda x, a: (x + a / x) / 2, np.float32(1), a)
    assert x.dtype == np.float32
    x.backward()
    assert a.grad.dtype == np.float32
    assert a.grad.item() == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)


def test_fixed_point_messages():
    with pytest.raises(ConvergenceError, match=r"fixed_point: <lambda> did not converge in 20 iterations.*smaller than 1.*damp it"):
        tg.fixed_point(lambda x: -x + 1, 0.0, max_iter=20)
    with pytest.raises(ConvergenceError, match=r"did not converge"), np.errstate(over="ignore", invalid="ignore"):
        tg.fixed_point(lambda x: x * x + 1, 5.0)
    with pytest.raises(ShapeError, match=r"turns x of shape \(2,\) into shape \(3,\)"):
        tg.fixed_point(lambda x: tg.Tensor(np.ones(3)), np.zeros(2))


# ------------------------------------------------------------------------------------------------- differential equations

pytest.importorskip("scipy", reason="odeint takes SciPy's steps, and SciPy is not installed")


def test_exponential_growth_to_order_3():
    f = lambda k: tg.odeint(lambda y, t, k: k * y, 1.0, [0.0, 0.5, 1.0], k)[-1]
    for _ in range(4):
        assert f(0.7).item() == pytest.approx(np.exp(0.7), rel=1e-6)  # d/dk e^k = e^k at t = 1
        f = tg.grad(f)


def pendulum(state, t, k):
    return {"angle": state["speed"], "speed": -k * tg.sin(state["angle"]) + 0.1 * tg.cos(t)}


def test_a_driven_pendulum_in_everything_it_depends_on():
    def f(angle, speed, times, k):
        path = tg.odeint(pendulum, {"angle": angle, "speed": speed}, times, k, rtol=1e-10, atol=1e-10)
        return (path["angle"] ** 2).sum() + path["speed"][-1]

    point = (np.array(0.5), np.array(0.2), np.array([0.0, 0.4, 1.0]), np.array(2.0))
    assert tg.testing.check_gradients(f, *point, order=2, rtol=1e-5, atol=1e-6).largest[1] > 0.1


def test_time_may_run_backwards_and_what_is_captured_is_differentiated():
    f = lambda k: tg.odeint(lambda y, t: -k * y, [1.0, 2.0], [1.0, 0.0])[-1].sum()
    assert f(tg.Tensor(0.5)).item() == pytest.approx(3 * np.exp(0.5), rel=1e-6)
    assert tg.grad(f)(0.5).item() == pytest.approx(3 * np.exp(0.5), rel=1e-6)
    assert tg.grad(tg.grad(f))(0.5).item() == pytest.approx(3 * np.exp(0.5), rel=1e-5)


def test_rotation_in_the_complex_plane():
    f = lambda w: abs(tg.odeint(lambda y, t, w: 1j * w * y, np.array(1.0 + 0j), [0.0, 1.0], w)[-1] - 1) ** 2
    w = 0.8
    assert f(tg.Tensor(w)).item() == pytest.approx(2 - 2 * np.cos(w), rel=1e-6)
    assert tg.grad(f)(w).item() == pytest.approx(2 * np.sin(w), rel=1e-6)


def test_a_neural_differential_equation_learns():
    rng = np.random.default_rng(0)
    net = tg.nn.Sequential(tg.nn.Linear(1, 8, rng=rng), tg.nn.Sigmoid(), tg.nn.Linear(8, 1, rng=rng))
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)
    times, start = np.linspace(0, 1, 5), np.ones((1, 1), np.float32)
    target = np.exp(-times)[:, None, None]
    losses = []
    for _ in range(15):
        path = tg.odeint(lambda y, t: net(y.astype(np.float32)), start, times, rtol=1e-5, atol=1e-5)
        loss = ((path - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5


def test_odeint_messages():
    with pytest.raises(ArgumentError, match=r"t is a vector of times, rising or falling; got \[0.0, 1.0, 0.5\]"):
        tg.odeint(lambda y, t: y, 1.0, [0.0, 1.0, 0.5])
    with pytest.raises(ShapeError, match=r"odeint: <lambda> returned shape \(3,\) for y of shape \(2,\)"):
        tg.odeint(lambda y, t: tg.Tensor(np.ones(3)), np.ones(2), [0.0, 1.0])
    with pytest.raises(ConvergenceError, match=r"odeint: <lambda>: .*grow without bound"), np.errstate(all="ignore"):
        tg.odeint(lambda y, t: y * y, 1.0, [0.0, 2.0])
    assert tg.odeint(lambda y, t: y, 3.0, [0.0]).tolist() == [3]
