"""Layers in the style of *Deep Learning from Scratch*, for the tests of what checks them."""

import numpy as np
from sample_arrays import normal


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


class Careless(Affine):
    """One whose bias has twice its gradient."""

    def gradients(self, dout):
        dw, db, dx = super().gradients(dout)
        return dw, 2 * db, dx


def affine(change, dtype):
    """An Affine with a mistake in its gradients."""
    kind = type("Affine", (Affine,), {"gradients": lambda self, dout: change(*Affine.gradients(self, dout))})
    return kind(normal(3, 2, dtype=dtype), normal(2, dtype=dtype))


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


def layer_of(forward, backward, **attributes):
    return type("Layer", (), {"forward": forward, "backward": backward, **attributes})()
