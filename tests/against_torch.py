"""What the comparisons with PyTorch share. A test file that imports this is skipped where PyTorch is not installed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its numbers are not compared with")


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own
        yield
    torch.set_default_dtype(torch.float32)


def flat(y) -> list:
    return [y] if not isinstance(y, tuple) else [part for item in y for part in flat(item)]


def close(ours, theirs, what: str) -> None:
    ours = ours.data if isinstance(ours, tg.Tensor) else ours
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-10, err_msg=what)


def compare(ours, theirs, *arrays, ours_module=None, theirs_module=None, seed=0) -> None:
    """Both functions of the same arrays: results, and the gradients of floating arrays and of parameters."""
    rng = np.random.default_rng(seed)
    real = [isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in arrays]
    mine = [tg.Tensor(a, requires_grad=True) if r else a for a, r in zip(arrays, real, strict=True)]
    other = [torch.tensor(a, requires_grad=r) if isinstance(a, np.ndarray) else a for a, r in zip(arrays, real, strict=True)]
    ys, zs = flat(ours(*mine)), flat(theirs(*other))
    assert len(ys) == len(zs)
    loss, total = 0, 0
    for y, z in zip(ys, zs, strict=True):
        close(y, z, "result")
        assert y.shape == tuple(z.shape)
        if isinstance(y, tg.Tensor) and y.requires_grad:
            g = rng.standard_normal(y.shape)
            loss, total = loss + (y * g).sum(), total + (z * torch.tensor(g)).sum()
    loss.backward()
    total.backward()
    for position, (x, z) in enumerate(zip(mine, other, strict=True)):
        if isinstance(x, tg.Tensor):
            close(x.grad if x.grad is not None else 0 * x.data, z.grad, f"gradient of operand {position}")
    if ours_module is not None:
        named = dict(theirs_module.named_parameters())
        found = dict(ours_module.named_parameters())
        assert list(named) == list(found)
        for name, parameter in found.items():
            close(parameter.grad, named[name].grad, f"gradient of {name}")


def modules(make, theirs_make, *arrays, call=(), seed=0, **options) -> None:
    """Two modules: ours takes over the weights of PyTorch's, and then both compute."""
    theirs, ours = theirs_make(), make()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    assert ours.load_state_dict(state) == ([], [])
    assert list(ours.state_dict()) == list(state)
    run = lambda module: lambda *x: module(*x, *call, **options)
    compare(run(ours), run(theirs), *arrays, ours_module=ours, theirs_module=theirs, seed=seed)
    for name, value in theirs.state_dict().items():  # running statistics moved alike
        close(ours.state_dict()[name], value, name)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)
