"""Saving and loading: weights, and whole states of training. Counterpart: ``torch.save`` and ``torch.load``, without pickle."""

from tinygrad_edu.io.files import load, read_metadata, save

__all__ = ["load", "read_metadata", "save"]
