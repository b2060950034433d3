"""The values and gradients that a `Graph` shows, and how it writes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ReleasedError
from tinygrad_edu.viz.values import written


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def tensors(graph):
    return [node for node in graph.nodes if node.kind == "tensor"]


def by_name(graph):
    return {node.name: node for node in graph.nodes if node.name}


# ---------------------------------------------------------------------------------------------------------------- values


UNARY = [tg.sin, tg.relu, tg.sum, lambda a: tg.exp(-a * a), lambda a: a.T.reshape(-1), lambda a: a[...]]
BINARY = [
    tg.add,
    tg.subtract,
    tg.multiply,
    lambda a, b: tg.where(a.data > 1, a, b),
    lambda a, b: tg.concatenate([a, a * b], axis=None),
]


@st.composite
def programs(draw):
    """The tensors of a random program, all of them named, the last one computed from some of the others."""
    shapes = draw(st.lists(st.sampled_from([(), (3,), (2, 3)]), min_size=1, max_size=3))
    made = [leaf(np.linspace(0.5, 2, int(np.prod(shape))).reshape(shape)) for shape in shapes]
    for _ in range(draw(st.integers(1, 8))):
        a = draw(st.sampled_from(made))
        fitting = [b for b in made if b.shape in ((), a.shape, a.shape[1:])]
        if draw(st.booleans()):
            made.append(draw(st.sampled_from(UNARY))(a))
        else:
            made.append(draw(st.sampled_from(BINARY))(a, draw(st.sampled_from([*fitting, 2.5, np.ones(a.shape)]))))
    for number, tensor in enumerate(made):
        tensor.name = f"tensor {number}"
    return made


@given(programs())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_values_are_those_of_the_program(made):
    graph = made[-1].graph(show=("value",))
    known = {tensor.name: tensor for tensor in made}
    for node in tensors(graph):
        assert node.value is not None
        if node.name:
            assert node.value.dtype == known[node.name].dtype
            np.testing.assert_array_equal(node.value, known[node.name].data)


def test_values_of_operations_with_residuals_and_metadata():
    logits, labels = leaf([[1, 2], [0, 5]], "logits"), tg.Tensor([0, 1])
    loss = tg.softmax_cross_entropy(logits, labels, reduction="sum")
    loss.name = "loss"
    graph = (loss * 1).graph(show=("value",))
    np.testing.assert_array_equal(by_name(graph)["loss"].value, loss.data)


def test_a_value_is_a_copy():
    x = leaf([1, 2], "x")
    for graph in ((x * 1).graph(show=("value",)), x.graph(show=("value",))):
        with tg.no_grad():
            x[:] = 9
        assert by_name(graph)["x"].value.tolist() == [1, 2]
        with tg.no_grad():
            x[:] = [1, 2]


def change_in_place(x):
    with tg.no_grad():
        x += 1


def replace(x):
    x.data = x.data + 1


def change_behind_its_back(x):
    x.data[...] += 1


@pytest.mark.parametrize("change", [change_in_place, replace, change_behind_its_back])
def test_values_of_another_time_are_not_shown(change):
    x = leaf([1, 2], "x")
    y = tg.sin(x)
    y.name = "y"
    loss = y.sum()
    change(x)
    graph = loss.graph(show=("value",))
    assert by_name(graph)["y"].value is None
    assert by_name(graph)["y"].label == "y"
    assert by_name(graph)["x"].value.tolist() == [2, 3]
    assert graph.nodes[-1].value == loss.data  # this one is still there


def test_a_change_leaves_the_other_values():
    x, w = leaf(1, "x"), leaf(2, "w")
    y, z = tg.sin(x), tg.sin(w)
    y.name, z.name = "y", "z"
    total = y + z
    change_in_place(x)
    found = by_name(total.graph(show=("value",)))
    assert found["y"].value is None
    assert found["z"].value == z.data


def test_values_after_a_change_that_came_before_the_operation():
    x = leaf([1, 2], "x")
    change_in_place(x)
    y = x * 1
    y.name = "y"
    assert by_name(y.sum().graph(show=("value",)))["y"].value.tolist() == [2, 3]


def test_values_of_a_released_graph():
    x, c = leaf([1, 2], "x"), tg.Tensor([3.0, 4.0], name="c")
    known, unknown = tg.sin(x), x * c
    known.name, unknown.name = "known", "unknown"
    loss = (known + unknown).sum()
    loss.backward()
    found = by_name(loss.graph(show=("value",)))
    np.testing.assert_array_equal(found["known"].value, known.data)
    assert found["unknown"].value is None
    assert found["c"].value is None


def test_a_warning_of_the_forward_is_not_repeated():
    x = leaf(0)
    with np.errstate(all="ignore"):
        y = tg.log(x) * 0
    assert np.isnan(y.graph(show=("value", "grad")).nodes[-1].value)


# ------------------------------------------------------------------------------------------------------------- gradients


@given(programs())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_gradients_are_those_of_backward(made):
    loss = made[-1].sum()
    graph = loss.graph(show=("grad",))
    assert all(tensor.grad is None for tensor in made)
    loss.backward()
    leaves = [node for node in tensors(graph) if node.role == "leaf"]
    assert leaves
    for node in leaves:
        np.testing.assert_array_equal(node.grad, next(tensor for tensor in made if tensor.name == node.name).grad.data)


def test_a_gradient_does_not_touch_the_graph():
    x = leaf([1, 2], "x")
    loss = (x**2).sum()
    for _ in range(2):
        assert by_name(loss.graph(show=("grad",)))["x"].grad.tolist() == [2, 4]
    assert x.grad is None
    loss.backward()
    assert x.grad.tolist() == [2, 4]
    with pytest.raises(ReleasedError):
        loss.backward()


def test_every_tensor_has_its_gradient():
    x = leaf([1, 2], "x")
    y = x * x
    z = y * 3
    y.name, z.name = "y", "z"
    graph = z.sum().graph(show=("grad",))
    assert {name: node.grad.tolist() for name, node in by_name(graph).items()} == {"x": [6, 12], "y": [3, 3], "z": [1, 1]}
    assert by_name(graph)["y"].label == "y\ngrad [3, 3]"
    assert [node.grad for node in tensors(graph) if node.role == "constant"] == [None]


@pytest.mark.parametrize("fate", ["no scalar", "released"])
def test_without_a_gradient_to_compute_leaves_show_theirs(fate):
    x = leaf([1, 2], "x")
    y = x * x
    y.name = "y"
    loss = y.sum()
    loss.backward()
    found = by_name((loss if fate == "released" else x * y.detach()).graph(show=("grad",)))
    assert found["x"].grad.tolist() == [2, 4]
    assert found.get("y") is None or found["y"].grad is None


# ----------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (3.14159, "3.142"),
        (True, "True"),
        (12345678, "12345678"),
        (1 + 2j, "1+2j"),
        ([], "[]"),
        ([0.1, -2, np.inf, np.nan], "[0.1, -2, inf, nan]"),
        (np.float32([0.1, 1e-9]), "[0.1, 1e-09]"),
        ([[1, 2, 3], [4, 5, 6]], "[[1, 2, 3], [4, 5, 6]]"),
        ([1, 2, 3, 4, 5, 6, 7], "1 … 7, mean 4"),
        (np.zeros((3, 3)), "all 0"),
        (np.array([True] * 5 + [False] * 4), "5 of 9 true"),
        ([np.nan, np.inf, 1.0, 2, 3, 4, 5], "1 … 5, mean 3, 2 of 7 not finite"),
        (np.full(7, np.nan), "7 of 7 not finite"),
        (np.full(9, 3 + 4j), "size all 5"),
        (np.full(2000, 60000, np.float16), "all 6e+04"),
        (np.float32([1e38, *[3e38] * 9]), "1e+38 … 3e+38, mean 2.8e+38"),
        ([1e308, *[1.5e308] * 9], "1e+308 … 1.5e+308, mean inf"),
    ],
)
def test_arrays_in_a_few_words(array, text):
    assert written(np.asarray(array)) == text
