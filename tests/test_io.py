"""Saving and loading: what comes back, what PyTorch reads, what is refused, and a kill at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, FileError, MissingError
from tinygrad_edu.io.atomic import sweep_up

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = [".npz", ".safetensors"]
needs_safetensors = lambda suffix: suffix == ".npz" or pytest.importorskip("safetensors", reason="safetensors is not installed")


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path) -> Path:
    needs_safetensors(request.param)
    return tmp_path / f"state{request.param}"


def same(a, b) -> bool:
    """Equal in type, structure, dtype and every bit."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


# ------------------------------------------------------------------------------------------------------------ there and back


NUMBERS = hnp.arrays(
    st.sampled_from(["f8", "f4", "f2", "i8", "i2", "u1", "?", "c8"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), min_size=1, max_size=6)
STATES = st.dictionaries(
    NAMES,
    st.recursive(NUMBERS | PLAIN, lambda s: st.lists(s, max_size=3) | st.tuples(s, s) | st.dictionaries(NAMES, s, max_size=3)),
    max_size=4,
)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(STATES)
def test_a_state_comes_back_as_it_was(tmp_path_factory, suffix, state):
    needs_safetensors(suffix)
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    tg.save(path, state)
    assert same(tg.load(path), state)


def test_names_that_meet_are_kept_apart(path):
    state = {"a.b": np.ones(1), "a": {"b": np.zeros(2), "c": [np.ones(3)]}, "file": np.ones(4), "array": {"dict": 1, "tuple": ()}}
    tg.save(path, state)
    assert same(tg.load(path), state)


def test_tensors_become_arrays_and_layouts_do_not_matter(path):
    a = np.arange(24.0).reshape(4, 6)
    tg.save(
        path,
        {"t": tg.Tensor([1.0, 2.0], requires_grad=True), "F": a.T, "step": a[::2, 1::2], "back": a[::-1], "big": a.astype(">f8")},
    )
    found = tg.load(path)
    assert found["t"].tolist() == [1, 2]
    for name, expected in (("F", a.T), ("step", a[::2, 1::2]), ("back", a[::-1]), ("big", a)):
        np.testing.assert_array_equal(found[name], expected)
        found[name][...] = 0  # and they can be written to


def test_metadata(path):
    tg.save(path, {"w": np.ones(2), "n": 3}, metadata={"author": "Ann", "note": "ü"})
    assert tg.io.read_metadata(path) == {"author": "Ann", "note": "ü"}
    with pytest.raises(DTypeError, match=r"metadata are texts by names, and 'epoch' is a int: write str\(...\)"):
        tg.save(path, {}, metadata={"epoch": 3})


def test_the_same_state_gives_the_same_bytes(path):
    state = {"w": np.arange(6.0), "x": {"n": 1}}
    tg.save(path, state)
    first = path.read_bytes()
    tg.save(path, state)
    assert path.read_bytes() == first


def test_numpy_and_safetensors_read_the_files(tmp_path):
    arrays = {"layer.weight": np.arange(6.0).reshape(2, 3), "layer.bias": np.ones(3, np.float32)}
    tg.save(tmp_path / "w.npz", arrays)
    with np.load(tmp_path / "w.npz") as archive:
        assert all(same(archive[name], array) for name, array in arrays.items())
    np.savez_compressed(tmp_path / "theirs.npz", **arrays)
    assert same(tg.load(tmp_path / "theirs.npz"), arrays)
    package = pytest.importorskip("safetensors.numpy")
    tg.save(tmp_path / "w.safetensors", arrays)
    assert package.load_file(tmp_path / "w.safetensors").keys() == arrays.keys()
    package.save_file(arrays, tmp_path / "theirs.safetensors")
    assert tg.load(tmp_path / "theirs.safetensors").keys() == arrays.keys()


def test_weights_from_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    package = pytest.importorskip("safetensors.torch")
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    package.save_file(model.state_dict(), tmp_path / "model.safetensors")
    found = tg.load(tmp_path / "model.safetensors")
    for name, tensor in model.state_dict().items():
        assert same(found[name], tensor.numpy())
    package.save_file({"w": torch.tensor([1.0, -2.5, 3e38]).bfloat16()}, tmp_path / "half.safetensors")
    assert found.keys() == model.state_dict().keys()
    assert tg.load(tmp_path / "half.safetensors")["w"].tolist() == torch.tensor([1.0, -2.5, 3e38]).bfloat16().float().tolist()
    ours = tg.nn.Sequential(tg.nn.Linear(4, 3, dtype=np.float32), tg.nn.BatchNorm1d(3, dtype=np.float32))
    ours.load_state_dict(found)
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    np.testing.assert_allclose(ours.eval()(x).data, model.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)
    tg.save(tmp_path / "back.safetensors", found)
    model.load_state_dict(package.load_file(tmp_path / "back.safetensors"))


def test_bfloat16_becomes_float32(tmp_path):
    pytest.importorskip("safetensors")
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "b.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes([0x80, 0x3F, 0x20, 0xC0]))
    assert same(tg.load(tmp_path / "b.safetensors"), {"w": np.array([1.0, -2.5], np.float32)})


# -------------------------------------------------------------------------------------------------------------- refusals


class Custom:
    def state_dict(self):
        return {}


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ([1], DTypeError, "a state is a dictionary of arrays, .* got a list"),
        (Custom(), DTypeError, r"got a Custom: pass its state_dict\(\)"),
        ({"a": {"b": [1, Custom()]}}, DTypeError, r"a.b.1 is a Custom, .*: pass its state_dict\(\)"),
        ({"a": {1: 2}}, DTypeError, "a key in a is 1, a int; keys are texts"),
        ({"a": np.array(["x"])}, DTypeError, "a has dtype <U1, which is not numeric"),
        ({"a": np.array([None])}, DTypeError, "a has dtype object, which is not numeric"),
        ({"a": CYCLE}, ArgumentError, "nested too deeply; does a list or dictionary contain itself"),
    ],
)
def test_what_cannot_be_saved(path, state, error, message):
    tg.save(path, {"old": np.ones(1)})
    with pytest.raises(error, match=message):
        tg.save(path, state)
    assert list(tg.load(path)) == ["old"]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_complex128_is_for_npz(tmp_path):
    pytest.importorskip("safetensors")
    state = {"z": np.array([1 + 2j])}
    tg.save(tmp_path / "z.npz", state)
    assert same(tg.load(tmp_path / "z.npz"), state)
    with pytest.raises(DTypeError, match=r"safetensors cannot hold complex128 \(the array 'z'\): save it as .npz, which can"):
        tg.save(tmp_path / "z.safetensors", state)
    assert not (tmp_path / "z.safetensors").exists()


