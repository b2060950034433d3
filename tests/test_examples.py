"""Every example, run as a program of its own with warnings as errors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]

# What each example must print, line by line; other lines may stand between.
PRINTED = {
    "activation_functions": """\
step(x)      [0 1 1]
sigmoid(x)   [0.26894142 0.88079708 0.95257413]
relu(x)      [0. 2. 3.]
relu'(x)     [0. 1. 1.]
""",
    "chain_rule": """\
t = x + y = 5, z = t**2 = 25
local derivatives: dz/dt = 2 t = 10, dt/dx = 1
chain rule: dz/dx = dz/dt * dt/dx = 10
backward(): dz/dx = 10, dz/dy = 10
""",
    "gradient_descent": """\
lr 0.1 from (-3, 4): [-2.4  3.2] [-1.92  2.56] ... after 100 steps [-6.11110793e-10  8.14814391e-10]
lr 0.1 on x**2 from 3: after 10 steps 0.3221225472
lr 0.5 on x**2 from 3: after 10 steps 0
lr 0.9 on x**2 from 3: after 10 steps 0.3221225472
lr 1.0 on x**2 from 3: after 10 steps 3
warning: diverged: f rose from 9 to 345.038, so lr=1.1 is too large
lr 1.1 on x**2 from 3: after 10 steps 18.57520927
lr 10 by the numerical gradient: [-2.58983747e+13 -1.29524862e+12]
lr 1e-10 by the numerical gradient: [-2.99999994  3.99999992]
""",
    "numerical_gradient": """\
derivative of 0.01 x**2 + 0.1 x at 5: 0.1999999999990898
its tangent at 5 passes 0, 5 and 10 at -0.25 0.75 1.75
partial derivatives of x0**2 + x1**2 at (3, 4): 6.00000000000378 7.999999999999119
gradient of the sum of squares at [3.0, 4.0]: numerical [6. 8.], analytic [6. 8.]
W1 of an 8-5-3 net, 40 derivatives: numerical and analytic agree to 1e-9
b2 of an 8-5-3 net, 3 derivatives: numerical and analytic agree to 1e-9
one numerical gradient of a 784-50-10 net takes 79,520 evaluations of the loss
""",
    "perceptron_gates": """\
inputs         (0,0) (1,0) (0,1) (1,1)
AND   by hand     0     0     0     1
AND   learned     0     0     0     1
NAND  by hand     1     1     1     0
NAND  learned     1     1     1     0
OR    by hand     0     1     1     1
OR    learned     0     1     1     1
XOR   by hand     0     1     1     0
XOR   learned     0     1     1     0
""",
    "three_layer_net": """\
Z1 [0.57444252 0.66818777 0.75026011]
Z2 [0.62624937 0.7710107 ]
Y  [0.31682708 0.69627909]
a batch of two: Y has shape (2, 2)
""",
    "book_layers": """\
the gradient of ForgetfulAffine is wrong: 18 match, 2 mismatch
""",
    "losses": """\
  half_sum_of_squares 0.09750000000000003
  sum_of_squares      0.19500000000000006
  book_cross_entropy  0.510825457099338
  exact_cross_entropy 0.5108256237659907
a batch's loss is the mean of its examples': True
labels as numbers or one-hot, it is the same: True
""",
    "newton": """\
the square root of 2: 1.000000000000 1.500000000000 1.416666666667 1.414215686275 1.414213562375
""",
    "book_two_layer_net": """\
gradients by hand and by the library agree: True
""",
    "cnn_mnist": """\
say where the images are: python examples/cnn_mnist.py FOLDER
""",
    "two_layer_net_mnist": """\
say where the images are: python examples/two_layer_net_mnist.py FOLDER
""",
    "mnist_given_weights": """\
say where weights and images are: python examples/mnist_given_weights.py FOLDER
""",
    "two_layer_net_digits": """\
Sequential(): 3,760 parameters
  0 = Linear(64, 50): 3,250 parameters
  1 = Sigmoid()
  2 = Linear(50, 10): 510 parameters
""",
}

# What each example draws into a directory that it is given.
DRAWN = {
    "activation_functions": "activation_functions.svg",
    "chain_rule": "chain_rule.svg" if shutil.which("dot") else "chain_rule.dot",
    "gradient_descent": "gradient_descent.svg",
    "losses": "losses.svg",
    "newton": "newton.svg",
    "numerical_gradient": "numerical_gradient.svg",
    "perceptron_gates": "perceptron_gates.svg",
}

# What learns for some seconds is run once, with a picture: what it prints of the numbers that it reaches, and which must hold.
LEARNED = {
    "gradient_penalty": (r"penalty (\S+): mean squared slope (\S+)", lambda n: n[1] > 2 * n[3] > 4 * n[5]),
    "spiral_classifier": (r"(?:one layer|three layers): (\S+) of", lambda n: n[0] < 0.8 < 0.95 < n[1]),
}
NIGHTLY = {
    "char_lstm": (r"loss a letter: (\S+) in the first epoch, (\S+) in the last", lambda n: n[0] > 3 > 0.6 > n[1]),
    "transformer_text": (r"loss a letter: (\S+) in the first epoch, (\S+) in the last", lambda n: n[0] > 3 > 0.6 > n[1]),
}


def run(name: str, *arguments: str, cwd: Path) -> list[str]:
    """The lines that an example prints."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return [line.rstrip() for line in result.stdout.splitlines()]


def test_every_example_is_known():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == PRINTED.keys() | LEARNED.keys() | NIGHTLY.keys()


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_its_results_and_leaves_nothing_behind(name, tmp_path):
    printed = iter(run(name, cwd=tmp_path))
    for line in PRINTED[name].splitlines():
        assert line in printed, f"{name} did not print {line!r}, or not in this place"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", DRAWN)
def test_an_example_draws_into_the_directory_that_it_is_given(name, tmp_path):
    if name != "chain_rule":
        pytest.importorskip("matplotlib")
    lines = run(name, str(tmp_path / "pictures"), cwd=tmp_path)
    picture = tmp_path / "pictures" / DRAWN[name]
    assert lines[-1].endswith(str(picture))
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == [DRAWN[name]]
    text = picture.read_text("utf-8")
    assert "<svg" in text or "digraph" in text


@pytest.mark.parametrize("name", [*LEARNED, *NIGHTLY])
def test_an_example_learns(name, tmp_path):
    pytest.importorskip("matplotlib")
    if name in NIGHTLY and os.environ.get("HYPOTHESIS_PROFILE") != "nightly":
        pytest.skip("takes ten seconds; its parts are in test_notes_models")
    pattern, reached = (LEARNED | NIGHTLY)[name]
    lines = run(name, str(tmp_path), cwd=tmp_path)
    numbers = [float(number) for found in re.findall(pattern, "\n".join(lines)) for number in np.atleast_1d(found)]
    assert reached(numbers), lines
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.svg"]


def test_the_digits_are_learned(tmp_path):
    last = run("two_layer_net_digits", cwd=tmp_path)[-1]
    assert last.startswith("epoch 15:")
    assert float(last.split()[-2]) >= 0.95
