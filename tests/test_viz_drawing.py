"""How a `Graph` is drawn and written: DOT text, labels, boxes for modules, files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, MissingError
from tinygrad_edu.graph import mode

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program dot is not installed")
SVG = "{http://www.w3.org/2000/svg}"


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def network():
    """A loss of two layers, as modules record it."""
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(5, 4)), name="X")
    for number, width in enumerate([3, 2]):
        w, b = leaf(rng.normal(size=(h.shape[1], width)), f"W{number}"), leaf(np.zeros(width), f"b{number}")
        with mode(scope=("Net", f"{2 * number}: Linear")):
            h = h @ w + b
        with mode(scope=("Net", f"{2 * number + 1}: Sigmoid")):
            h = tg.sigmoid(h)
    return (h**2).mean()


def recurrent(steps):
    w, b, h = leaf(np.eye(3), "W"), leaf(np.zeros(3), "b"), leaf(np.ones(3), "h")
    for _ in range(steps):
        h = tg.tanh(h @ w + b)
    return h.sum()


def node_lines(source):
    """The attributes of every DOT node, and the boxes that it stands in, by its id."""
    found, boxes = {}, []
    for line in source.splitlines()[1:]:
        if box := re.match(r"\s*subgraph (\w+) \{", line):
            boxes.append(box[1])
        elif line.strip() == "}":
            boxes = boxes[:-1]
        elif node := re.match(r"\s*([iot]\d+(?:_\d+)?) \[(.*)\]$", line):
            assert node[1] not in found, "drawn twice"
            found[node[1]] = (node[2], tuple(boxes))
    return found


def edge_lines(source):
    return re.findall(r"^\t(\w+) -> (\w+)(.*)$", source, re.MULTILINE)


# ------------------------------------------------------------------------------------------------------------------ text


def test_every_node_and_edge_is_drawn_once():
    graph = network().graph(detail="full")
    source = graph.dot().source
    assert node_lines(source).keys() == {node.id for node in graph.nodes}
    assert [edge[:2] for edge in edge_lines(source)] == [(edge.source, edge.target) for edge in graph.edges]


def test_shape_and_colour_tell_the_role():
    x = leaf(2, "x")
    found = node_lines((tg.sin(x) * 3).graph(detail="full").dot().source)
    looks = {
        id: (re.search(r"shape=(\w+)", text)[1], "fillcolor" in text and re.search(r"fillcolor=(\S+)", text)[1])
        for id, (text, _) in found.items()
    }
    leaf_, intermediate, constant, operation, result = (looks[id] for id in ("i1", "t1", "i2", "o1", "t2"))
    assert len({shape for shape, _ in (leaf_, intermediate, constant)}) == 3
    assert len({colour for _, colour in (leaf_, intermediate, constant, operation, result)}) == 5
    assert "peripheries=2" in found["t2"][0]
    assert "rounded" in found["o1"][0]
    assert "rounded" not in found["i2"][0]


def test_operands_that_cannot_change_places_are_named():
    x, y = leaf(2, "x"), leaf(3, "y")
    source = ((x - y) * y).graph(detail="full").dot().source
    labels = {edge[:2]: re.findall(r'label="? ?(\w+)', edge[2]) for edge in edge_lines(source)}
    assert labels["i1", "o1"] == ["a"]
    assert labels["i2", "o1"] == ["b"]
    assert labels["t1", "o2"] == labels["i2", "o2"] == labels["o1", "t1"] == []
    assert "ordering=in" in node_lines(source)["o1"][0]


def test_an_operation_explains_itself():
    assert f'tooltip="{tg.sin.op.formula}"' in tg.sin(leaf(1)).graph().dot().source


def test_an_unlabelled_tensor_is_still_visible():
    found = node_lines((tg.sin(leaf(1)) * 2).graph(show=(), detail="full").dot().source)
    assert "shape=point" in found["t1"][0]


PROGRAM = """
import numpy as np
import tinygrad_edu as tg
from tinygrad_edu.graph import mode
x, w = tg.Tensor([1.0, 2.0], requires_grad=True, name="x"), tg.Tensor([3.0, 4.0], requires_grad=True, name="w")
with mode(scope=("Net", "0: Linear")):
    y = x * w + np.array([1.0, 2.0]) - 3
