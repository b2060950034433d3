"""Transforms: signatures, nesting, structures, and what they say of bad input."""

import gc
import tracemalloc
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, GraphError, ShapeError


def rosenbrock(x):
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


def rosenbrock_hessian(x):
    h = np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    inner = np.zeros_like(x)
    inner[:-1] += 2 - 400 * x[1:] + 1200 * x[:-1] ** 2
    inner[1:] += 200
    return h + np.diag(inner)


POINT = np.array([0.3, -0.5, 1.2, 0.9])


def by_backward(f, x):
    v = tg.Tensor(x, requires_grad=True)
    f(v).backward(create_graph=True)
    gradient = v.grad
    rows = []
    for i in range(len(x)):
        v.grad = None
        gradient[i].backward(retain_graph=True)
        rows.append(v.grad.numpy())
    return np.array(rows)


SEVEN_WAYS = {
    "hessian": lambda f, x: tg.hessian(f)(x),
    "jacrev of grad": lambda f, x: tg.jacrev(tg.grad(f))(x),
    "jacfwd of grad": lambda f, x: tg.jacfwd(tg.grad(f))(x),
    "jacfwd of jacfwd": lambda f, x: tg.jacfwd(tg.jacfwd(f))(x),
    "grad of jvp": lambda f, x: tg.stack([tg.grad(lambda v, e=e: tg.jvp(f, (v,), (e,))[1])(x) for e in np.eye(len(x))]),
    "columns by hvp": lambda f, x: tg.stack([tg.hvp(f, (x,), (e,)) for e in np.eye(len(x))], axis=1),
    "backward of backward": by_backward,
}


@pytest.mark.parametrize("way", SEVEN_WAYS)
def test_seven_ways_to_one_hessian(way):
    np.testing.assert_allclose(SEVEN_WAYS[way](rosenbrock, POINT), rosenbrock_hessian(POINT), rtol=1e-10, atol=1e-10)


# ------------------------------------------------------------------------------------------------------------ structures


def model(parameters, x):
    hidden = tg.tanh(x @ parameters["layers"][0]["w"] + parameters["layers"][0]["b"])
    return (hidden @ parameters["layers"][1]["w"]).sum() * parameters["scale"][0]


def test_nested_arguments_get_nested_gradients():
    rng = np.random.default_rng(0)
    parameters = {
        "layers": [{"w": rng.normal(size=(3, 2)), "b": np.zeros(2)}, {"w": rng.normal(size=(2, 1)), "b": None}],
        "scale": (np.array(2.0),),
    }
    x = rng.normal(size=(4, 3))
    gradient = tg.grad(model)(parameters, x)
    assert list(gradient) == ["layers", "scale"]
    assert gradient["layers"][1]["b"] is None
    assert isinstance(gradient["scale"], tuple)
    eps = 1e-6
    for layer, name, index in [(0, "w", (1, 0)), (0, "b", (1,)), (1, "w", (0, 0))]:
        value = parameters["layers"][layer][name]
        values = []
        for step in (eps, -eps):
            value[index] += step
            values.append(model(parameters, tg.Tensor(x)).item())
            value[index] -= step
        numerical = (values[0] - values[1]) / (2 * eps)
        np.testing.assert_allclose(gradient["layers"][layer][name].data[index], numerical, rtol=1e-6, atol=1e-8)


def test_vjp_takes_and_gives_structures():
    y, pullback = tg.vjp(lambda p, w: {"a": p["x"] * w, "b": [w.sum()]}, {"x": np.array([1.0, 2.0])}, np.array([3.0, 4.0]))
    assert y["a"].tolist() == [3, 8]
    p, w = pullback({"a": [1.0, 10.0], "b": [100.0]})
    assert p["x"].tolist() == [3, 40]
    assert w.tolist() == [101, 120]
    p, w = pullback({"a": np.zeros(2), "b": [1.0]})  # a second time
    assert (p["x"].tolist(), w.tolist()) == ([0, 0], [1, 1])


def test_jvp_takes_and_gives_structures():
    y, tangent = tg.jvp(lambda p: (p["x"] ** 2, [p["y"] * p["x"]]), ({"x": 3.0, "y": 2.0},), ({"x": 1.0, "y": 10.0},))
    assert (y[0].item(), y[1][0].item()) == (9, 6)
    assert (tangent[0].item(), tangent[1][0].item()) == (6, 32)


