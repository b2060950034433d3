"""The figures that the study notes on *Deep Learning from Scratch* 1 and 2 arrive at, to the digits that they print."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn.functional import cross_entropy
from tinygrad_edu.optim import SGD
from tinygrad_edu.testing import numerical_diff, numerical_gradient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def example(name: str) -> dict[str, Any]:
    """What an example defines."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def printed(value: Any) -> str:
    """The numbers as NumPy prints them."""
    return str(value.data if isinstance(value, tg.Tensor) else np.asarray(value))


def leaf(data: Any) -> tg.Tensor:
    return tg.Tensor(data, requires_grad=True, dtype=float)


def sum_of_squares(x):
    return (x**2).sum()


# ------------------------------------------------------------------------------------------- numerical differentiation


def curve(x):
    return 0.01 * x**2 + 0.1 * x


def test_central_difference():
    assert numerical_diff(curve, 5) == 0.1999999999990898
    assert numerical_diff(curve, 10) == 0.2999999999986347


def test_partial_derivatives():
    assert numerical_diff(lambda x0: x0 * x0 + 4.0**2.0, 3.0) == 6.00000000000378
    assert numerical_diff(lambda x1: 3.0**2.0 + x1 * x1, 4.0) == 7.999999999999119


@pytest.mark.parametrize(
    ("point", "gradient"),
    [((3, 4), (6, 8)), ((0, 2), (0, 4)), ((3, 0), (6, 0)), ((8, 10), (16, 20)), ((-5, -3), (-10, -6))],
)
def test_gradient_of_the_sum_of_squares(point, gradient):
    x = np.array(point, float)
    np.testing.assert_allclose(numerical_gradient(sum_of_squares, x), gradient, atol=1e-8)
    assert tg.grad(sum_of_squares)(x).tolist() == list(gradient)


def test_gradient_of_a_mixed_polynomial():
    def f(v):
        x, y = v
        return x**2 + x * y + y**2

    np.testing.assert_allclose(numerical_gradient(f, np.array([3.0, 4.0])), [10, 11], atol=1e-8)
    assert tg.grad(f)([3.0, 4.0]).tolist() == [10, 11]


def test_tangent_line():
    line = example("numerical_gradient")["tangent"](curve, 5)
    assert [f"{line(t):.2f}" for t in (0, 5, 10)] == ["-0.25", "0.75", "1.75"]


def test_gradient_field():
    axis = np.linspace(-3, 3, 25)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    field = example("gradient_descent")["field"](sum_of_squares, points)
    assert field.shape == (25, 25, 2)
    np.testing.assert_array_equal(field, 2 * points)
    corner = numerical_gradient(sum_of_squares, points[0, 0])
    np.testing.assert_allclose(field[0, 0], corner, atol=1e-8)


def test_a_step_that_is_too_small_is_rounded_away():
    assert np.float32(1e-50) == 0.0
    assert numerical_diff(curve, 5, h=1e-50) == 0.0


# ----------------------------------------------------------------------------------------------------- gradient descent


def descend(*args: Any, **options: Any) -> Any:
    return example("gradient_descent")["descend"](*args, **options)


def numerical(f):
    return lambda x: numerical_gradient(f, x)


def test_descent_on_the_bowl():
    start = np.array([-3.0, 4.0])
    for options in ({}, {"gradient": numerical}):
        path = descend(sum_of_squares, start, lr=0.1, steps=100, **options)
        assert path.shape == (101, 2)
        assert printed(path[-1]) == "[-6.11110793e-10  8.14814391e-10]"
        np.testing.assert_allclose(path[-1], [-3 * 0.8**100, 4 * 0.8**100], rtol=1e-7)
        assert [printed(row) for row in path[:3]] == ["[-3.  4.]", "[-2.4  3.2]", "[-1.92  2.56]"]
    assert start.tolist() == [-3.0, 4.0]


