"""Rearranging, joining, splitting and indexing: what they promise beyond the generic properties."""

import re

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.ops.indexing import KEYS, SMALL, positions

RNG = np.random.default_rng(0)


def leaf(values, dtype=float):
    return tg.Tensor(values, requires_grad=True, dtype=dtype)


def flat(results):
    return results if isinstance(results, (tuple, list)) else [results]


# -------------------------------------------------------------------------------------------------- spellings, as NumPy's

A, B, V = RNG.standard_normal((2, 4)), RNG.standard_normal((4, 2, 4)), RNG.standard_normal(4)

SPELLINGS = {
    "atleast_1d of several": lambda a, b, v: np.atleast_1d(a, b, v, v[0], 2.0),
    "atleast_2d of several": lambda a, b, v: np.atleast_2d(a, b, v, v[0]),
    "atleast_3d of several": lambda a, b, v: np.atleast_3d(a, b, v, v[0]),
    "atleast_2d": lambda a, b, v: np.atleast_2d(v),
    "atleast_3d": lambda a, b, v: np.atleast_3d(a),
    "permute_dims": lambda a, b, v: np.permute_dims(b, (2, 0, 1)),
    "moveaxis": lambda a, b, v: np.moveaxis(b, [0, 1], [-1, -2]),
    "rollaxis": lambda a, b, v: np.rollaxis(b, 2, 1),
    "roll": lambda a, b, v: np.roll(b, (1, -2), axis=(0, 2)),
    "rot90": lambda a, b, v: np.rot90(b, 3, axes=(2, 0)),
    "flip": lambda a, b, v: np.flip(b, axis=(0, -1)),
    "matrix_transpose": lambda a, b, v: np.linalg.matrix_transpose(b),
    "hsplit": lambda a, b, v: np.hsplit(a, 2),
    "hsplit of a vector": lambda a, b, v: np.hsplit(v, [1, 3]),
    "vsplit": lambda a, b, v: np.vsplit(b, [1]),
    "dsplit": lambda a, b, v: np.dsplit(b, 2),
    "split": lambda a, b, v: np.split(b, [3, 1], axis=-1),
    "array_split": lambda a, b, v: np.array_split(v, 3),
    "unstack": lambda a, b, v: np.unstack(b, axis=1) if hasattr(np, "unstack") else tuple(np.moveaxis(b, 1, 0)),
    "concat": lambda a, b, v: np.concat([v, v[:2]]),
    "concatenate to a dtype": lambda a, b, v: np.concatenate([v, [1, 2]], dtype=np.float32),
    "hstack to a dtype": lambda a, b, v: np.hstack([v, 1.0], dtype=np.float32),
    "vstack": lambda a, b, v: np.vstack((a, v)),
    "dstack": lambda a, b, v: np.dstack([v, v]),
    "column_stack": lambda a, b, v: np.column_stack([v, v, a.T]),
    "block of rows": lambda a, b, v: np.block([[a, 1 + a], [v, v]]),
    "block in three axes": lambda a, b, v: np.block([[[b, 2 * b]], [[a, a]]]),
    "block of one": lambda a, b, v: np.block(v),
    "block of a list": lambda a, b, v: np.block([v, v[0], 3.0]),
    "meshgrid": lambda a, b, v: np.meshgrid(v, v[:2], v[:3]),
    "meshgrid ij": lambda a, b, v: np.meshgrid(v, v[:2], indexing="ij"),
    "meshgrid sparse": lambda a, b, v: np.meshgrid(v, v[:2], sparse=True),
    "meshgrid of one": lambda a, b, v: np.meshgrid(v),
    "meshgrid of a matrix": lambda a, b, v: np.meshgrid(a, v),
    "broadcast_arrays": lambda a, b, v: np.broadcast_arrays(a, v, b, 3.0),
    "tile": lambda a, b, v: np.tile(a, (2, 1, 3)),
    "append": lambda a, b, v: np.append(a, v),
    "take": lambda a, b, v: np.take(b, [[0, -1], [1, 1]], axis=1),
    "take clipped": lambda a, b, v: np.take(v, [-9, 9], mode="clip"),
    "take along an axis": lambda a, b, v: np.take_along_axis(b, np.argsort(b, axis=0), axis=0),
    "take along an axis of length 1": lambda a, b, v: np.take_along_axis(a[:1], np.array([[1], [2], [0]]), axis=1),
    "compress": lambda a, b, v: np.compress([True, False, True], b, axis=2),
    "extract": lambda a, b, v: np.extract(A > 0, a),
    "diag of a matrix": lambda a, b, v: np.diag(a, -1),
    "diag of a vector": lambda a, b, v: np.diag(v, 2),
    "diagflat": lambda a, b, v: np.diagflat(a, -3),
    "diagonal": lambda a, b, v: np.diagonal(b, 1, axis1=2, axis2=0),
    "linalg.diagonal": lambda a, b, v: np.linalg.diagonal(b, offset=-1),
    "tril of a vector": lambda a, b, v: np.tril(v, 1),
    "triu": lambda a, b, v: np.triu(b, -1),
    "sort": lambda a, b, v: np.sort(b, axis=None, stable=True),
    "windows": lambda a, b, v: sliding_window_view(b, (2, 1), axis=(2, 0)),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_numpys_functions_do_the_same_to_tensors_and_their_gradients_are_right(name):
    f = SPELLINGS[name]
    expected, tensors = f(A, B, V), [leaf(x) for x in (A, B, V)]
    results = f(*tensors)
    assert isinstance(results, (tuple, list)) == isinstance(expected, (tuple, list))
    for y, x in zip(flat(results), flat(expected), strict=True):
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y.data, x)

    def total(*tensors):
        return tg.concatenate([tg.ravel(tg.astype(y, float)) for y in flat(f(*tensors))])

    if "dtype" not in name:
        tg.testing.assert_gradients(total, A, B, V, order=1)


