"""What the elementwise operations promise beyond the generic properties: unused elements, kinks, nan, stability, spellings."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, RuleError, ShapeError
from tinygrad_edu.registry import REGISTRY


def gradient(f, *xs):
    """The derivative of f's sum with respect to each argument, or to the only one."""
    tensors = [tg.Tensor(np.asarray(x, float), requires_grad=True) for x in xs]
    f(*tensors).sum().backward()
    found = [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in tensors]
    return found if len(xs) > 1 else found[0]


def derivatives(f, x, count):
    """The first derivatives of a function that is applied element by element."""
    if not count:
        return []
    slope = tg.grad(lambda v: f(v).sum())
    return [slope(np.asarray(x, float)).numpy(), *derivatives(slope, x, count - 1)]


# ------------------------------------------------------------------------------------- what is not used has no influence

UNUSED = [
    (lambda x: tg.where(x > 0, tg.log(x), 0), [0.0, -1.0, 2.0], [0, 0, 1 / 2], [0, 0, -1 / 4]),
    (lambda x: tg.where(x > 0, tg.sqrt(x), 0), [0.0, -1.0, 4.0], [0, 0, 1 / 4], [0, 0, -1 / 32]),
    (lambda x: tg.where(x > 0, tg.sqrt(x), 0), [-1.0, 4.0], [0, 1 / 4], [0, -1 / 32]),
    (lambda x: tg.where(x != 0, x**0.5, 0), [0.0, 4.0], [0, 1 / 4], [0, -1 / 32]),
    (lambda x: tg.where(x != 0, 1 / x, 0), [0.0, 2.0], [0, -1 / 4], [0, 1 / 4]),
    (lambda x: tg.where(x < 700, tg.exp(x), 0), [800.0, 1.0], [0, math.e], [0, math.e]),
    (lambda x: tg.where(x > 0, tg.log(tg.sqrt(x)), 0), [0.0, -1.0, 2.0], [0, 0, 1 / 4], [0, 0, -1 / 8]),
    (lambda x: tg.where(abs(x) < 1, tg.arcsin(x), 0), [1.0, -2.0, 0.0], [0, 0, 1], [0, 0, 0]),
    (lambda x: tg.where(x > 1, tg.arccosh(x), 0), [1.0, 0.0, 2.0], [0, 0, 3**-0.5], [0, 0, -2 * 3**-1.5]),
    (lambda x: tg.nan_to_num(tg.log(x), nan=0, neginf=0), [0.0, -1.0, 2.0], [0, 0, 1 / 2], [0, 0, -1 / 4]),
    (lambda x: tg.maximum(tg.log(x), 0), [0.0, 2.0], [0, 1 / 2], [0, -1 / 4]),
    (lambda x: tg.log(x)[1:], [0.0, 2.0], [0, 1 / 2], [0, -1 / 4]),
]


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(("f", "x", "first", "second"), UNUSED)
def test_an_element_that_is_not_used_gets_the_gradient_0_at_both_orders(f, x, first, second, one_by_one):
    with np.errstate(all="ignore"):  # the forward divides by 0 and says so
        if one_by_one and np.shape(f(np.array(x))) == np.shape(x):
            found = np.array([derivatives(f, value, 2) for value in x]).T
        else:
            found = derivatives(f, x, 2)
    np.testing.assert_allclose(found, [first, second], atol=1e-15)


def test_a_zero_cotangent_does_not_hide_the_second_derivative():
    # ½ ln(x)² at 1: the logarithm's cotangent is ln 1 = 0, and its derivative is 1.
    f = lambda x: 0.5 * tg.log(x) ** 2
    np.testing.assert_allclose(
        derivatives(f, [1.0, 2.0], 3), [[0, math.log(2) / 2], [1, (1 - math.log(2)) / 4], [-3, (2 * math.log(2) - 3) / 8]]
    )
    tg.testing.assert_gradients(lambda x: tg.sqrt(x) * (x - 4), [4.0], order=3)


def test_a_derivative_that_is_infinite_and_used_is_infinite_and_says_so():
    x = tg.Tensor([0.0, 4.0], requires_grad=True)
    with pytest.warns(RuntimeWarning, match="sqrt: its derivative is infinite or undefined at 1 of 2 elements") as caught:
        tg.sqrt(x).sum().backward()
    assert x.grad.tolist() == [math.inf, 0.25]
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(RuntimeWarning, match="cbrt: its derivative"):
        assert tg.grad(tg.cbrt)(0.0).item() == math.inf


