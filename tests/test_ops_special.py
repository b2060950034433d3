"""Activation functions, the softmax family and SciPy's special functions: values far out, conventions at kinks, what is refused,
and what happens without SciPy."""

import math
import sys
import warnings

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, MissingError, ShapeError
from tinygrad_edu.registry import REGISTRY, Lazy

FAMILIES = (
    *("activation", "rectifiers", "loss", "special", "error_function"),
    *("factorials", "incomplete", "bessel", "bessel_second_kind"),
)
OURS = {name: op for name, op in REGISTRY.items() if op.function.__module__.rpartition(".")[2] in FAMILIES}
ACTIVATIONS = [
    *("sigmoid", "log_sigmoid", "softplus", "relu", "silu", "mish", "gelu", "softsign", "elu", "celu", "selu"),
    *("leaky_relu", "hardtanh", "relu6", "hardsigmoid", "hardswish"),
]


def derivative(f, x, order=1):
    """The derivative of f at each element of x."""
    for _ in range(order):
        f = tg.grad(lambda x, f=f: tg.sum(f(x)))
    return f(tg.Tensor(x)).numpy()


# ----------------------------------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("name", [*ACTIVATIONS, "gelu_tanh"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_huge_arguments_neither_warn_nor_change_the_dtype(name, dtype):
    f = (lambda x: tg.gelu(x, "tanh")) if name == "gelu_tanh" else getattr(tg, name)
    big = float(np.finfo(dtype).max) / 4
    x = tg.Tensor(np.array([-big, -1000, -30, -1, -1e-4, 0, 1e-4, 1, 30, 1000, big]), requires_grad=True, dtype=dtype)
    y = f(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        *[("sigmoid", (0, 0), (1, 0)), ("log_sigmoid", (-np.inf, 1), (0, 0)), ("softplus", (0, 0), (np.inf, 1))],
        *[(name, (0, 0), (np.inf, 1)) for name in ("relu", "silu", "mish", "gelu", "hardswish")],
        *[(name, (-1, 0), (np.inf, 1)) for name in ("elu", "celu")],
        *[("leaky_relu", (-np.inf, 0.01), (np.inf, 1)), ("hardtanh", (-1, 0), (1, 0)), ("relu6", (0, 0), (6, 0))],
    ],
)
def test_limits_at_infinity(name, left, right):
    f = getattr(tg, name)
    at = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(f(at), [left[0], right[0]])
    np.testing.assert_array_equal([*derivative(f, at[:1]), *derivative(f, at[1:])], [left[1], right[1]])


def test_nan_stays_nan():
    for name in ACTIVATIONS:
        assert np.isnan(getattr(tg, name)(np.array([np.nan, 1.0]))).tolist() == [True, False], name


@pytest.mark.parametrize(
    ("f", "at", "gradient"),
    [
        (tg.relu, [0.0], [0]),
        (tg.leaky_relu, [0.0], [0.01]),
        (tg.elu, [0.0], [1]),
        (lambda x: tg.elu(x, alpha=0.5), [0.0], [0.5]),
        (lambda x: tg.celu(x, alpha=0.5), [0.0], [1]),
        (tg.selu, [0.0], [1.7580993408473766]),
        (tg.relu6, [0.0, 6.0], [0, 0]),
        (tg.hardtanh, [-1.0, 1.0], [0, 0]),
        (tg.hardsigmoid, [-3.0, 3.0], [0, 0]),
        (tg.hardswish, [-3.0, 3.0], [0, 1]),
        (tg.softsign, [0.0], [1]),
        (tg.i0e, [0.0], [0]),
    ],
)
def test_kinks_are_pytorchs(f, at, gradient):
    np.testing.assert_allclose(derivative(f, at), gradient, rtol=1e-15)


def test_prelu_at_its_kink():
    x, w = tg.Tensor([-2.0, 0.0, 3.0], requires_grad=True), tg.Tensor(0.25, requires_grad=True)
    tg.prelu(x, w).sum().backward()
    assert x.grad.tolist() == [0.25, 0.25, 1]
    assert w.grad.item() == -2


