"""The operations, one file per family. Importing this package registers them all; its names are those that they registered."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from tinygrad_edu.registry import FUNCTIONS as _FUNCTIONS

for _family in iter_modules(__path__):
    import_module(f"{__name__}.{_family.name}")

if TYPE_CHECKING:  # the same names, for readers that do not run the code
    from tinygrad_edu.ops.activation import *
    from tinygrad_edu.ops.arithmetic import *
    from tinygrad_edu.ops.bessel import *
    from tinygrad_edu.ops.bessel_second_kind import *
    from tinygrad_edu.ops.comparison import *
    from tinygrad_edu.ops.complex import *
    from tinygrad_edu.ops.constant import *
    from tinygrad_edu.ops.contraction import *
    from tinygrad_edu.ops.convolution import *
    from tinygrad_edu.ops.cumulative import *
    from tinygrad_edu.ops.decompositions import *
    from tinygrad_edu.ops.determinants import *
    from tinygrad_edu.ops.diagonals import *
    from tinygrad_edu.ops.differences import *
    from tinygrad_edu.ops.eigenvalues import *
    from tinygrad_edu.ops.entropy import *
    from tinygrad_edu.ops.error_function import *
    from tinygrad_edu.ops.exponential import *
    from tinygrad_edu.ops.factorials import *
    from tinygrad_edu.ops.filling import *
    from tinygrad_edu.ops.fourier import *
    from tinygrad_edu.ops.hyperbolic import *
    from tinygrad_edu.ops.incomplete import *
    from tinygrad_edu.ops.indexing import *
    from tinygrad_edu.ops.joining import *
    from tinygrad_edu.ops.linalg import *
    from tinygrad_edu.ops.loss import *
    from tinygrad_edu.ops.lstm import *
    from tinygrad_edu.ops.matrix_functions import *
    from tinygrad_edu.ops.moving import *
    from tinygrad_edu.ops.nan import *
    from tinygrad_edu.ops.norm import *
    from tinygrad_edu.ops.normalization import *
    from tinygrad_edu.ops.ordering import *
    from tinygrad_edu.ops.polynomials import *
    from tinygrad_edu.ops.pooling import *
    from tinygrad_edu.ops.powers import *
    from tinygrad_edu.ops.products import *
    from tinygrad_edu.ops.quantile import *
    from tinygrad_edu.ops.rectifiers import *
    from tinygrad_edu.ops.recurrent import *
    from tinygrad_edu.ops.reduction import *
    from tinygrad_edu.ops.reshaping import *
    from tinygrad_edu.ops.select import *
    from tinygrad_edu.ops.shape import *
    from tinygrad_edu.ops.singular_values import *
    from tinygrad_edu.ops.solving import *
    from tinygrad_edu.ops.special import *
    from tinygrad_edu.ops.splitting import *
    from tinygrad_edu.ops.statistics import *
    from tinygrad_edu.ops.structured import *
    from tinygrad_edu.ops.tap import *
    from tinygrad_edu.ops.trigonometric import *
    from tinygrad_edu.ops.updates import *
    from tinygrad_edu.ops.windows import *

__all__ = sorted(_FUNCTIONS)
globals().update(_FUNCTIONS)