def test_descent_with_the_optimiser():
    x = leaf([-3.0, 4.0])
    optimiser = SGD([x], lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        sum_of_squares(x).backward()
        optimiser.step()
    assert printed(x) == "[-6.11110793e-10  8.14814391e-10]"


@pytest.mark.parametrize(("lr", "expected"), [(0.1, 0.3221225472), (0.5, 0), (0.9, 0.3221225472), (1.0, 3)])
def test_learning_rates(lr, expected):
    path = descend(sum_of_squares, 3.0, lr, steps=10)
    assert path[-1] == pytest.approx(expected, rel=1e-14)
    if lr == 1.0:
        assert path.tolist() == [3.0, -3.0] * 5 + [3.0]  # it oscillates


def test_a_learning_rate_that_diverges():
    with pytest.warns(RuntimeWarning, match=r"diverged: f rose from 9 to 345.038, so lr=1.1 is too large"):
        end = descend(sum_of_squares, 3.0, 1.1, steps=10)[-1]
    assert f"{end:.3f}" == "18.575"


def test_learning_rates_that_are_far_off():
    with pytest.warns(RuntimeWarning, match="diverged: f rose from 25 to 6.72403e\\+26, so lr=10 is too large"):
        end = descend(sum_of_squares, [-3.0, 4.0], 10, 100, numerical)[-1]
    assert printed(end) == "[-2.58983747e+13 -1.29524862e+12]"
    # The numerical gradient lost its step in rounding; the exact one goes on growing by a factor of 19.
    with pytest.warns(RuntimeWarning, match="diverged"):
        exact = descend(sum_of_squares, [-3.0, 4.0], 10, 100)[-1]
    np.testing.assert_allclose(exact, [-3 * 19.0**100, 4 * 19.0**100], rtol=1e-12)
    assert printed(descend(sum_of_squares, [-3.0, 4.0], 1e-10, 100)[-1]) == "[-2.99999994  3.99999992]"


# ---------------------------------------------------------------------------------------------------------- perceptrons


@pytest.mark.parametrize(("gate", "truth"), [("AND", "0001"), ("NAND", "1110"), ("OR", "0111"), ("XOR", "0110")])
def test_gates(gate, truth):
    gates = example("perceptron_gates")
    for outputs in (gates["by_hand"](gate, gates["INPUTS"]), gates["learned"](gate)):
        assert "".join(map(str, outputs)) == truth


def test_step_function():
    step = example("activation_functions")["step"]
    assert step(-1) == 0
    assert step([-1, 2, 3]).tolist() == [0, 1, 1]


# ------------------------------------------------------------------------------------------------------ forward networks


def test_broadcast():
    assert (tg.Tensor([[1, 2], [3, 4]]) * [10, 20]).tolist() == [[10, 40], [30, 80]]


def test_matrix_product():
    assert (tg.Tensor([[1, 2, 3], [4, 5, 6]]) @ [[1, 2], [3, 4], [5, 6]]).tolist() == [[22, 28], [49, 64]]
    assert (tg.Tensor([1, 2]) @ [[1, 3, 5], [2, 4, 6]]).tolist() == [5, 11, 17]


def test_three_layer_net():
    outputs = example("three_layer_net")["forward"](np.array([1.0, 0.5]))
    expected = ["[0.57444252 0.66818777 0.75026011]", "[0.62624937 0.7710107 ]", "[0.31682708 0.69627909]"]
    assert list(map(printed, outputs)) == expected


def test_stable_softmax():
    x = np.array([1010.0, 1000.0, 990.0])
    y = tg.softmax(tg.Tensor(x))
    assert printed(y) == "[9.99954600e-01 4.53978686e-05 2.06106005e-09]"
    assert y.data.sum() == 1.0
    assert y.data.argsort().tolist() == x.argsort().tolist()
    np.testing.assert_allclose(tg.softmax(x - 1000), y.data, rtol=1e-12)


@pytest.fixture
def mnist(shared) -> tuple[Any, Any]:
    """The 10,000 test images of MNIST, scaled to [0, 1], and their labels."""
    return tg.data.load_mnist(shared / "data", "test", dtype=np.float32)


@pytest.fixture
def predict(shared):
    """The net whose weights the book gives: 784-50-100-10, sigmoid, sigmoid, softmax."""
    weights = tg.load(shared / "data" / "sample_weight.pkl")
    p = {name: tg.Tensor(array, requires_grad=True) for name, array in weights.items()}
    assert {name: array.shape for name, array in p.items()} == {
        "W1": (784, 50),
        "b1": (50,),
        "W2": (50, 100),
        "b2": (100,),
        "W3": (100, 10),
        "b3": (10,),
    }

    def net(x):
        z1 = tg.sigmoid(x @ p["W1"] + p["b1"])
        z2 = tg.sigmoid(z1 @ p["W2"] + p["b2"])
        return tg.softmax(z2 @ p["W3"] + p["b3"])

    return net


def test_accuracy_in_batches(mnist, predict):
    correct = 0
    with tg.no_grad():
        for x, t in tg.data.DataLoader(mnist, batch_size=100):
            correct += int((predict(x).data.argmax(axis=1) == t.data).sum())
    assert correct / 10_000 == 0.9352


def test_accuracy_one_by_one(mnist, predict):
    with tg.no_grad():
        correct = sum(int(predict(image).data.argmax()) == label for image, label in zip(*mnist, strict=True))
    assert correct / 10_000 == 0.9352


# --------------------------------------------------------------------------------------------------------------- losses

Y = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
T = tg.one_hot(2, 10)


def test_squared_errors():
    y = leaf(Y)
    assert (0.5 * ((y - T) ** 2).sum()).item() == 0.09750000000000003
    assert ((y - T) ** 2).sum().item() == 0.19500000000000006


def test_cross_entropy():
    y = leaf(Y)
    assert (-(T * tg.log(y + 1e-7)).sum()).item() == 0.510825457099338
    assert (-tg.log(y[2])).item() == 0.5108256237659907
    with np.errstate(divide="ignore"):
        logits = np.log(Y)  # softmax undoes it
    assert cross_entropy(tg.Tensor(logits), 2).item() == pytest.approx(0.5108256237659907, rel=1e-15)


def test_mini_batch_cross_entropy_is_the_mean():
    logits = np.random.default_rng(0).standard_normal((6, 4))
    labels = np.array([0, 3, 1, 1, 2, 0])
    singly = [cross_entropy(tg.Tensor(row), label).item() for row, label in zip(logits, labels, strict=True)]
    for target in (labels, tg.one_hot(labels, 4)):
        assert cross_entropy(tg.Tensor(logits), target).item() == pytest.approx(np.mean(singly), rel=1e-14)
