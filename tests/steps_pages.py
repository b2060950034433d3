"""The graphs whose steps pages are looked at in a browser, and the browser."""

from __future__ import annotations

import shutil

import numpy as np

import tinygrad_edu as tg

EVIL = "</script><img src=x onerror=alert(1)>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# No background traffic, and no sandbox of its own, which a container has no rights for.
FLAGS = [f"--{flag}" for flag in ("no-sandbox", "no-first-run", "disable-gpu", "disable-quic", "disable-sync")] + [
    "--disable-background-networking",
    "--disable-component-update",
]
WIDTHS = {320: 640, 740: 720, 1280: 800, 1920: 1080}  # a phone, a frame in a notebook, a screen, a projector


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=float)


def small():
    """x is used three times, w has a name that tries to break out."""
    x, w = leaf(3.0, "x"), leaf(2.0, EVIL)
    return tg.sin(x * w) + x * x


def net():
    rng = np.random.default_rng(0)
    net = tg.nn.Sequential(tg.nn.Affine(2, 4, rng=rng), tg.nn.Sigmoid(), tg.nn.Affine(4, 2, rng=rng))
    loss = tg.softmax_cross_entropy(net(tg.Tensor(rng.normal(size=(4, 2)), name="X")), tg.Tensor([0, 1, 1, 0], name="t"))
    loss.name = "loss"
    return loss


GRAPHS = {"small": small, "net": net}


def at(page):
    """The step that the page says that it is at."""
    return int(page.inner_text("#count").split(" ")[0])
