"""Losses as modules: what a training loop is given. What they compute is written with the functions in ``nn.functional``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.nn import functional as F  # noqa: N812
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor


class _Loss(Module):
    """A loss with options, of which its repr shows those that are not the usual ones."""

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def _weight(self, name: str, weight: Any) -> None:
        """A buffer, so that it is saved, as PyTorch does it."""
        self.register_buffer(name, None if weight is None else weight if isinstance(weight, Tensor) else Tensor(weight))

    def extra_repr(self) -> str:
        return ", ".join([f"{name}={value!r}" for name, value in vars(self).items() if isinstance(value, int | float | str)])


class MSELoss(_Loss):
    """The mean of (x − t)²; see `functional.mse_loss`. Counterpart: ``torch.nn.MSELoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.MSELoss()(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """The mean of |x − t|; see `functional.l1_loss`. Counterpart: ``torch.nn.L1Loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.L1Loss()(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(1.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.l1_loss(input, target, self.reduction)


class HuberLoss(_Loss):
    """A parabola near 0 and straight lines beyond ±δ; see `functional.huber_loss`. Counterpart: ``torch.nn.HuberLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.HuberLoss()(tg.Tensor([3.0]), [0.0])
    Tensor(2.5)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        return F.huber_loss(input, target, self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """`HuberLoss` divided by β; see `functional.smooth_l1_loss`. Counterpart: ``torch.nn.SmoothL1Loss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.SmoothL1Loss()(tg.Tensor([3.0]), [0.0])
    Tensor(2.5)
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class SumOfSquaresLoss(Module):
    """Σ (x − t)², without ½; see `functional.sum_of_squares_loss`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.SumOfSquaresLoss()(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(4.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.sum_of_squares_loss(input, target)


class HalfSumOfSquaresLoss(Module):
    """½ Σ (x − t)², the ``sum_squared_error`` of *Deep Learning from Scratch*; see `functional.half_sum_of_squares_loss`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.HalfSumOfSquaresLoss()(tg.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.half_sum_of_squares_loss(input, target)


class CrossEntropyLoss(_Loss):
    """−ln softmax(z) at the right class; see `functional.cross_entropy`. Counterpart: ``torch.nn.CrossEntropyLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.CrossEntropyLoss()(tg.Tensor([[0.0, 0.0]]), [1])
    Tensor(0.69314718)
    """

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self._weight("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Loss):
    """Minus the logarithm of the probability of the right class; see `functional.nll_loss`. Counterpart: ``torch.nn.NLLLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.NLLLoss()(tg.log_softmax(tg.Tensor([[0.0, 0.0]])), [1])
    Tensor(0.69314718)
    """

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._weight("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(_Loss):
    """−t ln p − (1 − t) ln(1 − p); see `functional.binary_cross_entropy`. Counterpart: ``torch.nn.BCELoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.BCELoss()(tg.Tensor([0.5]), [1.0])
    Tensor(0.69314718)
    """

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._weight("weight", weight)

    def forward(self, input: Any, target: Any) -> Any:
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """`BCELoss` of σ(x), without overflow; see `functional.binary_cross_entropy_with_logits`. Counterpart:
    ``torch.nn.BCEWithLogitsLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.BCEWithLogitsLoss()(tg.Tensor([0.0]), [1.0])
    Tensor(0.69314718)
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self._weight("weight", weight)
        self._weight("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class KLDivLoss(_Loss):
    """t (ln t − x), for logarithms x of probabilities; see `functional.kl_div`. Counterpart: ``torch.nn.KLDivLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.KLDivLoss("sum")(tg.log_softmax(tg.Tensor([0.0, 0.0])), [1.0, 0.0])
    Tensor(0.69314718)
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        return F.kl_div(input, target, self.reduction, self.log_target)


class HingeLoss(_Loss):
    """max(0, 1 − t x) for t = ±1; see `functional.hinge_loss`.

    >>> import tinygrad_edu as tg
    >>> tg.nn.HingeLoss()(tg.Tensor([0.5]), [1])
    Tensor(0.5)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.hinge_loss(input, target, self.reduction)


class HingeEmbeddingLoss(_Loss):
    """x where t = 1, and max(0, margin − x) where t = −1; see `functional.hinge_embedding_loss`. Counterpart:
    ``torch.nn.HingeEmbeddingLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.HingeEmbeddingLoss()(tg.Tensor([0.25]), [-1])
    Tensor(0.75)
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class MultiMarginLoss(_Loss):
    """The hinge loss for several classes; see `functional.multi_margin_loss`. Counterpart: ``torch.nn.MultiMarginLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.MultiMarginLoss()(tg.Tensor([[0.1, 0.2, 0.4, 0.8]]), [3])
    Tensor(0.325)
    """

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.p = p
        self.margin = margin
        self._weight("weight", weight)

    def forward(self, input: Any, target: Any) -> Any:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """1 − cos(x₁, x₂) where t = 1, and max(0, cos − margin) where t = −1; see `functional.cosine_embedding_loss`.
    Counterpart: ``torch.nn.CosineEmbeddingLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.CosineEmbeddingLoss()(tg.Tensor([[1.0, 0.0]]), [[0.0, 1.0]], [1])
    Tensor(1.)
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class CTCLoss(_Loss):
    """For sequences without alignment; see `functional.ctc_loss`. Counterpart: ``torch.nn.CTCLoss``.

    >>> import tinygrad_edu as tg
    >>> tg.nn.CTCLoss()(tg.log_softmax(tg.Tensor([[[0.0, 0.0]]] * 2)), [[1]], [2], [1])
    Tensor(0.28768207)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity)
