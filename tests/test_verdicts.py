"""Verdicts on derivatives: match, mismatch, kink, inconclusive; and what a wrong one is said to be."""

import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, GradientMismatchError, NumericalError
from tinygrad_edu.testing import assert_gradients, check_function, check_gradients
from tinygrad_edu.testing.differences import estimate
from tinygrad_edu.testing.suspects import likely_mistake


def verdict(f, derivative, x):
    """The one verdict on a derivative of a function of one number."""
    with np.errstate(all="ignore"):
        report = check_function(f, lambda g, x: g * np.asarray(derivative), np.array(x))
    return next(kind for kind, count in report.counts.items() if count)


# ------------------------------------------------------------------------------------------------------------ error bars


@pytest.mark.parametrize("method", ["ridders", "forward", "backward", "complex", "central"])
@given(x=st.floats(-3, 3), which=st.sampled_from([np.exp, np.sin, np.tanh, lambda x: x**3]))
def test_the_error_bar_covers_the_error(method, x, which):
    exact = estimate(lambda t: which(x + t), 1.0, "complex").value
    value, error = estimate(lambda t: which(x + t), 1.0, method)
    assert abs(value - exact) <= error + 1e-15
    assert error < 1e-3


@given(scale=st.sampled_from([1e-8, 1e-4, 1.0, 1e4, 1e8]))
def test_the_step_follows_the_scale(scale):
    value, error = estimate(lambda t: np.sin((0.3 * scale + t) / scale), scale)
    assert abs(value * scale - np.cos(0.3)) < 1e-10
    assert error * scale < 1e-9


def test_a_method_that_is_unknown():
    with pytest.raises(ArgumentError, match="method is one of central, ridders, forward, backward, complex, not 'magic'"):
        estimate(np.sin, method="magic")


# ------------------------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("f", "derivative", "x", "expected"),
    [
        (np.sin, np.cos(0.3), 0.3, "match"),
        (np.sin, 0.0, 0.3, "mismatch"),
        (np.sin, -np.cos(0.3), 0.3, "mismatch"),
        (np.sin, np.cos(0.3) * (1 + 1e-5), 0.3, "mismatch"),
        (np.abs, 0.3, 0.0, "kink"),
        (np.abs, 2.0, 0.0, "mismatch"),
        (lambda x: np.maximum(x, 0), 1.0, 0.0, "kink"),
        (lambda x: np.maximum(x - 1, 0), 1.0, 1 + 1e-9, "match"),  # a kink nearby
        (lambda x: np.maximum(x - 1, 0), 0.0, 1 + 1e-9, "mismatch"),
        (np.exp, np.exp(700.0), 700.0, "match"),  # near overflow
        (np.sin, np.cos(1e8), 1e8, "match"),
        (lambda x: 1e16 + x, 2.0, 1.0, "inconclusive"),  # rounding
        (lambda x: 1e10 + x, 2.0, 1.0, "mismatch"),
        (lambda x: 1e4 + x * x, 0.0, 0.01, "mismatch"),  # a short step is lost, and then its quotient is 0
        (np.floor, 0.0, 1.0, "inconclusive"),  # a jump
        (np.sqrt, 0.0, 0.0, "inconclusive"),  # an infinite derivative
        (lambda x: 1e-12 * x, 1e-12, 3.0, "match"),
        (lambda x: 1e-12 * x, 0.0, 3.0, "mismatch"),  # a zero is not right because the derivative is small
        (lambda x: np.float32(np.sin(x)), np.cos(0.3), 0.3, "match"),
        (lambda x: np.float32(np.sin(x)), 0.9, 0.3, "mismatch"),
        (lambda x: np.float16(np.sin(x)), 0.3, 0.3, "mismatch"),
    ],
)
def test_verdicts(f, derivative, x, expected):
    assert verdict(f, derivative, x) == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1.0, 1e4, 1e8])
