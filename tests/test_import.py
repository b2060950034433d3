"""What `import tinygrad_edu` costs and brings along, seen from a fresh interpreter."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "graphviz",
    "pygraphviz",
    "hypothesis",
    "matplotlib",
    "tqdm",
    "pytest",
    "scipy",
    "IPython",
    "pandas",
    "torch",
    "safetensors",
    "pooch",
}


def loaded_after(statement: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-W", "error", "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split())


def test_import_loads_only_numpy():
    assert loaded_after("import tinygrad_edu") & HEAVY == set()


def test_import_loads_little_beyond_numpy():
    extra = loaded_after("import tinygrad_edu") - loaded_after("import numpy")
    assert extra - set(sys.stdlib_module_names) == {"tinygrad_edu"}


def test_a_planted_import_is_seen():
    assert loaded_after("import pytest") & HEAVY == {"pytest"}


def test_computing_and_training_load_nothing_more():
    program = "import tinygrad_edu as tg; x = tg.Tensor([1.0], requires_grad=True); (x * x).sum().backward()"
    assert loaded_after(program) & HEAVY == set()


def test_training_and_files_load_packages_only_where_they_are_used():
    assert loaded_after("import tinygrad_edu as tg; tg.training.fit, tg.save, tg.data.load_mnist") & HEAVY == set()


def test_the_package_is_typed():
    assert importlib.resources.files("tinygrad_edu").joinpath("py.typed").is_file()


def test_the_installed_distribution_matches_the_source():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    try:
        installed = importlib.metadata.distribution(project["name"])
    except importlib.metadata.PackageNotFoundError:  # the tests run from a source tree on the path
        installed = None
    version = importlib.import_module("tinygrad_edu").__version__
    assert installed is None or installed.version == version


def test_commands_can_be_loaded():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    for target in scripts.values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
