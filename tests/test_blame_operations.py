"""`blame` finds no fault with any operation of the library."""

import pytest
from hypothesis import given, settings

from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import REGISTRY
from tinygrad_edu.testing.blame import blame
from tinygrad_edu.testing.examples import examples

OPERATIONS = [op for op in REGISTRY.values() if isinstance(op, Primitive) and op.ours and op.cases and op.rules]


@pytest.mark.parametrize("op", OPERATIONS, ids=[op.name for op in OPERATIONS])
def test_right_rules_are_not_blamed(op):
    looked = []

    @settings(max_examples=5)
    @given(examples(op))
    def run(example):
        f, real = example.function_of_reals()
        if real:
            report = blame(f, *real)
            looked.append(report.checked)
            assert not report.culprits, str(report)

    run()
    assert max(looked) > 0
