"""The two formats of files: safetensors, and NumPy's npz. Both hold arrays by names and a few texts, and neither can hold code."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from tinygrad_edu.errors import DTypeError, FileError, MissingError

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


class Content(NamedTuple):
    """What a file holds."""

    arrays: dict[str, Array]
    metadata: dict[str, str]


class Format(Protocol):
    """How files of one suffix are written and read."""

    def write(self, path: Path, content: Content) -> None: ...

    def read(self, path: Path) -> Content: ...

    def read_metadata(self, path: Path) -> dict[str, str]: ...


class Npz:
    """A zip archive of one .npy file for each array, as `numpy.savez` writes it, and of the texts as JSON. The same content gives
    the same bytes."""

    TEXTS = "metadata.json"  # no array's name, for those end in .npy

    def write(self, path: Path, content: Content) -> None:
        with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo(self.TEXTS), json.dumps(content.metadata))
            for name, array in content.arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    def read(self, path: Path) -> Content:
        arrays: dict[str, Array] = {}
        metadata: dict[str, str] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    if member == self.TEXTS:
                        metadata = json.loads(archive.read(member))
                    elif member.endswith(".npy"):
                        with archive.open(member) as file:
                            arrays[member.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
                            file.read()  # to the end, where the checksum is compared
                    else:
                        raise FileError(
                            f"{path}: not an npz file: it contains {member!r}, and an npz file arrays only{_torch(member)}"
                        )
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"{path}: truncated, corrupt, or not an npz file of numbers ({error})") from error
        return Content(arrays, metadata)

    def read_metadata(self, path: Path) -> dict[str, str]:
        try:
            with zipfile.ZipFile(path) as archive:
                texts: dict[str, str] = json.loads(archive.read(self.TEXTS)) if self.TEXTS in archive.namelist() else {}
                return texts
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise FileError(f"{path}: truncated, corrupt, or not an npz file ({error})") from error


class Safetensors:
    """The format of the package safetensors, which PyTorch, JAX and others read and write as well."""

    # Read by hand from the package's bytes: it has no bfloat16 for NumPy, and here that becomes float32, exactly.
    DTYPES: Mapping[str, str] = dict(
        {"F64": "<f8", "F32": "<f4", "F16": "<f2", "C64": "<c8", "BOOL": "?"},
        **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
    )

    def write(self, path: Path, content: Content) -> None:
        package = _safetensors()
        arrays = {}
        for name, array in content.arrays.items():
            if array.dtype.newbyteorder("<") not in map(np.dtype, self.DTYPES.values()):
                raise DTypeError(f"save: safetensors cannot hold {array.dtype} (the array {name!r}): save it as .npz, which can")
            # The package writes the bytes as they lie in memory.
            arrays[name] = np.array(array, array.dtype.newbyteorder("<"), order="C", copy=None)
        path.write_bytes(package.numpy.save(arrays, metadata=content.metadata or None))

    def read(self, path: Path) -> Content:
        package = _safetensors()
        metadata = self.read_metadata(path)
        arrays = {}
        try:
            for name, spec in package.deserialize(path.read_bytes()):
                arrays[name] = self._array(path, name, spec)
        except package.SafetensorError as error:
            raise FileError(f"{path}: truncated, corrupt, or not a safetensors file ({error})") from error
        return Content(arrays, metadata)

    def _array(self, path: Path, name: str, spec: Mapping[str, Any]) -> Array:
        if spec["dtype"] == "BF16":  # the upper half of a float32
            return (np.frombuffer(spec["data"], "<u2").astype("<u4") << 16).view("<f4").reshape(spec["shape"])
        if spec["dtype"] not in self.DTYPES:
            raise FileError(f"{path}: the array {name!r} is {spec['dtype']}, which NumPy does not have: convert it before saving")
        array: Array = np.frombuffer(spec["data"], self.DTYPES[spec["dtype"]]).reshape(spec["shape"])
        return array.astype(array.dtype.newbyteorder("="))  # a copy, which can be written to

    def read_metadata(self, path: Path) -> dict[str, str]:
        with path.open("rb") as file:
            length, size = int.from_bytes(file.read(8), "little"), os.fstat(file.fileno()).st_size
            try:
                if length > size:
                    raise ValueError(f"its header would have {length:,} bytes, and the file has {size:,}")
                header = json.loads(file.read(length))
                return dict(header.get("__metadata__") or {})
            except (ValueError, AttributeError) as error:
                raise FileError(f"{path}: truncated, corrupt, or not a safetensors file ({error})") from error


FORMATS: dict[str, Format] = {".npz": Npz(), ".safetensors": Safetensors()}


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise MissingError(
            "a .safetensors file needs the package safetensors, which is not installed: pip install 'tinygrad-edu[io]'; an .npz "
            "file needs no package"
        ) from error
    return safetensors


def _torch(member: str) -> str:
    if not member.endswith("data.pkl"):
        return ""
    return (
        ". It is PyTorch's own format, a pickle that can run any program: in PyTorch, write the weights with "
        "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
    )
