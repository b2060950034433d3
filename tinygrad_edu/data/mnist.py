"""MNIST: 70,000 handwritten digits of 28 × 28 pixels, from files of yours or from the web."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinygrad_edu.data.idx import read_idx
from tinygrad_edu.errors import ArgumentError, DTypeError, FileError, MissingError

if TYPE_CHECKING:
    from tinygrad_edu.data.digits import Split
    from tinygrad_edu.graph import Array

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
PREFIX = {"train": "train", "test": "t10k"}


def load_mnist(
    path: str | os.PathLike[str] | None = None,
    part: Literal["train", "test"] | None = None,
    *,
    flatten: bool = True,
    dtype: Any = float,
) -> Any:
    """``(x_train, t_train), (x_test, t_test)``: 60,000 and 10,000 images, scaled to [0, 1], and labels 0 to 9

    Parameters
    ----------
    path: a folder with the four IDX files, gzipped or not, under their usual names. Without it, they are downloaded once into the
        user's cache, by the package pooch, from several mirrors, and held against checksums.
    part: "train" or "test" for only this part, as ``(x, t)``; then only its two files are needed.
    flatten: images of shape (N, 784), or else (N, 1, 28, 28), as convolutions take them.
    dtype: of the images, a floating one. Labels are int64.

    Raises `FileError`, which names the file, for one that is missing, truncated, corrupt, or swapped with another; `MissingError`
    where the files cannot be downloaded, with what to do instead. Y. LeCun, C. Cortes, C. Burges, *The MNIST database of
    handwritten digits*; *Deep Learning from Scratch*, section 3.6; counterpart: ``torchvision.datasets.MNIST``.

    >>> import pathlib, tempfile
    >>> import tinygrad_edu as tg
    >>> with tempfile.TemporaryDirectory() as folder:  # one black image, and its label
    ...     path = pathlib.Path(folder)
    ...     image = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28, *[255] * 784])
    ...     _ = (path / "t10k-images-idx3-ubyte").write_bytes(image)
    ...     _ = (path / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    ...     x, t = tg.data.load_mnist(folder, part="test")
    >>> x.shape, x.max(), t
    ((1, 784), np.float64(1.0), array([7]))
    """
    if np.dtype(dtype).kind != "f":
        raise DTypeError(f"load_mnist: images are floats in [0, 1], and {np.dtype(dtype)} is not a floating dtype")
    if part not in (*PREFIX, None):
        raise ArgumentError(f"load_mnist: part is 'train', 'test' or None for both, got {part!r}")
    if part is not None:
        return _load(path, part, flatten, dtype)
    both: Split = (_load(path, "train", flatten, dtype), _load(path, "test", flatten, dtype))
    return both


def _load(path: str | os.PathLike[str] | None, part: str, flatten: bool, dtype: Any) -> tuple[Array, Array]:
    names = [name for name in CHECKSUMS if name.startswith(PREFIX[part])]
    image_file, label_file = [_in_folder(Path(path), name) if path is not None else downloaded(name) for name in names]
    images, labels = read_idx(image_file), read_idx(label_file)
    _expect(image_file, images, 3, "images, of shape (N, 28, 28)")
    _expect(label_file, labels, 1, "labels, of shape (N,)")
    if images.shape[1:] != (28, 28):
        raise FileError(f"{image_file}: images of {images.shape[1]} × {images.shape[2]} pixels, and MNIST's have 28 × 28")
    if len(images) != len(labels):
        raise FileError(
            f"{label_file}: {len(labels):,} labels for the {len(images):,} images of {image_file}: one of the files is of "
            "another part"
        )
    if labels.size and labels.max() > 9:
        raise FileError(f"{label_file}: the label {labels.max()} is no digit: the file is corrupt")
    x = images.reshape((len(images), -1) if flatten else (len(images), 1, 28, 28)).astype(dtype)
    x /= 255
    return x, labels.astype(np.int64)


def _expect(file: Path, array: Array, axes: int, what: str) -> None:
    if array.ndim != axes or array.dtype != np.uint8:
        hint = ": are the files of images and labels swapped?" if array.ndim in (1, 3) and array.dtype == np.uint8 else ""
        raise FileError(f"{file}: holds {array.dtype} of shape {array.shape}, and should hold {what}{hint}")


def _in_folder(folder: Path, name: str) -> Path:
    plain = name.removesuffix(".gz")
    names = [name, plain, plain.replace("-idx", ".idx"), plain.replace("-idx", ".idx") + ".gz"]
    for candidate in names:
        if (folder / candidate).is_file():
            return folder / candidate
    there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) if folder.is_dir() else "no folder"
    raise FileError(f"{folder}: neither {name} nor {plain} is there ({there or 'it is empty'})")


def downloaded(name: str) -> Path:
    """The file in the user's cache; fetched from the first mirror that has it, if it is not there."""
    try:
        import pooch  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise MissingError(
            f"load_mnist() downloads {name} with the package pooch, which is not installed: pip install 'tinygrad-edu[data]'; or "
            "pass the folder that holds the files: load_mnist('folder')"
        ) from error
    folder = pooch.os_cache("tinygrad_edu") / "mnist"
    pooch.get_logger().setLevel("WARNING")
    failures = []
    for mirror in MIRRORS:
        try:
            return Path(pooch.retrieve(mirror + name, known_hash=CHECKSUMS[name], fname=name, path=folder, progressbar=False))
        except (OSError, ValueError) as error:  # no connection, or a file with another checksum
            failures.append(f"  {mirror}{name}: {str(error).splitlines()[0][:200]}")
    raise MissingError(
        f"load_mnist: {name} cannot be downloaded:\n"
        + "\n".join(failures)
        + "\nWithout a connection: on another machine, download the four files "
        + ", ".join(CHECKSUMS)
        + f"\nfrom {MIRRORS[0]}, and copy them into {folder}, or into any folder and call load_mnist('folder'). "
        "The digits that come along need no connection: load_digits()"
    )
