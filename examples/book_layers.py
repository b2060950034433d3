"""The layers of *Deep Learning from Scratch 2*, section 1.3, with their hand-written backward passes, checked.

Run it: the derivatives of four layers are compared with numerical ones, and so is a layer with a mistake, to see what is said.
"""

import numpy as np

import tinygrad_edu as tg


class MatMul:
    """y = x W"""

    def __init__(self, w):
        self.params = [w]
        self.grads = [np.zeros_like(w)]

    def forward(self, x):
        self.x = x.copy()  # a copy: the caller may change its array before backward
        return x @ self.params[0]

    def backward(self, dout):
        (w,) = self.params
        self.grads[0][...] = self.x.reshape(-1, w.shape[0]).T @ dout.reshape(-1, w.shape[1])
        return dout @ w.T


class Affine:
    """y = x W + b, where b is repeated for every row"""

    def __init__(self, w, b):
        self.product = MatMul(w)
        self.params = [w, b]
        self.grads = [*self.product.grads, np.zeros_like(b)]

    def forward(self, x):
        return self.product.forward(x) + self.params[1]

    def backward(self, dout):
        self.grads[1][...] = dout.reshape(-1, dout.shape[-1]).sum(axis=0)  # Repeat's derivative is Sum
        return self.product.backward(dout)


class Sigmoid:
    """y = 1 / (1 + e⁻ˣ)"""

    def __init__(self):
        self.params, self.grads = [], []

    def forward(self, x):
        # Of e⁻ˣ and eˣ the one that does not overflow.
        small = np.exp(-np.abs(x))
        self.y = np.where(x >= 0, 1, small) / (1 + small)
        return self.y

    def backward(self, dout):
        return dout * self.y * (1 - self.y)


class SoftmaxWithLoss:
    """The mean cross-entropy of softmax(x) and labels t, from the logarithm of softmax: it has no logarithm of 0"""

    def __init__(self):
        self.params, self.grads = [], []

    def forward(self, x, t):
        shifted = x - x.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        self.p, self.t = np.exp(log_p), t.copy()
        return -log_p[np.arange(len(t)), t].mean()

    def backward(self, dout=1):
        dx = self.p.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dout * dx / len(self.t)


class ForgetfulAffine(Affine):
    """The same, but the sum over the repeated rows is forgotten in all rows but the last."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads[1][...] = dout[-1]
        return dx


def main():
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    for layer, inputs in [
        (MatMul(w), [x]),
        (Affine(w, b), [x]),
        (Sigmoid(), [x * 300]),
        (SoftmaxWithLoss(), [x * 10, np.array([0, 2, 1, 1])]),
        (ForgetfulAffine(w, b), [x]),
    ]:
        print(tg.testing.check_layer(layer, *inputs))


if __name__ == "__main__":
    main()
