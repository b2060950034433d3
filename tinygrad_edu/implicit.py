"""Functions that are given by an equation: `fixed_point` and `odeint`, differentiated through the equation and not through the
iterations that solve it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import ArgumentError, ConvergenceError, DTypeError, MutationError
from tinygrad_edu.graph import Variable, as_variable, enable_grad, is_recording, no_grad
from tinygrad_edu.opaque.node import Call, check_callable, opaque_node, operation
from tinygrad_edu.opaque.packing import Packed, arrays_of, put_together, taken_apart
from tinygrad_edu.ops import stack, sum
from tinygrad_edu.registry import Lazy
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import Recorded, array_like, name_of
from tinygrad_edu.tree import leaves, mapped

_solve_ivp = Lazy("scipy.integrate", "solve_ivp")


def _state(tree: Any, args: Sequence[Any], who: str) -> Any:
    """Where to start, as tensors. Integers become floats, for a solution is seldom an integer; a Python number takes the precision
    of the arguments."""
    floats = [leaf.dtype for leaf in leaves(args) if isinstance(leaf, Tensor | np.ndarray | np.generic) and leaf.dtype.kind in "fc"]
    precision = np.result_type(*[np.empty(0, dtype).real.dtype for dtype in floats]) if floats else np.dtype(float)

    def tensor(leaf: Any) -> Any:
        if leaf is None:
            return None
        array = leaf._data if isinstance(leaf, Variable) else np.asarray(leaf)
        if array.dtype.kind not in "biufc":
            raise DTypeError(f"{who} is of type {type(leaf).__name__}, which is no number: pass tensors, arrays or numbers")
        if type(leaf) in (bool, int, float, complex):
            return as_variable(Tensor, array.astype(np.result_type(precision, 1j if array.dtype.kind == "c" else 1.0)))
        if array.dtype.kind in "biu":
            return as_variable(Tensor, array.astype(float))
        return as_variable(Tensor, leaf)

    found = mapped(tensor, array_like(tree))
    if all(leaf is None for leaf in leaves(found)):
        raise ArgumentError(f"{who} is {tree!r}, and there is no number in it to start from")
    return found


class _Equation(Call):
    """``f(x, *args)`` as a function of the packed x and of the arrays in ``args``. f is the user's function, or one of ours that is
    made of it; ``of`` and ``who`` say which in messages."""

    def __init__(self, f: Callable[..., Any], start: Any, args: Any, given: int, of: str, who: str, name: str, rule: str) -> None:
        super().__init__(f, args, given)
        self.of, self.who = of, who
        complexity = f"pass {name}0 as complex numbers (1.0 + 0j for 1.0), or return the real part"
        self.space = Packed(start, who, name, f"{rule} needs the same structure and shapes on both sides", complexity)

    def at(self, x: Any, values: Sequence[Any], *time: Any) -> Tensor:
        """f at a packed x, with ``values`` in the places of the arguments' tensors and arrays."""
        return self.space.pack(self.source(self.space.unpack(x), *time, *put_together(self.structure, values)))

    def captured_at(self, x: Any, values: Sequence[Any], *time: Any) -> Recorded:
        """f with constants alone: what of it is recorded comes from tensors that it uses without being given them."""
        return Recorded(lambda: self.at(x, values, *time), [], who=self.who)

    def recorded(self, x: Any, values: Sequence[Any], chosen: Sequence[int], variables: Sequence[Any], *time: Any) -> Recorded:
        """f with x, and those of the values that are chosen, as variables."""

        def on(x: Any, *variables: Any) -> Tensor:
            given = dict(zip(chosen, variables, strict=True))
            return self.at(x, [given.get(i, value) for i, value in enumerate(values)], *time)

        return Recorded(on, [x, *variables], who=self.who)

    def stale(self) -> MutationError:
        return MutationError(
            f"{self.who} is not the function that it was when the solution was found: something that it uses has changed since, so "
            "the gradient would be wrong. Call backward() before changing it"
        )


# ----------------------------------------------------------------------------------------------------------- fixed points


