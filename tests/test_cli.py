"""The command `tinygrad-edu`: what it prints and leaves behind, and how it behaves among other Unix tools."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import cli, demo

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-W", "error", "-m", "tinygrad_edu"]
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
unix_only = pytest.mark.skipif(os.name != "posix", reason="signals and pipes as Unix has them")


def environment(**changes: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **changes}


def run(*arguments: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, env=environment(**changes), capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def short_demo(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A run of two epochs, and the directory that it was started in."""
    folder = tmp_path_factory.mktemp("demo")
    return run("demo", "--epochs", "2", "--seed", "3", cwd=folder), folder


# ---------------------------------------------------------------------------------------------------------- the results


def test_the_demo_prints_what_it_did(short_demo):
    result, _ = short_demo
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "handwritten digits: 1438 images to train on, 359 to test, seed 3"
    assert lines[1] == "TwoLayerNet(): 3,760 parameters"
    assert lines[4].split() == ["epoch", "loss", "train", "test"]
    for number, line in enumerate(lines[5:7], 1):
        assert re.fullmatch(rf" +{number}  \d\.\d{{4}}  0\.\d{{4}}  0\.\d{{4}}", line)
    assert "\x1b" not in result.stdout
    assert "\r" not in result.stdout


def test_the_demo_checks_every_gradient(short_demo):
    result, _ = short_demo
    found = re.search(r"gradients: all 3,760 agree with numerical ones; worst error (\S+) of the largest", result.stdout)
    assert 0 < float(found[1]) <= 1e-6


