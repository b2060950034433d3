"""`tinygrad-edu train`: the run folder, an interrupted run, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import cli

ROOT = Path(__file__).resolve().parents[1]


def train(*arguments: object) -> int:
    return cli.main(["train", *map(str, arguments)])


def test_a_run_folder(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    assert train("--data", "spiral", "--epochs", 30, "--lr", 0.02, "--out", tmp_path / "run") == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    lines = output.splitlines()
    assert lines[0] == "spiral: 300 examples to train on, 150 to validate, seed 0"
    assert lines[1] == "Sequential(): 303 parameters"
    names = {"config.json", "checkpoint.npz", "history.csv", "weights.npz", "curves.svg"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text("utf-8").splitlines()))
    assert list(rows[0]) == ["epoch", "lr", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert len(rows) == 30
    assert float(rows[-1]["val_accuracy"]) > 0.8
    assert f"epoch  30  loss {float(rows[-1]['loss']):.4f}  accuracy {float(rows[-1]['accuracy']):.4f}" in output
    weights = tg.load(tmp_path / "run" / "weights.npz")
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    assert tg.io.read_metadata(tmp_path / "run" / "weights.npz")["data"] == "spiral"
    assert "<svg" in (tmp_path / "run" / "curves.svg").read_text("utf-8")


@pytest.mark.parametrize(
    "options",
    [
        ["--data", "sine", "--optimizer", "sgd"],
        ["--data", "xor", "--model", "linear", "--optimizer", "lion"],
        ["--data", "moons", "--optimizer", "adamw"],
        ["--data", "digits", "--model", "cnn", "--hidden", "10", "--batch-size", "200"],
    ],
)
def test_data_and_models(tmp_path, options, capsys):
    assert train(*options, "--epochs", 1, "--out", tmp_path / "run") == 0
    assert ("accuracy" in capsys.readouterr().out) == ("sine" not in options)


def test_mnists_test_images_alone(tmp_path, shared, capsys):
    folder = shared / "data"
    assert train("--data", "mnist", "--path", folder, "--model", "linear", "--epochs", 1, "--out", tmp_path / "run") == 0
    output = capsys.readouterr().out
    assert output.startswith("mnist: 8,000 examples to train on, 2,000 to validate")
    assert float(output.split("val_accuracy ")[1].split()[0]) > 0.85


def test_a_prolonged_run_is_the_same_as_a_long_one(tmp_path, capsys):
    train("--data", "moons", "--epochs", 4, "--out", tmp_path / "long")
    train("--data", "moons", "--epochs", 2, "--out", tmp_path / "short")
    assert train("--resume", tmp_path / "short", "--epochs", 4) == 0
    for name in ("history.csv", "weights.npz"):
        if name == "history.csv":
            assert (tmp_path / "long" / name).read_bytes() == (tmp_path / "short" / name).read_bytes()
        else:
            long, short = (tg.load(tmp_path / folder / name) for folder in ("long", "short"))
            assert all(np.array_equal(long[key], short[key]) for key in long)
    capsys.readouterr()


@pytest.mark.skipif(os.name != "posix", reason="signals as Unix has them")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "tinygrad_edu", "train", "--data", "moons", "--epochs", "100000", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not process.stdout.readline().startswith("epoch   2"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "interrupted: go on with tinygrad-edu train --resume run\ntinygrad-edu: interrupted\n"
    assert tg.load(tmp_path / "run" / "checkpoint.npz")["progress"]["epoch"] >= 2


def test_what_train_refuses(tmp_path, capsys):
    assert train("--data", "xor", "--model", "cnn", "--out", tmp_path / "a") == 1
    assert "a cnn is for images, and xor has none: choose --model mlp" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert train("--data", "xor", "--epochs", 1, "--out", tmp_path / "b") == 0
    assert train("--data", "xor", "--epochs", 1, "--out", tmp_path / "b") == 1
    assert f"{tmp_path / 'b'} holds a run already: go on with it by --resume" in capsys.readouterr().err
    assert train("--resume", tmp_path / "c") == 1
    assert capsys.readouterr().err == f"tinygrad-edu: {tmp_path / 'c' / 'config.json'}: No such file or directory\n"
    (tmp_path / "b" / "config.json").write_text(json.dumps({"colour": "red"}))
    assert train("--resume", tmp_path / "b") == 1
    assert "config.json: not the configuration of a run" in capsys.readouterr().err
    assert train("--data", "mnist", "--path", tmp_path, "--out", tmp_path / "d") == 1
    assert "neither t10k-images-idx3-ubyte.gz nor t10k-images-idx3-ubyte is there" in capsys.readouterr().err
    for arguments, message in ((["--lr", "-1"], "-1 is not a positive number"), (["--lr", "fast"], "'fast' is not a number")):
        with pytest.raises(SystemExit):
            train(*arguments)
        assert message in capsys.readouterr().err
