"""Formulas of docstrings as MathML, and which rule is whose."""

from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.viz.mathml import LOWERED, RAISED, markup, mathml, parts_of, plain, rule_of


def leaf(data, name=None, dtype=float):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=dtype)


FORMULAS = [(name, op.operands, part) for name, op in REGISTRY.items() if op.ours for part in parts_of(op.formula)]


def flat(text):
    """A formula without what its MathML says by its form: spaces, what is raised or lowered, superfluous parentheses."""
    apart = "".join(unicodedata.normalize("NFD", c) if "\u0304" in unicodedata.normalize("NFD", c) else c for c in text)
    return "".join(c for c in apart.translate(RAISED).translate(LOWERED) if c not in "()^" and not c.isspace())


@pytest.mark.parametrize(("name", "operands", "part"), FORMULAS, ids=[f"{name}-{k}" for k, (name, _, _) in enumerate(FORMULAS)])
def test_nothing_of_a_formula_is_lost(name, operands, part):
    element = mathml(part, operands)
    assert flat(plain(element)) == flat(part)
    tree = ET.fromstring(markup(element))
    counts = {"mfrac": 2, "msup": 2, "msub": 2, "msubsup": 3, "mover": 2, "mroot": 2, "msqrt": 1}
    for node in tree.iter():
        assert len(node) == counts.get(node.tag, len(node)), (node.tag, part)
        assert node.tag in {"math", "mrow", "mi", "mo", "mn", "mtext", "mspace", *counts}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("∂L/∂b = −g y / b", "<mo>=</mo><mo>−</mo><mfrac><mrow><mi>g</mi><mspace></mspace><mi>y</mi></mrow><mi>b</mi></mfrac>"),
        ("y = eᵃ / Σ eᵃ", "<mfrac><msup><mi>e</mi><mi>a</mi></msup><mrow><mo>Σ</mo><mspace></mspace><msup>"),
        (
            "y = √(a² + b²)",
            "<msqrt><mrow><msup><mi>a</mi><mn>2</mn></msup><mo>+</mo><msup><mi>b</mi><mn>2</mn></msup></mrow></msqrt>",
        ),
        ("y = e^(−a²)", "<msup><mi>e</mi><mrow><mo>−</mo><msup><mi>a</mi><mn>2</mn></msup></mrow></msup>"),
        ("y = ∛a", "<mroot><mi>a</mi><mn>3</mn></mroot>"),
        (
            "y = g 2/√π x",
            "<mi>g</mi><mspace></mspace><mfrac><mn>2</mn><msqrt><mi>π</mi></msqrt></mfrac><mspace></mspace><mi>x</mi>",
        ),
        ("y = ā", "<mover><mi>a</mi><mo>\u0304</mo></mover>"),
        ("y = |a| b", "<mrow><mo>|</mo><mi>a</mi><mo>|</mo></mrow><mspace></mspace><mi>b</mi>"),
        ("∂L/∂aᵢ = g", "<mrow><mo>∂</mo><msub><mi>a</mi><mi>i</mi></msub></mrow>"),
        ("y = a, without NaNs", "<mo>,</mo><mspace></mspace><mtext>without</mtext>"),
        ("y = 2/√π ∫₀ᵃ x", "<msubsup><mo>∫</mo><mn>0</mn><mi>a</mi></msubsup>"),
        ("y = b < a & c", "<mi>b</mi><mo>&lt;</mo><mi>a</mi><mspace></mspace><mo>&amp;</mo>"),
    ],
)
def test_the_form_of_a_formula_is_that_of_mathematics(formula, expected):
    assert expected in markup(mathml(formula))


@settings(max_examples=200)
@given(st.text(alphabet="ab12gy()[]|‖√∛/ =+−^ᵃ²₀ᵢ′Σ∫,. \u0304∂Lw", max_size=20))
def test_no_text_makes_the_parser_fail_or_lose_a_letter(text):
    letters = [c for c in flat(text) if c.isalnum()]
    assert [c for c in flat(plain(mathml(text))) if c.isalnum()] == letters
    ET.fromstring(markup(mathml(text)))


def test_every_differentiated_operand_of_the_library_has_its_rule():
    missing = [
        (name, operand)
        for name, op in REGISTRY.items()
        if op.ours and getattr(op, "rules", None)
        for position, operand in enumerate(op.operands)
        if callable(op.rules[operand]) and rule_of(op.formula, op.operands, position) is None
    ]
    # Their formulas say that it is alike for the other operand.
    assert missing == ALIKE


ALIKE = []


def test_an_operation_without_a_formula_says_so():
    @tg.primitive
    def twice(a):
        return 2 * a

    twice.vjp(a=lambda g: 2 * g)
    try:
        receipt = twice(leaf(1.0, "x")).graph().steps()
    finally:
        REGISTRY.pop(f"{__name__}.twice")
    assert (receipt[0].formula, receipt[0].contributions[0].rule) == ("", None)
    assert "its rule   2 to x (i1)" in str(receipt)
