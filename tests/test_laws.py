"""The laws: they hold for the library, and each catches the mistakes that it is for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import engine
from tinygrad_edu.errors import ArgumentError, LawError
from tinygrad_edu.testing import laws, strategies

GENERAL = [laws.linear_in_cotangent, laws.forward_is_reverse, laws.accumulates, laws.like_its_input, laws.symmetric_hessian]


def wrong(forward, **rules):
    """An operation with the given forward and rules, which are its mistake."""
    op = tg.primitive(forward)
    op.vjp(**rules)
    return op


# ------------------------------------------------------------------------------------------------------------- they hold


@pytest.mark.parametrize("law", GENERAL, ids=lambda law: law.__name__)
@given(program=strategies.programs(1, 8))
def test_it_holds_for_every_program(law, program):
    law(program, *program.inputs)


@pytest.mark.parametrize("law", GENERAL, ids=lambda law: law.__name__)
@given(data=st.data())
def test_it_holds_for_complex_numbers_and_float32(law, data):
    z, w = data.draw(strategies.matmul_operands(tg.complexes(), dtype=strategies.dtypes("f").filter(lambda d: d != np.float16)))
    law(lambda z, w: tg.exp(z @ w / 8), z, w)
    law(lambda z: tg.abs(z + 9), z)
    law(tg.tanh, data.draw(strategies.arrays(dtype=np.float32)))


@given(z=strategies.extreme_logits(shape=strategies.shapes(max_dims=2)))
def test_those_of_a_softmax(z):
    laws.rows_sum_to_one(tg.softmax, z)
    laws.translation_invariant(tg.log_softmax, z)


@given(data=st.data())
def test_those_of_shapes(data):
    x = data.draw(strategies.arrays(shape=strategies.shapes()))
    shape, _ = data.draw(strategies.broadcastable_shapes(2, base=x.shape))
    laws.broadcast_and_sum(x, np.broadcast_shapes(x.shape, shape))
    if x.ndim:
        laws.permutation_equivariant(tg.tanh, x)
        laws.permutation_equivariant(lambda x: tg.sum(tg.exp(x), axis=0), x, invariant=True)


@given(data=st.data())
def test_those_of_matrices(data):
    a = data.draw(strategies.well_conditioned())
    x = data.draw(strategies.arrays(shape=(len(a),)))
    laws.homogeneous(tg.linalg.inv if hasattr(tg, "linalg") else tg.inv, a, degree=-1)
    laws.homogeneous(tg.det, a, degree=len(a))
    laws.adjoint(lambda v: a @ v, lambda v: a.T @ v, x, np.ones(len(a)))
    laws.chain_rule(tg.sin, tg.matmul, a, x)


# -------------------------------------------------------------------------------------------------- they catch mistakes


def square(x, /):
    return x * x


VIOLATIONS = {
    "the cotangent squared": (
        laws.linear_in_cotangent,
        wrong(square, x=lambda g, x: 2 * g * g * x),
        r"square: the law does not hold: linear in the cotangent: Jᵀ\(a u \+ b w\) = a Jᵀu \+ b Jᵀw, 2 of 2 numbers",
    ),
    "something added to the cotangent": (
        laws.linear_in_cotangent,
        wrong(square, x=lambda g, x: 2 * g * x + 1),
        r"\n  left  \[.*\]\n  right \[.*\]\n  its rule must multiply the cotangent g, once",
    ),
    "a gradient that is cut off": (
        laws.linear_in_cotangent,
        wrong(square, x=lambda g, x: tg.clip(2 * g * x, -1, 1)),
        "linear in the cotangent",
    ),
    "large cotangents that are cut off": (
        laws.linear_in_cotangent,
        wrong(square, x=lambda g, x: 2 * x * tg.clip(g, -100, 100)),
        r"linear in the cotangent: Jᵀ\(a u\) = a Jᵀu for a = 16384",
    ),
    "small cotangents that are dropped": (
        laws.linear_in_cotangent,
        wrong(square, x=lambda g, x: 2 * x * tg.where(abs(g) < 1e-3, 0.0, g)),
        r"linear in the cotangent: Jᵀ\(a u\) = a Jᵀu for a = 6.10352e-05",
    ),
    "a rule that squares the cotangent, seen forwards": (
        laws.forward_is_reverse,
        wrong(square, x=lambda g, x: g * g * x),
        r"forward = reverse: ⟨Jv, w⟩ = ⟨v, Jᵀw⟩",
    ),
    "a forward derivative by hand": (
        lambda f, x: laws.forward_is_reverse(f, x, forward=lambda inputs, tangents: inputs[0] * tangents[0]),
        tg.square,
        "one of the two derivatives is wrong",
    ),
    "a forward derivative of the wrong shape": (
        lambda f, x: laws.forward_is_reverse(f, x, forward=lambda inputs, tangents: tangents[0][:1]),
        tg.square,
        r"its forward derivative has shape \(1,\), and its result \(2,\)",
    ),
    "right as a number, wrong as a function": (
        laws.symmetric_hessian,
        wrong(lambda x, /: x[0] * x[1] ** 2 * np.ones(()), x=lambda g, x: g * tg.stack([x[1] ** 2, 2 * plain(x)[0] * x[1]])),
        r"symmetry of the second derivative: ⟨H u, v⟩ = ⟨u, H v⟩.*\n.*\n.*\n.*right as a number and wrong as a function",
    ),
    "the wrong degree": (
        lambda f, x: laws.homogeneous(f, x, degree=3),
        tg.square,
        r"Euler's identity for degree 3: ⟨x, ∇f⟩ = 3 f\(x\)",
    ),
    "a factor that is missing": (
        lambda f, x: laws.homogeneous(f, x, degree=2),
        wrong(square, x=lambda g, x: g * x),
        "the gradient is wrong, or the function is not homogeneous of that degree",
    ),
    "a gradient that is not permuted": (
        laws.permutation_equivariant,
        wrong(square, x=lambda g, x: 2 * g * x * np.arange(x.size)),
        "the gradient at P x is that at x, permuted.*\n.*\n.*\n.*the gradient is wrong",
    ),
    "a function of the place": (
        laws.permutation_equivariant,
        tg.cumsum,
        r"f\(P x\) = P f\(x\), [12] of 2 numbers.*\n.*\n.*\n  it treats places along axis 0 differently",
    ),
    "a softmax over everything": (
        lambda f, x: laws.rows_sum_to_one(f, [x, x]),
        lambda z: tg.softmax(z, axis=None),
        "rows sum to 1",
    ),
    "the diagonal of a softmax's derivative alone": (
        laws.rows_sum_to_one,
        wrong(lambda z, /: np.exp(z) / np.exp(z).sum(), z=lambda g, y: g * y * (1 - y)),
        "the sum of a row has gradient 0.*\n.*\n.*\n.*forgets that the sum of the row depends on every element",
    ),
    "a softmax with an epsilon": (
        laws.rows_sum_to_one,
        lambda z: tg.exp(z) / (tg.sum(tg.exp(z)) + 1e-3),
        "rows sum to 1",
    ),
    "not invariant": (laws.translation_invariant, tg.tanh, r"invariance: f\(x \+ c\) = f\(x\)"),
    "invariant, with a gradient that is not": (
        laws.translation_invariant,
        wrong(lambda x, /: x - x.mean(), x=lambda g: g),
        "the gradient sums to 0 along the axis.*\n.*\n.*\n.*orthogonal to the translations",
    ),
    "not adjoint": (
        lambda f, x: laws.adjoint(f, f, x, [1.0, 1.0]),
        tg.cumsum,
        r"cumsum and cumsum are adjoint: ⟨f\(x\), y⟩ = ⟨x, g\(y\)⟩",
    ),
    "adjoint, with a derivative that is not": (
        lambda f, x: laws.adjoint(f, lambda y: 3 * y, x, [1.0, 1.0]),
        wrong(lambda x, /: 3 * x, x=lambda g: 2 * g),
        "the derivative of f is g",
    ),
    "no transpose of its shape": (
        lambda f, x: laws.adjoint(f, tg.sum, x, [1.0, 1.0]),
        tg.sum,
        r"sum takes \(2,\) to \(\), and sum takes \(2,\) to \(\): not each other's",
    ),
}


def plain(value):
    return value.detach() if isinstance(value, tg.Tensor) else value


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_caught(name):
    law, f, message = VIOLATIONS[name]
    with pytest.raises(LawError, match=message) as caught:
        law(f, np.array([0.7, -1.3]))
    assert len(str(caught.value).splitlines()) < 12


def test_the_right_ones_pass():
    right = wrong(square, x=lambda g, x: 2 * g * x)
    for law in GENERAL:
        law(right, [0.7, -1.3])


def test_overwriting_instead_of_accumulating_is_caught(monkeypatch):
    source = engine._pull_back

    class Overwriting(dict):
        def get(self, key, default=None):
            return None  # never anything to add to

    monkeypatch.setattr(engine, "_pull_back", lambda order, pending, *rest, **kw: source(order, Overwriting(pending), *rest, **kw))
    with pytest.raises(LawError, match=r"accumulation: x used twice gets twice the gradient.*\n.*\n.*\n.*none may replace another"):
        laws.accumulates(tg.sin, [0.5])


def test_a_function_that_remembers_is_caught():
    calls = []

    def remembering(x):
        calls.append(x)
        return x * len(calls)

    with pytest.raises(LawError, match="accumulation"):
        laws.accumulates(remembering, [0.5])


def test_a_gradient_of_another_dtype_is_caught(monkeypatch):
    monkeypatch.setattr(laws, "vjp", lambda f, *x: (tg.Tensor(x[0]), lambda w: [tg.Tensor(np.ones(2, np.float64))]))
    with pytest.raises(LawError, match=r"gradient of input 0 has shape \(2,\) and dtype float64, and the input has .* float32"):
        laws.like_its_input(tg.sin, np.ones(2, np.float32))


def test_a_wrong_sum_over_repeated_axes_is_caught(monkeypatch):
    right = tg.broadcast_to.op.rules
    tg.broadcast_to.op.vjp(a=lambda g, a_shape: tg.reshape(tg.sum(g, axis=-1), a_shape) * 0.5)
    try:
        with pytest.raises(LawError, match="repeated and summed are adjoint: the derivative of f is g"):
            laws.broadcast_and_sum(np.ones((2, 1)), (2, 3))
    finally:
        tg.broadcast_to.op.vjp(**right)


def test_the_chain_rule_of_a_broken_composition(monkeypatch):
    twice = iter([1.0, 3.0])
    changing = lambda x: tg.sin(x) * next(twice)
    with pytest.raises(LawError, match=r"the chain rule of <lambda>\(exp\(x\)\)"):
        laws.chain_rule(changing, tg.exp, [0.5])


def test_the_message_names_the_inputs():
    wrong_rule = wrong(square, x=lambda g, x: g * g)
    with pytest.raises(LawError, match=r"\n  input 0 \(\(2,\) float64\): \[ ?0.7 -1.3\]$"):
        laws.linear_in_cotangent(wrong_rule, [0.7, -1.3])


def test_what_cannot_be_tried_is_refused():
    with pytest.raises(ArgumentError, match="a law of sin is tried on floats or complex numbers, and its inputs are: int64"):
        laws.linear_in_cotangent(tg.sin, [1, 2])
    with pytest.raises(ArgumentError, match="a law of <lambda> needs a function that returns one tensor, and it returned tuple"):
        laws.linear_in_cotangent(lambda x: (x, x), [1.0])
    for law in (laws.rows_sum_to_one, laws.translation_invariant, laws.permutation_equivariant):
        with pytest.raises(ArgumentError, match=rf"{law.__name__} of softmax: an array of shape \(2,\) has no axis 1\n  input 0"):
            law(tg.softmax, [1.0, 2.0], axis=1)
        with pytest.raises(ArgumentError, match=r"an array of shape \(\) has no axis (0|-1)"):
            law(tg.tanh, 1.0)


def test_half_precision_has_room_for_the_cotangents_of_linearity():
    laws.linear_in_cotangent(lambda x: 1000 * x, np.array([1, 2], np.float16))


def test_a_hessian_that_is_wrong_on_its_diagonal_is_symmetric():
    leak = wrong(lambda x: x**3, x=lambda g, x: 3 * g * (x.numpy() if isinstance(x, tg.Tensor) else x) ** 2)
    laws.symmetric_hessian(leak, [1.0, 2.0])
    assert not tg.testing.check_gradients(leak, [1.0, 2.0], order=2).ok
