"""A training that was interrupted anywhere ends with the numbers of one that was not, bit for bit."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError

PROGRAM = Path(__file__).with_name("training_run.py")
TRAINING = runpy.run_path(str(PROGRAM))
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
unix_only = pytest.mark.skipif(os.name != "posix", reason="signals as Unix has them")


def weights(model) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.state_dict().items()}


@pytest.fixture(scope="module")
def uninterrupted():
    model, history = TRAINING["train"]()
    return weights(model), history


@pytest.fixture
def stop_after(monkeypatch):
    """A function that lets training stop, as if the power failed, after so many steps."""

    class PowerFailure(BaseException):
        pass

    def stop(steps):
        from tinygrad_edu.training import fitting

        step = fitting._step
        left = iter(range(steps))

        def counted(*arguments):
            if next(left, None) is None:
                raise PowerFailure
            step(*arguments)

        monkeypatch.setattr(fitting, "_step", counted)

    return stop, PowerFailure, monkeypatch.undo


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(("steps", "every"), [(1, 1), (5, 2), (6, 3), (7, 7), (12, None), (13, 1), (20, 6)])
def test_resumed_numbers_are_the_uninterrupted_ones(tmp_path, stop_after, uninterrupted, suffix, steps, every):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    stop, failure, undo = stop_after
    stop(steps)
    with pytest.raises(failure):
        TRAINING["train"](tmp_path / f"run{suffix}", checkpoint_every=every)
    undo()
    np.random.seed(99)
    model, history = TRAINING["train"](tmp_path / f"run{suffix}", checkpoint_every=every)
    assert weights(model) == uninterrupted[0]
    assert history == uninterrupted[1]
    assert len(history["step_loss"]) == 36


def test_a_training_can_be_prolonged(tmp_path, uninterrupted):
    TRAINING["train"](tmp_path / "run.npz", epochs=2)
    model, history = TRAINING["train"](tmp_path / "run.npz", epochs=6)
    assert (weights(model), history) == uninterrupted
    again, history = TRAINING["train"](tmp_path / "run.npz", epochs=6)  # nothing is left to do
    assert (weights(again), history) == uninterrupted


def test_without_resume_it_begins_anew(tmp_path):
    TRAINING["train"](tmp_path / "run.npz", epochs=2)
    _, history = TRAINING["train"](tmp_path / "run.npz", epochs=1, resume=False)
    assert history["epoch"] == [1]


def start(*arguments, **options) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[1]), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@unix_only
def test_kill_9_at_a_random_moment(tmp_path, uninterrupted):
    """Started and killed again and again, until it has come to its end."""
    rng = np.random.default_rng()
    seed = int(rng.integers(2**32))
    rng = np.random.default_rng(seed)
    killed, wanted = 0, 20 if NIGHTLY else 3
    while killed < wanted:
        checkpoint, result = tmp_path / "run.npz", tmp_path / "end.npz"
        steps_before = len(tg.load(checkpoint)["history"]["step_loss"]) if checkpoint.exists() else 0
        with start(checkpoint, result, int(rng.integers(1, 4))) as process:
            process.stdout.readline()
            deadline = time.monotonic() + rng.uniform(0, 0.25)
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
            else:
                assert process.returncode == 0, process.stderr.read()
        if checkpoint.exists():
            assert len(tg.load(checkpoint)["history"]["step_loss"]) >= steps_before, f"seed {seed}: steps were lost"
        if result.exists():
            _compare(result, uninterrupted, seed)
            checkpoint.unlink()
            result.unlink()
    with start(checkpoint, result, 3) as process:
        assert process.wait(60) == 0, process.stderr.read()
    _compare(result, uninterrupted, seed)
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["end.npz", "run.npz"]


def _compare(result, uninterrupted, seed):
    end = tg.load(result)
    assert {name: array.tobytes() for name, array in end["weights"].items()} == uninterrupted[0], f"seed {seed}"
    assert end["history"] == uninterrupted[1], f"seed {seed}"


@unix_only
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_saves_after_the_step_under_way(tmp_path, uninterrupted):
    with start(tmp_path / "run.npz", tmp_path / "end.npz", 1_000_000) as process:
        process.stdout.readline()
        while not (tmp_path / "run.npz").exists():  # training has begun
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    if process.returncode:  # else it had ended before the signal came
        assert errors.strip().endswith("KeyboardInterrupt")
        assert not (tmp_path / "end.npz").exists()
    model, history = TRAINING["train"](tmp_path / "run.npz", checkpoint_every=1_000_000)
    assert (weights(model), history) == uninterrupted


@unix_only
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_this_process(tmp_path, uninterrupted):
    from tinygrad_edu.training.interrupt import Interruption

    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.pending
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # the second one does not wait
    assert signal.getsignal(signal.SIGINT) is before
    seen = []
    thread = threading.Thread(target=lambda: seen.append(TRAINING["train"](epochs=1)))
    thread.start()
    thread.join()
    assert seen  # where no signal can be handled, training goes on as always

    def interrupt_once(row):
        if row["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        TRAINING["train"](tmp_path / "run.npz", on_epoch=interrupt_once)
    saved = tg.load(tmp_path / "run.npz")["progress"]
    assert (saved["epoch"], saved["batch"]) == (2, 1)  # the step after it was made, and saved
    model, history = TRAINING["train"](tmp_path / "run.npz")
    assert (weights(model), history) == uninterrupted


# ------------------------------------------------------------------------------------------------------------- refusals


def test_a_checkpoint_that_cannot_be_written_is_known_before_the_first_step(tmp_path):
    model, loader, loss, optimizer, _ = TRAINING["parts"]()
    before = weights(model)
    with pytest.raises(ArgumentError, match=r"save: the suffix '.pkl' of .*run.pkl names no format"):
        tg.training.fit(model, loader, loss, optimizer, checkpoint=tmp_path / "run.pkl")
    assert weights(model) == before
    tg.training.fit(model, loader, loss, optimizer, epochs=0, checkpoint=tmp_path / "new" / "folder" / "run.npz")
    assert tg.load(tmp_path / "new" / "folder" / "run.npz")["progress"]["epoch"] == 0


def test_checkpoints_that_do_not_fit(tmp_path):
    path = tmp_path / "run.npz"
    model, loader, loss, optimizer, schedule = TRAINING["parts"]()
    tg.training.fit(model, loader, loss, optimizer, schedule=schedule, checkpoint=path)
    model, loader, loss, optimizer, _ = TRAINING["parts"]()
    with pytest.raises(ArgumentError, match=r"the training in .*run.npz was with schedule, and this one is not: pass what it was"):
        tg.training.fit(model, loader, loss, optimizer, epochs=2, checkpoint=path)
    other = tg.nn.Linear(2, 3)
    adam = tg.optim.Adam(other.parameters())
    steps = tg.optim.StepLR(adam, 1)
    with pytest.raises(ArgumentError, match=r"used the random generators \['3.rng'\], and this one \[\]: is the model another"):
        tg.training.fit(other, loader, loss, adam, schedule=steps, checkpoint=path)
    tg.save(path, {"w": np.ones(2)})
    with pytest.raises(ArgumentError, match="is no checkpoint of a training that this version of tinygrad_edu can go on with"):
        tg.training.fit(model, loader, loss, optimizer, checkpoint=path)
