"""Small changes of a function's source, of which mutants are made."""

import re

import numpy as np

from tinygrad_edu.testing.source import changes_of


def rules_in_one_line():
    scale = 5
    return (lambda g: g * 2), (lambda g: -g), (lambda g: g * scale)


def _doubled(x):
    return x + x


def _refused(x):
    if x < 0:
        raise ValueError


def rule(g, x):
    """Docstring: 1 + 1."""
    _refused(x)
    return g * _doubled(x)


def results(function, *args):
    return {change: make()(*args) for change, make in changes_of(function)}


def test_of_several_lambdas_in_a_line_the_right_one_is_changed():
    twice, minus, scaled = rules_in_one_line()
    assert results(twice, 3) == {"g * 2 → g / 2": 1.5, "g * 2 → g": 3, "g * 2 → 2": 2, "g * 2 → g * 3": 9}
    assert results(minus, 3) == {"-g → g": 3}
    assert results(scaled, 3) == {"g * scale → g / scale": 0.6, "g * scale → g": 3, "g * scale → scale": 5}


def test_helpers_are_changed_too_and_checks_are_not():
    assert results(rule, 2, 3) == {
        "g * _doubled(x) → g / _doubled(x)": 2 / 6,
        "g * _doubled(x) → g": 2,
        "g * _doubled(x) → _doubled(x)": 6,
        "g * _doubled(x) → g * x": 6,
        "_refused(x) → x": 12,
        "_doubled: x + x → x - x": 0,
        "_doubled: x + x → x": 6,
    }
    assert rule(2, 3) == 12


def test_the_kinds_of_change():
    f = lambda x: np.where(x > 0, x.sum(axis=-1), not x.T) if x.any() and x.all() else 2.5 @ x
    changes = [change for change, _ in changes_of(f)]
    for expected in [
        "x > 0 → x <= 0",
        "x > 0 → x >= 0",
        "0 → 1",
        "x.sum(axis=-1) → x",
        "x.sum(axis=-1) → x.mean(axis=-1)",
        "-1 → 1",
        "not x.T → x.T",
        "x.T → x",
        "x.any() and x.all() → x.any() or x.all()",
        "2.5 @ x → x @ 2.5",
        "2.5 @ x → 3.5 @ x",
    ]:
        assert any(expected in change or fragments(expected) <= fragments(change) for change in changes), expected


def fragments(text):
    return set(re.findall(r"[\w.<>=@]+", text))


def test_without_source_there_is_no_change():
    scope = {}
    exec("def f(g):\n    return g * 2", scope)
    assert list(changes_of(scope["f"])) == []
    assert list(changes_of(np.sin)) == []
