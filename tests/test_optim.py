"""SGD: the update and its precision, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, GraphError, MutationError
from tinygrad_edu.optim import SGD


def leaf(data=(1.0, 2.0), **options) -> tg.Tensor:
    return tg.Tensor(data, requires_grad=True, **options)


def with_gradient(data, gradient, **options) -> tg.Tensor:
    parameter = leaf(data, **options)
    parameter.grad = gradient
    return parameter


@given(st.floats(1e-6, 1e3), st.sampled_from([np.float32, np.float64]), st.lists(st.integers(0, 3), max_size=3))
def test_a_step_is_its_formula(lr, dtype, shape):
    rng = np.random.default_rng(0)
    before, gradient = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    parameter = with_gradient(before, gradient)
    SGD([parameter], lr).step()
    np.testing.assert_array_equal(parameter.data, before - dtype(lr) * gradient)
    assert parameter.dtype == dtype


def test_a_step_changes_the_array_in_place():
    parameter = with_gradient([1.0, 2.0], [10.0, 20.0])
    array = parameter.data
    SGD([parameter], lr=0.1).step()
    assert parameter.data is array
    assert array.tolist() == [0.0, 0.0]
    assert parameter.grad.tolist() == [10.0, 20.0]


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), np.float32(0.1), tg.Tensor(0.1), 1])
def test_float32_stays_float32_for_every_kind_of_learning_rate(lr):
    parameter = with_gradient(np.ones(2, np.float32), np.ones(2, np.float32))
    optimiser = SGD([parameter], lr)
    optimiser.step()
    assert parameter.dtype == np.float32
    np.testing.assert_array_equal(parameter.data, np.float32(1) - np.float32(lr.item() if isinstance(lr, tg.Tensor) else lr))


def test_a_parameter_without_a_gradient_stays():
    moved, still = with_gradient([1.0], [1.0]), leaf([1.0])
    SGD([moved, still], lr=0.5).step()
    assert (moved.tolist(), still.tolist()) == ([0.5], [1.0])


def test_the_learning_rate_can_be_read_and_set():
    parameter = with_gradient(1.0, 1.0)
    optimiser = SGD([parameter], lr=0.5)
    assert optimiser.lr == 0.5
    optimiser.lr *= 0.5
    optimiser.step()
    assert parameter.item() == 0.75
    assert repr(optimiser) == "SGD(1 tensors, lr=0.25)"


def test_zero_grad():
    parameter = with_gradient(1.0, 1.0)
    SGD([parameter], lr=1).zero_grad()
    assert parameter.grad is None


def test_without_zero_grad_gradients_add_up():
    parameter = leaf(1.0)
    for expected in (3.0, 6.0):
        (parameter * 3).backward()
        assert parameter.grad.item() == expected


def test_a_gradient_that_was_recorded_is_used_as_numbers():
    parameter = leaf(2.0)
    (parameter**3).backward(create_graph=True)
    SGD([parameter], lr=0.5).step()
    assert parameter.item() == 2.0 - 0.5 * 12.0
    assert parameter.is_leaf


def test_the_engine_notices_a_step_between_forward_and_backward():
    w = leaf([[2.0]], name="w")
    x = leaf([[3.0]])
    optimiser = SGD([w], lr=0.1)
    first, second = (x @ w).sum(), (x @ w).sum()
    first.backward()
    optimiser.step()
    with pytest.raises(MutationError, match="'w' of shape \\(1, 1\\) was changed in place after matmul"):
        second.backward()


def test_it_minimises_like_the_hand_written_loop():
    rng = np.random.default_rng(0)
    x, w0, target = rng.standard_normal((20, 3)), rng.standard_normal((3, 2)), rng.standard_normal((20, 2))
    w, by_hand = leaf(w0), w0.copy()
    optimiser = SGD([w], lr=0.01)
    for _ in range(50):
        optimiser.zero_grad()
        error = x @ w - target
        (error * error).sum().backward()
        optimiser.step()
        by_hand -= 0.01 * (x.T @ (2 * (x @ by_hand - target)))
    np.testing.assert_allclose(w.data, by_hand, rtol=1e-12)


def test_parameters_of_a_model_are_taken_in_order():
    layer = tg.nn.Linear(2, 1)
    assert SGD(layer.parameters(), lr=1).params == [layer.weight, layer.bias]


# ------------------------------------------------------------------------------------------------------------- refusals


def test_nothing_to_update():
    parameters = tg.nn.Linear(2, 1).parameters()
    SGD(parameters, lr=1)
    with pytest.raises(
        ValueError, match=r"no parameters to update; a generator .* read only once: .* list\(model.parameters\(\)\)"
    ):
        SGD(parameters, lr=1)
    with pytest.raises(ValueError, match="no parameters to update"):
        SGD([], lr=1)


def test_what_is_no_tensor():
    with pytest.raises(DTypeError, match="SGD: parameter 1 is a ndarray, not a Tensor$"):
        SGD([leaf(), np.ones(2)], lr=1)
    with pytest.raises(DTypeError, match=r"parameter 0 is a str, not a Tensor; of a dictionary, pass its .values\(\)"):
        SGD({"W1": leaf()}, lr=1)
    with pytest.raises(DTypeError, match=r"SGD: params is a list of tensors, and this is a Linear: pass its .parameters\(\)"):
        tg.optim.SGD(tg.nn.Linear(2, 1), lr=0.1)
    with pytest.raises(DTypeError, match=r"params is a list of tensors, and this is one tensor: write \[w\]"):
        SGD(leaf(), lr=1)


def test_what_can_have_no_gradient():
    with pytest.raises(GraphError, match=r"SGD: parameter 0 \('x'\) does not require grad, so it would never change"):
        SGD([tg.Tensor([1.0], name="x")], lr=1)
    with pytest.raises(
        GraphError, match=r"parameter 1 is the result of an operation.* Tensor\(0.01 \* array, requires_grad=True\)"
    ):
        SGD([leaf(), 0.01 * leaf()], lr=1)


def test_a_parameter_twice():
    w = leaf(name="w")
    with pytest.raises(ValueError, match=r"SGD: parameter 2 \('w'\) is in the list twice, and each step would move it twice"):
        SGD([w, leaf(), w], lr=1)


@pytest.mark.parametrize("lr", [0, -0.1, math.nan, math.inf])
def test_a_learning_rate_that_is_no_positive_number(lr):
    message = f"the learning rate is a positive number, got {lr}: a step goes against the gradient"
    with pytest.raises(ValueError, match=message):
        SGD([leaf()], lr)
    optimiser = SGD([leaf()], 1)
    with pytest.raises(ValueError, match=message):
        optimiser.lr = lr
    assert optimiser.lr == 1
