"""Layers that somebody wrote by hand: where their parameters are, copies of them, and what is no such layer."""

import threading

import numpy as np
import pytest
from sample_arrays import normal
from sample_layers import Careless, FirstVolume, affine, layer_of

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.testing import check_layer
from tinygrad_edu.testing.layer_copies import copied


class Tied:
    """x W Wᵀ or x W W, with a gradient for each use."""

    def __init__(self, w, turned, factor=1.0):
        self.params, self.turned, self.factor = [w, w.T if turned else w], turned, factor
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        self.x, self.h = x.copy(), x @ self.params[0]
        return self.h @ self.params[1]

    def backward(self, dout):
        first, second = self.params
        self.grads[1][...] = self.factor * self.h.T @ dout
        self.grads[0][...] = self.x.T @ (dout @ second.T)
        return dout @ second.T @ first.T


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("turned", [False, True])
def test_tied_weights_have_the_sum_of_their_gradients(turned, dtype):
    w, x = normal(3, 3, dtype=dtype), normal(4, 3, dtype=dtype)
    report = check_layer(Tied(w, turned), x)
    assert (report.ok, report.compared) == (True, 12 + 9)
    assert {v.input for v in check_layer(Tied(w, turned, 2.0), x).mismatches} == {1}


class Views:
    """An affine layer, all of whose parameters are in one vector."""

    def __init__(self, flat, factor=1.0):
        self.params, self.grads, self.factor = [flat], [np.zeros_like(flat)], factor
        self.parts = {"W": flat[:6].reshape(3, 2).T, "b": flat[:-3:-1]}

    def forward(self, x):
        self.x = x.copy()
        return x @ self.parts["W"].T + self.parts["b"]

    def backward(self, dout):
        self.grads[0][...] = np.concatenate([(self.x.T @ dout).ravel(), self.factor * dout.sum(0)[::-1]])
        return dout @ self.parts["W"]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_views_of_parameters_stay_views(dtype):
    flat, x = normal(8).astype(dtype), normal(4, 3).astype(dtype)
    report = check_layer(Views(flat), x)
    assert (report.ok, report.compared, report.notes) == (True, 12 + 8, [])
    report = check_layer(Views(flat, 2.0), x)
    assert {(v.input, v.index) for v in report.mismatches} == {(1, (6,)), (1, (7,))}
    assert np.array_equal(flat, normal(8).astype(dtype))


def test_copies_of_layers_keep_what_shares_memory():
    class Any:
        pass

    layer, w = Any(), np.asfortranarray(normal(4, 3).astype("f4"))
    layer.inside, layer.w = Any(), w[1:]
    layer.inside.kept = [w.T[::-1, ::2], (w.real, {"one": w[2, 1:2]})]
    layer.locked = w[0]
    layer.locked.flags.writeable = False
    for _ in range(2):  # a copy of a copy, too
        layer = copied(layer, wide=True)
        assert layer.w.dtype == float
        layer.w[1, 1] = 7
        turned, (whole, inside) = layer.inside.kept
        assert turned[1, 1] == whole[2, 1] == inside["one"][0] == 7
        assert not layer.locked.flags.writeable
        layer.w[1, 1] = w[2, 1]
        assert np.array_equal(whole, w)
        assert np.array_equal(turned, w.T[::-1, ::2])


def test_parameters_of_a_class_are_left_as_they_were():
    w = normal(3, 2)

    class OfClass:
        params, grads = [w], [np.zeros((3, 2))]

        def forward(self, x):
            self.x = x.copy()
            return x @ self.params[0]

        def backward(self, dout):
            self.grads[0][...] = 2 * self.x.T @ dout
            return dout @ self.params[0].T

    report = check_layer(OfClass(), normal(4, 3))
    assert {v.input for v in report.mismatches} == {1}
    assert np.array_equal(w, normal(3, 2))
    assert not OfClass.grads[0].any()


def test_parameters_in_slots():
    class Slots:
        __slots__ = ("W", "dW", "turned", "x")

        def __init__(self, w):
            self.W, self.turned = w, w.T

        def forward(self, x):
            self.x = x.copy()
            return x @ self.turned.T

        def backward(self, dout):
            self.dW = self.x.T @ dout
            return dout @ self.turned

    report = check_layer(Slots(normal(3, 2)), normal(4, 3))
    assert (report.ok, report.compared, report.notes) == (True, 12 + 6, [])


