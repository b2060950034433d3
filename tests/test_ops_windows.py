"""Sliding windows and their adjoint."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import tinygrad_edu as tg
from tinygrad_edu.errors import MutationError

RNG = np.random.default_rng(0)


def leaf(values, dtype=float):
    return tg.Tensor(values, requires_grad=True, dtype=dtype)


WINDOWS = [
    ((7,), 3, None),
    ((5, 6), (2, 3), None),
    ((2, 3, 6, 5), (3, 2), (2, 3)),
    ((2, 3, 6, 5), (3, 2), (-1, 0)),
    ((4, 5), (2, 2), (1, 1)),
    ((4, 5), 4, 0),
    ((3, 4), (1, 4), (0, 1)),
    ((3, 4), 0, 1),
    ((0, 4), 2, 1),
    ((), (), None),
]


@pytest.mark.parametrize(("shape", "window", "axis"), WINDOWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_windows_and_overlapping_sums_are_adjoint(shape, window, axis, dtype):
    x = RNG.standard_normal(shape).astype(dtype)
    windows = tg.sliding_window_view(x, window, axis)
    np.testing.assert_array_equal(windows, sliding_window_view(x, window, axis))
    g = np.asarray(RNG.standard_normal(windows.shape)).astype(dtype)
    back = tg.overlap_add(g, shape, axis)
    assert back.dtype == dtype
    assert back.shape == shape
    np.testing.assert_allclose((windows * g).sum(), (x * back).sum(), rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-5)


def test_overlapping_sums_do_not_depend_on_the_block_size(monkeypatch):
    g = RNG.standard_normal((5, 2, 4, 3, 2, 3))
    whole = tg.overlap_add(g, (5, 2, 5, 5), (2, 3))
    for size in (1, 2 * g[0].nbytes, 3 * g[0].nbytes + 1):
        monkeypatch.setattr("tinygrad_edu.ops.windows.BLOCK", size)
        np.testing.assert_array_equal(tg.overlap_add(g, (5, 2, 5, 5), (2, 3)), whole)


def test_windows_make_a_strided_and_dilated_convolution_with_its_gradients():
    def convolution(x, w, stride=2, dilation=2):
        span = (w.shape[0] - 1) * dilation + 1
        windows = tg.sliding_window_view(x, span, 1)[:, ::stride, ::dilation]
        return windows @ w

    x, w = RNG.standard_normal((2, 9)), RNG.standard_normal(3)
    expected = [[sum(row[i + 2 * k] * w[k] for k in range(3)) for i in range(0, 5, 2)] for row in x]
    np.testing.assert_allclose(convolution(x, w), expected)
    tg.testing.assert_gradients(convolution, x, w, order=2)


def test_a_change_of_the_array_behind_a_window_is_noticed():
    x = leaf([1.0, 2.0, 3.0])
    y = tg.sliding_window_view(x, 2)
    loss = (y * y).sum()
    with tg.no_grad():
        x[0] = 100.0
    with pytest.raises(MutationError, match="changed in place after multiply"):
        loss.backward()
