"""The formulas of docstrings, such as ``∂L/∂a = −g y / b``, as MathML, which every browser shows without a library.

The formulas are written to be read in a terminal: superscripts are the characters ᵃ and ⁻¹, a product is written by a space, and
where no symbol says it, words do. The parser knows that much and no more: what it does not know stays as it was written, and
nothing is ever lost. An element is a tuple, its tag and then its text or its children.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias
from xml.sax.saxutils import escape

Element: TypeAlias = tuple[Any, ...]

RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵃᵇᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴴᴺᵀᵅᵝᐟ⁄", "0123456789+−()abdefghijklmnoprstuvwxyzABHNTαβ//")
LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+−()aehijklmnoprstuvx")
_UP, _DOWN = ("".join(map(chr, table)) for table in (RAISED, LOWERED))
_GREEK_AND_LATIN = "A-Za-zͰ-Ͽ"
TOKEN = re.compile(
    rf"""(?P<space>\s+)
    | (?P<slope>∂L/∂(?P<by>[A-Za-z]+))
    | (?P<number>\d+(?:\.\d+)?|[½¼¾])
    | (?P<up>[{_UP}]+)
    | (?P<down>[{_DOWN}](?:[≤≥≠,]*[{_DOWN}])*)
    | (?P<word>[{_GREEK_AND_LATIN}](?:[a-z0-9_]|-(?=[a-z]))*)
    | (?P<prime>[′″]+)
    | (?P<accent>[\u0304\u0302]+)
    | (?P<text>"[^"]*"|``[^`]*``)
    | (?P<sign>.)""",
    re.VERBOSE,
)
_UPRIGHT = """ln log exp sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan arcsinh arccosh arctanh erf erfc max min
sign trunc arg Re Im conj det diag mean softmax hardsigmoid elu expm logm sqrtm sinc fft ifft rfft fftn fft2 ihfft fftshift
ifftshift"""
FUNCTIONS = frozenset(_UPRIGHT.split())
OPEN = {"(": ")", "[": "]", "⌊": "⌋", "{": "}"}
FENCES = "|‖"
SEPARATORS = frozenset("=≠<>≤≥≈+−±,;:→←∈")
LARGE = "ΣΠ∫"
ROOTS = {"√": "msqrt", "∛": "mroot"}
GAP: Element = ("mspace",)


class Token(NamedTuple):
    """A piece of a formula: its kind, its text, whether a space stands before and after it."""

    kind: str
    text: str
    spaced: bool
    followed: bool


def parts_of(formula: str) -> list[str]:
    """The parts of a formula line: the value, a derivative for each operand, what else it says. A sentence that follows is left
    out.

    >>> parts_of("y = a / b        ∂L/∂a = g / b        ∂L/∂b = −g y / b")
    ['y = a / b', '∂L/∂a = g / b', '∂L/∂b = −g y / b']
    """
    return [part for part in re.split(r"\s{4,}", formula.strip().partition(". ")[0].removesuffix(".")) if part]


def rule_of(formula: str, operands: Sequence[str], position: int) -> str | None:
    """The part of a formula that is the derivative with respect to one operand; None where it has none. A formula may call operands
    by shorter names than the signature does; they then are the derivatives in the operands' order.

    >>> rule_of("y = a b        ∂L/∂a = g bᵀ        ∂L/∂b = aᵀ g", ("a", "b"), 1)
    '∂L/∂b = aᵀ g'
    """
    rules = [part for part in parts_of(formula) if part.startswith("∂L/∂")]
    operand = operands[position] if position < len(operands) else operands[0]
    for rule in rules:
        if operand in re.findall(r"∂L/∂([A-Za-z]+)", rule.partition("=")[0]):
            return rule
    return rules[position] if position < len(rules) else rules[0] if len(rules) == 1 else None


def mathml(formula: str, names: Collection[str] = ()) -> Element:
    """A part of a formula as an element ``math``. ``names`` are words that are variables: the operands.

    >>> mathml("y = aᵇ")
    ('math', ('mi', 'y'), ('mo', '='), ('msup', ('mi', 'a'), ('mi', 'b')))
    >>> mathml("∂L/∂a = g / 2y")[3]
    ('mfrac', ('mi', 'g'), ('mrow', ('mn', '2'), ('mi', 'y')))
    """
    return ("math", *_Parser(list(_tokens(formula)), frozenset(names)).row())


def markup(element: Element) -> str:
    """An element as text, to be put into a page.

    >>> markup(mathml("a < √b"))
    '<math><mi>a</mi><mo>&lt;</mo><msqrt><mi>b</mi></msqrt></math>'
    """
    tag, *inside = element
    return f"<{tag}>{''.join(escape(part) if isinstance(part, str) else markup(part) for part in inside)}</{tag}>"


def plain(element: Element | str) -> str:
    """What an element says, on one line, without spaces and superfluous parentheses: to see that nothing was lost.

    >>> plain(mathml("∂L/∂b = −g y / b"))
    '∂L/∂b=−gy/b'
    """
    if isinstance(element, str):
        return "".join(element.split())
    tag, *inside = element
    texts = [plain(part) for part in inside]
    if tag == "mroot":
        return f"∛{texts[0]}"
    return f"√{''.join(texts)}" if tag == "msqrt" else ("/" if tag == "mfrac" else "").join(texts)


def _tokens(formula: str) -> Iterator[Token]:
    # ā as a and its bar, but not ç or the like in a word of prose; only these two accents are mathematics
    text = "".join(
        unicodedata.normalize("NFD", c) if unicodedata.normalize("NFD", c)[1:] in ("\u0304", "\u0302") else c
        for c in formula.strip()
    )
    spaced = True
    for match in TOKEN.finditer(text):
        if match.lastgroup == "space" or match["space"]:
            spaced = True
            continue
        end = match.end()
        kind = next(name for name in match.groupdict() if match[name] is not None)
        yield Token(kind, match[0], spaced, end == len(text) or text[end].isspace())
        spaced = False


class _Parser:
    def __init__(self, tokens: list[Token], names: frozenset[str]) -> None:
        self.tokens = tokens
        self.names = names
        self.next = 0

    def peek(self) -> Token | None:
        return self.tokens[self.next] if self.next < len(self.tokens) else None

    def take(self) -> Token:
        self.next += 1
        return self.tokens[self.next - 1]

    def row(self, end: str | None = None) -> list[Element]:
        """What stands up to a closing bracket, or to the end of the formula."""
        found: list[Element] = []
        term = 0  # where the product begins that a quotient's numerator would be
        while (token := self.peek()) and not self._closes(token, end):
            if token.text == "/" and token.kind == "sign" and len(found) > term:
                self.take()
                if self.peek() and not self._closes(self.tokens[self.next], end):
                    tight = not token.spaced  # 2/√π is one factor, and g y / b a quotient of what stands before it
                    start = len(found) - 1 if tight else term
                    found[start:] = [("mfrac", _bare(found[start:]), _bare(self.factor(end)))]
                else:
                    found.append(("mo", "/"))
                continue
            item = self.atom(end)
            if token.kind == "sign" and token.text in SEPARATORS:
                found.append(item)
                term = len(found)
            elif item[0] == "mtext":
                found += [GAP, item, GAP]
                term = len(found)
            else:
                if token.spaced and len(found) > term:
                    found.append(GAP)
                found.append(item)
        return found

    def factor(self, end: str | None) -> list[Element]:
        """A quotient's denominator: what is written without a space, and what a function or a sum is of."""
        found = [self.atom(end)]
        while (
            (token := self.peek())
            and not self._closes(token, end)
            and not (token.kind == "sign" and token.text in SEPARATORS | {"/"})
        ):
            reaches = plain(found[-1]) in FUNCTIONS or any(plain(item)[:1] in tuple(LARGE) for item in found)
            if token.spaced and not reaches:
                break
            found += [GAP] * token.spaced + [self.atom(end)]
        return found

    def atom(self, end: str | None) -> Element:
        """One symbol or bracket, with what is raised, lowered or put on top of it."""
        token = self.take()
        base = self._base(token, end)
        while (mark := self.peek()) and not mark.spaced and mark.kind in ("up", "down", "accent", "prime"):
            self.take()
            text = mark.text
            if mark.kind == "up":
                power = self._script(text.translate(RAISED))
                base = ("msubsup", *base[1:], power) if base[0] == "msub" else ("msup", base, power)
            elif mark.kind == "down":
                index = self._script(text.translate(LOWERED))
                base = ("msub", base, index)
            elif mark.kind == "accent":
                base = ("mover", base, ("mo", text))
            else:
                base = ("msup", base, ("mo", text))
        mark_ = self.peek()
        if mark_ and mark_.text == "^" and not mark_.spaced:
            self.take()
            following = self.peek()
            if following and following.kind == "up":
                return ("msup", base, self._script(self.take().text.translate(RAISED)))
            if following and not self._closes(following, end):
                return ("msup", base, _bare([self.atom(end)]))
        return base

    def _base(self, token: Token, end: str | None) -> Element:
        kind, text = token.kind, token.text
        if kind == "slope":
            return ("mfrac", ("mrow", ("mo", "∂"), ("mi", "L")), ("mrow", ("mo", "∂"), self._by(text.rpartition("∂")[2])))
        if kind == "number":
            return ("mn", text)
        if kind == "word":
            return self._word(text)
        if kind == "text":
            return ("mtext", text)
        if text in ROOTS:
            inside = _bare(self._under_root(end))
            return ("msqrt", inside) if text == "√" else ("mroot", inside, ("mn", "3"))
        closing = OPEN.get(text) or (text if text in FENCES else None)
        if closing and self._has(closing):
            inside_row = self.row(closing)
            end_token = [("mo", self.take().text)] if self.peek() else []
            return ("mrow", ("mo", text), *inside_row, *end_token)
        return ("mi", text) if text in "∞…" else ("mo", text)

    def _by(self, name: str) -> Element:
        index = self.peek()
        if index and index.kind == "down" and not index.spaced:
            self.take()
            return ("msub", ("mi", name), self._script(index.text.translate(LOWERED)))
        return ("mi", name)

    def _word(self, text: str) -> Element:
        if text in LARGE:
            return ("mo", text)
        following = self.peek()
        applied = following is not None and following.text == "(" and not following.spaced
        if len(text) == 1 or text in FUNCTIONS or text in self.names or applied:
            return ("mi", text)
        if text[0] in "ijπ2" and len(text) == 2 and text.isalpha() and text not in ENGLISH:
            return ("mrow", *[("mi", letter) for letter in text])  # a product such as jk
        if len(text) == 2 and not text.isascii():
            return ("mrow", *[("mi", letter) for letter in text])
        return ("mtext", text)

    def _under_root(self, end: str | None) -> list[Element]:
        first = self.peek()
        found = [self.atom(end)] if first and not self._closes(first, end) else []
        while found and (token := self.peek()) and not self._closes(token, end):
            big = plain(found[-1])[:1] in tuple(LARGE)
            if (token.spaced and not big) or (token.kind == "sign" and token.text in SEPARATORS | {"/"}):
                break
            found += [GAP] * token.spaced + [self.atom(end)]
        return found

    def _has(self, closing: str) -> bool:
        """Whether a bracket is closed: brackets are balanced, and |…| closes at the next bar that ends a word."""
        if closing not in FENCES:
            return any(token.text == closing for token in self.tokens[self.next :])
        opening = self.tokens[self.next - 1]
        return not opening.followed and any(token.text == closing and not token.spaced for token in self.tokens[self.next :])

    def _closes(self, token: Token, end: str | None) -> bool:
        return end is not None and token.text == end and (end not in FENCES or not token.spaced)

    def _script(self, text: str) -> Element:
        parts: list[Element] = [
            ("mn", part) if part.isdigit() else ("mi", part) if part.isalpha() else ("mo", part)
            for part in re.findall(r"\d+|.", text)
        ]
        return _grouped(parts)


ENGLISH = frozenset(["is", "it", "in", "if"])


def _bare(parts: Sequence[Element]) -> Element:
    """Several elements as one, without the parentheses that a fraction, a root or a power makes superfluous."""
    whole = _grouped(parts)
    around = whole[0] == "mrow" and len(whole) > 2 and whole[1] == ("mo", "(") and whole[-1] == ("mo", ")")
    return _grouped(whole[2:-1]) if around else whole


def _grouped(parts: Sequence[Element]) -> Element:
    """Several elements as one."""
    return parts[0] if len(parts) == 1 else ("mrow", *parts)
