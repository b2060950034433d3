"""Data: sets that come along, are made or are read, and mini-batches of them. Counterpart: ``torch.utils.data``."""

from tinygrad_edu.data.dataset import Subset, TensorDataset, random_split
from tinygrad_edu.data.digits import load_digits
from tinygrad_edu.data.idx import read_idx
from tinygrad_edu.data.loader import DataLoader
from tinygrad_edu.data.mnist import load_mnist
from tinygrad_edu.data.toys import moons, sine, spiral, xor

__all__ = [
    "DataLoader",
    "Subset",
    "TensorDataset",
    "load_digits",
    "load_mnist",
    "moons",
    "random_split",
    "read_idx",
    "sine",
    "spiral",
    "xor",
]
