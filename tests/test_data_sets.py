"""Data sets, splits, prefetching, positions in an epoch, and the toy sets."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import data
from tinygrad_edu.data import DataLoader, TensorDataset, random_split
from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError


def numbers(loader) -> list[list[int]]:
    return [batch.tolist() for (batch,) in loader]


# ------------------------------------------------------------------------------------------------------------- data sets


def test_a_data_set_has_a_length_and_items():
    dataset = TensorDataset(np.arange(6.0).reshape(3, 2), [0, 1, 2])
    x, t = dataset[1]
    assert (x.tolist(), t.item(), len(dataset)) == ([2, 3], 1, 3)
    assert dataset[[2, 0]][1].tolist() == [2, 0]
    assert repr(dataset) == "TensorDataset(3 examples)"
    dataset[0][0].data[:] = 9
    assert dataset.arrays[0][0].tolist() == [0, 1]  # an item is a copy
    with pytest.raises(ShapeError, match="TensorDataset: the arrays have 3 and 2 entries"):
        TensorDataset(np.zeros(3), np.zeros(2))


class Squares:
    """What a user writes: nothing but a length and items."""

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return float(i), i * i


class Ragged(Squares):
    def __getitem__(self, i):
        return (np.zeros(i + 1),)


def test_a_loader_takes_any_data_set():
    assert [(x.tolist(), t.tolist()) for x, t in DataLoader(Squares(), 3)] == [([0, 1, 2], [0, 1, 4]), ([3, 4], [9, 16])]
    with pytest.raises(ShapeError, match=r"have shapes \(1,\) and \(2,\) and cannot be stacked: pad them to one length"):
        next(iter(DataLoader(Ragged(), 2)))


@given(st.integers(1, 60), st.lists(st.integers(0, 20), min_size=1, max_size=4), st.integers(0, 5))
def test_a_split_has_each_example_once(count, weights, seed):
    rest = count - sum(weights)
    lengths = [*weights, rest] if rest >= 0 else [count]
    parts = random_split((np.arange(count),), lengths, seed)
    assert [len(part) for part in parts] == lengths
    assert sorted(int(i) for part in parts for i in part.indices) == list(range(count))
    again = random_split((np.arange(count),), lengths, seed)
    assert [part.indices.tolist() for part in parts] == [part.indices.tolist() for part in again]


def test_a_split_by_shares():
    parts = random_split((np.arange(11),), [0.5, 0.3, 0.2])
    assert [len(part) for part in parts] == [6, 3, 2]
    assert [i for batch in numbers(DataLoader(parts[1], 2)) for i in batch] == parts[1].indices.tolist()
    nested = random_split(parts[0], [2, 4])
    assert set(nested[0][:][0].tolist()) < set(parts[0].indices.tolist())
    assert repr(nested[0]) == "Subset(2 of 6 examples)"


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5, 4], r"lengths \[5, 4\] sum to 9, and there are 10 examples"),
        ([0.5, 0.4], r"lengths \[0.5, 0.4\] sum to 0.9, and there are 10"),
        ([-1, 11], r"a part has at least 0 examples, got \[-1, 11\]"),
    ],
)
def test_lengths_that_do_not_add_up(lengths, message):
    with pytest.raises(ArgumentError, match=message):
        random_split((np.arange(10),), lengths)


def test_what_is_no_data_set():
    with pytest.raises(DTypeError, match="got a int; a data set of your own has a length and items"):
        DataLoader(3)
    with pytest.raises(ShapeError, match=r"Subset\(0 of 3 examples\) holds no examples"):
        DataLoader(random_split((np.arange(3),), [3, 0])[1])


# ----------------------------------------------------------------------------------------------------------- prefetching


@pytest.mark.parametrize("prefetch", [1, 2, 100])
def test_prefetched_batches_are_the_same(prefetch):
    plain, ahead = (DataLoader((np.arange(23),), 4, shuffle=True, seed=1, prefetch=p) for p in (0, prefetch))
    for _ in range(2):
        assert numbers(ahead) == numbers(plain)


class Counting(Squares):
    def __init__(self):
        self.taken = 0

    def take(self, numbers):
        self.taken += 1
        return (tg.Tensor(numbers),)


def test_prefetching_runs_ahead_but_not_further():
    dataset = Counting()
    batches = iter(DataLoader(dataset, 1, prefetch=2))
    next(batches)
    deadline = time.monotonic() + 5
    while dataset.taken < 4 and time.monotonic() < deadline:  # one handed out, two ready, one in the thread's hands
        time.sleep(0.005)
    time.sleep(0.02)
    assert dataset.taken == 4
    before = threading.active_count()
    batches.close()
    assert threading.active_count() == before - 1  # the thread is gone with its reader


class Broken(Squares):
    def take(self, numbers):
        if 3 in numbers:
            raise OSError("the disk is gone")
        return (tg.Tensor(numbers),)


def test_an_error_in_the_thread_arrives_in_its_place():
    batches = iter(DataLoader(Broken(), 1, prefetch=2))
    assert [next(batches)[0].item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)


# --------------------------------------------------------------------------------------------------- position in an epoch


@pytest.mark.parametrize("prefetch", [0, 3])
@given(st.integers(0, 2), st.integers(0, 6))
def test_a_loader_goes_on_in_the_middle_of_an_epoch(prefetch, epochs, position):
    make = lambda: DataLoader((np.arange(20),), 3, shuffle=True, seed=7, prefetch=prefetch)
    whole = make()
    expected = [numbers(whole) for _ in range(epochs + 2)]
    first, second = make(), make()
    for _ in range(epochs):
        numbers(first)
    batches = iter(first)
    for _ in range(position):
        next(batches)
    second.load_state_dict(first.state_dict())
    batches.close()
    assert numbers(second) == expected[epochs][position:]
    assert numbers(second) == expected[epochs + 1]


def test_a_position_that_does_not_exist():
    loader = DataLoader((np.arange(20),), 3)
    with pytest.raises(ArgumentError, match="the state is at batch 8 of an epoch, and this loader has 7"):
        loader.load_state_dict({**loader.state_dict(), "position": 8})


# -------------------------------------------------------------------------------------------------------------- toy sets


@pytest.mark.parametrize("make", [data.spiral, data.moons, data.xor])
def test_toy_classes(make):
    x, t = make(200)
    assert (x.shape, t.shape, x.dtype, t.dtype) == ((200, 2), (200,), np.float64, np.int64)
    assert np.ptp(np.bincount(t)) <= 1
    np.testing.assert_array_equal(make(200)[0], x)
    assert not np.array_equal(make(200, seed=1)[0], x)
    assert make(9, dtype=np.float32)[0].dtype == np.float32
    assert not np.array_equal(t, np.sort(t))  # mixed


@pytest.mark.parametrize("make", [data.spiral, data.moons, data.xor])
def test_no_straight_line_separates_a_toy_set(make):
    x, t = make(300, noise=0)
    design = np.column_stack([x, np.ones(len(x))])
    by_line = (design @ np.linalg.lstsq(design, np.eye(t.max() + 1)[t], rcond=None)[0]).argmax(axis=1)
    assert (by_line == t).mean() < 0.95
    nearest = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.fill_diagonal(nearest, np.inf)
    nearest[nearest < 1e-12] = np.inf
    assert (t[nearest.argmin(axis=1)] == t).mean() > 0.95 or make is data.xor


def test_sine():
    x, y = data.sine(50, noise=0)
    assert x.shape == y.shape == (50, 1)
    assert (x.min() >= 0) & (x.max() <= 1)
    np.testing.assert_allclose(y, np.sin(2 * np.pi * x), atol=1e-15)
    assert 0.05 < np.std(data.sine(2000, noise=0.1)[1] - np.sin(2 * np.pi * data.sine(2000, noise=0.1)[0])) < 0.15


@pytest.mark.parametrize("make", [data.spiral, data.moons, data.xor, data.sine])
def test_what_toy_sets_refuse(make):
    with pytest.raises(ArgumentError, match="there is at least one example of each class, and noise is at least 0; got count=0"):
        make(0)
    with pytest.raises(ArgumentError, match="noise=-1"):
        make(10, noise=-1)
    with pytest.raises(DTypeError, match="coordinates are floats, and int64 is not a floating dtype"):
        make(10, dtype=int)
