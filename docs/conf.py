"""Sphinx settings, and the two directives that write the reference of the operations from the operations themselves."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

import tinygrad_edu as tg
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.viz.page import in_a_frame

sys.path.insert(0, str(Path(__file__).parent))
import pictures

project = "tinygrad_edu"
author = "tinygrad_edu contributors"
copyright = f"2026, {author}"
release = version = tg.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "py:obj"  # `name` in a docstring is a link where there is something of that name
highlight_language = "text"
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False  # the docstrings' "Parameters" become Google's "Parameters:" below
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"tinygrad_edu {release}"
html_show_sphinx = False


# ----------------------------------------------------------------------------------------------------------- docstrings


def prepare(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring, written to be read in a terminal, into what Sphinx and napoleon understand. In place."""
    formula = lines.pop(0) if lines and has_formula(obj) else None
    google_parameters(lines)
    lines[:] = prose(lines)
    if formula:
        lines[:0] = [".. code-block:: text", "", *[f"   {part}" for part in formula_parts(formula)], ""]


def google_parameters(lines: list[str]) -> None:
    """Turn the section of parameters, each ``name: meaning`` with its further lines indented, into the form napoleon reads."""
    for start, line in enumerate(lines[:-1]):
        if line == "Parameters" and re.fullmatch("-+", lines[start + 1]):
            end = next((i for i in range(start + 2, len(lines)) if not lines[i].strip()), len(lines))
            lines[start:end] = ["Parameters:", *["    " + entry for entry in lines[start + 2 : end]]]
            return


def prose(lines: list[str]) -> Iterator[str]:
    """Sentences in which |x| is the absolute value, not reStructuredText's mark of a substitution, and in which `ShapeError`
    links to the error though its module is not written. Examples are left alone."""
    example = False
    for line in lines:
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        parts = [line] if example else re.split(r"(``.*?``)", line)
        yield "".join(part if example or part.startswith("``") else sentence(part) for part in parts)


def sentence(text: str) -> str:
    """See `prose`. The star of (*shape, n) is no emphasis either."""
    text = re.sub(r"\*(?=[\w.]+[,)])", r"\*", text.replace("|", r"\|"))
    return re.sub(r"`(\w+)`", lambda m: f"`.{m[1]}`" if hasattr(tg.errors, m[1]) else m[0], text)


def formula_parts(formula: str) -> list[str]:
    """A formula line's parts, without a sentence that may follow: the value, then a derivative for each operand."""
    return re.split(r"\s{4,}", formula.strip().partition(". ")[0])


def has_formula(obj: Any) -> bool:
    """Whether the first line of the docstring is a formula: of an operation with derivatives it is."""
    return is_operation(obj) and len(re.split(r"\s{4,}", first_line(obj))) > 1


def first_line(obj: Any) -> str:
    """The first line of the docstring."""
    return (obj.__doc__ or "").strip().split("\n")[0]


def is_operation(obj: Any) -> bool:
    """Whether this is a function of one of the families of operations."""
    return callable(obj) and (getattr(obj, "__module__", None) or "").startswith("tinygrad_edu.ops.")


def skip_operations(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """A Tensor's methods that are operations are described once, with the operations."""
    return True if what == "class" and is_operation(obj) else None


# ----------------------------------------------------------------------------------------------------------- operations


def operations() -> dict[str, list[str]]:
    """The public operations, by the file that they stand in. An operation with several names is listed under its own."""
    families: dict[str, list[str]] = {}
    for name in tg.__all__:
        function = getattr(tg, name)
        if is_operation(function) and function.__name__ == name:
            families.setdefault(function.__module__.rpartition(".")[2], []).append(name)
    return families


def aliases(name: str) -> list[str]:
    """The other names of an operation."""
    return [other for other in tg.__all__ if other != name and getattr(tg, other) is getattr(tg, name)]


class Generated(Directive):
    """A directive whose content is reStructuredText that we write."""

    def text(self) -> Iterator[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(StringList(list(self.text()), source="operations"), self.content_offset, node, match_titles=True)
        return node.children


class OpTable(Generated):
    """Every public operation with its other names, its formula, and what is declared where it is not smooth."""

    def text(self) -> Iterator[str]:
        yield from [".. list-table::", "   :header-rows: 1", ""]
        yield from ["   * - Operation", "     - Value and derivatives", "     - Where it is not smooth"]
        for name in sorted(name for family in operations().values() for name in family):
            function, operation = getattr(tg, name), REGISTRY.get(name)
            others = "".join(f", ``{other}``" for other in aliases(name))
            yield f"   * - `{name}`{others}"
            if operation or has_formula(function):
                first, *rest = formula_parts(first_line(function))
                yield f"     - | ``{first}``"
                yield from [f"       | ``{part}``" for part in rest]
            else:  # a constant, or written with others alone
                yield f"     - {sentence(' '.join(inspect.getdoc(function).partition(chr(10) * 2)[0].split()))}"
            kinks = [f"| {sentence(kink.where)}: {sentence(kink.convention)}" for kink in (operation.kinks if operation else ())]
            yield f"     - {kinks[0] if kinks else ''}"
            yield from [f"       {kink}" for kink in kinks[1:]]


class OpReference(Generated):
    """The docstring of every public operation, one section for each family."""

    def text(self) -> Iterator[str]:
        for family, names in operations().items():
            title = family.replace("_", " ").capitalize()
            about = (import_module(f"tinygrad_edu.ops.{family}").__doc__ or "").strip().splitlines()
            yield from [title, "^" * len(title), "", *map(sentence, about), ""]
            for name in names:
                yield from [f".. autofunction:: tinygrad_edu.{name}", ""]
                if others := aliases(name):
                    yield from [f"   Also called {', '.join(f'``{other}``' for other in others)}.", ""]


# ------------------------------------------------------------------------------------------------------------ steps pages


class Steps(Directive):
    """The page of the receipt that the first block of Python above leaves in ``receipt``, in a frame."""

    def run(self) -> list[nodes.Node]:
        text = Path(self.state.document.current_source or self.state.document["source"]).read_text("utf-8")
        block = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        assert block, "the page has no block of Python"
        namespace: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(block[1], namespace)
        return [nodes.raw("", in_a_frame(namespace["receipt"]), format="html")]


def draw(app: Sphinx) -> None:
    """Draw the pictures of the pages from the code beside them, before the pages are read."""
    with contextlib.redirect_stdout(io.StringIO()):
        pictures.main()


def setup(app: Sphinx) -> None:
    """Called by Sphinx. The docstrings are changed before napoleon (priority 500) reads them."""
    app.connect("builder-inited", draw)
    app.connect("autodoc-process-docstring", prepare, priority=400)
    app.connect("autodoc-skip-member", skip_operations)
    app.add_directive("steps", Steps)
    app.add_directive("op-table", OpTable)
    app.add_directive("op-reference", OpReference)
