"""Functions that are given by an equation: `fixed_point` and `odeint`, differentiated through the equation and not through the
iterations that solve it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import ArgumentError, ConvergenceError, ShapeError
from tinygrad_edu.graph import Variable, as_variable, enable_grad, is_recording, no_grad
from tinygrad_edu.opaque import Packed, opaque_node, vertex_as_tensor
from tinygrad_edu.ops import stack, sum
from tinygrad_edu.registry import Lazy
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import Recorded, array_like, name_of
from tinygrad_edu.tree import leaves, mapped

_solve_ivp = Lazy("scipy.integrate", "solve_ivp")


def _as_tensors(tree: Any) -> Any:
    """The same numbers as constants; integers become floats, for a solution is seldom an integer."""

    def constant(leaf: Any) -> Any:
        if leaf is None:
            return None
        array = leaf._data if isinstance(leaf, Variable) else np.asarray(leaf)
        return as_variable(Tensor, array.astype(float) if array.dtype.kind in "biu" else array)

    return mapped(constant, array_like(tree))


class _Equation:
    """``f(x, *args)`` as a vector function of the packed x, of the tensors in ``args`` and of what f captures."""

    def __init__(self, f: Callable[..., Any], x: Any, args: Sequence[Any]) -> None:
        self.f, self.args = f, args
        self.space = Packed(x, f"{name_of(f)}")
        self.operands = [leaf for leaf in leaves(args) if isinstance(leaf, Tensor) and leaf.requires_grad]

    def at(self, x: Any, values: Sequence[Any]) -> Any:
        """f at a packed x, with ``values`` in the place of the differentiable tensors of the arguments."""
        places = iter(values)
        args = mapped(lambda leaf: next(places) if isinstance(leaf, Tensor) and leaf.requires_grad else leaf, tuple(self.args))
        return self.space.pack(self.f(self.space.unpack(x), *args))

    def recorded(self, x: Any, values: Sequence[Any]) -> Recorded:
        return Recorded(lambda x, *values: self.at(x, values), [x, *values], who=name_of(self.f))


def fixed_point(f: Callable[..., Any], x0: Any, *args: Any, rtol: float | None = None, max_iter: int = 10_000) -> Any:
    """The solution x of x = f(x, *args), found by iterating f from ``x0``.

    The derivative follows from the equation itself: with A = ∂f/∂x at the solution, ∂x/∂θ = (I − A)⁻¹ ∂f/∂θ. Its pullback is
    another fixed point, w = g + Aᵀw, so that no iteration is recorded and all orders exist. Differentiable in ``args`` and in
    what ``f`` uses without being given it; x0 only says where to start. The iteration converges where ‖∂f/∂x‖ < 1, and ends
    when no element moves by more than ``rtol`` times the larger of 1 and its size (by default the dtype's precision to the
    power of ⅔).

    Raises `ConvergenceError` when that does not happen in ``max_iter`` steps. Counterpart: ``jaxopt.FixedPointIteration``;
    Christianson, *Reverse accumulation and attractive fixed points*, 1994.

    >>> import tinygrad_edu as tg
    >>> sqrt = lambda a: tg.fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)
    >>> sqrt(2.0)
    Tensor(1.41421356)
    >>> tg.grad(sqrt)(4.0), tg.grad(tg.grad(sqrt))(4.0)
    (Tensor(0.25), Tensor(-0.03125))
    """
    start = _as_tensors(x0)
    equation = _Equation(f, start, args)
    with no_grad():
        x = _iterate(
            lambda x: equation.at(x, equation.operands), equation.space.pack(start), rtol, max_iter, f"fixed_point: {name_of(f)}"
        )
    if not is_recording():
        return equation.space.unpack(x)
    captured = equation.recorded(x, [as_variable(Tensor, t._data) for t in equation.operands]).captured

    def derivative(g: Any, arrays: tuple[Any, ...]) -> list[Any]:
        values = arrays[: len(equation.operands)]
        later = isinstance(g, Variable)
        with enable_grad() if later else no_grad():
            # To differentiate once more, the solution has to be known as a function of the operands, not only as a number.
            at = fixed_point(lambda x: equation.at(x, values), x, rtol=rtol, max_iter=max_iter) if later else x
            recorded = equation.recorded(at, values)
            step, vertices = recorded.outputs[0], [*recorded.vertices, *captured]

            def pull(w: Any, wanted: list[Any]) -> dict[Any, Any]:
                if not step.requires_grad:
                    return {}
                return engine.cotangents([(step, w)], wanted=wanted, stop=vertices, retain_graph=True, create_graph=is_recording())

            def next_w(w: Any) -> Any:
                back = pull(w, vertices[:1]).get(vertices[0])
                return w0 if back is None else w0 + back

            w0 = g if later else as_variable(Tensor, g)
            w = fixed_point(next_w, g if later else w0, rtol=rtol, max_iter=max_iter)
            found = pull(w, vertices)
            return [found.get(vertex) for vertex in vertices[1:]]

    operands = [*equation.operands, *map(vertex_as_tensor, captured)]
    if not operands:
        return equation.space.unpack(x)
    return equation.space.unpack(opaque_node(f"fixed point of {name_of(f)}", x, operands, derivative))


def _iterate(step: Callable[[Any], Any], x: Tensor, rtol: float | None, max_iter: int, who: str) -> Tensor:
    """x ← step(x) until it stands still."""
    if rtol is None:
        rtol = float(np.finfo(x.dtype).eps) ** (2 / 3)
    moved = np.inf
    for _ in range(max_iter):
        new = step(x)
        if new.shape != x.shape:
            raise ShapeError(
                f"{who} turns x of shape {x.shape} into shape {new.shape}; x = f(x) needs the same shape on both sides"
            )
        with np.errstate(invalid="ignore"):
            moved = float(np.max(np.abs(new._data - x._data) / np.maximum(1, np.abs(new._data)), initial=0.0))
        x = as_variable(Tensor, new._data.astype(x.dtype))
        if moved <= rtol:
            return x
        if not np.isfinite(moved):
            break
    raise ConvergenceError(
        f"{who} did not converge in {max_iter} iterations: the last one moved x by {moved:.3g} of its size, and {rtol:.3g} was to "
        "be reached. It converges where the derivative of f with respect to x is smaller than 1: start nearer to the solution, "
        "damp it as in x + 0.5 * (f(x) - x), or raise rtol or max_iter"
    )


def odeint(f: Callable[..., Any], y0: Any, t: Any, *args: Any, rtol: float = 1.4e-8, atol: float = 1.4e-8) -> Any:
    """The solution of dy/dt = f(y, t, *args) with y(t[0]) = ``y0``, at each of the times ``t``.

    ``t`` is rising or falling. y may be nested tuples, lists and dictionaries; each tensor of the result has one more axis in
    front, for the times. The derivative is that of the adjoint equation (Pontryagin; Chen et al., *Neural ordinary differential
    equations*, 2018): memory does not grow with the number of steps, and as it is itself a solution of a differential equation,
    all orders exist. Differentiable in ``y0``, ``t``, ``args`` and what ``f`` uses without being given it. The steps are
    SciPy's (an 8th-order Runge-Kutta method with error control by ``rtol`` and ``atol``), in float64. Counterpart:
    ``jax.experimental.ode.odeint``.

    >>> import tinygrad_edu as tg
    >>> growth = lambda rate: tg.odeint(lambda y, t, k: k * y, 1.0, [0.0, 1.0], rate)[-1]
    >>> print(f"{growth(1.0).item():.5f} {tg.grad(growth)(1.0).item():.5f}")
    2.71828 2.71828
    """
    times = t if isinstance(t, Tensor) else Tensor(np.asarray(t, float))
    if times.ndim != 1 or len(times) < 1 or not (np.all(np.diff(times._data) > 0) or np.all(np.diff(times._data) < 0)):
        raise ArgumentError(f"odeint: t is a vector of times, rising or falling; got {times.tolist()}")
    start = mapped(lambda leaf: leaf if isinstance(leaf, Tensor) else _as_tensors(leaf), array_like(y0))
    state = Packed(start, f"odeint: {name_of(f)}")
    solver = _Flow(f, state, args, rtol, atol)
    with no_grad():
        ys = solver.solve(state.pack(start), times, solver.operands)
    if not is_recording():
        return state.unpack(ys)
    captured = solver.captured(state.pack(_as_tensors(start)), times)
    operands = [state.pack(start), times, *solver.operands, *map(vertex_as_tensor, captured)]
    if not any(t.requires_grad for t in operands):
        return state.unpack(ys)

    def derivative(g: Any, arrays: tuple[Any, ...]) -> list[Any]:
        later = isinstance(g, Variable)
        with enable_grad() if later else no_grad():
            y0, times, *values = [
                a if isinstance(a, Variable) else as_variable(Tensor, a) for a in arrays[: len(arrays) - len(captured)]
            ]
            path = solver.flow(y0, times, values) if later else as_variable(Tensor, ys._data)
            return solver.adjoint(path, times, values, captured, g if later else as_variable(Tensor, g))

    return state.unpack(opaque_node(f"solution of {name_of(f)}", ys, operands, derivative))


class _Flow:
    """A differential equation for one packed vector."""

    def __init__(self, f: Callable[..., Any], state: Packed, args: Sequence[Any], rtol: float, atol: float) -> None:
        self.f, self.state, self.args, self.rtol, self.atol = f, state, args, rtol, atol
        self.operands = [leaf for leaf in leaves(tuple(args)) if isinstance(leaf, Tensor) and leaf.requires_grad]

    def rate(self, y: Any, t: Any, values: Sequence[Any]) -> Any:
        """dy/dt, packed."""
        places = iter(values)
        args = mapped(lambda leaf: next(places) if isinstance(leaf, Tensor) and leaf.requires_grad else leaf, tuple(self.args))
        return self.state.pack(self.f(self.state.unpack(y), t, *args))

    def flow(self, y0: Any, times: Any, values: Sequence[Any]) -> Any:
        """The solution as a recorded function of everything it depends on."""
        return odeint(lambda y, t, *values: self.rate(y, t, values), y0, times, *values, rtol=self.rtol, atol=self.atol)

    def captured(self, y: Any, times: Any) -> list[Any]:
        constants = [as_variable(Tensor, v._data) for v in self.operands]
        at = as_variable(Tensor, times._data[0])
        return Recorded(lambda y, t, *values: self.rate(y, t, values), [y, at, *constants], who="odeint").captured

    def solve(self, y0: Any, times: Any, values: Sequence[Any]) -> Tensor:
        """The numbers of the solution. All steps are taken in double precision."""
        shape, t = y0.shape, times._data

        def rate(at: float, flat: Any) -> Any:
            slope = self.rate(as_variable(Tensor, flat.reshape(shape)), as_variable(Tensor, np.asarray(at)), values)
            if slope.shape != shape:
                raise ShapeError(
                    f"odeint: {name_of(self.f)} returned shape {slope.shape} for y of shape {shape}; dy/dt has y's shape"
                )
            return slope._data.ravel()

        if len(t) == 1:
            return as_variable(Tensor, y0._data[None].copy())
        first = y0._data.ravel().astype(np.result_type(y0.dtype, np.float64))
        found = _solve_ivp(rate, (t[0], t[-1]), first, "DOP853", t, rtol=max(self.rtol, 3e-14), atol=self.atol)
        if not found.success:
            raise ConvergenceError(f"odeint: {name_of(self.f)}: {found.message} The solution may grow without bound, or be stiff")
        return as_variable(Tensor, found.y.T.reshape(len(t), *shape).astype(y0.dtype))

    def adjoint(self, path: Any, times: Any, values: Sequence[Any], captured: list[Any], g: Any) -> list[Any]:
        """The gradients for the first state, the times, ``values`` and what was captured, from those for all states.

        Backwards in time, a = ∂L/∂y obeys da/dt = −a ∂f/∂y and gathers ∂L/∂θ as −∫ a ∂f/∂θ dt; at each time that was asked
        for, its own cotangent is added. y is integrated back along with it, from the state that is known at each of the times.
        """

        def rates(together: Any, t: Any, *values: Any) -> Any:
            recorded = Recorded(lambda y, *values: self.rate(y, t, values), [together[0], *values], who="odeint")
            wanted = [*recorded.vertices, *captured]
            out, found = recorded.outputs[0], dict[Any, Any]()
            if out.requires_grad:
                pairs = [(out, together[1])]
                found = engine.cotangents(pairs, wanted=wanted, stop=wanted, retain_graph=True, create_graph=is_recording())
            slopes = [-as_variable(Tensor, found[v]) if v in found else _zeros_like(v) for v in wanted]
            return (out if is_recording() else as_variable(Tensor, out._data), *slopes)

        a = g[-1]
        rest = [_zeros_like(v) for v in (*values, *captured)]
        of_times: list[Any] = [None] * len(times)
        for i in range(len(times) - 1, 0, -1):
            of_times[i] = _inner(g[i], self.rate(path[i], times[i], values))
            back = times[i - 1 : i + 1][::-1]
            _, a, *rest = odeint(rates, (path[i], a, *rest), back, *values, rtol=self.rtol, atol=self.atol)
            a, rest = a[1], [part[1] for part in rest]
            if i > 1:
                a = a + g[i - 1]
        # To start later from the same state is to be behind by what the state would have moved.
        of_times[0] = -_inner(a, self.rate(path[0], times[0], values)) if len(times) > 1 else _zeros_like(times[0])
        return [a + g[0] if len(times) > 1 else a, stack(of_times), *rest]


def _zeros_like(like: Any) -> Tensor:
    return Tensor(np.zeros(like.shape, like.dtype))


def _inner(a: Any, b: Any) -> Any:
    return sum((a.conj() * b).real if a.dtype.kind == "c" else a * b)
