"""The operations, one file per family. Importing this package registers them all."""

from tinygrad_edu.ops import activation, elementwise, indexing, linalg, reduction, shape

__all__ = ["activation", "elementwise", "indexing", "linalg", "reduction", "shape"]
