"""Equations of a special form: the solutions of general ones, and what is refused."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import MatrixError, ShapeError

RNG = np.random.default_rng(0)


def dense(ab, lower, upper):
    """The matrix whose diagonals these are."""
    n = ab.shape[1]
    return sum(np.eye(n, k=upper - row) * ab[row] for row in range(lower + upper + 1))


@pytest.mark.parametrize(("lower", "upper"), [(0, 0), (1, 0), (0, 2), (2, 1), (3, 3)])
def test_bands_are_a_matrix(lower, upper):
    ab, b = RNG.normal(size=(lower + upper + 1, 3)), RNG.normal(size=(3, 2))
    ab[upper] += 4
    full = lambda ab, b: tg.solve(dense(ab, lower, upper), b)
    banded = lambda ab, b: tg.solve_banded((lower, upper), ab, b)
    np.testing.assert_allclose(banded(ab, b), full(ab, b))
    for k in (0, 1):
        loss = lambda f, k=k: tg.grad(lambda *p: np.sum(tg.grad(lambda *p: np.sum(f(*p) ** 3), k)(*p) ** 2), (0, 1))(ab, b)
        for found, expected in zip(loss(banded), loss(full), strict=True):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-9, atol=1e-12)


def test_the_equation_of_lyapunov():
    a, q = RNG.normal(size=(3, 3)) + 4 * np.eye(3), RNG.normal(size=(3, 3))
    general = lambda a, q: tg.reshape(tg.solve(np.kron(a, np.eye(3)) + np.kron(np.eye(3), a), np.reshape(q, 9)), (3, 3))
    np.testing.assert_allclose(tg.solve_sylvester(a, a.T, q), general(a, q))
    for found, expected in zip(
        *[
            tg.hessian(lambda a, q, f=f: np.sum(np.sin(f(a, q))), 0)(a, q)
            for f in (lambda a, q: tg.solve_sylvester(a, a.T, q), general)
        ],
        strict=True,
    ):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-12)


def test_batches_of_sylvesters_equation():
    a, b, q = RNG.normal(size=(2, 1, 3, 3)) + 4 * np.eye(3), RNG.normal(size=(2, 2)), RNG.normal(size=(4, 3, 2))
    y = tg.solve_sylvester(a, b, q)
    np.testing.assert_allclose(a @ y + y @ b, np.broadcast_to(q, (2, 4, 3, 2)))
    assert tg.solve_sylvester(np.zeros((0, 2, 2)), b, np.zeros((2, 2))).shape == (0, 2, 2)
    assert tg.solve_sylvester(tg.Tensor([[1.0]], dtype="f4"), np.ones((1, 1), "f4"), np.ones((1, 1), "f4")).dtype == np.float32
    with pytest.raises(MatrixError, match=r"no solution for a \(2, 2\), b \(2, 2\) and q \(2, 2\)"):
        tg.solve_sylvester(tg.Tensor([[1.0, 3.0], [0.0, 2.0]]), [[5.0, 0.0], [1.0, -2.0]], np.ones((2, 2)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"solve_banded: with 1 diagonals below the main one and 0 above, ab has shape \(2, n\)"):
        tg.solve_banded((1, 0), np.ones((3, 4)), np.ones(4))
    with pytest.raises(ShapeError, match=r"b has \(n,\) or \(n, k\); got \(2, 4\) and \(3,\)"):
        tg.solve_banded((1, 0), np.ones((2, 4)), np.ones(3))
    with pytest.raises(ShapeError, match=r"want q of shape \(\.\.\., 2, 1\), and got \(2, 2\): a y \+ y b = q"):
        tg.solve_sylvester(np.eye(2), np.eye(1), np.eye(2))
    with pytest.raises(ShapeError, match=r"solve_sylvester wants a square matrix"):
        tg.solve_sylvester(np.ones((2, 3)), np.eye(1), np.eye(2))
    with pytest.raises(MatrixError, match=r"solve_banded: .*singular.*A singular matrix has no inverse"):
        tg.solve_banded((1, 0), tg.Tensor([[0.0, 1.0], [1.0, 0.0]], requires_grad=True), np.ones(2))
    with pytest.raises(MatrixError, match=r"solve_sylvester: no solution for .*an eigenvalue of a is the negative of one of b"):
        tg.solve_sylvester(np.array([[1.0]]), np.array([[-1.0]]), np.array([[1.0]]))
