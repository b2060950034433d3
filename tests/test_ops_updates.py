"""Changes that leave the tensor as it is, ``x.at[key].set(v)`` and its like; and NumPy's that would change it."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, GraphError, ShapeError
from tinygrad_edu.ops.indexing import KEYS

RNG = np.random.default_rng(0)


def leaf(values, dtype=float):
    return tg.Tensor(values, requires_grad=True, dtype=dtype)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_changes_at_every_kind_of_index_are_numpys(key):
    array = RNG.standard_normal((3, 4))
    x = leaf(array)
    for how, change in [
        ("set", lambda y, v: y.__setitem__(key, v)),
        ("add", lambda y, v: np.add.at(y, key, v)),
        ("subtract", lambda y, v: np.subtract.at(y, key, v)),
        ("multiply", lambda y, v: np.multiply.at(y, key, v)),
        ("divide", lambda y, v: np.divide.at(y, key, v)),
        ("max", lambda y, v: np.maximum.at(y, key, v)),
        ("min", lambda y, v: np.minimum.at(y, key, v)),
    ]:
        for v in (2.0, RNG.standard_normal(array[key].shape)):
            expected = array.copy()
            change(expected, v)
            y = getattr(x.at[key], how)(v)
            np.testing.assert_allclose(y.data, expected, rtol=1e-14)
            tg.testing.assert_gradients(lambda x, v: getattr(x.at[key], how)(v), array, np.asarray(v), order=1)  # noqa: B023
    np.testing.assert_array_equal(x.data, array)
    np.testing.assert_array_equal(x.at[key].get().data, array[key])


def test_the_last_of_repeated_values_is_set_and_it_alone_has_a_gradient():
    x, v = leaf([1.0, 2.0, 3.0]), leaf([10.0, 20.0, 30.0, 40.0])
    y = x.at[[0, 2, 0, 2]].set(v)
    assert y.tolist() == [30, 2, 40]
    y.backward([1.0, 10.0, 100.0])
    assert x.grad.tolist() == [0, 10, 0]
    assert v.grad.tolist() == [0, 0, 1, 100]


@pytest.mark.parametrize("order", ["CC", "CF", "FC", "FF"])
def test_the_last_value_wins_however_the_arrays_lie_in_memory(order):
    key = np.asarray([[0, 1, 0], [1, 0, 2]], order=order[0])
    v = leaf(np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], order=order[1]))
    y = tg.Tensor(np.zeros(3)).at[key].set(v)
    assert y.tolist() == [5, 4, 6]
    y.sum().backward()
    assert v.grad.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_one_value_for_repeated_places_is_set_once():
    v = leaf(7.0)
    y = tg.Tensor(np.zeros(3)).at[[1, 1, 2]].set(v)
    assert y.tolist() == [0, 7, 7]
    y.sum().backward()
    assert v.grad.item() == 2


def test_repeated_places_are_added_to_and_multiplied_by_every_value():
    x, v = leaf([1.0, 2.0]), leaf([3.0, 0.0, 5.0, 0.5, 7.0])
    places = [0, 0, 0, 1, 0]
    x.at[places].add(v).backward([1.0, 10.0])
    assert x.grad.tolist() == [1, 10]
    assert v.grad.tolist() == [1, 1, 1, 10, 1]
    x.grad = v.grad = None
    y = x.at[places].multiply(v)
    assert y.tolist() == [0, 1]
    y.backward([1.0, 10.0])
    assert x.grad.tolist() == [0, 5]
    assert v.grad.tolist() == [0, 105, 0, 20, 0]  # a zero among the factors: the product of the others, without a division


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13])
def test_products_of_many_values_at_one_place_are_differentiated_twice(count):
    places = [1] * count + [0]
    tg.testing.assert_gradients(
        lambda x, v: x.at[places].multiply(v), RNG.uniform(0.5, 1.5, 3), RNG.uniform(0.5, 1.5, count + 1), order=2
    )


def test_ties_of_the_extremum_at_a_place_are_shared_equally():
    x, v = leaf([1.0, 5.0]), leaf([1.0, 1.0, 0.0, 5.0])
    x.at[[0, 0, 0, 1]].max(v).sum().backward()
    np.testing.assert_allclose(x.grad.data, [1 / 3, 0.5])
    np.testing.assert_allclose(v.grad.data, [1 / 3, 1 / 3, 0, 0.5])
    z = leaf([np.nan, 1.0])
    z.at[[0, 1]].min([0.0, np.nan]).sum().backward()
    assert z.grad.tolist() == [1, 0]


def test_a_function_is_applied_once_to_a_place_that_is_named_twice():
    x = leaf([2.0, 3.0])
    y = x.at[[0, 0]].apply(lambda part: part**2)
    assert y.tolist() == [4, 3]
    y.sum().backward()
    assert x.grad.tolist() == [4, 1]


def test_changes_at_a_place_keep_the_dtype_and_take_plain_numbers():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32)
    v = leaf([3.0])
    for how in ("set", "add", "subtract", "multiply", "divide", "max", "min"):
        x.grad = v.grad = None
        y = getattr(x.at[:1], how)(v)
        y.sum().backward()
        assert (y.dtype, x.grad.dtype, v.grad.dtype) == (np.float32, np.float32, np.float64)
        assert getattr(x.at[0], how)(2).dtype == np.float32
    integers = tg.Tensor([1, 2, 3], dtype=np.uint8)
    assert integers.at[1:].add(5).tolist() == [1, 7, 8]
    assert integers.at[1:].subtract(1).tolist() == [1, 1, 2]
    assert x.at[0].subtract(np.array(5, np.uint8)).tolist() == [-4, 2]
    assert x.at[0].subtract(np.array(True)).tolist() == [0, 2]
    assert integers.at[tg.Tensor([True, False, True])].set(0).dtype == np.uint8
    assert tg.Tensor([1j]).at[0].set(2.0).tolist() == [2]
    assert tg.Tensor(3.0).at[()].add(1.0).item() == 4


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        (
            lambda x: x.at[0].set([1.0, 2.0]),
            ShapeError,
            r"x\.at\[0\]\.set: v has shape \(2,\), and x\[0\] has shape \(4,\) in x of shape \(3, 4\); .*reshape or sum",
        ),
        (lambda x: x.at[1:, ::2].add(np.ones((1, 2, 2))), ShapeError, r"x\.at\[1:, ::2\]\.add: v has shape \(1, 2, 2\)"),
        (lambda x: x.at[7], ShapeError, r"x\.at\[7\]: index 7 is out of bounds.*\n.*shape \(3, 4\)"),
        (lambda x: x.at[0, 0, 0], ShapeError, r"x\.at\[0, 0, 0\]: too many indices"),
        (lambda x: x.at[np.ones(5, bool)], ShapeError, r"x\.at\[\[True, True, True, True, True\]\]: boolean index did not match"),
        (lambda x: x.at[[0.5]], ShapeError, r"x\.at\[\[0\.5\]\]: only integers, slices"),
        (
            lambda x: x.at[..., None].multiply(1j),
            DTypeError,
            r"x\.at\[\.\.\., None\]\.multiply: .*complex128 would lose .* float64",
        ),
        (
            lambda x: tg.Tensor([1, 2]).at[0].set(0.5),
            DTypeError,
            r"set: .*float64 would lose .*int64; convert the array first, .*'float64'",
        ),
        (lambda x: tg.Tensor([1, 2]).at[0].divide(2), DTypeError, r"divide, a quotient: .*float64 would lose"),
        (
            lambda x: x.at.__setitem__(slice(1, None), 0.0),
            GraphError,
            r"x\.at\[1:\] = v changes nothing: .*y = x\.at\[1:\]\.set\(v\)",
        ),
    ],
)
def test_mistakes_at_a_place_are_named(mistake, error, message):
    with pytest.raises(error) as caught:
        mistake(leaf(np.zeros((3, 4))))
    assert re.search(message, str(caught.value), re.DOTALL)


def test_a_place_tells_what_it_is():
    x = leaf(np.zeros((3, 4)))
    assert repr(x.at) == "<at of a tensor of shape (3, 4): x.at[key].set(v) is a copy of it with v at [key]>"
    assert repr(x.at[1:, [0, 0, 1]]).startswith(
        "<x.at[1:, [0, 0, 1]], of shape (2, 3) in x of shape (3, 4); methods: get, set, add"
    )
    assert repr(x.at[np.zeros((3, 4), bool)]).startswith("<x.at[array of shape (3, 4)], of shape (0,)")


def test_functions_that_write_into_their_argument_say_what_to_do_instead():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    constant = tg.Tensor([[1.0, 2.0], [3.0, 4.0]])
    mask = np.eye(2, dtype=bool)
    for tensor in (x, constant):
        for mistake, way in [
            (lambda t: np.put_along_axis(t, np.array([[0]]), 1.0, 1), "tg.put_along_axis"),
            (lambda t: np.put(t, [0], 1.0), r"\.at\[indices\]\.set"),
            (lambda t: np.place(t, mask, [1.0]), r"\.at\[mask\]\.set"),
            (lambda t: np.putmask(t, mask, 1.0), "tg.where"),
            (lambda t: np.copyto(t, 1.0), "tg.where"),
            (lambda t: np.fill_diagonal(t, 1.0), r"\.at\[i, i\]\.set"),
        ]:
            with pytest.raises(GraphError, match=f"writes into its first argument.*{way}"):
                mistake(tensor)
    assert constant.tolist() == [[1, 2], [3, 4]]
    array = np.zeros((2, 2))
    np.copyto(array, constant)
    np.put(array, [0], tg.Tensor(9.0))
    assert array.tolist() == [[9, 2], [3, 4]]
    with pytest.raises(DTypeError, match=r"numpy.copyto writes into an array, which would drop the gradient"):
        np.copyto(array, x)


def test_putting_along_an_axis_makes_a_new_tensor():
    x, v = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), leaf([[10.0], [20.0]])
    y = tg.put_along_axis(x, [[2], [0]], v, axis=1)
    assert y.tolist() == [[1, 2, 10], [20, 5, 6]]
    y.backward(np.arange(6.0).reshape(2, 3))
    assert x.grad.tolist() == [[0, 1, 0], [0, 4, 5]]
    assert v.grad.tolist() == [[2], [3]]
    with pytest.raises(ShapeError, match=r"put_along_axis: indices of shape \(1,\)"):
        tg.put_along_axis(x, [0], 1.0, axis=1)
