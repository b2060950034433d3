"""Twenty graphs whose DOT text is kept in files beside this one: what pictures say may not change by accident.

``python tests/golden/gallery.py`` prints the text of all, as JSON; with the argument ``write`` it writes the files anew, to be
looked at before they are committed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_edu as tg

FOLDER = Path(__file__).parent / "graphs"
GALLERY: dict[str, Callable[[], Any]] = {}


def picture(function: Callable[[], Any]) -> Callable[[], Any]:
    GALLERY[function.__name__] = function
    return function


def leaf(data: Any, name: str | None = None) -> tg.Tensor:
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def grid(*shape: int) -> np.ndarray:
    return np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)


class Block(tg.nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        self.inner = linear(width, width)

    def forward(self, x: Any) -> Any:
        return x + tg.relu(self.inner(x))


def linear(rows: int, columns: int) -> tg.nn.Affine:
    layer = tg.nn.Affine(rows, columns, rng=np.random.default_rng(0))
    layer.weight.data = grid(rows, columns)
    return layer


def two_layers() -> tg.Tensor:
    net = tg.nn.Sequential(linear(4, 3), tg.nn.Sigmoid(), linear(3, 2))
    loss = tg.nn.functional.cross_entropy(net(tg.Tensor(grid(5, 4), name="x")), tg.Tensor([0, 1, 0, 1, 0], name="t"))
    loss.name = "loss"
    return loss


def residual(blocks: int) -> tg.Tensor:
    net = tg.nn.Sequential(linear(4, 3), *[Block(3) for _ in range(blocks)], linear(3, 1))
    return (net(tg.Tensor(grid(2, 4), name="x")) ** 2).mean()


def recurrent(steps: int) -> tg.Tensor:
    u, w, b = leaf(grid(2, 3), "U"), leaf(grid(3, 3), "W"), leaf(grid(3), "b")
    h = tg.Tensor(np.zeros((1, 3)), name="h0")
    for step in range(steps):
        h = tg.tanh(tg.Tensor(grid(1, 2), name=f"x{step}") @ u + h @ w + b)
    return h.sum()


@picture
def one_constant() -> Any:
    return tg.Tensor([1.0, 2.0], name="c").graph(show=("shape", "dtype", "value"))


@picture
def chain_rule() -> Any:
    x, y = leaf(2, "x"), leaf(3, "y")
    return (x * y + tg.sin(x)).graph(show=("value", "grad"))


@picture
def chain_rule_full() -> Any:
    x, y = leaf(2, "x"), leaf(3, "y")
    return (x * y + tg.sin(x)).graph(detail="full", show=("value", "grad"))


@picture
def net() -> Any:
    return two_layers().graph()


@picture
def net_full_dark() -> Any:
    return two_layers().graph(detail="full", theme="dark", show=("shape", "dtype", "grad_norm"))


@picture
def net_right() -> Any:
    return two_layers().graph(direction="right", show=("shape", "memory"))


@picture
def net_closed() -> Any:
    return two_layers().graph(depth=2)


@picture
def net_outermost() -> Any:
    return two_layers().graph(depth=1)


@picture
def broadcasting() -> Any:
    return ((leaf(grid(2, 3), "X") + leaf(grid(3), "b")) * leaf(2, "s")).sum(axis=0).max().graph()


@picture
def broadcasting_backward() -> Any:
    x, b = leaf(grid(2, 3), "X"), leaf(grid(3), "b")
    ((x * b) ** 2).sum().backward(create_graph=True)
    return b.grad.graph()


@picture
def second_derivative() -> Any:
    x = leaf(2, "x")
    (tg.sin(x) * x).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward(create_graph=True)
    return x.grad.graph(detail="full")


@picture
def doublings() -> Any:
    y = leaf(1, "x")
    for _ in range(18):
        y = y + y
    return y.graph()


@picture
def recurrent_unrolled() -> Any:
    return recurrent(10).graph()


@picture
def recurrent_folded() -> Any:
    return recurrent(30).graph(max_nodes=30)


@picture
def residual_folded() -> Any:
    return residual(20).graph(max_nodes=40)


@picture
def residual_closed() -> Any:
    return residual(20).graph(max_nodes=12, detail="full")


@picture
def problems() -> Any:
    x, w, dead = leaf([1e-9, 0], "x"), leaf([3, 5], "w"), leaf([0, 0], "dead")
    with np.errstate(all="ignore"):
        y = (tg.log(x) * w + tg.relu(dead - 1)).sum()
    return y.graph(show=("shape", "value", "grad"))


@picture
def highlighted() -> Any:
    x = leaf(2, "x")
    y = tg.exp(x)
    return (y * y).graph(highlight={y: "look here", x: "and here"})


@picture
def nasty_names() -> Any:
    names = ['"', "\\N", "<b>bold</b>", "a:b -> c", "텐서 😀", "&amp; &", "tab\tnull\0", "two\nlines"]
    total = leaf(0, "}")
    for name in names:
        total = total + leaf(1, name)
    return total.graph(detail="full", show=())


@picture
def difference() -> Any:
    x, w = leaf([1, 2], "x"), leaf([3, 4], "w")
    before, after = tg.log(x * w).sum(), (tg.log(x * w + 1) * 2).mean()
    return tg.viz.diff(before.graph(show=("shape", "grad")), after.graph(show=("shape", "grad")))


def sources() -> dict[str, str]:
    """The DOT text of every graph."""
    return {name: graph().dot().source for name, graph in GALLERY.items()}


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        for name, source in sources().items():
            (FOLDER / f"{name}.dot").write_text(source, encoding="utf-8")
    else:
        print(json.dumps(sources()))
