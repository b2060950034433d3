"""Functions that are given by an equation: fixed points and differential equations."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, ConvergenceError, DTypeError, MutationError, PrimitiveError, ShapeError

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
    tg.testing.assert_gradients(solve, a, b, order=1)
    tg.testing.assert_gradients(lambda b: solve(a, b), b, order=2)


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
    tg.testing.assert_gradients(lambda a: solve(a)["x"] * solve(a)["y"], 0.7, order=2)


def test_no_iteration_is_recorded():
    x = tg.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, tg.Tensor(2.0, requires_grad=True))
    assert len(x.graph().nodes) == 4  # x0, a, the solution's node, the solution


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
    with pytest.raises(ShapeError, match=r"fixed_point: <lambda> returned shape \(3,\) for x of shape \(2,\): x = f\(x\) needs"):
        tg.fixed_point(lambda x: tg.Tensor(np.ones(3)), np.zeros(2))
    with pytest.raises(ConvergenceError, match=r"did not converge: x became nan or infinite in iteration 1\."):
        tg.fixed_point(lambda x: x * np.nan, 1.0)
    with pytest.raises(ShapeError, match=r"fixed_point: <lambda> returned None for x, which is \(\) \(these are shapes\)"):
        tg.fixed_point(lambda x: None, 1.0)
    with pytest.raises(ShapeError, match=r"fixed_point: <lambda> returned str for x, which is \(\)"):
        tg.fixed_point(lambda x: "a", 1.0)
    with pytest.raises(DTypeError, match=r"fixed_point: x0 is of type str, which is no number: pass tensors, arrays or numbers"):
        tg.fixed_point(lambda x: x, "a")
    with pytest.raises(ArgumentError, match=r"fixed_point: x0 is \(\), and there is no number in it to start from"):
        tg.fixed_point(lambda x: x, ())
    with pytest.raises(PrimitiveError, match="fixed_point takes a function, and was given 3"):
        tg.fixed_point(3, 1.0)
    with pytest.raises(
        ConvergenceError, match=r"fixed_point: the derivative of <lambda> did not converge"
    ):  # A = 1 at the solution
        tg.grad(lambda a: tg.fixed_point(lambda x, a: x - a * x**3, 0.0, a, max_iter=50))(1.0)


def test_a_fixed_point_of_dictionaries_goes_by_key():
    x = tg.fixed_point(lambda y: {"b": 0.5 * y["a"] + 1, "a": 0.1 * y["b"]}, {"a": 0.0, "b": 0.0})
    assert x["a"].item() == pytest.approx(0.1 / 0.95)
    assert x["b"].item() == pytest.approx(1 / 0.95)


def changed(change):
    """Solutions whose function is changed before the derivative is taken."""
    k, w = np.array(0.5), tg.Tensor(0.5, requires_grad=True, name="w")
    solutions = [
        tg.fixed_point(lambda x: tg.cos(k * w * x), 1.0),
        tg.fixed_point(lambda x, k: tg.cos(k * w * x), 1.0, k),
        tg.odeint(lambda y, t: k * w * y, 1.0, [0.0, 1.0])[-1],
        tg.odeint(lambda y, t, k: k * w * y, 1.0, [0.0, 1.0], k)[-1],
    ]
    change(k, w)
    return solutions


def test_a_function_that_has_changed_since_is_noticed():
    def in_place(k, w):
        k[...] = 0.9

    def replaced(k, w):
        w.data = 0.9

    def through_the_tensor(k, w):
        with tg.no_grad():
            w += 0.4

    for solution in changed(in_place):
        with pytest.raises(
            MutationError, match=r"<lambda> is not the function that it was when the solution was found.*Call backward"
        ):
            solution.backward()
    for solution in changed(replaced):
        with pytest.raises(MutationError, match=r"'w' of shape \(\) got another array after <lambda> used it"):
            solution.backward()
    for solution in changed(through_the_tensor):
        with pytest.raises(MutationError, match=r"'w' of shape \(\) was changed in place"):
            solution.backward()
    for solution in changed(lambda k, w: None):
        solution.backward()


@pytest.mark.parametrize("number", [1, 1.0, True])
def test_a_python_number_takes_the_precision_of_the_arguments(number):
    a = tg.Tensor(2.0, requires_grad=True, dtype=np.float32)
    assert tg.fixed_point(lambda x, a: (x + a / x) / 2, number, a).dtype == np.float32
    assert tg.odeint(lambda y, t, a: a * y, number, [0.0, 1.0], a).dtype == np.float32
    assert tg.odeint(lambda y, t, a: 1j * a * y, complex(number), [0.0, 1.0], a).dtype == np.complex64
    assert tg.odeint(lambda y, t: -y, number, [0.0, 1.0]).dtype == np.float64
    assert tg.fixed_point(lambda x, a: (x + a / x) / 2, np.float64(1), a).dtype == np.float64


def test_a_real_start_of_complex_equations_is_refused():
    for y0 in (1.0, np.ones(()), tg.Tensor(1.0, requires_grad=True)):
        with pytest.raises(
            DTypeError, match=r"odeint: <lambda> returned complex numbers for y, which is real \(float64\): pass y0 as"
        ):
            tg.odeint(lambda y, t: 1j * y, y0, [0.0, 1.0])
    with pytest.raises(
        DTypeError, match=r"fixed_point: .* complex numbers for x\['b'\], which is real.*: pass x0 as complex numbers"
    ):
        tg.fixed_point(lambda x: {"a": 0.5 * x["a"], "b": 0.5 * x["b"] + 1j}, {"a": 0j, "b": 1.0})
    assert tg.fixed_point(lambda x: 0.5 * x + 1j, 0j).item() == pytest.approx(2j)


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
    assert tg.testing.assert_gradients(f, *point, order=2, rtol=1e-5, atol=1e-6).largest[1] > 0.1


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


def test_states_that_are_dictionaries_go_by_key():
    path = tg.odeint(lambda y, t: {"v": -y["x"], "x": y["v"]}, {"x": 1.0, "v": 0.0}, [0.0, 1.0])
    assert path["x"][-1].item() == pytest.approx(np.cos(1), rel=1e-6)
    assert path["v"][-1].item() == pytest.approx(-np.sin(1), rel=1e-6)
    f = lambda x: tg.odeint(lambda y, t: {"v": -y["x"], "x": y["v"]}, {"x": x, "v": 0.0}, [0.0, 1.0])["v"][-1]
    assert tg.grad(f)(1.0).item() == pytest.approx(-np.sin(1), rel=1e-6)


def test_parameters_that_are_used_at_later_times_only():
    def solution(w1, w2):
        return tg.odeint(lambda y, t: (w1 if t.item() < 0.5 else w2) * y, 1.0, [0.0, 0.5, 1.0])[-1]

    w1, w2 = (tg.Tensor(1.0, requires_grad=True) for _ in range(2))
    solution(w1, w2).backward()
    assert [w1.grad.item(), w2.grad.item()] == pytest.approx([np.e / 2, np.e / 2], rel=1e-4)
    mixed = tg.grad(lambda w2: tg.grad(lambda w1: solution(w1, w2))(1.0))(1.0)
    assert mixed.item() == pytest.approx(np.e / 4, rel=1e-4)


def test_integers_are_times_and_states_like_any_other():
    x = tg.Tensor(1.0, requires_grad=True)
    path = tg.odeint(lambda y, t: -y, x, tg.Tensor([0, 1, 2]))
    path.sum().backward()
    assert x.grad.item() == pytest.approx(1 + np.exp(-1) + np.exp(-2), rel=1e-6)
    assert tg.odeint(lambda y, t: -y, tg.Tensor([2, 1]), [0, 1])[-1].tolist() == pytest.approx([2 / np.e, 1 / np.e], rel=1e-6)


def test_an_integer_argument_is_passed_on():
    f = lambda k: tg.odeint(lambda y, t, n, k: n * k * y, np.ones(1), [0.0, 1.0], np.array([2]), k)[-1]
    assert tg.grad(lambda k: f(k).sum())(0.5).item() == pytest.approx(2 * np.e, rel=1e-6)
    assert tg.grad(tg.grad(lambda k: f(k).sum()))(0.5).item() == pytest.approx(4 * np.e, rel=1e-5)


def test_what_is_not_finite_ends_with_an_error():
    with pytest.raises(
        ConvergenceError, match=r"odeint: <lambda> is nan or infinite at t = 0.5, where the solution starts: y0 is 1"
    ):
        tg.odeint(lambda y, t: y * np.nan, 1.0, [0.5, 1.0])
    with pytest.raises(ArgumentError, match=r"t is a vector of finite times.*got \[0.0, inf\]"):
        tg.odeint(lambda y, t: -y, 1.0, [0.0, np.inf])
    with pytest.raises(ArgumentError, match=r"odeint: y0 is nan or infinite, and no solution of <lambda> starts there; got nan"):
        tg.odeint(lambda y, t: -y, np.nan, [0.0, 1.0])
    with (
        pytest.raises(ConvergenceError, match=r"odeint: <lambda>: .*It is nan or infinite near t = 0\.59"),
        np.errstate(all="ignore"),
    ):
        tg.odeint(lambda y, t: tg.log(y) - 1, 1.0, [0.0, 3.0])
    y = tg.odeint(lambda y, t: -y, tg.Tensor(1.0, requires_grad=True), [0.0, 1.0])
    with pytest.raises(ConvergenceError, match=r"odeint: <lambda>: the gradient that arrives at the solution is nan or infinite"):
        (y * np.nan).sum().backward()
    with (
        pytest.raises(ConvergenceError, match=r"odeint: the adjoint equation of <lambda> is nan or infinite"),
        np.errstate(all="ignore"),
    ):
        tg.grad(lambda y0: tg.odeint(lambda y, t: tg.sqrt(y), y0, [0.0, 1.0])[-1])(0.0)


def test_odeint_messages():
    with pytest.raises(ArgumentError, match=r"t is a vector of finite times, rising or falling; got \[0.0, 1.0, 0.5\]"):
        tg.odeint(lambda y, t: y, 1.0, [0.0, 1.0, 0.5])
    with pytest.raises(ShapeError, match=r"odeint: <lambda> returned shape \(3,\) for y of shape \(2,\)"):
        tg.odeint(lambda y, t: tg.Tensor(np.ones(3)), np.ones(2), [0.0, 1.0])
    with pytest.raises(ConvergenceError, match=r"odeint: <lambda>: .*grow without bound"), np.errstate(all="ignore"):
        tg.odeint(lambda y, t: y * y, 1.0, [0.0, 2.0])
    assert tg.odeint(lambda y, t: y, 3.0, [0.0]).tolist() == [3]
    with pytest.raises(
        ShapeError, match=r"odeint: <lambda> returned shape \(3,\) for y\[0\] of shape \(2,\): dy/dt = f\(y, t\) needs"
    ):
        tg.odeint(lambda y, t: (y[1], y[0]), (np.ones(2), np.zeros(3)), [0.0, 1.0])
    with pytest.raises(ShapeError, match=r"odeint: <lambda> returned None for y, which is \(\)"):
        tg.odeint(lambda y, t: None, 1.0, [0.0, 1.0])
    with pytest.raises(ShapeError, match=r"odeint: <lambda> returned \[\(\), \(\)\] for y, which is {'a': \(\), 'b': \(\)}"):
        tg.odeint(lambda y, t: [y["a"], y["b"]], {"a": 1.0, "b": 2.0}, [0.0, 1.0])
    with pytest.raises(ArgumentError, match=r"odeint: y0 is None, and there is no number in it"):
        tg.odeint(lambda y, t: y, None, [0.0, 1.0])
    with pytest.raises(PrimitiveError, match="odeint takes a function, and was given None"):
        tg.odeint(None, 1.0, [0.0, 1.0])
