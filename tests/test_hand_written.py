"""Backward passes that somebody wrote by hand, in NumPy: wrong ones are called wrong, and right ones at hard places are not."""

import re

import numpy as np
import pytest
from sample_arrays import in_one_place, normal

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, NumericalError, ShapeError
from tinygrad_edu.testing import check_function, check_layer

special = pytest.importorskip("scipy.special")


INDEX = np.array([0, 2, 2, 1])
MATRIX = normal(3, 3) + 3 * np.eye(3)


def overwritten(g, w):
    d = np.zeros_like(w)
    d[INDEX] = g
    return d


def standardised(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


WRONG = {
    "a sign": (special.gammaln, lambda g, x: -g * special.digamma(x), normal(3) ** 2 + 1, "a sign"),
    "a factor": (lambda x: x**2, lambda g, x: g * x, normal(3), "1/2 times"),
    "a factor of 1.01": (lambda x: x**2, lambda g, x: 2.02 * g * x, normal(3), "a factor: .* 1.01 times"),
    "a constant left out": (special.erf, lambda g, x: g * np.exp(-x * x), normal(3), "0.886227 times"),
    "the derivative of another function": (special.expit, lambda g, x: g * special.expit(x), normal(3), None),
    "zero": (np.tanh, lambda g, x: 0 * x, normal(4), "a zero: the gradient does not arrive"),
    "nan": (np.tanh, lambda g, x: x * np.nan, normal(4), "not finite"),
    "the wrong side of a kink": (lambda x: np.maximum(x, 0), lambda g, x: g * (x < 0), normal(3, 3), None),
    "a cotangent in the condition": (lambda x: np.maximum(x, 0), lambda g, x: g * (g > 0), normal(3, 3, dtype="f4"), None),
    "one element of many": (
        np.sin,
        lambda g, x: in_one_place(g * np.cos(x), 1.01),
        normal(40, 30),
        r"one element only, \(39, 29\)",
    ),
    "one element in float32": (
        np.sin,
        lambda g, x: in_one_place(g * np.cos(x), 1.01),
        normal(9, 5, dtype="f4"),
        "one element only",
    ),
    "one element lost": (np.sin, lambda g, x: in_one_place(g * np.cos(x), 0), normal(9), "a zero in 1 of 9 elements"),
    "tiny numbers": (lambda x: 1e-8 * x**2, lambda g, x: 1e-8 * g * x, 1e-8 * normal(3), "1/2 times"),
    "huge numbers": (lambda x: 1e-8 * x**2, lambda g, x: 1e-8 * g * x, 1e8 * normal(3), "1/2 times"),
    "a mean for a sum": (
        lambda x: x.sum(0),
        lambda g, x: np.broadcast_to(g / 4, x.shape),
        normal(4, 3),
        "a mean in the place of a sum",
    ),
    "a sum for a mean": (
        lambda x: x.mean(),
        lambda g, x: g + 0 * x,
        normal(7),
        "a sum in the place of a mean.*7 times.*7 is a length",
    ),
    "shared by all instead of ties": (
        lambda x: x.max(1),
        lambda g, x: np.broadcast_to(g[:, None], x.shape) / 4,
        normal(3, 4),
        "averaged over axis 1",
    ),
    "not transposed": (np.linalg.det, lambda g, a: g * np.linalg.det(a) * np.linalg.inv(a), normal(3, 3), "transposed"),
    "not solved with the transpose": (
        lambda b: np.linalg.solve(MATRIX, b),
        lambda g, b: np.linalg.solve(MATRIX, g),
        normal(3),
        None,
    ),
    "not run backwards": (np.cumsum, lambda g, x: np.cumsum(g), normal(5), None),
    "overwritten where an index repeats": (lambda w: w[INDEX], overwritten, normal(4, 3), None),
    "without what the length does": (lambda x: x / np.linalg.norm(x), lambda g, x: g / np.linalg.norm(x), normal(5), None),
    "without what mean and variance do": (standardised, lambda g, x: g / np.sqrt(x.var(0) + 1e-5), normal(6, 3), None),
    "complex": (lambda z: z * z, lambda g, z: 2 * g * z, normal(3) + 1j * normal(4)[1:], None),
    "of several results, one": (lambda x: (2 * x, x.sum()), lambda g, x: 2 * g[0], normal(3), None),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_functions_are_called_wrong(mistake):
    forward, backward, x, words = WRONG[mistake]
    report = check_function(forward, backward, x)
    assert not report.ok
    if words:
        assert re.search(words, report.suspicion or ""), report


def piecewise(x):
    return np.where(x > 0, x * x, -x)


def normalised(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def normalised_gradient(g, x):
    square = (x * x).sum(-1, keepdims=True)
    return (g - x * (g * x).sum(-1, keepdims=True) / square) / np.sqrt(square)


RIGHT = {
    "relu at 0": (lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), np.array([0.0, 1, -1], "f4")),
    "clip at its bounds": (lambda x: np.clip(x, -1, 1), lambda g, x: g * (abs(x) < 1), np.array([-1.0, 1, 0.5], "f2")),
    "saturated in float32": (
        special.expit,
        lambda g, x: g * special.expit(x) * special.expit(-x),
        np.array([20.0, -20, 0, 88, -100], "f4"),
    ),
    "x log x": (lambda x: special.xlogy(x, x), lambda g, x: g * (np.log(x) + 1), np.array([1e-8, 1.0, 1e8])),
    "near 0 and far from it": (np.log, lambda g, x: g / x, np.array([1e-300, 1e-8, 1e8, 1e300])),
    "an oscillation": (lambda x: special.jv(1, x), lambda g, x: g * special.jvp(1, x), np.array([0.0, 0.1, 30, 1e4])),
    "near overflow": (np.exp, lambda g, x: g * np.exp(x), np.array([709.0, -745, 0])),
    "float32 inside of float64": (
        lambda x: np.sin(x.astype("f4")).astype("f8"),
        lambda g, x: g * np.cos(x),
        np.array([0.3, -1.2, 2.0]),
    ),
    "complex": (lambda z: z * z, lambda g, z: g * np.conj(2 * z), normal(3) + 1j * normal(4)[1:]),
    "complex to real": (lambda z: np.abs(z) ** 2, lambda g, z: 2 * g * z, normal(3) + 1j),
    "a kink of two pieces": (piecewise, lambda g, x: g * np.where(x > 0, 2 * x, -1.0), np.array([0.0, 1, -1])),
    "least squares": (
        lambda b: np.linalg.lstsq(normal(6, 3), b, rcond=None)[0],
        lambda g, b: np.linalg.pinv(normal(6, 3)).T @ g,
        normal(6),
    ),
    "several results": (lambda x: (2 * x, x.sum()), lambda g, x: 2 * g[0] + g[1], normal(3)),
    "nothing to move": (lambda x: 2 * x, lambda g, x: 2 * g, np.zeros((0, 3))),
    "a single number": (np.sin, lambda g, x: g * np.cos(x), np.array(0.3)),
}


@pytest.mark.parametrize("place", RIGHT)
def test_right_functions_at_hard_places_are_not(place):
    forward, backward, x = RIGHT[place]
    with np.errstate(all="ignore"):
        report = check_function(forward, backward, x)
    assert report.ok, report
    assert report.inconclusive <= x.size // 2
    assert not report.notes


IMPRECISE = {
    "numbers that cancel in float32": (np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2), np.array([7.7, -8.1], "f4")),
    "numbers that vanish in float16": (normalised, normalised_gradient, np.array([[30000.0, -10000]], "f2")),
}


@pytest.mark.parametrize("place", IMPRECISE)
def test_right_functions_of_too_few_digits_are_right_in_double_precision(place):
    forward, backward, x = IMPRECISE[place]
    with np.errstate(all="ignore"):
        report = check_function(forward, backward, x)
        wrong = check_function(forward, lambda g, x: 2 * backward(g, x), x)
    assert report.ok, report
    assert f"{x.dtype} is not precise enough" in report.verdicts[0].reason
    assert not wrong.ok


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda x: np.log(1 + np.exp(-x)), lambda g, x: -g / (1 + np.exp(x))),
        (lambda x: 1 / (1 + np.exp(-x)), lambda g, x: g * np.exp(-x) / (1 + np.exp(-x)) ** 2),
        (lambda x: 1 - np.tanh(x) ** 2, lambda g, x: -2 * g * np.tanh(x) / np.cosh(x) ** 2),
    ],
)
@pytest.mark.parametrize("x", [37.2, 40.0])
def test_what_is_lost_beside_a_1_inside_is_not_called_wrong(forward, backward, x):
    report = check_function(forward, backward, np.array([x]))
    assert report.inconclusive == 1
    assert "lost in sums such as 1 + exp(-x)" in report.verdicts[0].reason
    assert not check_function(forward, lambda g, x: backward(g, x) + 1e-9 * g, np.array([x])).ok


