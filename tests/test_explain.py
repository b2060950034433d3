"""Why a gradient is None, zero or nan: every reason, with the place, and the operation that made a nan."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import AnomalyError, DTypeError


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
    found = tg.explain_grad(tg.sign(x) * w, x)
    assert found.reason == "not differentiable"
    assert "sign has no derivative" in str(found)
    found = tg.explain_grad(tg.where(x > 1, w, 0.0), x)
    assert "greater has no derivative" in str(found)
    found = tg.explain_grad(tg.where(x, w, 0.0), x)
    assert "where uses it as condition" in str(found)


def test_released():
    x = leaf(3.0)
    loss = tg.exp(x) * x
    loss.backward()
    found = tg.explain_grad(loss, x)
    assert found.reason == "released"
    assert "retain_graph=True" in str(found)
    assert tg.explain_grad(tg.exp(x), x).reason == "flows"


def test_a_real_zero_names_the_operation():
    x = leaf(-1.0, -2.0)
    found = tg.explain_grad((tg.relu(x * 2) * 3).sum(), x)
    assert found.reason == "zero"
    assert found.place == "relu"
    assert found.gradient.tolist() == [0, 0]
    assert "relu (shape (2,)) is 0 everywhere" in str(found)
    found = tg.explain_grad(x.sum() - x.sum(), x)
    assert (found.reason, found.place) == ("zero", None)
    assert "terms cancel" in str(found)


def test_not_finite_names_the_operation():
    x = leaf(0.0, 1.0)
    found = tg.explain_grad((tg.sqrt(x) * 2).sum(), x)
    assert (found.reason, found.place) == ("not finite", "sqrt")


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


# --------------------------------------------------------------------------------------------------------------- anomaly


def test_the_first_forward_operation_is_named():
    x = leaf(0.0, 1.0)
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        y = x * 1.0
        with pytest.raises(AnomalyError) as caught:
            tg.exp(tg.log(y) * 0)
    text = str(caught.value)
    assert "log made -inf in 1 of 2 elements, from finite operands ([0, 1] (2,))" in text
    assert here(-3) in text


def test_a_nan_that_came_in_is_said_to_have_come_in():
    x = leaf(1.0, 2.0)
    with (
        tg.detect_anomaly(),
        pytest.raises(AnomalyError, match=r"multiply made nan in 1 of 2 elements, from operands that were not"),
    ):
        x * np.array([np.nan, 1.0])


def test_the_first_backward_operation_is_named():
    x = leaf(0.0, 1.0)
    with tg.detect_anomaly():
        root, place = tg.sqrt(x), here()
        loss = (root * 2).sum()
    with pytest.raises(AnomalyError) as caught:
        loss.backward()
    assert "the derivative of sqrt with respect to a made inf in 1 of 2 elements, from a cotangent in [2, 2] (2,)" in str(
        caught.value
    )
    assert f"recorded at {place}" in str(caught.value)
    assert x.grad is None


def test_detect_anomaly_nests_with_the_guard_and_is_restored():
    x = leaf(1.0, 2.0)
    with tg.guard(), tg.detect_anomaly():
        y = (x * x).sum()
        with pytest.raises(AnomalyError), np.errstate(all="ignore"):
            tg.log(x - 1)
    x.data[0] = 5.0
    with pytest.raises(tg.errors.MutationError):
        y.backward()
    with np.errstate(all="ignore"):
        assert np.isinf(tg.log(leaf(0.0)).item())
    with tg.detect_anomaly():
        tg.grad(tg.grad(lambda x: tg.exp(x) * x))(1.0)
