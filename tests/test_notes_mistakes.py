"""The mistakes of the study notes that are about a gradient: each is planted, and the report names it.

The numbers are those of the list of mistakes; the ones about numerical differentiation (1 to 7) are in test_testing.py.
"""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GradientMismatchError, NumericalError, ShapeError
from tinygrad_edu.testing import check_function, check_layer

RNG = np.random.default_rng(0)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Layer:
    params, grads = (), ()


class MatMul(Layer):
    def __init__(self, w):
        self.params, self.grads = [w], [np.zeros_like(w)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, dout):
        dx = dout @ self.params[0].T
        self.grads[0][...] = self.x.T @ dout
        return dx


def test_8_softmax_over_the_whole_batch():
    def forward(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    def backward(g, z):
        y = softmax(z)
        return y * (g - (g * y).sum(axis=-1, keepdims=True))

    report = check_function(forward, backward, RNG.normal(size=(2, 3)))
    assert not report.ok
    assert report.counts["mismatch"] == 6


def cross_entropy(z, t):
    return -np.log(softmax(z)[np.arange(len(t)), t])


def minus_labels(z, t):
    d = softmax(z)
    d[np.arange(len(t)), t] -= 1
    return d


def test_9_a_loss_that_is_not_divided_by_the_batch():
    z, t = RNG.normal(size=(5, 3)), np.array([0, 1, 2, 0, 1])
    report = check_function(lambda z: cross_entropy(z, t), lambda g, z: minus_labels(z, t) * g[:, None] / 5, z)
    assert "a mean in the place of a sum" in report.suspicion
    assert "1/5" in report.suspicion
    report = check_function(lambda z: cross_entropy(z, t).mean(), lambda g, z: g * minus_labels(z, t), z)
    assert "the analytic gradient is 5 times the numerical one" in report.suspicion


def test_10_a_loss_with_an_epsilon_and_a_gradient_without():
    z, t = np.array([[0.0, 20.0, 0.0]]), np.array([0])
    report = check_function(lambda z: -np.log(softmax(z)[0, 0] + 1e-7), lambda g, z: g * minus_labels(z, t), z)
    assert not report.ok
    first = report.mismatches[0]
    assert first.numerical / first.analytic == pytest.approx(0.0202, abs=1e-4)


def test_12_a_repeat_that_is_summed_over_all_rows():
    with pytest.raises(
        ShapeError, match=r"gradient for input 0 of <lambda> has shape \(1, 2\).*what was repeated in forward is summed over"
    ):
        check_function(lambda x: np.repeat(x, 3, axis=0), lambda g, x: g.sum(axis=0, keepdims=True), RNG.normal(size=(2, 2)))
    report = check_function(
        lambda x: np.repeat(x, 3, axis=0), lambda g, x: np.broadcast_to(g.sum(axis=0), x.shape), RNG.normal(size=(2, 2))
    )
    assert report.suspicion == "summed over axis 0, and repeated along it"


def test_13_a_matrix_product_with_a_vector():
    report = check_layer(MatMul(RNG.normal(size=(3, 3))), RNG.normal(size=3))
    assert not report.ok  # x.T @ dout is a number, and fills the whole gradient
    assert {verdict.input for verdict in report.mismatches} == {1}
    assert check_layer(MatMul(RNG.normal(size=(3, 3))), RNG.normal(size=(4, 3))).ok


def test_14_a_layer_that_is_used_twice_and_overwrites():
    def backward(g, w, a, b):
        gradient = g * a
        gradient = g * b  # what is assigned in place of added
        return gradient, g * w, g * w

    report = check_function(lambda w, a, b: w * a + w * b, backward, np.array(2.0), np.array(3.0), np.array(5.0))
    first = report.mismatches[0]
    assert first.numerical / first.analytic == pytest.approx(8 / 5)
    assert not report.ok
    engine_like = tg.Tensor(2.0, requires_grad=True)
    (engine_like * 3 + engine_like * 5).backward()
    assert engine_like.grad.item() == 8


def test_15_an_input_that_is_kept_by_reference():
    report = check_layer(MatMul(RNG.normal(size=(3, 2))), RNG.normal(size=(4, 3)))
    assert report.ok
    assert "MatMul keeps its input by reference" in report.notes[0]
    assert "note: MatMul keeps its input by reference" in str(report)


def test_16_integer_weights():
    with pytest.raises(NumericalError, match=r"params\[0\] of MatMul has dtype int64.*truncated to integers"):
        check_layer(MatMul(np.ones((3, 2), int)), RNG.normal(size=(4, 3)))


def test_17_to_21_labels_are_decided_by_rank_and_dtype():
    z = RNG.normal(size=(4, 3))
    t = np.array([0, 2, 1, 1])
    tg.testing.assert_gradients(lambda z: tg.softmax_cross_entropy(z, t), z)
    tg.testing.assert_gradients(lambda z: tg.softmax_cross_entropy(z, tg.one_hot(t, 3) * 0.9 + 0.1 / 3), z)
    for wrong in (t[:, None], -t - 1, t.astype(float)):
        with pytest.raises(tg.errors.LabelError):
            tg.softmax_cross_entropy(z, wrong)


def test_30_the_direction_of_the_gradient():
    report = check_function(lambda x: (x**2).sum(), lambda g, x: -2 * g * x, np.array([3.0, 4.0]))
    assert report.suspicion == "a sign: the analytic gradient is −1 times the numerical one"

    @tg.primitive
    def downhill(a, /):
        return np.sum(a**2)

    downhill.vjp(a=lambda g, a: -2 * g * a)
    with pytest.raises(GradientMismatchError, match="a sign"):
        tg.testing.assert_gradients(downhill, [3.0, 4.0])
