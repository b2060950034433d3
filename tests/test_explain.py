"""Why a gradient is None, zero or nan: every reason, with the place or the operation."""

import inspect
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.cuts import MOST_ENDS
from tinygrad_edu.errors import DTypeError


def leaf(*values, name="x"):
    return tg.Tensor(values if len(values) != 1 else values[0], requires_grad=True, name=name)


def here(offset=0):
    """The line of the caller, as the explanations write it."""
    frame = inspect.currentframe().f_back
    return f"{__file__}:{frame.f_lineno + offset}"


def test_a_tensor_that_can_have_none():
    y = leaf(1.0) * 2
    found = tg.explain_grad(y, tg.Tensor(3, name="n"))
    assert found.reason == "integer"
    assert "n has no gradient: its dtype is int64" in str(found)
    found = tg.explain_grad(y, tg.Tensor(3.0))
    assert found.reason == "requires no grad"
    assert "made without requires_grad=True" in str(found)


def test_never_reached():
    found = tg.explain_grad(leaf(1.0) * 2, leaf(3.0, name="w"))
    assert found.reason == "never reached"
    assert "w gets no gradient" in str(found)
    assert "is it the same tensor object" in str(found)
    found = tg.explain_grad(tg.Tensor(1.0) * 2, leaf(3.0))
    assert found.reason == "never reached"
    assert "from constants alone" in str(found)


def test_detached_names_the_line():
    x = leaf(3.0)
    w = leaf(2.0, name="w")
    constant, place = (x * x).detach(), here()
    loss = (constant + 1) * w
    found = tg.explain_grad(loss, x)
    assert (found.reason, found.place) == ("detached", place)
    assert f"detach() at {place}" in str(found)
    assert tg.explain_grad(loss, constant).reason == "detached"
    assert tg.explain_grad(constant * 2, x).place == place


def test_no_grad_names_the_line_that_lost_it_however_far_away():
    x, w = leaf(3.0), leaf(2.0, name="w")
    with tg.no_grad():
        hidden, place = x * x, here()
        hidden = tg.sin(hidden) + 1
    found = tg.explain_grad(tg.exp(hidden) * w, x)
    assert (found.reason, found.place) == ("no_grad", place)
    assert f"computed inside no_grad() at {place}" in str(found)


def test_an_operation_without_a_derivative_is_named():
    x, w = leaf(3.0), leaf(2.0, name="w")
    found, place = tg.explain_grad(tg.sign(x) * w, x), here()
    assert (found.reason, found.operation, found.place) == ("not differentiable", "sign", place)
    assert f"because sign has no derivative, or a zero one; it was called at {place}" in str(found)
    found = tg.explain_grad(tg.where(x > 1, w, 0.0), x)
    assert "greater has no derivative" in str(found)
    found = tg.explain_grad(tg.where(x, w, 0.0), x)
    assert (found.operation, found.place) == ("where", None)
    assert "where uses it as condition" in str(found)
    found = tg.explain_grad(tg.where(x * 2, w, 0.0), x)
    assert "where uses what was computed from it as condition" in str(found)
    assert tg.explain_grad(tg.where(w * 2, leaf(1.0), 0.0), x).reason == "never reached"


@pytest.mark.parametrize(
    ("name", "step"),
    {
        "floor": tg.floor,
        "argmax": tg.argmax,
        "astype": lambda x: x.astype(int),
        "greater": lambda x: x > 1,
        "isfinite": np.isfinite,
        "nonzero": lambda x: tg.nonzero(x)[0],
        "modf": lambda x: tg.modf(x)[1],
    }.items(),
)
def test_every_operation_that_gives_constants_is_named(name, step):
    x, w, other = leaf(3.0, 1.0), leaf(2.0, name="w"), leaf(1.0)
    loss = step(x) * w
    found = tg.explain_grad(loss, x)
    assert (found.reason, found.operation) == ("not differentiable", name)
    assert found.place.startswith(__file__)
    assert tg.explain_grad(loss, other).reason == "never reached"


def test_another_tensors_cut_is_not_blamed():
    x, w, z = leaf(3.0), leaf(2.0, name="w"), leaf(1.0, name="z")
    assert tg.explain_grad(w * z.detach(), x).reason == "never reached"
    double = z * 2
    assert tg.explain_grad(w * double.detach(), x).reason == "never reached"
    assert tg.explain_grad(w * double.detach(), z).reason == "detached"
    assert tg.explain_grad(z.detach() * 1.0, x).reason == "never reached"
    with tg.no_grad():
        hidden = tg.sin(z * 2) + w
    assert tg.explain_grad(hidden * w, x).reason == "never reached"
    assert tg.explain_grad(hidden * leaf(1.0), w).reason == "no_grad"
    loss = (z * 2).detach() * w
    assert tg.explain_grad(loss, leaf(1.0)).reason == "never reached"  # it was made later