def test_functions_of_another_library():
    torch = pytest.importorskip("torch")
    gelu = torch.nn.functional.gelu

    def backward(g, x, approximate="none"):
        t = torch.tensor(x, requires_grad=True)
        gelu(t, approximate=approximate).backward(torch.tensor(g))
        return t.grad.numpy()

    forward = lambda x: gelu(torch.tensor(x)).numpy()
    assert check_function(forward, backward, normal(5)).ok
    report = check_function(forward, lambda g, x: backward(g, x, "tanh"), normal(5))
    assert not report.ok  # an approximation is another function


# ------------------------------------------------------------------------------------------- what is no function of its inputs


def test_a_random_function_is_refused():
    rng = np.random.default_rng(0)

    def dropout(x):
        mask = rng.random(x.shape) > 0.1
        return x * mask, mask

    for size in (1, 5, 50):  # a small one has the same mask twice more often than not
        with pytest.raises(NumericalError, match="dropout gives other numbers when it is called again.* random, as dropout"):
            check_function(dropout, lambda g, mask: 2 * g * mask, np.ones(size), cache=True)

    class Dropout:
        def forward(self, x):
            self.mask = rng.random(x.shape) > 0.5
            return x * self.mask

        def backward(self, dout):
            return dout * self.mask

    with pytest.raises(NumericalError, match="Dropout gives other numbers when it is called again"):
        check_layer(Dropout(), normal(5, 3))


