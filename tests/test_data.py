"""The digits that come along, and mini-batches."""

from __future__ import annotations

import hashlib
import importlib.resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.data import DataLoader, load_digits
from tinygrad_edu.errors import DTypeError, ShapeError

# ------------------------------------------------------------------------------------------------------------- digits


@pytest.fixture(scope="module")
def split():
    return load_digits()


def counts(labels) -> list[int]:
    return np.bincount(labels, minlength=10).tolist()


def test_digits_are_the_published_ones(split):
    (x_train, t_train), (x_test, t_test) = split
    x, t = np.concatenate([x_train, x_test]), np.concatenate([t_train, t_test])
    assert x.shape == (1797, 64)
    assert counts(t) == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # A sum that does not depend on the order of the images: of the sorted bytes of each image followed by its label.
    rows = sorted(np.column_stack([x * 16, t]).astype(np.uint8).tolist())
    digest = hashlib.sha256(bytes(np.array(rows, np.uint8))).hexdigest()
    assert digest == "f67d6a29d0e1f70e7f0cd9dcf25816b694881f4b8f27f5cc1db59551f0499fb8"


def test_shapes_dtypes_and_range(split):
    (x_train, t_train), (x_test, t_test) = split
    assert (x_train.shape, t_train.shape, x_test.shape, t_test.shape) == ((1438, 64), (1438,), (359, 64), (359,))
    assert x_train.dtype == x_test.dtype == np.float64
    assert t_train.dtype == t_test.dtype == np.int64
    assert (x_train.min(), x_train.max()) == (0.0, 1.0)
    (x32, _), _ = load_digits(dtype=np.float32)
    assert x32.dtype == np.float32
    np.testing.assert_array_equal(x32, x_train)  # sixteenths are exact


@pytest.mark.parametrize("test_size", [0.1, 0.2, 0.5])
def test_the_split_is_stratified(test_size):
    (_, t_train), (_, t_test) = load_digits(test_size, seed=3)
    for train, test in zip(counts(t_train), counts(t_test), strict=True):
        assert test == round(test_size * (train + test))


def test_the_split_is_seeded(split):
    again, other = load_digits(seed=0), load_digits(seed=1)
    for mine, same, different in zip(split[0] + split[1], again[0] + again[1], other[0] + other[1], strict=True):
        np.testing.assert_array_equal(mine, same)
        assert not np.array_equal(mine, different)
    assert (np.diff(split[0][1]) < 0).any()  # and not sorted by class


@pytest.mark.parametrize("test_size", [0, 1, -0.5, 1.5, 0.001])
def test_a_test_size_that_leaves_a_side_empty(test_size):
    with pytest.raises(ValueError, match=f"test_size is the share of test images, between 0 and 1; {test_size} would make it"):
        load_digits(test_size)


def test_images_are_floats():
    with pytest.raises(DTypeError, match=r"images are floats in \[0, 1\], and int64 is not a floating dtype"):
        load_digits(dtype=int)


def test_the_files_are_small_and_attributed():
    folder = importlib.resources.files("tinygrad_edu.data")
    assert len(folder.joinpath("digits.npz").read_bytes()) <= 100_000
    text = folder.joinpath("DIGITS-LICENSE.md").read_text("utf-8")
    for words in ("Alpaydin", "Kaynak", "1998", "CC BY 4.0", "10.24432/C50P49"):
        assert words in text
    for words in ("Alpaydin", "Kaynak", "CC BY 4.0", "10.24432/C50P49"):
        assert words in load_digits.__doc__


# ------------------------------------------------------------------------------------------------------------- loader


def epoch(loader: DataLoader) -> list[int]:
    return [int(i) for (batch,) in loader for i in batch.data]


