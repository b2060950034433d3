"""Layers that somebody wrote by hand, in NumPy: wrong gradients are named, and right ones of any precision are not."""

import re

import numpy as np
import pytest
from sample_arrays import in_one_place, normal
from sample_layers import Affine, FirstVolume, affine, layer_of

from tinygrad_edu.errors import ArgumentError, NumericalError
from tinygrad_edu.testing import check_layer

MISTAKES = {
    "a mean": (lambda dw, db, dx: (dw / 4, db, dx), "a mean in the place of a sum"),
    "a sign": (lambda dw, db, dx: (dw, db, -dx), "a sign"),
    "a factor of 1.01": (lambda dw, db, dx: (1.01 * dw, db, dx), "1.01 times"),
    "one element": (lambda dw, db, dx: (in_one_place(dw, 3), db, dx), r"one element only, \(2, 1\)"),
    "another row": (lambda dw, db, dx: (dw, db, dx[::-1]), "reversed"),
}


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


def test_numbers_are_not_kept_by_reference():
    class Product:
        def forward(self, x, y):
            self.x, self.y = x, y
            return x * y

        def backward(self, dout):
            return dout * self.y, dout * self.x

    report = check_layer(Product(), 3.0, 4.0)
    assert (report.ok, report.compared, report.notes) == (True, 2, [])
    assert "keeps its input by reference" in check_layer(Product(), normal(3), normal(3)).notes[0]


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


# --------------------------------------------------------------------------------------------- gradients that are not there


def first_volume(backward, w=None):
    kind = type("Layer", (FirstVolume,), {"backward": backward})
    return kind(normal(3, 2) if w is None else w, normal(2))


def test_a_gradient_that_is_forgotten_is_noted():
    def forgets(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T

    def misspelt(self, dout):
        self.dw, self.db = self.x.T @ dout, dout.sum(0)
        return dout @ self.W.T

    words = "{0} of Layer has no gradient d{0}, and the result depends on it: if it is a parameter, backward should set self.d{0}"
    report = check_layer(first_volume(forgets), normal(4, 3))
    assert (report.compared, report.notes) == (12 + 6, [words.format("b")])
    report = check_layer(first_volume(misspelt), normal(4, 3))
    assert (report.compared, report.notes) == (12 + 2, [words.format("W") + ", not self.dw"])


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist])
def test_gradients_of_any_kind_are_compared(kind):
    def backward(self, dout):
        self.dW, self.db = kind(2 * self.x.T @ dout), kind(dout.sum(0))
        return dout @ self.W.T

    report = check_layer(first_volume(backward), normal(4, 3))
    assert {v.input for v in report.mismatches} == {1}
    assert report.compared == 12 + 6 + 2


@pytest.mark.parametrize("factor", [1, 3])
def test_parameters_that_are_single_numbers(factor):
    class Scale:
        def __init__(self):
            self.k = np.array(2.0)

        def forward(self, x):
            self.x = x.copy()
            return self.k * x

        def backward(self, dout):
            self.dk = factor * (dout * self.x).sum()  # a np.float64, which is no array
            return dout * self.k

    report = check_layer(Scale(), normal(4))
    assert (report.ok, report.compared) == (factor == 1, 5)


def test_a_parameter_that_is_no_array_is_noted():
    def backward(self, dout):
        self.dk = 5 * (dout * self.x).sum()
        return dout * self.k

    layer = layer_of(lambda self, x: (setattr(self, "x", x.copy()), self.k * x)[1], backward)
    layer.k = 2.0
    words = "k of Layer is of type float, which cannot be updated in place, and so dk is not compared: write np.array(...)"
    assert check_layer(layer, normal(4)).notes == [words]
    layer.k = np.array(2.0)
    assert not check_layer(layer, normal(4)).ok


def test_running_statistics_are_no_parameters():
    class BatchNorm:
        def __init__(self):
            self.gamma, self.mean, self.unused = np.ones(3), np.zeros(3), np.zeros(3)

        def forward(self, x, train):
            mean = x.mean(0) if train else self.mean
            self.mean = 0.9 * self.mean + 0.1 * mean if train else self.mean
            self.train, self.centred = train, x - mean
            return self.gamma * self.centred

        def backward(self, dout):
            self.dgamma = (dout * self.centred).sum(0)
            d = dout * self.gamma
            return d - d.mean(0) if self.train else d

    assert not check_layer(BatchNorm(), normal(4, 3), True).notes
    report = check_layer(BatchNorm(), normal(4, 3), False)
    assert report.ok
    assert [note.partition(" has")[0] for note in report.notes] == ["mean of BatchNorm"]


