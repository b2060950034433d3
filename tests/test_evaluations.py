"""What a checkpointed function does once, though it is computed twice: moving running statistics, drawing random numbers."""

import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import GraphError


def model(seed=0, momentum=0.1):
    rng = np.random.default_rng(seed)
    norm = nn.BatchNorm1d(8, momentum=momentum)
    return nn.Sequential(nn.Linear(3, 8, rng=rng), norm, nn.ReLU(), nn.Dropout(0.5, rng=rng), nn.Linear(8, 2, rng=rng))


def trained(wrap, steps=3, momentum=0.1):
    """Everything that three steps leave behind: weights, running statistics, the place of the random generator."""
    net = model(momentum=momentum)
    f = wrap(net)
    optimiser = tg.optim.SGD(net.parameters(), lr=0.1)
    rng = np.random.default_rng(1)
    for _ in range(steps):
        optimiser.zero_grad()
        (f(tg.Tensor(rng.normal(size=(6, 3)))) ** 2).mean().backward()
        optimiser.step()
    return {**net.state_dict(), "rng": net[3].rng.random()}


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(
    "wrap",
    [
        tg.checkpoint,
        lambda net: tg.checkpoint(tg.checkpoint(net)),
        lambda net: tg.checkpoint(lambda x: tg.checkpoint(net[3:])(tg.checkpoint(net[:3])(x))),
    ],
    ids=["whole", "twice", "parts in a whole"],
)
def test_a_training_with_checkpoints_is_the_same(wrap, momentum):
    plain, checkpointed = trained(lambda net: net, momentum=momentum), trained(wrap, momentum=momentum)
    assert plain["1.num_batches_tracked"] == 3
    for name, array in plain.items():
        np.testing.assert_array_equal(checkpointed[name], array, err_msg=name)


def test_other_layers_that_drop():
    x = np.random.default_rng(0).normal(size=(4, 2, 8))
    makers = [
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, rng=np.random.default_rng(1)),
        lambda: nn.LSTM(8, 8, num_layers=3, dropout=0.5, rng=np.random.default_rng(1)),
    ]
    for make in makers:
        gradients = []
        for wrap in (lambda layer: layer, tg.checkpoint):
            layer = make()
            y = wrap(layer)(tg.Tensor(x))
            ((y[0] if isinstance(y, tuple) else y) ** 2).sum().backward()
            gradients.append([p.grad.numpy() for p in layer.parameters()])
        for plain, again in zip(*gradients, strict=True):
            np.testing.assert_array_equal(again, plain)


def test_functions_that_drop_without_a_generator():
    f = tg.checkpoint(lambda x: nn.functional.dropout(x))
    x = tg.Tensor(np.ones(100), requires_grad=True)
    y = f(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data)  # both are 0 or 2 in the same places
    assert f(x).tolist() != y.tolist()


def test_every_order_and_every_replay_draws_the_same():
    net = model()
    x = np.random.default_rng(2).normal(size=(6, 3))
    y = tg.checkpoint(net)(tg.Tensor(x, requires_grad=True, name="x"))
    before = net.state_dict(), net[3].rng.bit_generator.state
    loss = (y**2).sum()
    (first,) = tg.vjp(lambda x: (tg.checkpoint(net)(x) ** 2).sum(), x)[1](1.0)
    after = net.state_dict()["1.num_batches_tracked"]
    assert after == before[0]["1.num_batches_tracked"] + 1
    assert np.abs(first.data).max() > 0
    for _ in range(3):
        loss.backward(retain_graph=True)
    assert net.state_dict()["1.num_batches_tracked"] == after
    second = tg.grad(lambda x: (tg.grad(lambda x: (tg.checkpoint(net)(x) ** 2).sum())(x) ** 2).sum())(x)
    assert np.isfinite(second.data).all()
    assert net.state_dict()["1.num_batches_tracked"] == after + 1


def test_whether_something_is_computed_again():
    seen = []

    def f(x):
        seen.append(tg.is_recomputing())
        return x * x

    assert not tg.is_recomputing()
    y = tg.checkpoint(f)(tg.Tensor(3.0, requires_grad=True))
    y.backward()
    assert seen == [False, True]
    assert not tg.is_recomputing()
    seen.clear()
    tg.checkpoint(tg.checkpoint(f))(tg.Tensor(3.0, requires_grad=True)).backward()
    assert seen == [False, True, True]  # the inner one is computed first within the outer, and that again

    def fails(x):
        if tg.is_recomputing():
            raise RuntimeError("planned")
        return x * x

    with pytest.raises(RuntimeError, match="planned"):
        tg.checkpoint(fails)(tg.Tensor(3.0, requires_grad=True)).backward()
    assert not tg.is_recomputing()

    def elsewhere(x):
        thread = threading.Thread(target=lambda: seen.append(tg.is_recomputing()))
        thread.start()
        thread.join()
        return x * x

    seen.clear()
    tg.checkpoint(elsewhere)(tg.Tensor(3.0, requires_grad=True)).backward()
    assert seen == [False, False]  # another thread is no part of it


def test_random_numbers_that_nobody_knows_of_are_still_found():
    rng = np.random.default_rng(0)
    f = tg.checkpoint(lambda x: nn.functional.dropout(x, rng=rng) * rng.random())
    x = tg.Tensor(np.ones(20), requires_grad=True)
    state = rng.bit_generator.state
    with pytest.raises(GraphError, match=r"it draws random numbers \(nn.Dropout's are drawn again as they were\)"):
        f(x).sum().backward()
    assert rng.bit_generator.state != state
