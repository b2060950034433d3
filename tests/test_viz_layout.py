"""Which Graphviz draws, what is said when there is none, what happens when it takes too long, and what a notebook shows."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import MissingError, TinygradError
from tinygrad_edu.viz import layout
from tinygrad_edu.viz.layout import TooSlowError

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program dot is not installed")
needs_pygraphviz = pytest.mark.skipif(importlib.util.find_spec("pygraphviz") is None, reason="pygraphviz is not installed")
unix_only = pytest.mark.skipif(os.name != "posix", reason="a shell script in the place of dot")


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def chain(length):
    y = leaf(1, "x")
    for k in range(length):
        y = (tg.sin if k * k % 7 < 3 else tg.exp)(y)
    return y


@pytest.fixture
def no_graphviz(tmp_path, monkeypatch):
    """A machine with neither the program nor the package."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(layout, "_has_pygraphviz", lambda: False)


@pytest.fixture
def only_pygraphviz(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def fake_dot(folder: Path, script: str) -> None:
    """A program called dot that does as the Python script says: that needs no other program."""
    (folder / "bin").mkdir()
    (folder / "bin" / "dot.py").write_text(f"import os, subprocess, sys, time\n{script}\n")
    program = folder / "bin" / "dot"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{folder}/bin/dot.py" "$@"\n')
    program.chmod(0o755)


# -------------------------------------------------------------------------------------------------------------- backends


@needs_dot
def test_the_system_s_graphviz_comes_first():
    assert layout.backend().name == "dot"


@needs_pygraphviz
@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_without_it_pygraphviz_draws(only_pygraphviz, tmp_path, suffix, magic):
    assert layout.backend().name == "pygraphviz"
    path = (leaf(2, "x") * 3).graph(detail="full").render(tmp_path / f"g.{suffix}")
    assert path.read_bytes().startswith(magic)


@needs_pygraphviz
def test_pygraphviz_shows_names_as_they_were_written(only_pygraphviz):
    name = '텐서 "\\N" <b>&amp;</b> 😀'
    root = ET.fromstring((leaf(2, name) * 3).graph(show=()).picture("svg"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert name in [text.replace("\xa0", " ") for text in texts]


def test_none_is_found_out_before_any_work(no_graphviz, tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_edu.viz.picture.compose", None)
    (tmp_path / "old.svg").write_text("old")
    for name in ("old.svg", "new.png", "new.pdf"):
        with pytest.raises(MissingError) as caught:
            leaf(1).graph().render(tmp_path / name)
        message = str(caught.value)
        for command in ("pip install 'tinygrad-edu[render]'", "apt install graphviz", "brew install graphviz", "winget install"):
            assert command in message
        assert "to a path that ends in .dot, .mmd or .txt" in message
    assert [path.name for path in tmp_path.iterdir()] == ["old.svg"]
    assert (tmp_path / "old.svg").read_text() == "old"


def test_text_needs_none(no_graphviz, tmp_path):
    graph = (leaf(2, "x") * 3).graph()
    assert graph.render(tmp_path / "g.dot").read_text("utf-8").startswith("digraph")
    assert graph.render(tmp_path / "g.mmd").read_text("utf-8").startswith("flowchart TB")
    assert graph.render(tmp_path / "g.txt").read_text("utf-8") == "t1 () = ×(x (), 3)\n"
    assert '"multiply"' in graph.render(tmp_path / "g.json").read_text("utf-8")
    assert str(graph) == "t1 () = ×(x (), 3)"


def test_looking_for_it_loads_nothing():
    program = "import sys, tinygrad_edu.viz.layout as l; l.backend(); print(sys.modules.get('pygraphviz') is not None)"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PATH": ""}, capture_output=True, check=True, text=True
    )
    assert done.stdout == "False\n"


# ------------------------------------------------------------------------------------------------------------ time limits


@unix_only
def test_a_layout_that_never_ends_is_stopped_and_folded(tmp_path, monkeypatch):
    real = shutil.which("dot")
    if real is None:
        pytest.skip("Graphviz's program dot is not installed")
    fake_dot(
        tmp_path,
        "source = sys.stdin.buffer.read()\n"
        "if source.count(b' id=') > 30: time.sleep(60)\n"
        f"sys.exit(subprocess.run([{real!r}, sys.argv[1]], input=source).returncode)",
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    graph = chain(90).graph()
    start = time.perf_counter()
    with pytest.warns(
        UserWarning, match=r"dot did not lay out the graph within 0.5 s: it is drawn folded to at most \d+ boxes"
    ) as seen:
        picture = graph.picture(seconds=0.5)
    assert time.perf_counter() - start < 20
    assert 5 <= picture.count(b'class="node"') <= 30
    assert 1 <= len(seen) <= 3


@unix_only
def test_what_cannot_be_folded_any_further_is_given_up(tmp_path, monkeypatch):
    fake_dot(tmp_path, "time.sleep(60)")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "g.svg").write_text("old")
    with pytest.raises(TooSlowError, match=r"dot did not lay out the graph within 0.2 s"):
        leaf(1, "x").graph().render(tmp_path / "g.svg", seconds=0.2)
    assert (tmp_path / "g.svg").read_text() == "old"
    assert issubclass(TooSlowError, TimeoutError)
    assert issubclass(TooSlowError, TinygradError)


@unix_only
def test_a_graphviz_that_fails_is_named(tmp_path, monkeypatch):
    fake_dot(tmp_path, "sys.stdin.read(); print('Error: no fonts at all', file=sys.stderr); sys.exit(3)")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "g.svg").write_text("old")
    with pytest.raises(TinygradError, match="dot failed: Error: no fonts at all"):
        leaf(1, "x").graph().render(tmp_path / "g.svg")
    assert (tmp_path / "g.svg").read_text() == "old"


# -------------------------------------------------------------------------------------------------------------- notebooks


@needs_dot
def test_a_notebook_shows_picture_and_tree():
    bundle = (leaf(2, "x") * 3).graph()._repr_mimebundle_()
    assert sorted(bundle) == ["image/svg+xml", "text/plain"]
    assert bundle["text/plain"] == "t1 () = ×(x (), 3)"
    assert ET.fromstring(bundle["image/svg+xml"]).tag.endswith("svg")
    assert 'fill="white"' in bundle["image/svg+xml"]  # a notebook's own ground may be black


def test_without_graphviz_a_notebook_shows_a_flowchart(no_graphviz):
    bundle = (leaf(2, "x") * 3).graph()._repr_mimebundle_(include=None, exclude=None)
    assert sorted(bundle) == ["text/plain", "text/vnd.mermaid"]
    assert bundle["text/vnd.mermaid"].startswith("flowchart")


@unix_only
@pytest.mark.parametrize("script", ["sys.exit(1)", "time.sleep(60)", "os.kill(os.getpid(), 9)", "print('no svg')"])
def test_a_notebook_never_shows_an_error(tmp_path, monkeypatch, script):
    fake_dot(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("tinygrad_edu.viz.output.NOTEBOOK_SECONDS", 0.3)
    bundle = (leaf(2, "x") * 3).graph()._repr_mimebundle_()
    assert bundle["text/plain"].startswith("t1 () = ×(x (), 3)")
    assert re.search(r"\(no picture: dot (failed|did not)", bundle["text/plain"]) or script == "print('no svg')"


@pytest.mark.parametrize("error", [TypeError, MemoryError, RecursionError, AttributeError, AssertionError])
def test_a_notebook_shows_what_is_left_when_even_the_tree_fails(monkeypatch, no_graphviz, error):
    def fail(*_):
        raise error("on purpose")

    monkeypatch.setattr("tinygrad_edu.viz.text.tree", fail)
    bundle = leaf(2, "x").graph()._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Graph(0 operations, 1 tensors)\n(no picture: on purpose)")