def fixed_point(f: Callable[..., Any], x0: Any, *args: Any, rtol: float | None = None, max_iter: int = 10_000) -> Any:
    """The solution x of x = f(x, *args), found by iterating f from ``x0``.

    The derivative follows from the equation itself: with A = ∂f/∂x at the solution, ∂x/∂θ = (I − A)⁻¹ ∂f/∂θ. Its pullback is
    another fixed point, w = g + Aᵀw, so that no iteration is recorded and all orders exist. Differentiable in ``args`` and in
    what ``f`` uses without being given it; x0 only says where to start. The iteration converges where ‖∂f/∂x‖ < 1, and ends
    when no element moves by more than ``rtol`` times the larger of 1 and its size (by default the dtype's precision to the
    power of ⅔). x may be nested tuples, lists and dictionaries. A Python number as x0 takes the precision of ``args``.

    Raises `ConvergenceError` when that does not happen in ``max_iter`` steps, and `MutationError` in backward when f has changed
    since, so that x is no longer its solution. Counterpart: ``jaxopt.FixedPointIteration``; Christianson, *Reverse accumulation
    and attractive fixed points*, 1994.

    >>> import tinygrad_edu as tg
    >>> sqrt = lambda a: tg.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)
    >>> sqrt(2.0)
    Tensor(1.41421356)
    >>> tg.grad(sqrt)(4.0), tg.grad(tg.grad(sqrt))(4.0)
    (Tensor(0.25), Tensor(-0.03125))
    """
    check_callable(f, "fixed_point")
    start = mapped(lambda t: t if t is None else as_variable(Tensor, t._data), _state(x0, args, "fixed_point: x0"))
    return _fixed_point(f, start, args, rtol, max_iter, name_of(f))


def _fixed_point(f: Callable[..., Any], start: Any, args: Any, rtol: float | None, max_iter: int, of: str) -> Any:
    structure, operands = taken_apart(args)
    equation = _Iteration(f, start, structure, 1 + len(operands), of, f"fixed_point: {of}", "x", "x = f(x)")
    first = equation.space.pack(start)
    precision = float(np.finfo(first.dtype).eps) ** (2 / 3)
    equation.rtol, equation.max_iter, equation.slack = precision if rtol is None else rtol, max_iter, 10 * max(precision, rtol or 0)
    values = arrays_of([first, *operands])
    with no_grad():
        x = equation.value(values)._data
    if is_recording():
        equation.captured = equation.captured_at(as_variable(Tensor, x), values[1:]).captured
    return equation.space.unpack(opaque_node(operation(f"fixed point of {of}"), equation, x, [first, *operands]))


class _Iteration(_Equation):
    rtol: float
    max_iter: int
    slack: float

    def value(self, arrays: list[Any]) -> Tensor:
        """x ← f(x) until it stands still."""
        x, moved = as_variable(Tensor, arrays[0]), np.inf
        for iteration in range(1, self.max_iter + 1):
            new = self.at(x, arrays[1:])
            moved = _distance(x._data, new._data)
            x = as_variable(Tensor, new._data.astype(x.dtype))
            if moved <= self.rtol:
                return x
            if not np.isfinite(moved):
                raise ConvergenceError(
                    f"{self.who} did not converge: x became nan or infinite in iteration {iteration}. It converges where the "
                    "derivative of f with respect to x is smaller than 1: start nearer to the solution, or damp it as in "
                    "x + 0.5 * (f(x) - x)"
                )
        raise ConvergenceError(
            f"{self.who} did not converge in {self.max_iter} iterations: the last one moved x by {moved:.3g} of its size, and "
            f"{self.rtol:.3g} was to be reached. It converges where the derivative of f with respect to x is smaller than 1: start "
            "nearer to the solution, damp it as in x + 0.5 * (f(x) - x), or raise rtol or max_iter"
        )

    def gradients(self, g: Any, y: Any, values: list[Any], more: list[Any], positions: list[int]) -> dict[int, Any]:
        chosen = [position - 1 for position in positions if position < self.given]
        later = isinstance(g, Variable)
        with enable_grad() if later else no_grad():
            # To differentiate once more, the solution is needed as a function of the operands, and that is what y is.
            x, w0, values = as_variable(Tensor, y), as_variable(Tensor, g), values[1:]
            recorded = self.recorded(x, values, chosen, [values[i] for i in chosen])
            step, vertices = recorded.outputs[0], [*recorded.vertices, *self.captured]
            if _distance(x._data, step._data) > self.slack:
                raise self.stale()

            def pull(w: Any, wanted: list[Any]) -> dict[Any, Any]:
                if not step.requires_grad:
                    return {}
                return engine.cotangents([(step, w)], wanted=wanted, stop=vertices, retain_graph=True, create_graph=is_recording())

            def next_w(w: Any) -> Any:
                back = pull(w, vertices[:1]).get(vertices[0])
                return w0 if back is None else w0 + back

            start = as_variable(Tensor, w0._data)
            w = _fixed_point(next_w, start, (), self.rtol, self.max_iter, f"the derivative of {self.of}")
            found = pull(w, vertices)
            return dict(zip(positions, map(found.get, vertices[1:]), strict=True))


