"""How every optimiser goes through memory: blocks, dtypes, layouts, threads."""

from __future__ import annotations

import os
import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest
from optimising import CLASSES, gradients, leaves, run

import tinygrad_edu as tg
from tinygrad_edu import optim


@pytest.mark.parametrize("cls", CLASSES)
def test_a_step_makes_no_array_of_the_parameters_size(cls, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # each has blocks of its own
    (w,) = leaves([(4000, 1000)])
    w.grad = np.ones((4000, 1000))
    optimiser = cls([w], weight_decay=0.1)
    optimiser.step()  # the state is made here
    before = w.data
    tracemalloc.start()
    try:
        optimiser.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert w.data is before
    assert peak < w.data.nbytes / 6


@pytest.mark.parametrize("cls", CLASSES)
def test_float32_stays_float32(cls):
    params = leaves(dtype=np.float32)
    optimiser = cls(params, weight_decay=0.1)
    wide = leaves(dtype=np.float64)
    narrow_end, wide_end = (run(o, p, gradients(3)) for o, p in ((optimiser, params), (cls(wide, weight_decay=0.1), wide)))
    for mine, other in zip(narrow_end, wide_end, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    assert {a.dtype for state in optimiser.state.values() for a in state.values() if isinstance(a, np.ndarray)} <= {
        np.dtype(np.float32)
    }


@pytest.mark.parametrize("cls", CLASSES)
def test_the_layout_of_an_array_does_not_matter(cls):
    value, gradient = np.random.default_rng(0).standard_normal((2, 300, 400))
    ends = []
    for arrange in (np.ascontiguousarray, np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2]):
        for other in (np.ascontiguousarray, np.asfortranarray):
            w = tg.from_numpy(arrange(value.copy()), requires_grad=True)
            w.grad = tg.from_numpy(other(gradient))
            optimiser = cls([w], weight_decay=0.1)
            optimiser.step()
            optimiser.step()
            ends.append(w.numpy())
    for end in ends[1:]:
        np.testing.assert_array_equal(end, ends[0])


@pytest.mark.parametrize("cls", CLASSES)
def test_blocks_fit_together(cls, monkeypatch):
    ends = []
    for size in (1 << 20, 7 * 8):
        monkeypatch.setattr(optim.sweep, "BLOCK", size)
        params = leaves([(31, 3), (0, 3)])
        ends.append(run(cls(params, weight_decay=0.1), params, gradients(3, [(31, 3), (0, 3)]))[0])
    np.testing.assert_array_equal(*ends)


@pytest.fixture
def in_threads(monkeypatch):
    """A function that lets so many threads share the smallest work."""
    monkeypatch.setattr(optim.sweep, "BLOCK", 16)
    monkeypatch.setattr(optim.sweep, "SHARED", 1)
    monkeypatch.setattr(optim.sgd, "SMALL", 0)
    return lambda count: monkeypatch.setenv("OMP_NUM_THREADS", count)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("threads", ["2", "3", "200"])
def test_threads_share_the_work(cls, threads, in_threads):
    ends = []
    for count in ("1", threads):
        in_threads(count)
        params = leaves([(31, 3), (), (2, 5), (0, 4)])
        ends.append(run(cls(params, weight_decay=0.1), params, gradients(3, [(31, 3), (), (2, 5), (0, 4)])))
    for mine, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("place", [0, 99])
def test_an_error_in_any_thread_is_raised(place, in_threads):
    in_threads("2")
    (w,) = leaves([(100,)])
    w.grad = np.where(np.arange(100) == place, 1e308, 0.0)
    for _ in range(20):  # whichever thread meets it, with the settings of this one
        with pytest.raises(FloatingPointError), np.errstate(over="raise"):
            optim.SGD([w], lr=1e300).step()


def test_pieces_are_each_taken_once(in_threads):
    class Counting(optim.Optimizer):
        def rule(self, options, step):
            def move(p, g, scratch):
                time.sleep(0.001)
                p += 1
                seen.add(threading.get_ident())

            return (), move

    seen = set()
    in_threads("3")
    w = tg.Tensor(np.zeros((10, 4)), requires_grad=True)
    w.grad = np.zeros((10, 4))
    Counting([w], lr=1.0).step()
    assert (w.data == 1).all()
    assert len(seen) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_goes_on_alone(in_threads):
    """The threads of its parent are not there, and nobody waits for them."""
    in_threads("3")
    (w,) = leaves([(100,)])
    w.grad = np.ones(100)
    optimiser = optim.SGD([w], lr=1.0)
    optimiser.step()
    before = w.numpy()
    child = os.fork()
    if not child:
        failed = 1
        try:
            signal.alarm(20)
            optimiser.step()
            failed = int((w.data != before - 1).any())
        finally:
            os._exit(failed)  # whatever happened, it is not for pytest to go on here, too
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("cls", CLASSES)
def test_a_complex_parameter_is_two_real_ones(cls):
    z = tg.Tensor([1 + 2j, -3 + 0.5j], requires_grad=True)
    parts = [tg.Tensor([1.0, -3.0], requires_grad=True), tg.Tensor([2.0, 0.5], requires_grad=True)]
    complex_one, real_one = cls([z]), cls(parts)
    for _ in range(3):
        z.grad = np.array([3 - 1j, 2 + 2j])
        parts[0].grad, parts[1].grad = [3.0, 2.0], [-1.0, 2.0]
        complex_one.step()
        real_one.step()
    np.testing.assert_allclose(z.data, parts[0].data + 1j * parts[1].data, rtol=1e-14)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_gradient_is_left_alone(cls):
    (w,) = leaves([(5,)])
    w.grad = np.arange(5.0)
    cls([w], weight_decay=0.1).step()
    assert w.grad.tolist() == [0, 1, 2, 3, 4]
