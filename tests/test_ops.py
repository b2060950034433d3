"""What the operations promise beyond the generic properties: conventions at kinks, stability, labels, messages."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, DTypeError, LabelError, PrimitiveError, RuleError, ShapeError


def gradient(f, x):
    return tg.grad(lambda v: f(v).sum())(np.asarray(x, float)).numpy()


# ------------------------------------------------------------------------------------------------------- Repeat and Sum


def test_repeat_and_sum_are_each_others_adjoint():
    x = tg.Tensor(np.arange(8.0)[None], requires_grad=True)
    g = np.random.default_rng(0).standard_normal((7, 8))
    y = x.repeat(7, axis=0)
    assert y.shape == (7, 8)
    y.backward(g)
    np.testing.assert_allclose(x.grad.numpy(), g.sum(axis=0, keepdims=True))
    z = tg.Tensor(g, requires_grad=True)
    z.sum(axis=0, keepdims=True).backward(np.arange(8.0)[None])
    np.testing.assert_array_equal(z.grad.numpy(), np.repeat(np.arange(8.0)[None], 7, axis=0))


def test_repeat_of_several_rows_sums_the_copies_of_each():
    x = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x.repeat(3, axis=0).backward(np.arange(12.0).reshape(6, 2))
    np.testing.assert_array_equal(x.grad.numpy(), [[6, 9], [24, 27]])


def test_repeat_takes_a_count_for_each_element_and_copies_it():
    counts = np.array([2, 0, 1])
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x.repeat(counts)
    counts[:] = 5
    assert y.tolist() == [1, 1, 3]
    y.backward([1, 10, 100])
    assert x.grad.tolist() == [11, 0, 100]


def test_broadcasting_is_recorded_as_a_repeat():
    x, w, b = (tg.Tensor(np.ones(s), requires_grad=True) for s in [(7, 8), (8, 3), (3,)])
    y = x @ w + b
    product, repeated = y._node.inputs
    assert product.op.label == "MatMul"
    assert repeated.op.label == "Repeat"
    assert repeated.shape == (7, 3)
    assert repeated.inputs[0] is b._node


# ---------------------------------------------------------------------------------------------------------------- kinks


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (tg.relu, [0.0], [0]),
        (tg.abs, [0.0], [0]),
        (lambda x: tg.maximum(x, 0), [0.0], [0.5]),
        (lambda x: tg.minimum(x, 0), [0.0], [0.5]),
        (lambda x: tg.clip(x, -1, 1), [-1.0, 1.0, 1.1], [1, 1, 0]),
        (tg.max, [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
        (tg.min, [[1.0, 1.0], [1.0, 2.0]], [[1 / 3, 1 / 3], [1 / 3, 0]]),
        (lambda x: x**2, [0.0], [0]),
        (lambda x: x**1, [0.0], [1]),
        (lambda x: x**0, [0.0], [0]),
        (lambda x: tg.power(x, np.array([0.0])), [0.0], [0]),
    ],
)
def test_kinks_follow_the_published_convention(f, x, expected):
    np.testing.assert_allclose(gradient(f, x), expected)


def test_powers_are_right_at_zero_to_every_order():
    f = lambda x: x**3
    for expected in (0, 0, 6, 0, 0):
        f = tg.grad(f)
        assert f(0.0).item() == expected


# ------------------------------------------------------------------------------------------------------------- stability


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_sigmoid_and_softmax_take_any_number(dtype):
    x = tg.Tensor(np.array([-1e4, -800, -100, 0, 100, 1e4, -np.inf, np.inf]), requires_grad=True, dtype=dtype)
    y = x.sigmoid()
    assert y.dtype == dtype
    assert np.isfinite(y.data).all()
    assert (y.data[[0, 3, 5, 6, 7]] == [0, 0.5, 1, 0, 1]).all()
    y.sum().backward()
    assert np.isfinite(x.grad.data).all()
    z = tg.Tensor(np.array([[1e4, 0, -1e4], [-1e4, -1e4, -1e4]]), dtype=dtype)
    for f in (tg.softmax, tg.log_softmax, tg.logsumexp):
        assert f(z).dtype == dtype
        assert np.isfinite(f(z).data).all()


def test_sigmoid_is_quiet_in_many_threads_and_leaves_the_error_state_alone():
    from concurrent.futures import ThreadPoolExecutor

    before = np.geterr()
    x = np.full(200_000, -1000.0)
    with ThreadPoolExecutor(4) as pool:
        assert not any(y.any() for y in pool.map(tg.sigmoid, [x] * 16))
    assert np.geterr() == before
    with pytest.warns(RuntimeWarning, match="overflow"):
        tg.exp(-x)


def test_softmax_is_taken_row_by_row_at_every_rank():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)) + 100 * np.arange(2)[:, None, None]
    y = tg.softmax(x)
    np.testing.assert_allclose(y.sum(axis=-1), 1)
    assert (y.argmax(axis=-1) == x.argmax(axis=-1)).all()
    np.testing.assert_allclose(tg.softmax(x + 1000), y)


def test_logsumexp_of_nothing_but_minus_infinity():
    x = tg.Tensor([-np.inf, -np.inf], requires_grad=True)
    y = x.logsumexp()
    assert y.item() == -np.inf
    y.backward()
    assert x.grad.tolist() == [0, 0]


def test_matmul_of_a_batch_and_a_vector():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    w = tg.Tensor(np.eye(2), requires_grad=True)
    (x @ w).backward([10.0, 20.0])
    np.testing.assert_array_equal(w.grad.numpy(), np.outer([1, 2], [10, 20]))


# ---------------------------------------------------------------------------------------------------------------- labels


def test_loss_and_gradient_agree_for_large_logits():
    z = tg.Tensor([[0.0, 20.0, 0.0]], requires_grad=True)
    loss = tg.softmax_cross_entropy(z, [0])
    loss.backward()
    np.testing.assert_allclose(loss.item(), 20, rtol=1e-8)
    np.testing.assert_allclose(z.grad.numpy(), [[-1, 1, 0]], atol=1e-8)


def test_integer_one_hot_and_soft_labels():
    z = np.array([[1.0, 2.0], [0.5, 0.1]])
    by_number = tg.softmax_cross_entropy(z, [1, 0])
    np.testing.assert_allclose(tg.softmax_cross_entropy(z, [[0, 1], [1, 0]]), by_number)
    np.testing.assert_allclose(tg.softmax_cross_entropy(z, np.array([[False, True], [True, False]])), by_number)
    np.testing.assert_allclose(tg.softmax_cross_entropy([[0.0, 1.0]], [[0.5, 0.5]]), 0.8132616875182228)
    np.testing.assert_allclose(tg.softmax_cross_entropy(z, np.array([1, 0], np.uint8)), by_number)


def test_a_class_that_is_masked_out_costs_nothing():
    z = tg.Tensor([[1.0, -np.inf, 2.0]], requires_grad=True)
    for labels in ([2], [[0.0, 0.0, 1.0]]):
        z.grad = None
        loss = tg.softmax_cross_entropy(z, labels)
        loss.backward()
        np.testing.assert_allclose(loss.item(), np.log1p(np.exp(-1)))
        np.testing.assert_allclose(z.grad.numpy(), [[1 / (1 + np.e), 0, -1 / (1 + np.e)]])


def test_many_classes_give_the_same_as_few():
    z = np.random.default_rng(0).standard_normal((4, 40))
    padded = np.concatenate([z[:, :30], np.full((4, 10), -np.inf)], axis=1)
    np.testing.assert_allclose(tg.softmax_cross_entropy(padded, [0, 5, 29, 1]), tg.softmax_cross_entropy(z[:, :30], [0, 5, 29, 1]))
    np.testing.assert_allclose(tg.softmax(padded)[:, :30], tg.softmax(z[:, :30]))


def test_one_class_one_row_and_one_dimension_are_not_guessed():
    assert tg.softmax_cross_entropy(np.zeros((3, 1)), [0, 0, 0]) == 0
    assert tg.softmax_cross_entropy(np.zeros((3, 1)), np.ones((3, 1))) == 0
    np.testing.assert_allclose(tg.softmax_cross_entropy(np.zeros(3), 1), np.log(3))
    with pytest.raises(LabelError, match=r"labels of shape \(3,\).*logits of shape \(1, 3\)"):
        tg.softmax_cross_entropy(np.zeros((1, 3)), [0, 1, 2])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 3], r"label 3 at \(1,\) is outside 0\.\.2: there are 3 classes"),
        ([-1, 0], r"label -1 at \(0,\) is outside 0\.\.2"),
        ([[0], [1]], r"shape \(2, 1\).*shape \(2, 3\).*a column of class numbers.*labels.reshape\(-1\)"),
        ([0.0, 1.0], r"dtype float64.*class numbers are integers.*astype\(int\)"),
        ([True, False], r"dtype bool.*class numbers are integers"),
        ([0, 1, 2], r"labels of shape \(3,\).*logits of shape \(2, 3\)"),
        ([[0.5, 0.5, 0.5], [1, 0, 0]], "distributions.*sums to 1.*a row sums to 1.5"),
        ([[-0.5, 1, 0.5], [1, 0, 0]], "smallest entry is -0.5"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, words):
    with pytest.raises(LabelError, match=words):
        tg.softmax_cross_entropy(tg.Tensor(np.zeros((2, 3)), requires_grad=True), labels)


def test_logits_that_make_no_loss_are_refused():
    with pytest.raises(LabelError, match="empty"):
        tg.softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(LabelError, match="logits are floats.*int64"):
        tg.softmax_cross_entropy(np.zeros((2, 3), int), [0, 1])


# -------------------------------------------------------------------------------------------------------------- messages


def test_a_shape_error_names_the_operation_the_shapes_and_the_cause():
    a, b = tg.Tensor(np.ones((2, 3))), np.ones((2, 4))
    with pytest.raises(ShapeError, match=r"add: .*\n  called with a \(2, 3\) float64, b \(2, 4\) float64\n  shapes broadcast when"):
        a + b
    with pytest.raises(ValueError, match=r"matmul: .*\n.*a \(2, 3\).*b \(2, 4\).*\n  the last axis of a"):
        a @ b
    with pytest.raises(ShapeError, match=r"sum: axis 5 is out of bounds.*\n  called with a \(2, 3\) float64, axis=5"):
        a.sum(axis=5)
    with pytest.raises(IndexError, match=r"getitem: index 9 is out of bounds"):
        a[9]
    with pytest.raises(ShapeError, match=r"concatenate: .*\n  called with arrays \(2, 3\) float64, arrays \(2, 4\)"):
        tg.concatenate([a, b])


def test_wrong_arguments_are_named():
    x = tg.Tensor([1.0])
    words = r"^sum: got an unexpected keyword argument 'axes'; it is called as sum\(a, /, axis=None, keepdims=False\)$"
    with pytest.raises(TypeError, match=words):
        x.sum(axes=0)
    with pytest.raises(TypeError, match="multiple values"):
        x.sum(0, axis=0)
    with pytest.raises(TypeError, match="missing a required argument: 'shape'"):
        tg.broadcast_to(x)
    with pytest.raises(TypeError, match="takes 3 operands by position"):
        tg.where(x > 0, x)
    with pytest.raises(DTypeError, match="add: an operand of type str"):
        x + "one"
    with pytest.raises(ShapeError, match="add: an operand is a ragged sequence"):
        tg.add(x, [[1, 2], [3]])
    with pytest.raises(DTypeError, match="repeat: repeats is metadata.*requires grad.*detach"):
        x.repeat(tg.Tensor(2.0, requires_grad=True))
    with pytest.raises(ArgumentError, match="pad: mode 'linear_ramp'"):
        tg.pad(x, 1, mode="linear_ramp")


def test_a_primitive_is_checked_when_it_is_declared():
    @tg.primitive
    def scale(a, b, /, power=1):
        return a * b**power

    with pytest.raises(PrimitiveError, match="operand 'b' has no rule.*None says: not differentiable"):
        scale.vjp(a=lambda g: g)
    with pytest.raises(PrimitiveError, match="'c' is not an operand; the operands are a, b"):
        scale.vjp(a=None, b=None, c=None)
    with pytest.raises(PrimitiveError, match="rule of 'a' asks for x, .*it can ask for a, a_shape, b, b_shape, g, power, y"):
        scale.vjp(a=lambda g, x: g, b=None)
    with pytest.raises(PrimitiveError, match=r"scale has no derivative: declare it with scale.vjp\(a=lambda g"):
        scale(tg.Tensor(1.0, requires_grad=True), 2.0)
    with pytest.raises(PrimitiveError, match="operands come first"):
        tg.primitive(lambda *arrays: arrays[0])


def test_a_rule_is_checked_when_it_runs():
    @tg.primitive
    def double(x):
        return 2 * x

    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    for wrong, words in [
        (lambda g: g.sum(), r"a result of type float64 and shape \(\)"),
        (lambda g: None, "None"),
        (lambda g: tg.Tensor([1.0, 2.0]), "a result of type Tensor and shape"),
    ]:
        double.vjp(x=wrong)
        with pytest.raises(RuleError, match=rf"double: the rule of operand 'x' returned {words}"):
            double(x).sum().backward()


def test_metadata_may_follow_by_position_or_by_name():
    @tg.primitive
    def scale(x, factor, /, power=1):
        return x * factor**power

    scale.vjp(x=lambda g, factor, power: g * factor**power, factor=None)
    x = tg.Tensor(3.0, requires_grad=True)
    scale(x, 2.0, 3).backward()
    scale(x, 2.0, power=2).backward()
    assert x.grad.item() == 12


# --------------------------------------------------------------------------------------------------------- corner cases


def test_an_index_that_repeats_is_noticed_in_every_spelling():
    import array

    for key in [((0, 0, 1),), [0, 0, 1], array.array("q", [0, 0, 1]), np.array([0, 0, 1]), tg.Tensor([0, 0, 1])]:
        x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        x[key].sum().backward()
        assert x.grad.tolist() == [2, 1, 0]


def test_small_integers_do_not_wrap_around():
    x = np.array([0, 1, 2], np.uint8)
    np.testing.assert_allclose(tg.sigmoid(x), tg.sigmoid(x.astype(float)))
    for f in (tg.softmax, tg.log_softmax, tg.logsumexp):
        np.testing.assert_allclose(f(tg.Tensor(x)).numpy(), f(x.astype(float)))
    for zero in (np.zeros(2, np.uint64), np.uint8(0), 0):
        assert gradient(lambda v, zero=zero: v**zero, [2.0, 1e3]).tolist() == [0, 0]


def test_float16_is_averaged_over_many():
    x = tg.Tensor(np.ones(70_000), requires_grad=True, dtype=np.float16)
    with np.errstate(over="ignore"):
        tg.mean(x).backward()
    np.testing.assert_allclose(x.grad.data[:3], 1 / 70_000, rtol=1e-2)


def test_a_nan_maximum_is_not_swallowed():
    assert np.isnan(gradient(tg.max, [1.0, np.nan])[1]) or gradient(tg.max, [1.0, np.nan])[1] == 1


def test_reductions_of_a_single_number_take_an_axis():
    for f in (tg.sum, tg.max, tg.logsumexp):
        x = tg.Tensor(3.0, requires_grad=True)
        f(x, axis=0).backward()
        assert x.grad.item() == 1


def test_metadata_is_kept_as_it_was():
    x, widths = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True), {0: (1, 0)}
    y = (tg.pad(x, widths) * np.array([10.0, 1, 2, 3])).sum()
    widths[0] = (0, 1)
    y.backward()
    assert x.grad.tolist() == [1, 2, 3]
    with pytest.raises(ShapeError, match="axis 5 of an array with 1 axes"):
        tg.pad(x, {5: 1})


def test_a_gradient_that_is_not_implemented_is_refused():
    with pytest.raises(DTypeError, match=r"jv: its derivative with respect to v is not implemented.*v\.detach"):
        tg.jv(tg.Tensor(1.0, requires_grad=True), 2.0)


def test_a_primitive_may_use_any_names_but_those_of_a_rule():
    @tg.primitive
    def leaky(x, *, a=0.1):
        return np.where(x > 0, x, a * x)

    leaky.vjp(x=lambda g, x, a: tg.where(x > 0, g, a * g))
    assert gradient(lambda v: leaky(v, a=0.5), [1.0, -1.0]).tolist() == [1, 0.5]
    with pytest.raises(PrimitiveError, match="g and y cannot be a parameter: in a rule, g is the cotangent"):
        tg.primitive(lambda y, g: y * g)

    @tg.primitive(residuals={"e": tg.exp})
    def forgetful(x):
        return np.exp(x)

    forgetful.vjp(x=lambda g, e: g * e)
    with pytest.raises(PrimitiveError, match=r"the function returns \(y, e\) as a tuple"):
        forgetful(tg.Tensor([1.0, 2.0], requires_grad=True))


def test_a_primitive_that_returns_somebodys_array_leaves_it_writable():
    table = np.ones(2)
    look_up = tg.primitive(lambda x: table)
    look_up.vjp(x=None)
    look_up(tg.Tensor([1.0]))
    same = tg.primitive(forward=np.ascontiguousarray)(lambda x: x)
    same.vjp(x=lambda g: g)
    x = tg.Tensor([1.0], requires_grad=True)
    same(x)
    assert table.flags.writeable
    assert x.data.flags.writeable
