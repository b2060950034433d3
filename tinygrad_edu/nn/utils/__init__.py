"""What goes with layers. Counterpart: ``torch.nn.utils``."""

from tinygrad_edu.clipping import clip_grad_norm_, clip_grad_value_
from tinygrad_edu.nn.utils import rnn

__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn"]