def test_an_argument_that_is_ignored_is_named():
    w = normal(3)
    with pytest.raises(NumericalError, match="never uses its argument 'v'.*make the function compute with 'v'"):
        check_function(lambda v: (w**2).sum(), lambda g, v: 2 * g * v, w)
    hidden = lambda v: (lambda _: (w**2).sum())(v)
    report = check_function(hidden, lambda g, v: 2 * g * v, w)
    assert not report.ok
    assert "it ignores its argument" in report.notes[0]
    assert check_function(lambda x, _: x * x, lambda g, x, _: (2 * g * x, None), w, w).ok  # on purpose


def test_integers_alone_are_refused():
    with pytest.raises(
        NumericalError, match="nothing to differentiate: <lambda> gets int64; write the numbers with a decimal point"
    ):
        check_function(lambda x: x**2, lambda g, x: 2 * g * x, np.array([1, 2, 3]))


def test_arrays_of_others_are_left_alone():
    def doubled(x):
        x *= 2
        return x

    report = check_function(doubled, lambda g, x: 2 * g, normal(3))
    assert report.ok
    assert report.notes == ["doubled writes into input 0, which belongs to the caller: compute with a copy"]

    def backward(g, x):
        g *= 2
        return g

    with pytest.raises(ArgumentError, match="backward writes into the g that it is given"):
        check_function(lambda x: 2 * x, backward, normal(3))


def test_gradients_are_those_of_the_inputs():
    f = lambda x, w: x * w
    with pytest.raises(
        ArgumentError, match="returned 1 gradients for 2 floating inputs: return one for each, None where there is none"
    ):
        check_function(f, lambda g, x, w: g * w, normal(3), normal(3))
    with pytest.raises(ShapeError, match="is complex, and it is an array of float64: take the real part"):
        check_function(np.sin, lambda g, x: g * np.cos(x) + 0j, normal(3))


SHAPES = [
    ((2, 3), "it is transposed"),
    ((4, 3, 2), "what was repeated in forward is summed over in backward"),
    ((1, 2), "it lacks elements: only what was repeated in forward is summed over"),
    ((6,), "give it the shape that was before"),
]


@pytest.mark.parametrize(("shape", "words"), SHAPES)
def test_a_gradient_of_another_shape_is_told_why(shape, words):
    with pytest.raises(ShapeError, match=words):
        check_function(lambda x: 2 * x, lambda g, x: np.ones(shape), normal(3, 2))


NO_NUMBERS = [
    ("g", "an object of type str"),
    ({"x": 1.0}, "an object of type dict"),
    (np.array([None, 1.0, 2.0]), "an array of object"),
    ([[1.0, 2.0], [3.0]], "an object of type list"),
]