def test_jacobians_are_nested_like_result_and_argument():
    def f(x, p):
        return {"u": x * p["s"], "v": (x.sum(),)}

    x, p = np.array([1.0, 2.0]), {"s": np.array(3.0)}
    for transform in (tg.jacrev, tg.jacfwd):
        j = transform(f, argnums=(0, 1))(x, p)
        assert j["u"][0].tolist() == [[3, 0], [0, 3]]
        assert j["u"][1]["s"].tolist() == [1, 2]
        assert j["v"][0][0].tolist() == [1, 1]
        assert j["v"][0][1]["s"].item() == 0
        single = transform(f, argnums=1)(x, p)
        assert single["u"]["s"].tolist() == [1, 2]
    assert tg.jacobian is tg.jacrev
    assert tg.jacobian(lambda x: x * 2)(np.zeros((2, 3))).shape == (2, 3, 2, 3)
    assert tg.jacfwd(lambda x: x * 2)(np.zeros((0, 3))).shape == (0, 3, 0, 3)
    assert tg.jacrev(lambda x: x * 2)(np.zeros((0, 3))).shape == (0, 3, 0, 3)


def test_has_aux_hands_on_what_is_not_differentiated():
    def f(x):
        return (x**2).sum(), {"shape": x.shape, "double": 2 * x}

    x = np.array([1.0, 2.0])
    (value, aux), gradient = tg.value_and_grad(f, has_aux=True)(x)
    assert (value.item(), gradient.tolist(), aux["shape"]) == (5, [2, 4], (2,))
    assert not aux["double"].requires_grad
    gradient, aux = tg.grad(f, has_aux=True)(x)
    assert aux["double"].tolist() == [2, 4]
    assert tg.vjp(f, x, has_aux=True)[2]["shape"] == (2,)
    assert tg.jvp(f, (x,), (x,), has_aux=True)[1].item() == 10
    assert tg.jacrev(f, has_aux=True)(x)[0].tolist() == [2, 4]
    with pytest.raises(GraphError, match=r"has_aux=True, <lambda> returns a pair"):
        tg.grad(lambda x: x, has_aux=True)(1.0)


def test_hvp_of_several_arguments():
    f = lambda x, y: (x**2 * y).sum()
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    u, v = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    along_x, along_y = tg.hvp(f, (x, y), (u, v))
    np.testing.assert_allclose(along_x, 2 * y * u + 2 * x * v)
    np.testing.assert_allclose(along_y, 2 * x * u)


def test_hvp_does_not_form_the_hessian():
    n = 2000
    x, v = np.linspace(0, 1, n), np.ones(n)
    f = lambda x: (tg.sin(x) * x[::-1]).sum()
    tg.hvp(f, (x,), (v,))
    tracemalloc.start()
    product = tg.hvp(f, (x,), (v,))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert product.shape == (n,)
    assert peak < n * n * 8 / 40


# --------------------------------------------------------------------------------------------------------------- nesting


def test_there_is_no_perturbation_confusion():
    assert tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(1.0).item() == 1
    assert tg.grad(lambda x: x * tg.jvp(lambda y: x + y, (1.0,), (1.0,))[1])(1.0).item() == 1
    assert tg.jvp(lambda x: x * tg.grad(lambda y: x + y)(1.0), (1.0,), (1.0,))[1].item() == 1
    assert tg.jvp(lambda x: x * tg.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1].item() == 1
    assert tg.grad(lambda x: x * tg.vjp(lambda y: x * y, 3.0)[1](1.0)[0])(5.0).item() == 10


@given(st.integers(0, 5), st.floats(-2, 2))
def test_grad_nests_to_any_depth(depth, x):
    f = lambda x: tg.exp(2 * x)
    for _ in range(depth):
        f = tg.grad(f)
    assert float(f(x)) == pytest.approx(2**depth * np.exp(2 * x), rel=1e-12)


@given(st.lists(st.sampled_from(["grad", "jvp", "vjp", "jacfwd", "jacrev"]), min_size=1, max_size=4))
def test_any_nesting_of_transforms_gives_the_same_derivative(kinds):
    derivatives = {
        "grad": tg.grad,
        "jvp": lambda f: lambda x: tg.jvp(f, (x,), (1.0,))[1],
        "vjp": lambda f: lambda x: tg.vjp(f, x)[1](1.0)[0],
        "jacfwd": tg.jacfwd,
        "jacrev": tg.jacrev,
    }
    f = tg.sin
    for kind in kinds:
        f = derivatives[kind](f)
    expected = [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)][len(kinds) % 4]
    assert float(f(0.7)) == pytest.approx(float(expected(0.7)), rel=1e-12)