def test_numpys_error_state_holds_for_infinite_derivatives():
    slope = tg.grad(lambda x: tg.sqrt(x).sum())
    with np.errstate(divide="ignore"):
        assert slope([0.0]).item() == math.inf
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="sqrt: its derivative is infinite"):
        slope([0.0])


def test_ieee_gradients_multiply_zero_by_infinity():
    f = lambda x: tg.where(x > 0, tg.sqrt(x), 0.0).sum()
    with tg.ieee_gradients(), np.errstate(all="ignore"):
        np.testing.assert_array_equal(tg.grad(f)([0.0, 4.0]).numpy(), [np.nan, 0.25])
    np.testing.assert_array_equal(tg.grad(f)([0.0, 4.0]).numpy(), [0, 0.25])


def test_a_nan_that_came_in_goes_out_without_a_word():
    x = [math.nan, 1.0]
    for f in (tg.exp, tg.sqrt, tg.log, lambda v: v / 2, lambda v: 2 / v):
        assert np.isnan(gradient(f, x)).tolist() == [True, False] or f(2.0) == 1


def test_a_rule_of_the_wrong_shape_is_named_even_if_it_is_not_finite():
    @tg.primitive(elementwise=True)
    def broken(x):
        return x * 1.0

    broken.vjp(x=lambda g, x: np.full(3, np.inf))
    with pytest.raises(RuleError, match="broken: the rule of operand 'x'"):
        gradient(broken, [1.0, 2.0])


# ------------------------------------------------------------------------------------------------------------------ kinks

FAMILIES = {"arithmetic", "comparison", "exponential", "hyperbolic", "powers", "select", "trigonometric"}
KINKS = [
    pytest.param(operation, kink, id=f"{name}: {kink.where}")
    for name, operation in sorted(REGISTRY.items())
    if operation.ours and operation.function.__module__.rpartition(".")[2] in FAMILIES
    for kink in operation.kinks
]


@pytest.mark.parametrize(("operation", "kink"), KINKS)
def test_the_declared_derivative_is_the_one_that_is_computed(operation, kink):
    tensors = {name: tg.Tensor(np.multiply(kink.at[name], 1.0), requires_grad=True) for name in kink.gradient}
    given = {**kink.at, **tensors}
    operands = [given.pop(name) for name in operation.operands]
    operation.function(*operands, **given).sum().backward()
    for name, expected in kink.gradient.items():
        np.testing.assert_array_equal(tensors[name].grad.numpy(), expected)


def test_the_kinks_of_these_families_are_declared():
    assert {parameter.values[0].name for parameter in KINKS} == {
        *("abs", "fabs", "copysign", "hypot"),
        *("maximum", "minimum", "fmax", "fmin", "clip"),
    }


def test_a_bound_gets_what_lies_beyond_it_and_nothing_at_itself():
    f = lambda x, low, high: tg.clip(x, low, high)
    x, low, high = gradient(f, [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0], -1.0, 1.0)
    assert (x.tolist(), low, high) == ([0, 1, 1, 1, 0, 0], 1, 2)
    x, low = gradient(lambda x, low: x.clip(min=low), [-2.0, 2.0], -1.0)
    assert (x.tolist(), low) == ([0, 1], 1)
    x, high = gradient(lambda x, high: np.clip(x, None, high), [-2.0, 2.0], [1.0, 1.0])
    assert (x.tolist(), high.tolist()) == ([1, 0], [0, 1])
    x, low, high = gradient(f, [0.0], 2.0, 1.0)  # bounds that have crossed: NumPy takes the upper one
    assert (x.tolist(), low, high) == ([0], 0, 1)
    assert tg.clip(tg.Tensor([1, 5]), tg.Tensor(2), None).tolist() == [2, 5]


def test_clip_takes_the_bounds_as_numpy_does():
    x = tg.Tensor([-2.0, 0.5, 2.0], requires_grad=True)
    for y in (
        *(np.clip(x, -1, 1), np.clip(x, a_min=-1, a_max=1), np.clip(x, min=-1, max=1), np.clip(x, -1, max=1)),
        *(x.clip(-1, 1), x.clamp(max=1, min=-1), tg.clip(x, -1, 1)),
    ):
        assert isinstance(y, tg.Tensor)
        assert y.requires_grad
        assert y.tolist() == [-1, 0.5, 1]
    assert np.clip(x, 0, None).tolist() == [0, 0.5, 2]
    assert tg.clip(tg.Tensor([1, 5]), None, 3).dtype == np.int64
    with pytest.raises(ShapeError, match=r"called with a \(3,\) float64, min=array\(\[0., 0.\]\)"):
        tg.clip(x, np.zeros(2), 1)