def test_the_history_is_a_table(short_demo):
    result, folder = short_demo
    text = (folder / "demo-output" / "history.csv").read_bytes().decode("utf-8")
    assert "\r" not in text
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == ["epoch", "loss", "train_accuracy", "test_accuracy"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert f"{float(rows[1]['loss']):.4f}  {float(rows[1]['train_accuracy']):.4f}" in result.stdout


def texts(path: Path) -> list[str]:
    """What an SVG file writes: text elements, and the comments in which Matplotlib says what it drew as outlines."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    tree = ET.parse(path, parser)
    return [(element.text or "").strip() for element in tree.iter() if element.tag is ET.Comment or "text" in str(element.tag)]


@needs_dot
def test_the_graph_is_drawn_with_its_modules(short_demo):
    result, folder = short_demo
    found = texts(folder / "demo-output" / "graph.svg")
    for words in ("TwoLayerNet", "hidden: Linear", "output: Linear"):
        assert any(words in text for text in found)
    assert f"{Path('demo-output', 'graph.svg')}: the graph of one loss\n" in result.stdout


def test_the_loss_curve_is_drawn(short_demo):
    pytest.importorskip("matplotlib")
    _, folder = short_demo
    found = texts(folder / "demo-output" / "loss.svg")
    for words in ("Loss", "Accuracy", "epoch", "mean cross-entropy", "share of images", "train", "test"):
        assert words in found


def test_the_same_seed_gives_the_same_bytes(short_demo, tmp_path):
    first, folder = short_demo
    second = run("demo", "--epochs", "2", "--seed", "3", cwd=tmp_path, PYTHONHASHSEED="7")
    assert second.stdout == first.stdout
    written = {path.name: path.read_bytes() for path in (tmp_path / "demo-output").iterdir()}
    assert written == {path.name: path.read_bytes() for path in (folder / "demo-output").iterdir()}
    assert {"history.csv"} < written.keys()
    other = run("demo", "--epochs", "2", "--seed", "4", cwd=tmp_path)
    assert other.stdout.splitlines()[5:7] != first.stdout.splitlines()[5:7]


@pytest.mark.parametrize("seed", range(5))
def test_the_net_learns_to_read(seed, capsys):
    epochs = cli._parser().parse_args(["demo"]).epochs
    net = demo.TwoLayerNet(np.random.default_rng(seed))
    history = list(demo.train(net, tg.data.load_digits(seed=seed), epochs, seed))
    assert history[-1].test_accuracy >= 0.95
    assert history[0].loss > 10 * history[-1].loss
    assert len(capsys.readouterr().out.splitlines()) == epochs == len(history)


def test_without_dot_the_graph_is_text(tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['pygraphviz'] = None\n", "utf-8")
    path = os.pathsep.join([str(hidden), str(ROOT)])
    result = run("demo", "--epochs", "1", "--out", "results", cwd=tmp_path, PATH="", PYTHONPATH=path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "the graph of one loss; for a picture, pip install 'tinygrad-edu[render]'\n" in result.stdout
    assert (tmp_path / "results" / "graph.dot").read_text("utf-8").startswith("digraph")
    assert not (tmp_path / "results" / "graph.svg").exists()


def test_without_matplotlib_there_is_no_curve(tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "matplotlib.py").write_text("raise ModuleNotFoundError('hidden by a test')\n", "utf-8")
    result = run("demo", "--epochs", "1", cwd=tmp_path, PYTHONPATH=os.pathsep.join([str(hidden), str(ROOT)]))
    assert (result.returncode, result.stderr) == (0, "")
    assert "loss.svg was not drawn: that needs Matplotlib, pip install 'tinygrad-edu[plot]'\n" in result.stdout
    assert (tmp_path / "demo-output" / "history.csv").exists()
    assert not (tmp_path / "demo-output" / "loss.svg").exists()


# ------------------------------------------------------------------------------------------ the gradient check can fail


def test_a_wrong_gradient_is_found(monkeypatch, capsys, tmp_path):
    def half_as_steep(x):
        y = tg.sigmoid(x)
        return y * 0.5 + y.detach() * 0.5

    net = demo.TwoLayerNet(np.random.default_rng(0))
    (x, t), _ = tg.data.load_digits()
    assert demo.gradient_error(net, x[:5], t[:5]) < 1e-8
    monkeypatch.setattr(demo, "sigmoid", half_as_steep)
    assert demo.gradient_error(net, x[:5], t[:5]) > 1e-3
    assert cli.main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 1
    assert re.fullmatch(r"tinygrad-edu: the gradients differ from numerical ones by \S+ of the largest\n", capsys.readouterr().err)


def test_the_gradient_check_is_as_sharp_for_a_net_that_makes_no_mistake():
    net = demo.TwoLayerNet(np.random.default_rng(0))
    (x, t), _ = tg.data.load_digits()
    net.output.bias.data = 30.0 * np.eye(10)[t[0]]
    assert demo.cross_entropy(net(x[:1]), t[:1]).item() < 1e-12
    assert demo.gradient_error(net, x[:1], t[:1]) < 1e-8


def test_the_gradient_check_leaves_the_parameters_as_they_were():
    net = demo.TwoLayerNet(np.random.default_rng(0))
    before = [parameter.numpy() for parameter in net.parameters()]
    (x, t), _ = tg.data.load_digits()
    demo.gradient_error(net, x[:2], t[:2])
    for parameter, array in zip(net.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.data, array)


# ------------------------------------------------------------------------------------------------------------ manners


def test_version_and_help(capsys):
    for arguments, expected in (
        (["--version"], f"tinygrad-edu {tg.__version__}\n"),
        (["demo", "--help"], "usage: tinygrad-edu demo"),
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 0
        assert capsys.readouterr().out.startswith(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["show"], "invalid choice: 'show'"),
        (["demo", "--epochs", "0"], "argument --epochs: 0 is less than 1"),
        (["demo", "--epochs", "ten"], "argument --epochs: 'ten' is not a whole number"),
        (["demo", "--seed", "-1"], "argument --seed: -1 is less than 0"),
        (["demo", "--out", ""], "argument --out: the name of the directory is empty"),
        (["demo", "--speed"], "unrecognized arguments: --speed"),
    ],
)
def test_wrong_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: tinygrad-edu")
    assert message in output.err


def test_a_directory_that_cannot_be_made_is_told_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "train", None)
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--out", str(tmp_path / "file")]) == 1
    assert capsys.readouterr() == ("", f"tinygrad-edu: {tmp_path / 'file'}: File exists\n")
    assert cli.main(["demo", "--out", str(tmp_path / "file" / "below")]) == 1
    assert capsys.readouterr() == ("", f"tinygrad-edu: {tmp_path / 'file' / 'below'}: Not a directory\n")


@unix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "train", None)
    tmp_path.chmod(0o500)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 1
    assert re.fullmatch(r"tinygrad-edu: .*: Permission denied\n", capsys.readouterr().err)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a directory that not even root may write to")
def test_a_directory_in_which_no_file_can_be_made(capsys, monkeypatch):
    monkeypatch.setattr(demo, "train", None)
    assert cli.main(["demo", "--out", "/proc"]) == 1
    assert re.fullmatch(r"tinygrad-edu: /proc: .+\n", capsys.readouterr().err)


def test_a_file_that_cannot_be_written_later(tmp_path, capsys):
    (tmp_path / "history.csv").mkdir()
    assert cli.main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"tinygrad-edu: {tmp_path / 'history.csv'}: Is a directory\n"


def start(*arguments: str, cwd: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(),
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@unix_only
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c(tmp_path):
    with start("demo", "--epochs", "100000", cwd=tmp_path) as process:
        while not process.stdout.readline().startswith("    1"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "tinygrad-edu: interrupted\n")


@unix_only
def test_a_reader_that_goes_away(tmp_path):
    with start("demo", "--epochs", "100000", cwd=tmp_path) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk(tmp_path):
    with Path("/dev/full").open("w") as full, start("demo", "--epochs", "1", cwd=tmp_path, stdout=full) as process:
        assert process.stderr.read() == "tinygrad-edu: standard output: No space left on device\n"
    assert process.returncode == 1


@unix_only
def test_closed_streams(tmp_path):
    command = ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", *COMMAND, "demo", "--epochs", "1"]
    assert subprocess.run(command, cwd=tmp_path, env=environment(), timeout=60).returncode == 0
    assert (tmp_path / "demo-output" / "history.csv").exists()


@unix_only
def test_a_terminal_sees_a_progress_bar(tmp_path):
    termios = pytest.importorskip("termios")
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    with start("demo", "--epochs", "2", cwd=tmp_path, stderr=slave) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 4096):
                shown += part
        except OSError:  # what Linux says when the other end of a terminal is closed
            assert process.wait(30) == 0
        output = process.stdout.read()
    os.close(master)
    assert b"0/288" in shown
    assert b"step/s" in shown
    assert "step" not in output


@unix_only
def test_a_name_that_the_output_cannot_encode(tmp_path):
    result = run("demo", "--epochs", "1", "--out", "naïve-\udcff", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert r"na\xefve-\udcff/history.csv: loss" in result.stdout