def test_gelu_exact_and_approximate():
    x = np.array([-3.0, -1.0, 0.5, 2.0])
    exact = [-0.0040496940948902, -0.158655253931457, 0.3457312306370065, 1.95449973610364]
    approximate = [-0.0036373920817729943, -0.15880800939172324, 0.34571400982514394, 1.954597694087775]
    np.testing.assert_allclose(tg.gelu(x), exact, rtol=1e-13)
    np.testing.assert_allclose(tg.gelu(x, approximate="tanh"), approximate, rtol=1e-13)
    slopes = [0.5 * math.erfc(-v / math.sqrt(2)) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x]
    np.testing.assert_allclose(derivative(tg.gelu, x), slopes, rtol=1e-13)
    with pytest.raises(ArgumentError, match="gelu: approximate is 'none' or 'tanh', not True"):
        tg.gelu(x, approximate=True)


def test_tails_keep_their_relative_precision():
    x = -30.0
    np.testing.assert_allclose(derivative(tg.elu, [x]), [math.exp(x)], rtol=1e-14)
    np.testing.assert_allclose(derivative(tg.log_sigmoid, [-x]), [math.exp(x)], rtol=1e-12)
    np.testing.assert_allclose(tg.silu(np.array(x)), x * math.exp(x), rtol=1e-12)
    np.testing.assert_allclose(tg.mish(np.array(x)), x * math.exp(x), rtol=1e-12)
    np.testing.assert_allclose(tg.softplus(np.array(x)), math.exp(x), rtol=1e-12)
    np.testing.assert_allclose(tg.gelu(np.array(-10.0)), -7.619853024160527e-23, rtol=1e-12)


def test_softplus_is_linear_beyond_its_threshold():
    assert tg.softplus(np.array([20.0, 20.1]), threshold=20.0).tolist() == [math.log1p(math.exp(-20)) + 20, 20.1]
    assert tg.softplus(np.array([3.0]), beta=2.0, threshold=5.0).tolist() == [3.0]
    assert derivative(lambda x: tg.softplus(x, beta=2.0, threshold=5.0), [3.0]).tolist() == [1.0]
    with pytest.raises(ArgumentError, match="softplus: beta is a positive number, got 0"):
        tg.softplus([1.0], beta=0)


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ArgumentError, match="celu: alpha is a positive number, got 0"):
        tg.celu([1.0], alpha=0)
    with pytest.raises(ArgumentError, match="hardtanh: min_val must be less than max_val, got 1.0 and -1.0"):
        tg.hardtanh([1.0], 1.0, -1.0)
    for operand, axis in ((np.zeros(3), -1), (np.zeros((2, 4)), 2), (np.zeros(()), 0)):
        with pytest.raises(ShapeError, match=r"glu: axis -?\d of an operand of shape .* has no two halves"):
            tg.glu(operand, axis)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax", "log_softmax", "logsumexp"])
def test_activations_refuse_complex_numbers(name):
    with pytest.raises(DTypeError, match=r"is defined here for real numbers only.*x\.real or abs\(x\)"):
        getattr(tg, name)(tg.Tensor([1 + 1j], requires_grad=True))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_take_integers_and_python_numbers(name):
    f = getattr(tg, name)
    expected = f(np.array([3.0, 0.0]))
    np.testing.assert_array_equal(f(np.array([3, 0], np.uint8)), expected)
    np.testing.assert_array_equal(f([3, False]), expected)
    assert f(3) == f(3.0) == expected[0]


# -------------------------------------------------------------------------------------------------------- softmax family


def test_numpys_logaddexp_reduce_is_logsumexp():
    x = tg.Tensor([[0.0, 1000.0], [0.0, -np.inf]], requires_grad=True)
    np.testing.assert_allclose(np.logaddexp.reduce(x).data, [math.log(2), 1000])  # axis 0, as for every ufunc's reduce
    np.testing.assert_allclose(np.logaddexp.reduce(x, axis=1, keepdims=True).data, [[1000], [0]])
    np.logaddexp.reduce(x, axis=None).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 1], [0, 0]])
    with pytest.raises(DTypeError, match=r"numpy.logaddexp.reduce is not recorded like this.*there is no where="):
        np.logaddexp.reduce(x, where=[True, False])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_soft_targets_have_a_gradient_too(reduction):
    z = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    t = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    target = tg.Tensor(t, requires_grad=True)
    cotangent = np.array([2.0, 3.0]) if reduction == "none" else np.array(2.0)
    tg.softmax_cross_entropy(z, target, reduction).backward(cotangent)
    share = {"mean": 1.0, "sum": 2.0, "none": np.array([[2.0], [3.0]])}[reduction]
    np.testing.assert_allclose(target.grad.numpy(), -tg.log_softmax(z) * share, rtol=1e-13)


