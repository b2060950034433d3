"""Random programs on the engine and on a naive twin, which differentiates by walking every path recursively."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import tinygrad_edu as tg

SHAPE = (2, 3)


class Naive:
    """A value that remembers its parents with the function that pulls a cotangent back to each. No graph, no order."""

    def __init__(self, value, parents=(), leaf=False):
        self.value, self.parents, self.leaf = value, parents, leaf
        self.grad = None

    def backward(self, g):
        if self.leaf:
            self.grad = g if self.grad is None else self.grad + g
        for parent, pull in self.parents:
            parent.backward(pull(g))


UNARY = {
    "sin": (tg.sin, lambda x: (np.sin(x), lambda g: g * np.cos(x))),
    "sigmoid": (tg.sigmoid, lambda x: (1 / (1 + np.exp(-x)), lambda g: g * np.exp(-x) / (1 + np.exp(-x)) ** 2)),
    "square": (lambda x: x * x, lambda x: (x * x, lambda g: 2 * g * x)),
    "rows": (lambda x: x[[1, 1]], lambda x: (x[[1, 1]], lambda g: np.stack([np.zeros(3), g.sum(axis=0)]))),
    "mean": (
        lambda x: x - x.mean(axis=0, keepdims=True),
        lambda x: (x - x.mean(axis=0), lambda g: g - g.mean(axis=0)),
    ),
    "transpose": (lambda x: x.T.reshape(SHAPE), lambda x: (x.T.reshape(SHAPE), lambda g: g.reshape(3, 2).T)),
}
BINARY = {
    "add": (lambda a, b: a + b, lambda a, b: (a + b, lambda g: g, lambda g: g)),
    "subtract": (lambda a, b: a - b, lambda a, b: (a - b, lambda g: g, lambda g: -g)),
    "multiply": (lambda a, b: a * b, lambda a, b: (a * b, lambda g: g * b, lambda g: g * a)),
    "matmul": (lambda a, b: a @ (b.T @ b) / 9, None),
    "row": (
        lambda a, b: a + b[0],
        lambda a, b: (a + b[0], lambda g: g, lambda g: np.stack([g.sum(axis=0), np.zeros(3)])),
    ),
}


def gram(a, b):
    m = b.T @ b
    return (
        a @ m / 9,
        lambda g: g @ m.T / 9,
        lambda g: (b @ (a.T @ g) + b @ (a.T @ g).T) / 9,
    )


BINARY["matmul"] = (BINARY["matmul"][0], gram)


class Programs(RuleBasedStateMachine):
    tensors = Bundle("tensors")

    def __init__(self):
        super().__init__()
        self.leaves = []
        self.seed = 0

    def values(self):
        self.seed += 1
        return np.random.default_rng(self.seed).uniform(-1, 1, SHAPE)

    @rule(target=tensors)
    def leaf(self):
        value = self.values()
        pair = tg.Tensor(value, requires_grad=True), Naive(value, leaf=True)
        self.leaves.append(pair)
        return pair

    @rule(target=tensors)
    def constant(self):
        value = self.values()
        return tg.Tensor(value), Naive(value)

    @rule(target=tensors, pair=tensors, name=st.sampled_from(sorted(UNARY)))
    def unary(self, pair, name):
        (x, n), (op, naive) = pair, UNARY[name]
        value, pull = naive(n.value)
        return op(x), Naive(value, [(n, pull)])

    @rule(target=tensors, one=tensors, two=tensors, name=st.sampled_from(sorted(BINARY)))
    def binary(self, one, two, name):
        (a, m), (b, n), (op, naive) = one, two, BINARY[name]
        value, left, right = naive(m.value, n.value)
        return op(a, b), Naive(value, [(m, left), (n, right)])

    @rule(target=tensors, pair=tensors, name=st.sampled_from(sorted(UNARY)))
    def unrecorded(self, pair, name):
        with tg.no_grad():
            y = UNARY[name][0](pair[0])
        return y, Naive(UNARY[name][1](pair[1].value)[0])

    @rule(target=tensors, pair=tensors)
    def detached(self, pair):
        return pair[0].detach(), Naive(pair[1].value)

    @rule(pair=tensors, repeat=st.booleans())
    def backward(self, pair, repeat):
        x, n = pair
        if not x.requires_grad:
            return
        g = self.values()
        for _ in range(1 + repeat):
            x.backward(g, retain_graph=True)
            n.backward(g)

    @rule(pair=tensors)
    def recorded_backward(self, pair):
        x, n = pair
        if x.requires_grad:
            g = self.values()
            x.backward(g, create_graph=True)
            n.backward(g)
            for t, _ in self.leaves:
                if t.grad is not None:
                    t.grad = t.grad.numpy()

    @rule(pair=consumes(tensors))
    def forget(self, pair):
        self.leaves = [leaf for leaf in self.leaves if leaf is not pair]

    @rule()
    def zero_grad(self):
        for t, n in self.leaves:
            t.grad = n.grad = None

    @rule(pair=tensors)
    def values_agree(self, pair):
        np.testing.assert_allclose(pair[0].numpy(), pair[1].value, rtol=1e-10, atol=1e-10)

    @invariant()
    def gradients_agree(self):
        for t, n in self.leaves:
            assert (t.grad is None) == (n.grad is None)
            if n.grad is not None:
                scale = 1 + np.abs(n.grad).max()
                np.testing.assert_allclose(t.grad.numpy(), n.grad, rtol=1e-9, atol=1e-9 * scale)
                assert t.grad.data.flags.writeable
                assert t.grad.data.base is None

    @invariant()
    def no_gradient_is_shared(self):
        arrays = [t.grad.data for t, _ in self.leaves if t.grad is not None]
        assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(max_examples=60, stateful_step_count=25)


def test_the_twin_can_disagree():
    x, n = tg.Tensor([[1.0, 2.0, 3.0]] * 2, requires_grad=True), Naive(np.array([[1.0, 2.0, 3.0]] * 2), leaf=True)
    (x * x).backward(np.ones(SHAPE))
    n.backward(np.ones(SHAPE))  # the twin of x, not of x * x
    assert not np.allclose(x.grad.numpy(), n.grad)
