"""Calls that are one node of the graph whatever they compute inside: `checkpoint` and `custom_vjp`, and what they are made with."""

from tinygrad_edu.opaque.checkpointing import checkpoint
from tinygrad_edu.opaque.custom import custom_vjp

__all__ = ["checkpoint", "custom_vjp"]