def test_functions_of_several_arrays_take_plain_arrays_too():
    for f in (tg.atleast_1d, tg.atleast_2d, tg.atleast_3d, tg.broadcast_arrays, tg.meshgrid):
        assert all(type(y) is np.ndarray for y in f(V, [1.0]))
    assert type(tg.block([V, V])) is np.ndarray
    assert [type(y) for y in tg.unstack(A)] == [np.ndarray] * 2


def test_matrices_of_a_stack_transpose_as_attribute_too():
    b = leaf(B)
    np.testing.assert_array_equal(b.mT.data, np.matrix_transpose(B))
    with pytest.raises(ShapeError, match=r"matrix_transpose: .* two axes or more, got shape \(4,\)"):
        _ = leaf(V).mT


def test_names_that_would_read_like_a_change_of_a_list_are_no_methods():
    for name in ("append", "insert", "delete", "compress", "extract", "meshgrid", "block"):
        assert name not in vars(tg.Tensor)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda x: tg.split(x, 3), r"split: axis 0 of an array of shape \(4,\) cannot be divided into 3 .*array_split"),
        (lambda x: tg.split(x, 2, axis=1), r"split: axis 1 of an array of shape \(4,\): it has 1 axes"),
        (lambda x: tg.array_split(x, 0), "array_split: .* 1 piece or more, not into 0"),
        (lambda x: tg.vsplit(x, 2), r"vsplit: .*two axes or more, got shape \(4,\)"),
        (lambda x: tg.dsplit(x, 2), "dsplit: it splits along axis 2"),
        (lambda x: tg.hstack([x, x[:, None]]), r"concatenate: .*\n.*arrays \(4,\) float64, arrays \(4, 1\) float64"),
        (lambda x: tg.stack([x, x[:2], x], axis=1), r"^stack: all arrays have the same shape, and these have \(4,\) and \(2,\)$"),
        (lambda x: tg.clip(x, "a", 1), "^clip: ufunc 'clip' did not contain a loop"),
        (lambda x: tg.concatenate([]), "concatenate: need at least one array"),
        (lambda x: tg.concatenate([x, [1j]], dtype=float), "concatenate: .*Cannot cast"),
        (lambda x: tg.block([x, [x]]), "block: all blocks stand in equally many lists; .* 1 and some in 2"),
        (lambda x: tg.block([[x], []]), r"block: \[\] is no list of blocks"),
        (lambda x: tg.block((x, x)), "is no list of blocks; nest lists"),
        (lambda x: tg.tile(x, -1), "tile: reps=-1 is negative"),
        (lambda x: tg.meshgrid(x, indexing="yx"), "meshgrid: indexing is 'xy' or 'ij', got 'yx'"),
        (lambda x: tg.broadcast_arrays(x, np.ones(3)), r"broadcast_arrays: .*shapes are \(4,\), \(3,\)"),
        (lambda x: tg.insert(x, 9, 1.0), r"insert: .*out of bounds.*\n.*shape \(4,\), obj=9"),
        (lambda x: tg.insert(x, [0, 1], np.ones(3)), r"insert: .*broadcast.*values of shape \(3,\)"),
        (lambda x: tg.insert(np.arange(3), 0, 1.5), "insert: .*float64 would lose .* int64; convert the array first"),
        (lambda x: tg.delete(x, 4), r"delete: .*out of bounds.*\n.*shape \(4,\), obj=4"),
        (lambda x: tg.delete(x, 0, axis=1), r"delete: axis 1 of an array of shape \(4,\)"),
        (lambda x: tg.moveaxis(x, (0, 0), (0, 0)), "moveaxis: .*no axis is named twice"),
        (lambda x: tg.rollaxis(x, 0, 3), "rollaxis: start=3 is no place among the 1 axes"),
        (lambda x: tg.diag(x[None, None]), r"diag: a vector or a matrix, got shape \(1, 1, 4\).*diagonal"),
        (lambda x: tg.tril(x[0]), "tril: a matrix or a stack of them"),
        (lambda x: tg.take(x, 4), r"take: index 4 is out of bounds.*\n.*a \(4,\) float64.* indices=4"),
        (lambda x: tg.take(x, [0.5]), "take: Cannot cast"),
        (lambda x: tg.take_along_axis(x, [[0]], 0), r"take_along_axis: indices of shape \(1, 1\).*shape \(4,\)"),
        (lambda x: tg.take_along_axis(x, [0.0], 0), "take_along_axis: indices of shape .* float64 .*integers"),
        (lambda x: tg.compress([[True]], x), r"compress: the condition has one axis, got shape \(1, 1\); tg.extract"),
        (lambda x: tg.sort(x[0]), "sort: axis -1 is out of bounds"),
        (lambda x: tg.top_k(x, 5), "top_k: k=5 elements of an axis of length 4"),
        (lambda x: tg.sliding_window_view(x, 5), r"sliding_window_view: window shape cannot be larger.*\n.*x \(4,\) float64"),
        (
            lambda x: tg.overlap_add(x, (5,)),
            r"overlap_add: a of shape \(4,\) is not what sliding_window_view makes of shape \(5,\)",
        ),
        (lambda x: tg.pad(x, 1, "mean"), "pad: mode 'mean' has no derivative here, unlike constant"),
        (lambda x: tg.pad(x, 1, "linear_ramp"), "pad: mode 'linear_ramp' has no derivative"),
        (lambda x: np.pad(x, 1, "linear_ramp", end_values=2), "pad: end_values has no derivative here"),
        (lambda x: np.resize(x, 9), "resize is not recorded"),
    ],
)
def test_mistakes_are_answered_with_their_cause(mistake, message):
    with pytest.raises((ShapeError, ArgumentError, DTypeError)) as caught:
        mistake(leaf(V))
    assert re.search(message, str(caught.value), re.DOTALL)