@pytest.mark.parametrize(("value", "words"), NO_NUMBERS)
def test_what_is_no_array_of_numbers_is_named(value, words):
    given = value if isinstance(value, np.ndarray) else (value,)
    with pytest.raises(ArgumentError, match=f"gradient for input 0 of sin is {words}, where there should be"):
        check_function(np.sin, lambda g, x: given, normal(3))
    with pytest.raises(ArgumentError, match=f"<lambda> returned {words}"):
        check_function(lambda x: (x, given)[1], lambda g, x: g, normal(3))


def test_a_forgotten_return_is_named():
    def forward(x):
        np.sin(x)

    def backward(g, x):
        g * np.cos(x)

    with pytest.raises(ArgumentError, match="forward returned None: was `return` forgotten"):
        check_function(forward, lambda g, x: g, normal(3))
    with pytest.raises(NumericalError, match="backward of sin returned no gradient: was `return` forgotten"):
        check_function(np.sin, backward, normal(3))
    with pytest.raises(NumericalError, match="returned no gradient"):
        check_function(lambda x, y: x + y, lambda g, x, y: (None, None), normal(3), normal(3))


# -------------------------------------------------------------------------------------------------- how backward is called


@pytest.mark.parametrize("size", [3, 60])
def test_a_backward_that_is_random_is_refused(size):
    rng = np.random.default_rng(0)
    for noise in (lambda: 1 + 1e-5 * rng.random(), lambda: rng.random(size) > 0.5):
        with pytest.raises(NumericalError, match=r"backward of <lambda> gives other numbers.*random or keeps a state"):
            check_function(lambda x: 2 * x, lambda g, x, noise=noise: 2 * g * noise(), normal(size))
    shaking = lambda g, x: 2 * g * (1 + 1e-15 * rng.random(size))  # as threads that add up in any order
    assert check_function(lambda x: 2 * x, shaking, normal(size)).ok


def test_the_cotangent_of_a_number_is_none_of_1():
    square = lambda x: (x**2).sum()
    report = check_function(square, lambda g, x: 2 * x, normal(3))
    assert not report.ok
    assert report.notes == ["backward of <lambda> ignores g, the cotangent of the result: its gradient is to be multiplied by it"]
    report = check_function(square, lambda g, x: g * g * 2 * x, normal(3))
    assert (report.ok, report.notes) == (False, [])
    assert check_function(square, lambda g, x: g * 2 * x, normal(3)).ok


def test_a_backward_that_writes_into_its_inputs_is_noted():
    words = "backward of <lambda> writes into input 0, which belongs to the caller: compute with a copy"
    report = check_function(lambda x: x * x, lambda g, x: g * x.__imul__(2), normal(3))
    assert (report.ok, report.notes) == (True, [words])
    report = check_function(lambda x: (x * x, x), lambda g, x: g * x.__imul__(2), normal(3), cache=True)
    assert (report.ok, report.notes) == (True, [words])


@pytest.mark.parametrize("value", [None, 3, True, "mean", ["a"], (2, 2), {"k": 2.0}, [[1.0], [2.0, 3.0]]])
def test_what_is_not_made_of_floats_is_passed_on_as_it_is(value):
    seen = []

    def forward(x, option):
        seen.append(option)
        return x * x

    assert check_function(forward, lambda g, x, option: 2 * g * x, normal(3), value).compared == 3
    assert all(option is value for option in seen)
    assert not check_function(forward, lambda g, x, option: (g * x, None), normal(3), value).ok


def test_lists_of_integers_are_arrays_as_labels_are():
    seen = []

    def forward(x, labels):
        seen.append(labels.size)
        return x[np.arange(labels.size), labels]

    def backward(g, x, labels):
        dx = np.zeros_like(x)
        dx[np.arange(labels.size), labels] = g
        return dx

    assert check_function(forward, backward, normal(2, 3), [0, 2]).ok
    assert set(seen) == {2}


@pytest.mark.parametrize("value", [2.0, np.float32(2), 1j, [1.0, 2, 3], [[1.0], [2.0]], tg.Tensor([1.0, 2.0, 3.0])])
def test_what_is_made_of_floats_is_differentiated(value):
    x = np.asarray(value)
    report = check_function(lambda x: x * x, lambda g, x: g * np.conj(2 * x), value)
    assert (report.ok, report.compared) == (True, x.size)
    assert report.inputs[0].dtype == x.dtype


def test_the_program_has_the_tolerances_that_were_asked_for():
    program = check_function(np.sin, lambda g, x: g, normal(3), rtol=1e-3, seed=4).reproduction
    assert "x0, seed=4, rtol=0.001)" in program
    assert "atol" not in program
