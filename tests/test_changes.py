"""Arrays that change between forward and backward, and tensors that are changed in place."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GraphError, MutationError


def test_a_leaf_that_was_changed_is_not_used():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    y = (w * w).sum()
    w.data -= 1.0
    with pytest.raises(MutationError, match=r"'w' of shape \(2,\) was changed in place after multiply"):
        y.backward()
    assert w.grad is None


def test_a_change_through_a_view_is_noticed_too():
    w = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    v = w.reshape(2)
    y = (v * v).sum()
    with tg.no_grad():
        w += 1.0
    with pytest.raises(MutationError, match="multiply"):
        y.backward()


def test_a_constant_that_was_changed_is_noticed():
    x = tg.Tensor([[1.0, 2.0]], name="x")
    w = tg.Tensor([[1.0], [2.0]], requires_grad=True)
    y = (x @ w).sum()
    x[0, 0] = 9.0
    with pytest.raises(MutationError, match="'x'.*matmul"):
        y.backward()


def test_a_change_that_no_derivative_needs_is_allowed():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = (w + 1.0).sum()
    w.data -= 1.0
    y.backward()
    np.testing.assert_array_equal(w.grad.numpy(), [1, 1])


def test_replacing_the_data_is_no_change_of_what_was_saved():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = (w * w).sum()
    w.data = np.array([5.0, 5.0])
    y.backward()
    np.testing.assert_array_equal(w.grad.numpy(), [2, 4])


def test_the_guard_notices_a_change_of_a_raw_array_and_says_where():
    x = np.ones((1, 2))
    w = tg.Tensor([[1.0], [2.0]], requires_grad=True)
    with tg.guard():
        y = (x @ w).sum()
    x[0, 0] = 9.0
    with pytest.raises(MutationError, match=r"matmul saved .*test_changes.py:\d+"):
        y.backward()


def test_results_are_read_only():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    with pytest.raises(ValueError, match="read-only"):
        y.data[0] = 5
    with pytest.raises(GraphError, match="result of multiply.*where"):
        y[0] = 5
    with pytest.raises(GraphError, match="cannot be replaced"):
        y.data = np.zeros(2)
    with pytest.raises(GraphError, match="cannot be replaced"):
        y.data = y.data


def test_changing_a_leaf_while_recording_is_refused():
    w = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(GraphError, match=r"with tg.no_grad\(\)"):
        w += 1.0
    with pytest.raises(GraphError, match=r"with tg.no_grad\(\)"):
        w[0] = 1.0
    with tg.no_grad():
        w += 1.0
    assert w.tolist() == [2.0]
    assert w.is_leaf


def test_the_callers_array_is_copied_unless_sharing_is_asked_for():
    a = np.ones(2)
    x, shared = tg.Tensor(a), tg.from_numpy(a)
    a[0] = 7
    assert x.tolist() == [1, 1]
    assert shared.tolist() == [7, 1]
    with tg.no_grad():
        x -= 1
    assert a.tolist() == [7, 1]


def test_an_operation_that_returns_its_operand_does_not_make_it_read_only():
    same = tg.primitive(lambda x, /: x)
    same.vjp(x=lambda g: g)
    x = tg.Tensor([1.0], requires_grad=True)
    y = same(x)
    assert not y.data.flags.writeable
    assert x.data.flags.writeable


@pytest.mark.parametrize("view", [lambda c: c.reshape(3), lambda c: c[:], lambda c: c.T, lambda c: c])
def test_a_change_is_noticed_through_an_unrecorded_view(view):
    c, x = tg.Tensor([1.0, 2.0, 3.0]), tg.Tensor([1.0, 1.0, 1.0], requires_grad=True)
    y = (x * view(c)).sum()
    c *= 10
    with pytest.raises(MutationError, match="multiply"):
        y.backward()


def test_a_change_is_noticed_whatever_became_of_the_tensor():
    for rename in (lambda c: setattr(c, "requires_grad", True), lambda c: setattr(c, "data", np.zeros(2))):
        c, x = tg.Tensor([1.0, 2.0]), tg.Tensor([1.0, 1.0], requires_grad=True)
        y = (x * c).sum()
        c *= 10
        rename(c)
        with pytest.raises(MutationError):
            y.backward()


def test_a_result_can_become_a_leaf_with_an_array_of_its_own():
    w = tg.Tensor(np.ones(2)) * 0.5
    w.requires_grad = True
    for _ in range(3):
        (w * w).sum().backward()
        with tg.no_grad():
            w -= 0.25 * w.grad
        w.grad = None
    assert w.tolist() == [0.0625, 0.0625]
    c = tg.Tensor([1.0, 2.0])
    v = c.reshape(2)
    v.requires_grad = True
    assert not np.shares_memory(v.data, c.data)
