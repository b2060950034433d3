"""The steps page in a real browser: its controls, its numbers, and that it needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from steps_pages import EVIL, GRAPHS, at, leaf, net, small

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, MissingError
from tinygrad_edu.viz.layout import backend
from tinygrad_edu.viz.receipt import Receipt
from tinygrad_edu.viz.values import written

pytestmark = pytest.mark.skipif(backend() is None, reason="there is no Graphviz, neither the program dot nor pygraphviz")


# ------------------------------------------------------------------------------------------------------------------ controls


def test_the_keys_go_through_the_steps_and_the_address_says_where(show):
    page = show("small")
    last = int(page.inner_text("#count").split(" ")[-1])
    assert (at(page), last) == (0, 9)
    for key, step in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", 9),
        ("ArrowRight", 9),
        ("Home", 0),
        ("ArrowLeft", 0),
    ]:
        page.keyboard.press(key)
        assert at(page) == step
        assert page.url.endswith(f"#{step}")
    page.keyboard.press("Control+ArrowRight")  # the browser's own
    assert at(page) == 0


def test_an_address_leads_to_its_step(show):
    page = show("small", step="#7")
    assert at(page) == 7
    assert page.inner_text("#heading") == "Backward 2 of 4: multiply (o3)"
    page.evaluate("location.hash = '3'")
    page.wait_for_function("document.querySelector('#count').textContent.startsWith('3 ')")
    page = show("small", step="#999")
    assert at(page) == 9
    assert at(show("small", step="#nonsense")) == 0


def test_the_slider_moves_with_its_own_keys_one_step_at_a_time(show):
    page = show("small")
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    assert at(page) == 1  # and not 2: the page leaves the key to the slider
    page.keyboard.press("End")
    assert at(page) == 9
    assert page.get_attribute("#slider", "aria-valuetext") == "step 9 of 9: Backward 4 of 4: multiply (o1)"
    page.evaluate("const s = document.querySelector('#slider'); s.value = 4; s.dispatchEvent(new Event('input'))")
    assert at(page) == 4


def test_the_buttons(show):
    page = show("small")
    assert [page.is_disabled(f"#{id}") for id in ("first", "back", "next", "last")] == [True, True, False, False]
    for id, step in [("next", 1), ("last", 9), ("back", 8), ("first", 0)]:
        page.click(f"#{id}")
        assert at(page) == step
    page.click("#last")
    assert [page.is_disabled(f"#{id}") for id in ("first", "back", "next", "last")] == [False, False, True, True]


# ------------------------------------------------------------------------------------------------------------------- numbers


def table(page):
    """What the table of tensors says: (value, gradient) by id."""
    return page.evaluate(
        "Object.fromEntries([...document.querySelector('#rows').children].map((r) =>"
        " [r.dataset.id, [r.children[1].textContent, r.children[2].textContent]]))"
    )


@pytest.mark.parametrize("name", GRAPHS)
def test_in_the_end_the_gradients_are_those_of_the_engine(show, pages, name):
    page, receipt = show(name), pages[name][1]
    page.keyboard.press("End")
    with_grad = tg.Graph(receipt.graph.root, show=("value", "grad"))
    rows = table(page)
    tensors = [node for node in with_grad.nodes if node.kind == "tensor"]
    assert rows.keys() == {node.id for node in tensors}
    for node in tensors:
        assert rows[node.id] == [written(np.asarray(node.value)), "" if node.grad is None else written(node.grad)]
    scalars = {node.id: node.grad.item() for node in tensors if node.grad is not None and node.grad.size == 1}
    for id, grad in scalars.items():
        assert rows[id][1] == f"{grad:.4g}"
        assert page.text_content(f"#node-{id} .grad") == f"grad {grad:.4g}"


def test_at_every_step_the_running_sums_are_those_of_the_receipt(show, pages):
    page, receipt = show("small"), pages["small"][1]
    forward = len(receipt) + 1  # the states before: the start, and a forward step for each operation
    for count in range(len(receipt) + 1):
        page.evaluate(f"location.hash = '{forward + count}'")
        page.wait_for_function(f"document.querySelector('#count').textContent.startsWith('{forward + count} ')")
        grads = {id: text[1] for id, text in table(page).items() if text[1]}
        assert grads == {id: written(g) for id, g in receipt.replay(count).items()}


def test_values_appear_forward_and_gradients_backward(show):
    page = show("small")
    seen = []
    for _ in range(10):
        rows = table(page)
        seen.append((sum(bool(v) for v, _ in rows.values()), sum(bool(g) for _, g in rows.values())))
        page.keyboard.press("ArrowRight")
    assert seen == [(2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (6, 1), (6, 3), (6, 4), (6, 5), (6, 6)]


def test_a_step_shows_the_rule_the_operands_the_upstream_gradient_and_the_running_sum(show, pages):
    page, receipt = show("small", step="#9"), pages["small"][1]
    step = receipt[3]
    assert page.inner_text("#heading") == f"Backward 4 of 4: {step.op} ({step.node})"
    assert page.evaluate("[...document.querySelectorAll('.formula')].map((f) => f.textContent)") == ["y=ab", "∂L∂a=gb", "∂L∂b=ga"]
    assert page.evaluate("document.querySelector('#panel math').namespaceURI") == "http://www.w3.org/1998/Math/MathML"
    facts = page.evaluate("[...document.querySelectorAll('#panel dt')].map((d) => [d.textContent, d.nextSibling.textContent])")
    assert facts == [
        ["g, upstream", "0.9602"],
        ["a = x (i1)", "3"],
        [f"b = {EVIL} (i2)", "2"],
        ["y = t1", "6"],
        ["contribution", "1.92"],
        ["running sum before", "6"],
        ["running sum now", "7.92"],
        ["contribution", "2.881"],
    ]


def test_the_gradient_flows_against_the_arrows_along_the_edges_of_the_step(show):
    page = show("small", step="#7", reduced_motion="no-preference")
    flowing = "[...document.querySelectorAll('svg .edge.flow')].map((e) => e.dataset.uses)"
    # o3 is x · x: both of its arrows from x, and the one to its result.
    assert sorted(page.evaluate(flowing)) == ["i1 o3 0", "i1 o3 1", "o3 t3 y"]
    style = "getComputedStyle(document.querySelector('svg .edge.flow path')).animationName"
    assert page.evaluate(style) == "against"
    assert show("small", step="#7").evaluate(style) == "none"


# ------------------------------------------------------------------------------------------------------------- safe and alone


def test_a_name_that_is_markup_is_text(show):
    page = show("small", step="#9")
    assert page.locator("img").count() == 0
    assert EVIL in page.inner_text("#rows")
    assert page.evaluate("document.scripts.length") == 2
    assert page.text_content("#node-i2 text") == EVIL[:23] + "…"


def test_in_a_notebook_the_page_is_a_frame_that_can_only_run_its_script(browser, pages):
    receipt = pages["small"][1]
    bundle = receipt._repr_mimebundle_()
    assert bundle["text/plain"] == str(receipt)
    assert re.match(r'<iframe sandbox="allow-scripts" title="[^"]*" srcdoc="', bundle["text/html"])
    context = browser.new_context()
    page = context.new_page()
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_content(f"<p>notebook</p>{bundle['text/html']}")
    frame = page.frames[1]
    frame.click("#next")
    frame.click("#next")
    assert frame.inner_text("#heading") == "Forward: sin (o2)"
    assert said == []  # the address cannot be set there, which is no error
    assert page.evaluate("document.querySelector('iframe').contentDocument") is None  # an origin of its own
    context.close()


class Parts(HTMLParser):
    """The scripts, styles and attributes that load something of a page."""

    def __init__(self):
        super().__init__()
        self.found, self.loading, self.inside = [], [], None

    def handle_starttag(self, tag, attrs):
        self.loading += [(tag, name, value) for name, value in attrs if name in ("src", "href", "action", "style", "xlink:href")]
        self.loading += [(tag, name, value) for name, value in attrs if name.startswith("on")]
        self.inside = tag if tag in ("script", "style") else None
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        if self.inside:
            self.found.append((self.inside, data))
            self.inside = None


def test_the_file_loads_nothing_and_its_policy_allows_its_own_script_alone(pages):
    for path, receipt in pages.values():
        text = path.read_text("utf-8")
        parts = Parts()
        parts.feed(text)
        assert parts.loading == [("link", "href", "data:,")]
        kinds = [kind for kind, _ in parts.found]
        assert kinds == ["style", "script", "script"]
        style, trace, script = [content for _, content in parts.found]
        hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, style)]
        assert parts.policy.split("; ")[:4] == [
            "default-src 'none'",
            "img-src data:",
            f"script-src 'sha256-{hashes[0]}'",
            f"style-src 'sha256-{hashes[1]}'",
        ]
        assert "<" not in trace
        assert json.loads(trace)["root"] == receipt.root
        namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML", "http://www.w3.org/1999/xlink"}
        assert {*re.findall(r"\w+://[\w./]+", text)} <= namespaces
        assert len(text) < 100_000


@settings(max_examples=25)
@example("\ud800")
@example("value 3\ngrad 4")
@example('그래프 🙂 "<b>\\N & {{trace}}\x00\x1b<!--')
@given(st.text(min_size=1, max_size=20))
def test_any_name_is_written_as_it_is(name):
    x = leaf(2.0, name)
    receipt = (x * x).graph().steps()
    text = receipt.html()
    text.encode()
    parts = Parts()
    parts.feed(text)
    found = json.loads(parts.found[1][1])
    assert found["tensors"]["i1"]["name"] == name
    svg = ET.fromstring(re.search(r"<svg.*</svg>", text, re.DOTALL)[0])
    (group,) = [g for g in svg.iter() if g.get("data-id") == "i1"]
    lines = {line.get("class"): line.text for line in group if line.get("class")}
    assert lines == {"value": "value 2", "grad": "grad 4"}
    assert Receipt.from_json(receipt.to_json()).tensors["i1"].name == name


def test_the_page_is_the_same_each_time(pages):
    assert small().graph().steps().html() == pages["small"][0].read_text("utf-8")


def test_render_writes_the_page_too(tmp_path, pages):
    path = small().graph().render(tmp_path / "g.HTML")
    assert path.read_text("utf-8") == pages["small"][0].read_text("utf-8")


def test_without_graphviz_the_receipt_is_text_and_the_page_says_what_to_install(tmp_path, monkeypatch, pages):
    monkeypatch.setattr("tinygrad_edu.viz.layout.backend", lambda: None)
    receipt = small().graph().steps()
    with pytest.raises(MissingError, match=r"pip install 'tinygrad-edu\[render\]'"):
        receipt.render(tmp_path / "steps.html")
    with pytest.raises(MissingError, match=r"render\(.*steps.html"):
        small().graph().render(tmp_path / "steps.html")
    assert list(tmp_path.iterdir()) == []
    bundle = receipt._repr_mimebundle_()
    assert bundle.keys() == {"text/plain"}
    assert bundle["text/plain"].startswith(str(receipt))
    assert receipt.render(tmp_path / "steps.json").exists()


def test_an_input_that_is_drawn_many_times_shows_its_numbers_each_time(browser, tmp_path):
    x = leaf(0.5, "x")
    y = x
    for _ in range(10):
        y = tg.sin(y) * x
    receipt = y.graph().steps()
    page = browser.new_page()
    page.goto(receipt.render(tmp_path / "rnn.html").as_uri() + "#999")
    grads = page.evaluate("[...document.querySelectorAll('.node[data-id=i1] .grad')].map((line) => line.textContent)")
    assert len(grads) > 8
    assert set(grads) == {f"grad {receipt.gradients['i1'].item():.4g}"}
    assert page.locator(".node.got[data-id=i1]").count() == len(grads)
    page.close()


def rounds(count):
    """x ← tanh(w x), again and again."""
    x, w = leaf(0.5, "x"), leaf(0.9, "w")
    for _ in range(count):
        x = tg.tanh(w * x)
    return x


def deep():
    """Blocks that are all different, so that modules are closed."""
    rng = np.random.default_rng(0)
    widths = [3 + k * k % 7 for k in range(31)]
    blocks = [tg.nn.Sequential(tg.nn.Affine(a, b, rng=rng), tg.nn.Tanh(), tg.nn.LayerNorm(b)) for a, b in pairwise(widths)]
    return (tg.nn.Sequential(*blocks)(tg.Tensor(rng.normal(size=(2, 3)), name="X")) ** 2).mean()


@pytest.mark.parametrize("make", [small, net, lambda: rounds(60), deep])
def test_every_node_and_every_use_has_a_place_in_the_drawing(make):
    graph = make().graph()
    receipt = graph.steps()
    svg = ET.fromstring(re.search(r"<svg.*</svg>", receipt.html(), re.DOTALL)[0])
    boxes = {g.get("id"): g.get("data-nodes").split(" ") for g in svg.iter() if g.get("data-nodes")}
    arrows = [use for g in svg.iter() if g.get("data-uses") for use in g.get("data-uses").split(";")]
    home = {id: box for box, ids in boxes.items() for id in ids}
    assert home.keys() == {node.id for node in graph.nodes}
    uses = {f"{e.source} {e.target} {'y' if e.position is None else e.position}" for e in graph.edges}
    assert set(arrows) <= uses
    if len(graph.nodes) <= 200:
        assert len(boxes) == len(graph.nodes)
        assert sorted(arrows) == sorted(uses)
    else:
        assert len(boxes) <= 150
        missing = [use.split(" ") for use in uses - set(arrows)]
        assert all(home[source] == home[target] for source, target, _ in missing)


def test_a_large_graph_is_folded_and_lights_up_for_each_operation(browser, tmp_path):
    receipt = rounds(60).graph().steps()
    page = browser.new_page()
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(receipt.render(tmp_path / "rounds.html").as_uri())
    assert "folded" in page.inner_text("#parts")
    last = int(page.inner_text("#count").split(" ")[-1])
    assert last == 2 * len(receipt) + 1
    for number in (1, 2, 59, 120):
        page.evaluate(f"show({last - len(receipt) + number})")
        step = receipt[number - 1]
        assert step.node in page.inner_text("#heading")
        lit = page.evaluate("[...document.querySelectorAll('.node.now')].map((n) => n.dataset.nodes.split(' '))")
        assert {step.node, *[part.target for part in step.contributions]} <= {id for ids in lit for id in ids}
        assert page.locator(".edge.flow").count() >= 2
    assert page.locator(".node").count() < 10
    rows = dict(page.evaluate("[...document.querySelectorAll('#rows tr')].map((r) => [r.dataset.id, r.children[2].textContent])"))
    assert {id: rows[id] for id in receipt.gradients} == {id: written(g) for id, g in receipt.gradients.items()}
    assert said == []
    page.close()


def test_numbers_are_not_shown_before_they_are_computed(browser, tmp_path):
    page = browser.new_page()
    page.goto(deep().graph().render(tmp_path / "deep.html").as_uri())
    assert page.locator("svg .edge text").count() > 0
    visible = "[...document.querySelectorAll('svg text')].filter((t) => getComputedStyle(t).visibility === 'visible')"
    texts = page.evaluate(f"{visible}.map((t) => t.textContent.trim())")
    assert [text for text in texts if text.startswith("grad")] == []
    inputs = page.evaluate("[...document.querySelectorAll('.node.reached .value')].map((t) => t.textContent)")
    assert [text for text in texts if text.startswith("value")] == inputs
    page.close()


def test_what_cannot_be_followed_is_refused_in_words(pages):
    with pytest.raises(ArgumentError, match=r"up to 2,000 nodes, and the graph has 2,402.*print\(graph.steps\(\)\)"):
        rounds(600).graph().steps().html()
    again = Receipt.from_json(pages["small"][1].to_json())
    with pytest.raises(ArgumentError, match="read from JSON and has no graph"):
        again.html()
    assert again._repr_mimebundle_()["text/plain"].endswith("has no graph to draw; write the page where the graph is)")