# --------------------------------------------------------------------------------------------------- insert and delete

PLACES = [
    *(0, 2, -1, 4, -4, np.int64(1), np.array(2), [1], [-1], [0, 2], [2, 0], [1, 1, 3], [4, -1], np.array([], int), []),
    *(slice(None), slice(1, 3), slice(None, None, -2), slice(2, 2), slice(1, 2)),
    *(np.array([True, False, False, True]), [False, True, False, False], tg.Tensor([0, 3])),
]


@pytest.mark.parametrize("obj", PLACES, ids=repr)
@pytest.mark.parametrize("axis", [None, 0, -2, 1])
def test_insert_is_numpys_in_all_its_forms(obj, axis):
    place = obj.numpy() if isinstance(obj, tg.Tensor) else obj
    if isinstance(obj, list) and obj and isinstance(obj[0], bool):
        place = np.array(obj)  # in a list, NumPy's insert stumbles over booleans
    arr = RNG.standard_normal((4, 4))
    if axis is None:
        arr = arr[0]
    for shape in [(), (1,), (2,), (3,), (4,), (1, 4), (2, 4), (3, 4), (4, 1), (4, 2)]:
        values = RNG.standard_normal(shape)
        try:
            expected = np.insert(arr, place, values, axis)
        except (ValueError, IndexError):
            with pytest.raises(ShapeError):
                tg.insert(leaf(arr), obj, values, axis)
            continue
        a, v = leaf(arr), leaf(values)
        y = tg.insert(a, obj, v, axis)
        np.testing.assert_array_equal(y.data, expected)
        g = RNG.standard_normal(y.shape)
        y.backward(g)
        # What was inserted is linear in both: <g, insert(x, v)> is the sum of the inner products with the gradients.
        np.testing.assert_allclose((a.grad.data * arr).sum() + (v.grad.data * values).sum(), (g * expected).sum())


