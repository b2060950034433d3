"""What holds for every operation at once: order, accumulation, ownership, release, depth, memory."""

import threading
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GraphError, ReleasedError


def test_a_graph_used_twice_accumulates_24_and_not_32():
    x = tg.Tensor(2.0, requires_grad=True)
    y = x**3
    y.backward(retain_graph=True)
    assert x.grad.item() == 12
    y.backward()
    assert x.grad.item() == 24


def test_a_layer_shared_by_two_inputs_gets_8_and_not_5():
    w = tg.Tensor(1.0, requires_grad=True)
    (3 * w + 5 * w).backward()
    assert w.grad.item() == 8


def test_eighteen_doublings_visit_each_node_once():
    x = tg.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(18):
        y = y + y
    y.backward()
    assert x.grad.item() == 2**18


def test_tanh_to_order_8_agrees_with_the_closed_form():
    # d/dx P(t) = P'(t) (1 - t²) for t = tanh x: the derivatives are polynomials in t.
    polynomial = np.polynomial.Polynomial([0, 1])
    chain = np.polynomial.Polynomial([1, 0, -1])
    f = tg.tanh
    for order in range(1, 9):
        f = tg.grad(f)
        polynomial = polynomial.deriv() * chain
        for x in (-1.5, -0.3, 0.0, 0.7):
            np.testing.assert_allclose(f(x).item(), polynomial(np.tanh(x)), rtol=1e-9, atol=1e-9, err_msg=f"order {order}")


# ------------------------------------------------------------------------------------------------------------- ownership


def test_gradients_are_owned_writable_and_never_shared():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = tg.Tensor([3.0, 4.0], requires_grad=True)
    z = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    g = np.ones(2)
    (x + y + z.reshape(2)).backward(g)
    arrays = [x.grad.data, y.grad.data, z.grad.data, g]
    for i, a in enumerate(arrays):
        assert a.flags.writeable
        assert a.base is None
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_a_rule_that_hands_out_its_own_array_does_not_lose_it():
    kept = np.array([1.0, 2.0])

    @tg.primitive
    def weighted(x, /):
        return (x * kept).sum()

    weighted.vjp(x=lambda g: kept)
    x = tg.Tensor([1.0, 1.0], requires_grad=True)
    weighted(x).backward()
    x.grad.data[:] = 99
    (weighted(x) + weighted(x)).backward()
    np.testing.assert_array_equal(kept, [1, 2])


def test_a_gradient_that_was_kept_does_not_change_behind_its_owner():
    x = tg.Tensor([1.0], requires_grad=True)
    (x * 2).sum().backward()
    first = x.grad
    (x * 2).sum().backward()
    assert first.item() == 2
    assert x.grad.item() == 4


def test_the_gradient_has_the_dtype_of_its_tensor():
    x = tg.Tensor([1.0], requires_grad=True, dtype=np.float32)
    (x * np.array([2.0])).sum().backward()  # the product is float64
    assert x.grad.dtype == np.float32


# --------------------------------------------------------------------------------------------------------------- release


def test_arrays_are_released_and_the_structure_stays():
    a = np.ones((50, 50))
    x = tg.Tensor(a, requires_grad=True)
    h = tg.exp(x)
    kept = weakref.ref(h.data)
    constant = tg.Tensor(a)
    batch = weakref.ref(constant.data)
    loss = (h * constant).sum()
    del h, constant
    assert kept() is not None
    loss.backward()
    assert kept() is None
    assert batch() is None
    assert [node.op.name for node in tg.graph.topological_order(loss._node) if node.active] == ["sum", "multiply", "exp"]
    assert loss._node.inputs[0].inputs[1].shape == (50, 50)


def test_a_second_backward_says_how_to_keep_the_graph():
    x = tg.Tensor(2.0, requires_grad=True)
    y = x + 1
    y.backward()
    with pytest.raises(ReleasedError, match=r"already used .*add.*backward\(retain_graph=True\)"):
        y.backward()
    assert x.grad.item() == 1