def test_a_return_that_is_forgotten_is_told():
    double = lambda self, x: 2 * x
    with pytest.raises(NumericalError, match="Layer.backward returned no gradient: was `return` forgotten"):
        check_layer(layer_of(double, lambda self, dout: None), normal(4))
    with pytest.raises(ArgumentError, match="Layer.forward returned None: was `return` forgotten"):
        check_layer(layer_of(lambda self, x: None, lambda self, dout: dout), normal(4))

    class Forgetful(Affine):
        def backward(self, dout):
            super().backward(dout)

    report = check_layer(Forgetful(normal(3, 2), normal(2)), normal(4, 3))
    assert (report.ok, report.compared) == (True, 6 + 2)
    assert "returns no gradient of its input: only a first layer needs none; was `return` forgotten" in report.notes[0]


# ------------------------------------------------------------------------------------------------- one pass after another


def test_a_backward_that_is_random_is_refused():
    rng = np.random.default_rng(0)

    class Dropout:
        def forward(self, x):
            return 0.5 * x

        def backward(self, dout):
            return dout * (rng.random(dout.shape) > 0.5)

    class Noisy(Affine):
        def gradients(self, dout):
            dw, db, dx = super().gradients(dout)
            return dw * (1 + 1e-3 * rng.random()), db, dx

    for layer in (Dropout(), Noisy(normal(3, 2), normal(2))):
        with pytest.raises(NumericalError, match=f"backward of {type(layer).__name__} gives other numbers when it is called again"):
            check_layer(layer, normal(4, 3))


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_gradients_that_accumulate_from_any_start(start):
    class Accumulating(FirstVolume):
        def backward(self, dout):
            self.dW = start if self.dW is None else self.dW
            self.dW = self.dW + self.x.T @ dout
            self.db = dout.sum(0)
            return dout @ self.W.T

    report = check_layer(Accumulating(normal(3, 2), normal(2)), normal(4, 3))
    assert report.notes == ["dW of Accumulating grow by each pass: they accumulate, so clear them between steps"]
    assert report.ok == (start == 0)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_what_an_earlier_forward_has_left_is_not_used(dtype):
    class ReLU:
        def forward(self, x):
            if not hasattr(self, "mask"):
                self.mask = x > 0
            return np.maximum(x, 0)

        def backward(self, dout):
            return dout * self.mask

    class Transposed(Affine):
        turned = None

        def forward(self, x):
            if self.turned is None:
                self.turned = self.params[0].T.copy()
            return super().forward(x)

        def backward(self, dout):
            super().backward(dout)
            return dout @ self.turned

    for layer in (ReLU(), Transposed(normal(3, 2, dtype=dtype), normal(2, dtype=dtype))):
        report = check_layer(layer, normal(4, 3, dtype=dtype))
        assert {v.input for v in report.mismatches} == {0}
        words = "backward uses what an earlier forward kept: keep it anew in each forward"
        assert report.notes == [f"{type(layer).__name__}.{words}"]


def test_a_loss_may_ignore_dout():
    square = lambda self, x: (setattr(self, "x", x.copy()), (x**2).sum())[1]
    report = check_layer(layer_of(square, lambda self, dout=1: 2 * self.x), normal(4))
    assert report.ok
    assert report.notes == ["Layer.backward ignores dout: that is right in the last layer only, whose dout is 1"]
    report = check_layer(layer_of(square, lambda self, dout=1: dout**2 * 2 * self.x), normal(4))
    assert (report.ok, report.notes) == (False, [])
    assert not check_layer(layer_of(square, lambda self, dout=1: dout * 2 * self.x), normal(4)).notes


def test_a_backward_that_writes_into_its_inputs_is_noted():
    square = lambda self, x: (setattr(self, "x", x), x * x)[1]
    report = check_layer(layer_of(square, lambda self, dout: dout * self.x.__imul__(2)), normal(4))
    assert report.ok
    assert "Layer.backward writes into input 0, which belongs to the caller: compute with a copy" in report.notes
