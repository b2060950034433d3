"""Every operation, in every case that is declared with it. A new operation is tested here without a line being added."""

import inspect

import numpy as np
import pytest
from cases import all_cases, examples
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import METHODS, REGISTRY, Lazy

every_case = pytest.mark.parametrize(("operation", "case"), [pytest.param(o, c, id=i) for o, c, i in all_cases()])


def plain(value):
    return value.numpy() if isinstance(value, tg.Tensor) else np.asarray(value)


def test_every_operation_that_has_a_derivative_declares_where_to_test_it():
    untested = [
        name
        for name, op in REGISTRY.items()
        if "." not in name and not op.cases and not (isinstance(op, Primitive) and op.rules and not any(op.rules.values()))
    ]
    assert untested == []
    assert [name for name, op in REGISTRY.items() if op.ours and op.cases and op.reference is None] == []


@every_case
@given(data=st.data())
def test_forward_agrees_with_the_reference(operation, case, data):
    example = data.draw(examples(operation, case))
    with np.errstate(all="ignore"):
        expected = np.asarray(example.call(example.arrays, operation.reference))
    on_arrays = example.call(example.arrays)
    on_tensors = example.call(example.tensors())
    assert not isinstance(on_arrays, tg.Tensor)
    assert isinstance(on_tensors, tg.Tensor)
    for result in (on_arrays, plain(on_tensors)):
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-13)
        assert np.shape(result) == expected.shape
        assert np.asarray(result).dtype == expected.dtype


WITH_OTHER_ARGUMENTS = ("reshape", "transpose")  # as methods they take lengths and axes one by one


@every_case
@given(data=st.data())
def test_every_spelling_is_the_same_operation(operation, case, data):
    example = data.draw(examples(operation, case))
    tensors = example.tensors()
    expected = plain(example.call(tensors))
    numpy = [theirs for theirs in operation.numpy if not isinstance(theirs, (np.ufunc, Lazy)) and takes(theirs, example)]
    ufuncs = [theirs for theirs in operation.numpy if isinstance(theirs, np.ufunc) and not example.params]
    scipy = [theirs for theirs in operation.numpy if isinstance(theirs, Lazy)]
    ours = [getattr(tg, name) for name in (operation.name, *operation.aliases) if not name.startswith("_")]
    if METHODS.get(operation.name) is operation.function and isinstance(tensors[0], tg.Tensor):
        ours += [getattr(tg.Tensor, name) for name in (operation.name, *operation.aliases) if name not in WITH_OTHER_ARGUMENTS]
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


@every_case
@given(data=st.data())
def test_derivatives_agree_with_the_numerical_ones(operation, case, data):
    example = data.draw(examples(operation, case))
    f, reals = example.function_of_reals()
    tg.testing.check_gradients(f, *reals, order=operation.orders)


@every_case
@given(data=st.data())
def test_float32_stays_float32_and_inputs_stay_as_they_were(operation, case, data):
    example = data.draw(examples(operation, case))
    tensors = example.tensors(np.float32)
    before = [plain(t).copy() for t in tensors]
    y = example.call(tensors)
    assert y.dtype in ({np.dtype(example.params["dtype"])} if example.params.get("dtype") else {np.dtype("f4"), np.dtype("c8")})
    y.backward(np.ones(y.shape))
    for tensor, array, value in zip(tensors, example.arrays, before, strict=True):
        np.testing.assert_array_equal(plain(tensor), value)
        if isinstance(tensor, tg.Tensor):
            assert tensor.data.flags.writeable
            assert tensor.grad.dtype == example.dtype_of(array, np.float32)
            assert tensor.grad.shape == tensor.shape


def strided(array):
    """The same numbers, in memory that is neither contiguous nor in order."""
    wide = np.full((*array.shape[::-1], 2), np.nan, array.dtype)
    view = wide[..., 1].T[(..., *[slice(None, None, -1)] * array.ndim)]
    view[...] = array
    return view


@every_case
@given(data=st.data())
def test_memory_layout_makes_no_difference(operation, case, data):
    example = data.draw(examples(operation, case))
    results = []
    for layout in (np.array, strided):
        tensors = [
            tg.from_numpy(layout(a), requires_grad=True) if real else a
            for a, real in zip(example.arrays, example.real, strict=True)
        ]
        y = example.call(tensors)
        y.backward(strided(np.arange(1.0, 1 + y.size).reshape(y.shape)))
        results.append([plain(y), *[plain(t.grad) for t in tensors if isinstance(t, tg.Tensor)]])
    for contiguous, other in zip(*results, strict=True):
        np.testing.assert_allclose(contiguous, other, rtol=1e-10, atol=1e-12)


@every_case
@given(data=st.data())
def test_recorded_derivative_equals_the_plain_one(operation, case, data):
    example = data.draw(examples(operation, case))
    precision = data.draw(st.sampled_from([np.float64, np.float32]))
    gradients = []
    for create_graph in (False, True):
        tensors = example.tensors(precision)
        y = example.call(tensors)
        y.backward(np.cos(np.arange(y.size)).reshape(y.shape), create_graph=create_graph)
        gradients.append([plain(t.grad) for t in tensors if isinstance(t, tg.Tensor)])
    exact = 1e-11 if precision is np.float64 else 1e-4
    for array, first, second in zip(
        [a for a, real in zip(example.arrays, example.real, strict=True) if real], *gradients, strict=True
    ):
        assert first.dtype == second.dtype == example.dtype_of(array, precision)
        np.testing.assert_allclose(first, second, rtol=exact, atol=exact)
