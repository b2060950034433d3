"""The commands `tinygrad-edu graph` and `tinygrad-edu steps`, which run a user's script."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_edu import cli
from tinygrad_edu.viz.receipt import Receipt

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-W", "error", "-m", "tinygrad_edu"]
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")


SCRIPT = """
import sys
import numpy as np
import tinygrad_edu as tg
x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
loss = (tg.sin(x) * x).sum()
picture = loss.graph(show=())
other = tg.exp(x)
def make():
    return tg.sqrt(x)
number = 3
print("the script", sys.argv[1:])
if "fail" in sys.argv:
    1 / 0
if "exit" in sys.argv:
    sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    return "train.py"


def test_the_graph_of_a_script_is_a_tree(script, capsys):
    assert cli.main(["graph", f"{script}:loss"]) == 0
    output = capsys.readouterr()
    assert output.out == "t3 () = Sum(t2)\nt2 (2,) = ×(t1, x (2,))\nt1 (2,) = sin(x)\n"
    assert output.err == "the script []\n"


@pytest.mark.parametrize(
    ("target", "tree"),
    [("train.py", "t1 (2,) = exp(x (2,))\n"), ("train.py:make", "t1 (2,) = √(x (2,))\n"), ("train.py:x", "x (2,)\n")],
)
def test_a_name_says_which_tensor(script, capsys, target, tree):
    assert cli.main(["graph", target]) == 0
    assert capsys.readouterr().out == tree


def test_a_graph_of_the_script_s_own_keeps_what_it_shows(script, capsys):
    assert cli.main(["graph", "train.py:picture", "--max-nodes", "20"]) == 0
    assert capsys.readouterr().out == "t3 = Sum(t2)\nt2 = ×(t1, x)\nt1 = sin(x)\n"


def test_options_reach_the_picture(script, capsys):
    arguments = ["--out", "g.dot", "--detail", "full", "--show", "shape,grad", "--theme", "dark", "--direction", "right"]
    assert cli.main(["graph", "train.py:loss", *arguments]) == 0
    assert capsys.readouterr().out == "g.dot: Graph(3 operations, 4 tensors)\n"
    source = Path("g.dot").read_text("utf-8")
    assert "rankdir=LR" in source
    assert re.search(r"grad \[1\.38\d, 0\.07\d+\]", source)
    assert "t1 [label=" in source
    assert 'bgcolor="#14161B"' in source


@needs_dot
def test_the_picture_of_a_script(script, capsys):
    assert cli.main(["graph", "train.py:loss", "--out", "g.svg", "--depth", "0"]) == 0
    assert ">3 operations<" in Path("g.svg").read_text("utf-8")
    capsys.readouterr()


def test_a_script_finds_its_arguments(script, capsys):
    before = sys.argv, list(sys.path)
    assert cli.main(["graph", "train.py:loss", "one", "two"]) == 0
    assert capsys.readouterr().err == "the script ['one', 'two']\n"
    assert (sys.argv, sys.path) == before
    assert cli.main(["graph", "train.py:loss", "exit", "0"]) == 0


def test_a_script_that_fails_shows_its_own_traceback(script, capsys):
    assert cli.main(["graph", "train.py", "fail"]) == 1
    error = capsys.readouterr().err
    assert error.splitlines()[1] == "Traceback (most recent call last):"
    assert error.splitlines()[2] == '  File "train.py", line 14, in <module>'
    assert error.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "tinygrad_edu" not in error
    assert cli.main(["graph", "train.py", "exit", "3"]) == 1
    assert "train.py: the script ended with exit status 3\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("train.py:los", "train.py: the script has no variable 'los'; its tensors are x, loss, picture, other"),
        ("train.py:number", "train.py: number is a int, and neither a tensor nor a graph"),
        ("nowhere.py", "nowhere.py: there is no such file; give the path of a Python script, as in graph train.py:loss"),
        ("empty.py", "empty.py: no variable of the script holds a recorded tensor when it ends; name one that does"),
    ],
)
def test_what_is_not_in_the_script(script, capsys, target, message):
    Path("empty.py").write_text("x = 1\n", "utf-8")
    assert cli.main(["graph", target]) == 1
    assert f"tinygrad-edu: {message}" in capsys.readouterr().err


def test_a_syntax_error_is_the_script_s(script, capsys):
    Path("broken.py").write_text("x = (\n", "utf-8")
    assert cli.main(["graph", "broken.py"]) == 1
    assert "SyntaxError: '(' was never closed" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--detail", "all"], ["--max-nodes", "3"], ["--depth", "x"], ["--theme", "pink"]])
def test_wrong_options_of_graph(script, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(["graph", "train.py:loss", *arguments])
    assert caught.value.code == 2
    assert "usage: tinygrad-edu graph" in capsys.readouterr().err
    assert cli.main(["graph", "train.py:loss", "--show", "shap"]) == 1
    assert "'shap' cannot be shown" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------------- steps


WITH_STEPS = """
import tinygrad_edu as tg
print("from the script")
x = tg.Tensor(3.0, requires_grad=True, name="x")
loss = tg.sin(x) * x
other = x + 1.0
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    path = tmp_path / "train.py"
    path.write_text(WITH_STEPS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


def test_the_command_prints_the_steps(program, capsys):
    assert cli.main(["steps", f"{program}:loss"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "Backward from t2 in 2 steps. g is an operation's cotangent, ∂L/∂t2 = 1."
    assert err == "from the script\n"
    assert cli.main(["steps", str(program)]) == 0  # the last one
    assert "Gradients: x (i1) 1" in capsys.readouterr().out


def test_the_command_writes_and_opens_the_page(program, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    pytest.importorskip("graphviz")
    if cli.main(["steps", f"{program}:loss", "--out", "page.html", "--open"]):
        pytest.skip(f"no Graphviz: {capsys.readouterr().err}")
    assert capsys.readouterr().out == "page.html: Receipt(2 steps, 1 gradients)\n"
    assert "Backpropagation from t2" in Path("page.html").read_text("utf-8")
    assert opened == [(program.parent / "page.html").as_uri()]
    assert cli.main(["steps", f"{program}:loss", "--open"]) == 0
    assert Path("steps.html").exists()
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert cli.main(["steps", f"{program}:loss", "--open"]) == 1
    assert "no browser was found" in capsys.readouterr().err


def test_the_command_says_what_is_wrong(program, capsys):
    assert cli.main(["steps", f"{program}:nothing"]) == 1
    assert "no variable 'nothing'" in capsys.readouterr().err
    assert cli.main(["steps", f"{program}:loss", "--out", "x.png"]) == 1
    assert "written as .html" in capsys.readouterr().err


def test_the_command_runs_as_a_program(program):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [*COMMAND, "steps", f"{program}:loss", "--out", "r.json"]
    done = subprocess.run(
        command, cwd=program.parent, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "r.json: Receipt(2 steps, 1 gradients)\n"
    assert len(Receipt.from_json((program.parent / "r.json").read_text("utf-8"))) == 2
