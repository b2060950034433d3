"""Pickled arrays: which are read, and that everything else is refused before it can run."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import FileError

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = [".npz", ".safetensors"]
needs_safetensors = lambda suffix: suffix == ".npz" or pytest.importorskip("safetensors", reason="safetensors is not installed")


class Evil:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def test_the_books_weights(shared):
    weights = tg.load(shared / "data" / "sample_weight.pkl")
    assert {name: (array.shape, array.dtype.name) for name, array in sorted(weights.items())} == {
        "W1": ((784, 50), "float32"),
        "W2": ((50, 100), "float32"),
        "W3": ((100, 10), "float32"),
        "b1": ((50,), "float32"),
        "b2": ((100,), "float32"),
        "b3": ((10,), "float32"),
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_arrays(tmp_path, protocol):
    a = np.arange(6.0).reshape(2, 3)
    state = {
        "a": a,
        "F": np.asfortranarray(a),
        "big": a.astype(">f4"),
        "b": [True, (np.array(3), "text", 2.5)],
        "empty": np.zeros((0, 2)),
    }
    with (tmp_path / "w.pkl").open("wb") as file:
        pickle.dump(state, file, protocol)
    found = tg.load(tmp_path / "w.pkl")
    for name in ("a", "F", "big", "empty"):
        np.testing.assert_array_equal(found[name], state[name])
        assert found[name].dtype.isnative
    assert found["b"][1][1:] == ("text", 2.5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (print, "it names builtins.print, and only NumPy arrays are admitted"),
        (Evil(os.system, "touch BROKEN"), r"it names (posix|nt).system, and only NumPy arrays are admitted"),
        ({"w": np.ones(2), "x": Evil(eval, "1")}, "it names builtins.eval"),
        (OrderedDict(), "it names collections.OrderedDict"),
        (np.array([print], object), "it names builtins.print"),
        (np.array(["text", None], object), "it contains an array of dtype 'O8', which is not numeric"),
        (np.zeros(2, "U3"), "it contains an array of dtype 'U3', which is not numeric"),
        (np.zeros(2, [("a", "f8")]), "it contains an array of dtype 'V8', which is not numeric"),
        ({1, 2}, "it names builtins.set|it contains a set"),
        (bytearray(b"x"), "it names builtins.bytearray|it contains a bytearray"),
    ],
)
def test_everything_else_is_refused_by_name(tmp_path, monkeypatch, value, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(value, 4))
    with pytest.raises(FileError, match=f"bad.pkl: refused, and nothing in it was run: {message}"):
        tg.load(tmp_path / "bad.pkl")
    assert not (tmp_path / "BROKEN").exists()


def crafted(*lines: bytes) -> bytes:
    return b"\x80\x02" + b"".join(lines) + b"."


@pytest.mark.parametrize(
    "content",
    [
        crafted(b"cnumpy\nndarray\n", b"}", b"b"),  # the state of a stand-in's class
        crafted(b"c_codecs\nencode\n", b"}", b"b"),
        crafted(b"cnumpy.core.multiarray\n_reconstruct\n", b")R", b"(K\x01K\x02tb"),  # a state that describes no array
        crafted(b"cnumpy\ndtype\n", b"X\x02\x00\x00\x00f8\x85R", b"(K\x03X\x01\x00\x00\x00!tb"),
        crafted(b"]q\x00h\x00a"),  # a list that contains itself
        crafted(b"P1\n"),
        b"",
        b"\x80",
        b"not a pickle",
    ],
)
def test_pickles_that_are_built_to_confuse(tmp_path, content):
    (tmp_path / "bad.pkl").write_bytes(content)
    with pytest.raises(FileError, match="bad.pkl: (refused, and nothing in it was run|truncated, corrupt, or not a pickle)"):
        tg.load(tmp_path / "bad.pkl")


def test_a_pickle_that_would_unfold_without_end_is_made_once(tmp_path):
    value: list = [1.0]
    for _ in range(40):
        value = [value] * 10
    (tmp_path / "laughs.pkl").write_bytes(pickle.dumps(value))
    found = tg.load(tmp_path / "laughs.pkl")
    assert found[0] is found[9]


def test_an_array_that_claims_more_bytes_than_it_has(tmp_path):
    buffer = io.BytesIO()
    pickle.dump(np.arange(4.0), buffer, 2)
    (tmp_path / "bad.pkl").write_bytes(buffer.getvalue().replace(b"K\x04\x85", b"K\x05\x85"))
    with pytest.raises(FileError, match=r"an array of shape \(5,\) and dtype float64 cannot have 32 bytes"):
        tg.load(tmp_path / "bad.pkl")
