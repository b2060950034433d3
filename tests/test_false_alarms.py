"""Correct code is never called wrong: every operation, in every float precision, on badly scaled inputs, at its kinks and beside
them, near overflow, and of any shape. The nightly profile goes on until 10,000 derivatives of each operation, at as many random
numbers, were judged."""

import itertools
import os
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tinygrad_edu.errors import GradientMismatchError, TinygradError
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.testing import check_gradients
from tinygrad_edu.testing.examples import examples

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
# Derivatives to judge, calls in a round of drawing, and with how many numbers each is called.
EXAMPLES, CALLS, VARIANTS = (10_000, 50, 6) if NIGHTLY else (1, 3, 2)
ROUNDS = 50  # at most: nearly all calls of some operations are outside of where they are defined
SCALES = (1.0, 1e-8, 1e-4, 1e4, 1e8)

PHASES = {"erfcx", "log_ndtr"}  # of large complex numbers, whose phase goes round and round within every step
BOUNDED = {"binary_entropy"}  # whose derivative is, as PyTorch's, smaller than the true one where that is larger than 1e12
POWERS = {"power"}  # which of a complex 0 have no derivative, or one that no step comes near, as z^(1.02 − 2i)
# With numbers as declared: what is called with a lower and an upper bound, and what becomes, of numbers of different sizes, a
# staircase with steps as small as those that rounding inside of a function makes.
DECLARED = {"_clip_between", "fmod", "remainder"}
WITHIN = {"_within_one"}  # which is called with numbers within one, and has the derivative of these everywhere

operations = [op for name, op in sorted(REGISTRY.items()) if op.ours and op.cases and name not in BOUNDED | WITHIN]


def hard(example, operation, rng):
    """The real operands of an example in some precision and on some scale, at its kinks or beside them."""
    precision = np.dtype(str(rng.choice(("f8", "f4", "f2"))))
    kinks, spread = rng.random(2) < 0.5
    scale = rng.choice(SCALES)
    found = []
    for a in itertools.compress(example.arrays, example.real):
        # A case's ``before`` makes matrices of a kind, as long as the numbers are where they should be.
        if not example.case.before and operation.name not in DECLARED:
            own = rng.choice((scale, scale, *SCALES))  # mostly alike
            a = a * (min(1.0, own) if operation.name in PHASES and a.dtype.kind == "c" else own)
            if spread:
                a = a * rng.uniform(0.5, 1, a.shape)
            if kinks and a.size:  # two elements at 0, or alike
                flat = a.reshape(-1)
                zero = flat[0] if operation.name in POWERS and a.dtype.kind == "c" else 0.0
                flat[rng.integers(a.size)] = rng.choice([zero, flat[0]])
        with np.errstate(over="ignore"):
            found.append(np.asarray(a).astype(example.dtype_of(np.asarray(a), precision)))
    return found


@pytest.mark.parametrize("operation", operations, ids=lambda op: op.name)
def test_no_operation_is_called_wrong(operation, record_property):
    verdicts = Counter()

    def no_mismatch(example, seed):
        f, _ = example.function_of_reals()
        rng = np.random.default_rng(seed)
        for _ in range(VARIANTS):
            inputs = hard(example, operation, rng)
            if not all(np.isfinite(x).all() for x in inputs):  # too large for float16
                continue
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of what is nearly singular, or has no number
                    report = check_gradients(f, *inputs, order=int(rng.integers(1, min(2, operation.orders) + 1)))
            except (TinygradError, ArithmeticError, ValueError, TypeError):  # outside of where the operation is defined
                continue
            verdicts.update(report.counts)
            if not report.ok:
                raise GradientMismatchError(report)

    for _ in range(ROUNDS):
        once = settings(max_examples=CALLS, phases=(Phase.generate,))  # the first call that fails is enough
        once(given(example=examples(operation), seed=st.integers(0, 2**32 - 1))(no_mismatch))()
        if verdicts.total() >= EXAMPLES:
            break
    record_property("verdicts on correct code", dict(verdicts))
