"""1,797 handwritten digits of 8 × 8 pixels, shipped with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    Split: TypeAlias = tuple[tuple[Array, Array], tuple[Array, Array]]


def load_digits(test_size: float = 0.2, seed: int = 0, dtype: Any = float) -> Split:
    """``(x_train, t_train), (x_test, t_test)``: images of shape (N, 64) scaled to [0, 1], and labels 0 to 9 of shape (N,).

    The split is random but seeded, and stratified: every digit has the same share ``test_size`` of test images, to the nearest
    image. Images have the given floating dtype, labels are int64.

    The data are the test part of E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998), UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, licensed CC BY 4.0, in scikit-learn's copy; see DIGITS-LICENSE.md
    beside this file. Counterpart: ``sklearn.datasets.load_digits``.

    Raises ValueError for a ``test_size`` that leaves a side without some digit, `DTypeError` for a dtype that is not floating.

    >>> import tinygrad_edu as tg
    >>> (x_train, t_train), (x_test, t_test) = tg.data.load_digits()
    >>> x_train.shape, t_train.shape, x_test.shape
    ((1438, 64), (1438,), (359, 64))
    """
    if np.dtype(dtype).kind != "f":
        raise DTypeError(f"load_digits: images are floats in [0, 1], and {np.dtype(dtype)} is not a floating dtype")
    from importlib.resources import files  # slow to import, and only needed here

    with files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as archive:
        images, labels = archive["images"], archive["labels"].astype(np.int64)
    x = images.reshape(len(images), -1).astype(dtype) / 16
    rng = np.random.default_rng(seed)
    train: list[Any] = []
    test: list[Any] = []
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(labels == digit))
        cut = round(test_size * len(members))
        if not 0 < cut < len(members):
            raise ArgumentError(
                f"load_digits: test_size is the share of test images, between 0 and 1; {test_size} would make it {cut} of the "
                f"{len(members)} images of a {digit}"
            )
        test.append(members[:cut])
        train.append(members[cut:])
    first, second = rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))
    return (x[first], labels[first]), (x[second], labels[second])
