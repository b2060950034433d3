"""Linear algebra beyond the property tests: conventions, degenerate matrices, results' types, messages."""

import itertools
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, GraphError, MatrixError, ShapeError
from tinygrad_edu.testing import assert_gradients

RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(3, 3))
HERMITIAN = SQUARE + SQUARE.T + 1j * (SQUARE - SQUARE.T)
WIDE = RNG.normal(size=(2, 3))


def leaf(array):
    return tg.Tensor(array, requires_grad=True)


def gradient(loss, array):
    x = leaf(array)
    loss(x).backward()
    return x.grad.numpy()


# ---------------------------------------------------------------------------------------------------- inverses, equations


def test_results_are_numpys_named_tuples():
    for name, fields in [("eigh", 2), ("eig", 2), ("svd", 3), ("qr", 2), ("slogdet", 2)]:
        theirs = getattr(np.linalg, name)
        for given in (leaf(SQUARE), tg.Tensor(SQUARE)):
            y = theirs(given)
            assert type(y) is type(theirs(SQUARE))
            assert [type(part) for part in y] == [tg.Tensor] * fields
        assert [type(part) for part in getattr(tg, name)(SQUARE)] == [type(part) for part in theirs(SQUARE)]


def test_solve_takes_vectors_and_matrices_as_numpy_2():
    a = SQUARE + 5 * np.eye(3)
    batch = np.stack([a, a.T])
    for left, right in [(a, (3,)), (a, (3, 2)), (batch, (3,)), (batch, (3, 2)), (batch[:, None], (4, 3, 1))]:
        b = RNG.normal(size=right)
        np.testing.assert_allclose(np.linalg.solve(tg.Tensor(left), b).numpy(), np.linalg.solve(left, b))
    with pytest.raises(ShapeError, match=r"for a batch of vectors write solve\(a, b\[\.\.\., None\]\)"):
        tg.solve(tg.Tensor(batch), np.ones((2, 3)))


def test_large_triangular_systems():
    a, b = RNG.normal(size=(70, 70)) + 30 * np.eye(70), RNG.normal(size=70)
    for lower, triangle in [(True, np.tril(a)), (False, np.triu(a))]:
        for trans, op in [(0, triangle), ("T", triangle.T)]:
            x = leaf(b)
            y = tg.solve_triangular(leaf(a), x, trans=trans, lower=lower)
            np.testing.assert_allclose(y.numpy(), np.linalg.solve(op, b), rtol=1e-9, atol=1e-12)
            y.sum().backward()
            np.testing.assert_allclose(x.grad.numpy(), np.linalg.solve(op.T, np.ones(70)), rtol=1e-9, atol=1e-12)


def test_triangular_equations_do_not_look_at_the_other_triangle():
    a = SQUARE + 5 * np.eye(3)
    g = gradient(lambda a: tg.solve_triangular(a, np.ones(3), lower=True, unit_diagonal=True).sum(), a)
    assert (np.triu(g) == 0).all()
    assert (g[np.tril_indices(3, -1)] != 0).all()
    factor = np.linalg.cholesky(SQUARE @ SQUARE.T + np.eye(3))
    expected = np.linalg.solve(factor @ factor.T, np.ones(3))
    np.testing.assert_allclose(tg.cho_solve((tg.Tensor(factor), True), np.ones(3)).numpy(), expected)
    np.testing.assert_allclose(tg.cho_solve((tg.Tensor(factor.T), False), np.ones(3)).numpy(), expected)


RANK_2 = RNG.normal(size=(3, 2)) @ RNG.normal(size=(2, 3))


@pytest.mark.parametrize(
    "a",
    [RANK_2, np.outer([1.0, 2, 3], [1.0, 0, -1]), np.zeros((3, 3)), np.zeros((2, 2)), np.zeros((1, 1)), np.diag([1.0, 0, 1])],
    ids=["rank 2", "rank 1", "zeros", "two zeros", "zero", "diagonal"],
)
def test_the_determinant_of_a_singular_matrix_has_every_derivative(a):
    assert assert_gradients(tg.det, a, order=3).compared >= 3 * a.size


def test_the_determinant_in_a_batch_and_of_complex_numbers():
    assert_gradients(tg.det, np.stack([SQUARE, RANK_2, np.zeros((3, 3))]), order=2)
    assert_gradients(tg.det, RANK_2 + 1j * RANK_2, order=2)
    g = gradient(lambda a: tg.det(a).sum(), np.stack([SQUARE, RANK_2]).astype(np.float32))
    assert g.dtype == np.float32
    np.testing.assert_allclose(g[0], np.linalg.det(SQUARE) * np.linalg.inv(SQUARE).T, rtol=1e-4)
    assert tg.det(tg.Tensor(np.zeros((0, 0)))).item() == 1