def test_of_two_cuts_the_one_that_the_tensor_lost_is_named():
    x, w, z = leaf(3.0), leaf(2.0, name="w"), leaf(1.0, name="z")
    first = x.detach()
    second, place = z.detach(), here()
    found = tg.explain_grad((first + second) * w, z)
    assert found.place == place
    assert "a part of the loss is a constant since detach()" in str(found)


def test_a_cut_of_what_is_gone_is_named_with_a_perhaps():
    x, w = leaf(3.0), leaf(2.0, name="w")
    found = tg.explain_grad((x * x).detach() * w, x)
    assert found.reason == "detached"
    assert "a part of the loss, perhaps computed from it, is a constant" in str(found)
    again = x.detach() * w  # which still exists, but what it was computed from ends at a cut
    assert tg.explain_grad(again.detach() * w, x).reason == "detached"


def test_a_cut_keeps_nothing_alive_and_does_not_grow():
    x, w = leaf(3.0), leaf(2.0, name="w")
    node = x * 2
    gone, constant = weakref.ref(node._node), node.detach()
    del node
    assert gone() is None
    assert not constant.requires_grad
    with tg.no_grad():
        mean = w * 1.0
        for _ in range(50):
            mean = mean * 0.9 + x * 0.1
    assert len(mean._node.ends) == MOST_ENDS
    assert tg.explain_grad(mean * leaf(1.0), x).reason == "no_grad"
    unnamed = leaf(1.0)
    with tg.no_grad():
        mean = mean + unnamed
    assert "perhaps computed from it" in str(tg.explain_grad(mean * w, unnamed))


def test_detach_of_a_constant_hands_the_reason_on():
    x, w = leaf(3.0), leaf(2.0, name="w")
    with tg.no_grad():
        y, place = x * 2, here()
    assert tg.explain_grad(y.detach() * w, x).place == place


def test_the_reason_survives_backward():
    x, w = leaf(3.0), leaf(2.0, name="w")
    loss, place = w * x.detach(), here()
    before = tg.explain_grad(loss, x)
    loss.backward()
    assert tg.explain_grad(loss, x) == before
    assert before.place == place


def test_many_places_are_counted():
    x, w = leaf(3.0), leaf(2.0, name="w")
    loss = x.detach() * w + tg.floor(x) * w + tg.sign(x) * w + tg.ceil(x) * w + tg.rint(x) * w
    found = tg.explain_grad(loss, x)
    assert found.reason == "detached"
    assert str(found).endswith("; 2 more")


