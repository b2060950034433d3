"""The shape of the house: who imports whom, what is public, and what lies at the top of the repository."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import tinygrad_edu

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(tinygrad_edu.__file__).parent

# Each part of the house, and the parts that it may import. A part is a file or a folder directly under the package; inside
# a folder, its files may import each other. Read from the top, every line only names lines above it.
HOUSE = {
    "errors": "",
    "signatures": "errors",
    "memory": "",
    "tree": "",
    "places": "",
    "definitions": "",
    "graph": "places",
    "evaluations": "",
    "cuts": "places graph",
    "registry": "errors signatures",
    "recording": "errors graph cuts signatures registry",
    "floating": "",
    "singular": "floating graph registry",
    "primitive": "errors graph signatures registry recording singular",
    "conventions": "registry",
    "ops": "errors tree floating graph cuts registry primitive",
    "engine": "errors floating graph singular",
    "guard": "errors places graph",
    "anomaly": "errors tree places graph singular",
    "changes": "errors graph recording",
    "viz": "errors definitions graph registry recording singular primitive engine",
    "numpy_protocol": "errors tree graph registry primitive ops",
    "tensor": "errors graph cuts registry recording primitive ops engine changes numpy_protocol",
    "explain": "errors graph cuts singular engine anomaly tensor",
    "transforms": "errors tree graph ops engine tensor",
    "jacobians": "errors tree ops tensor transforms",
    "opaque": "errors tree graph evaluations recording primitive ops engine tensor transforms",
    "implicit": "errors tree graph registry ops engine tensor transforms opaque",
    "stats": "errors ops",
    "clipping": "errors tensor",
    "nn": "errors graph evaluations ops tensor clipping",
    "optim": "errors graph tensor clipping",
    "data": "errors tensor",
    "io": "errors tensor",
    "testing": "errors places definitions signatures graph registry singular primitive ops engine guard viz tensor transforms",
    "training": "errors graph nn optim data io tensor",
    "hypothesis_types": "tensor testing",
    "_entry": "testing",
    "__init__": "errors memory graph evaluations registry singular primitive conventions ops guard anomaly viz tensor explain "
    "transforms jacobians opaque implicit stats nn optim data io testing training hypothesis_types",
    "demo": "errors graph nn optim data tensor testing",
    "script": "errors tensor viz",
    "cli": "errors training demo script viz __init__",
    "__main__": "cli",
}

# Allowed inside a function only: a tensor works without its pictures.
LAZY = {("tensor", "viz")}


# ------------------------------------------------------------------------------------------------------------- imports


def part_of(module: str) -> str:
    """The part of the house that a module belongs to: 'tinygrad_edu.ops.shape' belongs to 'ops'."""
    return [*module.split("."), "__init__"][1]


def imports(module: str, source: str, parts: set[str], *, is_package: bool = False) -> Iterator[tuple[str, bool]]:
    """The parts that a module imports, each with whether that happens only when a function is called.

    Imports under ``if TYPE_CHECKING`` never run and are left out.
    """

    def visit(node: ast.AST, lazy: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.orelse:
                yield from visit(child, lazy)
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "tinygrad_edu":
                    yield part_of(alias.name), lazy
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            if base == "tinygrad_edu":
                for alias in node.names:
                    yield alias.name if alias.name in parts else "__init__", lazy
            elif base.startswith("tinygrad_edu."):
                yield part_of(base), lazy
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(source), False)


def violations(sources: dict[str, str], packages: set[str] = frozenset()) -> list[str]:
    """What breaks the house rules, in words. ``sources`` maps module names to their text."""
    found = []
    parts = {part_of(name) for name in sources} | HOUSE.keys()
    for module, source in sources.items():
        part = part_of(module)
        if part not in HOUSE:
            found.append(f"{module} has no line in HOUSE: say what it may import")
            continue
        allowed = {part, *HOUSE[part].split()}
        for target, lazy in imports(module, source, parts, is_package=module in packages):
            if target not in allowed and not (lazy and (part, target) in LAZY):
                found.append(f"{module} imports {target}, and {part} may import only: {HOUSE[part] or 'nothing of ours'}")
    return found


def module_name(path: Path) -> str:
    names = ["tinygrad_edu", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def test_imports_point_one_way():
    packages = {name for name, path in FILES.items() if path.name == "__init__.py"}
    assert violations({name: path.read_text("utf-8") for name, path in FILES.items()}, packages) == []


def test_the_table_has_no_cycle():
    seen: set[str] = set()
    for part, allowed in HOUSE.items():
        assert set(allowed.split()) <= seen, f"{part} may import something below its own line"
        seen.add(part)


@pytest.mark.parametrize(
    ("module", "source", "target"),
    [
        ("tinygrad_edu.graph", "from tinygrad_edu.tensor import Tensor", "tensor"),
        ("tinygrad_edu.graph", "def f():\n    from tinygrad_edu import engine", "engine"),
        ("tinygrad_edu.errors", "import tinygrad_edu.graph", "graph"),
        ("tinygrad_edu.ops.shape", "import tinygrad_edu as tg", "__init__"),
        ("tinygrad_edu.ops.shape", "from tinygrad_edu import Tensor", "__init__"),
        ("tinygrad_edu.ops.shape", "from .. import tensor", "tensor"),
        ("tinygrad_edu.ops.shape", "from ..tensor import Tensor", "tensor"),
        ("tinygrad_edu.nn.modules", "from tinygrad_edu.optim import SGD", "optim"),
        ("tinygrad_edu.tensor", "from tinygrad_edu.viz import Graph", "viz"),
        ("tinygrad_edu.testing.check", "from tinygrad_edu import cli", "cli"),
        ("tinygrad_edu.graph", "if not TYPE_CHECKING:\n    import tinygrad_edu.tensor", "tensor"),
        ("tinygrad_edu.graph", "if TYPE_CHECKING:\n    pass\nelse:\n    import tinygrad_edu.tensor", "tensor"),
    ],
)
def test_a_planted_import_is_found(module, source, target):
    assert [text.partition(",")[0] for text in violations({module: source})] == [f"{module} imports {target}"]


def test_a_module_without_a_line_is_found():
    assert violations({"tinygrad_edu.extra": ""}) == ["tinygrad_edu.extra has no line in HOUSE: say what it may import"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tinygrad_edu.graph", "if TYPE_CHECKING:\n    from tinygrad_edu.primitive import Primitive"),
        ("tinygrad_edu.tensor", "class Tensor:\n    def graph(self):\n        from tinygrad_edu.viz import Graph"),
        ("tinygrad_edu.ops.shape", "from .indexing import getitem\nfrom tinygrad_edu.ops import reduction"),
        ("tinygrad_edu.cli", "import tinygrad_edu as tg\nfrom tinygrad_edu import demo"),
    ],
)
def test_an_allowed_import_is_not(module, source):
    assert violations({module: source}) == []


# ------------------------------------------------------------------------------------------------------- public names


PACKAGES = [name for name, path in FILES.items() if path.name == "__init__.py"]


def bound_names(path: Path) -> set[str]:
    """The public names that a file's top level defines or imports from the package."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("tinygrad_edu")):
            names |= {alias.asname or alias.name for alias in node.names} - {"*"}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", PACKAGES)
