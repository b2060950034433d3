"""Products beyond the property tests: einsum, every product at every rank, which of them conjugate, messages."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.testing import assert_gradients

RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(3, 3))


def leaf(array):
    return tg.Tensor(array, requires_grad=True)


# ---------------------------------------------------------------------------------------------------------------- einsum

A, B, C = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=(4,))


@pytest.mark.parametrize(
    ("subscripts", "operands"),
    [
        ("ij,jk", (A, B)),
        ("ij,jk,k", (A, B, C)),
        ("ji", (A,)),
        ("ba,cb", (A, SQUARE[:2, :2])),
        ("ii", (SQUARE,)),
        ("...i,ij", (RNG.normal(size=(2, 1, 3)), B)),
        ("...ij,...jk->...ik", (RNG.normal(size=(2, 1, 3)), RNG.normal(size=(1, 3, 1)))),
        ("i...->...", (A,)),
        ("...,...", (A, np.array(2.0))),
        ("i j , j -> i", (A, B[:, 0])),
        ("ij,ij->i", (A, A[:, :1])),
        ("ij,->ij", (A, 2.0)),
        ("i,i,i->i", (A[0], A[1], B[:, 1])),
        ("bqd,bkd->bqk", (RNG.normal(size=(1, 2, 2)), RNG.normal(size=(1, 3, 2)))),
        ("iij->j", (RNG.normal(size=(2, 2, 3)),)),
        ("iiji->ij", (RNG.normal(size=(2, 2, 1, 2)),)),
    ],
)
def test_einsum_is_numpys(subscripts, operands):
    expected = np.einsum(subscripts, *operands)
    for optimize in (None, False, True, "greedy"):
        y = tg.einsum(subscripts, *[tg.Tensor(a) for a in operands], optimize=optimize)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(tg.einsum(subscripts, *operands), expected)
    np.testing.assert_allclose(np.einsum(subscripts, leaf(operands[0]), *operands[1:]).numpy(), expected, rtol=1e-12, atol=1e-14)
    assert_gradients(lambda *x: tg.einsum(subscripts, *x), *operands, order=2)


def test_einsum_with_lists_of_indices():
    pairs = [
        ((A, [0, 1], B, [1, 2]), "ij,jk"),
        ((A, [7, 3]), "ba"),
        ((SQUARE, [0, 0], [0]), "ii->i"),
        ((A, [..., 0], [0, ...]), "...i->i..."),
    ]
    for arguments, subscripts in pairs:
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        tensors = [tg.Tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]
        np.testing.assert_allclose(np.einsum(*tensors).numpy(), np.einsum(*arguments))
        np.testing.assert_allclose(tg.einsum(*tensors).numpy(), np.einsum(subscripts, *arrays))


def test_a_large_einsum_keeps_its_value_and_gradient():
    a, b = RNG.normal(size=(2, 40, 30)), RNG.normal(size=(2, 50, 30))
    x = leaf(a)
    y = tg.einsum("bqd,bkd->bqk", x, b)
    np.testing.assert_allclose(y.numpy(), a @ b.mT, rtol=1e-12)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(b.sum(axis=1, keepdims=True), a.shape), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("ij,jk", A, A), ShapeError, r"index j is 3 long in operand 0 of shape \(2, 3\) and 2 long in operand 1"),
        (("ij,jk->ik", A), ShapeError, "of 2 operands, and 1 were given"),
        (("ijk", A), ShapeError, "'ijk' names 3 axes, and operand 0 has 2"),
        (("i", A), ShapeError, r"operand 0 has 2; \.\.\. stands for axes"),
        (("ij->ik", A), ArgumentError, "k is the index of no operand"),
        (("ij->ii", A), ArgumentError, "an index stands twice"),
        (("i1", A), ArgumentError, "contain 1"),
        (("...->", A), ShapeError, "lacks the"),
        ((A, B), ArgumentError, "a string of subscripts comes first"),
    ],
)
def test_einsum_says_what_does_not_fit(arguments, error, words):
    with pytest.raises(error, match=words):
        tg.einsum(*arguments)


def test_einsum_refuses_what_it_would_ignore():
    with pytest.raises(ArgumentError, match="einsum has no dtype"):
        tg.einsum("ij", tg.Tensor(A), dtype="f4")


# -------------------------------------------------------------------------------------------------------------- products


@pytest.mark.parametrize(
    "shapes", [((), (2,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 2)), ((3,), (2, 3, 4)), ((2, 3), (2, 3, 4))]
)
def test_dot_and_inner_at_every_rank(shapes):
    a, b = (RNG.normal(size=shape) for shape in shapes)
    np.testing.assert_allclose(np.dot(tg.Tensor(a), b).numpy(), np.dot(a, b), rtol=1e-12)
    if b.ndim > 1:
        b = np.swapaxes(b, -1, -2)
    np.testing.assert_allclose(np.inner(tg.Tensor(a), b).numpy(), np.inner(a, b), rtol=1e-12)


def test_which_products_conjugate():
    z, w = np.array([1 + 2j, 3j]), np.array([2 - 1j, 1.0])
    for name in ("vdot", "vecdot"):
        assert getattr(tg, name)(tg.Tensor(z), w).item() == np.vdot(z, w)
    for name in ("dot", "inner"):
        assert getattr(tg, name)(tg.Tensor(z), w).item() == np.dot(z, w)
    np.testing.assert_array_equal(tg.correlate(tg.Tensor(z), w, "full").numpy(), np.correlate(z, w, "full"))
    assert_gradients(lambda z, w: tg.abs(tg.vdot(z, w)), z, w)


def test_ufuncs_of_matrices_and_vectors():
    a, b = RNG.normal(size=(5, 2, 3)), RNG.normal(size=(5, 3))
    if not hasattr(np, "matvec"):
        pytest.skip("NumPy 2.2 has matvec")
    np.testing.assert_allclose(np.matvec(tg.Tensor(a), b).numpy(), np.matvec(a, b), rtol=1e-12)
    np.testing.assert_allclose(np.vecmat(tg.Tensor(b), a.mT).numpy(), np.vecmat(b, a.mT), rtol=1e-12)
    np.testing.assert_allclose(np.vecdot(tg.Tensor(b), b, axis=0).numpy(), np.vecdot(b, b, axis=0), rtol=1e-12)


def test_cross_along_any_axes():
    a, b = RNG.normal(size=(3, 2, 4)), RNG.normal(size=(4, 3))
    expected = np.cross(a, b.T, axisa=0, axisb=0, axisc=1)
    f = lambda a, b: np.cross(a, b.T, axisa=0, axisb=0, axisc=1)
    np.testing.assert_allclose(f(tg.Tensor(a), tg.Tensor(b)).numpy(), expected, rtol=1e-12)
    assert_gradients(f, a, b, order=1)
    with pytest.raises(ShapeError, match=r"3 components, and these have 2 and 2; of vectors in a plane"):
        tg.cross([1.0, 2.0], [3.0, 4.0])


def test_kron_and_multi_dot():
    a, b = RNG.normal(size=(2, 3, 2)), RNG.normal(size=(2, 2))
    np.testing.assert_allclose(np.kron(tg.Tensor(a), b).numpy(), np.kron(a, b))
    wide, thin = RNG.normal(size=(2, 30)), RNG.normal(size=(30, 2))
    y = np.linalg.multi_dot([tg.Tensor(thin), wide, thin, wide])
    np.testing.assert_allclose(y.numpy(), np.linalg.multi_dot([thin, wide, thin, wide]))
    with pytest.raises(ShapeError, match="two matrices or more"):
        tg.multi_dot([wide])


def test_polynomials_and_convolution_agree():
    p, q, x = RNG.normal(size=3), RNG.normal(size=4), RNG.normal(size=2)
    product = tg.polyval(tg.convolve(leaf(p), q), x)
    np.testing.assert_allclose(product.numpy(), np.polyval(p, x) * np.polyval(q, x))
    assert_gradients(lambda p, q, x: np.polyval(np.convolve(p, q), x), p, q, x)
    with pytest.raises(ArgumentError, match="full, same or valid"):
        tg.convolve(tg.Tensor(p), q, mode="wrap")
    with pytest.raises(ShapeError, match="vectors that are not empty"):
        tg.convolve(tg.Tensor(A), q)
