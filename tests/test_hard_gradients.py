"""What is hard to judge: gradients that are wrong and hide it, gradients that are right and do not look so, and functions that are
none; and the program in a message, which shows the mistake again."""

import re

import numpy as np
import pytest
from sample_arrays import normal

import tinygrad_edu as tg
from tinygrad_edu.errors import GradientMismatchError, NumericalError
from tinygrad_edu.testing import assert_gradients, check_function, check_gradients, check_layer


def primitive(forward, **rules):
    op = tg.primitive(forward)
    op.vjp(**rules)
    return op


def number(x):
    return x.data if isinstance(x, tg.Tensor) else x


def square(factor=2.0, mask=1.0):
    """y = a², with a rule that may be wrong."""
    return primitive(lambda a, /: a * a, a=lambda g, a: factor * g * a * mask)


def one(shape, value):
    mask = np.ones(shape)
    mask.reshape(-1)[-1] = value
    return mask


def softmax(a, /):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def reused():
    buffer = np.zeros(3)

    def rule(g, a):
        np.multiply(number(g), 2 * number(a), out=buffer)
        return buffer

    return primitive(lambda a, /: a * a, a=rule)


def writing():
    def rule(g):
        g *= 2  # and raises an error where g is a Tensor
        return g

    return primitive(lambda a, /: 2 * a, a=rule)


counting = primitive(lambda a, /: a * a, a=lambda g, a: 2.2 * g * a)
doubling, buffered = writing(), reused()

