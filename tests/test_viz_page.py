"""The steps page in a real browser: its controls, its numbers, what it shows to whom, and that it needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, MissingError
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.viz.layout import backend
from tinygrad_edu.viz.mathml import mathml, parts_of
from tinygrad_edu.viz.receipt import Receipt
from tinygrad_edu.viz.values import written

EVIL = "</script><img src=x onerror=alert(1)>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# No background traffic, and no sandbox of its own, which a container has no rights for.
FLAGS = [f"--{flag}" for flag in ("no-sandbox", "no-first-run", "disable-gpu", "disable-quic", "disable-sync")] + [
    "--disable-background-networking",
    "--disable-component-update",
]
WIDTHS = {320: 640, 740: 720, 1280: 800, 1920: 1080}  # a phone, a frame in a notebook, a screen, a projector

pytestmark = pytest.mark.skipif(backend() is None, reason="there is no Graphviz, neither the program dot nor pygraphviz")


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def small():
    """x is used three times, w has a name that tries to break out."""
    x, w = leaf(3.0, "x"), leaf(2.0, EVIL)
    return tg.sin(x * w) + x * x


def net():
    rng = np.random.default_rng(0)
    net = tg.nn.Sequential(tg.nn.Affine(2, 4, rng=rng), tg.nn.Sigmoid(), tg.nn.Affine(4, 2, rng=rng))
    loss = tg.softmax_cross_entropy(net(tg.Tensor(rng.normal(size=(4, 2)), name="X")), tg.Tensor([0, 1, 1, 0], name="t"))
    loss.name = "loss"
    return loss


GRAPHS = {"small": small, "net": net}


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, tuple[Path, Receipt]]:
    """The pages of the graphs, with the receipts that they were made of."""
    folder = tmp_path_factory.mktemp("pages")
    receipts = {name: make().graph().steps() for name, make in GRAPHS.items()}
    return {name: (receipt.render(folder / f"{name}.html"), receipt) for name, receipt in receipts.items()}


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'tinygrad-edu[test]'")
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def contexts(browser):
    """Browser contexts by their options: making one takes longer than most tests."""
    made = {}

    def context(**options):
        key = tuple(sorted((name, str(value)) for name, value in options.items()))
        if key not in made:
            made[key] = browser.new_context(**options)
        return made[key]

    return context


@pytest.fixture
def show(contexts, pages):
    """Open a page; afterwards, nothing must have been asked of the network, and nothing said on the console."""
    opened = []

    def show(name, *, step="", width=1280, **options):
        options = {"color_scheme": "light", "reduced_motion": "reduce"} | options
        page = contexts(**options).new_page()
        page.set_viewport_size({"width": width, "height": WIDTHS[width]})
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
        address = pages[name][0].as_uri()
        page.goto(f"{address}{step}")
        opened.append((page, address, asked, said))
        return page

    yield show
    for page, address, asked, said in opened:
        page.close()
        assert {url.partition("#")[0] for url in asked} == {address}
        assert said == []


def at(page):
    """The step that the page says that it is at."""
    return int(page.inner_text("#count").split(" ")[0])


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
    flowing = (
        "[...document.querySelectorAll('svg .edge.flow')].map((e) => [e.dataset.source, e.dataset.target, e.dataset.position])"
    )
    # o3 is x · x: both of its arrows from x, and the one to its result.
    assert sorted(page.evaluate(flowing)) == [["i1", "o3", "0"], ["i1", "o3", "1"], ["o3", "t3", ""]]
    style = "getComputedStyle(document.querySelector('svg .edge.flow path')).animationName"
    assert page.evaluate(style) == "against"
    assert show("small", step="#7").evaluate(style) == "none"


# --------------------------------------------------------------------------------------------------------- who looks at it


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(show, theme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    script = Path(axe.__file__).with_name("axe.min.js").read_text("utf-8")
    for name, width, steps in [("small", 1280, (2, 9)), ("net", 320, (17,)), ("small", 1920, (5,))]:
        # The policy lets no other script run: not even this one, unless the browser is told to.
        page = show(name, width=width, color_scheme=theme, bypass_csp=True)
        page.evaluate(script)
        for step in steps:
            page.evaluate(f"location.hash = '{step}'")
            page.wait_for_function(f"document.querySelector('#count').textContent.startsWith('{step} ')")
            found = page.evaluate("axe.run()")
            assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []
            assert len(found["passes"]) > 20


LAYOUT = """() => {
  const wrong = [];
  const box = (e) => e.getBoundingClientRect();
  const crosses = (a, b, by = 1) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > by
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > by;
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`the page is ${root.scrollWidth} wide`);
  const blocks = [...document.querySelectorAll("header, nav, section, footer")];
  for (const [i, a] of blocks.entries()) for (const b of blocks.slice(i + 1)) {
    if (crosses(box(a), box(b))) wrong.push(`${a.id || a.tagName} and ${b.id || b.tagName} overlap`);
  }
  // Nothing is wider than what it stands in; only the graph may be larger than its window, and is scrolled.
  for (const e of document.querySelectorAll("h1, h2, h3, p, button, dt, dd, th, td, math, mtable, mtd, kbd, .rule, .key")) {
    const [inner, outer] = [box(e), box(e.closest("section, nav, header, footer, main"))];
    if (inner.right > outer.right + 1 || inner.left < outer.left - 1) {
      if (!e.classList.contains("unseen")) wrong.push(`${e.tagName} ${e.textContent} is cut`);
    }
    const wide = e.clientWidth && e.scrollWidth > e.clientWidth + 1;
    if (wide && !e.classList.contains("unseen")) wrong.push(`${e.tagName} ${e.textContent} overflows`);
  }
  const cells = [...document.querySelectorAll("#panel dd, #panel dt, #panel h2, #panel h3, #panel .rule, #all td, #all th")];
  for (const [i, a] of cells.entries()) for (const b of cells.slice(i + 1)) {
    if (crosses(box(a), box(b)) && !a.contains(b)) wrong.push(`${a.textContent} and ${b.textContent} overlap`);
  }
  const texts = [...document.querySelectorAll("#graph svg .node text")];
  for (const [i, a] of texts.entries()) for (const b of texts.slice(i + 1)) {
    if (crosses(box(a), box(b), 3)) wrong.push(`in the graph, ${a.textContent} and ${b.textContent} overlap`);
  }
  for (const text of texts) {
    const shape = text.parentNode.querySelector("ellipse, polygon, path");
    if (shape && (box(text).left < box(shape).left || box(text).right > box(shape).right)) {
      wrong.push(`in the graph, ${text.textContent} is wider than its shape`);
    }
    if (parseFloat(getComputedStyle(text).fontSize) * box(document.querySelector("#graph svg")).width
        / document.querySelector("#graph svg").viewBox.baseVal.width < 10) wrong.push(`${text.textContent} is too small to read`);
  }
  return wrong;
}"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_overlaps_or_is_cut(show, name, width):
    page = show(name, width=width)
    last = int(page.inner_text("#count").split(" ")[-1])
    for step in range(last + 1) if width == 320 else (0, last // 3, 2 * last // 3, last):
        page.evaluate(f"location.hash = '{step}'")
        page.wait_for_function(f"document.querySelector('#count').textContent.startsWith('{step} ')")
        assert page.evaluate(LAYOUT) == []


def test_every_formula_of_the_library_fits_on_a_phone(show):
    page = show("small", width=320, bypass_csp=True)
    formulas = [mathml(part, op.operands) for op in REGISTRY.values() for part in parts_of(op.formula)]
    wide = page.evaluate(
        """(formulas) => {
          const wrong = [];
          for (const one of formulas) {
            document.getElementById("rule").replaceChildren(formula(one));
            const [inside, around] = ["rule", "panel"].map((id) => document.getElementById(id));
            const room = around.getBoundingClientRect().right;
            const beyond = [...inside.querySelectorAll("math")].filter((m) => m.getBoundingClientRect().right > room);
            if (beyond.length) wrong.push(inside.textContent);
          }
          return wrong;
        }""",
        formulas,
    )
    assert len(formulas) > 400
    assert wide == []


def test_the_layout_check_notices(show):
    page = show("small", bypass_csp=True)
    page.keyboard.press("End")
    page.add_style_tag(content="dd { margin-left: -8rem !important; white-space: nowrap } #all { margin-top: -6rem }")
    wrong = page.evaluate(LAYOUT)
    assert any("panel and all overlap" in line for line in wrong)
    assert any("g, upstream" in line for line in wrong)


def test_the_operation_of_the_step_is_scrolled_into_view(show):
    page = show("net", width=320)
    for step in range(1, 18):
        page.keyboard.press("ArrowRight")
        inside = page.evaluate(
            "(() => { const n = document.querySelector('svg .node.now').getBoundingClientRect();"
            " const o = document.querySelector('#graph').getBoundingClientRect();"
            " return n.bottom > o.top && n.top < o.bottom && n.right > o.left && n.left < o.right; })()"
        )
        assert inside, step
    assert page.evaluate("window.scrollY") == 0


def test_a_screen_reader_is_told_one_line_for_each_step(show, pages):
    page = show("small", step="#9")
    assert page.get_attribute("#say", "role") == "status"
    assert (
        page.inner_text("#say") == f"Step 9 of 9. Backward through multiply: x (i1) gets 1.92, in all 7.92; {EVIL} (i2) gets 2.881."
    )
    assert page.get_attribute("#node-i1", "aria-label") == "x (i1), leaf, value 3, gradient 7.92"
    assert page.get_attribute("#node-o1", "aria-label") == "operation multiply"
    assert page.locator("svg title").count() == 0


def test_the_theme_follows_the_system_and_can_be_changed(show):
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = show("small"), show("small", color_scheme="dark")
    assert light.evaluate(background) == "rgb(255, 255, 255)"
    assert dark.evaluate(background) == "rgb(20, 22, 27)"
    assert (light.inner_text("#theme"), dark.inner_text("#theme")) == ("Dark", "Light")
    light.click("#theme")
    assert light.evaluate(background) == "rgb(20, 22, 27)"
    assert light.inner_text("#theme") == "Light"


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


def test_what_cannot_be_followed_is_refused_in_words(pages):
    x = leaf(1.0)
    for _ in range(101):
        x = x + 1.0
    with pytest.raises(ArgumentError, match=r"up to 200 nodes, and the graph has 304.*print\(graph.steps\(\)\)"):
        x.graph().steps().html()
    again = Receipt.from_json(pages["small"][1].to_json())
    with pytest.raises(ArgumentError, match="read from JSON and has no graph"):
        again.html()
    assert again._repr_mimebundle_()["text/plain"].endswith("has no graph to draw; write the page where the graph is)")