def test_parameters_that_are_computed_when_they_are_asked_for():
    class Computed(FirstVolume):
        params = property(lambda self: [self.W, self.b])
        grads = property(lambda self: [self.dW, self.db])

    report = check_layer(Computed(normal(3, 2), normal(2)), normal(4, 3))
    assert (report.ok, report.compared) == (True, 12 + 6 + 2)


class Named:
    """Parameters in dictionaries, as those that the book's optimizers take."""

    def __init__(self, w, to="W1"):
        self.params, self.grads, self.to = {"W1": w}, {}, to

    def forward(self, x):
        self.x = x.copy()
        return x @ self.params["W1"]

    def backward(self, dout):
        self.grads[self.to] = 2 * self.x.T @ dout
        return dout @ self.params["W1"].T


def test_dictionaries_of_parameters():
    report = check_layer(Named(normal(3, 2)), normal(4, 3))
    assert {v.input for v in report.mismatches} == {1}
    assert "input 1, params['W1'], element (0, 1): analytic" in str(report)
    with pytest.raises(ArgumentError, match=r"Named has params \['W1'\] and grads \['W2'\]; each parameter has a gradient"):
        check_layer(Named(normal(3, 2), "W2"), normal(4, 3))


def test_mismatches_name_the_parameter():
    report = check_layer(FirstVolume(normal(3, 2), normal(2), factor=3.0), normal(5, 3))
    assert "input 1, W, element (0, 0): analytic" in str(report)
    report = check_layer(affine(lambda dw, db, dx: (dw, 2 * db, dx), "f8"), normal(4, 3))
    assert "input 2, params[1], element (0,): analytic" in str(report)


# ------------------------------------------------------------------------------------------------ what is no such layer


class Locked(FirstVolume):
    def __init__(self, *parameters):
        super().__init__(*parameters)
        self.lock = threading.Lock()


same = lambda self, x: x
NO_LAYERS = {
    "a class": (lambda: FirstVolume, r"FirstVolume is a class: pass a layer that is made of it, as FirstVolume\(...\)"),
    "a module": (lambda: tg.nn.Linear(3, 2), r"Linear is a tg.nn.Module.*use tg.testing.check_gradients\(layer, x\)"),
    "a number": (lambda: 3.0, "float has no forward and no backward"),
    "no backward": (lambda: layer_of(same, None), "Layer has no backward"),
    "a lock": (lambda: Locked(normal(3, 2), normal(2)), "Locked cannot be copied.*lock.*Keep locks, files and the like outside"),
    "a float": (lambda: layer_of(same, same, params=[2.0], grads=[0.0]), r"params\[0\].* type float, .* write np.array\(...\)"),
    "one array": (lambda: layer_of(same, same, params=normal(2)), "params of Layer is an object of type ndarray: make it a list"),
    "a gradient less": (lambda: layer_of(same, same, params=[normal(2)], grads=[]), "Layer has 1 params and 0 grads"),
    "no gradient": (lambda: layer_of(same, same, params=[normal(2)], grads=[None]), r"params\[0\] of Layer is None: backward sets"),
}


@pytest.mark.parametrize("what", NO_LAYERS)
def test_what_is_no_layer_is_told_why(what):
    make, words = NO_LAYERS[what]
    with pytest.raises(ArgumentError, match=words):
        check_layer(make(), normal(4, 3))


def test_the_program_prints_the_same_check_of_a_layer_that_it_imports():
    report = check_layer(FirstVolume(normal(3, 2), normal(2), factor=3.0), normal(5, 3), rtol=1e-4)
    assert "layer = ...  # your FirstVolume" in report.reproduction  # a factor that the constructor would not know
    assert report.reproduction.endswith("print(tg.testing.check_layer(layer, x0, seed=0, rtol=0.0001))")
    program = check_layer(Careless(normal(3, 2), normal(2)), normal(4, 3)).reproduction
    assert "from sample_layers import Careless\n" in program
    before, _, call = program.rpartition("\n")
    assert call == "print(tg.testing.check_layer(Careless(x1, x2), x0, seed=0))"
    known = {}
    exec(before, known)
    assert not eval(call.removeprefix("print"), known).ok
