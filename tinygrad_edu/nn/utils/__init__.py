"""What goes with layers. Counterpart: ``torch.nn.utils``."""

from tinygrad_edu.nn.utils import rnn

__all__ = ["rnn"]
