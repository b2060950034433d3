"""The functions that people reach for: each is there under its usual name, and is what NumPy's function of the name does."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.registry import METHODS, REGISTRY, SCIPY, counterpart

FLOOR = {
    "arithmetic": """
        add subtract multiply divide power negative positive square sqrt reciprocal mod remainder fmod abs absolute fabs
        cbrt hypot float_power copysign logaddexp logaddexp2 exp exp2 expm1 log log2 log10 log1p
    """,
    "trigonometric": """
        sin cos tan sec csc cot arcsin arccos arctan arcsec arccsc arccot arctan2 sinc deg2rad rad2deg radians degrees
        asin acos atan atan2
    """,
    "hyperbolic": """
        sinh cosh tanh sech csch coth arcsinh arccosh arctanh arcsech arccsch arccoth asinh acosh atanh
    """,
    "select": "where maximum minimum clip fmax fmin select nan_to_num heaviside choose lerp sign",
    "reductions": """
        sum mean prod max min amax amin var std average median quantile percentile ptp cumsum cumprod trace norm nansum
        nanmean nanvar nanstd nanmax nanmin nanprod logsumexp
    """,
    "shape": """
        reshape ravel flatten transpose swapaxes expand_dims squeeze atleast_1d atleast_2d atleast_3d moveaxis rollaxis
        roll rot90 flip flipud fliplr astype tile repeat broadcast_to meshgrid block concatenate stack split array_split
        hsplit vsplit dsplit hstack vstack dstack column_stack append insert delete pad
        linspace full_like copy
    """,
    "index and order": """
        take take_along_axis put_along_axis sort partition diag diagonal tril triu diff ediff1d gradient trapezoid
        interp unwrap compress extract searchsorted argsort argmax argmin nonzero
    """,
    "products": """
        matmul dot inner outer vdot vecdot matvec vecmat kron cross tensordot einsum multi_dot convolve correlate
        polyval vander cov corrcoef
    """,
    "linear algebra": """
        inv pinv solve lstsq det slogdet cholesky qr eigh eigvalsh eig eigvals svd svdvals matrix_power matrix_norm
        vector_norm expm sqrtm solve_triangular solve_banded solve_sylvester
    """,
    "Fourier": """
        fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftshift ifftshift real imag conj
        angle real_if_close
    """,
    "special": """
        erf erfc erfinv erfcinv expit logit gamma rgamma gammaln gammasgn digamma polygamma gammainc gammaincc beta betaln betainc
        betaincc stdtr i0 i1 iv ive j0 j1 jv jn y0 y1 yn k0 k1 kn xlogy entr ndtr log_ndtr
    """,
    "activations": """
        sigmoid relu softmax log_softmax leaky_relu elu selu celu gelu silu mish softplus softsign hardtanh hardswish
        glu log_sigmoid
    """,
    "windows": "sliding_window_view",
}
NAMES = [pytest.param(name, id=name) for names in FLOOR.values() for name in names.split()]

OTHER_IN_NUMPY = {"fft"}  # a module there

# Their first operand is no tensor, or a list of them, or their name would promise a change in place.
NO_METHODS = """
    where select choose concatenate stack hstack vstack dstack column_stack block meshgrid atleast_1d atleast_2d
    atleast_3d einsum multi_dot extract compress interp polyval polygamma gradient append insert delete linspace full_like
    gammainc gammaincc betainc betaincc stdtr iv ive jv jn yn kn solve_banded
"""


@pytest.mark.parametrize("name", NAMES)
def test_it_is_there(name):
    assert callable(getattr(tg, name))
    assert name in tg.__all__
    assert (getattr(tg, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_numpys_function_on_tensors(name):
    ours = getattr(tg, name)
    for module in (np, np.linalg, np.fft, np.lib.stride_tricks):
        theirs = getattr(module, name, None)
        if theirs is not None and callable(theirs) and not (module is np and name in OTHER_IN_NUMPY):
            mapped = counterpart(theirs)
            assert mapped is not None, f"{module.__name__}.{name}"
            assert (
                name in ("trace", "diagonal", "outer", "norm", "clip", "cross", "pad")
                or mapped is ours
                or mapped.__name__.strip("_") == name
            )


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_method(name):
    if name not in NO_METHODS.split():
        assert METHODS.get(name) is getattr(tg, name) or name in vars(tg.Tensor)


def test_scipys_special_functions_are_ours():
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")
    for name in FLOOR["special"].replace("polygamma", "").split():  # that one is no ufunc
        assert counterpart(getattr(special, name)) is getattr(tg, name), name
    assert SCIPY


def test_every_operation_is_tested_to_order_2_or_says_why_not():
    short = {name: op for name, op in REGISTRY.items() if op.ours and op.cases and op.orders < 2}
    assert [name for name, op in short.items() if "order" not in (op.function.__doc__ or "")] == []


def test_there_are_hundreds():
    declared = [op for name, op in REGISTRY.items() if op.ours and not name.startswith("_")]
    assert len(declared) > 250
    assert all(len(op.formula) > 3 for op in declared)
