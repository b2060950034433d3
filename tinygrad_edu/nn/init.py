"""Initialisers: fill a parameter in place, and return it. Counterpart: ``torch.nn.init``.

Each that draws takes ``rng``, a ``numpy.random.Generator``; without one the numbers differ from run to run. What fans are: a weight
of shape (out, in, …), as those of Linear and of convolutions are, has in · … inputs for each output and out · … outputs for each
input. A weight of `Affine`, (in, out), is the transpose: pass ``weight.T`` through a Tensor of your own, or swap the modes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from numpy.random import Generator  # not before it is needed: it takes half as long to load as all of this library

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


def generator(name: str, rng: Any) -> Generator:
    """The generator to draw from. Raises `DTypeError` for anything else that was given for one."""
    if rng is None:
        return np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise DTypeError(
            f"{name}: rng is a numpy Generator, got {type(rng).__name__}: pass rng=np.random.default_rng(seed), the same one "
            "to every layer"
        )
    return rng


def _filled(name: str, tensor: Tensor, numbers: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise DTypeError(f"{name}: a Tensor is filled in place, got {type(tensor).__name__}")
    tensor.data = np.broadcast_to(numbers, tensor.shape)
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, rng: Generator | None = None) -> Tensor:
    """Uniform from a to b. Counterpart: ``torch.nn.init.uniform_``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(np.zeros((2, 3)), requires_grad=True)
    >>> abs(tg.nn.init.uniform_(w, -0.1, 0.1, rng=np.random.default_rng(0)).data).max() <= 0.1
    np.True_
    """
    return _filled("uniform_", tensor, generator("uniform_", rng).uniform(a, b, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: Generator | None = None) -> Tensor:
    """Normal with a mean and a standard deviation. Counterpart: ``torch.nn.init.normal_``; 0.01 is what *Deep Learning from
    Scratch*, section 4.5, starts with."""
    return _filled("normal_", tensor, generator("normal_", rng).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, *, rng: Generator | None = None
) -> Tensor:
    """Normal, drawn again where it is not between a and b. Counterpart: ``torch.nn.init.trunc_normal_``."""
    draw = generator("trunc_normal_", rng)
    if not a < b or mean + 6 * std < a or mean - 6 * std > b:
        raise ArgumentError(f"trunc_normal_: a={a} to b={b} holds next to nothing of a normal distribution {mean} ± {std}")
    numbers = draw.normal(mean, std, tensor.shape)
    while (outside := (numbers < a) | (numbers > b)).any():
        numbers[outside] = draw.normal(mean, std, int(outside.sum()))
    return _filled("trunc_normal_", tensor, numbers)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere. Counterpart: ``torch.nn.init.constant_``."""
    return _filled("constant_", tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones. Counterpart: ``torch.nn.init.ones_``."""
    return _filled("ones_", tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros. Counterpart: ``torch.nn.init.zeros_``."""
    return _filled("zeros_", tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity. Raises `ShapeError` unless the tensor is a matrix. Counterpart: ``torch.nn.init.eye_``."""
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: an identity is a matrix, got shape {tensor.shape}")
    return _filled("eye_", tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Filters that pass channel i on as output i. Counterpart: ``torch.nn.init.dirac_``."""
    if tensor.ndim not in (3, 4, 5) or groups < 1 or len(tensor) % groups:
        raise ShapeError(f"dirac_: filters are (out, in, ...) with out a multiple of groups={groups}, got shape {tensor.shape}")
    numbers = np.zeros(tensor.shape)
    per = len(tensor) // groups
    centre = tuple([n // 2 for n in tensor.shape[2:]])
    for group in range(groups):
        for i in range(min(per, tensor.shape[1])):
            numbers[(group * per + i, i, *centre)] = 1
    return _filled("dirac_", tensor, numbers)


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """(inputs of every output, outputs of every input)"""
    if tensor.ndim < 2:
        raise ShapeError(
            f"{name}: a weight is (out, in, ...), and a tensor of shape {tensor.shape} has no inputs and outputs to count"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, *, rng: Generator | None = None) -> Tensor:
    """Uniform in ± gain √(6 / (in + out)). Glorot and Bengio (2010). Counterpart: ``torch.nn.init.xavier_uniform_``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> w = tg.nn.init.xavier_uniform_(tg.Tensor(np.zeros((300, 200))), rng=np.random.default_rng(0))
    >>> round(float(w.data.std()), 3)  # √(2 / (in + out))
    0.063
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, *, rng: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain √(2 / (in + out)). Counterpart: ``torch.nn.init.xavier_normal_``; section 6.2 of *Deep
    Learning from Scratch*."""
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))), rng=rng)


def _kaiming(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"{name}: mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan = _fans(name, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Generator | None = None
) -> Tensor:
    """Uniform in ± gain √(3 / fan). He et al. (2015). ``a`` is the slope of leaky_relu. Counterpart:
    ``torch.nn.init.kaiming_uniform_``."""
    bound = math.sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Generator | None = None
) -> Tensor:
    """Normal with standard deviation gain / √fan. Counterpart: ``torch.nn.init.kaiming_normal_``; "He" in section 6.2 of *Deep
    Learning from Scratch*.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Linear(200, 300)
    >>> w = tg.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", rng=np.random.default_rng(0))
    >>> round(float(w.data.std()), 2), w is layer.weight  # √(2 / in)
    (0.1, True)
    """
    return normal_(tensor, 0, _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity), rng=rng)


def orthogonal_(tensor: Tensor, gain: float = 1, *, rng: Generator | None = None) -> Tensor:
    """Rows (or columns, if there are fewer of them) that are orthogonal and of length gain. Saxe et al. (2014). Counterpart:
    ``torch.nn.init.orthogonal_``."""
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: a tensor of shape {tensor.shape} has no rows and columns")
    rows, columns = len(tensor), math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(generator("orthogonal_", rng).normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return _filled("orthogonal_", tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


GAINS = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What keeps the variance through a nonlinearity. ``param`` is the slope of leaky_relu. Counterpart:
    ``torch.nn.init.calculate_gain``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.init.calculate_gain("relu")
    1.4142135623730951
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    ones = ("linear", "sigmoid", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
    if nonlinearity not in GAINS and nonlinearity not in ones:
        known = ", ".join([*ones, *GAINS, "leaky_relu"])
        raise ArgumentError(f"calculate_gain: {nonlinearity!r} is none of {known}")
    return GAINS.get(nonlinearity, 1.0)
