"""Hypothesis strategies for what a gradient is tested on: arrays and tensors, shapes, axes, indices, labels, matrices, programs.

Every strategy shrinks to a small example that can be read: short shapes, round numbers, the identity matrix. Hypothesis is
imported when the first strategy is made. Domains of numbers are written with `tinygrad_edu.reals` and
`tinygrad_edu.complexes`, as in the cases of an operation::

    @given(strategies.tensors(tg.reals(0.1, 5)))
    def test_log(x):
        tg.testing.check_gradients(tg.log, x)
"""

from tinygrad_edu.testing.strategies.arrays import Layout, arrays, dtypes, layouts, tensors
from tinygrad_edu.testing.strategies.classes import extreme_logits, labels, one_hot_labels, soft_labels
from tinygrad_edu.testing.strategies.indexing import ConvGeometry, axes, conv_geometries, indices
from tinygrad_edu.testing.strategies.matrices import orthogonal, positive_definite, symmetric, well_conditioned
from tinygrad_edu.testing.strategies.programs import Program, Step, programs
from tinygrad_edu.testing.strategies.shapes import broadcastable_shapes, matmul_operands, matmul_shapes, shapes

__all__ = [
    "ConvGeometry",
    "Layout",
    "Program",
    "Step",
    "arrays",
    "axes",
    "broadcastable_shapes",
    "conv_geometries",
    "dtypes",
    "extreme_logits",
    "indices",
    "labels",
    "layouts",
    "matmul_operands",
    "matmul_shapes",
    "one_hot_labels",
    "orthogonal",
    "positive_definite",
    "programs",
    "shapes",
    "soft_labels",
    "symmetric",
    "tensors",
    "well_conditioned",
]
