"""Numerical derivatives and the gradient checker: the study notes' mistakes made impossible, and no false alarm."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import NumericalError
from tinygrad_edu.testing import check_gradients, numerical_diff, numerical_gradient


def squares(x):
    return (x**2).sum()


@pytest.mark.parametrize("shape", [(), (2,), (3, 1), (2, 3), (2, 1, 2), (0,), (2, 0)])
def test_every_element_of_every_shape_is_differentiated(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(numerical_gradient(squares, x), 2 * x, atol=1e-9)


def test_integers_are_refused_and_float32_is_exact_enough():
    with pytest.raises(NumericalError, match=r"int64.*rounded away.*decimal point.*astype\(float\)"):
        numerical_gradient(squares, np.array([3, 4]))
    np.testing.assert_allclose(numerical_gradient(squares, np.array([3, 4], np.float32)), [6, 8], rtol=1e-7)
    computed_in_float32 = lambda x: squares(x.astype(np.float32))
    np.testing.assert_allclose(numerical_gradient(computed_in_float32, np.array([3.0, 4.0])), [6, 8], rtol=1e-3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_input_is_bitwise_the_same_whatever_f_does(order):
    x = np.array([[0.1, -0.0], [3.0, 1e-300]], order=order)
    before = x.tobytes("A")

    def destructive(v):
        v *= 7
        return v.sum()

    def failing(v):
        v[0] = 9
        raise KeyError

    np.testing.assert_allclose(numerical_gradient(destructive, x), 7)
    with pytest.raises(KeyError):
        numerical_gradient(failing, x)
    assert x.tobytes("A") == before


def test_a_function_that_ignores_its_argument_is_reported():
    w = np.ones(3)
    with pytest.raises(NumericalError, match="never uses its argument 'w'"):
        numerical_gradient(lambda w: 3.0, w)
    hidden = lambda v: (lambda _: 3.0)(v)
    with pytest.warns(UserWarning, match="same number wherever it was asked"):
        assert not numerical_gradient(hidden, w).any()


def test_a_step_function_has_derivative_0_without_a_warning():
    np.testing.assert_array_equal(numerical_gradient(lambda v: (v > 0).sum(), np.array([-1.0, 2.0])), [0, 0])


def test_the_derivative_of_a_vector_is_refused():
    with pytest.raises(NumericalError, match=r"one number, and x has shape \(2,\).*numerical_gradient"):
        numerical_diff(lambda x: (x**2).sum(), np.array([3.0, 4.0]))
    with pytest.raises(NumericalError, match=r"one real number, and it returned shape \(2,\); sum"):
        numerical_gradient(lambda x: x, np.ones(2))


def test_the_step_is_the_one_that_was_asked_for():
    seen = []
    numerical_gradient(lambda x: seen.append(x[0]) or x.sum(), np.array([2.0]), h=0.25)
    assert seen == [2.25, 1.75]
    with pytest.raises(NumericalError, match="positive number"):
        numerical_gradient(squares, np.ones(2), h=0)


def test_tensors_are_handed_on_as_tensors():
    x = tg.Tensor([3.0, 4.0], requires_grad=True)
    np.testing.assert_allclose(numerical_gradient(lambda v: v.sigmoid().sum(), x), tg.grad(lambda v: v.sigmoid().sum())(x).numpy())


# ------------------------------------------------------------------------------------------------------------ the checker


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: x + 1e8, 1.0),
        (tg.log, [0.01]),
        (lambda x: 1 / x, [0.02, -0.02]),
        (tg.relu, [5e-4, -5e-4]),
        (lambda x: x**2, [1e6, 1e-6, 0.0]),
        (lambda x: 1e8 * tg.sin(x), [0.3]),
        (tg.exp, [20.0, -20.0]),
        (lambda x: x * np.float32(3), np.ones(2, np.float32)),
        (tg.sigmoid, np.array([0.5, -1], np.float16)),
    ],
)
def test_correct_gradients_raise_no_alarm(f, x):
    report = check_gradients(f, x)
    assert report.counts["match"] == report.compared
    assert report.largest[0] > 1e-13


def test_what_rounding_hides_is_counted():
    assert check_gradients(lambda x: 1e-9 * x + 1e8, [1.0], order=1).inconclusive == 1
    assert check_gradients(lambda x: x * x, [1.0]).inconclusive == 0


def test_a_result_without_a_derivative_is_refused():
    with pytest.raises(NumericalError, match="one Tensor of floats or complex numbers, and it returned a Tensor of bool"):
        check_gradients(lambda x: x > 0, [1.0, 2.0])
    with pytest.raises(NumericalError, match="it returned float"):
        check_gradients(lambda x: float(x.sum()), [1.0, 2.0])
    with pytest.raises(NumericalError, match="nothing to differentiate"):
        check_gradients(lambda x: x, [1, 2])


def test_an_undefined_point_is_called_that():
    with np.errstate(invalid="ignore"):
        report = check_gradients(tg.log, [-1.0], order=1, modes=("vjp",))
    assert report.counts["inconclusive"] == 1
    assert "f is not finite at this point" in str(report)


def test_the_report_says_what_was_compared():
    report = check_gradients(lambda x, w: x @ w, np.ones((2, 3)), np.ones((3, 2)), order=3)
    assert report.compared == report.counts["match"] == 37
    assert report.largest[2] == pytest.approx(0, abs=1e-6)  # bilinear: the third derivative is zero
    assert "37 match" in str(report)
