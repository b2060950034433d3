"""The README and the docs, run: what they print is what they show, what they draw is what they say, and links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import MissingError
from tinygrad_edu.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


class Block(NamedTuple):
    """A fenced block of a page."""

    info: str  # what stands after the opening fence
    text: str
    line: int  # of the first line of text, counted from 1
    follows: bool  # whether nothing but blank lines stands between the block before it and this one


def fenced(page: str) -> list[Block]:
    """The fenced blocks of a Markdown page, in order."""
    found: list[Block] = []
    between = ""
    lines = page.splitlines()
    position = 0
    while position < len(lines):
        opening = re.match(r"(`{3,}|~{3,})\s*(.*)", lines[position])
        if not opening:
            between += lines[position].strip()
            position += 1
            continue
        fence, info = opening.groups()
        end = next(i for i in range(position + 1, len(lines)) if lines[i].startswith(fence))
        text = "".join(f"{line}\n" for line in lines[position + 1 : end])
        found.append(Block(info.strip(), text, position + 2, bool(found) and not between))
        between, position = "", end + 1
    return found


@contextlib.contextmanager
def rendering_may_be_missing() -> Iterator[None]:
    """Without Graphviz a page can do all but render, and that must say what is missing."""
    try:
        yield
    except MissingError:
        if shutil.which("dot"):
            raise


def run(page: str, name: str) -> list[str]:
    """Execute the python blocks of a page in one namespace, and say where the output is not what the page shows."""
    namespace: dict[str, Any] = {"__name__": "page"}
    wrong = []
    blocks = fenced(page)
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.info != "python":
            continue
        code = compile("\n" * (block.line - 1) + block.text, name, "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), rendering_may_be_missing():
            exec(code, namespace)
        shown = following.text if following and following.info == "text" and following.follows else ""
        if printed.getvalue() != shown:
            wrong.append(f"{name}:{block.line} prints\n{printed.getvalue()}and the page shows\n{shown}")
    return wrong


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder of its own to run in; operations that a page declares are forgotten afterwards."""
    before = dict(REGISTRY)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_prints_is_what_it_shows(page, elsewhere):
    assert run(page.read_text("utf-8"), str(page)) == []


def test_a_wrong_output_is_found(elsewhere):
    assert run("```python\nprint(1)\n```\n\n```text\n1\n```\n", "page") == []
    assert run("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page") == ["page:2 prints\n1\nand the page shows\n2\n"]
    assert run("```python\nprint(1)\n```\nwords\n```text\n1\n```\n", "page") == ["page:2 prints\n1\nand the page shows\n"]
    assert run("```python\nx = 1\n```\n```text\n1\n```\n", "page") == ["page:2 prints\nand the page shows\n1\n"]
    with pytest.raises(ZeroDivisionError):
        run("```python\n1 / 0\n```\n", "page")


def test_every_block_says_what_it_is():
    known = {"python", "text", "sh", "{eval-rst}", "{toctree}"}
    strange = [f"{page.name}:{b.line} {b.info!r}" for page in PAGES for b in fenced(page.read_text("utf-8")) if b.info not in known]
    assert strange == []


PICTURES = runpy.run_path(str(ROOT / "docs" / "pictures.py"))


# --------------------------------------------------------------------------------------------------------------- links


def without_blocks(page: str) -> str:
    return re.sub(r"^(`{3,}).*?^\1`*$", "", page, flags=re.MULTILINE | re.DOTALL)