def test_the_sign_of_a_real_number_is_a_constant_and_of_a_complex_number_a_direction():
    x = tg.Tensor([-2.0, 0.0], requires_grad=True)
    assert not tg.sign(x).requires_grad
    assert gradient(lambda v: tg.sign(v) * v, [-2.0, 0.0, 3.0]).tolist() == [-1, 0, 1]
    z = tg.Tensor([3 + 4j, 0], requires_grad=True)
    y = np.sign(z)
    assert y.tolist() == [0.6 + 0.8j, 0]
    y.real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), [0.128 - 0.096j, 0])  # perpendicular to z
    assert tg.sign(-2.0) == -1


# -------------------------------------------------------------------------------------------------------------------- nan


def test_fmax_and_fmin_look_past_nan_and_maximum_does_not():
    a, b = [np.nan, 1.0, 2.0], [1.0, np.nan, 5.0]
    assert tg.fmax(tg.Tensor(a), b).tolist() == [1, 1, 5]
    found = gradient(tg.fmax, a, b)
    assert (found[0].tolist(), found[1].tolist()) == ([0, 1, 0], [1, 0, 1])
    found = gradient(tg.fmin, a, b)
    assert (found[0].tolist(), found[1].tolist()) == ([0, 1, 1], [1, 0, 0])
    assert gradient(lambda x: tg.maximum(x, 0), [np.nan]) == gradient(lambda x: tg.minimum(x, 0), [np.nan]) == [1]


def test_nan_to_num_passes_the_gradient_of_what_it_leaves():
    x = [1.0, np.nan, np.inf, -np.inf]
    assert np.nan_to_num(tg.Tensor(x), nan=7, posinf=8, neginf=9).tolist() == [1, 7, 8, 9]
    assert gradient(tg.nan_to_num, x).tolist() == [1, 0, 0, 0]
    z = tg.Tensor([complex(np.nan, 2), complex(3, np.inf)], requires_grad=True)
    tg.nan_to_num(z).backward([1 + 1j, 1 + 1j])
    assert z.grad.tolist() == [1j, 1]


# ---------------------------------------------------------------------------------------------------------- particular points


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, 1.0, -2.5])
def test_sinc_is_right_to_every_order(x):
    t, weights = np.polynomial.legendre.leggauss(60)
    t, weights = (t + 1) / 2, weights / 2
    expected = [math.pi**n * weights @ (t**n * np.cos(math.pi * x * t + n * math.pi / 2)) for n in range(1, 7)]
    found = derivatives(tg.sinc, x, 6)
    for n, (value, right) in enumerate(zip(found, expected, strict=True), 1):
        np.testing.assert_allclose(value, right, rtol=1e-12, atol=1e-14 * math.pi**n)


def test_powers_of_zero_and_of_negative_numbers():
    base, exponent = gradient(tg.power, [0.0, 0.0, 0.0], [0.0, 1.0, 2.0])
    assert base.tolist() == [0, 1, 0]
    assert exponent.tolist() == [0, 0, 0]
    assert gradient(lambda x: x ** np.array([-1, 0, 3]), [-2.0, -2.0, -2.0]).tolist() == [-0.25, 0, 12]
    assert gradient(lambda x: x ** np.array([2.0, 3.0]), [-2.0, -2.0]).tolist() == [-4, 12]
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isnan(gradient(lambda b: tg.power(-2.0, b), [2.0]))
    z = tg.Tensor(2.0 + 0j, requires_grad=True)
    (-1.0) ** z  # a complex power of a negative number
    tg.power(-1.0, z).real.backward()
    np.testing.assert_allclose(z.grad.item(), 1j * -math.pi, atol=1e-14)


def test_float_power_computes_in_float64_and_its_gradient_comes_back_in_float32():
    a, b = (tg.Tensor(v, requires_grad=True, dtype=np.float32) for v in ([2.0, 3.0], [-1.0, 2.0]))
    y = np.float_power(a, b)
    assert y.dtype == np.float64
    y.sum().backward()
    assert a.grad.dtype == b.grad.dtype == np.float32
    np.testing.assert_allclose(a.grad.numpy(), [-0.25, 6])
    np.testing.assert_allclose(b.grad.numpy(), [math.log(2) / 2, 9 * math.log(3)], rtol=1e-6)
    z = tg.float_power(tg.Tensor([1j], dtype=np.complex64), 2)
    assert z.dtype == np.complex128
    assert tg.float_power([2], -2).tolist() == [0.25]


