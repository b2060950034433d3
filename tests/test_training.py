"""fit: what it computes and reports, validation, metrics, schedules, early stopping, the progress bar, and what it refuses."""

from __future__ import annotations

import io
import json
import math
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import AnomalyError, ArgumentError, DTypeError, LabelError, ShapeError
from tinygrad_edu.nn.functional import cross_entropy
from tinygrad_edu.training import EarlyStopping, accuracy, confusion_matrix, evaluate, fit


def net(seed=0, hidden=8):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(2, hidden, rng=rng), nn.ReLU(), nn.Linear(hidden, 3, rng=rng))


def loader(count=90, batch_size=30, **options):
    return tg.data.DataLoader(tg.data.spiral(count), batch_size, **options)


def test_it_is_the_loop_written_out():
    model, by_hand = net(), net()
    history = fit(model, loader(shuffle=True), cross_entropy, optim.SGD(model.parameters(), 0.1), epochs=3)
    optimizer, losses = optim.SGD(by_hand.parameters(), 0.1), []
    batches = loader(shuffle=True)
    for _ in range(3):
        for x, t in batches:
            optimizer.zero_grad()
            loss = cross_entropy(by_hand(x), t)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert history["step_loss"] == losses
    assert history["loss"] == pytest.approx([np.mean(losses[i : i + 3]) for i in (0, 3, 6)], rel=1e-14)
    for p, q in zip(model.parameters(), by_hand.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_the_history_is_plain_data():
    model = net()
    validation = tg.data.spiral(60, seed=1)
    rows = []
    history = fit(
        model,
        loader(shuffle=True),
        cross_entropy,
        optim.Adam(model.parameters(), 0.05),
        epochs=4,
        validation=validation,
        metrics=["accuracy", max_output],
        on_epoch=rows.append,
    )
    assert json.loads(json.dumps(history)) == history
    assert list(history) == [
        *["epoch", "lr", "loss", "step_loss", "accuracy", "max_output"],
        *["val_loss", "val_accuracy", "val_max_output"],
    ]
    assert history["epoch"] == [1, 2, 3, 4]
    assert rows == [{name: history[name][i] for name in history if name != "step_loss"} for i in range(4)]
    x, t = validation
    with tg.no_grad():
        assert history["val_loss"][-1] == pytest.approx(cross_entropy(model(x), t).item(), rel=1e-12)
        assert history["val_accuracy"][-1] == accuracy(model(x), t)


def max_output(output, target):
    return output.data.max()


def test_means_count_examples_and_not_batches():
    x, t = tg.data.spiral(70)
    model = net()
    whole = evaluate(model, (x, t), cross_entropy, "accuracy")
    pieces = evaluate(model, tg.data.DataLoader((x, t), 32), cross_entropy, {"accuracy": accuracy})
    assert pieces == pytest.approx(whole, rel=1e-13)
    frozen = optim.SGD(model.parameters(), 1e-300)
    assert fit(model, tg.data.DataLoader((x, t), 32), cross_entropy, frozen)["loss"] == pytest.approx([whole["loss"]], rel=1e-13)


def test_several_inputs():
    class Sum(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 3, rng=np.random.default_rng(0))

        def forward(self, a, b):
            return self.layer(a + b)

    x, t = tg.data.spiral(30)
    model = Sum()
    history = fit(model, tg.data.DataLoader((x, x, t), 10), cross_entropy, optim.SGD(model.parameters(), 0.1))
    assert len(history["step_loss"]) == 3


class Modes(nn.Module):
    """Notes in which mode it was called."""

    def __init__(self):
        self.layer, self.seen = nn.Linear(2, 3, rng=np.random.default_rng(0)), []

    def forward(self, x):
        self.seen.append(self.training)
        return self.layer(x)


def test_validation_is_in_evaluation_mode():
    model = Modes()
    fit(model, loader(), cross_entropy, optim.SGD(model.parameters(), 0.1), epochs=2, validation=tg.data.spiral(9))
    assert model.seen == [True, True, True, False] * 2
    model.eval()
    evaluate(model, loader(), cross_entropy)
    assert not model.training
    model.train()
    model.layer.eval()
    evaluate(model, loader(), cross_entropy)
    assert (model.training, model.layer.training) == (True, False)


# --------------------------------------------------------------------------------------- schedules, clipping and stopping


def test_schedules_step_after_every_epoch_or_step():
    model = net()
    optimizer = optim.SGD(model.parameters(), 1.0)
    history = fit(model, loader(), cross_entropy, optimizer, epochs=3, schedule=optim.StepLR(optimizer, 1, 0.5))
    assert history["lr"] == [1.0, 0.5, 0.25]
    optimizer = optim.SGD(model.parameters(), 1.0)
    history = fit(model, loader(), cross_entropy, optimizer, epochs=2, schedule=optim.StepLR(optimizer, 1, 0.5, every="step"))
    assert history["lr"] == [0.5**3, 0.5**6]
    optimizer = optim.SGD(model.parameters(), 1e-12)
    plateau = optim.ReduceLROnPlateau(optimizer, patience=0, eps=0)
    fit(model, loader(), cross_entropy, optimizer, epochs=3, validation=tg.data.spiral(9), schedule=plateau)
    assert optimizer.lr < 1e-12


def test_clipping_limits_the_step():
    model = net()
    before = [p.numpy() for p in model.parameters()]
    fit(model, loader(batch_size=90), lambda y, t: 1e6 * cross_entropy(y, t), optim.SGD(model.parameters(), 1.0), clip_norm=0.5)
    moved = math.sqrt(sum(((p.data - b) ** 2).sum() for p, b in zip(model.parameters(), before, strict=True)))
    assert moved == pytest.approx(0.5, rel=1e-5)


def test_early_stopping_goes_back_to_the_best_weights():
    model = net()
    optimizer = optim.SGD(model.parameters(), 0.5)
    seen = []

    def spoil(row):  # from the third epoch on, learning makes it worse
        seen.append([p.numpy() for p in model.parameters()])
        if row["epoch"] == 3:
            for p in model.parameters():
                p.data = p.data + 5.0

    history = fit(
        model,
        loader(),
        cross_entropy,
        optimizer,
        epochs=50,
        validation=tg.data.spiral(90, seed=1),
        early_stopping=EarlyStopping("val_loss", patience=2),
        on_epoch=spoil,
    )
    best = int(np.argmin(history["val_loss"]))
    assert len(history["epoch"]) == best + 1 + 3 < 50
    for parameter, kept in zip(model.parameters(), seen[best], strict=True):
        np.testing.assert_array_equal(parameter.data, kept)


def test_early_stopping_by_accuracy_and_by_margin():
    stopping = EarlyStopping("val_accuracy", patience=0)
    assert [stopping.update(value, {}) for value in (0.5, 0.6, 0.6)] == [False, False, True]
    stopping = EarlyStopping("loss", patience=0, min_delta=0.1)
    assert [stopping.update(value, {}) for value in (1.0, 0.95)] == [False, True]
    with pytest.raises(ArgumentError, match="'val_loss' is no column of the history, which has loss; pass validation="):
        EarlyStopping().value_of({"loss": 1.0})
    with pytest.raises(ArgumentError, match="mode is 'min' or 'max', patience and min_delta are at least 0"):
        EarlyStopping(patience=-1)


# ------------------------------------------------------------------------------------------------------- the progress bar


def test_the_progress_bar(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    model = net()
    arguments = (model, loader(), cross_entropy, optim.SGD(model.parameters(), 0.1))
    fit(*arguments, epochs=2, metrics="accuracy")
    assert screen.getvalue() == ""  # this is no terminal

    def slow(y, t):
        time.sleep(0.06)  # the bar is drawn ten times a second
        return cross_entropy(y, t)

    fit(*arguments[:2], slow, arguments[3], epochs=2, metrics="accuracy", progress=True)
    shown = screen.getvalue()
    for part in ("/6 [", "loss=", "accuracy=", "step/s", "00:00<00:00"):
        assert part in shown


# -------------------------------------------------------------------------------------------------------------- metrics


def test_accuracy():
    y = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert accuracy(tg.Tensor(y), [1, 0, 0]) == pytest.approx(2 / 3)
    assert accuracy(y, tg.one_hot([1, 0, 0], 2)) == pytest.approx(2 / 3)
    with pytest.raises(ShapeError, match=r"outputs of shape \(3, 2\) go with classes of shape \(3,\), got \(2,\)"):
        accuracy(y, [1, 0])


def test_confusion_matrix():
    rng = np.random.default_rng(0)
    t, y = rng.integers(0, 4, 100), rng.integers(0, 4, 100)
    expected = np.zeros((4, 4), int)
    for i, j in zip(t, y, strict=True):
        expected[i, j] += 1
    np.testing.assert_array_equal(confusion_matrix(t, y), expected)
    np.testing.assert_array_equal(confusion_matrix(t, np.eye(4)[y]), expected)
    assert confusion_matrix([0], [0], classes=3).shape == (3, 3)
    with pytest.raises(LabelError, match="classes are 0 to 1, and 0 to 2 are there"):
        confusion_matrix([0, 2], [0, 1], classes=2)
    with pytest.raises(ShapeError, match="targets are integers and predictions match them"):
        confusion_matrix([0.5], [0])
    with pytest.raises(ArgumentError, match="of no examples, say how many classes"):
        confusion_matrix(np.zeros(0, int), np.zeros(0, int))


# ------------------------------------------------------------------------------------------------------------- refusals


def test_a_loss_that_is_no_number_stops_before_the_step():
    model = net()
    optimizer = optim.SGD(model.parameters(), 0.1)
    before = [p.numpy() for p in model.parameters()]
    with pytest.raises(AnomalyError, match="the loss is nan in batch 1 of epoch 1, and the step was not made: is the learning"):
        fit(model, loader(), lambda y, t: cross_entropy(y, t) * math.nan, optimizer)
    for p, b in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, b)


def test_what_fit_refuses():
    model = net()
    optimizer = optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ArgumentError, match="epochs is at least 0 and checkpoint_every at least 1, got -1 and None"):
        fit(model, loader(), cross_entropy, optimizer, epochs=-1)
    with pytest.raises(ArgumentError, match="checkpoint_every says how often, and checkpoint= the file that is missing"):
        fit(model, loader(), cross_entropy, optimizer, checkpoint_every=1)
    with pytest.raises(ArgumentError, match="the metric 'f1' is not known; there are accuracy, or pass a function"):
        fit(model, loader(), cross_entropy, optimizer, metrics=["f1"])
    with pytest.raises(DTypeError, match="a loader gives batches when it is iterated over, such as a DataLoader; got a int"):
        fit(model, 3, cross_entropy, optimizer)
    once = iter(list(loader()))
    with pytest.raises(ArgumentError, match="gave no batch in this epoch; a generator can be gone through only once: pass a list"):
        fit(model, once, cross_entropy, optimizer, epochs=2)


def test_a_list_of_batches_is_a_loader():
    model, other = net(), net()
    first = fit(model, list(loader()), cross_entropy, optim.SGD(model.parameters(), 0.1), epochs=2)
    second = fit(other, loader(), cross_entropy, optim.SGD(other.parameters(), 0.1), epochs=2)
    assert first == second
    assert fit(model, tg.data.spiral(9), cross_entropy, optim.SGD(model.parameters(), 0.1))["epoch"] == [1]


def test_a_list_of_batches_can_be_resumed(tmp_path):
    def run(epochs, **options):
        model = net()
        return fit(model, list(loader()), cross_entropy, optim.SGD(model.parameters(), 0.1), epochs=epochs, **options)

    run(1, checkpoint=tmp_path / "run.npz")
    assert run(2, checkpoint=tmp_path / "run.npz") == run(2)
