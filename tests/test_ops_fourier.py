"""Fourier transforms: that each derivative is the transposed transform, conventions of the real ones, precision, and errors."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.testing import assert_gradients

RNG = np.random.default_rng(0)
PAIRS = [("fft", "ifft"), ("rfft", "irfft"), ("ihfft", "hfft")]


def matrix(transform, n, points):
    """A linear map from real parts and imaginary parts to real parts and imaginary parts, as a matrix."""
    columns = [transform(unit * row) for unit in points for row in np.eye(n)]
    return np.array([np.concatenate([np.real(c), np.imag(c)]) for c in columns]).T


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [None, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_the_derivative_is_the_transpose_as_a_real_matrix(name, n, norm):
    points = (1,) if name in ("rfft", "ihfft") else (1, 1j)
    length = 4
    full = matrix(lambda x: getattr(np.fft, name)(x, n, norm=norm), length, points)
    x = tg.Tensor(np.zeros(length) * points[-1], requires_grad=True)
    y = getattr(tg, name)(x, n, norm=norm)
    for i, row in enumerate(np.eye(2 * y.size if y.dtype.kind == "c" else y.size)):
        x.grad = None
        g = row[: y.size] + 1j * row[y.size :] if y.dtype.kind == "c" else row
        y.backward(g, retain_graph=True)
        found = np.concatenate([np.real(x.grad.data), np.imag(x.grad.data)])[: len(points) * length]
        np.testing.assert_allclose(found, full[i], atol=1e-15)


@pytest.mark.parametrize("n", [5, 6])
@pytest.mark.parametrize(("forward", "inverse"), PAIRS)
def test_there_and_back_is_the_identity_and_so_is_its_derivative(forward, inverse, n):
    x = tg.Tensor(RNG.standard_normal(n), requires_grad=True)
    y = getattr(np.fft, inverse)(getattr(np.fft, forward)(x), n)
    g = RNG.standard_normal(n)
    np.testing.assert_allclose(y.data, x.data, atol=1e-15)
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, g, atol=1e-15)


def test_parseval():
    x = tg.Tensor(RNG.standard_normal((3, 5)), requires_grad=True)
    energy = (tg.abs(tg.fftn(x, norm="ortho")) ** 2).sum()
    energy.backward()
    np.testing.assert_allclose(energy.item(), np.sum(x.data**2))
    np.testing.assert_allclose(x.grad.data, 2 * x.data)


def test_a_convolution_by_transforms_has_the_gradient_of_the_convolution():
    def by_fft(a, b):
        return tg.irfft(tg.rfft(a, 8) * tg.rfft(b, 8), 8)[:7]

    a, b, g = RNG.standard_normal(5), RNG.standard_normal(3), RNG.standard_normal(7)
    x, w = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
    y = by_fft(x, w)
    np.testing.assert_allclose(y.data, np.convolve(a, b))
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, np.correlate(g, b, "valid"))
    np.testing.assert_allclose(w.grad.data, np.correlate(g, a, "valid"))
    assert_gradients(by_fft, a, b, order=3)


@pytest.mark.parametrize("inverse", [tg.irfft, tg.hfft])
def test_an_imaginary_part_that_a_real_result_ignores_has_gradient_0(inverse):
    for n, ignored in [(4, [0, 2]), (5, [0])]:
        x = tg.Tensor(np.array([1j, 2j, 3j]), requires_grad=True)
        y = inverse(x, n)
        (y * np.arange(1.0, n + 1)).sum().backward()
        assert [k for k in range(3) if x.grad.data[k].imag == 0] == ignored


def test_numbers_are_those_of_numpy_bit_by_bit():
    x = RNG.standard_normal((4, 3, 5)).astype(np.float32)
    c = x + 1j * x[::-1]
    for name in ("fft", "ifft", "rfft", "ihfft", "fft2", "ifft2", "rfft2", "fftn", "ifftn"):  # rfftn: NumPy 2.0 has another order
        np.testing.assert_array_equal(getattr(tg, name)(tg.Tensor(x)).data, getattr(np.fft, name)(x))
    for name in ("fft", "ifft", "irfft", "hfft", "fft2", "ifft2", "irfft2", "fftn", "ifftn", "irfftn"):
        np.testing.assert_array_equal(getattr(tg, name)(tg.Tensor(c)).data, getattr(np.fft, name)(c))


@pytest.mark.parametrize("precision", ["f2", "f4", "f8"])
@pytest.mark.parametrize("name", ["fft", "rfft", "ihfft", "irfft", "hfft"])
def test_precision_is_kept_forward_and_backward(name, precision):
    x = tg.Tensor([1, 2, 3, 4], requires_grad=True, dtype=precision)
    y = getattr(tg, name)(x)
    assert y.dtype == getattr(np.fft, name)(x.data).dtype
    tg.sum(tg.abs(y)).backward()
    assert x.grad.dtype == x.dtype


def test_several_axes_are_one_after_the_other():
    y = tg.rfftn(tg.Tensor(np.zeros((2, 3, 4)), requires_grad=True), s=(2, 5), axes=(0, -1))
    assert [node.op.name for node in tg.graph.topological_order(y._node)] == ["fft", "rfft"]
    assert y.shape == (2, 3, 3)


def test_errors_say_what_does_not_fit():
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(DTypeError, match=r"(?s)rfft: .*a \(2, 3\) complex128.*fft and ifft take complex ones"):
        tg.rfft(x * 1j)
    with pytest.raises(ShapeError, match=r"(?s)fft: Invalid number of FFT data points \(0\).*n=0"):
        tg.fft(x, 0)
    with pytest.raises(ShapeError, match=r'(?s)fft: .*should be "backward", *"ortho" or "forward"'):
        tg.fft(x, norm="both")
    with pytest.raises(ArgumentError, match=r"fftn: s and axes .*one of each for a transform; got \(3,\) and \(0, 1\)"):
        tg.fftn(x, (3,), (0, 1))
    with pytest.raises(ArgumentError, match=r"ifftn: axes \(-2, -1\) of an array with 1 axes"):
        tg.ifft2(x[0])
    with pytest.raises(DTypeError, match="no out= for it"):
        np.fft.fft(x, out=np.zeros((2, 3), complex))