with mode(scope=("Net", "1: Sigmoid")):
    y = tg.sigmoid(y) * x
for _ in range(30):
    y = tg.sin(y) + w
print(y.sum().graph(show=("grad", "value", "dtype", "shape")).dot().source)
"""


def test_the_same_text_in_every_process():
    texts = []
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True)
        texts.append(done.stdout)
    assert texts[0].startswith(b"digraph")
    assert len(set(texts)) == 1


def test_graphviz_is_imported_when_it_is_used():
    show = "print('graphviz' in sys.modules)"
    program = f"import sys, tinygrad_edu as tg; graph = tg.Tensor(1.0).graph(); {show}; graph.dot(); {show}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(MissingError, match="pip install graphviz"):
        leaf(1).graph().dot()


# ---------------------------------------------------------------------------------------------------------------- labels


NASTY = [*'"\\<>{}[]|&:;#%\n\t\r\0\x1f\x7f\x85\ud800\udfff\ufffe\ufeffσ😀 ', "\\n", "\\N", "\\G", '\\"', "  ", "\r\n", "텐서"]
NASTY += ["<b>", "{a|b}", "a:b", "&amp;", "&lt;", "&#65;", "node", "digraph", "-> t1", "//", "/*", "%s"]
pieces = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=()), max_size=5)
names = st.lists(pieces, max_size=6).map("".join)


def shown(label):
    """The lines that a label has in a picture."""
    label = re.sub(r"[\t\r]", " ", label)
    label = "".join("\ufffd" if re.match(r"[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", c) else c for c in label)
    return [line.replace("\xa0", " ") for line in label.split("\n") if line]


def texts_of(graph, *kinds):
    """The lines of text in each node and box, or in each edge, of the SVG, by DOT id."""
    root = ET.fromstring(graph.dot().pipe("svg"))
    return {
        group.find(f"{SVG}title").text: [text.text.replace("\xa0", " ") for text in group.findall(f".//{SVG}text")]
        for group in root.iter(f"{SVG}g")
        if group.get("class") in (kinds or ("node", "cluster"))
    }


@needs_dot
@given(st.lists(names, min_size=1, max_size=5))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_text_is_shown_as_it_was_written(texts):
    total = leaf(0)
    for number, text in enumerate(texts):
        with mode(scope=("module", f"{number}: {text}")):
            total = leaf(1, text) + total
    total.name = texts[0]
    graph = total.graph(show=(), detail="full")
    found = texts_of(graph)
    for node in graph.nodes:
        if node.kind == "tensor":
            assert found[node.id] == shown(node.name or "")
    boxes = [text for id, text in found.items() if id.startswith("cluster_")]
    assert sorted(boxes) == sorted([["module"], *[shown(f"{number}: {text}") for number, text in enumerate(texts)]])


@needs_dot
@given(st.lists(names, min_size=1, max_size=3), names)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_text_beside_arrows_and_highlights_is_shown_as_it_was_written(texts, reason):
    y = leaf(0, "x")
    for text in texts:
        y = tg.sin(y)
        y.name = text
    last = tg.sin(y)
    graph = last.graph(show=(), highlight={last: reason})
    found = texts_of(graph, "edge")
    for number, text in enumerate(texts, 1):
        lines = [line for line in shown(text) if line]
        assert [line.strip() for line in found[f"o{number}->o{number + 1}"]] == [line.strip() for line in lines if line.strip()]
    assert texts_of(graph)[f"o{len(texts) + 1}"] == ["sin", *shown(reason)]


@needs_dot
def test_a_user_s_operation_is_shown_as_it_was_written():
    @tg.primitive(label='<f> "&amp;" \\N\n2')
    def f(a):
        """y = <b>a & "b"\\N</b>"""
        return a * 1

    f.vjp(a=lambda g: g)
    assert texts_of(f(leaf(1)).graph())["o1"] == ['<f> "&amp;" \\N', "2"]


def test_no_id_is_made_of_a_user_s_text():
    with mode(scope=("a -> b", "node")):
        source = (leaf(1, "digraph") * leaf(2, "x:n")).graph(detail="full").dot().source
    assert set(node_lines(source)) == {"i1", "i2", "o1", "t1"}
    assert {box for _, boxes in node_lines(source).values() for box in boxes} == {"cluster_1", "cluster_2"}


# ----------------------------------------------------------------------------------------------------- boxes and layout


def test_boxes_nest_like_modules():
    graph = network().graph(detail="full")
    found = node_lines(graph.dot().source)
    scopes = {node.id: node.scope for node in graph.nodes}
    boxes = {scopes[id]: stack for id, (_, stack) in found.items()}
    assert boxes[()] == ()
    assert {len(stack) for stack in boxes.values()} == {0, 2}
    assert len(set(boxes.values())) == len(boxes) == 5
    assert {stack[0] for stack in boxes.values() if stack} == {"cluster_1"}
    for id, (_, stack) in found.items():
        assert stack == boxes[scopes[id]]


def test_a_module_that_runs_twice_has_one_box():
    y = leaf(1)
    for _ in range(2):
        with mode(scope=("Cell",)):
            y = tg.sin(y)
        y = tg.exp(y)
    source = y.graph(detail="full").dot().source
    assert source.count("subgraph") == 1
    assert [len(boxes) for id, (_, boxes) in node_lines(source).items() if id[0] == "o"] == [0, 0, 1, 1]


def test_an_input_is_drawn_once_for_each_use_where_these_are_many():
    few, many = recurrent(4).graph(max_nodes=None, detail="full"), recurrent(30).graph(max_nodes=None, detail="full")
    assert len(node_lines(few.dot().source)) == len(few.nodes)
    source = many.dot().source
    found = node_lines(source)
    copies = [id for id in found if re.fullmatch(r"i2(_\d+)?", id)]
    assert copies == [f"i2_{number}" for number in range(1, 31)]
    assert [re.search(r"use \d+ of 30", found[id][0])[0] for id in copies] == [f"use {number} of 30" for number in range(1, 31)]
    into = Counter(target for _, target, _ in edge_lines(source))
    assert into == Counter(edge.target for edge in many.edges)
    assert Counter(start for start, _, _ in edge_lines(source))["i2_7"] == 1
    assert {start for start, _, _ in edge_lines(source)} <= found.keys()


@needs_dot
def test_a_module_stands_below_the_one_before():
    graph = network().graph(detail="full")
    plain = graph.dot().pipe("plain").decode()
    height = {id: float(y) for id, y in re.findall(r"^node (\S+) \S+ (\S+)", plain, re.MULTILINE)}
    names = ["0: Linear", "1: Sigmoid", "2: Linear", "3: Sigmoid"]
    spans = [[height[node.id] for node in graph.nodes if node.scope == ("Net", name)] for name in names]
    assert all(min(above) > max(below) for above, below in pairwise(spans))


def along(position):
    """Points along an arrow, as Graphviz writes it: where it starts and ends, and the control points of its cubic curves."""
    ends = dict(part.split(",", 1) for part in position.split() if part[0] in "es")
    controls = [tuple(map(float, part.split(","))) for part in position.split() if part[0] not in "es"]
    for first in range(0, len(controls) - 1, 3):
        a, b, c, d = np.array(controls[first : first + 4])
        for t in np.linspace(0, 1, 20):
            yield (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t * t * (1 - t) * c + t**3 * d
    yield from [tuple(map(float, end.split(","))) for end in ends.values()]


@needs_dot
@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("detail", ["ops", "full"])
def test_no_arrow_crosses_the_name_of_a_narrow_module(direction, detail):
    net = tg.nn.Sequential(
        tg.nn.Conv2d(1, 2, 3), tg.nn.ReLU(), tg.nn.MaxPool2d(2), tg.nn.Flatten(), tg.nn.Linear(8, 2), tg.nn.Sequential(tg.nn.Tanh())
    )
    graph = net(leaf(np.ones((1, 1, 6, 6)), "x")).graph(detail=detail, direction=direction)
    laid_out = json.loads(graph.dot().pipe("json"))
    names = {}
    for frame in laid_out["objects"]:
        if frame["name"].startswith("cluster_"):
            x, y = map(float, frame["lp"].split(","))
            width, height = float(frame["lwidth"]) * 72, float(frame["lheight"]) * 72
            names[frame["label"]] = (x - width / 2, x + width / 2, y - height / 2, y + height / 2)
    assert len(names) == 8
    narrow = ["1: ReLU", "2: MaxPool2d", "3: Flatten", "5: Sequential", "0: Tanh"]
    for edge in laid_out["edges"]:
        for x, y in along(edge["pos"]):
            for name in narrow:
                left, right, low, high = names[name]
                assert not (left < x < right and low < y < high), name
    assert sum("lhead" in edge for edge in laid_out["edges"]) == 4  # the arrow into Tanh ends at the outer frame


@needs_dot
def test_a_deep_graph_of_modules_is_drawn():
    y = leaf(1)
    scope = tuple(f"level {number}" for number in range(20))
    with mode(scope=scope):
        y = tg.sin(y)
    found = texts_of(y.graph())
    assert [found[f"cluster_{number}"] for number in range(1, 21)] == [[name] for name in scope]


# ----------------------------------------------------------------------------------------------------------------- files


MAGIC = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "gv": b"digraph", "SVG": b"<?xml"}


@pytest.mark.parametrize("suffix", [pytest.param(s, marks=needs_dot) if s.lower() in ("svg", "png", "pdf") else s for s in MAGIC])
def test_the_suffix_names_the_format(tmp_path, suffix):
    path = tmp_path / f"그림 1.{suffix}"
    assert network().graph().render(str(path)) == path
    assert path.read_bytes().startswith(MAGIC[suffix])
    assert list(tmp_path.iterdir()) == [path]


@needs_dot
def test_a_png_is_sharp(tmp_path):
    graph = leaf(1, "a name of some length").graph()
    inches = float(graph.dot().pipe("plain").split()[2])
    pixels = int.from_bytes(graph.render(tmp_path / "x.png").read_bytes()[16:20], "big")
    assert pixels > 140 * inches


def test_dot_text_in_a_file_is_the_source(tmp_path):
    graph = leaf(1, "텐서 \ud800").graph()
    assert graph.render(tmp_path / "x.dot").read_text(encoding="utf-8") == graph.dot().source


@pytest.mark.parametrize("name", ["graph", "graph.jpg", "graph.", ".svg", "svg"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(ArgumentError, match=r"names no format; end the path in one of \.svg, \.png, \.pdf, \.dot, \.gv, "):
        leaf(1).graph().render(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    def fail(self, _):
        raise OSError(28, "No space left on device", str(self))

    (tmp_path / "x.dot").write_text("old")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        leaf(1).graph().render(tmp_path / "x.dot")
    assert caught.value.filename == str(tmp_path / "x.dot")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_path_that_cannot_be_written(tmp_path):
    graph = leaf(1).graph()
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.dot").mkdir()
    for name in ("nowhere/x.dot", "file/x.dot", "folder.dot"):
        with pytest.raises(OSError, match=re.escape(repr(str(tmp_path / name)))) as caught:
            graph.render(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.dot"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.dot", tmp_path / "link.dot"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system lets only administrators make links")
    leaf(1).graph().render(link)
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("digraph")
