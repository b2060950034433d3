"""Layers that somebody wrote by hand, in NumPy: wrong gradients are named, and right ones of any precision are not."""

import re

import numpy as np
import pytest
from sample_arrays import in_one_place, normal

from tinygrad_edu.errors import NumericalError
from tinygrad_edu.testing import check_layer


class Affine:
    def __init__(self, w, b):
        self.params, self.grads = [w, b], [np.zeros_like(w), np.zeros_like(b)]

    def forward(self, x):
        self.x = x.copy()
        return x @ self.params[0] + self.params[1]

    def gradients(self, dout):
        return self.x.T @ dout, dout.sum(0), dout @ self.params[0].T

    def backward(self, dout):
        self.grads[0][...], self.grads[1][...], dx = self.gradients(dout)
        return dx


MISTAKES = {
    "a mean": (lambda dw, db, dx: (dw / 4, db, dx), "a mean in the place of a sum"),
    "a sign": (lambda dw, db, dx: (dw, db, -dx), "a sign"),
    "a factor of 1.01": (lambda dw, db, dx: (1.01 * dw, db, dx), "1.01 times"),
    "one element": (lambda dw, db, dx: (in_one_place(dw, 3), db, dx), r"one element only, \(2, 1\)"),
    "another row": (lambda dw, db, dx: (dw, db, dx[::-1]), "reversed"),
}


def affine(change, dtype):
    """An Affine with a mistake in its gradients."""
    kind = type("Affine", (Affine,), {"gradients": lambda self, dout: change(*Affine.gradients(self, dout))})
    return kind(normal(3, 2, dtype=dtype), normal(2, dtype=dtype))


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_layers_are_named(mistake, dtype):
    change, words = MISTAKES[mistake]
    report = check_layer(affine(change, dtype), normal(4, 3, dtype=dtype))
    assert not report.ok

    assert re.search(words, report.suspicion), report
    assert not report.notes


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
def test_where_a_layer_is_right_but_for_its_precision(dtype):
    class Sigmoid:
        def __init__(self, w, factor):
            self.params, self.grads, self.factor = [w], [np.zeros_like(w)], factor

        def forward(self, x):
            self.x = x.copy()
            self.y = 1 / (1 + np.exp(-x * self.params[0]))
            return self.y

        def backward(self, dout):
            d = dout * self.y * (1 - self.y) * self.factor
            self.grads[0][...] = (d * self.x).sum(0)
            return d * self.params[0]

    x, w = np.array([[13.82, -17.8], [16.5, -16]], dtype), np.array([1, -1], dtype)
    report = check_layer(Sigmoid(w, 1), x)
    assert report.ok, report
    assert report.inconclusive == 0 or dtype != "f8"
    assert not check_layer(Sigmoid(w, 2), x / 10).ok
    assert w.dtype == dtype


@pytest.mark.parametrize(("of_layer", "of_input"), [("f8", "f8"), ("f4", "f4"), ("f4", "f8"), ("f8", "f4"), ("f2", "f2")])
@pytest.mark.parametrize("scale", [1, 1e3])
def test_right_layers_of_any_precision(of_layer, of_input, scale):
    layer = Affine((scale * normal(3, 2)).astype(of_layer), normal(2, dtype=of_layer))
    report = check_layer(layer, normal(4, 3, dtype=of_input))
    assert report.ok, report
    assert report.inconclusive <= 2 or of_layer == "f2"  # which has three digits


def test_notes_are_right():
    class Accumulating(Affine):
        def backward(self, dout):
            dw, db, dx = self.gradients(dout)
            self.grads[0] += dw
            self.grads[1][...] = db
            return dx

    report = check_layer(Accumulating(normal(3, 2), normal(2)), normal(4, 3))
    assert report.notes == ["grads[0] of Accumulating grow by each pass: they accumulate, so clear them between steps"]


class RNN:
    """*Deep Learning from Scratch 2*, section 5.3."""

    def __init__(self, wx, wh, b):
        self.params, self.grads = [wx, wh, b], [np.zeros_like(p) for p in (wx, wh, b)]

    def forward(self, x, h):
        wx, wh, b = self.params
        self.cache = x.copy(), h.copy(), np.tanh(h @ wh + x @ wx + b)
        return self.cache[2]

    def backward(self, dh):
        x, h, y = self.cache
        dt = dh * (1 - y**2)
        self.grads[0][...], self.grads[1][...], self.grads[2][...] = x.T @ dt, h.T @ dt, dt.sum(0)
        return dt @ self.params[0].T, dt @ self.params[1].T


def test_layers_with_several_inputs():
    layer, x, h = RNN(normal(3, 4), normal(4, 4), normal(4)), normal(2, 3), normal(2, 4)
    report = check_layer(layer, x, h)
    assert report.ok
    assert report.compared == 2 * 3 + 2 * 4 + 3 * 4 + 4 * 4 + 4

    class Doubled(RNN):
        def backward(self, dh):
            dx, dh = super().backward(dh)
            return dx, 2 * dh

    report = check_layer(Doubled(*layer.params), x, h)
    assert {v.input for v in report.mismatches} == {1}
    assert "2 times" in report.suspicion


def test_layers_with_several_results():
    class Split:
        def __init__(self, of_second=1.0):
            self.of_second = of_second

        def forward(self, x):
            self.x = x.copy()
            return np.sin(x), x**2

        def backward(self, da, db):
            return da * np.cos(self.x) + self.of_second * 2 * self.x * db

    assert check_layer(Split(), normal(4)).ok
    assert not check_layer(Split(0.0), normal(4)).ok  # the second cotangent is forgotten


class FirstVolume:
    """*Deep Learning from Scratch*, section 5.6: the gradients of W and b are dW and db."""

    def __init__(self, w, b, factor=1.0):
        self.W, self.b, self.factor = w, b, factor
        self.x = self.dW = self.db = None

    def forward(self, x):
        self.x = x.copy()
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.factor * (self.x.T @ dout), dout.sum(0)
        self.dx = dout @ self.W.T
        return self.dx


def test_layers_of_the_first_volume():
    layer = FirstVolume(normal(3, 2), normal(2))
    layer.backward(layer.forward(normal(4, 3)))  # from now on there are x and dx, which is no parameter
    report = check_layer(layer, normal(5, 3))
    assert report.ok
    assert report.compared == 15 + 6 + 2
    report = check_layer(FirstVolume(normal(3, 2), normal(2), factor=3.0), normal(5, 3))
    assert {v.input for v in report.mismatches} == {1}
    with pytest.raises(NumericalError, match="b of FirstVolume has dtype int64.*truncated to integers"):
        check_layer(FirstVolume(normal(3, 2), np.array([1, 2])), normal(5, 3))
