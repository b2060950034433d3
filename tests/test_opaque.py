"""Calls that are one node: checkpoint and custom_vjp."""

import gc
import threading
import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import graph
from tinygrad_edu.errors import GraphError, MutationError

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
    tg.testing.assert_gradients(tg.checkpoint(block), x, W, order=2)


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


def test_a_checkpoint_that_uses_other_tensors_the_second_time_is_found():
    class Layer:
        w = tg.Tensor(2.0, requires_grad=True)

    layer, x = Layer(), tg.Tensor(3.0, requires_grad=True)
    y = tg.checkpoint(lambda x: x * layer.w)(x)
    layer.w = tg.Tensor(2.0, requires_grad=True)
    with pytest.raises(GraphError, match=r"checkpoint: <lambda> used other tensors.*was replaced.*Replace it after backward"):
        y.backward()
    shapes = iter([2, 3])
    y = tg.checkpoint(lambda x: x * np.ones(next(shapes)))(x)
    with pytest.raises(GraphError, match=r"has changed: checkpoint: <lambda> returned shape \(3,\) for its result of shape \(2,\)"):
        y.sum().backward()
    names = iter("ab")
    y = tg.checkpoint(lambda x: {next(names): x})(x)["a"]
    with pytest.raises(
        GraphError, match=r"has changed: checkpoint: <lambda> returned {'b': \(\)} for its result, which is {'a': \(\)}"
    ):
        y.backward()


def test_a_parameter_that_got_another_array_is_found():
    w = tg.Tensor(1.0, requires_grad=True, name="w")
    y = tg.checkpoint(lambda: w * w)()  # the value at -1 is the same, and the derivative is not
    w.data = -1.0
    with pytest.raises(
        MutationError, match=r"'w' of shape \(\) got another array after <lambda> used it.*call backward\(\) before"
    ):
        y.backward()
    w.data = 1.0  # the same numbers in another array do no harm
    y.backward()
    assert w.grad.item() == 2
    y = tg.checkpoint(lambda: w * w)()
    with tg.no_grad():
        w -= 2.0
    with pytest.raises(MutationError, match=r"'w' of shape \(\) was changed in place after <lambda>"):
        y.backward()


def test_what_has_no_gradient_goes_around_the_packing():
    x = tg.Tensor(1.0, requires_grad=True)
    y, big, flag, none, constant = tg.checkpoint(lambda x: (x * 2, tg.Tensor(2**60 + 1), x > 0, None, np.ones(2, np.float32)))(x)
    assert (big.item(), big.dtype, flag.item(), none) == (2**60 + 1, np.int64, True, None)
    assert constant.dtype == np.float32
    y.backward()
    assert x.grad.item() == 2


@pytest.mark.parametrize("nothing", [None, (), {"a": None}, []])
def test_a_checkpoint_without_tensors_in_its_result_is_the_function(nothing):
    assert tg.checkpoint(lambda x: nothing)(tg.Tensor(1.0, requires_grad=True)) == nothing


# ------------------------------------------------------------------------------------------------------------- the node


def product():
    f = tg.custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (x * y, (x, y)), lambda r, g: (g * r[1], g * r[0]))
    return f


@pytest.mark.parametrize("f", [product(), tg.checkpoint(lambda x, y: x * y)], ids=["custom_vjp", "checkpoint"])
@pytest.mark.parametrize("other", [tg.Tensor(3.0), tg.Tensor(3.0, requires_grad=True)], ids=["constant", "not wanted"])
def test_a_pullback_can_be_used_twice_with_one_cotangent(f, other):
    def twice(v):
        pull = tg.vjp(lambda x: f(x, other), 2.0)[1]
        return pull(v)[0] + pull(v)[0]

    assert tg.grad(twice)(1.0).item() == 6


def test_opaque_nodes_make_no_reference_cycles():
    f, g = product(), tg.checkpoint(lambda x, y: tg.sin(x) * y)
    b = tg.Tensor(1.0, requires_grad=True)
    programs = [
        lambda: tg.grad(lambda x: f(x, tg.Tensor(2.0)) ** 2)(1.0),
        lambda: tg.jvp(lambda x: f(x, tg.Tensor(2.0)) ** 2, (1.0,), (1.0,)),
        lambda: tg.grad(lambda x: g(x, b) ** 2)(tg.Tensor(1.0, requires_grad=True)),
        lambda: tg.grad(lambda b: tg.grad(lambda x: g(x, b) ** 2)(1.0) ** 2)(2.0),
        lambda: tg.grad(tg.grad(lambda a: tg.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)))(2.0),
    ]
    for program in programs:
        program()
        gc.collect()
        gc.disable()
        try:
            program()
            assert gc.collect() == 0
        finally:
            gc.enable()