def _distance(x: Any, new: Any) -> float:
    """How far the element that moves most has moved, relative to the larger of 1 and its size."""
    with np.errstate(all="ignore"):
        return float(np.max(np.abs(new - x) / np.maximum(1, np.abs(new)), initial=0.0))


# ------------------------------------------------------------------------------------------------- differential equations


def odeint(f: Callable[..., Any], y0: Any, t: Any, *args: Any, rtol: float = 1.4e-8, atol: float = 1.4e-8) -> Any:
    """The solution of dy/dt = f(y, t, *args) with y(t[0]) = ``y0``, at each of the times ``t``.

    ``t`` is rising or falling. y may be nested tuples, lists and dictionaries; each tensor of the result has one more axis in
    front, for the times. The derivative is that of the adjoint equation (Pontryagin; Chen et al., *Neural ordinary differential
    equations*, 2018): memory does not grow with the number of steps, and as it is itself a solution of a differential equation,
    all orders exist. Differentiable in ``y0``, ``t``, ``args`` and what ``f`` uses without being given it, at any time. The steps
    are SciPy's (an 8th-order Runge-Kutta method with error control by ``rtol`` and ``atol``), in float64; a Python number as y0
    takes the precision of ``args``.

    Raises `ConvergenceError` where f is nan or infinite at the start, or the solution grows without bound, and `MutationError` in
    backward when f has changed since. Counterpart: ``jax.experimental.ode.odeint``.

    >>> import tinygrad_edu as tg
    >>> growth = lambda rate: tg.odeint(lambda y, t, k: k * y, 1.0, [0.0, 1.0], rate)[-1]
    >>> print(f"{growth(1.0).item():.5f} {tg.grad(growth)(1.0).item():.5f}")
    2.71828 2.71828
    """
    check_callable(f, "odeint")
    times = t if isinstance(t, Tensor) and t.dtype.kind == "f" else Tensor(np.asarray(arrays_of([t])[0], float))
    steps = np.diff(times._data)
    if times.ndim != 1 or not len(times) or not np.isfinite(times._data).all() or not (np.all(steps > 0) or np.all(steps < 0)):
        raise ArgumentError(f"odeint: t is a vector of finite times, rising or falling; got {times.tolist()}")
    start = _state(y0, args, "odeint: y0")
    if not all(np.isfinite(leaf._data).all() for leaf in leaves(start) if leaf is not None):
        raise ArgumentError(f"odeint: y0 is nan or infinite, and no solution of {name_of(f)} starts there; got {y0!r}")
    return _solution(f, start, times, args, rtol, atol, name_of(f))


def _solution(f: Callable[..., Any], start: Any, times: Any, args: Any, rtol: float, atol: float, of: str) -> Any:
    structure, operands = taken_apart(args)
    flow = _Flow(f, start, structure, 2 + len(operands), of, f"odeint: {of}", "y", "dy/dt = f(y, t)")
    flow.rtol, flow.atol = rtol, atol
    operands = [flow.space.pack(start), times, *operands]
    used: dict[Any, None] | None = {} if is_recording() else None
    with no_grad():
        ys, flow.first = flow.solve(arrays_of(operands), used)
    flow.captured = sorted(used or (), key=lambda vertex: vertex.serial)
    return flow.space.unpack(opaque_node(operation(f"solution of {of}"), flow, ys, operands))