def test_an_error_in_backward_leaves_every_gradient_as_it_was():
    @tg.primitive
    def broken(x, /):
        return x * 1

    def fail(g):
        raise ZeroDivisionError

    broken.vjp(x=fail)
    x, y = tg.Tensor(1.0, requires_grad=True), tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(ZeroDivisionError):
        (broken(x) + y).backward()
    assert x.grad is None
    assert y.grad is None


# -------------------------------------------------------------------------------------------------- what may be asked for


def test_backward_needs_something_to_differentiate():
    with pytest.raises(GraphError, match="depends on nothing that requires grad.*requires_grad=True.*no_grad.*detach"):
        tg.Tensor(1.0).backward()


def test_backward_of_many_numbers_needs_a_gradient():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GraphError, match=r"shape \(2,\).*sum\(\).backward\(\)"):
        (x * 2).backward()
    with pytest.raises(GraphError, match=r"the gradient has shape \(3,\).*the tensor \(2,\)"):
        (x * 2).backward(np.ones(3))


def test_only_floats_can_require_grad():
    with pytest.raises(TypeError, match="only floating and complex tensors.*int64.*decimal point"):
        tg.Tensor([1, 2], requires_grad=True)
    assert tg.Tensor([1, 2], requires_grad=True, dtype=float).requires_grad
    assert tg.Tensor([1j], requires_grad=True).requires_grad


# ----------------------------------------------------------------------------------------------------------------- state


def test_no_grad_nests_and_is_restored_by_an_exception():
    with pytest.raises(KeyError), tg.no_grad():  # noqa: PT012 - the nesting is the point
        with tg.enable_grad():
            assert tg.is_recording()
        assert not tg.is_recording()
        raise KeyError
    assert tg.is_recording()


def test_no_grad_decorates_and_recurses():
    @tg.no_grad()
    def down(n):
        assert not tg.is_recording()
        return 0 if n == 0 else down(n - 1)

    down(3)
    assert tg.is_recording()
    with pytest.raises(TypeError, match="generator or coroutine.*with block"):

        @tg.no_grad()
        def numbers():
            yield 1


def test_no_grad_is_local_to_the_thread():
    seen = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tg.is_recording()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_no_grad_is_local_to_the_task():
    import asyncio

    seen = []

    async def quiet(entered, leave):
        with tg.no_grad():
            entered.set()
            await leave.wait()
            seen.append(tg.is_recording())

    async def loud(entered, leave):
        await entered.wait()
        seen.append(tg.is_recording())
        leave.set()

    async def both():
        entered, leave = asyncio.Event(), asyncio.Event()
        await asyncio.gather(quiet(entered, leave), loud(entered, leave))

    asyncio.run(both())
    assert seen == [True, False]


# ------------------------------------------------------------------------------------------- recorded gradients


def test_one_no_grad_object_may_be_entered_by_two_tasks():
    import asyncio

    block = tg.no_grad()

    async def task(first, second):
        with block:
            await asyncio.sleep(first)
            assert not tg.is_recording()
        assert tg.is_recording()
        await asyncio.sleep(second)

    async def both():
        await asyncio.gather(task(0.01, 0.02), task(0.02, 0.01))

    asyncio.run(both())
    assert tg.is_recording()
    with block, block:
        assert not tg.is_recording()
    assert tg.is_recording()


def test_gradients_of_several_arguments_are_not_shared():
    for f in (lambda x, y: tg.exp(x + y).sum(), lambda x, y: (x + y).sum()):
        a, b = tg.grad(f, (0, 1))(np.zeros(2), np.zeros(2))
        assert not np.shares_memory(a.data, b.data)
        assert a.data.flags.writeable


def test_mixed_dtypes_can_be_differentiated_twice():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32)
    (x**3 * np.array([1.0, 2.0])).sum().backward(create_graph=True)
    assert x.grad.dtype == np.float32
    gradient, x.grad = x.grad, None
    gradient.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [6, 24])


def test_recorded_gradients_accumulate_and_stay_writable():
    x = tg.Tensor(2.0, requires_grad=True)
    v = tg.Tensor(1.0, requires_grad=True)
    y = x + 0
    with tg.no_grad():
        y.backward(v, create_graph=True)
        y.backward(v, create_graph=True)
    assert x.grad.data.flags.writeable
    x.grad.backward()
    assert v.grad.item() == 2