def test_soft_targets_that_sum_to_almost_1_have_the_loss_of_the_formula():
    z, t = tg.Tensor([[1.0, 2.0]], requires_grad=True), np.array([[0.3, 0.7004]])
    loss = tg.softmax_cross_entropy(z, t)
    loss.backward()
    np.testing.assert_allclose(loss.item(), -(t * tg.log_softmax(z.numpy())).sum(), rtol=1e-14)
    np.testing.assert_allclose(z.grad.numpy(), tg.softmax(z.numpy()) * 1.0004 - t, rtol=1e-12)


def test_the_hessian_of_the_loss_in_logits_and_targets_is_symmetric():
    def of(z, t):
        return tg.softmax_cross_entropy(z, t)

    z, t = tg.Tensor([0.3, -1.0], requires_grad=True), tg.Tensor([0.4, 0.6], requires_grad=True)
    mixed = []
    for first, second in ((z, t), (t, z)):
        rows = []
        for i in range(2):
            z.grad = t.grad = None
            of(z, t).backward(create_graph=True)
            slope = first.grad[i]
            z.grad = t.grad = None
            slope.backward()
            rows.append(second.grad.numpy())
        mixed.append(np.array(rows))
    np.testing.assert_allclose(mixed[0], mixed[1].T, rtol=1e-13)
    np.testing.assert_allclose(mixed[0], tg.softmax(z.numpy())[:, None] - np.eye(2), rtol=1e-13)


# ----------------------------------------------------------------------------------------------------- special functions


def test_erf_and_the_normal_distribution_far_out():
    x = np.array([-1e300, -40.0, 0.0, 40.0, 1e300])
    for f in (tg.erf, tg.erfc, tg.ndtr, tg.log_ndtr):
        assert np.isfinite(derivative(f, x)).all(), f.__name__
    np.testing.assert_allclose(derivative(tg.erf, x), [0, 0, 2 / math.sqrt(math.pi), 0, 0], atol=1e-300)
    np.testing.assert_array_equal(derivative(tg.erf, [-np.inf, np.inf]), [0, 0])
    np.testing.assert_allclose(derivative(tg.log_ndtr, x), [1e300, 40.02496886207293, math.sqrt(2 / math.pi), 0, 0], atol=1e-300)
    np.testing.assert_allclose(derivative(tg.log_ndtr, [-1e5, 40.0], order=2), [-1, 0], atol=1e-5)
    # −1/(√π x²) (1 − 3/(2x²) + …): without the series, 2 x y − 2/√π would be nothing but rounding.
    for at in (26.0, 1e4, 1e9, 1e150):
        np.testing.assert_allclose(
            derivative(tg.erfcx, [at]), [-(1 - 1.5 * at**-2 + 3.75 * at**-4) / math.sqrt(math.pi) / at**2], rtol=1e-7
        )
    np.testing.assert_allclose(derivative(tg.erfcx, np.float32([10, 1000])), [-0.005559, -5.64189e-07], rtol=1e-4)


@pytest.mark.parametrize("at", [1e4 + 30j, 1e8j, 30 - 30j, 40 - 1e3j, -1e-9 + 1e7j, -50 + 60j])
def test_the_derivative_of_erfcx_in_the_plane(at):
    z = tg.Tensor(np.array(at), requires_grad=True)
    tg.erfcx(z).backward(np.array(1 + 0j))
    series = -(1 - 1.5 * at**-2 + 3.75 * at**-4 - 13.125 * at**-6) / math.sqrt(math.pi) / at**2  # e^(z²) is nothing at the last
    np.testing.assert_allclose(np.conj(z.grad.item()), series, rtol=1e-10)
    near = 18.5 * (-1 + 1j)  # and all here
    z = tg.Tensor(np.array(near), requires_grad=True)
    tg.erfcx(z).backward(np.array(1 + 0j))
    h = 1e-5
    quotient = (tg.erfcx(np.array(near + h)) - tg.erfcx(np.array(near - h))) / (2 * h)
    np.testing.assert_allclose(np.conj(z.grad.item()), quotient, rtol=1e-6)


def test_infinite_derivatives_say_so_and_lose_to_a_zero_cotangent():
    for f, at in ((tg.erfinv, 1.0), (tg.logit, 0.0), (tg.entr, 0.0), (tg.ndtri, 1.0)):
        with warnings.catch_warnings(action="ignore"):
            assert derivative(f, [at]).tolist() == [np.inf], f.__name__
        unused = derivative(lambda x, f=f, at=at: tg.where(x != at, f(x), 0), [at, 0.5])
        assert unused[0] == 0 != unused[1], f.__name__
    with pytest.warns(RuntimeWarning, match="logit: its derivative is infinite or undefined at 1 of 1"):
        derivative(tg.logit, [1.0])


