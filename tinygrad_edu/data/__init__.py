"""Data: a data set that comes along, and mini-batches."""

from tinygrad_edu.data.digits import load_digits
from tinygrad_edu.data.loader import DataLoader

__all__ = ["DataLoader", "load_digits"]
