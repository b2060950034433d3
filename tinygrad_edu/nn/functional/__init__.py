"""Layers and losses as functions, for use inside ``forward``. Counterpart: ``torch.nn.functional``."""

from tinygrad_edu.nn.functional.attention import scaled_dot_product_attention
from tinygrad_edu.nn.functional.axes import glu, log_softmax, normalize, one_hot, pad, softmax
from tinygrad_edu.nn.functional.classification import cross_entropy, multi_margin_loss, nll_loss
from tinygrad_edu.nn.functional.convolution import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    max_pool1d,
    max_pool2d,
)
from tinygrad_edu.nn.functional.ctc import ctc_loss
from tinygrad_edu.nn.functional.linear import dropout, embedding, linear
from tinygrad_edu.nn.functional.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cosine_similarity,
    half_sum_of_squares_loss,
    hinge_embedding_loss,
    hinge_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
    sum_of_squares_loss,
)
from tinygrad_edu.nn.functional.normalization import batch_norm, group_norm, layer_norm, rms_norm
from tinygrad_edu.ops.activation import celu, elu, gelu, log_sigmoid, mish, relu, selu, sigmoid, silu, softplus, softsign
from tinygrad_edu.ops.hyperbolic import tanh
from tinygrad_edu.ops.rectifiers import hardsigmoid, hardswish, hardtanh, leaky_relu, prelu, relu6

logsigmoid = log_sigmoid

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "glu",
    "group_norm",
    "half_sum_of_squares_loss",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "logsigmoid",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "sum_of_squares_loss",
    "tanh",
]