@pytest.mark.parametrize(
    ("f", "a", "b", "y", "da", "db"),
    [
        (tg.xlogy, 0.0, 0.0, 0, 0, 0),
        (tg.xlogy, 0.0, -1.0, 0, 0, 0),
        (tg.xlogy, 0.0, 2.0, 0, math.log(2), 0),
        (tg.xlogy, 3.0, 2.0, 3 * math.log(2), math.log(2), 1.5),
        (tg.xlog1py, 0.0, -1.0, 0, 0, 0),
        (tg.xlog1py, 0.0, 1e-20, 0, 1e-20, 0),
        (tg.xlog1py, 3.0, 1.0, 3 * math.log(2), math.log(2), 1.5),
    ],
)
def test_zero_times_a_logarithm_is_zero(f, a, b, y, da, db):
    a, b = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
    result = f(a, b)
    result.backward()
    np.testing.assert_allclose([result.item(), a.grad.item(), b.grad.item()], [y, da, db], rtol=1e-15)


def test_a_complex_zero_has_a_logarithm_beside_it():
    a = tg.Tensor([0j], requires_grad=True)
    tg.xlogy(a, [-1 + 1j]).real.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.conj(np.log([-1 + 1j])))


def test_derivatives_of_the_gamma_function():
    np.testing.assert_allclose(derivative(tg.gammaln, [1.0, 100.0]), [-np.euler_gamma, 4.600161852738087])
    np.testing.assert_allclose(derivative(tg.gamma, [1.0], order=2), [np.euler_gamma**2 + math.pi**2 / 6])
    np.testing.assert_allclose(derivative(tg.digamma, [1.0], order=3), [math.pi**4 / 15])
    x = np.array([0.5, 3.0, -1.5])
    for n in range(5):
        np.testing.assert_allclose(tg.polygamma(n, x), scipy.special.polygamma(n, x), rtol=1e-14)
    far = np.array([-1234.3, -5000.0])
    for n in range(1, 4):
        np.testing.assert_allclose(tg.polygamma(n, far)[0], scipy.special.polygamma(n, far)[0], rtol=1e-10)
        assert np.isinf(tg.polygamma(n, far)[1])
    np.testing.assert_allclose(tg.polygamma(1, tg.Tensor([-1e9 - 0.25], dtype=float)).data, 2 * np.pi**2)  # at once
    orders = np.array([[0], [1], [4]])
    y = tg.polygamma(orders, tg.Tensor(x, dtype=np.float32))
    np.testing.assert_allclose(y.data, scipy.special.polygamma(orders, x), rtol=1e-5)
    assert tg.polygamma(0, np.zeros((0, 2))).shape == (0, 2)
    for bad in (-1, 0.5, [0, -2]):
        with pytest.raises(ArgumentError, match="polygamma: n counts derivatives, so it is an integer from 0 on"):
            tg.polygamma(bad, x)


def test_complex_gamma_has_a_first_derivative_only():
    z = tg.Tensor([1 + 1j], requires_grad=True)
    tg.gamma(z).real.sum().backward()
    slope = scipy.special.gamma(1 + 1j) * scipy.special.digamma(1 + 1j)
    np.testing.assert_allclose(z.grad.numpy(), [np.conj(slope)])
    with pytest.raises(DTypeError, match="polygamma: .*not supported for the input types"):
        tg.digamma(z).real.sum().backward()