def test_an_outer_derivative_sees_the_tangent_and_the_cotangent():
    assert tg.grad(lambda t: tg.jvp(tg.sin, (0.5,), (t,))[1])(2.0).item() == pytest.approx(np.cos(0.5))
    assert tg.grad(lambda g: tg.vjp(tg.sin, 0.5)[1](g)[0])(2.0).item() == pytest.approx(np.cos(0.5))


def test_parameters_that_a_function_uses_are_differentiated_by_an_outer_backward():
    w = tg.Tensor(3.0, requires_grad=True)
    slope = tg.grad(lambda x: w * x**2)(5.0)
    slope.backward()
    assert w.grad.item() == 10
    assert not tg.grad(lambda x: x**2)(5.0).requires_grad
    with tg.no_grad():
        assert not tg.grad(lambda x: w * x**2)(5.0).requires_grad


def test_stop_gradient():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    stopped = tg.stop_gradient({"x": x, "n": 3})
    assert not stopped["x"].requires_grad
    assert stopped["n"] == 3
    assert tg.grad(lambda x: (x * tg.stop_gradient(x)).sum())([1.0, 2.0]).tolist() == [1, 2]


def test_the_tangent_at_a_pole_is_infinite_and_not_zero():
    with pytest.warns(RuntimeWarning, match="derivative is infinite or undefined"):
        _, tangent = tg.jvp(tg.sqrt, (0.0,), (1.0,))
    assert tangent.item() == np.inf


def test_a_tangent_in_another_precision_keeps_its_history():
    x = np.float32(2)
    assert tg.grad(lambda s: tg.jvp(lambda x: x * x, (x,), (s,))[1])(1.0).item() == 4
    assert tg.grad(lambda s: tg.vjp(lambda x: x * x, x)[1](s)[0])(1.0).item() == 4
    assert tg.grad(lambda s: tg.hvp(lambda x: x**3, (x,), (s,)))(1.0).item() == 12


def test_an_outer_derivative_sees_what_stands_beside_the_value():
    assert tg.grad(lambda w: tg.grad(lambda x: (x * x, w * 3), has_aux=True)(1.0)[1])(2.0).item() == 3
    assert tg.grad(lambda w: tg.vjp(lambda x: (x * x, w * 3), 1.0, has_aux=True)[2])(2.0).item() == 3


def test_cotangents_that_cancel_hide_no_infinite_derivative():
    with pytest.warns(RuntimeWarning, match="infinite"):
        tangent = tg.jvp(lambda x: (lambda s: (s, -s))(tg.sqrt(x)), (0.0,), (1.0,))[1]
    assert (tangent[0].item(), tangent[1].item()) == (np.inf, -np.inf)
    with pytest.warns(RuntimeWarning, match="infinite"):
        tangent = tg.jvp(lambda x: (lambda z: z - tg.mean(z))(tg.sqrt(x)), (np.array([0.0, 1.0]),), (np.ones(2),))[1]
    assert not np.isfinite(tangent.data).any()


def test_the_rows_of_a_jacobian_do_not_touch_each_other():
    with tg.ieee_gradients(), pytest.warns(RuntimeWarning, match="divide by zero"):
        first, second = tg.jacrev(lambda x: (x * 2, tg.sqrt(x)))(0.0)
    assert (first.item(), second.item()) == (2, np.inf)


def test_the_result_of_the_outermost_transform_is_not_recorded():
    result = tg.grad(lambda v: tg.vjp(lambda x: x * x, 2.0)[1](v)[0])(1.0)
    assert not result.requires_grad
    assert not tg.grad(lambda a: tg.hvp(lambda y: a * y**3, (2.0,), (1.0,)))(1.0).requires_grad


def test_a_function_of_constants_has_the_gradient_zero():
    assert tg.grad(lambda x: np.array(3.0))(1.0).item() == 0
    assert tg.grad(lambda x: tg.Tensor(3.0))(1.0).item() == 0


def test_a_transformed_function_is_not_the_operation():
    assert not hasattr(tg.grad(tg.sin), "vjp")
    assert tg.grad(tg.sin).__name__ == "sin"


def test_nothing_is_left_behind():
    f = tg.value_and_grad(lambda x: (tg.exp(x) * x).sum())
    x = np.ones(100)
    for _ in range(3):
        f(x)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(50):
            f(x)
            tg.hvp(lambda x: (x**3).sum(), (x,), (x,))
        assert len(gc.get_objects()) < before + 200
    finally:
        gc.enable()


# -------------------------------------------------------------------------------------------------------------- messages