def test_threads_can_share_a_pullback():
    f = tg.checkpoint(lambda x, w: x * w)
    x = np.arange(1.0, 3.0)
    pull = tg.vjp(lambda x, w: f(x, w), x, 10 * x)[1]
    wrong = []

    def work(k):
        for _ in range(200):
            a, b = pull(np.full(2, float(k)))
            if not (np.array_equal(a.data, k * 10 * x) and np.array_equal(b.data, k * x)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def custom_with_residuals():
    f = tg.custom_vjp(lambda x, m: x * m)
    f.defvjp(lambda x, m: (x * m, {"big": x * 3, "n": 2}), lambda r, g: (g * r["big"] / 3, None))
    return f


@pytest.mark.parametrize(
    "f",
    [
        tg.checkpoint(lambda x, m: x * m),
        custom_with_residuals(),
        lambda x, m: tg.fixed_point(lambda z, x, m: 0.5 * z + x * m, np.zeros(20_000), x, m),
        lambda x, m: tg.odeint(lambda y, t, m: -y * m, x, [0.0, 0.01], m, rtol=1e-3, atol=1e-3)[-1],
    ],
    ids=["checkpoint", "custom_vjp", "fixed_point", "odeint"],
)
def test_a_released_node_holds_no_array(f):
    def run():
        loss = f(x * 1.0, np.full(20_000, 2.0)).sum()
        loss.backward()
        x.grad = None
        gc.collect()  # SciPy's solvers are cycles
        return loss

    x = tg.Tensor(np.ones(20_000), requires_grad=True)
    run()  # imports, and what is made once
    tracemalloc.start()
    try:
        loss = run()
        assert tracemalloc.get_traced_memory()[0] < 20_000 * 8
    finally:
        tracemalloc.stop()
    assert np.isfinite(loss.item())


def test_a_derivative_runs_with_the_floating_point_settings_of_the_caller():
    seen = []

    def f(x):
        seen.append(np.geterr()["invalid"])
        return tg.where(x > 0, tg.log(x), 0.0).sum()

    g = tg.custom_vjp(lambda x: x * 1.0)
    g.defvjp(
        lambda x: (x * 1.0, None), lambda r, g: (seen.append(np.geterr()["invalid"]) or g * np.array([0.0, 1.0]) / [0.0, 1.0],)
    )
    with np.errstate(all="ignore"):
        assert tg.grad(tg.checkpoint(f))([-1.0, 2.0]).tolist() == [0, 0.5]
        np.testing.assert_array_equal(tg.grad(lambda x: g(x).sum())(np.ones(2)), [np.nan, 1])
    assert seen == ["ignore"] * 3  # once forward, once backward; and the backward function once


def test_a_picture_shows_the_operands_and_their_values():
    w = tg.Tensor(2.0, requires_grad=True, name="w")
    x = tg.Tensor(3.0, requires_grad=True, name="x")
    y = tg.checkpoint(lambda x, m: x * w * m)((x * w), np.array(5.0))
    values = lambda: [node.value for node in (y * 1.0).graph(show=("value",)).nodes if node.kind == "tensor"]
    assert values() == [3, 2, 6, 5, 60, 1, 60]
    y.backward()
    assert values() == [3, 2, 6, None, None, 1, 60]  # the array is gone, and with it what was computed from it; but not the result


def test_guard_watches_the_arrays_among_the_arguments():
    x, m = tg.Tensor(3.0, requires_grad=True), np.array(0.0)
    with tg.guard():
        y = tg.checkpoint(lambda x, m: x * m)(x, m) + product()(x, m)
    m[...] = 6.0
    with pytest.raises(MutationError, match="an array that <lambda> saved for backward has changed since"):
        y.backward()


def test_anomalies_tell_what_is_known_of_the_operands():
    v = tg.Tensor([7.0, 8.0], requires_grad=True) * 2  # captured: the node does not know its array, and says nothing of it
    x = tg.Tensor(3.0, requires_grad=True)
    f = tg.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x * 2, (x * 5, "text")), lambda r, g: (g * np.nan,))
    recorded = lambda: tg.fixed_point(lambda z, x: 0.5 * z + x * v, np.zeros(2), x)
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        seen = []
        with graph.mode(on_record=lambda node, y, arrays: seen.append([np.shape(a) for a in arrays])):
            recorded()
        assert [(2,), ()] in seen
        with pytest.raises(tg.errors.AnomalyError, match=r"computed from \[6, 6\] \(\), \[3, 3\] \(\), \[15, 15\] \(\); result"):
            f(x).backward()


def test_many_calls_share_one_primitive():
    f, x = product(), tg.Tensor(1.0, requires_grad=True)
    assert f(x, x)._node.op is f(x, x)._node.op