def test_no_alarm_for_scaled_inputs_in_any_precision(dtype, scale):
    if dtype == np.float16 and scale not in (1e-4, 1.0, 1e4):
        pytest.skip("float16 has no such numbers")
    x = np.array([0.3, -1.2, 0.7]) * scale
    functions = [
        lambda x: x / scale * x,
        lambda x: tg.sin(x / scale),
        lambda x: abs(x),
        tg.softmax,
        lambda x: tg.tanh(x / scale) * x,
    ]
    for f in functions:
        report = check_gradients(f, x.astype(dtype), order=2 if dtype != np.float16 else 1)
        assert report.ok, report


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,)])
def test_no_alarm_for_odd_shapes(shape):
    report = check_gradients(lambda x: tg.exp(x) * 2, np.ones(shape))
    assert report.ok
    assert report.compared >= 2 * int(np.prod(shape))


def test_derivatives_at_kinks_are_judged_by_both_sides():
    report = check_gradients(lambda x: tg.relu(x) + abs(x - 1), [0.0, 1.0, 2.0], order=1, modes=("vjp",))
    assert report.ok
    assert report.counts["kink"] + report.counts["match"] == 3
    assert any("a kink: the derivative is" in v.reason for v in report.verdicts if v.kind == "kink") or report.counts["kink"] == 0


# ---------------------------------------------------------------------------------------------------------- what rounding leaves


def cov(x, w):
    return tg.cov(x, aweights=w)


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        # The derivative of a mean of equal numbers by its weights is 0, and the rounded one is not.
        (lambda a, w: tg.average(a, weights=w), (np.full((2, 3), 1.6050704570882033), np.full((2, 3), 1.31640625))),
        (cov, (np.full(4, -1.2887346637234711), np.array([0.8503236064835381, 0.9737993609158669, 1.0, 1.2688973343123602]))),
        # Too small beside 1 to change any of its digits, however far one goes.
        (lambda a, b: tg.lerp(a, b, 1.4e-45), (np.array(1.0), np.array(0.0))),
        (tg.std, (np.full(5, 0.1),)),
    ],
)
def test_what_rounding_leaves_of_terms_that_cancel_is_no_mistake(f, inputs):
    assert check_gradients(f, *inputs).counts["mismatch"] == 0


@tg.primitive
def weighted_mean(a, w, /):
    """y = Σ aw / Σ w"""
    return np.average(a, weights=w)


@pytest.mark.parametrize("mistake", [1e-6, 1e-3, -2.0])
def test_among_terms_that_cancel_a_wrong_rule_is_still_wrong(mistake):
    weighted_mean.vjp(a=lambda g, w: g * w / w.sum(), w=lambda g, y, a, w: g * ((a - y) / w.sum() + mistake))
    report = check_gradients(weighted_mean, np.full(6, 1.6050704570882033), np.full(6, 1.31640625), order=1, modes=("vjp",))
    assert [v.input for v in report.verdicts if v.kind == "mismatch"] == [1] * 6


# ------------------------------------------------------------------------------------------------- what the message says


@tg.primitive
def wrong_sine(a, /):
    """y = sin a        ∂L/∂a = g cos a"""
    return np.sin(a)


wrong_sine.vjp(a=lambda g, a: -g * tg.cos(a))


def test_the_message_fits_on_a_screen_and_can_be_run_again():
    with pytest.raises(GradientMismatchError) as caught:
        assert_gradients(wrong_sine, np.linspace(0.1, 1, 12), seed=3)
    text = str(caught.value)
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) < 400
    assert lines[0].startswith("the gradient of wrong_sine is wrong: ")
    assert re.search(r"mismatch: order 1, vjp, input 0, element \(0,\): analytic .*, numerical .* ± .*, ratio -1", text)
    assert "likely a sign: the analytic gradient is −1 times the numerical one" in text
    assert "the Taylor remainder falls like h^1.0" in text
    program = text[text.index("import numpy as np") :]
    with pytest.raises(GradientMismatchError, match="a sign"):
        exec("\n".join(line.strip() for line in program.splitlines()), {"wrong_sine": wrong_sine})


