"""`save` and `load`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_edu.errors import ArgumentError, DTypeError
from tinygrad_edu.io.atomic import replacing
from tinygrad_edu.io.formats import FORMATS, Content, Format
from tinygrad_edu.io.pickled import load_pickle
from tinygrad_edu.io.structure import flattened, restored

STRUCTURE = "tinygrad_edu.structure"


def save(path: str | os.PathLike[str], state: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write a state to a file: a dictionary of arrays and tensors, and of numbers, texts, lists, tuples and dictionaries of those.

    The suffix says how: ``.safetensors`` (the package safetensors; what is nothing but named arrays, PyTorch reads as it stands) or
    ``.npz`` (NumPy's). ``metadata`` are texts by names, for `read_metadata`.

    Whenever the program is killed, the file holds what was there before or what was to be written, never a part. Raises
    `DTypeError` for what such a file cannot hold, ArgumentError for another suffix, `MissingError` where safetensors is not
    installed, OSError if the file cannot be written. Counterpart: ``torch.save``, ``safetensors.torch.save_file``.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "run.npz")
    ...     tg.save(path, {"w": np.ones(2), "epoch": 3, "betas": (0.9, 0.99)}, metadata={"author": "Ann"})
    ...     tg.load(path), tg.io.read_metadata(path)
    ({'w': array([1., 1.]), 'epoch': 3, 'betas': (0.9, 0.99)}, {'author': 'Ann'})
    """
    path = Path(path)
    format = _format("save", path)
    texts = dict(metadata or {})
    for name, text in texts.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise DTypeError(f"save: metadata are texts by names, and {name!r} is a {type(text).__name__}: write str(...)")
    arrays, structure = flattened(state)
    if structure is not None:
        texts[STRUCTURE] = structure
    with replacing(path) as temporary:
        format.write(temporary, Content(arrays, texts))


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote, with arrays in the place of tensors; or named arrays that another program wrote.

    Reads ``.safetensors`` (bfloat16 becomes float32), ``.npz``, and pickles of NumPy arrays (``.pkl``), such as the weights of
    *Deep Learning from Scratch*. No file can make it run code: a pickle that names anything but arrays is refused. Raises
    `FileError`, which names the file and what is wrong with it. Counterpart: ``torch.load``, ``safetensors.torch.load_file``.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.save(pathlib.Path(folder, "w.npz"), {"layer.weight": tg.Tensor([1.0, 2.0])})
    ...     tg.load(pathlib.Path(folder, "w.npz"))
    {'layer.weight': array([1., 2.])}
    """
    path = Path(path)
    if path.suffix in (".pkl", ".pickle"):
        return load_pickle(path)
    content = _format("load", path).read(path)
    return restored(content.arrays, content.metadata.get(STRUCTURE), str(path))


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that were saved beside the arrays of a .safetensors or .npz file; the arrays are not read."""
    path = Path(path)
    texts = _format("read_metadata", path).read_metadata(path)
    return {name: text for name, text in texts.items() if name != STRUCTURE}


def _format(who: str, path: Path) -> Format:
    if path.suffix not in FORMATS:
        hint = ""
        if path.suffix in (".pt", ".pth", ".bin", ".ckpt"):
            hint = (
                ": PyTorch's own format is a pickle, which can run any program; in PyTorch, write the weights with "
                "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
            )
        raise ArgumentError(
            f"{who}: the suffix {path.suffix!r} of {path} names no format; there are .safetensors and .npz"
            + ", and .pkl for pickled arrays" * (who == "load")
            + hint
        )
    return FORMATS[path.suffix]
