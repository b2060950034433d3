"""Nested structures: what is a node, what is a leaf, and which parts belong together."""

from collections import Counter, OrderedDict, defaultdict, namedtuple

import pytest

import tinygrad_edu as tg
from tinygrad_edu.tree import is_node, leaves, mapped, paired

Point = namedtuple("Point", "x y")
Other = namedtuple("Other", "y x")


@pytest.mark.parametrize(
    "tree", [{"b": 1, "a": (2, [3])}, OrderedDict(b=1, a=2), Point(1, [2, None]), [], (), {"p": Point(1, 2)}, 7], ids=repr
)
def test_a_structure_is_rebuilt_as_what_it_was(tree):
    same = mapped(lambda leaf: leaf, tree)
    assert same == tree
    assert type(same) is type(tree)
    assert list(leaves(mapped(str, tree))) == [str(leaf) for leaf in leaves(tree)]


def test_a_defaultdict_keeps_its_factory():
    tree = defaultdict(list, a=1)
    doubled = mapped(lambda leaf: 2 * leaf, tree)
    assert doubled == {"a": 2}
    assert doubled["new"] == []


def test_the_constructor_of_a_named_tuple_is_not_called():
    class Checked(namedtuple("Checked", "low high")):
        def __new__(cls, low, high):
            assert low < high
            return super().__new__(cls, low, high)

    assert mapped(lambda leaf: -leaf, Checked(1, 2)) == (-1, -2)


@pytest.mark.parametrize(
    "leaf", [Counter(a=3), type("Names", (dict,), {})(a=1), type("Row", (list,), {})([1]), "ab", {1, 2}], ids=repr
)
def test_what_nobody_knows_how_to_rebuild_is_a_leaf(leaf):
    assert not is_node(leaf)
    assert list(leaves([leaf])) == [leaf]
    assert mapped(lambda x: x, [leaf])[0] is leaf


def test_a_counter_passes_through_a_transform():
    gradient, words = tg.grad(lambda x: (x * x, Counter(a=3)), has_aux=True)(1.0)
    assert gradient.item() == 2
    assert words == Counter(a=3)


@pytest.mark.parametrize(
    ("tree", "other", "pairs"),
    [
        ({"a": 1, "b": 2}, {"b": 20, "a": 10}, [("a", 1, 10), ("b", 2, 20)]),
        ({"a": 1}, OrderedDict(a=10), [("a", 1, 10)]),
        ([1, 2], (10, 20), [(0, 1, 10), (1, 2, 20)]),
        (Point(1, 2), (10, 20), [(0, 1, 10), (1, 2, 20)]),
        (Point(1, 2), Other(10, 20), None),
        ({"a": 1}, {"b": 1}, None),
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ([1], [1, 2], None),
        ([1], {0: 1}, None),
        ([1], 1, None),
        (1, 1, None),
    ],
)
def test_which_parts_belong_together(tree, other, pairs):
    assert paired(tree, other) == pairs