class _Flow(_Equation):
    """A differential equation for one packed vector. ``first`` is the fingerprint of f where the solution starts."""

    rtol: float
    atol: float
    first: tuple[complex, float] | None

    def value(self, arrays: list[Any]) -> Tensor:
        return as_variable(Tensor, self.solve(arrays, None)[0])

    def solve(self, values: list[Any], used: dict[Any, None] | None) -> tuple[Any, tuple[complex, float] | None]:
        """The numbers of the solution, and the fingerprint. All steps are taken in double precision. ``used`` takes up what f
        captures on the way."""
        y0, t, *args = values
        if len(t) == 1:
            return y0[None].copy(), None
        bad: list[float] = []

        def rate(at: Any, flat: Any) -> Any:
            y, time = as_variable(Tensor, flat.reshape(y0.shape)), as_variable(Tensor, np.asarray(at))
            if used is None:
                slope = self.at(y, args, time)
            else:
                recorded = self.captured_at(y, args, time)
                slope = recorded.outputs[0]
                used.update(dict.fromkeys(recorded.captured))
            if not np.isfinite(slope._data).all():
                bad.append(float(at))
            return slope._data.ravel()

        start = _double(y0).ravel()
        first = _fingerprint(rate(t[0], start))
        if bad:  # later, the solver takes a step back; here there is nowhere to go
            raise ConvergenceError(
                f"{self.who} is nan or infinite at t = {t[0]:.6g}, where the solution starts: y0 is {_brief(y0)}"
            )
        ours = [rate]
        found = _solve_ivp(lambda *at: ours[0](*at), (t[0], t[-1]), start, "DOP853", t, rtol=max(self.rtol, 3e-14), atol=self.atol)
        ours.clear()  # SciPy's solver is garbage with a cycle, and would keep the graph until it is collected
        if not found.success:
            where = f" It is nan or infinite near t = {bad[-1]:.6g}." if bad else ""
            raise ConvergenceError(f"{self.who}: {found.message}{where} The solution may grow without bound, or be stiff")
        return found.y.T.reshape(len(t), *y0.shape).astype(y0.dtype), first

    def gradients(self, g: Any, y: Any, values: list[Any], more: list[Any], positions: list[int]) -> dict[int, Any]:
        """The gradients from those for all states.

        Backwards in time, a = ∂L/∂y obeys da/dt = −a ∂f/∂y and gathers ∂L/∂θ as −∫ a ∂f/∂θ dt; at each time that was asked
        for, its own cotangent is added. y is integrated back along with it, from the state that is known at each of the times.
        """
        self.check(*arrays_of([g, *values]))
        chosen = [position - 2 for position in positions if 2 <= position < self.given]
        with enable_grad() if isinstance(g, Variable) else no_grad():
            # To differentiate once more, the solution is needed as a function of the operands, and that is what y is.
            path, g, times, args = as_variable(Tensor, y), as_variable(Tensor, g), as_variable(Tensor, values[1]), values[2:]
            variables = [as_variable(Tensor, args[i]) for i in chosen]

            def rates(together: Any, t: Any, *variables: Any) -> Any:
                recorded = self.recorded(together[0], args, chosen, variables, t)
                wanted = [*recorded.vertices, *self.captured]
                out, found = recorded.outputs[0], dict[Any, Any]()
                if out.requires_grad:
                    pairs = [(out, together[1])]
                    found = engine.cotangents(pairs, wanted=wanted, stop=wanted, retain_graph=True, create_graph=is_recording())
                slopes = [-as_variable(Tensor, found[v]) if v in found else _zeros_like(v) for v in wanted]
                return (out if is_recording() else as_variable(Tensor, out._data), *slopes)

            a, rest = g[-1], [_zeros_like(v) for v in (*variables, *self.captured)]
            of_times = [_zeros_like(times[0])] * len(times)
            for i in range(len(times) - 1, 0, -1):
                of_times[i] = _inner(g[i], self.at(path[i], args, times[i]))
                back, state = times[i - 1 : i + 1][::-1], (path[i], a, *rest)
                _, a, *rest = _solution(rates, state, back, variables, self.rtol, self.atol, f"the adjoint equation of {self.of}")
                a, rest = a[1], [part[1] for part in rest]
                if i > 1:
                    a = a + g[i - 1]
            if len(times) > 1:
                # To start later from the same state is to be behind by what the state would have moved.
                of_times[0] = -_inner(a, self.at(path[0], args, times[0]))
                a = a + g[0]
            return {0: a, 1: stack(of_times), **dict(zip([p for p in positions if p > 1], rest, strict=True))}

    def check(self, g: Any, y0: Any, t: Any, *args: Any) -> None:
        """Refuse what no adjoint equation can start from, and a function that is another one now."""
        if not np.isfinite(g).all():
            raise ConvergenceError(
                f"{self.who}: the gradient that arrives at the solution is nan or infinite, and it cannot be integrated backwards: "
                "what is computed from the solution has an infinite derivative, or is nan"
            )
        if self.first is not None:
            with no_grad():
                now = _fingerprint(self.at(as_variable(Tensor, _double(y0)), args, as_variable(Tensor, t[0]))._data.ravel())
            if not abs(now[0] - self.first[0]) <= 1e-6 * self.first[1]:
                raise self.stale()


def _double(y: Any) -> Any:
    return y.astype(np.result_type(y.dtype, np.float64))


def _fingerprint(slope: Any) -> tuple[complex, float]:
    """A sum with weights, and the size of its terms: what tells two vectors apart, and takes no memory."""
    return complex(np.dot(np.cos(np.arange(slope.size)), slope)), float(np.sum(np.abs(slope)))


def _brief(array: Any) -> str:
    return np.array2string(array, threshold=6, precision=4)


def _zeros_like(like: Any) -> Tensor:
    return Tensor(np.zeros(like.shape, like.dtype))


def _inner(a: Any, b: Any) -> Any:
    return sum((a.conj() * b).real if a.dtype.kind == "c" else a * b)
