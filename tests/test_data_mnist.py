"""MNIST from files and from the web: what is read, and what is said of files that are damaged, swapped or missing."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import http.server
import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu.data import load_mnist, mnist, read_idx
from tinygrad_edu.errors import ArgumentError, DTypeError, FileError, MissingError

COUNTS = {"train": 7, "t10k": 4}


def idx(array: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


def contents() -> dict[str, bytes]:
    """The four files of a small MNIST, not compressed."""
    rng, files = np.random.default_rng(0), {}
    for part, count in COUNTS.items():
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx((np.arange(count) % 10).astype(np.uint8))
    return files


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, content in contents().items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    return tmp_path


def test_files_are_read_gzipped_or_not(folder, tmp_path_factory):
    (x, t), (x_test, t_test) = load_mnist(folder)
    assert (x.shape, t.shape, x_test.shape, t_test.shape) == ((7, 784), (7,), (4, 784), (4,))
    assert (x.dtype, t.dtype) == (np.float64, np.int64)
    assert 0 <= x.min() < x.max() <= 1
    assert t.tolist() == [0, 1, 2, 3, 4, 5, 6]
    raw = np.frombuffer(contents()["train-images-idx3-ubyte"][16:], np.uint8).reshape(7, 784)
    np.testing.assert_array_equal(x, raw / 255)
    plain = tmp_path_factory.mktemp("plain")
    for name, content in contents().items():
        (plain / name).write_bytes(content)
    np.testing.assert_array_equal(load_mnist(str(plain))[0][0], x)
    images, _ = load_mnist(folder, "test", flatten=False, dtype=np.float32)
    assert (images.shape, images.dtype) == ((4, 1, 28, 28), np.float32)


def test_one_part_needs_its_own_files_only(folder):
    for file in folder.glob("train*"):
        file.unlink()
    assert load_mnist(folder, part="test")[0].shape == (4, 784)
    with pytest.raises(FileError, match=r"neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte is there \(t10k-images"):
        load_mnist(folder)


def test_the_test_images_beside_the_repository(shared):
    x, t = load_mnist(shared / "data", "test")
    assert x.shape == (10_000, 784)
    assert np.bincount(t).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        assert mnist.CHECKSUMS[name] == "sha256:" + hashlib.sha256((shared / "data" / name).read_bytes()).hexdigest()


def test_what_load_mnist_refuses(folder):
    with pytest.raises(ArgumentError, match="part is 'train', 'test' or None for both, got 'validation'"):
        load_mnist(folder, "validation")
    with pytest.raises(DTypeError, match="uint8 is not a floating dtype"):
        load_mnist(folder, dtype=np.uint8)
    with pytest.raises(FileError, match=r"nowhere: neither train-images-idx3-ubyte.gz nor .* is there \(no folder\)"):
        load_mnist(folder / "nowhere")


IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (IMAGES, lambda b: b[: len(b) // 2], "truncated: the compressed data end too early"),
        (IMAGES, lambda b: b[:40] + b"\xff\x00\xff" + b[43:], "corrupt: gzip cannot read it"),
        (IMAGES, lambda b: gzip.compress(gzip.decompress(b)[:-5]), r"truncated: its header announces shape \(4, 28, 28\)"),
        (IMAGES, lambda b: gzip.decompress(b)[:9], "truncated: it ends inside the header, after 9 of 16 bytes"),
        (IMAGES, lambda b: gzip.decompress(b) + b"xyz", "corrupt: 3 bytes follow the 3,136"),
        (IMAGES, lambda b: b"<html>404</html>", "not an IDX file: it begins with 3c 68 74 6d"),
        (IMAGES, lambda b: b"", "not an IDX file: it is empty"),
        (IMAGES, lambda b: idx(np.zeros((4, 20, 20), np.uint8)), "images of 20 × 20 pixels, and MNIST's have 28 × 28"),
        (
            IMAGES,
            lambda b: idx(np.zeros((4, 28, 28), ">f4"), 0x0D),
            r"holds float32 of shape \(4, 28, 28\), and should hold images",
        ),
        (
            LABELS,
            lambda b: idx(np.zeros(5, np.uint8)),
            "5 labels for the 4 images of .*t10k-images.*: one of the files is of another part",
        ),
        (LABELS, lambda b: idx(np.array([1, 2, 99, 3], np.uint8)), "the label 99 is no digit: the file is corrupt"),
    ],
)
def test_a_damaged_file_is_named(folder, name, damage, message):
    file = folder / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(FileError, match=message) as caught:
        load_mnist(folder, "test")
    assert str(caught.value).startswith(f"{file}: ")


def test_swapped_files_are_named(folder):
    images, labels = folder / IMAGES, folder / LABELS
    images.rename(folder / "other")
    labels.rename(images)
    (folder / "other").rename(labels)
    with pytest.raises(FileError, match=r"t10k-images.*holds uint8 of shape \(4,\), and should hold images, .* swapped\?"):
        load_mnist(folder, "test")


@pytest.mark.parametrize("at", range(0, 3152, 197))
def test_a_file_cut_anywhere_is_an_error(tmp_path, at):
    content = contents()["t10k-images-idx3-ubyte"]
    for data in (content[:at], gzip.compress(content)[: at % 2000]):
        (tmp_path / "cut").write_bytes(data)
        with pytest.raises(FileError, match="cut: (truncated|not an IDX file)"):
            read_idx(tmp_path / "cut")


@pytest.mark.parametrize(("code", "dtype"), [(8, "u1"), (9, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")])
def test_every_type_of_idx(tmp_path, code, dtype):
    array = np.array([[1, -2, 3], [4, 5, 6]]).astype(dtype)
    (tmp_path / "file").write_bytes(idx(array.astype(array.dtype.newbyteorder(">")), code))
    found = read_idx(tmp_path / "file")
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, array)


# ----------------------------------------------------------------------------------------------------------- from the web


@contextlib.contextmanager
def served(folder: Path):
    """The address of a server of this folder's files, on this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def web(folder, tmp_path_factory, monkeypatch):
    """Checksums of the small files, and a cache of its own."""
    pooch = pytest.importorskip("pooch", reason="pooch is not installed")
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(pooch, "os_cache", lambda _: cache)
    sums = {file.name: "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.gz")}
    monkeypatch.setattr(mnist, "CHECKSUMS", {name: sums[name] for name in mnist.CHECKSUMS})
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return cache


