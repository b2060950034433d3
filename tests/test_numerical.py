"""Numerical derivatives: their error bars hold, whatever f is and does, and what has no derivative is refused in words."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import NumericalError
from tinygrad_edu.testing import numerical_diff, numerical_gradient, numerical_hessian, numerical_jacobian, numerical_jvp

X = np.array([1.0, 2.0, 3.0])

ALL = {
    "numerical_gradient": numerical_gradient,
    "numerical_jacobian": numerical_jacobian,
    "numerical_hessian": numerical_hessian,
    "numerical_jvp": lambda f, x: numerical_jvp(f, (x,), (np.ones(3),)),
}
everywhere = pytest.mark.parametrize("name", ALL)

# ---------------------------------------------------------------------------------------------------------- error bars

SMOOTH = {
    "sin": (np.sin, np.cos, lambda x: -np.sin(x)),
    "exp": (np.exp, np.exp, np.exp),
    "log": (np.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "square": (lambda x: x**2, lambda x: 2 * x, lambda x: 2 + 0 * x),
    "cube": (lambda x: x**3, lambda x: 3 * x**2, lambda x: 6 * x),
    "cube beside a large number": (lambda x: x**3 + 300, lambda x: 3 * x**2, lambda x: 6 * x),
    "line beside a large number": (lambda x: 3 * x + 300, lambda x: 3 + 0 * x, lambda x: 0 * x),
}
ERRORS = {
    "central": lambda f, x: numerical_gradient(f, x, with_error=True),
    "ridders": lambda f, x: numerical_gradient(f, x, method="ridders", with_error=True),
    "hessian": lambda f, x: numerical_hessian(f, x, with_error=True),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("which", SMOOTH)
@pytest.mark.parametrize("found_by", ERRORS)
def test_the_true_derivative_lies_within_the_error_bar(found_by, which, dtype):
    f, first, second = SMOOTH[which]
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(10):
        x = rng.uniform(0.5, 3, 3).astype(dtype)
        exact = np.diag(second(x.astype(float))) if found_by == "hessian" else first(x.astype(float))
        total = lambda a: f(a.astype(dtype)).sum()
        value, error = ERRORS[found_by](total, x)
        outside += np.count_nonzero(np.abs(value - exact) > error + 1e-15 * np.abs(exact))
        explained = 100 * float(np.finfo(dtype).eps) ** 0.5 * (1 + abs(total(x)) + np.max(np.abs(exact)))
        assert np.max(error) < explained
    assert outside == 0


@pytest.mark.parametrize("hessian", [False, True])
def test_products_of_elements_lie_within_the_error_bar(hessian):
    x = np.random.default_rng(1).uniform(-2, 2, 4)
    f, derivative = lambda a: tg.sin(tg.Tensor(a)).prod(), tg.hessian if hessian else tg.grad
    exact = derivative(lambda a: tg.sin(a).prod())(tg.Tensor(x)).numpy()
    value, error = (numerical_hessian if hessian else numerical_jacobian)(f, x, with_error=True)
    assert np.all(np.abs(value - exact) <= error)
    assert np.max(error) < (1e-8 if hessian else 1e-11)


def test_a_hessian_beside_a_large_number_knows_that_it_is_vague():
    value, error = numerical_hessian(lambda a: (a**3).sum() + 1e6, X, with_error=True)
    assert np.all(np.abs(value - np.diag(6 * X)) <= error)
    assert 1e-7 < np.max(error) < 1e-2


def test_the_book_s_step_beside_large_numbers():
    value, error = numerical_gradient(lambda x: (3 * x).sum() + 1e6, np.array([1.0, 2.0]), with_error=True)
    assert np.all((value != 3) & (np.abs(value - 3) < error) & (error < 1e-4))
    value, error = numerical_gradient(lambda x: (x**2).sum(), 1e13 * X, with_error=True)
    assert not value.any()
    assert np.isposinf(error).all()


def test_the_book_s_derivative_is_the_plain_quotient():
    f = lambda x: np.sin(x).sum()
    expected = [(f(X + h) - f(X - h)) / (2 * 1e-4) for h in 1e-4 * np.eye(3)]
    assert numerical_gradient(f, X, with_error=True)[0].tolist() == numerical_gradient(f, X).tolist() == expected


@pytest.mark.parametrize("f", [np.sin, np.log, np.sqrt])
@pytest.mark.parametrize("at", [0.5, 1234.5, 1e5])
def test_a_large_number_may_have_a_function_that_changes_over_a_length_of_1(f, at):
    point = np.array([at])
    value, error = numerical_jacobian(f, point, with_error=True)
    exact = numerical_jacobian(f, point, method="complex")
    assert abs(value - exact) <= error + 1e-15 * abs(exact)
    assert error < 1e-7
    value, error = numerical_hessian(lambda x: f(x).sum(), point, with_error=True)
    second = {np.sin: -np.sin(at), np.log: -1 / at**2, np.sqrt: -(at**-1.5) / 4}[f]
    assert abs(value - second) <= error < 1e-3


# ------------------------------------------------------------------------------------------------------- complex numbers


def test_complex_values_are_differentiated():
    matrix = np.fft.fft(np.eye(3))
    for method in ("ridders", "central", "forward", "backward"):
        np.testing.assert_allclose(numerical_jacobian(np.fft.fft, X, method=method), matrix, atol=1e-8)
    value, error = numerical_jacobian(lambda a: a * (1 + 2j), X, with_error=True)
    assert error.dtype == float
    assert np.all(np.abs(value - (1 + 2j) * np.eye(3)) <= error + 1e-15)
    np.testing.assert_allclose(numerical_jvp(np.fft.fft, (X,), (X,)), matrix @ X, atol=1e-10)
    np.testing.assert_allclose(numerical_hessian(lambda a: (a**2 * 3j).sum(), X), 6j * np.eye(3), atol=1e-8)
    with pytest.raises(NumericalError, match="numerical_gradient: .*one real number.*complex128.*numerical_jacobian"):
        numerical_gradient(lambda a: (a * 1j).sum(), X)


def test_values_that_turn_complex_are_refused():
    with pytest.raises(NumericalError, match="returned real numbers at first and complex ones at a point nearby.*move x inside"):
        numerical_jacobian(np.emath.sqrt, np.array([0.0]))


def test_a_complex_step_gives_every_digit():
    f = lambda x: (np.exp(x) * x).sum()
    value, error = numerical_gradient(f, X, method="complex", with_error=True)
    exact = np.exp(X) * (1 + X)
    assert np.all(np.abs(value - exact) <= error)
    assert np.all(error < 1e-14 * exact)
    assert numerical_jacobian(lambda x: np.sin(1e8 * x), np.zeros(1), method="complex") == 1e8  # which no rough difference shows
    assert numerical_jacobian(lambda x: (x + 1e8) - 1e8, np.ones(1), method="complex") == 1  # nor this, for rounding


def into_real_numbers(x):
    result = np.zeros(3)
    result[:] = x**2
    return result.sum()


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (np.linalg.norm, "f returns real numbers for complex ones, as np.abs"),
        (lambda x: np.abs(x).sum(), "f returns real numbers for complex ones"),
        (lambda x: float((x**2).sum()), r"f does not take complex numbers \(Casting"),
        (into_real_numbers, r"f does not take complex numbers \(Casting"),
        (lambda x: np.floor(x).sum(), r"f does not take complex numbers \(ufunc 'floor'"),
        (lambda x: (x * np.conj(x)).sum(), "another function than at real ones, as np.conj"),
        (lambda x: x.sum() + (5 if np.iscomplexobj(x) else 0), "another function than at real ones"),
    ],
)
def test_a_complex_step_of_what_drops_imaginary_parts_is_refused(f, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as where it was shown before
        for derivative in (numerical_gradient, numerical_jacobian):
            with pytest.raises(NumericalError, match=f'method="complex" needs an f.*{words}.*use method="ridders"'):
                derivative(f, X, method="complex")


def test_a_complex_step_of_complex_values_is_refused():
    with pytest.raises(NumericalError, match="f returns complex numbers for real ones"):
        numerical_jacobian(np.fft.fft, X, method="complex")


# ------------------------------------------------------------------------------------------------------- what goes in


@everywhere
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X * 1j, r"dtype complex128.*two directions.*real part, lambda a: f\(a \+ 1j"),
        (np.array([1, 2]), r"dtype int64.*rounded away.*astype\(float\)"),
        (np.array([1.0, None]), "an array of object, and only floats can move"),
        (["a", "b"], "an array of <U1, and only floats can move"),
        ("abc", "of type str, and only floats can move"),
        ({"w": X}, "of type dict, and only floats can move.*give one array of floats"),
        (None, "of type NoneType, and only floats can move"),
        ([[1.0, 2.0], [3.0]], "of type list, and its parts do not make one array"),
    ],
)
def test_a_point_that_cannot_move_is_refused(name, x, words):
    with pytest.raises(NumericalError, match=f"^{name}: .*{words}"):
        ALL[name](lambda a: a.sum(), x)


@pytest.mark.parametrize("x", [3j, "a", None, [[1.0], [1.0, 2.0]]])
def test_numerical_diff_refuses_what_is_no_real_number(x):
    with pytest.raises(NumericalError, match="^numerical_diff: x (is of type|has dtype complex128)"):
        numerical_diff(lambda a: a * 2, x)


@pytest.mark.parametrize("h", [0, -1e-4, np.nan, np.inf, "1e-4", None])
def test_a_step_that_is_no_positive_number_is_refused(h):
    with pytest.raises(NumericalError, match="the step h is a positive number, got"):
        numerical_gradient(np.sum, X, h)


@pytest.mark.parametrize("x", [X, np.ones((2, 2)), tg.Tensor(X)])
def test_primals_and_tangents_are_tuples(x):
    with pytest.raises(NumericalError, match=r"primals have type \w+, and should be a tuple.*numerical_jvp\(f, \(x,\), \(v,\)\)"):
        numerical_jvp(np.sin, x, x)
    with pytest.raises(NumericalError, match="tangents have type"):
        numerical_jvp(np.sin, (x,), x)
    assert numerical_jvp(tg.sin, [x], [x]).shape == x.shape


@pytest.mark.parametrize("tangent", [X * 1j, ["a", "b", "c"]])
def test_a_tangent_that_is_not_real_is_refused(tangent):
    with pytest.raises(NumericalError, match="tangent 0 has dtype .*floats move along real numbers only"):
        numerical_jvp(np.sin, (X,), (tangent,))


# ------------------------------------------------------------------------------------------------------- what comes out


def test_a_result_that_f_uses_again_is_copied():
    buffer, number = np.zeros(3), np.zeros(())

    def squares(a):
        buffer[:] = a**2
        return buffer

    def total(a):
        number[...] = (a**2).sum()
        return number

    np.testing.assert_allclose(numerical_jacobian(squares, X), np.diag(2 * X), atol=1e-9)
    np.testing.assert_allclose(numerical_jvp(squares, (X,), (X,)), 2 * X**2, atol=1e-9)
    np.testing.assert_allclose(numerical_gradient(total, X), 2 * X, atol=1e-7)
    np.testing.assert_allclose(numerical_hessian(total, X), 2 * np.eye(3), atol=1e-7)


@everywhere
@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda a: (a.sum(), a), r"f returns a tuple of 2: return the loss alone, f\(x\)\[0\]"),
        (lambda a: (a.sum(), {"aux": a}), r"f returns a tuple of 2: return the loss alone, f\(x\)\[0\]"),
        (lambda a: [a.sum(), None], "f returns a list of 2"),
        (lambda a: print(end=str(a)[:0]), "f returned None; end it with a return"),
        (lambda a: str(a.sum()), "f must return numbers, and it returned str"),
        (lambda a: {"loss": a.sum()}, "f must return numbers, and it returned dict"),
        (lambda a: np.array([a.sum(), None]), "f must return numbers, and it returned an array of object"),
    ],
)
def test_a_result_that_is_no_array_of_numbers_is_refused(name, f, words):
    with pytest.raises(NumericalError, match=f"^{name}: {words}"):
        ALL[name](f, X)


@pytest.mark.parametrize("derivative", [numerical_gradient, numerical_hessian])
def test_two_numbers_in_a_tuple_have_no_gradient(derivative):
    with pytest.raises(NumericalError, match="f returns a tuple of 2: return the loss alone"):
        derivative(lambda a: (a.sum(), a.max()), X)
    np.testing.assert_allclose(numerical_jacobian(lambda a: (a.sum(), a.max()), X), [[1, 1, 1], [0, 0, 1]], atol=1e-9)


def test_a_shape_that_changes_is_refused():
    with pytest.raises(NumericalError, match=r"shape \(2,\) at first and shape \(3,\) at a point nearby.*keep all elements"):
        numerical_jacobian(lambda a: a[a > 1], X)
