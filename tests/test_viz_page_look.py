"""The steps page as people see and hear it, in a real browser: on every screen, in both themes, and read aloud."""

from __future__ import annotations

from pathlib import Path

import pytest
from steps_pages import EVIL, GRAPHS, WIDTHS

from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.viz.layout import backend
from tinygrad_edu.viz.mathml import mathml, parts_of

pytestmark = pytest.mark.skipif(backend() is None, reason="there is no Graphviz, neither the program dot nor pygraphviz")


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
