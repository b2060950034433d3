"""The published conventions at non-smooth points: that they are what is computed, and that they are generalised gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.registry import REGISTRY

KINKS = [
    pytest.param(operation, kink, id=f"{name}: {kink.where}")
    for name, operation in sorted(REGISTRY.items())
    for kink in operation.kinks
]


def at_kink(operation, kink, moved=None, weights=None):
    """The gradient of the result's weighted sum at a kink, or at operands nearby, for the operands that the kink declares."""
    operands = {name: np.multiply(value, 1.0) for name, value in kink.at.items() if name in kink.gradient}
    variables = {
        name: tg.Tensor(value if moved is None else value + moved[name], requires_grad=True) for name, value in operands.items()
    }
    given = {**kink.at, **variables}
    positional = [given.pop(name) for name in operation.operands]
    y = operation.function(*positional, **given)
    y = y if isinstance(y, tg.Tensor) else tg.concatenate([tg.ravel(part) for part in y])
    y.backward(np.broadcast_to(kink.weights, y.shape) if weights is None else weights(y.shape))
    return {name: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for name, v in variables.items()}


@pytest.mark.parametrize(("operation", "kink"), KINKS)
def test_the_declared_derivative_is_the_computed_one(operation, kink):
    found = at_kink(operation, kink)
    for name, expected in kink.gradient.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-12, err_msg=f"{operation.name}: {name}")


STEP = 1e-7


def vector(parts):
    """The numbers of several arrays as one vector of real ones."""
    numbers = np.concatenate([np.ravel(np.asarray(parts[name]) + 0j) for name in sorted(parts)])
    return np.concatenate([numbers.real, numbers.imag])


def nearby(operation, kink, count, weights=None):
    """Gradients at random points near a kink, each as one vector."""
    rng = np.random.default_rng(0)

    def step(value):
        shape = np.shape(value)
        return STEP * (rng.uniform(-1, 1, shape) + 1j * np.iscomplexobj(value) * rng.uniform(-1, 1, shape))

    gradients = []
    for _ in range(count):
        moved = {name: step(kink.at[name]) for name in kink.gradient}
        moved = {name: m if np.iscomplexobj(kink.at[name]) else m.real for name, m in moved.items()}
        gradients.append(vector(at_kink(operation, kink, moved, weights)))
    return np.array(gradients)


def outside(value, gradients):
    """How far a vector is from the nearest point of the convex hull of others, in its largest component.

    That point is a mean Σ λᵢ gᵢ with λᵢ ≥ 0 and Σ λᵢ = 1. To find the λ with the smallest distance t is a linear program.
    """
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")
    gradients = np.unique(gradients.round(9), axis=0)
    count, size = gradients.shape
    bounds = np.block([[gradients.T, -np.ones((size, 1))], [-gradients.T, -np.ones((size, 1))]])
    sums = np.append(np.ones(count), 0)[None]
    target = np.concatenate([value, -value])
    found = optimize.linprog(np.append(np.zeros(count), 1), bounds, target, sums, [1.0], method="highs")
    assert found.status == 0, found.message
    return found.fun


@pytest.mark.parametrize(("operation", "kink"), KINKS)
def test_the_declared_derivative_is_a_mean_of_those_nearby(operation, kink):
    gradients = nearby(operation, kink, 300)
    assert outside(vector(kink.gradient), gradients) < 1e-6 * (1 + np.abs(gradients).max())
    uneven = nearby(operation, kink, 100, lambda shape: np.sqrt(1 + np.arange(np.prod(shape))).reshape(shape))
    assert np.ptp(uneven, axis=0).max() > 1e-3, "the derivative does not jump here: this is no kink"
    declared = nearby(operation, kink, 100)
    assert np.ptp(declared, axis=0).max() > 1e-3, "the sum that is declared has no kink here: give it weights"


def test_a_value_outside_is_found():
    gradients = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert outside(np.array([0.5, 0.5]), gradients) < 1e-9
    assert outside(np.array([0.5, 0.5002]), gradients) == pytest.approx(1e-4, rel=1e-3)
    assert outside(np.array([1.0, 1.0]), gradients) == pytest.approx(0.5)
    assert outside(np.array([0.0, 0.0]), gradients) == pytest.approx(0.5)


@pytest.mark.parametrize("derivative", [-0.01, 1.01, 1.15])
def test_a_derivative_just_beyond_those_nearby_is_found(derivative):
    relu, (kink,) = REGISTRY["relu"], REGISTRY["relu"].kinks
    assert outside(np.array([derivative, 0.0]), nearby(relu, kink, 50)) > 0.009


SPELLINGS = {
    "relu": (tg.relu, 0),
    "maximum(x, 0)": (lambda x: tg.maximum(x, 0), 0.5),
    "maximum(0, x)": (lambda x: tg.maximum(0, x), 0.5),
    "clip(x, 0)": (lambda x: tg.clip(x, 0), 1),
    "where(x > 0, x, 0)": (lambda x: tg.where(x > 0, x, 0), 0),
    "where(x >= 0, x, 0)": (lambda x: tg.where(x >= 0, x, 0), 1),
    "x * (x > 0)": (lambda x: x * (x > 0), 0),
    "max of [x, 0]": (lambda x: tg.stack([x, tg.Tensor(np.zeros(x.shape))]).max(axis=0), 0.5),
    "(x + |x|) / 2": (lambda x: (x + abs(x)) / 2, 0.5),
    "np.maximum(x, 0)": (lambda x: np.maximum(x, 0), 0.5),
    "leaky_relu": (lambda x: tg.leaky_relu(x, 0.0), 0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_the_rectifier_follow_their_own_rows_of_the_table(spelling):
    f, expected = SPELLINGS[spelling]
    x = tg.Tensor([0.0, 1.0, -1.0], requires_grad=True)
    f(x).sum().backward()
    assert x.grad.tolist() == [expected, 1, 0]


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_ties_are_shared_whatever_the_numbers(a, b):
    x = tg.Tensor([a, b, a, b], requires_grad=True)
    x.max().backward()
    assert x.grad.numpy().sum() == pytest.approx(1)
    np.testing.assert_allclose(x.grad.numpy()[:2], x.grad.numpy()[2:])


def test_the_table_prints():
    table = tg.conventions()
    assert ("relu", "a = 0", "0") in table
    lines = str(table).splitlines()
    assert lines[0].split() == ["operation", "where", "derivative"]
    assert len(lines) == len(table) + 1
    assert len({(row.operation, row.where) for row in table}) == len(table)
    documented = {row.operation for row in table}
    assert {"abs", "relu", "maximum", "minimum", "max", "min", "clip", "norm", "hypot", "std"} <= documented
