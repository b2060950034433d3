"""Complex numbers: gradients in PyTorch's convention, ∂L/∂x + i ∂L/∂y, through holomorphic and other functions, to any order."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, GradientMismatchError, GraphError, NumericalError
from tinygrad_edu.testing import assert_gradients, numerical_gradient

Z = np.array([1 + 2j, -0.5 + 0.3j, 2 - 1j])


def gradient(f, z, g=None):
    z = tg.Tensor(z, requires_grad=True)
    f(z).backward(g)
    assert z.grad.dtype == z.dtype
    return z.grad.data


# ---------------------------------------------------------------------------------------------------------- convention


def test_a_step_against_the_gradient_goes_downhill():
    np.testing.assert_allclose(gradient(lambda z: (z * z.conj()).real.sum(), Z), 2 * Z)
    np.testing.assert_allclose(gradient(lambda z: (tg.abs(z) ** 2).sum(), Z), 2 * Z)
    np.testing.assert_allclose(gradient(lambda z: (z.real**2 + z.imag**2).sum(), Z), 2 * Z)


def test_real_and_imaginary_part_angle_and_absolute_value():
    np.testing.assert_array_equal(gradient(lambda z: z.real.sum(), Z), [1, 1, 1])
    np.testing.assert_array_equal(gradient(lambda z: z.imag.sum(), Z), [1j, 1j, 1j])
    np.testing.assert_allclose(gradient(lambda z: tg.angle(z).sum(), Z), 1j * Z / np.abs(Z) ** 2)
    np.testing.assert_allclose(gradient(lambda z: tg.angle(z, deg=True).sum(), Z), 180 / np.pi * 1j * Z / np.abs(Z) ** 2)
    np.testing.assert_allclose(gradient(lambda z: tg.abs(z).sum(), Z), Z / np.abs(Z))


def test_where_they_are_not_smooth_the_gradient_is_0():
    zero = np.zeros(2, complex)
    for f in (tg.abs, tg.angle):
        np.testing.assert_array_equal(gradient(lambda z, f=f: f(z).sum(), zero), zero)


def test_a_holomorphic_function_turns_and_stretches_by_its_conjugated_derivative():
    for f, derivative in [(lambda z: z**3, 3 * Z**2), (lambda z: 1 / z, -1 / Z**2), (lambda z: (2 - 1j) * z, 2 - 1j + 0 * Z)]:
        g = np.array([1.0, 1j, 2 - 1j])
        np.testing.assert_allclose(gradient(f, Z, g), g * np.conj(derivative))


def test_the_gradient_of_a_complex_result_weights_real_and_imaginary_part():
    np.testing.assert_allclose(gradient(lambda z: z**2, Z, np.ones(3)), gradient(lambda z: (z**2).real.sum(), Z))
    np.testing.assert_allclose(gradient(lambda z: z**2, Z, np.full(3, 1j)), gradient(lambda z: (z**2).imag.sum(), Z))
    z = tg.Tensor(2 + 1j, requires_grad=True)
    with pytest.raises(GraphError, match=r"backward\(\) from a complex number.*y\.real"):
        (z * z).backward()
    (z * z).real.backward()
    assert z.grad.item() == 4 - 2j
    with pytest.raises(GraphError, match=r"the gradient has shape \(1,\) and dtype complex128, the tensor \(1,\) and float64"):
        tg.abs(tg.Tensor([1j], requires_grad=True)).backward([1j])


def test_matrix_products_need_no_conjugation():
    a, b = Z.reshape(1, 3), np.outer(Z, Z[:2]).conj()
    g = np.array([[1 - 1j, 2j]])
    x, y = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
    (x @ y).backward(g)
    np.testing.assert_allclose(x.grad.data, g @ b.conj().T)
    np.testing.assert_allclose(y.grad.data, a.conj().T @ g)


# --------------------------------------------------------------------------------------------- real and complex together


def test_a_real_parameter_of_a_complex_computation_has_a_real_gradient():
    # |exp(iωt) − s|² = 2 − 2 cos(ωt − θ) for s = exp(iθ)
    t, theta = np.array([0.0, 0.5, 2.0]), np.array([0.3, -1.0, 0.7])
    omega = tg.Tensor(1.3, requires_grad=True)
    error = tg.exp(1j * omega * t) - np.exp(1j * theta)
    (error * error.conj()).real.sum().backward()
    assert omega.grad.dtype == np.float64
    np.testing.assert_allclose(omega.grad.item(), np.sum(2 * t * np.sin(1.3 * t - theta)))


def test_real_and_complex_operands_get_gradients_of_their_own_kind():
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    z = tg.Tensor(Z, requires_grad=True)
    w = tg.to_complex(x, 2.0) * z
    w.backward(np.array([1j, 1.0, 1 - 1j]))
    np.testing.assert_allclose(x.grad.data, np.real(np.array([1j, 1.0, 1 - 1j]) * Z.conj()))
    np.testing.assert_allclose(z.grad.data, np.array([1j, 1.0, 1 - 1j]) * (x.data - 2j))
    assert_gradients(lambda x, z: (x * z).imag * x + tg.abs(z), x.data, Z)


def test_a_broadcast_real_operand_sums_real_parts():
    scale = tg.Tensor(2.0, requires_grad=True)
    (scale * tg.Tensor(Z)).backward(np.array([1, 1j, 1 + 1j]))
    np.testing.assert_allclose(scale.grad.item(), np.sum(np.real(np.array([1, 1j, 1 + 1j]) * Z.conj())))


def test_single_precision_stays():
    z = tg.Tensor(Z, requires_grad=True, dtype=np.complex64)
    x = tg.Tensor([1, 2, 3], requires_grad=True, dtype=np.float32)
    y = tg.abs(z * x + 1j * x) + tg.angle(z) + (2 * z.conj()).imag + tg.to_complex(x, 1).real
    assert y.dtype == np.float32
    y.sum().backward(create_graph=True)
    assert (z.grad.dtype, x.grad.dtype) == (np.complex64, np.float32)


# ------------------------------------------------------------------------------------------------- building, and taking apart


def test_complex_numbers_are_built_and_taken_apart():
    z = tg.Tensor(Z, requires_grad=True)
    for there_and_back in (
        lambda z: tg.to_complex(z.real, z.imag),
        lambda z: tg.polar(tg.abs(z), tg.angle(z)),
        lambda z: z.conj().conj(),
        lambda z: np.real(z) + 1j * np.imag(z),
        lambda z: tg.abs(z) * np.exp(1j * np.angle(z)),
    ):
        z.grad = None
        y = there_and_back(z)
        np.testing.assert_allclose(y.data, Z)
        y.backward(Z[::-1])
        np.testing.assert_allclose(z.grad.data, Z[::-1])


def test_to_complex_keeps_infinities_and_takes_real_parts_only():
    assert tg.to_complex(tg.Tensor(1.0), tg.Tensor(np.inf)).item() == complex(1, np.inf)
    assert tg.to_complex(1.0, tg.Tensor([1, 2], dtype=np.float32)).dtype == np.complex64
    assert tg.to_complex(1, 2) == 1 + 2j
    with pytest.raises(DTypeError, match="to_complex .* two arrays of real ones, and one is complex"):
        tg.to_complex(tg.Tensor(1j), 1.0)


def test_kinds_of_numbers_are_constants():
    z = tg.Tensor([1 + 1j, 2], requires_grad=True)
    assert np.iscomplex(z).tolist() == tg.iscomplex(z).tolist() == [True, False]
    assert np.isreal(z).tolist() == [False, True]
    assert np.iscomplexobj(z) is True
    assert np.isrealobj(z) is False


def test_imaginary_parts_that_are_rounding_are_dropped_with_their_gradient():
    for off, kept in ((1e-15, False), (1e-3, True)):
        z = tg.Tensor([1 + off * 1j, 2.0], requires_grad=True)
        y = np.real_if_close(z)
        assert (y.dtype == np.complex128) is kept
        (y * (1 + 1j * kept)).real.sum().backward()
        assert z.grad.tolist() == [1 - 1j * kept] * 2
    assert np.real_if_close(tg.Tensor([1 + 1e-3j]), tol=0.01).dtype == float


def test_a_cast_to_real_numbers_takes_the_real_part_s_gradient():
    z = tg.Tensor([1 + 2j], requires_grad=True)
    with pytest.warns(np.exceptions.ComplexWarning):
        y = z.astype(float)
    y.backward([3.0])
    assert z.grad.tolist() == [3]
    x = tg.Tensor([1.0], requires_grad=True)
    x.astype(complex).backward([3 + 4j])
    assert x.grad.tolist() == [3]


# ------------------------------------------------------------------------------------------------------- higher orders


def test_second_derivatives_of_the_square_of_the_absolute_value_also_at_0():
    for square in (lambda z: (z * z.conj()).real, lambda z: z.real**2 + z.imag**2, tg.ops.complex.magnitude):
        for point in (0j, 1 - 2j):
            assert_gradients(square, [point], order=2)
            z = tg.Tensor(point, requires_grad=True)
            square(z).backward(create_graph=True)
            first, z.grad = z.grad, None
            first.backward(1j)  # the second derivative along i
            assert z.grad.item() == 2j


@pytest.mark.parametrize(
    "f",
    [
        lambda z: z**3 / (1 + z),
        lambda z: tg.abs(z) * z.conj(),
        lambda z: tg.angle(z) * z.real,
        lambda z: (z @ z.conj()).real * z.imag,
        lambda z: tg.exp(1j * tg.abs(z)),
    ],
)
def test_all_orders_agree_with_the_numerical_ones(f):
    assert assert_gradients(f, Z, order=3).compared == 10


def test_grad_of_grad_takes_complex_arguments():
    f = tg.grad(lambda z: (z**3).real)
    assert f(1 + 1j).item() == pytest.approx(3 * np.conj((1 + 1j) ** 2))
    second = tg.grad(lambda z: f(z).real)(1 + 1j).item()  # of Re 3 z̄² = 3 (x² − y²)
    assert second == pytest.approx(6 - 6j)


# ----------------------------------------------------------------------------------------------- signals: spectral losses


def test_a_spectral_loss_agrees_with_the_numerical_gradient():
    rng = np.random.default_rng(1)
    target = np.abs(np.fft.rfft(rng.standard_normal((2, 9))))

    def loss(x):
        spectrum = np.fft.rfft(x)
        return ((np.abs(spectrum) - target) ** 2).mean() + 0.1 * np.sum(np.angle(spectrum[:, 1:]))

    x = rng.standard_normal((2, 9))
    np.testing.assert_allclose(tg.grad(loss)(x).data, numerical_gradient(loss, x), rtol=1e-6, atol=1e-7)
    assert_gradients(lambda x: np.abs(np.fft.rfft(x)) ** 2, x[0, :4])


# --------------------------------------------------------------------------------------------- mistakes that are found


def wrong(rule):
    @tg.primitive(elementwise=True)
    def operation(z, /):
        return z * np.conj(z) * z

    operation.vjp(z=rule)
    return operation


def right_rule(g, z):  # of z̄ z²: 2 |z|² g, and the part that z̄ brings
    return 2 * g * z * z.conj() + (g * z * z).conj()


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, z: 2 * g * z * z.conj() + g * z * z,  # a conjugation is missing
        lambda g, z: 2 * g * z * z.conj() - (g * z * z).conj(),  # a sign
        lambda g, z: 2 * g * z * z.conj(),  # as if it were holomorphic
        lambda g, z: right_rule(g, z).conj(),
        lambda g, z: right_rule(g, z).real,
    ],
)
def test_planted_mistakes_are_found(rule):
    assert_gradients(wrong(right_rule), Z)
    with pytest.raises(GradientMismatchError, match="order 1"):
        assert_gradients(wrong(rule), Z)


def test_the_checker_names_a_complex_difference():
    with pytest.raises(GradientMismatchError, match=r"worst at \(\d,\): analytic .*j, numerical .*j, ratio"):
        assert_gradients(wrong(lambda g, z: right_rule(g, z).conj()), Z)
    with pytest.raises(NumericalError, match="complex128"):
        numerical_gradient(lambda z: tg.abs(z).sum(), Z)
