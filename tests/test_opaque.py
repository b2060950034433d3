"""Calls that are one node: checkpoint and custom_vjp."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GraphError, PrimitiveError, RuleError

W = np.array([[0.3, -0.2], [0.5, 0.9]])


def block(x, w=None, scale=1.0):
    for _ in range(3):
        x = tg.tanh(x @ (W if w is None else w)) * scale
    return x


def test_a_checkpoint_has_the_same_derivatives_to_every_order():
    x = np.array([[0.5, -1.0]])
    f, g = (lambda x, k=k: (k(x) ** 2).sum() for k in (block, tg.checkpoint(block)))
    np.testing.assert_array_equal(tg.grad(g)(x), tg.grad(f)(x))
    np.testing.assert_allclose(tg.hessian(g)(x), tg.hessian(f)(x), rtol=1e-12)
    h = lambda f: lambda t: f(tg.Tensor(x) * t)
    third = [tg.grad(tg.grad(tg.grad(h(k))))(0.7).item() for k in (f, g)]
    assert third[0] == pytest.approx(third[1], rel=1e-12)
    tg.testing.check_gradients(tg.checkpoint(block), x, W, order=2)


def test_parameters_that_a_checkpoint_captures_get_their_gradient():
    rng = np.random.default_rng(0)
    model = tg.nn.Sequential(tg.nn.Linear(3, 4, rng=rng), tg.nn.Sigmoid(), tg.nn.Linear(4, 2, rng=rng))
    x = tg.Tensor(rng.normal(size=(5, 3)), requires_grad=True, dtype=np.float32)
    found = []
    for call in (model, tg.checkpoint(model)):
        (call(x) ** 2).sum().backward()
        found.append([t.grad.numpy() for t in (x, *model.parameters())])
        for t in (x, *model.parameters()):
            t.grad = None
    for plain, again in zip(*found, strict=True):
        np.testing.assert_array_equal(plain, again)


def test_a_checkpoint_captures_intermediate_results_and_counts_them_once():
    f = lambda w: (lambda v: tg.checkpoint(lambda x: tg.sin(x * w) * v)(w * w))(tg.exp(w))
    g = lambda w: tg.sin(w * w * w) * tg.exp(w)
    for order in (1, 2, 3):
        f, g = tg.grad(f), tg.grad(g)
        assert f(0.6).item() == pytest.approx(g(0.6).item(), rel=1e-12), order


def test_a_checkpoint_takes_structures_options_and_complex_numbers():
    @tg.checkpoint
    def f(p, *, k, name):
        assert name == "n"
        return {"a": p["x"] * k, "b": (p["x"].sum(), p["y"].astype(np.float32))}

    def loss(p, k):
        r = f(p, k=k, name="n")
        assert r["b"][1].dtype == np.float32
        return r["a"].sum() * r["b"][0] + r["b"][1].sum()

    gradient = tg.grad(loss, (0, 1))({"x": np.array([1.0, 2.0]), "y": np.array([5.0])}, np.array(3.0))
    assert gradient[0]["x"].tolist() == [18, 18]
    assert gradient[0]["y"].tolist() == [1]
    assert gradient[1].item() == 9
    z = np.array([1 + 2j, -0.5j])
    square = lambda z: (abs(z * z) ** 2).sum()
    np.testing.assert_allclose(tg.grad(tg.checkpoint(square))(z), tg.grad(square)(z))


def test_a_checkpoint_keeps_only_its_arguments():
    def deep(x):
        for _ in range(50):
            x = tg.sin(x)
        return x

    x = tg.Tensor(np.linspace(0, 1, 20_000), requires_grad=True)

    def held(f):
        tracemalloc.start()
        y = f(x)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        y.sum().backward()
        return size

    assert held(tg.checkpoint(deep)) < held(deep) / 10


def test_a_checkpoint_outside_recording_is_the_function():
    calls = []
    f = tg.checkpoint(lambda x: calls.append(1) or x * 2)
    with tg.no_grad():
        assert f(tg.Tensor(3.0, requires_grad=True)).item() == 6
    assert f(tg.Tensor(3.0)).item() == 6
    assert not f(tg.Tensor(3.0)).requires_grad
    assert f.__name__ == "<lambda>"


def test_a_checkpoint_that_draws_random_numbers_is_found():
    rng = np.random.default_rng(0)
    x = tg.Tensor(np.ones(3), requires_grad=True)
    y = tg.checkpoint(lambda x: x * rng.normal(size=3))(x)
    with pytest.raises(GraphError, match=r"checkpoint: <lambda> gave other numbers.*draws random numbers.*pass them as arguments"):
        y.sum().backward()
    assert x.grad is None


# ------------------------------------------------------------------------------------------------------------ custom_vjp


def log1pexp():
    @tg.custom_vjp
    def f(x):
        return tg.log(1 + tg.exp(x))

    f.defvjp(lambda x: (f.f(x), x), lambda x, g: (g * (1 - 1 / (1 + tg.exp(x))),))
    return f


def test_a_custom_derivative_is_used_and_can_be_differentiated():
    f = log1pexp()
    with np.errstate(over="ignore"):
        assert tg.grad(f)(800.0).item() == 1
    tg.testing.check_gradients(f, [0.3, -1.0], order=2)
    assert f.__name__ == "f"


def test_custom_vjp_of_nested_arguments_and_results():
    @tg.custom_vjp
    def f(p, n, k):
        return {"a": p["x"] * k * n}, p["y"] * 2

    def fwd(p, n, k):
        return f.f(p, n, k), (p["x"], k)

    def bwd(residuals, g):
        x, k = residuals
        return {"x": g[0]["a"] * k * 5, "y": g[1] * 2}, None, tg.sum(g[0]["a"] * x * 5)

    f.defvjp(fwd, bwd)

    def loss(p, k):
        first, second = f(p, 5, k)
        return (first["a"] ** 2).sum() + second.sum()

    gradient = tg.grad(loss, (0, 1))({"x": np.array([1.0, 2.0]), "y": np.array([1.0])}, np.array(3.0))
    np.testing.assert_allclose(gradient[0]["x"], [450, 900])
    assert gradient[0]["y"].tolist() == [2]
    np.testing.assert_allclose(gradient[1], 750)


def test_nondiff_argnums_come_first():
    f = tg.custom_vjp(lambda how, x: how(x), nondiff_argnums=(0,))
    f.defvjp(lambda how, x: (how(x), x), lambda how, x, g: (g * 7,))
    assert tg.grad(lambda x: f(tg.sin, x))(1.0).item() == 7


def test_custom_vjp_messages():
    x = tg.Tensor(2.0, requires_grad=True)
    f = tg.custom_vjp(lambda x: x * 2)
    assert f(tg.Tensor(1.0)).item() == 2
    with pytest.raises(PrimitiveError, match=r"custom_vjp: <lambda> has no derivative yet"):
        f(x)
    f.defvjp(lambda x: x * 2, lambda r, g: (g,))
    with pytest.raises(PrimitiveError, match=r"returns a pair \(result, residuals\)"):
        f(x)
    f.defvjp(lambda x: (x * 2, None), lambda r, g: g)
    with pytest.raises(RuleError, match=r"returns a tuple with one gradient for each of its 1 arguments, and it returned Tensor"):
        f(x).backward()
    f.defvjp(lambda x: (x * 2, None), lambda r, g: (g * np.ones(3),))
    with pytest.raises(RuleError, match=r"gradient of <lambda> for argument 0 has shape \(3,\), and the argument \(\)"):
        f(x).backward()
    f.defvjp(lambda y: (x * y, None), lambda r, g: (g,))
    with pytest.raises(GraphError, match=r"uses a tensor that requires grad without being given it.*pass it as an argument"):
        f(x)