def test_suffixes(tmp_path):
    with pytest.raises(ArgumentError, match=r"save: the suffix '.pkl' of .* names no format; there are .safetensors and .npz$"):
        tg.save(tmp_path / "w.pkl", {})
    with pytest.raises(
        ArgumentError, match=r"load: the suffix '.pt' .* PyTorch's own format is a pickle.*safetensors.torch.save_file"
    ):
        tg.load(tmp_path / "w.pt")
    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "w.npz")


def test_without_safetensors_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingError, match=r"not installed: pip install 'tinygrad-edu\[io\]'; an .npz file needs no package"):
        tg.save(tmp_path / "w.safetensors", {})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_or_changed_anywhere_is_named(tmp_path, suffix):
    needs_safetensors(suffix)
    path = tmp_path / f"w{suffix}"
    tg.save(path, {"w": np.arange(40.0), "n": {"m": [1]}})
    whole = path.read_bytes()
    for at in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:at])
        with pytest.raises(FileError, match="truncated, corrupt, or not a"):
            tg.load(path)
    path.write_bytes(b"no such format at all, but long enough to be read")
    with pytest.raises(FileError, match="truncated, corrupt, or not a") as caught:
        tg.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_changed_number_is_noticed_in_an_npz_file(tmp_path):
    tg.save(tmp_path / "w.npz", {"w": np.arange(1000.0)})
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(FileError, match="Bad CRC-32"):
        tg.load(tmp_path / "w.npz")


def test_a_structure_that_does_not_fit(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"tinygrad_edu.structure": '{"dict": {"a": {"array": "b"}}}'}))
    with pytest.raises(FileError, match=r"corrupt: its arrays do not fit the structure that it describes \(KeyError\('b'\)\)"):
        tg.load(tmp_path / "w.npz")


def test_a_pytorch_archive_under_another_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(FileError, match="It is PyTorch's own format, a pickle that can run any program"):
        tg.load(tmp_path / "w.npz")


# ---------------------------------------------------------------------------------------------------------------- atomic


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    tg.save(path, {"w": np.ones(3)})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        tg.save(path, {"w": np.zeros(3)})
    assert tg.load(path)["w"].tolist() == [1, 1, 1]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_named(path):
    with pytest.raises(OSError, match="nowhere") as caught:
        tg.save(path.parent / "nowhere" / path.name, {"w": np.ones(1)})
    assert ".tmp" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links as Unix has them")
def test_a_link_stays_a_link(path):
    (path.parent / "real").mkdir()
    path.symlink_to(path.parent / "real" / path.name)
    tg.save(path, {"w": np.ones(1)})
    assert path.is_symlink()
    assert (path.parent / "real" / path.name).exists()


WRITER = """
import sys
import numpy as np
import tinygrad_edu as tg
number = 0
while True:
    number += 1
    tg.save(sys.argv[1], {"w": np.full(200_000, float(number)), "number": number})
    if number == 1:
        print("there", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="a signal that cannot be caught")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path, suffix):
    needs_safetensors(suffix)
    path, rng = tmp_path / f"state{suffix}", np.random.default_rng(0)
    kills = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 2
    for _ in range(kills):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], env=environment, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        state = tg.load(path)
        assert (state["w"] == state["number"]).all()
        assert len(state["w"]) == 200_000
    sweep_up(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
