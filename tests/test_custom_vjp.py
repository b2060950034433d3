"""`custom_vjp`: derivatives that the user writes, on structures, by name and on methods, and what is refused."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, GraphError, PrimitiveError, RuleError


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
    tg.testing.assert_gradients(f, [0.3, -1.0], order=2)
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
    f.defvjp(lambda x: (x * 2, None), lambda r, g: ("a",))
    with pytest.raises(
        RuleError, match=r"gradient of <lambda> for argument 0 is of type str: return a tensor, an array or a number"
    ):
        f(x).backward()
    for complex_part in (1 + 2j, np.array(1 + 2j), tg.Tensor(1 + 2j)):
        f.defvjp(lambda x: (x * 2, None), lambda r, g, part=complex_part: (part,))
        with pytest.raises(DTypeError, match=r"argument 0 is complex, and the argument is real \(float64\): return its real part"):
            f(x).backward()
    with pytest.raises(PrimitiveError, match="custom_vjp takes a function, and was given 3"):
        tg.custom_vjp(3)
    with pytest.raises(PrimitiveError, match="checkpoint takes a function, and was given 'f'"):
        tg.checkpoint("f")
    with pytest.raises(PrimitiveError, match="defvjp of <lambda> takes a function, and was given None"):
        f.defvjp(None, None)


def test_gradients_of_dictionaries_go_by_key():
    f = tg.custom_vjp(lambda p: p["a"] * 2 + p["b"] * 5)
    f.defvjp(lambda p: (f.f(p), None), lambda r, g: ({"b": g * 5, "a": g * 2},))
    assert {k: v.item() for k, v in tg.grad(f)({"a": 1.0, "b": 1.0}).items()} == {"a": 2, "b": 5}
    f.defvjp(lambda p: (f.f(p), None), lambda r, g: ({"b": g * 5, "c": g * 2},))
    with pytest.raises(RuleError, match="gradient of <lambda> for argument 0 has not the argument's structure"):
        tg.grad(f)({"a": 1.0, "b": 1.0})
    f.defvjp(lambda p: (f.f(p), None), lambda r, g: (None,))
    assert tg.grad(f)({"a": 1.0, "b": 1.0})["b"].item() == 0


def test_results_that_have_no_gradient_have_a_zero_cotangent():
    seen = []
    f = tg.custom_vjp(lambda x: (x * 2, tg.Tensor(2**60 + 1)))
    f.defvjp(lambda x: (f.f(x), None), lambda r, g: (seen.append(g[1]) or g[0] * 7,))
    y, big = f(tg.Tensor(1.0, requires_grad=True))
    assert big.item() == 2**60 + 1
    y.backward()
    assert seen[0].item() == 0


def test_custom_vjp_takes_arguments_by_name_and_their_defaults():
    f = tg.custom_vjp(lambda x, y=2.0: x * y)
    f.defvjp(lambda x, y: (x * y, (x, y)), lambda r, g: (g * r[1] * 10, None))
    assert tg.grad(lambda x: f(y=3.0, x=x))(1.0).item() == 30
    assert tg.grad(lambda x: f(x))(1.0).item() == 20
    with pytest.raises(TypeError, match=r"<lambda>\(\): missing a required argument: 'x'"):
        f(y=3.0)
    g = tg.custom_vjp(lambda x, *, k: x * k)
    g.defvjp(lambda x: (x, None), lambda r, g: (g,))
    with pytest.raises(TypeError, match="custom_vjp: <lambda> takes k by name only, and fwd takes arguments by position"):
        g(tg.Tensor(1.0, requires_grad=True), k=2)


def test_custom_vjp_decorates_a_method():
    class Scale:
        k = 3.0

        @tg.custom_vjp
        def times(self, x):
            return x * self.k

        times.defvjp(lambda self, x: (x * self.k, None), lambda r, g: (None, g * 7))

    assert Scale().times(tg.Tensor(2.0)).item() == 6
    assert tg.grad(Scale().times)(1.0).item() == 7
    assert isinstance(Scale.times, tg.custom_vjp)


def test_nondiff_argnums_count_from_the_end_too():
    f = tg.custom_vjp(lambda x, n: x * n, nondiff_argnums=(-1,))
    f.defvjp(lambda x, n: (x * n, None), lambda n, r, g: (g * n * 10,))
    assert tg.grad(lambda x: f(x, 4.0))(1.0).item() == 40
    assert tg.grad(tg.grad(lambda x: f(x, np.array(4.0)) ** 2))(1.0).item() == 2 * 40 * 40 / 1
    with pytest.raises(GraphError, match=r"argument 1 of <lambda> is in nondiff_argnums and requires grad.*pass it.detach\(\)"):
        f(tg.Tensor(1.0, requires_grad=True), tg.Tensor(1.0, requires_grad=True))
    g = tg.custom_vjp(lambda x: x, nondiff_argnums=(1,))
    g.defvjp(lambda x: (x, None), lambda n, r, g: (g,))
    with pytest.raises(ArgumentError, match=r"nondiff_argnums of <lambda> are \(1,\), and it has 1 arguments"):
        g(tg.Tensor(1.0, requires_grad=True))
