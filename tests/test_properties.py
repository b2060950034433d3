"""Every operation, in every case that is declared with it. A new operation is tested here without a line being added."""

import inspect

import numpy as np
import pytest
from hypothesis import given

import tinygrad_edu as tg
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import METHODS, REGISTRY, Lazy
from tinygrad_edu.testing.examples import examples
from tinygrad_edu.testing.properties import PROPERTIES, plain

every_case = pytest.mark.parametrize(
    ("operation", "case"),
    [
        pytest.param(operation, case, id=f"{name}-{number}")
        for name, operation in sorted(REGISTRY.items())
        if "." not in name
        for number, case in enumerate(operation.cases)
    ],
)


def test_every_operation_that_has_a_derivative_declares_where_to_test_it():
    untested = [
        name
        for name, op in REGISTRY.items()
        if "." not in name and not op.cases and not (isinstance(op, Primitive) and op.rules and not any(op.rules.values()))
    ]
    assert untested == []
    assert [name for name, op in REGISTRY.items() if op.ours and op.cases and op.reference is None] == []


@every_case
def test_properties(operation, case):
    """Those of `property_test`, on the same calls: drawing them takes as long as most of the properties."""

    @given(example=examples(operation, case))
    def each_property(example):
        for holds in PROPERTIES.values():
            holds(example)
        each_spelling(example)

    each_property()


WITH_OTHER_ARGUMENTS = ("reshape", "transpose")  # as methods they take lengths and axes one by one


def each_spelling(example):
    """Every name of an operation, here, in NumPy and in SciPy, is the same operation."""
    operation, tensors = example.operation, example.tensors()
    expected = plain(example.call(tensors))
    numpy = [theirs for theirs in operation.numpy if not isinstance(theirs, (np.ufunc, Lazy)) and takes(theirs, example)]
    ufuncs = [theirs for theirs in operation.numpy if isinstance(theirs, np.ufunc) and not example.params]
    scipy = [theirs for theirs in operation.numpy if isinstance(theirs, Lazy)]
    ours = [getattr(tg, name) for name in (operation.name, *operation.aliases) if not name.startswith("_")]
    if METHODS.get(operation.name) is operation.function and isinstance(tensors[0], tg.Tensor):
        names = (operation.name, *operation.aliases)
        ours += [getattr(tg.Tensor, name) for name in names if name not in WITH_OTHER_ARGUMENTS]
    for spelling in [*numpy, *ufuncs, *scipy, *ours]:
        y = example.call(tensors, spelling)
        assert isinstance(y, tg.Tensor)
        np.testing.assert_array_equal(plain(y), expected, err_msg=str(spelling))


def takes(theirs, example):
    """Whether NumPy's function has the example's arguments; ours may have more, and a ufunc's method takes no such names."""
    try:
        parameters = inspect.signature(theirs).parameters
    except ValueError:
        return not example.params
    return set(example.params) <= set(parameters) or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