def test_determinants_that_overflow():
    a = 1e10 * np.eye(40)
    assert np.linalg.slogdet(leaf(a)).logabsdet.item() == pytest.approx(40 * np.log(1e10))
    np.testing.assert_allclose(gradient(lambda a: tg.slogdet(a).logabsdet, a), np.eye(40) / 1e10)
    with pytest.raises(MatrixError, match="slogdet: a matrix is singular.*Use det"):
        gradient(lambda a: tg.slogdet(a).logabsdet, np.zeros((2, 2)))


def test_the_sign_of_a_complex_determinant_turns():
    a = SQUARE + 1j * RANK_2
    assert_gradients(lambda a: tg.slogdet(a).sign, a, order=2)
    assert_gradients(lambda a: tg.exp(tg.slogdet(a).logabsdet) * tg.slogdet(a).sign + tg.det(a), a, order=1)


# -------------------------------------------------------------------------------------------------------- decompositions


def test_a_symmetric_matrix_has_a_symmetric_gradient():
    a = SQUARE @ SQUARE.T + np.eye(3)
    for f in (
        np.linalg.cholesky,
        lambda a: np.linalg.cholesky(a, upper=True),
        np.linalg.eigvalsh,
        lambda a: np.linalg.eigh(a)[1] ** 2,
    ):
        g = gradient(lambda a, f=f: (f(a) * np.arange(1, 4)).sum(), a)
        np.testing.assert_allclose(g, g.T, atol=1e-12)
        assert_gradients(lambda s, f=f: f(s @ s.T + np.eye(3)), SQUARE, order=2)
    z = SQUARE + 1j * RANK_2
    assert_gradients(lambda z: np.linalg.cholesky(z @ z.conj().T + np.eye(3)), z, order=2)


def test_the_triangle_that_is_not_read_makes_no_difference():
    a = SQUARE @ SQUARE.T + np.eye(3)
    spoiled = np.tril(a) + 7 * np.triu(np.ones((3, 3)), 1)
    np.testing.assert_allclose(tg.cholesky(tg.Tensor(spoiled)).numpy(), np.linalg.cholesky(a))
    np.testing.assert_allclose(tg.cholesky(tg.Tensor(spoiled.T), upper=True).numpy(), np.linalg.cholesky(a).T)
    np.testing.assert_allclose(tg.eigvalsh(tg.Tensor(spoiled)).numpy(), np.linalg.eigvalsh(a))
    np.testing.assert_allclose(tg.eigvalsh(tg.Tensor(spoiled.T), UPLO="U").numpy(), np.linalg.eigvalsh(a))


def rebuilt(name):
    """The matrix from its decomposition: whatever is arbitrary in it, this must be the identity, also when differentiated."""

    def f(a):
        y = getattr(np.linalg, name)(a) if name != "svd" else np.linalg.svd(a, full_matrices=False)
        if name == "eigh":
            return y[1] * y[0] @ np.conj(y[1]).swapaxes(-1, -2)
        if name == "eig":
            return y[1] * y[0][..., None, :] @ np.linalg.inv(y[1])
        if name == "svd":
            return y[0] * y[1][..., None, :] @ y[2]
        return y[0] @ y[1]

    return f


@pytest.mark.parametrize(
    ("name", "a"),
    [
        ("eigh", HERMITIAN),
        ("eigh", HERMITIAN.real),
        ("eig", SQUARE),
        ("eig", SQUARE + 1j * RANK_2),
        ("eig", np.stack([SQUARE, np.diag([1.0, 2, 4])])),
        ("svd", SQUARE),
        ("svd", RNG.normal(size=(2, 3, 2))),
        ("svd", RNG.normal(size=(2, 4)) + 1j * RNG.normal(size=(2, 4))),
        ("svd", RNG.normal(size=(4, 2)) + 1j * RNG.normal(size=(4, 2))),
        ("qr", SQUARE + 1j * RANK_2),
        ("qr", RNG.normal(size=(2, 2, 4))),
        ("qr", RNG.normal(size=(4, 2))),
    ],
)
def test_taken_apart_and_put_together(name, a):
    weights = RNG.normal(size=a.shape) + (1j * RNG.normal(size=a.shape) if a.dtype.kind == "c" else 0)
    if name == "eigh":
        weights = (weights + weights.conj().mT) / 2
    x = leaf(a)
    y = rebuilt(name)(x)
    np.testing.assert_allclose(y.numpy(), a, atol=1e-12)
    (y * weights.conj()).real.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), weights, atol=1e-10)


def test_projections_of_complex_vectors_have_second_derivatives():
    z = SQUARE + 1j * RANK_2

    def projection(v):
        return v[:, 0][:, None] * np.conj(v[:, 0])

    assert_gradients(lambda z: projection(np.linalg.eigh(z + z.conj().T)[1]), z, order=2)
    assert_gradients(lambda z: projection(np.linalg.svd(z)[0]), z, order=2)
    assert_gradients(lambda z: projection(np.linalg.qr(z)[0]), z, order=2)
    assert_gradients(lambda z: np.abs(np.linalg.eigvals(z)).sum(), z, order=2)


@pytest.mark.parametrize("name", ["eigh", "eig", "svd"])
def test_a_loss_that_depends_on_a_phase_is_refused(name):
    vectors = getattr(tg, name)(leaf(HERMITIAN))[0 if name == "svd" else 1]
    with pytest.raises(GraphError, match=f"{name}: the loss depends on the phases of the complex vectors"):
        vectors.real.sum().backward()


@pytest.mark.parametrize("name", ["eigh", "eig", "svd"])
def test_values_that_coincide(name):
    place = 1 if name == "svd" else 0
    np.testing.assert_allclose(gradient(lambda a: getattr(tg, name)(a)[place].sum().real, np.eye(3)), np.eye(3), atol=1e-12)
    with pytest.warns(RuntimeWarning, match=f"{name}: the loss uses vectors of values that coincide"):
        g = gradient(lambda a: (getattr(tg, name)(a)[0 if name == "svd" else 1] * SQUARE).sum(), np.eye(3))
    assert np.isnan(g).any()


def test_vectors_of_the_other_values_need_not_mind():
    a = np.diag([1.0, 1, 5])
    g = gradient(lambda a: tg.eigh(a).eigenvectors[:, 2] ** 2 @ [1.0, 2, 3], a + 0.1 * np.outer([1, 0, 1], [1, 0, 1]))
    assert np.isfinite(g).all()


def test_singular_values_at_zero():
    np.testing.assert_array_equal(gradient(lambda a: tg.svdvals(a).sum(), np.zeros((2, 3))), np.zeros((2, 3)))
    low = np.outer([3.0, 4.0], [1.0, 0.0])
    nuclear = gradient(lambda a: np.linalg.matrix_norm(a, ord="nuc"), low)
    assert np.linalg.norm(nuclear, 2) <= 1 + 1e-12
    assert np.sum(nuclear * low) == pytest.approx(5)


def test_a_hermitian_svd():
    a = HERMITIAN
    u, s, vh = np.linalg.svd(leaf(a), hermitian=True)
    np.testing.assert_allclose(s.numpy(), np.linalg.svd(a, compute_uv=False))
    np.testing.assert_allclose((u * s @ vh).numpy(), a, atol=1e-12)
    y = np.linalg.svd(tg.Tensor(a), compute_uv=False, hermitian=True)
    np.testing.assert_allclose(y.numpy(), s.numpy())


def test_the_vectors_that_nothing_determines():
    tall = RNG.normal(size=(3, 2))
    with pytest.raises(ArgumentError, match=r"svd: a of shape \(3, 2\) is not square.*full_matrices=False, or a\.detach\(\)"):
        np.linalg.svd(leaf(tall))
    with pytest.raises(ArgumentError, match=r"the last 1 columns of q are an arbitrary basis.*mode='reduced'"):
        np.linalg.qr(leaf(tall), mode="complete")
    assert np.linalg.svd(tg.Tensor(tall)).U.shape == (3, 3)
    assert np.linalg.qr(tg.Tensor(tall), mode="complete").Q.shape == (3, 3)
    with tg.no_grad():
        assert np.linalg.svd(leaf(tall)).U.shape == (3, 3)
    with pytest.raises(MatrixError, match="qr: the columns depend on each other"):
        gradient(lambda a: tg.qr(a).R.sum(), np.zeros((2, 2)))
    with pytest.raises(MatrixError, match="eig: the matrix has too few eigenvectors"):
        gradient(lambda a: tg.eig(a).eigenvalues.sum(), np.array([[1.0, 1.0], [0.0, 1.0]]))


# --------------------------------------------------------------------------------------- least squares, norms, functions


def test_least_squares():
    a, b = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 3))
    for left, right in [(a, b), (a, b[:, 0]), (a.T, b[:2]), (np.outer(a[:, 0], a[0]), b)]:
        x, residuals, rank, s = np.linalg.lstsq(leaf(left), right)
        expected = np.linalg.lstsq(left, right)
        for ours, theirs in zip((x, residuals, s), (expected[0], expected[1], expected[3]), strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)
        assert rank == expected[2]
    assert_gradients(lambda a, b: np.linalg.lstsq(a, b)[1], a, b, order=2)
    with pytest.raises(ShapeError, match="lstsq: a is one matrix, and b a vector or a matrix"):
        tg.lstsq(tg.Tensor(a), b[:3])


def test_the_pseudo_inverse_at_constant_rank():
    left, right = RNG.normal(size=(3, 1)), RNG.normal(size=(1, 2))
    assert_gradients(lambda left, right: np.linalg.pinv(left @ right, rcond=1e-8), left, right, order=2)
    np.testing.assert_allclose(np.linalg.pinv(tg.Tensor(left @ right), rtol=1e-8).numpy(), np.linalg.pinv(left @ right))


def test_norms_of_matrices_as_numpy_names_them():
    a = RNG.normal(size=(3, 2, 4))
    for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        expected = np.linalg.norm(a, ord=ord, axis=(2, 0))
        np.testing.assert_allclose(tg.matrix_norm(tg.Tensor(a), ord, axis=(2, 0)).numpy(), expected)
        np.testing.assert_allclose(np.linalg.norm(tg.Tensor(a), ord=ord, axis=(2, 0)).numpy(), expected)
        assert tg.matrix_norm(tg.Tensor(a), ord, axis=(2, 0), keepdims=True).shape == (1, 2, 1)
        np.testing.assert_allclose(np.linalg.matrix_norm(tg.Tensor(a), ord=ord).numpy(), np.linalg.matrix_norm(a, ord=ord))
    with pytest.raises(ArgumentError, match="ord is fro, nuc"):
        tg.matrix_norm(tg.Tensor(WIDE), 3)
    with pytest.raises(ShapeError, match="a pair of different axes"):
        tg.matrix_norm(tg.Tensor(WIDE), axis=(0, -2))


def test_functions_of_a_matrix():
    pytest.importorskip("scipy", reason="SciPy is not installed")
    a = SQUARE @ SQUARE.T / 4 + np.eye(3)
    for f, inverse in [(tg.expm, tg.logm), (tg.sqrtm, lambda y: y @ y)]:
        np.testing.assert_allclose(inverse(f(tg.Tensor(a))).numpy(), a, atol=1e-10)
        with warnings.catch_warnings(action="ignore"):  # far from a, SciPy has doubts of its logarithm
            assert_gradients(lambda a, f=f, inverse=inverse: inverse(f(a)) + a, a, order=1)
    assert assert_gradients(tg.expm, SQUARE / 4, order=3).compared >= 27
    assert tg.logm(tg.Tensor(a.astype(np.float32))).dtype == np.float32
    np.testing.assert_allclose(tg.sqrtm(tg.Tensor([[-4.0]])).numpy(), [[2j]])


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_exponential_of_badly_scaled_matrices(dtype):
    pytest.importorskip("scipy", reason="SciPy is not installed")
    a, g, v = (np.array(x, dtype) for x in ([[0, -5e7], [0, 0]], [[1, 2], [-3, 1]], [[2, -1], [1, 3]]))

    def series(a):  # which ends, for a² = 0: its second derivative has no term after the fifth power
        return sum(itertools.accumulate(range(1, 7), lambda term, k: term @ a / k, initial=np.eye(2)))

    def second(f):
        first = tg.grad(lambda a: (f(a) * g).real.sum())
        return tg.grad(lambda a: (first(a) * v).real.sum())

    expected = second(series)(tg.Tensor(a.astype("c16"))).numpy()
    np.testing.assert_allclose(second(tg.expm)(tg.Tensor(a)).numpy(), expected, atol=1e-6 * np.abs(expected).max())
    with warnings.catch_warnings(action="ignore"):  # far from a, numbers overflow
        assert_gradients(tg.expm, np.array([[-0.2, 6e7], [0, 17]], dtype), order=2)
        assert_gradients(tg.expm, np.array([[-1e-14, -5e7], [0, 0]], dtype), order=2)


@pytest.mark.parametrize("f", [tg.sqrtm, tg.logm])
def test_functions_of_a_matrix_with_negative_eigenvalues(f):
    pytest.importorskip("scipy", reason="SciPy is not installed")
    for a in ([[2.0, 0.3], [0.1, -3.0]], [[-2.0, 0.3], [0.4, -5.0]], [[0.0, 1.0], [-1.0, -1.0]]):
        assert assert_gradients(f, a, order=3).compared >= 13
    with warnings.catch_warnings(action="ignore"), pytest.raises(MatrixError, match="a singular matrix has none; add a small"):
        gradient(lambda a: f(a).real.sum(), [[1.0, 2.0], [2.0, 4.0]])


def test_powers_of_a_matrix():
    a = SQUARE + 3 * np.eye(3)
    for n in range(-3, 8):
        np.testing.assert_allclose(
            np.linalg.matrix_power(tg.Tensor(a), n).numpy(), np.linalg.matrix_power(a, n), rtol=1e-10, atol=1e-12
        )
    x = leaf(a)
    first = tg.matrix_power(x, 1)
    assert first is not x
    with pytest.raises(ArgumentError, match="n is an integer"):
        tg.matrix_power(x, 0.5)


def log_likelihood(scale, noise, x, y):
    """Of a Gaussian process, as it is written for NumPy."""
    k = np.exp(-0.5 * ((x[:, None] - x[None, :]) / scale) ** 2) + noise**2 * np.eye(len(x))
    factor = np.linalg.cholesky(k)
    weights = np.linalg.solve(factor, y)
    return -0.5 * np.sum(weights**2) - np.sum(np.log(np.diagonal(factor)))


def test_the_likelihood_of_a_gaussian_process():
    x = np.linspace(0, 3, 5)
    assert assert_gradients(log_likelihood, np.array(0.8), np.array(0.3), x, np.sin(x), order=2).largest[0] > 0.1
    plain = log_likelihood(0.8, 0.3, x, np.sin(x))
    assert log_likelihood(tg.Tensor(0.8), tg.Tensor(0.3), x, np.sin(x)).item() == pytest.approx(plain, rel=1e-12)


# ------------------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "name", ["inv", "det", "slogdet", "cholesky", "eigh", "eig", "eigvals", "eigvalsh", "matrix_power", "expm"]
)
def test_what_is_not_square(name):
    options = {"n": 2} if name == "matrix_power" else {}
    with pytest.raises(ShapeError, match=rf"{name} wants a square matrix.*got shape \(2, 3\): it is 2 by 3"):
        getattr(tg, name)(tg.Tensor(WIDE), **options)
    with pytest.raises(ShapeError, match=rf"{name} wants a square matrix.*fewer than two axes"):
        getattr(tg, name)(WIDE[0], **options)


def test_what_is_no_matrix():
    for f in (tg.svd, tg.svdvals, tg.qr, tg.pinv):
        with pytest.raises(ShapeError, match=rf"{f.__name__} wants a matrix.*got shape \(3,\): it has fewer than two axes"):
            f(np.ones(3))


def test_what_is_singular():
    for given in (np.ones((2, 2)), tg.Tensor(np.ones((2, 2)))):
        with pytest.raises(MatrixError, match="inv: Singular matrix; called with shape .2, 2. float64.*lstsq or pinv.*1e-6"):
            tg.inv(given)
    with pytest.raises(MatrixError, match="solve: Singular matrix"):
        tg.solve(tg.Tensor(np.ones((2, 2))), [1.0, 2.0])
    with pytest.raises(MatrixError, match="solve_triangular: .*0 on its diagonal is singular"):
        tg.solve_triangular(tg.Tensor(np.zeros((2, 2))), [1.0, 2.0])
    with pytest.raises(np.linalg.LinAlgError):  # as NumPy's users expect
        np.linalg.inv(tg.Tensor(np.zeros((2, 2))))


def test_what_is_not_positive_definite():
    with pytest.raises(
        MatrixError, match=r"cholesky: .*not positive definite: its smallest eigenvalue is -1\. .*a \+ 1e-6 \* np\.eye"
    ):
        tg.cholesky(tg.Tensor([[1.0, 2.0], [2.0, 1.0]]))


def test_half_precision_is_refused_by_name():
    with pytest.raises(DTypeError, match="inv: array type float16 is unsupported"):
        tg.inv(tg.Tensor(np.eye(2), dtype=np.float16))