@pytest.mark.parametrize("obj", [*PLACES, [0, 0, -4]], ids=repr)
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_delete_is_numpys_in_all_its_forms(obj, axis):
    place = obj.numpy() if isinstance(obj, tg.Tensor) else obj
    arr = RNG.standard_normal((4, 4) if axis is not None else 4)
    try:
        expected = np.delete(arr, place, axis)
    except (ValueError, IndexError):
        with pytest.raises(ShapeError):
            tg.delete(leaf(arr), obj, axis)
        return
    a = leaf(arr)
    y = tg.delete(a, obj, axis)
    np.testing.assert_array_equal(y.data, expected)
    y.sum().backward()
    np.testing.assert_array_equal(np.isin(arr, expected), a.grad.data)


# -------------------------------------------------------------------------------------------------------------- indexing


def test_an_element_that_is_taken_twice_gets_both_cotangents():
    for take in (
        lambda x: tg.take(x, [2, 0, 2]),
        lambda x: tg.take_along_axis(x, [2, 0, 2], 0),
        lambda x: tg.take(x, tg.Tensor([2, 0, 2])),
        lambda x: tg.take(x, [-1, 3, 5], mode="wrap"),
        lambda x: tg.take(x, [7, -7, 2], mode="clip"),
        lambda x: x[[2, 0, 2]],
    ):
        x = leaf([1.0, 2.0, 3.0])
        take(x).backward([1.0, 10.0, 100.0])
        assert x.grad.tolist() == [10, 0, 101]


def test_elements_are_numbered_alike_in_small_and_in_large_arrays(monkeypatch):
    expected = [positions((3, 4), key) for key in KEYS]
    monkeypatch.setattr("tinygrad_edu.ops.indexing.SMALL", 0)
    for key, numbers in zip(KEYS, expected, strict=True):
        found = positions((3, 4), key)
        np.testing.assert_array_equal(found, numbers)
        assert found.shape == numbers.shape


def test_few_and_many_elements_are_added_up_alike():
    for count in (3, 5000):
        key = (RNG.integers(0, 30, (count, 1)), RNG.integers(0, 20, (1, 2)))
        values = RNG.standard_normal((count, 2))
        expected = np.zeros((30, 20))
        np.add.at(expected, key, values)
        np.testing.assert_allclose(tg.scatter_add(values, key, (30, 20)), expected, atol=1e-12)


def test_triangles_of_booleans_are_booleans():
    x = np.ones((2, 2), bool)
    assert tg.tril(x).dtype == tg.triu(tg.Tensor(x)).dtype == np.bool_


def test_a_diagonal_and_a_window_are_views_that_nobody_can_write_to():
    x = leaf(np.arange(12.0).reshape(3, 4))
    for y in (tg.diagonal(x), tg.sliding_window_view(x, (2, 2)), tg.flip(x), tg.rot90(x), tg.moveaxis(x, 0, 1)):
        assert np.shares_memory(y.data, x.data)
        assert not y.data.flags.writeable
    assert x.data.flags.writeable


def test_the_small_array_limit_is_one_that_the_tests_reach():
    assert positions((SMALL + 1,), [SMALL, 0]).tolist() == [SMALL, 0]


def test_a_cast_without_a_copy():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    assert x.astype(float, copy=False) is x
    assert np.astype(x, float, copy=False) is x
    assert x.astype(float) is not x
    y = x.astype(np.float32, copy=False)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
