"""The models of the study notes, and those beyond: what they reach on MNIST, on a text, and in the notes' own style."""

from __future__ import annotations

import itertools
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

ROOT = Path(__file__).resolve().parents[1]
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def example(name: str) -> dict[str, Any]:
    """What an example defines."""
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


# ----------------------------------------------------------------------------------------------------------------- MNIST


def test_given_weights_in_batches(shared):
    parts = example("mnist_given_weights")
    x, t, weights = parts["load"](shared / "data")
    assert parts["in_batches"](weights, x, t) == 0.9352
    assert parts["one_by_one"](weights, x[:300], t[:300]) == parts["in_batches"](weights, x[:300], t[:300], 7)


def test_given_weights_picture(shared, tmp_path):
    pytest.importorskip("matplotlib")
    parts = example("mnist_given_weights")
    x, t, weights = parts["load"](shared / "data")
    parts["draw"](weights, x[:1000], t[:1000], tmp_path / "wrong.png")
    assert (tmp_path / "wrong.png").stat().st_size > 5000


def test_a_two_layer_net_reads_mnist(shared):
    net, history = example("two_layer_net_mnist")["train"](shared / "data")
    assert 2.296 <= history["step_loss"][0] <= 2.311  # near ln 10
    assert history["val_accuracy"][-1] >= 0.93
    assert {parameter.dtype for parameter in net.parameters()} == {np.dtype(np.float32)}
    assert len(history["step_loss"]) == 80 * len(history["epoch"])


def test_a_two_layer_net_draws_its_curves(shared, tmp_path):
    pytest.importorskip("matplotlib")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", ROOT / "examples" / "two_layer_net_mnist.py", shared / "data", tmp_path]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")
    assert "epoch 20: loss" in result.stdout
    assert (tmp_path / "two_layer_net_mnist.svg").exists()


def test_a_cnn_reads_mnist(shared):
    """Six epochs in the nightly profile; what one reaches is enough to see that it learns."""
    _, history, (x, t) = example("cnn_mnist")["train"](shared / "data", epochs=6 if NIGHTLY else 1)
    assert (x.shape, t.shape) == ((2000, 1, 28, 28), (2000,))
    assert history["val_accuracy"][-1] >= (0.97 if NIGHTLY else 0.9)


# ------------------------------------------------------------------------------------------------------------------ text


@pytest.mark.parametrize("name", ["char_lstm", "transformer_text"])
def test_a_model_of_text_learns(name):
    parts = example(name)
    model, history = parts["train"](epochs=1)
    assert history["step_loss"][0] > 3.5  # near ln 46
    assert history["step_loss"][-1] < 3.2
    written = parts["write"](model, "Shall I ", 50)
    assert written.startswith("Shall I ")
    assert len(written) == 58
    assert set(written) <= set(parts["LETTERS"])
    assert written == parts["write"](model, "Shall I ", 50)


def test_the_lstm_carries_its_state_along():
    parts = example("char_lstm")
    model = parts["CharLSTM"](8, np.random.default_rng(0))
    letters = parts["NUMBERS"][None, :20]
    with tg.no_grad():
        whole = model(letters)
        first, state = model(letters[:, :9], with_state=True)
        second = model(letters[:, 9:], state)
    np.testing.assert_allclose(tg.concatenate([first, second], axis=1).data, whole.data, rtol=1e-5, atol=1e-6)


def test_the_transformer_does_not_look_ahead():
    parts = example("transformer_text")
    model = parts["TinyTransformer"](16, 4, 2, np.random.default_rng(0))
    letters = parts["NUMBERS"][None, :20]
    changed = letters.copy()
    changed[0, 12:] = 3
    with tg.no_grad():
        difference = np.abs(model(letters).data - model(changed).data).max(axis=(0, 2))
    assert difference[:12].max() < 1e-6
    assert difference[12:].min() > 1e-3


# --------------------------------------------------------------------------------------------------------- and the others


def test_the_notes_own_layers_and_optimisers(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    parts = example("book_two_layer_net")
    net, losses = parts["train"](tg.optim.SGD(lr=0.3, momentum=0.9))
    assert np.mean(losses[:10]) > 1 > 0.3 > np.mean(losses[-10:])
    assert parts["worst_difference"](net) < 1e-14


def test_newton_doubles_the_digits():
    parts = example("newton")
    errors = [abs(x - 2**0.5) for x in parts["square_root"](2.0, 1.0, 4)]
    for before, after in itertools.pairwise(errors):
        assert after <= 0.6 * before**2
    path = parts["newton"](parts["rosenbrock"], [-1.5, 2.0], 10)
    np.testing.assert_allclose(path[-1], [1, 1], atol=1e-12)
    quadratic = lambda x: 3 * x[0] ** 2 + x[0] * x[1] + x[1] ** 2
    np.testing.assert_allclose(parts["newton"](quadratic, [3.0, 4.0], 1)[-1], [0, 0], atol=1e-14)  # one step


def test_the_penaltys_gradient_is_right():
    """Its parameters' gradient needs a derivative of a derivative: held against numbers."""
    parts = example("gradient_penalty")
    rng = np.random.default_rng(0)
    net = tg.nn.Sequential(tg.nn.Linear(1, 4, rng=rng), tg.nn.Tanh(), tg.nn.Linear(4, 1, rng=rng))
    x = np.linspace(0, 1, 5)[:, None]
    (parts["slope"](net, x, record=True) ** 2).mean().backward()
    weight = next(net.parameters())
    net.zero_grad()
    (parts["slope"](net, x, record=True) ** 2).mean().backward()

    def penalty(array):
        before, weight.data = weight.numpy(), array
        try:
            return (
                np.mean([(net(tg.Tensor([[v + 1e-5]])).item() - net(tg.Tensor([[v - 1e-5]])).item()) ** 2 for v in x[:, 0]]) / 4e-10
            )
        finally:
            weight.data = before

    direction = rng.standard_normal(weight.shape)
    h = 1e-3
    numerical = (penalty(weight.numpy() + h * direction) - penalty(weight.numpy() - h * direction)) / (2 * h)
    # zero_grad() was called before the slope's own backward pass, which leaves its gradients in the parameters, too
    left = weight.grad.numpy()
    net.zero_grad()
    parts["slope"](net, x, record=True)
    assert ((left - weight.grad.data) * direction).sum() == pytest.approx(numerical, rel=1e-4)