def test_all_of_a_package_is_sorted_and_complete(name):
    package = importlib.import_module(name)
    exported = list(package.__all__)
    assert exported == sorted(set(exported))
    assert [entry for entry in exported if not hasattr(package, entry)] == []
    # A module may be imported without being exported (memory is); anything else that is bound is meant to be used.
    bound = {entry for entry in bound_names(FILES[name]) if not isinstance(getattr(package, entry), ModuleType)}
    assert sorted(bound - set(exported)) == []


def public(name: str, value: object) -> Iterator[tuple[str, object]]:
    """A public thing and the public things inside it: what a module exports, and the methods of a class."""
    yield name, value
    if isinstance(value, ModuleType):
        exported = getattr(value, "__all__", None)
        if exported is None:
            exported = [entry for entry, member in vars(value).items() if getattr(member, "__module__", None) == value.__name__]
        for entry in exported:
            if not entry.startswith("_"):
                yield from public(f"{name}.{entry}", getattr(value, entry))
    elif isinstance(value, type):
        for entry, member in vars(value).items():
            new = not any(hasattr(base, entry) for base in value.__mro__[1:])  # an override keeps its base's promise
            if new and not entry.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
                yield f"{name}.{entry}", getattr(member, "__func__", member)


def undocumented(name: str, value: object) -> list[str]:
    """The public names that lack a docstring; a plain value cannot have one."""
    return [
        text
        for text, member in public(name, value)
        if callable(member) or isinstance(member, ModuleType | property)
        if not (getattr(member, "__doc__", None) or "").strip()
    ]


@pytest.mark.parametrize("name", ["tinygrad_edu", "tinygrad_edu.viz"])
def test_public_names_have_docstrings(name):
    assert undocumented(name, importlib.import_module(name)) == []


def test_a_missing_docstring_is_found():
    class Bare:
        """Documented."""

        def method(self):
            pass

        def _private(self):
            pass

    assert undocumented("Bare", Bare) == ["Bare.method"]


# -------------------------------------------------------------------------------------------------------- repository


TOP_LEVEL = {"pyproject.toml", "tinygrad_edu", "tests", "examples", "docs", "README.md", "LICENSE", "CHANGELOG.md"}
BUILT = {"build", "dist", "demo-output"}  # what .gitignore names; only looked at where there is no git to ask
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".cfg", ".txt", ".css", ".html", ".js", ".dot", ".svg", ""}


def tracked_files() -> list[Path]:
    """The repository's files: what git tracks or would, or, in a copy without git, what lies there."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    top = [path for path in ROOT.iterdir() if path.name not in BUILT and not path.name.startswith(".")]
    below = [path for folder in top if folder.is_dir() for path in folder.rglob("*")]
    return [path for path in [*top, *below] if path.is_file() and "__pycache__" not in path.parts]


def test_top_level_is_tidy():
    names = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert sorted(name for name in names - TOP_LEVEL if not name.startswith(".")) == []


MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|Users|work|opt|mnt|private)/\w|[A-Z]:\\\\?Users")


@pytest.mark.parametrize("text", ["open('/home/ann/x')", "see /root/data", r"C:\Users\ann"])
def test_a_machine_path_is_found(text):
    assert MACHINE_PATH.search(text)


def test_no_file_names_a_machine():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked_files()
        if path.suffix in TEXT and path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []
