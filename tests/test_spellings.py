"""The many ways to write an operation: NumPy's forms of its arguments on arrays, on tensors, and in the library's own name."""

import inspect
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.ops import constant
from tinygrad_edu.registry import FUNCTIONS, REGISTRY, Lazy

V = np.array([0.5, -1.25, 2.0, 3.5])
W = np.array([1.5, 0.25, -2.0, 1.0])
M = np.array([[0.5, -1.0, 2.5, 3.0], [4.5, 0.25, -0.75, 1.0], [2.0, 6.0, 1.25, -3.0]])
ARRAYS = {
    "V": V,
    "W": W,
    "M": M,
    "T": np.arange(24.0).reshape(2, 3, 4) / 8,
    "S": np.array(1.25),
    "P": np.abs(M) + 0.25,
    "F": V.astype("f4"),
    "C": V + 1j * W,
    "H": V.astype("f2"),
    "I": np.array([3, 1, 2]),
    "IM": np.arange(12).reshape(3, 4),
    "B": np.array([True, False, True, True]),
    "N": np.where(np.eye(3, 4) > 0, np.nan, M),
    "L": np.array([1.0, np.inf]),
    "E": np.array([]),
    "Z": np.zeros((0, 3)),
}

# Positional and short forms, and NumPy's own names and orders of arguments: the property tests give metadata by name only.
CALLS = """
sum(M, 0) sum(M, axis=(0, 1)) sum(M, 1, keepdims=True) mean(M, -1) mean(M, (0, 1), keepdims=True) prod(M, 0) max(M, 1)
amin(M, 0) var(M, 0) var(M, axis=1, ddof=1) std(M, 1, ddof=2, keepdims=True) ptp(M, 1) median(M, 0)
median(M, (0, 1), keepdims=True) median(M, axis=[0, 1]) quantile(M, 0.3, 1) quantile(M, [0.1, 0.7], (0, 1), method="weibull")
percentile(M, 30, 0) quantile(M, 0.3, axis=[1]) nanquantile(N, [0.2, 0.5], 1) nanmedian(N, 0) nanmean(N, 0) nansum(N, 1)
nanvar(N, 1, ddof=1) quantile(L, 0) nanmax(N, 1) nanmin(N, 0) average(M, 1, W) average(M, weights=P)
average(M, 0, returned=True) average(IM, 1, F) average(IM, 1, H) average(V, weights=I[[0, 1, 2, 0]])
average(F, weights=F * F, returned=True) cumsum(M, 1) cumsum(M) cumprod(M, -1) cumulative_sum(S)
cumulative_sum(V, include_initial=True) cumulative_prod(M, axis=1) nancumsum(N, 1) diff(M, 2) diff(M, 1, 0) diff(M, prepend=0.5)
diff(IM, append=7) ediff1d(V, 1.0, [2.0, 3.0]) gradient(V) gradient(V, 0.5) gradient(M) gradient(M, 0.5, W)
gradient(M, 2.0, axis=1) gradient(M, axis=(0, 1), edge_order=2) gradient(T, axis=(-1, 0)) trapezoid(M, dx=0.5) trapezoid(M, W)
trapezoid(M, None, 0.5, 0) interp(W, [0.0, 1.0, 2.0], [1.0, 5.0, 0.0]) interp([0.0, 0.5, 1.0], [0.0, 1.0], L)
interp(0.5, [0.0, 1.0], -L) interp(W, [0.0, 1.0], [1.0, 2.0], -7, 9.0) unwrap(V * 9, 4.0)
interp(W, [2.0, 0.5, 1.0], [1.0, 5.0, 0.0], period=3) interp([0.0, 0.5, 1.0], [0.0, 1.0], [np.inf, np.inf]) clip(V, 0, 1)
clip(V, None, 1) clip(V, min=0.0) clip(M, W, W + 1) where(B, V, W) where(V > 0, V, 0) maximum(V, 0.5) heaviside(V, 0.5)
select([V > 1, V < 0], [V, W]) select([V > 1, V < 0], [V, -V], 7.0) select([B, V > 1], [1, F]) choose([0, 1, 1, 0], [V, W])
choose([0, 2, -1, 5], [V, W, 3.0], mode="wrap") choose([0, 2, -1, 5], [V, W], mode="clip") nan_to_num(N, nan=3.0) nan_to_num(L)
nan_to_num(L, posinf=4.0, neginf=-1.0) nan_to_num(-L, neginf=-1.0) reshape(M, (4, 3)) reshape(M, -1) reshape(M, (2, -1), "F")
reshape(M, (6, 2), order="F") ravel(M) ravel(M, "F") ravel(M, order="C") transpose(T, (2, 0, 1)) transpose(T) swapaxes(T, 0, 2)
moveaxis(T, 0, -1) moveaxis(T, [0, 1], [-1, 0]) rollaxis(T, 2, 1) expand_dims(V, 1) expand_dims(V, (0, 2)) squeeze(M[None], 0)
squeeze(V) atleast_1d(S) atleast_1d(S, V) atleast_2d(V) atleast_2d(S, V, M) atleast_3d(V) atleast_3d(S, M, T) astype(V, "f4")
astype(V, int) flip(M) flip(M, 1) roll(M, 1) roll(M, (1, 2), (0, 1)) rot90(M) rot90(M, 3, (1, 0)) repeat(V, 2)
repeat(M, [1, 2, 0], 0) tile(V, 2) tile(M, (2, 1, 2)) broadcast_to(V, (2, 4)) broadcast_arrays(V, M)
broadcast_arrays(V[:1], S, 2.0) meshgrid(V, W) meshgrid(V, W, sparse=True) meshgrid(V, W[:2], indexing="ij")
meshgrid(V, [1.0, 2.0], V[:1]) block([[M, M], [M, M]]) block([V, W]) block([[V], [W]]) block(V) concatenate([M, P])
concatenate((M, P), 1) concatenate([M, V], None) concatenate([V, W], dtype="f4") stack([V, W], 1) stack([V, W], dtype="f4")
hstack([V, W]) vstack([V, W], dtype="f4") dstack([V, W]) column_stack([V, M.T]) append(V, [7.0]) append(M, M, 0)
insert(V, 1, [7.0, 8.0]) insert(M, [0, 2], 5.0, 1) delete(V, [0, 2]) delete(M, 1, 0) split(V, 2) split(M, [1, 2], 1)
array_split(V, 3) hsplit(M, 2) hsplit(V, 2) vsplit(M, 3) dsplit(T, [1]) unstack(M) unstack(M, axis=1) pad(V, 1)
pad(V, (1, 2), "edge") pad(M, ((0, 1), (2, 0)), "reflect") pad(V, 2, constant_values=(1.0, 2.0)) take(M, [0, 2])
take(M, [0, 2], 1) take(V, 7, mode="clip") take_along_axis(M, IM[:, :2] % 4, 1) compress([True, False, True], M, 0)
extract(M > 1, M) sort(M) sort(M, 0) sort(M, None) partition(V, 3) unique(I) unique(IM // 5, True)
unique([1.0, 1.0, 3.0], return_counts=True) sign(V) fmod(V, 2) remainder(V, -2) divmod(V, 2) divmod(V, W) modf(V) modf(I)
modf(-L) float_power(I, 2) float_power(F, 3) float_power(F[2:], F[2:]) power(F, 2) power(2.0, V) ldexp(V, 2) copysign(V, W)
bincount(I, [1, 2, 3]) bincount(I) bincount(I, V[1:], 6) bincount([True, False, True], V[1:]) logaddexp(V, 1)
logaddexp.reduce(M) add.reduce(M) add.accumulate(M) add.outer(V, W) einsum("ij,kj->ik", M, P) einsum("ii", M[:, 1:])
einsum(M, [0, 1], W, [1], [0]) tri(2, 3) round(V) round(V, 1) floor(V) around(V, decimals=1) argsort(M, 0) argmax(M, 1)
searchsorted(I, [2.5], side="right") nonzero(V > 1) full_like(V, 3) angle(C) angle(C, True) linalg.norm(V) linalg.norm(M, 1)
linalg.norm(M, "fro", (0, 1), True) linalg.norm(E, np.inf) linalg.norm(Z, np.inf) fft.fftn(S) fft.ifftn(S) fft.fftn(M, axes=())
fft.fftn(M, (2, 2), (0, 1)) fft.rfft(V, 6) fft.fft2(M) fft.fftshift(M, 1) ix_([0, 1], [2])
linspace(V, W, 3) linspace(0.0, S, 4, False) linspace(V, 1, num=3, axis=1) full_like(V, 3, dtype=int, shape=(2, 2)) copy(V) copy(I)
copy(V > 1) real_if_close(C) real_if_close(V) real_if_close(V + 0j) hypot.reduce(M) hypot.reduce(P, 1, keepdims=True)
ediff1d(F, [1.0], 2.0) gradient(F, W) subtract.reduce(V) subtract.reduce(M, axis=-1) divide.accumulate(P)
power.accumulate(P, 1) logaddexp2.reduce(V, None) fmax.accumulate(N, -1) copysign.outer(V, W) hypot.reduce(Z)
""".replace("\n", " ")


def calls():
    """The calls one by one: they are separated by blanks outside of brackets."""
    found, depth = [""], 0
    for letter in CALLS:
        depth += (letter in "([") - (letter in ")]")
        if letter == " " and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [call for call in found if call]


def flat(result):
    return [part for piece in result for part in flat(piece)] if isinstance(result, tuple | list) else [result]


def numbers(part):
    return part.numpy() if isinstance(part, tg.Tensor) else np.asarray(part)


def same(found, expected):
    found, expected = flat(found), flat(expected)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        other = np.asarray(other)
        assert numbers(one).shape == other.shape
        assert numbers(one).dtype == other.dtype
        np.testing.assert_allclose(numbers(one), other, rtol={"f2": 4e-3, "f4": 1e-5}.get(other.dtype.str[1:], 1e-12))


NAMES = {"np": np, "tg": tg, "int": int}


@pytest.mark.parametrize("call", calls())
def test_numpys_forms_of_arguments(call):
    name = call.partition("(")[0]
    if not hasattr(np, name.partition(".")[0]):
        pytest.skip(f"this NumPy has no {name}")  # unstack and cumulative_sum are of NumPy 2.1
    with np.errstate(all="ignore"):
        expected = eval(f"np.{call}", {**NAMES, **ARRAYS})
    for requires_grad in (False, True):
        tensors = {key: tg.Tensor(a, requires_grad=requires_grad and a.dtype.kind in "fc") for key, a in ARRAYS.items()}
        same(eval(f"np.{call}", {**NAMES, **tensors}), expected)
        ours = call.removeprefix("linalg.").removeprefix("fft.")
        if "." not in ours.partition("(")[0] and hasattr(tg, ours.partition("(")[0]):
            same(eval(f"tg.{ours}", {**NAMES, **tensors}), expected)
            on_arrays = eval(f"tg.{ours}", {**NAMES, **ARRAYS})
            same(on_arrays, expected)
            assert not any(isinstance(part, tg.Tensor) for part in flat(on_arrays))


def test_every_spelling_is_among_them():
    operations = {operation.function for operation in REGISTRY.values()}
    spellings = {name for name, f in FUNCTIONS.items() if f not in operations and f.__module__ != constant.__name__}
    known = {call.partition("(")[0] for call in calls()}
    not_in_numpy = "unbind clone one_hot cho_solve solve_banded gammasgn kn yn view permute"  # and aliases
    assert spellings - known == set(not_in_numpy.split())


def test_spellings_are_differentiated():
    """Each result is a choice or a rearrangement: a cotangent comes back where the element came from."""
    x = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    weights = np.array([[1.0, 10.0], [100.0, 1000.0]])
    rearranged = {
        "atleast_3d": lambda x: tg.atleast_3d(x)[..., 0],
        "atleast_2d": tg.atleast_2d,
        "atleast_1d": tg.atleast_1d,
        "block": lambda x: tg.block([[x[:1]], [x[1:]]]),
        "unstack": lambda x: tg.stack(tg.unstack(x, axis=1), 1),
        "hsplit": lambda x: tg.hstack(tg.hsplit(x, 2)),
        "vsplit": lambda x: tg.vstack(tg.vsplit(x, 2)),
        "dsplit": lambda x: tg.dsplit(x[..., None], 1)[0][..., 0],
        "select": lambda x: tg.select([x.data > 2, x.data < 2], [x, x], x),
        "choose": lambda x: tg.choose([[0, 1], [1, 0]], [x, x]),
        "meshgrid": lambda x: tg.stack([tg.meshgrid(row, [0.0])[0][0] for row in x]),
        "broadcast_arrays": lambda x: tg.broadcast_arrays(x, 0.0)[0],
        "astype": lambda x: tg.astype(x, np.float32),
        "modf": lambda x: tg.modf(x)[0],
        "divmod": lambda x: tg.divmod(x, 7)[1],
        "float_power": lambda x: tg.float_power(x, 1),
        "gradient": lambda x: tg.gradient(tg.stack([-x, 0 * x, x]), axis=0)[1],
        "reshape": lambda x: tg.reshape(tg.reshape(x, -1, "F"), (2, 2), "F"),
        "numpy.pad": lambda x: np.pad(x, 1)[1:-1, 1:-1],
    }
    for name, f in rearranged.items():
        x.grad = None
        f(x).backward(weights)
        np.testing.assert_array_equal(x.grad.numpy(), weights, err_msg=name)


# ------------------------------------------------------------------------------------------- what the property tests leave out


def test_numpys_functions_have_all_of_the_metadata_that_is_drawn():
    """The property tests pass over those of NumPy's functions that lack a parameter, and would so compare nothing."""
    left_out = set()
    for name, operation in REGISTRY.items():
        for theirs in operation.numpy:
            if not operation.ours or isinstance(theirs, Lazy | np.ufunc) or theirs is None:
                continue
            try:
                parameters = inspect.signature(theirs).parameters
            except ValueError:
                parameters = {}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                metadata = {key for case in operation.cases for key in case.domains if key not in operation.operands}
                left_out |= {f"{name}: {key}" for key in metadata - set(parameters)}
    assert left_out == set()


# ------------------------------------------------------------------------------------------------------ axes, order, errors


X = tg.Tensor(M, requires_grad=True)
ONE_MORE = {  # what the functions with an axis take beside it
    **dict.fromkeys(["quantile", "percentile", "nanquantile", "nanpercentile"], 0.5),
    **dict.fromkeys(["split", "roll", "partition", "argpartition", "top_k", "delete"], 1),
    **dict.fromkeys(["repeat", "array_split", "sliding_window_view"], 2),
    **dict.fromkeys(["append", "cross", "vecdot"], X),
    "take": [0],
    "take_along_axis": [[0]],
}
WITH_AN_AXIS = [
    name
    for name, f in sorted(FUNCTIONS.items())
    if f.__name__ == name
    and (f.__module__ != constant.__name__ and "axis" in inspect.signature(f).parameters)
    and name not in ("compress", "insert", "put_along_axis", "overlap_add", "matrix_norm", "vander", "tensordot")
]


@pytest.mark.parametrize("name", WITH_AN_AXIS)
def test_an_axis_that_is_not_there_is_refused(name):
    f = getattr(tg, name)
    operands = [X, *([ONE_MORE[name]] if name in ONE_MORE else [])]
    first = REGISTRY[name].variadic if name in REGISTRY else False
    for axis in (5, -4, (0, 5)):
        with pytest.raises((ValueError, IndexError, TypeError)):
            f([X, X] if first else X, *operands[1:], axis=axis)
    assert WITH_AN_AXIS


@pytest.mark.parametrize("name", ["median", "nanmedian", "quantile", "percentile", "nanquantile", "nanpercentile"])
def test_the_axes_of_a_quantile_are_checked_by_name(name):
    more = [ONE_MORE[name]] if name in ONE_MORE else []
    f = getattr(tg, name)
    with pytest.raises(ShapeError, match=rf"{name}: axis 5 of an array of shape \(3, 4\)"):
        f(X, *more, axis=5)
    with pytest.raises(ShapeError, match=rf"{name}: axis=\(0, -2\) names an axis twice"):
        f(X, *more, axis=(0, -2))
    assert f(X, *more, axis=[0, 1]).shape == ()


def test_positional_arguments_are_not_taken_for_others():
    with pytest.raises(TypeError, match="too many positional"):
        tg.nan_to_num(np.array([np.nan]), True)
    same(np.nan_to_num(tg.Tensor([np.nan]), True, 3.0), np.array([3.0]))
    with pytest.raises(TypeError, match="too many positional"):
        tg.unwrap(V, None, -1, 3.0)
    with pytest.raises(TypeError, match=r"sum\(\) takes its operand by position \(a\)"):
        tg.sum(a=X)


def test_lists_of_tensors_are_refused_by_the_name_of_the_operation():
    for f in (tg.sum, tg.exp, tg.max):
        with pytest.raises(DTypeError, match=f"{f.__name__}: an operand is a list of tensors; make one of them with tg.stack"):
            f([X, X])


def test_errors_of_constant_functions_name_them():
    with pytest.raises(ShapeError, match=r"argpartition: kth\(=5\) out of bounds \(4\)\n  called with a tensor of \(4,\) float64"):
        tg.partition(tg.Tensor(V), 5)
    with pytest.raises(ShapeError, match="argmax: axis 3 is out of bounds"):
        tg.argmax(X, 3)


def test_only_two_orders():
    for f in (tg.reshape, np.reshape):
        with pytest.raises(ArgumentError, match=r"reshape: order is 'C', row by row, or 'F'.*got 'A'"):
            f(X, -1, order="A")
    with pytest.raises(ArgumentError, match="ravel: order"):
        np.ravel(X, "K")
    assert X.reshape(2, 6, order="F").tolist() == M.reshape(2, 6, order="F").tolist()


def test_the_borders_that_numpy_computes_are_there_for_constants():
    x = tg.Tensor(V)
    for mode, options in [
        ("mean", {}),
        ("maximum", {"stat_length": 2}),
        ("linear_ramp", {"end_values": 2}),
        ("reflect", {"reflect_type": "odd"}),
    ]:
        y = np.pad(x, 2, mode, **options)
        assert isinstance(y, tg.Tensor)
        np.testing.assert_array_equal(y.data, np.pad(V, 2, mode, **options))
    assert np.pad(x, 1, "empty").shape == (6,)
    recording = tg.Tensor(V, requires_grad=True)
    with pytest.raises(ArgumentError, match="pad: mode 'mean' has no derivative here"):
        np.pad(recording, 1, "mean")
    with pytest.raises(ArgumentError, match="pad: reflect_type has no derivative here"):
        np.pad(recording, 1, "reflect", reflect_type="odd")
    with tg.no_grad():
        assert np.pad(recording, 1, "mean").tolist() == np.pad(V, 1, "mean").tolist()


def test_a_single_number_cannot_be_iterated_over():
    assert not np.iterable(tg.Tensor(1.0))
    assert np.iterable(tg.Tensor([1.0]))
    with pytest.raises(TypeError, match="iteration over a 0-d array"):
        list(tg.Tensor(1.0))
    assert [row.tolist() for row in X] == M.tolist()


# --------------------------------------------------------------------------------------------- gradients that are not dropped


def gradient_of(f, *values):
    tensors = [tg.Tensor(value, requires_grad=True) for value in values]
    f(*tensors).sum().backward()
    return [tensor.grad.numpy() for tensor in tensors]


def test_quantiles_are_differentiated_by_the_fraction():
    a = np.array([1.0, 2.0, 5.0])
    for f, g, q in [(tg.quantile, np.quantile, 0.25), (tg.nanquantile, np.nanquantile, 0.75)]:
        (slope,) = gradient_of(lambda q, f=f: f(a, q), q)
        assert slope == pytest.approx((g(a, q + 1e-6) - g(a, q - 1e-6)) / 2e-6)
    for f in (tg.percentile, tg.nanpercentile, np.percentile):
        (slope,) = gradient_of(lambda q, f=f: f(tg.Tensor(a), q), 75.0)
        assert slope == pytest.approx(3 * 2 / 100)
    for method in ("lower", "nearest", "midpoint"):  # steps
        assert not tg.quantile(a, tg.Tensor(0.4, requires_grad=True), method=method).requires_grad


def test_interpolation_is_differentiated_by_the_period():
    (slope,) = gradient_of(lambda period: tg.interp([5.0], [0.0, 2.0], [1.0, 3.0], period=period), 4.0)
    assert slope == pytest.approx(-1.0)  # 5 is 1 in the period, and moves left as that grows


def test_places_that_are_numbers_and_edges_are_refused():
    x = tg.Tensor(V, requires_grad=True)
    with pytest.raises(DTypeError, match=r"ix_ returns a constant.*requires grad: indices are integers; .*tg\.meshgrid"):
        np.ix_(x, x)
    with pytest.raises(DTypeError, match="histogram returns a constant, and the tensor given as bins requires grad"):
        np.histogram([0.5], tg.Tensor([0.0, 1.0], requires_grad=True))
    with pytest.raises(DTypeError, match="copyto .*tg.broadcast_to"):
        np.full_like([1.0, 2.0], x[0])


# -------------------------------------------------------------------------------------------------------- memory and aliases

SHAPES = [(), (1,), (3,), (2, 2), (1, 3), (0,), (2, 2, 2)]
ARGUMENTS = [(), (0,), (-1,), ((),), (None,), (1,)]


@pytest.mark.filterwarnings("ignore")
def test_no_operation_locks_its_operand_or_hands_out_its_memory():
    """Each with whatever arguments it takes. A result is a view at most, read-only, and what it was made of stays as it was."""
    wrong = set()
    with np.errstate(all="ignore"):
        for name, f in FUNCTIONS.items():
            for shape in SHAPES:
                for dtype in ("f8", "i8", "c16"):
                    for more in ARGUMENTS:
                        array = np.ones(shape, dtype)
                        x = tg.from_numpy(array)
                        try:
                            y = f(x, *more)
                        except Exception:  # these are no arguments for it
                            continue
                        for part in flat(y):
                            if isinstance(part, tg.Tensor) and part is not x and part.data.flags.writeable:
                                wrong |= {f"{name} hands out memory"} if np.shares_memory(part.data, array) else set()
                        wrong |= set() if array.flags.writeable else {f"{name} locks its operand"}
    assert wrong == set()


def test_a_parameter_that_was_squeezed_can_still_be_trained():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    (w.squeeze() ** 2).sum().backward()
    w.data -= 0.5 * w.grad.data
    assert w.tolist() == [0, 0]
    array = np.array([1.0, 2.0])
    np.squeeze(tg.from_numpy(array))
    array[0] = 5


def test_constant_functions_do_not_write_into_tensors():
    x = tg.Tensor([1.6, 2.2], requires_grad=True)
    a = np.array([5.5, 5.5])
    for call in (
        lambda: tg.round(a, 0, out=x),
        lambda: tg.round(a, 0, x),
        lambda: tg.floor(a, x),
        lambda: tg.floor(x.detach(), out=(x,)),
        lambda: tg.argmax(a, None, tg.Tensor(7)),
        lambda: tg.all(a, None, tg.Tensor(False)),
        lambda: np.floor(x, x),
    ):
        with pytest.raises(DTypeError, match="out= cannot be a tensor"):
            call()
    assert x.tolist() == [1.6, 2.2]


def test_an_array_given_as_out_is_the_result():
    buffer = np.zeros(2)
    assert np.round(tg.Tensor([1.6, 2.2]), 0, out=buffer) is buffer
    assert tg.floor(tg.Tensor([1.6, 2.2]), buffer) is buffer
    assert buffer.tolist() == [1, 2]


def test_methods_that_would_change_an_array_return_a_new_one():
    x = tg.Tensor([3.0, 1.0])
    assert (x.sort().tolist(), x.partition(0).tolist(), x.tolist()) == ([1, 3], [1, 3], [3, 1])
    assert not hasattr(tg.Tensor, "one_hot")
    assert math.isclose(tg.one_hot([1], 2).sum(), 1)