def test_the_taylor_slope_is_2_for_a_right_first_order():
    @tg.primitive
    def leaky(a, /):
        return np.sin(a)

    leaky.vjp(a=lambda g, a: g * np.cos(a.data if isinstance(a, tg.Tensor) else a))
    report = check_gradients(leaky, [0.3, 0.8])
    assert not report.ok
    assert all(v.order == 2 for v in report.mismatches)
    assert "the lower orders agree" in str(report)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: -n, "a sign"),
        (lambda n: 2 * n, "2 times"),
        (lambda n: n / 2, "1/2 times"),
        (lambda n: 0 * n, "a zero: the gradient does not arrive"),
        (lambda n: n * np.nan, "not finite"),
        (lambda n: n / 7, "a mean in the place of a sum.*1/7"),
        (lambda n: 7 * n, "a sum in the place of a mean.*7 times"),
        (lambda n: n.T, r"transposed.*\(1, 0\)"),
        (lambda n: n[::-1], "reversed.*axis 0"),
        (lambda n: np.roll(n, 1, 1), "shifted.*1 places further along axis 1"),
        (lambda n: np.broadcast_to(n.sum(0), n.shape), "summed over axis 0"),
        (lambda n: np.broadcast_to(n.mean(1, keepdims=True), n.shape), "averaged over axis 1"),
        (lambda n: np.abs(n), "a sign, in some elements"),
        (lambda n: np.where(n > 0, n, 0), "a zero in . of 9 elements"),
        (lambda n: n + 5 * np.eye(3)[2] * np.eye(3)[:, 2:], r"one element only, \(2, 2\)"),
        (lambda n: 1.234 * n, "1.234 times"),
    ],
)
def test_the_likely_mistake_is_named(change, words):
    numerical = np.random.default_rng(0).normal(size=(3, 3))
    assert re.search(words, likely_mistake(change(numerical), numerical, sizes=(7,)))


def test_a_gradient_that_is_nearly_right_is_said_to_be():
    """The book's cross-entropy is log(y + 1e-7) forward and 1 / y backward."""
    right = np.array([1.0, -2.0, 3.0])
    assert "nearly right, but for 1e-06 of it" in likely_mistake(right * (1 + 1e-6), right)


def test_what_is_no_usual_mistake_is_not_named():
    for nothing in (1e-15, 1e-300):  # no factor to speak of
        assert likely_mistake(np.array([1.0]), np.array([nothing])) is None
    right = np.array([1 + 2j, -1 - 1j, 3j, 2 - 1j])
    assert likely_mistake(right * [1, -1, -1, 1], right) == "a sign, in some elements"
    assert likely_mistake(np.where([1, 0, 0, 1], right, right.conj()), right) != "a sign, in some elements"
    rng = np.random.default_rng(0)
    assert likely_mistake(rng.normal(size=(3, 3)), rng.normal(size=(3, 3))) is None


def test_a_rule_that_is_not_linear_in_the_cotangent_is_found_by_forward_mode():
    @tg.primitive
    def nonlinear(a, /):
        return 3 * a

    nonlinear.vjp(a=lambda g, a: g * g * g * 3 / (g * g + 1e-300) if isinstance(g, np.ndarray) else 3 * g * g)
    report = check_gradients(nonlinear, np.array([1.0, 2.0]), order=1)
    assert any(v.mode == "jvp" and "not linear in the cotangent" in v.reason for v in report.mismatches)


# ----------------------------------------------------------------------------------------------------------- large inputs


def net():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(10, 784)), rng.integers(0, 10, 10)
    parameters = [0.1 * rng.normal(size=s) for s in [(784, 50), (50,), (50, 10), (10,)]]
    return (lambda w, b, v, c: tg.softmax_cross_entropy(tg.sigmoid(x @ w + b) @ v + c, t)), parameters


def test_a_large_net_is_checked_along_directions_in_a_second():
    f, parameters = net()
    check_gradients(f, *parameters, order=1, directions=1)
    start = time.perf_counter()
    report = check_gradients(f, *parameters)
    assert time.perf_counter() - start < 3  # under 1 on an idle machine
    assert report.ok
    assert report.compared == 65
    broken = lambda w, b, v, c: f(w, b, v * 1, c) + 0 * wrong_sine(w).sum() + 1e-3 * wrong_sine(b).sum()
    assert not check_gradients(broken, *parameters, order=1).ok