def test_messages():
    with pytest.raises(ShapeError, match=r"cotangent given to the pullback of <lambda>: its structure is .*must be the same"):
        tg.vjp(lambda x: (x, x), 1.0)[1](1.0)
    with pytest.raises(ShapeError, match=r"a part of shape \(3,\) stands for a value of shape \(2,\)"):
        tg.vjp(lambda x: x, np.ones(2))[1](np.ones(3))
    with pytest.raises(ShapeError, match=r"jvp: primals is a tuple or list with one entry for each argument"):
        tg.jvp(tg.sin, 1.0, 1.0)
    with pytest.raises(ShapeError, match=r"jvp of sin: tangents"):
        tg.jvp(tg.sin, (1.0,), (1.0, 2.0))
    with pytest.raises(ShapeError, match=r"jvp of <lambda>: tangents: None stands for a value of shape \(\)"):
        tg.jvp(lambda a, b: a * b, (2.0, 3.0), (None, 1.0))
    with pytest.raises(DTypeError, match=r"pullback of <lambda>: a part of dtype complex128 stands for a value of dtype float64"):
        tg.vjp(lambda x: x, 1.0)[1](1j)
    with pytest.raises(ShapeError, match=r"hvp: primals is a tuple or list"):
        tg.hvp(lambda x: x, 1.0, 1.0)
    with pytest.raises(ShapeError, match=r"hvp of <lambda>: tangents"):
        tg.hvp(lambda x: (x**2).sum(), (np.ones(2),), (np.ones(3),))
    with pytest.raises(DTypeError, match=r"grad: argument 0 of <lambda> has dtype int64"):
        tg.grad(lambda x: x)(1)
    with pytest.raises(TypeError, match=r"argument 2 is asked for, and it was called with 1 positional"):
        tg.grad(lambda x: x, argnums=2)(1.0)
    with pytest.raises(GraphError, match=r"vjp: <lambda> returned float where a tensor is wanted"):
        tg.vjp(lambda x: float(x.item()), 1.0)
    with pytest.raises(DTypeError, match=r"holomorphic=True"):
        tg.jacobian(lambda z: z)(1 + 1j)
    with pytest.raises(GraphError, match=r"one element.*returned a tensor of shape \(\), complex128"):
        tg.grad(lambda z: z)(1 + 1j)
    with pytest.raises(
        GraphError, match=r"real number, and <lambda> returned .*shape \(2,\).*; tg\.jacobian and tg\.vjp take any result"
    ):
        tg.grad(lambda x: x)([1.0, 2.0])
    with pytest.raises(GraphError, match=r"a complex number, and abs returned a tensor of shape \(\), float64"):
        tg.grad(abs, holomorphic=True)(1 + 1j)
    with pytest.raises(DTypeError, match=r"the derivative is a complex one, and the arguments have dtypes float64: convert them"):
        tg.grad(lambda x: x * 1j, holomorphic=True)(1.0)


def test_complex_derivatives():
    f, derivative = (lambda z, w: z**3 * np.exp(w)), (lambda z: 3 * z**2)
    z, w = 1 + 2j, 0.5 - 1j
    value, (by_z, by_w) = tg.value_and_grad(f, (0, 1), holomorphic=True)(z, w)
    np.testing.assert_allclose(value.numpy(), z**3 * np.exp(w))
    np.testing.assert_allclose(by_z.numpy(), derivative(z) * np.exp(w))
    np.testing.assert_allclose(by_w.numpy(), z**3 * np.exp(w))
    twice = tg.grad(tg.grad(f, holomorphic=True), holomorphic=True)
    np.testing.assert_allclose(twice(z, w).numpy(), 6 * z * np.exp(w))
    np.testing.assert_allclose(tg.hessian(f, holomorphic=True)(z, w).numpy(), 6 * z * np.exp(w))


def test_complex_jacobians():
    z = np.array([1 + 2j, 0.5 - 1j])
    for transform in (tg.jacrev, tg.jacfwd):
        np.testing.assert_allclose(
            transform(lambda z: z**2 * z[0], holomorphic=True)(z), [[3 * z[0] ** 2, 0], [z[1] ** 2, 2 * z[1] * z[0]]]
        )


def test_the_gradient_has_the_kind_of_the_argument():
    given = defaultdict(list, {"w": 2.0, "v": [1.0, 2.0]})
    found = tg.grad(lambda p: p["w"] * tg.sum(p["v"]))(given)
    assert isinstance(found, defaultdict)
    assert found["w"].item() == 3.0
    assert found["v"].tolist() == [2.0, 2.0]