def links(page: str) -> list[str]:
    """The targets of a page's links and pictures that lie in the repository."""
    text = re.sub(r"`[^`\n]+`", "", without_blocks(page))
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|srcset|href)=\"([^\"]+)\"", text)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: str) -> set[str]:
    """The anchors that a page's headings get: lower case, punctuation dropped, spaces to hyphens."""
    headings = re.findall(r"^#+\s+(.*)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path, text: str) -> list[str]:
    dead = []
    for target in links(text):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if file.parent.name == "images" and (file.stem in PICTURES["PICTURES"] or file.stem == "step_size"):
            continue  # drawn by the build
        if not file.exists() or (anchor and anchor not in anchors(text if not path else file.read_text("utf-8"))):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert dead_links(page, page.read_text("utf-8")) == []


def test_a_dead_link_is_found():
    page = '# A title\n[a](docs/none.md) ![b](LICENSE) [c](#a-title) [d](#another) <img src="none.svg">\n`[e](code)`'
    assert dead_links(README, page) == ["docs/none.md", "#another", "none.svg"]


# ------------------------------------------------------------------------------------------------------ the two commands


def commands() -> list[str]:
    """The README's shell blocks, of which `.ci/run` runs the one that ends in pytest."""
    return [block.text for block in fenced(README.read_text("utf-8")) if block.info == "sh"]


COMMAND = re.compile(
    r"python3 -m venv (?P<venv>\S+) && (?P=venv)/bin/pip install (?:-q )?(?:-e )?['\"]?\.(?:\[(?P<extra>[\w,]+)\])?['\"]? && "
    r"(?P=venv)/bin/(?P<program>.+)\n"
)


def test_two_commands_each_stand_alone():
    matches = [COMMAND.fullmatch(command) for command in commands()[:2]]
    assert all(matches), commands()[:2]
    demo, test = [match.groupdict() for match in matches]
    assert demo["program"] == "tinygrad-edu demo"
    assert test["program"] == "pytest -n auto"
    assert demo["venv"] != test["venv"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert test["extra"] in extras
    ignored = (ROOT / ".gitignore").read_text("utf-8").split()
    assert {f"{demo['venv']}/", f"{test['venv']}/"} <= set(ignored)


@pytest.mark.skipif(
    os.name != "posix" or not (shutil.which("bash") and shutil.which("awk")),
    reason="the script that reads the README is written in bash and awk",
)
def test_ci_runs_the_same_test_command():
    script = ROOT / ".ci" / "run"
    if not script.exists():  # the source distribution has no dotfiles
        pytest.skip("no .ci/run here")
    printed = subprocess.run(["bash", str(script), "--print-test-command"], capture_output=True, text=True, check=True).stdout
    assert printed == commands()[1]


# ------------------------------------------------------------------------------------------------------------- pictures


def test_the_readmes_picture_shows_what_its_page_computes(elsewhere):
    """Compared as DOT: the SVG's letter widths depend on the fonts of the machine that drew it."""
    picture = PICTURES["graph"]("readme")
    stored = ROOT / "docs" / "images" / "readme.dot"
    assert picture.dot().source == stored.read_text("utf-8"), "run: python docs/pictures.py readme"
    svg = stored.with_suffix(".svg").read_text("utf-8")
    drawn = re.findall(r'class="node"[^>]*>\s*<title>(.*?)</title>', svg)
    boxes = re.findall(r"^\s*([iot]\d+(?:_\d+)?) \[", stored.read_text("utf-8"), re.MULTILINE)
    assert sorted(drawn) == sorted(boxes)
    assert boxes


@pytest.mark.parametrize("name", sorted(PICTURES["PICTURES"].keys() - {"readme"}))
def test_a_page_has_the_code_of_its_pictures(name, elsewhere):
    """The docs' build draws them."""
    page, _ = PICTURES["PICTURES"][name]
    assert f"images/{name}.svg" in (ROOT / page).read_text("utf-8")
    assert " -> " in PICTURES["graph"](name).dot().source


def test_the_readme_opens_with_a_picture():
    assert re.search(r"docs/images/\w+\.svg", README.read_text("utf-8").partition("```")[0])


# ------------------------------------------------------------------------------------------------- reference and changes


def test_the_reference_has_every_public_name():
    """The operations are written into it by ``op-reference``; everything else by name, or with its module."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    named = set(re.findall(r"^\.\. auto\w+:: tinygrad_edu\.([\w.]+)$", page, re.MULTILINE))
    operations = {name for name in tg.__all__ if getattr(getattr(tg, name), "__module__", "").startswith("tinygrad_edu.ops.")}
    assert ".. op-reference::" in page
    assert sorted(set(tg.__all__) - operations - named) == []
    assert sorted(named & operations) == []


def test_changelog_has_the_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## \[{re.escape(tg.__version__)}\] - (unreleased|\d{{4}}-\d\d-\d\d)$", text, re.MULTILINE)