def test_files_are_downloaded_once_from_the_first_mirror_that_has_them(folder, web, tmp_path_factory, monkeypatch):
    wrong = tmp_path_factory.mktemp("wrong")
    (wrong / IMAGES).write_bytes(b"an error page")
    with served(wrong) as (bad, asked_bad), served(folder) as (good, asked):
        monkeypatch.setattr(mnist, "MIRRORS", (bad, good))
        (x, _), (x_test, _) = load_mnist()
        assert (len(x), len(x_test)) == (7, 4)
        assert f"/{IMAGES}" in asked_bad  # its checksum is wrong
        assert sorted(asked) == sorted(f"/{name}" for name in mnist.CHECKSUMS)
        load_mnist()
        assert len(asked) == 4  # the second time, the cache has them
    assert load_mnist()[0][0].shape == (7, 784)  # and no server is needed
    assert sorted(path.name for path in (web / "mnist").iterdir()) == sorted(mnist.CHECKSUMS)


def test_offline_it_says_what_to_do(web, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(MissingError) as caught:
        load_mnist()
    words = str(caught.value)
    for part in ("cannot be downloaded", "Without a connection", str(web / "mnist"), "load_mnist('folder')", "load_digits()"):
        assert part in words


def test_without_pooch_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingError, match=r"not installed: pip install 'tinygrad-edu\[data\]'; or pass the folder"):
        load_mnist()