def test_the_line_of_a_script_is_named(tmp_path):
    script = tmp_path / "script.py"
    setup = "import tinygrad_edu as tg\nx = tg.Tensor(1.0, requires_grad=True)\n"
    script.write_text(f"{setup}y = x.detach()\nprint(tg.explain_grad(y, x))\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(tg.__file__).parents[1])}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, env=environment)
    assert f"detach() at {script}:3" in done.stdout


def test_released():
    x = leaf(3.0)
    loss = tg.exp(x) * x
    loss.backward()
    found = tg.explain_grad(loss, x)
    assert found.reason == "released"
    assert "retain_graph=True" in str(found)
    assert tg.explain_grad(tg.exp(x), x).reason == "flows"
    used = tg.exp(x)
    used.backward()
    w = leaf(2.0, name="w")
    assert tg.explain_grad(used * w, w).reason == "flows"


def test_changed_in_place_is_a_reason():
    x = leaf(3.0, 1.0)
    loss = (x * x).sum()
    with tg.no_grad():
        x -= 1
    found = tg.explain_grad(loss, x)
    assert found.reason == "changed"
    assert "the gradient of x can no longer be computed: 'x' of shape (2,) was changed in place" in str(found)


def test_a_real_zero_names_the_operation():
    x = leaf(-1.0, -2.0)
    found = tg.explain_grad((tg.relu(x * 2) * 3).sum(), x)
    assert found.reason == "zero"
    assert (found.operation, found.place) == ("relu", None)
    assert found.gradient.tolist() == [0, 0]
    assert "relu (shape (2,)) is 0 everywhere" in str(found)
    found = tg.explain_grad(x.sum() - x.sum(), x)
    assert (found.reason, found.operation) == ("zero", None)
    assert "terms cancel" in str(found)


def test_a_zero_is_looked_for_only_on_the_way_to_the_tensor():
    x, w = leaf(0.0), leaf(0.0, name="w")
    found = tg.explain_grad(tg.sin(x) * 0.0 + tg.relu(w - 5), x)
    assert found.operation == "multiply"
    assert "the derivative of multiply (shape ()) by a is 0" in str(found)
    found = tg.explain_grad(tg.relu(w - 1) * 2.0 + tg.relu(w - 2) * 0.0 + (w - w), w)
    assert "the derivatives of multiply (shape ()) by a and of relu (shape ()) are 0 everywhere" in str(found)
    assert "; and terms cancel" in str(found)


def test_an_argument_that_is_not_used_is_named():
    x, unused = leaf(2.0), leaf(2.0, name="unused")
    found = tg.explain_grad(tg.checkpoint(lambda a, b: a * 2)(x, unused), unused)
    assert found.reason == "zero"
    assert "by operands[1] is 0" in str(found)


def test_private_names_do_not_appear():
    x = leaf(-3.0)
    assert tg.explain_grad(tg.clip(x, 0.0, 1.0), x).operation == "clip"
    assert "by a is 0" not in str(found := tg.explain_grad(tg.clip(x, 0.0, 1.0), x))
    assert "_" not in found.text
    named = tg.explain_grad(tg.clip(leaf(0.5, name="y") * x, -9.0, 9.0), x)
    assert named.paths[0].names == ("clip", "multiply")


def test_no_elements_have_an_empty_gradient():
    x = tg.Tensor(np.zeros(0), requires_grad=True, name="x")
    found = tg.explain_grad(x.sum(), x)
    assert found.reason == "flows"
    assert "is empty" in str(found)


def test_the_loss_itself():
    x = leaf(2.0)
    assert str(tg.explain_grad(x, x)) == "the gradient of x is 1: it is the loss itself"


def test_not_finite_names_the_operation():
    x = leaf(0.0, 1.0)
    found = tg.explain_grad((tg.sqrt(x) * 2).sum(), x)
    assert (found.reason, found.operation, found.place) == ("not finite", "sqrt", None)
    w = leaf(0.0, name="w")
    assert tg.explain_grad(tg.cbrt(w) + tg.sqrt(x).sum(), w).operation == "cbrt"
    with tg.detect_anomaly():
        watched = tg.sqrt(w)
    assert "nan or infinite: the derivative of sqrt" in str(tg.explain_grad(watched, w))


def test_nan_in_the_data_is_said_to_be_there():
    x = leaf(1.0, np.nan)
    assert "by a, whose operand a is nan in 1 of 2 elements" in str(tg.explain_grad((x * x).sum(), x))
    assert "derivative of exp (shape (2,)), whose result is nan in 1 of 2" in str(tg.explain_grad(tg.exp(x).sum(), x))
    w = leaf(1.0)
    found = tg.explain_grad((w * 1e308 - 1e308) + (w * 1e308 - 1e308), w)
    assert "a sum over several paths overflows" in str(found)


def test_paths_add_up_to_the_gradient():
    x = leaf(1.2)
    y = tg.sin(x)
    found = tg.explain_grad(y * y + x * y, x)
    assert found.reason == "flows"
    assert sum(path.contribution for path in found.paths) == pytest.approx(found.gradient)
    assert sorted(path.names for path in found.paths) == [
        ("add", "multiply"),
        ("add", "multiply", "sin"),
        ("add", "multiply", "sin"),
        ("add", "multiply", "sin"),
    ]
    assert str(found).count("\n") == 4
    assert x.grad is None


def test_paths_through_matrices_are_products_of_local_jacobians():
    x, w = leaf(1.0, 2.0), tg.Tensor([[1.0, 2.0, 0.5], [3.0, -1.0, 0.0]], requires_grad=True)
    loss = (tg.tanh(x @ w) + x.sum()).sum()
    found = tg.explain_grad(loss, x)
    assert len(found.paths) == 2
    np.testing.assert_allclose(sum(path.contribution for path in found.paths), found.gradient, rtol=1e-12)
    np.testing.assert_allclose(found.gradient, tg.grad(lambda x: (tg.tanh(x @ w) + x.sum()).sum())(x).numpy())


@pytest.mark.parametrize(
    "f",
    [
        lambda z: (z * z).imag,
        lambda z: (z * (3 + 1j)).real,
        lambda z: tg.abs(tg.conj(z) * (2 + 1j) * z),
        lambda z: (z.real * z).imag,
    ],
)
def test_complex_paths_are_what_users_call_the_gradient(f):
    z = leaf(1 + 2j, name="z")
    found = tg.explain_grad(f(z), z)
    f(z).backward()
    np.testing.assert_allclose(found.gradient, z.grad.data)
    np.testing.assert_allclose(sum(path.contribution for path in found.paths), z.grad.data)


def test_complex_factors_are_written_in_the_same_convention():
    z = leaf(1 + 2j, name="z")
    assert str(tg.explain_grad((z * z).imag, z).paths[0]) == "2+1j = imag: 0+1j · multiply: 1-2j"


def test_a_long_chain_is_explained_in_linear_time():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    start = time.perf_counter()
    found = tg.explain_grad(y, x)
    assert time.perf_counter() - start < 8  # it takes about one second, and took twenty
    assert str(found) == "the gradient of x is 1"


def test_a_large_graph_has_a_gradient_and_no_list_of_paths():
    x = leaf(1.0)
    y = x
    for _ in range(12):
        y = y + y
    found = tg.explain_grad(y, x)
    assert found.gradient == 4096
    assert found.paths == ()


def test_explain_grad_takes_tensors():
    with pytest.raises(DTypeError, match=r"explain_grad: x is a tensor, not a float"):
        tg.explain_grad(leaf(1.0), 3.0)