def test_bessel_functions_at_0():
    np.testing.assert_allclose(derivative(tg.j1, [0.0]), [0.5])
    np.testing.assert_allclose(derivative(tg.i1, [0.0, 2.2e-308, -1e-310]), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(derivative(tg.i1e, [0.0]), [0.5])
    np.testing.assert_allclose(derivative(tg.j0, [0.0], order=2), [-0.5])
    np.testing.assert_allclose(derivative(tg.i0, [0.0], order=2), [0.5])


def test_an_order_has_no_derivative():
    for f in (tg.jv, tg.yv, tg.iv, tg.kv, tg.ive):
        with pytest.raises(DTypeError, match=rf"{f.__name__}: its derivative with respect to v is not implemented.*v\.detach"):
            f(tg.Tensor(1.0, requires_grad=True), 2.0)
    with pytest.raises(DTypeError, match="ive: the derivative is implemented for real numbers only"):
        tg.ive(1, tg.Tensor([1j], requires_grad=True)).real.sum().backward()


def test_a_python_number_does_not_widen():
    x = tg.Tensor([0.5, 0.7], requires_grad=True, dtype=np.float32)
    for name in ("xlogy", "xlog1py", "rel_entr", "kl_div", "beta", "betaln"):
        f = getattr(tg, name)
        for y in (f(x, 2), f(2.0, x), f(np.float32(1), x[0])):
            assert y.dtype == np.float32, name
    for f in (tg.jv, tg.iv, tg.yv, tg.kv, tg.yn, tg.kn, tg.ive, tg.polygamma, tg.gammainc, tg.gammaincc):
        assert f(1, x).dtype == np.float32, f.__name__


@pytest.mark.parametrize("name", ["gammaln", "erfinv", "logit", "i0", "i0e", "j0", "ndtri", "entr"])
def test_complex_numbers_are_refused_where_scipy_refuses_them(name):
    with pytest.raises(DTypeError, match=rf"{name}: .*not supported for the input types"):
        getattr(tg, name)(tg.Tensor([1 + 1j], requires_grad=True))


# ----------------------------------------------------------------------------------------------------------------- SciPy


def test_scipys_functions_are_recorded():
    x = tg.Tensor([0.2, 0.5], requires_grad=True)
    for theirs, ours in (
        *[(scipy.special.erf, tg.erf), (scipy.special.expit, tg.sigmoid), (scipy.special.log_expit, tg.log_sigmoid)],
        *[(scipy.special.psi, tg.digamma), (scipy.special.digamma, tg.digamma), (scipy.special.gammaln, tg.lgamma)],
        *[(scipy.special.i0, tg.i0), (np.i0, tg.i0), (scipy.special.ndtri, tg.ndtri), (scipy.special.entr, tg.entr)],
    ):
        x.grad = None
        y = theirs(x)
        assert isinstance(y, tg.Tensor)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), derivative(ours, x.numpy()), err_msg=str(theirs))
    for name in ("jv", "jn", "yv", "yn", "iv", "kv", "kn", "gammainc", "gammaincc"):
        f = getattr(scipy.special, name)
        np.testing.assert_allclose(f(1, x).data, f(1, x.numpy()), rtol=1e-14, err_msg=name)
    np.testing.assert_array_equal(scipy.special.xlogy(x.numpy(), x).data, tg.xlogy(x, x).data)
    assert tg.expit is tg.sigmoid
    assert tg.swish is tg.silu
    assert tg.psi is tg.digamma


def test_a_function_of_scipy_that_is_not_a_ufunc_drops_no_gradient():
    x = tg.Tensor([0.2, 0.5], requires_grad=True)
    for f in (scipy.special.softmax, scipy.special.logsumexp, lambda x: scipy.special.polygamma(1, x)):
        with pytest.raises(DTypeError, match="drop its gradient"):
            f(x)
    with pytest.raises(DTypeError, match="scipy.special.erfi is not recorded"):
        scipy.special.erfi(x)


@pytest.fixture
def without_scipy(monkeypatch):
    """As if SciPy were not installed, and none of its functions had been called yet."""
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    lazy = [op.forward for op in OURS.values() if isinstance(getattr(op, "forward", None), Lazy)]
    for function in lazy:
        monkeypatch.setattr(function, "found", None)
    return lazy


def test_without_scipy_its_functions_say_what_to_install(without_scipy):
    assert len(without_scipy) > 20
    words = r"computed by scipy\.special, and SciPy is not installed: pip install 'tinygrad-edu\[science\]'"
    x = tg.Tensor([0.5], requires_grad=True)
    with pytest.raises(MissingError, match=f"erf is {words}"):
        tg.erf(x)
    with pytest.raises(MissingError, match=f"erf is {words}"):
        x.erf()
    with pytest.raises(MissingError, match=f"jv is {words}"):
        tg.jv(1, 2.0)
    with pytest.raises(MissingError, match=f"ndtr is {words}"):
        tg.gelu(x)


def test_without_scipy_the_activations_work(without_scipy):
    x = tg.Tensor([0.5, -0.5], requires_grad=True)
    for name in set(ACTIVATIONS) - {"gelu"}:
        getattr(tg, name)(x).sum().backward()
    tg.gelu(x, approximate="tanh").sum().backward()
    tg.softmax_cross_entropy(x, 0).backward()
