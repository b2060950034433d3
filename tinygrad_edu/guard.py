"""`guard`: notice an array that was changed between forward and backward behind the library's back.

A change through a Tensor is always noticed. A change through a raw array (``x.data[0] = 1``, or an ndarray operand) is
noticed only here, because it costs a pass over every saved array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.errors import MutationError
from tinygrad_edu.graph import mode
from tinygrad_edu.places import caller

if TYPE_CHECKING:
    from tinygrad_edu.graph import Node


def guard() -> mode:
    """Checksum every array that is saved for backward, and check it again before it is used.

    Operations recorded inside the block are guarded, wherever backward() is called. The error names the operation that
    saved the array and the file and line that called it.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.guard():
    ...     y = (x * x).sum()
    >>> x.data[0] = 5.0
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.MutationError: an array that multiply saved for backward has changed since ...
    """
    return mode(on_record=_sign)


def _sign(node: Node, *_: Any) -> None:
    node.receipt = Receipt(node)


class Receipt:
    """Checksums of what a node saved, and where the node was recorded."""

    def __init__(self, node: Node) -> None:
        self.sums = _checksums(node)
        self.place = caller()

    def check(self, node: Node) -> None:
        if _checksums(node) != self.sums:
            raise MutationError(
                f"an array that {node.op.name} saved for backward has changed since {self.place} recorded it "
                f"(result shape {node.shape}), so the gradient would be wrong: change it after backward(), or compute "
                "with a copy"
            )


def _checksums(node: Node) -> list[int]:
    import zlib

    arrays: list[Any] = [a for a in node.saved if isinstance(a, np.ndarray)]
    return [zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) for array in arrays]
