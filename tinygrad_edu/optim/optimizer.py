"""What all optimisers share: groups of parameters, their state, and the step, for which a subclass gives the rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError, GraphError, ShapeError
from tinygrad_edu.optim.groups import checked_parameter, groups_of, paired
from tinygrad_edu.optim.sweep import sweep
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array

    Options: TypeAlias = dict[str, Any]
    Rule: TypeAlias = Callable[..., None]  # (p, g, *state, scratch), all of one length: changes p and state in place


class Optimizer:
    """Base class: a subclass says which arrays it keeps for a parameter, and how a step changes one block of numbers.

    ``params`` is a list of tensors, or a list of groups ``{"params": [...], "lr": 0.1}`` whose options win over those of the call.
    Without ``params``, only `update` can be used. ``param_groups`` holds the groups with all of their options, to be read and
    changed between steps. Counterpart: ``torch.optim.Optimizer``.

    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> class SignDescent(tg.optim.Optimizer):
    ...     def __init__(self, params=None, lr=0.1):
    ...         super().__init__(params, lr=lr)
    ...     def rule(self, options, step):
    ...         def move(p, g, scratch):
    ...             p -= options["lr"] * np.sign(g)
    ...         return (), move
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimiser = SignDescent([w])
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w
    Tensor([0.9, 1.9], requires_grad=True)
    """

    # The smallest and the largest value of each option; infinity is never allowed, and of a pair both are held to it.
    limits: Mapping[str, tuple[float, float]] = {"weight_decay": (0, math.inf)}
    decoupled = False  # whether weight decay shrinks the parameter, and does not change the gradient

    def __init__(self, params: Iterable[Any] | None, **defaults: Any) -> None:
        self.defaults = self._checked_options(defaults)
        self.param_groups: list[Options] = []
        self.state: dict[Any, Options] = {}  # of a tensor, or, in `update`, of a name
        self._bare = params is None
        for group in [{"params": []}] if params is None else groups_of(self._name, params):
            self.add_param_group(group)

    def rule(self, options: Options, step: int) -> tuple[tuple[str, ...], Rule]:
        """The names of the arrays that are kept for each parameter, and the function that moves one block: it is called as
        ``move(p, g, *kept, scratch)`` with one-dimensional arrays of one length, and changes all but g in place. ``step`` counts
        from 1."""
        raise NotImplementedError(f"{self._name} has no rule: define `def rule(self, options, step)` in the class")

    def initial(self, name: str, options: Options) -> float:
        """The number that a kept array is filled with at first."""
        return 0.0

    # ------------------------------------------------------------------------------------------------------------- steps

    def step(self) -> None:
        """Move every parameter, in place. One whose ``.grad`` is None stays where it is."""
        if self._bare:
            raise GraphError(
                f"{self._name} was made without parameters: step() needs {self._name}(model.parameters(), ...); without them, "
                "call update(params, grads)"
            )
        for group in self.param_groups:
            move = self._mover(group)
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is not None:
                    array = parameter.data
                    move(parameter, array, gradient.data)
                    parameter.data = array  # the setter tells the engine that it has changed

    def update(self, params: Any, grads: Any) -> None:
        """Move ``params`` against ``grads``, in place: two lists of arrays, or two dictionaries with the same names, as the
        optimisers of *Deep Learning from Scratch*, section 6.1, do. State is kept for each name or position.

        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> params, grads = {"W": np.array([1.0, 2.0])}, {"W": np.array([10.0, 20.0])}
        >>> tg.optim.SGD(lr=0.1).update(params, grads)
        >>> params["W"].tolist()
        [0.0, 0.0]
        """
        move = partial(self._move, options=self.param_groups[0], rules={})
        for name, parameter, array, gradient in paired(f"{self._name}.update", params, grads):
            move(str(name), array, gradient)
            if isinstance(parameter, Tensor):
                parameter.data = array

    def _mover(self, options: Options) -> Callable[[Any, Array, Array], None]:
        """What moves the parameters of a group in one step, called as ``move(key, p, g)``."""
        return partial(self._move, options=options, rules={})

    def _move(self, key: Any, p: Array, g: Array, options: Options, rules: dict[int, Any]) -> None:
        state = self.state.setdefault(key, {"step": 0})
        step = state["step"] + 1
        if step not in rules:  # all parameters of a group usually have made the same number of steps
            rules[step] = self.rule(options, step)
        names, move = rules[step]
        for name in names:
            if name not in state:
                state[name] = np.full_like(p, self.initial(name, options))
        arrays = [p, g, *[state[name] for name in names]]
        if any(array.shape != p.shape for array in arrays):
            raise ShapeError(f"{self._name}: parameter {key!r} has shape {p.shape}, and its state or gradient has another")
        if p.dtype.kind == "c":  # both parts are moved as real numbers
            sweep(move, [array.real for array in arrays], options, self.decoupled)
            sweep(move, [array.imag for array in arrays], options, self.decoupled)
        else:
            sweep(move, arrays, options, self.decoupled)
        state["step"] = step  # last, so that a failed rule leaves the count as it was

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients: ``.grad`` is None until the next ``backward()``, which otherwise adds to them; or zeros, if
        ``set_to_none`` is False."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None if set_to_none or parameter.grad is None else np.zeros(parameter.shape, parameter.dtype)

    # ------------------------------------------------------------------------------------------------------------ groups

    @property
    def params(self) -> list[Tensor]:
        """The parameters of all groups."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    @property
    def lr(self) -> float:
        """The learning rate, of the first group if they differ. Setting it sets it for all of them."""
        rate: float = self.param_groups[0]["lr"]
        return rate

    @lr.setter
    def lr(self, value: float) -> None:
        rate = self._learning_rate(value)
        for group in self.param_groups:
            group["lr"] = rate

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add a group of parameters with options of its own, such as ``{"params": head.parameters(), "lr": 0.01}``.

        Raises ArgumentError for an option that this optimiser does not have, and for a parameter that it has already.
        """
        options = {name: value for name, value in group.items() if name != "params"}
        unknown = options.keys() - self.defaults.keys()
        if unknown:
            raise ArgumentError(
                f"{self._name}: a group has the option {sorted(unknown)[0]!r}, and this optimiser has {', '.join(self.defaults)}"
            )
        if "params" not in group:
            raise ArgumentError(f"{self._name}: a group is a dictionary with its tensors under 'params', got {sorted(group)}")
        taken = dict.fromkeys(self.params)
        mine: dict[Tensor, None] = {}
        members = group["params"]
        if isinstance(members, Tensor):
            raise DTypeError(f"{self._name}: params is a list of tensors, and this is one tensor: write [w]")
        for position, parameter in enumerate(members):
            who = checked_parameter(self._name, position, parameter, members)
            if parameter in mine or parameter in taken:
                raise ArgumentError(f"{self._name}: {who} is in the list twice, and each step would move it twice")
            mine[parameter] = None
        if not mine and not self._bare:
            raise ArgumentError(
                f"{self._name}: there are no parameters to update; a generator such as model.parameters() can be read only once: "
                "call it again, or keep list(model.parameters())"
            )
        self.param_groups.append({"params": list(mine), **self.defaults, **self._checked_options(options)})

    def _checked_options(self, options: Options) -> Options:
        """The options, with numbers as Python floats, so that a NumPy float64 does not make float32 parameters' steps float64."""
        checked: Options = {}
        for name, value in options.items():
            if name == "lr":
                checked[name] = self._learning_rate(value)
            elif name in self.limits:
                several = isinstance(value, tuple | list)
                numbers = tuple([self._limited(name, entry) for entry in (value if several else [value])])
                checked[name] = numbers if several else numbers[0]
            else:
                checked[name] = value
        return checked

    def _limited(self, name: str, value: Any) -> float:
        low, high = self.limits[name]
        number = float(value)
        if not (low <= number <= high and number < math.inf and (number < 1 or high != 1)):
            words = f"at least {low:g}" + (f" and below {high:g}" if high < math.inf else "")
            raise ArgumentError(f"{self._name}: {name} is {words}, got {value}")
        return number

    def _learning_rate(self, value: Any) -> float:
        rate = float(value)
        if not 0 < rate < math.inf:
            raise ArgumentError(
                f"{self._name}: the learning rate is a positive number, got {value}: a step goes against the gradient"
            )
        return rate

    # ------------------------------------------------------------------------------------------------------------- state

    def state_dict(self) -> Options:
        """Everything that a step depends on but the parameters: a copy, of dictionaries, lists, numbers and arrays, with parameters
        by their position. `tinygrad_edu.save` writes it."""
        numbers = {parameter: str(position) for position, parameter in enumerate(self.params)}
        positions = iter(range(len(numbers)))
        return {
            "state": {numbers.get(key, key): _copied(state) for key, state in self.state.items()},
            "param_groups": [{**group, "params": [next(positions) for _ in group["params"]]} for group in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` of an optimiser of the same kind gave. Nothing is changed if it does not fit.

        Raises ArgumentError for other groups or options, `ShapeError` for state of other shapes.
        """
        groups, params = state_dict["param_groups"], self.params
        mine, theirs = [[len(group["params"]) for group in side] for side in (self.param_groups, groups)]
        if mine != theirs:
            raise ArgumentError(f"{self._name}: the state is of groups with {theirs} parameters, and this optimiser has {mine}")
        options = []
        for group in groups:
            given = {name: tuple(value) if isinstance(value, list) else value for name, value in group.items() if name != "params"}
            if given.keys() - {"initial_lr"} != self.defaults.keys():  # which a schedule leaves there
                raise ArgumentError(
                    f"{self._name}: the state has the options {', '.join(given)}, and {self._name} has {', '.join(self.defaults)}: "
                    "is it of another kind of optimiser?"
                )
            options.append(given)
        loaded: dict[Any, Options] = {}
        for key, state in state_dict["state"].items():
            if self._bare:
                loaded[str(key)] = _copied(state)
                continue
            parameter = params[int(key)]
            for name, array in state.items():
                if name != "step" and np.shape(array) != parameter.shape:
                    raise ShapeError(
                        f"{self._name}: {name} of parameter {key} has shape {np.shape(array)}, and the parameter {parameter.shape}"
                    )
            loaded[parameter] = _copied(state, parameter.dtype)
        for group, given in zip(self.param_groups, options, strict=True):
            group.update(given)
        self.state = loaded

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return f"{self._name}({len(self.params)} tensors, lr={self.lr:g})"


def _copied(state: Mapping[str, Any], dtype: Any = None) -> Options:
    return {name: value if name == "step" else np.array(value, dtype) for name, value in state.items()}
