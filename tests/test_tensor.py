"""The Tensor class: construction, operators with every kind of partner, dtypes, conversion."""

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, GraphError, ShapeError

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
PARTNERS = [2, 2.0, True, np.float64(2), np.array([2.0, 3.0]), np.array([[2], [3]]), [2.0, 3.0]]


@pytest.mark.parametrize("op", ARITHMETIC + COMPARISONS)
@pytest.mark.parametrize("partner", PARTNERS, ids=lambda p: f"{type(p).__name__}{np.shape(p)}")
def test_operators_take_every_partner_on_either_side(op, partner):
    x = np.array([1.0, 2.0])
    t = tg.Tensor(x, requires_grad=True)
    for result, expected in [(op(t, partner), op(x, np.asarray(partner))), (op(partner, t), op(np.asarray(partner), x))]:
        assert type(result) is tg.Tensor
        np.testing.assert_array_equal(result.data, expected)
        assert result.dtype == expected.dtype
        assert result.requires_grad == (op in ARITHMETIC)


def test_matmul_takes_arrays_on_either_side():
    x, a = tg.Tensor([1.0, 2.0], requires_grad=True), np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal((x @ a).data, x.data @ a)
    np.testing.assert_array_equal((a @ x).data, a @ x.data)


@pytest.mark.parametrize("op", ARITHMETIC)
def test_python_numbers_do_not_widen(op):
    x = tg.Tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    assert op(x, 2.5).dtype == np.float32
    assert op(2.5, x).dtype == np.float32
    assert op(x, np.float64(2.5)).dtype == np.float64  # NEP 50: a NumPy scalar is as strong as an array
    op(x, 2.5).sum().backward()
    assert x.grad.dtype == np.float32


def test_a_tensor_is_made_from_anything_numeric():
    assert tg.Tensor(1).dtype == np.int64
    assert tg.Tensor(1.0).shape == ()
    assert tg.Tensor([[1, 2.0]]).dtype == np.float64
    assert tg.Tensor(tg.Tensor([1.0], dtype=np.float32)).dtype == np.float32
    assert tg.Tensor([], requires_grad=True).shape == (0,)
    with pytest.raises(DTypeError, match="not numeric"):
        tg.Tensor("text")
    with pytest.raises(ShapeError, match="no array of numbers"):
        tg.Tensor([[1, 2], [3]])


def test_attributes_follow_numpy():
    x = tg.Tensor(np.arange(6.0).reshape(2, 3), name="x")
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float64, 2)
    assert x.T.shape == (3, 2)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [row.tolist() for row in x] == x.tolist()
    assert 5 in x
    assert float(x[1, 2]) == 5
    assert x.argmax().item() == 5
    assert f"{x.max():.1f}" == "5.0"
    assert x.numpy() is not x.data
    with pytest.raises(ShapeError, match=r"item: a tensor of shape \(2, 3\) has 6 elements"):
        x.item()
    with pytest.raises(ShapeError, match="truth of a tensor"):
        bool(x)
    with pytest.raises(ShapeError, match="0-d"):
        len(x.sum())


def test_shapes_may_be_given_in_one_or_in_parts():
    x = tg.Tensor(np.arange(6.0).reshape(1, 2, 3))
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == (3, 2)
    assert x.reshape(-1).shape == (6,)
    assert x.transpose(1, 2, 0).shape == x.transpose((1, 2, 0)).shape == (2, 3, 1)
    assert x.transpose().shape == (3, 2, 1)


def test_repr_shows_what_matters():
    assert repr(tg.Tensor([1.0, 2.0], requires_grad=True, name="x")) == "Tensor([1., 2.], requires_grad=True, name='x')"
    assert repr(tg.Tensor([1], dtype=np.float32)) == "Tensor([1.], dtype=float32)"


def test_detach_and_requires_grad():
    x = tg.Tensor([1.0], requires_grad=True)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.is_leaf
    y.requires_grad = True
    (x * y).backward()
    assert (x.grad.item(), y.grad.item()) == (2, 1)
    with pytest.raises(GraphError, match="detach"):
        (x * 2).requires_grad = False


def test_grad_can_be_set_cleared_and_is_checked():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    x.grad = [3.0, 4.0]
    (x * 1).sum().backward()
    assert x.grad.tolist() == [4, 5]
    x.grad = None
    assert x.grad is None
    with pytest.raises(ShapeError, match=r"gradient of shape \(3,\)"):
        x.grad = np.ones(3)


def test_copies_and_pickles_keep_what_belongs_to_the_tensor():
    x = tg.Tensor([1.0], requires_grad=True, name="w")
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert (y.tolist(), y.requires_grad, y.name) == ([1], True, "w")
        assert not np.shares_memory(x.data, y.data)
    with pytest.raises(GraphError, match="detach"):
        copy.copy(x * 2)
    with pytest.raises(GraphError, match="detach"):
        pickle.dumps(x * 2)


def test_tensors_are_dictionary_keys_by_identity():
    x, y = tg.Tensor([1.0]), tg.Tensor([1.0])
    assert {x: 1, y: 2}[x] == 1


def test_transforms_check_what_they_are_given():
    with pytest.raises(GraphError, match=r"one element.*returned a tensor of shape \(2,\)"):
        tg.grad(lambda x: x * 2)([1.0, 2.0])
    with pytest.raises(DTypeError, match="argument 0 .* has dtype int64"):
        tg.grad(lambda x: x * 2)(3)
    with pytest.raises(TypeError, match="argument 1 .* called with 1 positional"):
        tg.grad(lambda x: x, argnums=1)(1.0)
    assert tg.grad(lambda x, y: tg.sin(y) + 0 * x, argnums=(1, 0))(1.0, 0.0) == (1, 0)
    assert tg.grad(lambda x: tg.Tensor(2.0))(1.0).item() == 0


def test_grad_leaves_other_tensors_alone_and_nests_without_confusion():
    w = tg.Tensor(3.0, requires_grad=True)
    inner = tg.grad(lambda x: x * x * w)(2.0)
    assert w.grad is None
    assert inner.item() == 12
    inner.backward()  # the derivative of a derivative with respect to something else
    assert w.grad.item() == 4
    # d/dx [x · d/dy (x + y)] = 1, and not 2: Siskind and Pearlmutter's perturbation confusion
    assert tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(2.0).item() == 1
    with tg.no_grad():
        assert tg.grad(lambda x: x**2)(3.0).item() == 6