def test_options():
    for modes, words in {("hvp",): "not 'hvp'", (): "not none", "vjp": "in a tuple, not 'vjp'"}.items():
        with pytest.raises(ArgumentError, match=f"modes are vjp and jvp, .*{words}"):
            check_gradients(tg.sin, 1.0, modes=modes)
    for name, value in {"order": 0, "directions": 0, "seed": -1, "rtol": -1, "atol": np.nan}.items():
        with pytest.raises(ArgumentError, match=f"check_gradients: {name} is .* or more.*, not {value}"):
            check_gradients(tg.sin, 1.0, **{name: value})
    with pytest.raises(ArgumentError, match="order is an integer, 1 or more, not 1.5"):
        check_gradients(tg.sin, 1.0, order=1.5)
    assert check_gradients(tg.sin, np.ones(5000), order=1).compared == 9
    assert check_gradients(tg.sin, np.ones(5), order=1, elementwise=False, directions=3).compared == 4
    report = check_gradients(tg.sin, np.ones(5), modes=("jvp",))
    assert report.compared == 1
    assert report.largest[0] > 0
    assert "only order 1 is looked at" in report.notes[0]


def test_what_is_no_array_is_passed_on():
    def f(x, power, mode, options, labels=None):
        assert isinstance(power, int)
        assert labels is None
        return x**power * len(mode) * options["scale"]

    assert check_gradients(f, [1.0, 2.0], 3, "abc", {"scale": 2.0}, None).ok
    wrong = check_gradients(lambda x, mode, shift: wrong_sine(x) + shift, [1.0], "abc", 3)
    assert "x1 = 'abc'" in wrong.reproduction
    assert "x2 = 3" in wrong.reproduction
    with pytest.raises(NumericalError, match=r"the inputs of <lambda> are int64, str, NoneType; write the numbers with a decimal"):
        check_gradients(lambda *_: None, np.arange(3), "abc", None)


def test_a_random_rule_is_refused():
    @tg.primitive
    def noisy(a):
        return 2 * a

    noisy.vjp(a=lambda g: g * (2 + 1e-3 * np.random.default_rng().random(g.shape)))
    with pytest.raises(NumericalError, match=r"backward\(\) to input 0 of noisy gives other numbers when it is called again"):
        check_gradients(noisy, [1.0, 2.0])


def test_functions_that_read_their_arguments_by_name():
    assert check_gradients(lambda x: eval("x**2"), [1.0]).ok


def test_the_program_defines_what_a_lambda_uses():
    scale, table = 2.0, np.arange(3.0)
    report = check_gradients(lambda x: wrong_sine(x) * scale + table, [1.0, 2.0, 3.0])
    lines = report.reproduction.splitlines()
    assert "scale = 2.0" in lines
    assert "table = np.array([0., 1., 2.])" in lines
    program = report.reproduction.replace("# wrong_sine is", "pass  # wrong_sine is")
    with pytest.raises(GradientMismatchError, match="a sign"):
        exec(program, {"wrong_sine": wrong_sine})
    assert "f = ..." not in program


def test_where_the_taylor_slope_does_not_show_the_mistake_it_is_not_said_to_be_right():
    report = check_gradients(lambda a: (a**2).detach() + a * 0, 1e-12 * np.ones(3), order=1)
    assert not report.ok
    assert report.slope > 1.5
    assert "what is wrong is too little to show in it" in str(report)


def test_progress_is_shown(capsys):
    for x, modes, shown in ((np.ones(5), ("vjp", "jvp"), "5/5"), (np.ones(3) * 1j, ("vjp",), "6/6"), (1.0, ("jvp",), "0")):
        check_gradients(tg.sin, x, order=1, modes=modes, progress=True)
        assert shown in capsys.readouterr().err
