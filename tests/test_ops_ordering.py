"""Sorting and its like: ties, nan, complex numbers, and what NumPy returns beside the values."""

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(0)


def leaf(values, dtype=float):
    return tg.Tensor(values, requires_grad=True, dtype=dtype)


def test_ties_keep_their_order_and_so_do_their_gradients():
    x = leaf([2.0, 1.0, 2.0, 1.0])
    for kind in (None, "quicksort", "heapsort", "stable"):
        x.grad = None
        y = tg.sort(x, kind=kind)
        assert y.tolist() == [1, 1, 2, 2]
        y.backward([1.0, 2.0, 3.0, 4.0])
        assert x.grad.tolist() == [3, 1, 4, 2]


def test_nan_and_complex_numbers_are_sorted_as_numpy_does():
    x = leaf([np.nan, 2.0, -np.inf, 1.0])
    y = tg.sort(x)
    np.testing.assert_array_equal(y.data, [-np.inf, 1, 2, np.nan])
    y.backward([1.0, 2.0, 3.0, 4.0])
    assert x.grad.tolist() == [4, 3, 1, 2]
    z = leaf([1 + 2j, 1 - 1j, 0.5 + 9j], complex)
    y = tg.sort(z)
    np.testing.assert_array_equal(y.data, np.sort(z.data))
    y.backward([1.0, 2.0, 3.0])
    assert z.grad.tolist() == [3, 2, 1]


@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("kth", [0, 2, -1, (1, 3)])
def test_a_partition_has_the_kth_in_place(axis, kth):
    array = RNG.permutation(36.0 * np.arange(36) % 31).reshape(6, 6)
    x = leaf(array)
    y = np.partition(x, kth, axis=axis)
    g = RNG.standard_normal(y.shape)
    y.backward(g)
    np.testing.assert_allclose((x.grad.data * array).sum(), (g * y.data).sum())
    rows = [y.data] if axis is None else np.moveaxis(y.data, axis, -1)
    for row, whole in zip(
        rows, [np.sort(array, None)] if axis is None else np.moveaxis(np.sort(array, axis), axis, -1), strict=True
    ):
        for k in np.atleast_1d(kth):
            assert row[k] == whole[k]
            assert (row[:k] <= row[k]).all() if k > 0 else True
            assert (row[k:] >= row[k]).all() if k >= 0 else True
        np.testing.assert_array_equal(np.sort(row), whole)


def test_unique_has_numpys_results_and_the_first_of_equal_elements_has_the_gradient():
    array = np.array([3.0, 1.0, 3.0, np.nan, 2.0, np.nan, 1.0])
    x = leaf(array)
    expected = np.unique(array, return_index=True, return_inverse=True, return_counts=True)
    found = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, tg.Tensor)
        np.testing.assert_array_equal(ours.data, theirs)
    found[0].backward([1.0, 2.0, 3.0, 4.0])
    assert x.grad.tolist() == [3, 1, 0, 4, 2, 0, 0]
    assert np.unique(x, equal_nan=False).shape == (5,)
    values, counts = tg.unique(array, return_counts=True)
    assert type(values) is type(counts) is np.ndarray
    table = RNG.integers(0, 2, (6, 2)).astype(float)
    np.testing.assert_array_equal(tg.unique(leaf(table), axis=0).data, np.unique(table, axis=0))


def test_the_largest_come_in_order_and_equal_ones_as_they_stand():
    x = leaf([1.0, 5.0, 5.0, 3.0, 5.0])
    values, indices = tg.top_k(x, 3)
    assert (values.tolist(), indices.tolist()) == ([5, 5, 5], [1, 2, 4])
    assert tg.top_k(x, 2).indices.tolist() == [1, 2]
    assert x.top_k(2, largest=False).values.tolist() == [1, 3]
    values.backward([1.0, 2.0, 3.0])
    assert x.grad.tolist() == [0, 1, 2, 0, 3]
    assert tg.top_k(np.array([3, 250, 7], np.uint8), 1).values.tolist() == [250]
    assert tg.top_k([1.0, np.nan], 1).indices.tolist() == [1]


def test_lexsort_is_a_constant():
    order = np.lexsort((leaf([1.0, 0.0, 2.0]), leaf([1.0, 1.0, 0.0])))
    assert order.tolist() == [2, 1, 0]
    assert not order.requires_grad