def test_remainders_agree_with_their_quotients_at_rounding():
    a, b = 1.0, 0.1  # 1 / 0.1 rounds to 10, but the float 0.1 is more than a tenth and goes into 1 only 9 times
    for f in (tg.fmod, tg.remainder):
        found = gradient(f, [a], [b])
        assert (found[0].tolist(), found[1].tolist()) == ([1], [-9])
    assert gradient(tg.fmod, [-7.0], [2.0])[1] == [3]
    assert gradient(tg.mod, [-7.0], [2.0])[1] == [4]


def test_the_angle_and_the_distance_do_not_overflow_or_underflow():
    for scale in (1e-200, 1.0, 1e200):
        a, b = gradient(tg.arctan2, [3 * scale], [4 * scale])
        np.testing.assert_allclose([a * scale, b * scale], [[4 / 25], [-3 / 25]])
        np.testing.assert_allclose(gradient(tg.hypot, [3 * scale], [4 * scale]), [[0.6], [0.8]])
    assert gradient(tg.arctan2, [0.0], [0.0]) == [[0.0], [0.0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_large_arguments_do_not_overflow_where_the_value_is_finite(dtype):
    x = np.array([-1000, -30, 30, 1000], dtype)
    for f, limit in [(tg.sech, 0), (tg.csch, 0), (tg.coth, 1), (tg.tanh, 1), (tg.arccsch, 0), (tg.arccoth, 0)]:
        tensor = tg.Tensor(x, requires_grad=True)
        y = f(tensor)
        y.sum().backward()
        assert y.dtype == tensor.grad.dtype == dtype
        np.testing.assert_allclose(np.abs(y.numpy()), limit, atol=0.04)
        np.testing.assert_allclose(tensor.grad.numpy(), 0, atol=2e-3)
    large = tg.Tensor(np.array([np.finfo(dtype).max / 4], dtype), requires_grad=True)
    tg.arcsinh(large).sum().backward()
    tg.arccosh(large).sum().backward()
    np.testing.assert_allclose(large.grad.numpy(), 2 / large.numpy(), rtol=1e-2, atol=1e-7)
    with np.errstate(all="raise", under="ignore"):
        assert tg.logaddexp(tg.Tensor(x), x).dtype == dtype


def test_small_arguments_keep_their_digits():
    np.testing.assert_allclose(tg.csch(np.array([1e-10])), 1e10, rtol=1e-14)
    np.testing.assert_allclose(gradient(tg.expm1, [-40.0]), math.exp(-40), rtol=1e-12)
    near = 1 + 1e-10  # 1 / near and 1 - near² have lost half of the digits
    excess = near - 1
    np.testing.assert_allclose(gradient(tg.arcsec, [near]), 1 / (near * math.sqrt(excess * (near + 1))), rtol=1e-13)
    np.testing.assert_allclose(gradient(tg.arccosh, [near]), 1 / math.sqrt(excess * (near + 1)), rtol=1e-13)
    np.testing.assert_allclose(gradient(tg.arccoth, [near]), -1 / (excess * (near + 1)), rtol=1e-13)


def test_nothing_has_no_share_in_a_sum_of_exponentials():
    for f in (tg.logaddexp, tg.logaddexp2):
        a, b = gradient(f, [-np.inf, -np.inf, 0.0], [-np.inf, 1.0, 0.0])
        assert (a.tolist(), b.tolist()) == ([0, 0, 0.5], [0, 1, 0.5])


def test_the_arccotangent_jumps_at_0_and_has_a_derivative_there():
    assert tg.arccot(0.0) == math.pi / 2
    assert gradient(tg.arccot, [0.0]) == [-1]
    np.testing.assert_allclose(tg.arctan2(1, tg.Tensor([-1.0])).item(), 3 * math.pi / 4)


def test_functions_of_integers_are_floats_as_numpys():
    n = np.array([1, 2], np.uint8)
    for name in ("sec", "csc", "cot", "sech", "csch", "coth", "arcsec", "arccsc", "arccot", "arccsch", "fabs"):
        f = getattr(tg, name)
        y = f(tg.Tensor(n))
        assert y.dtype.kind == "f"
        np.testing.assert_allclose(y.numpy(), f(n.astype(float)), rtol=1e-2)


# -------------------------------------------------------------------------------------------------------------- spellings


def test_numpys_and_pytorchs_other_names_are_ours_too():
    x = tg.Tensor([0.5], requires_grad=True)
    for name in ("asin", "acos", "atan", "asinh", "atanh", "pow", "atan2", "true_divide", "mul", "sub", "div", "neg"):
        arguments = (x, 2.0) if name in ("pow", "atan2", "true_divide", "mul", "sub", "div") else (x,)
        assert getattr(tg, name)(*arguments).requires_grad
        theirs = getattr(np, name, None)
        if theirs is not None:
            np.testing.assert_array_equal(theirs(*arguments).numpy(), getattr(tg, name)(*arguments).numpy())
    assert np.degrees(x).requires_grad
    assert np.radians(x).requires_grad
    assert np.mod(x, 2).requires_grad
    assert np.acosh(x + 1).requires_grad


def test_select_takes_the_first_choice_whose_condition_holds():
    x = np.array([-2.0, 0.5, 3.0, 9.0])
    f = lambda v, d: np.select([v < 0, v > 2, v > 8], [-v, v * v, v], default=d)
    np.testing.assert_array_equal(f(tg.Tensor(x), 7.0).numpy(), f(x, 7.0))
    found = gradient(f, x, 7.0)
    assert (found[0].tolist(), found[1]) == ([-1, 0, 6, 18], 1)
    tg.testing.assert_gradients(f, x, 7.0)
    with pytest.raises(ArgumentError, match="one choice for each condition; got 1 conditions and 2 choices"):
        tg.select([x > 0], [x, x])
    with pytest.raises(DTypeError, match="conditions are booleans, and one is float64; write condition != 0"):
        tg.select([tg.Tensor(x)], [x])


def test_choose_is_numpys():
    index = np.array([[0, 1], [2, 0]])
    choices = [np.array([1.0, 2.0]), np.float64(5), np.array([[7.0], [8.0]])]
    tensors = [tg.Tensor(c, requires_grad=True) for c in choices]
    y = np.choose(index, tensors)
    np.testing.assert_array_equal(y.numpy(), np.choose(index, choices))
    y.backward([[1, 2], [3, 4]])
    assert [t.grad.tolist() for t in tensors] == [[1, 4], 2, [[0], [3]]]
    far = np.array([-4, -1, 3, 7])
    for mode in ("wrap", "clip"):
        ours = tg.choose(tg.Tensor(far), [tg.Tensor(10.0), 20.0, 30.0], mode=mode)
        np.testing.assert_array_equal(ours.numpy(), np.choose(far, [10.0, 20.0, 30.0], mode=mode))
    assert tg.choose(np.zeros(3, int), tg.Tensor([[1.0, 2.0, 3.0]])).tolist() == [1, 2, 3]
    with pytest.raises(ArgumentError, match=r"there are 2 choices, and an index is outside 0\.\.1"):
        tg.choose([0, 2], [tg.Tensor(1.0), 2.0])
    with pytest.raises(ArgumentError, match="mode is raise, wrap or clip, not 'nearest'"):
        tg.choose([0], [1.0], mode="nearest")
    with pytest.raises(DTypeError, match="the index is float64; integers say which of the 2 choices"):
        tg.choose([0.0], [1.0, 2.0])


def test_lerp_ends_exactly_where_it_should():
    a, b = np.array([0.1, 1e16]), np.array([0.3, 1.0])
    assert tg.lerp(a, b, 0).tolist() == a.tolist()
    assert tg.lerp(a, b, 1).tolist() == b.tolist()


def test_heaviside_and_copysign_are_steps_in_one_operand():
    assert gradient(lambda b: np.heaviside([-1.0, 0.0, 2.0], b), [5.0, 5.0, 5.0]).tolist() == [0, 1, 0]
    assert not tg.heaviside(tg.Tensor([1.0], requires_grad=True), 0.5).requires_grad
    assert gradient(lambda a: tg.copysign(a, [-1.0, 1.0, -0.0]), [2.0, -2.0, -2.0]).tolist() == [-1, -1, 1]
    assert not tg.copysign(1.0, tg.Tensor([1.0], requires_grad=True)).requires_grad


def test_quiet_backward_leaves_the_error_state_and_the_warnings_alone():
    before = np.geterr()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gradient(lambda x: tg.where(x > 1, 1 / x + tg.log1p(x), 0), [0.0, 3.0])
    assert [str(w.message) for w in caught] == ["divide by zero encountered in divide"]  # the forward's
    assert np.geterr() == before
