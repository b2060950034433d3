"""Attention with several heads, and the encoder of a transformer. Arguments, names and layouts are PyTorch's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError, ShapeError
from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.containers import ModuleList
from tinygrad_edu.nn.functional.attention import attention_weights
from tinygrad_edu.nn.functional.classification import as_numbers
from tinygrad_edu.nn.init import generator
from tinygrad_edu.nn.linear import Dropout, Linear, drawn, filled
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import LayerNorm
from tinygrad_edu.ops.reduction import mean
from tinygrad_edu.ops.shape import expand_dims, reshape, squeeze, swapaxes, transpose


def _additive(mask: Any, dtype: Any) -> Any:
    """A mask as numbers to add. PyTorch's convention for modules: True is what may *not* be looked at."""
    numbers = as_numbers(mask)
    if numbers.dtype.kind == "b":
        return np.where(numbers, -np.inf, 0).astype(dtype)
    return mask


class MultiheadAttention(Module):
    """y = concat(softmax(qᵢ kᵢᵀ / √E′) vᵢ) W_oᵀ + b_o        for every head i, of length E′ = embed_dim / num_heads

    q, k and v are the query, key and value times weights of their own: one ``in_proj_weight`` (3 · embed_dim, embed_dim), or three
    where ``kdim`` or ``vdim`` differ.

    Parameters
    ----------
    embed_dim, num_heads: E, and how many heads share it.
    dropout: how many attention weights are dropped in training.
    bias: whether the projections have biases.
    kdim, vdim: how many features keys and values have, by default E.
    batch_first: whether inputs and outputs are (N, L, E) and not (L, N, E). The batch axis may be missing.
    dtype, rng: as for `Linear`.

    Calling it returns the output and the attention weights, or None with ``need_weights=False``, which is faster. Counterpart:
    ``torch.nn.MultiheadAttention``; Vaswani et al., *Attention Is All You Need* (2017).

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> x = np.zeros((5, 2, 8))
    >>> y, weights = tg.nn.MultiheadAttention(8, 4)(x, x, x)
    >>> y.shape, weights.shape
    ((5, 2, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        if num_heads < 1 or embed_dim % num_heads:
            raise ArgumentError(f"MultiheadAttention: embed_dim={embed_dim} is no multiple of num_heads={num_heads}")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.rng = generator("MultiheadAttention", rng)

        def xavier(rows: int, columns: int) -> Any:
            return drawn(self.rng, math.sqrt(6 / (rows + columns)), (rows, columns), dtype)

        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = xavier(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight = xavier(embed_dim, embed_dim)
            self.k_proj_weight = xavier(embed_dim, self.kdim)
            self.v_proj_weight = xavier(embed_dim, self.vdim)
        self.in_proj_bias = filled(0, (3 * embed_dim,), dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, rng=self.rng)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data = np.zeros(embed_dim)

    def _projected(self, query: Any, key: Any, value: Any) -> list[Any]:
        """q, k and v. Of equal inputs they come from one product."""
        n, bias = self.embed_dim, self.in_proj_bias
        if self.kdim == self.vdim == n and query is key is value:
            both = F.linear(query, self.in_proj_weight, bias)
            parts = reshape(both, (*both.shape[:-1], 3, n))
            return [parts[..., i, :] for i in range(3)]
        if self.kdim == self.vdim == n:
            weights = [self.in_proj_weight[i * n : (i + 1) * n] for i in range(3)]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if bias is None else bias[i * n : (i + 1) * n] for i in range(3)]
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def _check(self, query: Any, key: Any, value: Any) -> None:
        q, k, v = np.shape(query), np.shape(key), np.shape(value)
        batch, steps = (0, 1) if self.batch_first else (1, 0)
        fits = len(q) in (2, 3) and len(q) == len(k) == len(v)
        fits = fits and (q[-1], k[-1], v[-1]) == (self.embed_dim, self.kdim, self.vdim)
        if fits and len(q) == 3:
            fits = q[batch] == k[batch] == v[batch] and k[steps] == v[steps]
        if not fits:
            order = "(batch, steps, features)" if self.batch_first else "(steps, batch, features)"
            raise ShapeError(
                f"{self!r} needs query, key and value {order} with {self.embed_dim}, {self.kdim} and {self.vdim} features, or all "
                f"without the batch axis, got {q}, {k} and {v}"
            )

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """``key_padding_mask`` (N, S) and ``attn_mask`` (L, S) or (N · heads, L, S) are booleans, True where may *not* be looked,
        or floats to add. ``is_causal`` looks at no key behind the query's place, with or without a mask."""
        self._check(query, key, value)
        batched = np.ndim(query) == 3
        q, k, v = self._projected(query, key, value)
        if not batched:
            q, k, v = [expand_dims(x, 0) for x in (q, k, v)]
        elif not self.batch_first:
            q, k, v = [swapaxes(x, 0, 1) for x in (q, k, v)]
        n, length = q.shape[:2]
        heads = [transpose(reshape(x, (n, x.shape[1], self.num_heads, -1)), (0, 2, 1, 3)) for x in (q, k, v)]
        mask = self._mask(attn_mask, key_padding_mask, n, length, k.shape[1], q.dtype)
        weights = attention_weights(heads[0], heads[1], mask, is_causal)
        if self.training and self.dropout:
            weights = F.dropout(weights, self.dropout, rng=self.rng)
        y = reshape(transpose(weights @ heads[2], (0, 2, 1, 3)), (n, length, self.embed_dim))
        y = self.out_proj(y)
        y = squeeze(y, 0) if not batched else y if self.batch_first else swapaxes(y, 0, 1)
        if not need_weights:
            return y, None
        weights = mean(weights, axis=1) if average_attn_weights else weights
        return y, weights if batched else squeeze(weights, 0)

    def _mask(self, attn_mask: Any, key_padding_mask: Any, n: int, length: int, source: int, dtype: Any) -> Any:
        mask = None
        if attn_mask is not None:
            shape = np.shape(attn_mask)
            if shape not in ((length, source), (n * self.num_heads, length, source)):
                raise ShapeError(
                    f"{self!r}: attn_mask is {(length, source)} or {(n * self.num_heads, length, source)}: (batch · heads,) "
                    f"queries and keys; got {shape}"
                )
            mask = _additive(attn_mask, dtype)
            mask = reshape(mask, (n, self.num_heads, length, source)) if len(shape) == 3 else mask
        if key_padding_mask is not None:
            shape = np.shape(key_padding_mask)
            if shape != (n, source) and not (n == 1 and shape == (source,)):
                raise ShapeError(f"{self!r}: key_padding_mask is (batch, keys), here {(n, source)}; got {shape}")
            padding = reshape(_additive(key_padding_mask, dtype), (n, 1, 1, source))
            mask = padding if mask is None else mask + padding
        return mask

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}" + ", batch_first=True" * self.batch_first


ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class TransformerEncoderLayer(Module):
    """x = norm(x + attention(x)), y = norm(x + W₂ f(W₁ x))        shapes (L, N, E) → (L, N, E)

    Parameters
    ----------
    d_model, nhead: E, and the number of heads.
    dim_feedforward: how many units f has.
    dropout: how much is dropped in four places in training.
    activation: f: "relu", "gelu" or a function.
    layer_norm_eps: ε of the two LayerNorms.
    batch_first: whether inputs and outputs are (N, L, E).
    norm_first: whether the norms stand before attention and f, and not behind the sums.
    bias: whether there are biases.
    dtype, rng: as for `Linear`.

    Counterpart: ``torch.nn.TransformerEncoderLayer``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> tg.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = float,
        rng: np.random.Generator | None = None,
    ) -> None:
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ArgumentError(f"TransformerEncoderLayer: activation is relu, gelu or a function, not {activation!r}")
        rng = generator("TransformerEncoderLayer", rng)
        options = {"dtype": dtype, "rng": rng}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **options)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **options)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **options)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout, rng=rng)
        self.dropout2 = Dropout(dropout, rng=rng)
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        self.norm_first = norm_first

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        masks = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = src + self._attend(self.norm1(src), *masks)
            return x + self._feed(self.norm2(x))
        x = self.norm1(src + self._attend(src, *masks))
        return self.norm2(x + self._feed(x))

    def _attend(self, x: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        y, _ = self.self_attn(x, x, x, padding, need_weights=False, attn_mask=mask, is_causal=is_causal)
        return self.dropout1(y)

    def _feed(self, x: Any) -> Any:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """``num_layers`` copies of an encoder layer one after the other, and a norm at the end.

    As in PyTorch, the copies start with equal weights: initialise them one by one where that matters. Counterpart:
    ``torch.nn.TransformerEncoder``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
    >>> tg.nn.TransformerEncoder(layer, 2)(np.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        # The generators of Dropout are shared: copies of them would drop the same elements in every layer.
        shared = {id(rng): rng for module in encoder_layer.modules() if (rng := getattr(module, "rng", None)) is not None}
        self.layers = ModuleList([copy.deepcopy(encoder_layer, dict(shared)) for _ in range(num_layers)])
        self.norm = norm

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)