@given(st.integers(1, 40), st.integers(1, 45), st.booleans(), st.booleans(), st.integers(0, 9))
def test_an_epoch_has_each_example_once(count, batch_size, shuffle, drop_last, seed):
    if drop_last and batch_size > count:
        return
    loader = DataLoader([np.arange(count)], batch_size, shuffle, seed=seed, drop_last=drop_last)
    sizes = [len(batch) for (batch,) in loader]
    assert len(sizes) == len(loader)
    assert all(size == batch_size for size in sizes[:-1])
    seen = epoch(loader)
    assert len(set(seen)) == len(seen) == sum(sizes)
    assert len(seen) == (count // batch_size * batch_size if drop_last else count)
    if not shuffle:
        assert seen == list(range(len(seen)))


def test_arrays_stay_together():
    x, t = np.random.default_rng(0).random((20, 2, 3)), np.arange(20)
    for batch, labels in DataLoader((x, t), 6, shuffle=True):
        np.testing.assert_array_equal(batch.data, x[labels.data])


def test_orders_are_new_each_epoch_and_reproducible():
    loader, again = (DataLoader([np.arange(50)], 8, shuffle=True, seed=5) for _ in range(2))
    epochs = [epoch(loader) for _ in range(3)]
    assert epochs == [epoch(again) for _ in range(3)]
    assert len({tuple(order) for order in epochs}) == 3
    assert epoch(DataLoader([np.arange(50)], 8, shuffle=True, seed=6)) not in epochs


def test_the_order_is_drawn_when_iteration_begins():
    loader, again = (DataLoader([np.arange(50)], 50, shuffle=True) for _ in range(2))
    first, second = iter(loader), iter(loader)  # read in the other order than begun
    late, early = (next(it)[0].tolist() for it in (second, first))
    assert [epoch(again), epoch(again)] == [early, late]


def test_batches_are_tensors_with_the_arrays_dtypes():
    x, t, mask = np.zeros((3, 2), np.float32), np.zeros(3, np.int64), np.zeros(3, bool)
    batch = next(iter(DataLoader((x, t, mask), 2)))
    assert all(isinstance(tensor, tg.Tensor) and not tensor.requires_grad for tensor in batch)
    assert [tensor.dtype for tensor in batch] == [np.float32, np.int64, np.bool_]
    assert [tensor.shape for tensor in batch] == [(2, 2), (2,), (2,)]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_is_a_copy(shuffle):
    x = np.ones((4, 2))
    ((batch,),) = DataLoader((x,), 4, shuffle)
    batch.data[:] = 7
    assert (x == 1).all()


def test_lists_and_tensors_are_arrays_too():
    assert [(x.item(), t.item()) for x, t in DataLoader([[0.5, 1.5], tg.Tensor([1, 2])])] == [(0.5, 1), (1.5, 2)]


def test_a_list_of_tuples_is_a_list_of_examples():
    batches = list(DataLoader([(0.5, 1), (1.5, 2), (2.5, 0)], batch_size=2))
    assert [[part.tolist() for part in batch] for batch in batches] == [[[0.5, 1.5], [1, 2]], [[2.5], [0]]]
    (images, labels), _ = DataLoader([(np.ones((2, 2)), 1), (np.zeros((2, 2)), 0), (np.ones((2, 2)), 1)], batch_size=2)
    assert (images.shape, labels.tolist()) == ((2, 2, 2), [1, 0])
    assert [len(part) for part in tg.data.random_split([(0.5, 1), (1.5, 2)], [1, 1])] == [1, 1]


def test_repr():
    assert repr(DataLoader((np.zeros(5),), 2)) == "DataLoader(5 examples, 3 batches of 2)"


def test_different_lengths():
    with pytest.raises(ShapeError, match="the arrays have 3 and 2 entries; an example is one entry of each"):
        DataLoader((np.zeros((3, 2)), np.zeros(2)))


def test_no_examples():
    with pytest.raises(ShapeError, match=r"arrays of shape \(0, 2\) and \(0,\) hold no examples"):
        DataLoader((np.zeros((0, 2)), np.zeros(0)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (np.zeros((3, 2)), r"arrays is a tuple of arrays, such as \(x, t\) or \(x,\), got a ndarray"),
        ((), "got an empty one"),
        ((["a", "b"],), "array 0 has dtype <U1, which is not numeric"),
    ],
)
def test_what_is_no_tuple_of_arrays(arrays, message):
    with pytest.raises(DTypeError, match=message):
        DataLoader(arrays)


def test_a_single_number_holds_no_examples():
    with pytest.raises(ShapeError, match="array 1 is a single number; the first axis counts the examples"):
        DataLoader((np.zeros(3), 1.0))


def test_batch_sizes_that_give_no_batch():
    with pytest.raises(ValueError, match="batch_size is at least 1, got 0"):
        DataLoader((np.zeros(3),), 0)
    with pytest.raises(ValueError, match="drop_last leaves no batch of 4 out of 3 examples"):
        DataLoader((np.zeros(3),), 4, drop_last=True)
    with pytest.raises(DTypeError, match="DataLoader: batch_size is a whole number, got 1.5"):
        DataLoader((np.zeros(3),), 1.5)
