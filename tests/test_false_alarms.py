"""Correct code is never called wrong: every operation, in every float precision, on badly scaled inputs, at its kinks and beside
them, near overflow, and of any shape. The nightly profile goes on until 10,000 derivatives of each operation, at as many random
numbers, were judged."""

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
from tinygrad_edu.testing.strategies import dtypes

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
EXAMPLES, CALLS = (10_000, 200) if NIGHTLY else (1, 4)  # derivatives to judge, and calls in a round of drawing
ROUNDS = 50  # at most: nearly all calls of some operations are outside of where they are defined
SCALES = (1.0, 1e-8, 1e-4, 1e4, 1e8)

PHASES = {"log_ndtr"}  # whose imaginary part, of large complex numbers, goes round and round within every step
BOUNDED = {"binary_entropy"}  # whose derivative is, as PyTorch's, smaller than the true one where that is larger than 1e12
WITHIN = {"_within_one"}  # which is called with numbers within one, and has the derivative of these everywhere

operations = [op for name, op in sorted(REGISTRY.items()) if op.ours and op.cases and name not in BOUNDED | WITHIN]


@st.composite
def hard_calls(draw, operation):
    """A call as a function of its real operands, these operands, and how often it is differentiated."""
    example = draw(examples(operation))
    precision = draw(dtypes("f"))
    kinks = draw(st.booleans())
    scale = draw(st.sampled_from(SCALES))
    for i, real in enumerate(example.real):
        if real:
            a = example.arrays[i]
            if not example.case.before:  # which makes matrices of a kind, as long as the numbers are where they should be
                own = draw(st.sampled_from((scale, scale, *SCALES)))  # mostly alike
                a = a * (min(1.0, own) if operation.name in PHASES and a.dtype.kind == "c" else own)
            if kinks and a.size and not example.case.before:  # two elements at 0, or alike
                flat = a.reshape(-1)
                flat[draw(st.integers(0, a.size - 1))] = draw(st.sampled_from([0.0, flat[0]]))
            with np.errstate(over="ignore"):
                example.arrays[i] = a.astype(example.dtype_of(a, precision))
    f, _ = example.function_of_reals()
    real = [a for a, real in zip(example.arrays, example.real, strict=True) if real]
    return f, real, draw(st.sampled_from([1, min(2, operation.orders)]))


@pytest.mark.parametrize("operation", operations, ids=lambda op: op.name)
def test_no_operation_is_called_wrong(operation, record_property):
    verdicts = Counter()

    def no_mismatch(call):
        f, inputs, order = call
        if not all(np.isfinite(x).all() for x in inputs):  # too large for float16
            return
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is nearly singular, or has no number
                report = check_gradients(f, *inputs, order=order)
        except (TinygradError, ArithmeticError, ValueError, TypeError):  # outside of where the operation is defined
            return
        verdicts.update(report.counts)
        if not report.ok:
            raise GradientMismatchError(report)

    for _ in range(ROUNDS):
        once = settings(max_examples=CALLS, phases=(Phase.generate,))  # the first call that fails is enough
        once(given(call=hard_calls(operation))(no_mismatch))()
        if verdicts.total() >= EXAMPLES:
            break
    record_property("verdicts on correct code", dict(verdicts))