# A function, its inputs, and what is said of it. Each is made anew: a rule that is wrong once may write into what it is given.
WRONG = {
    "0-d": (square(-2.0), [3.0], "a sign"),
    "a part in ten thousand": (square(2.0002), [normal(3)], r"1.0001 times"),
    "float32": (square(2.02), [normal(3, dtype="f4")], "1.01 times"),
    "float16": (square(4.0), [normal(3, dtype="f2")], None),
    "at 1e-8": (square(-2.0), [1e-8 * normal(3)], "a sign"),
    "at 1e8": (square(-2.0), [1e8 * normal(3)], "a sign"),
    "a result of 1e-10": (lambda x: 1e-10 * square(-2.0)(x), [normal(3)], "a sign"),
    "a small part of a sum": (lambda x: tg.exp(x) + 1e-4 * square(-2.0)(x), [normal(3)], None),
    "a repeated operand": (lambda x, b: x * square(1.0)(b), [normal(4, 3), normal(3)], "1/2 times"),
    "the last element": (square(2.0, one(10, 0)), [normal(10)], "a zero in 1 of 10"),
    "a mean": (primitive(lambda a, /: np.mean(a), a=lambda g, a: g + 0 * a), [normal(7)], "a sum in the place of a mean"),
    "a sum": (primitive(lambda a, /: np.sum(a), a=lambda g, a: g / 7 + 0 * a), [normal(7)], "a mean in the place of a sum"),
    "not transposed": (
        primitive(lambda a, b, /: a @ b, a=lambda g, b: g @ b, b=lambda g, a: a.T @ g),
        [normal(3, 3), normal(3, 3) + 1],
        None,
    ),
    "its diagonal only": (primitive(lambda a, /: softmax(a), a=lambda g, y: g * y * (1 - y)), [normal(2, 3)], None),
    "the other side of a kink": (
        primitive(lambda a, /: np.where(a > 0, a, 0.01 * a), a=lambda g, a: np.where(number(a) > 0, number(g), 0.02 * number(g))),
        [normal(5)],
        None,
    ),
    "more than both sides of a kink": (
        primitive(lambda a, /: np.maximum(a, 0), a=lambda g, a: g * np.where(number(a) == 0, 2.0, number(a) > 0)),
        [np.array([0.0, 1, -1])],
        "one element only",
    ),
    "a short wave": (
        primitive(lambda a, /: np.sin(1e6 * a), a=lambda g, a: -1e6 * g * tg.cos(1e6 * a)),
        [np.array([0.3, 1.1, 0.77])],
        None,
    ),
    "a conjugate": (
        primitive(lambda a, /: a * a, a=lambda g, a: 2 * g * np.conj(number(a))),
        [normal(3) + 1j * normal(4)[1:]],
        None,
    ),
    "memory of another order": (
        lambda x: primitive(lambda a, /: a * a, a=lambda g, a: (2 if number(a).flags.c_contiguous else 4) * g * a)(x.T),
        [normal(3, 2)],
        "2 times",
    ),
    "an end that is not wanted": (lambda x: x * x.detach(), [normal(3)], "1/2 times"),
    "a number taken out": (lambda x: x * float(x.data.sum()), [normal(3)], None),
    "a cotangent written to": (lambda x: x * 3 + doubling(x), [normal(3)], None),
    "a buffer used again": (lambda x: buffered(x) + buffered(tg.sin(x)), [normal(3)], None),
    "order 2": (primitive(lambda a, /: a * a, a=lambda g, a: 2 * g * number(a)), [normal(3)], "a zero"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_gradients_are_called_wrong(mistake):
    f, inputs, words = WRONG[mistake]
    order = 2 if mistake == "order 2" else 1
    report = check_gradients(f, *inputs, order=order)
    assert not report.ok
    assert {v.order for v in report.mismatches} == {order}
    assert re.search(words or "", report.suspicion or ""), report
    assert len(str(report).splitlines()) <= 24


@pytest.mark.parametrize("factor", [2.0, 1.01])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_one_element_of_forty_thousand_is_seen_along_directions(factor, dtype):
    if (factor, dtype) == (1.01, "f4"):
        pytest.skip("float32 does not show a part in a hundred thousand")
    x = normal(784, 50, dtype=dtype)
    x[-1, -1] = 1.5
    report = check_gradients(square(2.0, one((784, 50), factor).astype(dtype)), x, order=1, directions=1)
    assert not report.ok
    assert "worst at (783, 49)" in str(report)  # by blame
    assert check_gradients(square(), x, order=1, directions=1).ok


@pytest.mark.parametrize("factor", [2.0, 1.0, 2.02, -2.0])
def test_where_numbers_cancel_inside_a_wrong_factor_is_still_seen(factor):
    near_one = lambda x: 1 - np.tanh(x) ** 2  # which at 12 has six digits left
    report = check_function(near_one, lambda g, x: -factor * g * np.tanh(x) / np.cosh(x) ** 2, np.array([10.0, 12.0]))
    assert report.counts["match" if factor == 2 else "mismatch"] == 2


def chaotic(x):
    for _ in range(30):
        x = 3.9 * x * (1 - x)
    return x


def standardised(x):
    d = x - tg.mean(x, axis=-1, keepdims=True)
    return d / tg.sqrt(tg.mean(d * d, axis=-1, keepdims=True) + 1e-5)


RIGHT = {
    "kinks": (lambda x: tg.relu(x) + abs(x) + tg.clip(x, -1, 1), [np.array([0.0, 1, -1, 2])]),
    "kinks in float32": (abs, [np.array([0, 1, -1], "f4")]),
    "ties": (lambda x: tg.max(x, axis=1), [np.array([[1.0, 1, 1], [2, 2, 0]])]),
    "ties that are sorted": (lambda x: tg.sort(x) * np.arange(4.0), [np.array([1.0, 1, 2, 1])]),
    "ties in windows that overlap": (lambda x: tg.max_pool(x[None, None], 2, stride=1)[0, 0], [np.zeros((4, 5))]),
    "two pieces": (lambda x: tg.where(x > 0, x * x, -x), [np.array([0.0, 1, -1])]),
    "a turn far below the longest step": (tg.hypot, [np.array([2.8e-22, 1e-15]), np.array([-1.3e-8, 7.7e-5])]),
    "a turn below every step": (tg.hypot, [np.array([2.75e-4, -2.8e-219, 0.0]), np.array([0.0])]),
    "jumps within every step": (tg.remainder, [np.array(906.5), np.array(8.035e-05)]),
    "steep as a jump": (lambda h: tg.tanh(-3e6 * tg.tanh(-3e6 * tg.tanh(-3e6 * h))), [np.array([0.0, 1.4e-9])]),
    "a curvature that overflows": (tg.hypot, [np.array([-3.5e-312, 1.0]), np.array([0.0, 2.0])]),
    "overflow beside": (lambda z: tg.real(tg.exp(-z * z)), [np.array([7.8e7 + 7.8e7j])]),
    "a large real part": (lambda z: (z + 1e15) * 1j, [np.array([0.5 - 0.3j])]),
    "a length of 0": (tg.norm, [np.zeros(3)]),
    "jumps": (lambda x: x * tg.floor(x), [np.array([1.0, 2.5])]),
    "an infinite slope": (tg.sqrt, [np.array([0.0, 1])]),
    "a slope that overflows": (tg.log, [np.array([1e-300, 1e-8, 1e8, 1e300])]),
    "a slope of 1e217": (tg.arctan2, [np.array([0.0, -5.9e-218]), np.array([3.0, 0.0])]),
    "near overflow": (tg.exp, [np.array([709.0, -745, 700])]),
    "far logits": (tg.softmax, [np.array([1e3, -1e3, 0, 999])]),
    "very far logits": (tg.softmax, [np.array([0, -89.5, -2000], "f4")]),
    "far logits in float32": (tg.logsumexp, [np.array([80, -80, 0, 88], "f4")]),
    "scales in one input": (lambda x: tg.sum(x * x) * x, [np.array([1e-8, 1, 1e8])]),
    "scales of two inputs": (lambda x, y: x @ y, [1e-8 * normal(3, 3), 1e8 * normal(3, 3)]),
    "a large number beside a small one": (lambda x: (1e8 + x) - 1e8, [normal(3)]),
    "a short wave": (lambda x: tg.sin(1e6 * x), [normal(3)]),
    "chaos": (chaotic, [np.array([0.3, 0.6])]),
    "a pole": (lambda x: 1 / x, [np.array([1e-6, -1e-6, 1e-3])]),
    "a large mean in float32": (standardised, [normal(2, 6, dtype="f4") + np.float32(1000)]),
    "zeros in a product": (lambda x: tg.cumprod(x), [np.array([2.0, 0, 3, 0])]),
    "a singular matrix": (tg.det, [np.ones((3, 3))]),
    "an ill-conditioned matrix": (tg.inv, [np.vander(np.linspace(1, 2, 5))]),
    "numbers that cancel in backward, and always alike": (lambda x: tg.ive(2, x), [np.array([1.5121479152939346e8])]),
    "no variation": (lambda x: tg.var(x) + tg.std(x), [np.full(5, 0.1)]),
    "saturated inside": (lambda x, w: tg.tanh(x @ w), [np.full((1, 3), 2.0), np.full((3, 1), 2.0)]),
    "saturated": (lambda x: tg.tanh(x) + tg.sigmoid(x), [np.array([8.0, -12, 14, 20])]),
    "a constant sum": (lambda x: tg.sum(tg.softmax(x, axis=-1)), [normal(2, 4)]),
    "complex at 0": (tg.abs, [np.array([0j, 1 + 1j])]),
    "the smallest numbers": (lambda x: 2 * x, [np.array([5e-324, 1e-310])]),
    "infinity": (lambda x: tg.exp(-x), [np.array([np.inf, 1.0])]),
    "random numbers that are drawn alike": (lambda x: x * x * (np.random.default_rng(0).random(x.shape) > 0.5), [normal(4, 3)]),
    "integers beside": (lambda x, i: x[i] ** 2, [normal(5), np.array([0, 0, 3])]),
    "an input in Fortran's order": (lambda x: x @ x.T, [np.asfortranarray(normal(3, 2))]),
}


@pytest.mark.parametrize("place", RIGHT)
def test_right_gradients_at_hard_places_are_not_called_wrong(place):
    f, inputs = RIGHT[place]
    with np.errstate(all="ignore"):
        report = check_gradients(f, *inputs)
    assert report.ok, report
    assert report.counts["match"] + report.counts["kink"] >= sum(np.size(x) for x in inputs if x.dtype.kind == "f") // 2
    assert not report.notes or place == "a constant sum"


@pytest.mark.parametrize(
    "bounds",
    [
        ([0.0], [0.0], [0.0]),  # a constant, and yet a point beside which it is none
        ([0.0, -1.75e4], [0.0, 0.0], [0.0, 0.0]),
        ([[0.0], [-1.2e-8], [-1.9e-8]], [[0.0]], [[2.3e-9], [0.0], [9.6e-10]]),
    ],
)
def test_bounds_that_meet_at_the_number(bounds):
    report = check_gradients(tg.clip, *map(np.array, bounds), order=1)
    assert report.counts["mismatch"] == 0 < report.counts["kink"]


def test_a_derivative_of_0_of_which_both_modes_leave_only_rounding():
    x = np.array([[-1e-5, 2e-5], [-7e-5, 8e-5], [-4e-5, 5e-5]], np.float16)
    with np.errstate(all="ignore"):
        report = check_gradients(lambda x: tg.corrcoef(x, rowvar=False), x, order=1)
    assert report.ok, report
    assert report.counts["match"] == 1  # ⟨w, Jv⟩ = ⟨Jᵀw, v⟩


def test_a_function_without_a_number_is_not_called_wrong():
    with np.errstate(all="ignore"):
        report = check_gradients(lambda x: tg.sqrt(tg.sum(x * x)) / tg.sum(x), np.zeros(0), order=1)
    assert report.ok
    assert report.verdicts[0].reason == "f is not finite at this point"


@pytest.mark.parametrize("beside", [7.33248e-05 + 0.00010993419j, 0.67856926 + 0.22575906j])
def test_a_point_with_neither_a_slope_nor_a_kink(beside):
    with np.errstate(all="ignore"):
        report = check_gradients(lambda z: z ** (1 - 2j), np.array([0, beside]), order=1, modes=("vjp",))
    assert (report.counts["match"], report.inconclusive) == (1, 1)


@pytest.mark.parametrize("seed", [1, 8, 10, 12])
def test_long_steps_that_pass_by_a_pole(seed):
    z = np.array([7.356e-09 + 9.874e-09j])  # over steps of its size, a change of 6e-14 log z is a few digits of 1
    report = check_gradients(lambda z: tg.power(z, 5.9387908805662353e-14j), z, order=1, seed=seed)
    assert report.ok
    assert any("rounding hides it" in v.reason and "pass by a pole" in v.reason for v in report.verdicts)


def test_the_noise_of_other_elements_does_not_hide_that_double_precision_is_right():
    """Of terms up to 5e13 the noise is 100. One of 2e4 has none of it; its derivative is 4e-5 off in single precision."""
    imaginary = [[[19.73946, 19.763943]], [[19.682442, 19.347729]], [[19.229816, 19.13852]]]
    z = (-19.92692 - 1j * np.array(imaginary)).astype(np.complex64)
    report = check_gradients(tg.erfcx, z, order=1, modes=("vjp",))
    assert report.ok, report


def test_tiny_derivatives_whose_products_underflow():
    sigmoid = lambda x: 1 / (1 + tg.exp(-x))
    report = check_gradients(sigmoid, np.array([-373.0]), order=1, modes=("vjp",))
    assert report.inconclusive == 1  # 1e-162, of which backward() leaves 0
    assert check_gradients(sigmoid, np.array([-366.0]), order=1).ok  # and of 1e-159 six digits


# ------------------------------------------------------------------------------------------- what is no function of its inputs


def test_random_functions_are_refused():
    dropout = tg.nn.Dropout(0.2)
    for size in (3, 30):  # of 3, the first two masks are often the same
        with pytest.raises(NumericalError, match=r"gives other numbers when it is called again.*call eval\(\) on the model"):
            check_gradients(lambda x: dropout(square(-2.0)(x)), np.ones(size))
    dropout.eval()
    assert check_gradients(lambda x: dropout(x * x), normal(30)).ok


def test_arguments_that_are_ignored_are_named():
    v = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(NumericalError, match="check_gradients: <lambda> never uses its argument 'w'"):
        check_gradients(lambda w: (v * v).sum(), [1.0, 2.0])
    with pytest.raises(NumericalError, match="never uses its argument 'b'"):
        check_gradients(lambda a, b: a * a, [1.0], [2.0])
    hidden = lambda w: (lambda _: (v * v).sum())(w)
    assert "it ignores its argument" in check_gradients(hidden, [1.0, 2.0]).notes[0]
    assert "it ignores its argument" in str(check_gradients(hidden, [1.0, 2.0]))
    assert not check_gradients(lambda x: tg.sum(x > 0) + 0 * x.sum(), [1.0, -2.0]).notes  # a step function
    assert not check_gradients(lambda a, b: a * b, 0.0, 0.0).notes  # each hides the other
    assert "gradient of input 1 is 0" in check_gradients(lambda a, b: a + 0 * b, 0.0, 0.0).notes[0]


def test_an_input_that_is_written_to_is_named():
    @tg.primitive
    def clobbering(a, /):
        a *= 2
        return a + 0

    clobbering.vjp(a=lambda g: 2 * g)
    x, labels = np.array([0.5, 1.0]), np.array([1, 2])
    report = check_gradients(lambda x, i: clobbering(x) + i, x, labels)
    assert report.notes == ["<lambda> writes into input 0, which belongs to the caller: compute with a copy"]
    assert x.tolist() == [0.5, 1.0]

    def spoiling(x, i):
        number(i)[...] = 0
        return x * x

    assert "writes into input 1" in check_gradients(spoiling, x, labels).notes[0]
    assert labels.tolist() == [1, 2]


# -------------------------------------------------------------------------------------------------------- to see it again


def double(a):
    return 2 * a


def wrong_double(g, a):
    return 3 * g


class Doubling:
    def __init__(self, w, factor=1.0):
        self.params, self.grads, self.factor = [w], [np.zeros_like(w)], factor

    def forward(self, x):
        self.x = x.copy()
        return x * self.params[0]

    def backward(self, dout):
        self.grads[0][...] = (2 * dout * self.x).sum(0)
        return dout * self.params[0] * self.factor


wrong_square = square(3.0)


def run(program, **known):
    """What a program says, that is pasted where ``known`` is known."""
    before, _, call = program.rpartition("\n")
    names = {"wrong_square": wrong_square, **known}
    exec(before, names)
    try:
        return eval(call.removeprefix("print(").removesuffix(")") if call.startswith("print(") else call, names)
    except GradientMismatchError as error:
        return error


@pytest.mark.parametrize("size", [(), (3,), (5, 4), (60,), (50, 50)])
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16"])
def test_the_program_shows_the_mistake_again(size, dtype):
    x = np.asarray(normal(*size)).astype(dtype)
    found = check_gradients(lambda x, i: wrong_square(x) * i, x, np.int64(2), order=1, modes=("vjp",), seed=4)
    assert "order=1, seed=4, modes=('vjp',)" in found.reproduction
    assert isinstance(run(found.reproduction), GradientMismatchError)
    assert ("in place of yours" in found.reproduction) == (x.size > 24)
    assert max(map(len, found.reproduction.splitlines())) < 1000


def test_the_program_knows_where_functions_are():
    x = np.array([0.5, 2.0])
    assert f"from {double.__module__} import double" in check_function(double, wrong_double, x).reproduction
    assert not run(check_function(double, wrong_double, x).reproduction).ok
    assert not run(check_function(lambda x: x * x, lambda g, x: g, x).reproduction).ok
    positive = np.abs(normal(40)) + 0.1
    program = check_function(np.log, lambda g, x: g * x, positive).reproduction
    assert not run(program, log=np.log).ok
    with pytest.raises(GradientMismatchError, match=r"tg\.testing\.assert_gradients\(tg\.sin, x0"), planted():
        assert_gradients(tg.sin, x)
    assert check_gradients(tg.sin, x).reproduction == ""


def planted():
    from tinygrad_edu.testing.mutants import Mutant

    return Mutant(tg.sin.op, "a", "planted", "by hand", lambda: lambda g, a: -g * tg.cos(a)).planted()


def test_the_program_makes_the_layer_again():
    for shape in ((4, 3), (20, 30)):
        report = check_layer(Doubling(normal(shape[1])), normal(*shape))
        assert "check_layer(Doubling(x1), x0, seed=0)" in report.reproduction
        assert not run(report.reproduction, Doubling=Doubling).ok

    class Right(Doubling):
        def backward(self, dout):
            self.grads[0][...] = (dout * self.x).sum(0)
            return dout * self.params[0] * self.factor

    report = check_layer(Right(normal(3), 2.0), normal(4, 3))  # a factor that the constructor would not know
    assert "layer = ...  # your Right" in report.reproduction
    assert not run(report.reproduction.replace("...", "known"), known=Right(normal(3), 2.0)).ok
