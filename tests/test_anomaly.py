"""The operation that made the first nan or infinity, forward or backward."""

import inspect
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import AnomalyError
from tinygrad_edu.graph import MODE


def leaf(*values, name="x"):
    return tg.Tensor(values if len(values) != 1 else values[0], requires_grad=True, name=name)


def here(offset=0):
    """The line of the caller, as the messages write it."""
    frame = inspect.currentframe().f_back
    return f"{__file__}:{frame.f_lineno + offset}"


def root_where_positive(x):
    return tg.where(x > 0, tg.sqrt(x), 0.0).sum()


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


# ------------------------------------------------------------------------------------------------------------- forward


def test_what_follows_from_an_infinite_operand_was_meant():
    scores = leaf(1.0, 2.0)
    with tg.detect_anomaly():
        masked = tg.where(np.array([True, False]), scores, -np.inf)
        tg.softmax(masked).max().backward(retain_graph=True)
        tg.logsumexp(masked).backward()
        tg.pad(scores, 1, constant_values=-np.inf).max().backward()
        with pytest.raises(AnomalyError, match=r"softmax made nan in 2 of 2 elements, from operands that were not finite"):
            tg.softmax(tg.where(np.array([False, False]), scores, -np.inf))


def test_an_infinity_beside_one_that_came_in_is_found():
    x = leaf(0.0, np.inf)
    with tg.detect_anomaly(), np.errstate(divide="ignore"), pytest.raises(AnomalyError, match="divide made inf"):
        (x + 1.0) / np.array([0.0, 1.0])


# ------------------------------------------------------------------------------------------------------------ backward


def test_where_the_zero_wins_there_is_no_anomaly():
    point = [0.0, 4.0]
    with tg.detect_anomaly():
        np.testing.assert_array_equal(tg.hessian(root_where_positive)(point), [[0, 0], [0, -1 / 32]])
        assert tg.jvp(root_where_positive, (np.array(point),), (np.ones(2),))[1].item() == 0.25
        x = leaf(*point)
        root_where_positive(x).backward(create_graph=True)
        assert x.grad.tolist() == [0, 0.25]


def test_a_derivative_that_is_recorded_has_the_users_line():
    x = leaf(0.0)
    with tg.guard():
        y = x * x * x
        (slope,) = [x.grad for _ in [y.backward(create_graph=True)]]
    places = {str(node.receipt.place).rpartition(":")[0] for node in ancestors(slope)}
    assert places == {__file__}


def ancestors(tensor):
    found, order = [], [tensor._node]
    for vertex in order:
        if getattr(vertex, "receipt", None) is not None:
            found.append(vertex)
        order.extend(v for v in getattr(vertex, "inputs", ()) if hasattr(v, "inputs") and v not in order)
    assert found
    return found


def test_backward_alone_can_be_watched():
    x = leaf(0.0, 1.0)
    loss = (tg.sqrt(x) * 2).sum()
    active = loss._node.active
    with tg.detect_anomaly(), pytest.raises(AnomalyError) as caught:
        loss.backward(retain_graph=True)
    assert "the derivative of sqrt with respect to a made inf in 1 of 2 elements" in str(caught.value)
    assert "recorded before anybody watched" in str(caught.value)
    assert x.grad is None
    assert loss._node.active is active
    with warnings.catch_warnings(action="ignore"):
        loss.backward()
    assert np.isinf(x.grad.tolist()[0])


def test_a_sum_over_paths_that_overflows_is_found():
    w = leaf(0.5, name="w")
    with tg.detect_anomaly():
        huge = w * 1e308 * 1.0 - 1e308
        with pytest.raises(AnomalyError, match=r"arrives at w of shape \(\) has inf .*the sum over several paths overflowed"):
            (huge + w * 1e308).backward()
        half = w * 0.5
        with pytest.raises(AnomalyError, match=r"arrives at multiply of shape \(\) has inf"):
            (half * 1e308 + half * 1e308).backward()
        with pytest.raises(AnomalyError, match="arrives at w of shape"):
            (w * 1e308 - 1e308 + w * 1e308).backward(create_graph=True)
    assert w.grad is None


def test_a_cast_that_overflows_is_found():
    w = tg.Tensor(np.float32(1e-3), requires_grad=True, name="w")
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match="arrives at w of shape .* the cast to float32"):
        (w * np.array(1e39)).backward()


def test_the_cotangent_that_was_passed_in_is_named():
    x = leaf(1.0)
    with tg.detect_anomaly():
        y = x * 2.0
        with pytest.raises(AnomalyError, match=r"the cotangent that was passed in for multiply of shape \(\) has nan"):
            y.backward(np.nan)
    with pytest.raises(AnomalyError, match=r"arrives at multiply of shape \(\) has nan in 1 of 1 .* it was passed in, or"):
        y.backward(np.nan)


def test_inside_a_checkpoint_the_operation_is_named():
    with tg.detect_anomaly():
        with pytest.raises(AnomalyError, match="the derivative of sqrt"):
            tg.grad(tg.checkpoint(lambda x: tg.exp(x) * tg.sqrt(x)))(0.0)
        with np.errstate(divide="ignore"), pytest.raises(AnomalyError, match="log made -inf"):
            tg.grad(tg.checkpoint(lambda x: tg.exp(tg.log(x))))(0.0)
    with np.errstate(divide="ignore"):
        y = tg.checkpoint(lambda x: tg.exp(tg.log(x)))(leaf(0.0))
    with tg.detect_anomaly(), np.errstate(divide="ignore"), pytest.raises(AnomalyError, match="log made -inf"):
        y.backward()


def test_nested_blocks_look_once():
    with tg.detect_anomaly():
        root, place = tg.sqrt(leaf(0.0)), here()
        with pytest.raises(AnomalyError, match=f"recorded at {place}"):
            root.backward()
    with tg.detect_anomaly(), tg.guard(), tg.detect_anomaly():
        assert len(MODE.get().on_record) == 2
        y = leaf(2.0) * 3.0
        ((_, pull),) = y._node.active
        assert not hasattr(pull.careful, "careful")
        y.backward()


def test_the_filters_of_warnings_are_left_alone(monkeypatch):
    # They belong to the whole process: two threads that change and restore them leave them changed.
    x = leaf(0.0, 4.0)
    watched = leaf(4.0)
    monkeypatch.delattr(warnings, "catch_warnings")
    with tg.detect_anomaly():
        root_where_positive(x).backward()
        tg.explain_grad(tg.sqrt(watched), watched)
    assert tg.explain_grad(tg.sqrt(x).sum(), x).reason == "not finite"


def test_modules_keep_watching():
    class Inner(tg.nn.Module):
        def forward(self, x):
            x.backward(np.inf)

    y = leaf(2.0) * 3.0
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match="passed in for multiply"):
        Inner()(y)


def test_a_graph_that_was_watched_is_freed():
    import gc
    import weakref

    x = leaf(2.0)
    gc.disable()
    try:
        with tg.detect_anomaly():
            y = x * x
            y.backward(retain_graph=True)
        node = weakref.ref(y._node)
        del y
        assert node() is None
    finally:
        gc.enable()
