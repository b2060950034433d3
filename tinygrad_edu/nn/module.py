"""`Module`: a function with parameters, built from smaller ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from textwrap import indent
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinygrad_edu.errors import ArgumentError, DTypeError
from tinygrad_edu.graph import MODE, Mode
from tinygrad_edu.nn import state
from tinygrad_edu.nn.hooks import Handle, around_backward
from tinygrad_edu.nn.running import RUNNING, Running
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array
    from tinygrad_edu.nn.summary import Summary

Self = TypeVar("Self", bound="Module")


class Module:
    """Base class of layers and networks: ``forward`` computes, attributes hold the parameters.

    A leaf tensor with ``requires_grad=True`` that is assigned to an attribute is a parameter, and a Module is a child, whose
    parameters count as well. Both are also found one level deep in a list, tuple or dictionary, so ``self.layers = [...]`` and
    ``self.params = {"W1": ...}`` work as they look. A parameter without a name is named after its attribute, and stays a parameter
    when it is frozen with ``requires_grad = False``. Numbers that are saved and not learned are buffers: see `register_buffer`.
    There is no ``__init__`` to call, and none is missed. Counterpart: ``torch.nn.Module``.

    >>> import tinygrad_edu as tg
    >>> class Line(tg.nn.Module):
    ...     def __init__(self):
    ...         self.slope = tg.Tensor(2.0, requires_grad=True)
    ...         self.offset = tg.Tensor(1.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(3.0)
    Tensor(7., requires_grad=True)
    >>> [name for name, parameter in line.named_parameters()]
    ['slope', 'offset']
    >>> line
    Line(): 2 parameters
    """

    training: bool = True  # whether Dropout drops and BatchNorm looks at the batch; `train` and `eval` set it

    def __init__(self) -> None:
        """Nothing: that ``super().__init__()`` may be called, as PyTorch's must be."""

    def forward(self, *args: Any, **keywords: Any) -> Any:
        """What the module computes; a subclass defines it, and ``module(x)`` calls it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: define `def forward(self, x)` in the class")

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """``forward``, with the module's name noted in what it records, so that pictures show one box per module."""
        caller = RUNNING.get()
        label = type(self).__name__ if caller is None else caller.label(self)
        recording, scope, on_record, ieee, on_pass = MODE.get()
        # By hand what `graph.mode` does: as a with block it would cost as much as recording an operation.
        mode_before = MODE.set(Mode(recording, (*scope, label), on_record, ieee, on_pass))
        caller_before = RUNNING.set(Running(self))
        try:
            return self.forward(*args, **keywords) if "_hooks" not in self.__dict__ else self._with_hooks(args, keywords)
        finally:
            RUNNING.reset(caller_before)
            MODE.reset(mode_before)

    def _with_hooks(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        hooks = {kind: tuple(found.values()) for kind, found in self.__dict__["_hooks"].items()}
        for hook in hooks.get("before", ()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        if backward := hooks.get("backward"):
            result = around_backward(self, backward, args, lambda inputs: self.forward(*inputs, **keywords))
        else:
            result = self.forward(*args, **keywords)
        for hook in hooks.get("after", ()):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    # ------------------------------------------------------------------------------------------- parameters and buffers

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        known = self.__dict__.get("_known")
        if known:
            known.difference_update([path for path in known if path.partition(".")[0] == name])
        for path, tensor in _found({name: value}, Tensor):
            if _is_trainable(tensor) and name not in self.__dict__.get("_buffers", ()):
                self._remember(path)
                if tensor.name is None:
                    tensor.name = path

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self.__dict__.get("_buffers", {}).pop(name, None)

    def _remember(self, path: str) -> None:
        """Note that a parameter is here, so that it is one when it is frozen, too."""
        self.__dict__.setdefault("_known", set()).add(path)

    def _own_parameters(self) -> Iterator[tuple[str, Tensor]]:
        known = self.__dict__.get("_known", ())
        buffers = self.__dict__.get("_buffers", ())
        for path, tensor in list(_found(vars(self), Tensor)):
            if path in known and tensor.is_leaf:
                yield path, tensor
            elif _is_trainable(tensor) and path not in buffers:  # one that was put into a list or dictionary later
                self._remember(path)
                yield path, tensor

    def _own_buffers(self) -> Iterator[tuple[str, Tensor, bool]]:
        for name, persistent in self.__dict__.get("_buffers", {}).items():
            if isinstance(tensor := self.__dict__.get(name), Tensor):
                yield name, tensor, persistent

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make an attribute of numbers that belong to the module and are not learned, as a running mean.

        It is a constant Tensor, or None. `state_dict` saves it, unless ``persistent`` is False; assigning to the attribute replaces
        it. Raises `ArgumentError` when the name is taken. Counterpart: ``torch.nn.Module.register_buffer``.

        >>> import tinygrad_edu as tg
        >>> module = tg.nn.Module()
        >>> module.register_buffer("mean", [0.0, 1.0])
        >>> module.state_dict()
        {'mean': array([0., 1.])}
        """
        if "." in name or not name or (hasattr(self, name) and name not in self.__dict__.get("_buffers", {})):
            raise ArgumentError(f"register_buffer: {name!r} is no free attribute of {type(self).__name__}: take another name")
        self.__dict__.setdefault("_buffers", {})[name] = persistent
        setattr(self, name, tensor if tensor is None or isinstance(tensor, Tensor) else Tensor(tensor))

    def register_parameter(self, name: str, parameter: Tensor | None) -> None:
        """``self.name = parameter``, for names that are computed. Counterpart: ``torch.nn.Module.register_parameter``."""
        if parameter is not None and not (isinstance(parameter, Tensor) and _is_trainable(parameter)):
            raise ArgumentError(
                f"register_parameter: {name!r} is a {type(parameter).__name__} that is no leaf that requires grad: make it with "
                "Tensor(..., requires_grad=True)"
            )
        setattr(self, name, parameter)

    def register_module(self, name: str, module: Module) -> None:
        """``self.name = module``, for names that are computed. Counterpart: ``torch.nn.Module.register_module``."""
        setattr(self, name, module)

    add_module = register_module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with the names that they have here."""
        return _found(vars(self), Module)

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (child for _, child in self.named_children())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, named "", and every module below it, parents first and each once, with dotted names."""
        seen: set[int] = set()
        waiting: list[tuple[str, Module]] = [("", self)]
        while waiting:
            path, module = waiting.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                below = [(f"{path}.{name}" if path else name, child) for name, child in module.named_children()]
                waiting += reversed(below)

    def modules(self) -> Iterator[Module]:
        """This module and every module below it, parents first and each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters of this module and of every module below it, with dotted names, in the order of assignment and
        parents first. A parameter that is used in several places comes once, under its first name.

        >>> import tinygrad_edu as tg
        >>> net = tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.Sigmoid(), tg.nn.Linear(3, 2, bias=False))
        >>> [(name, parameter.shape) for name, parameter in net.named_parameters()]
        [('0.weight', (3, 4)), ('0.bias', (3,)), ('2.weight', (2, 3))]
        """
        seen: set[Tensor] = set()
        for path, module in self.named_modules():
            for name, parameter in module._own_parameters():
                if parameter not in seen:
                    seen.add(parameter)
                    yield f"{path}.{name}" if path else name, parameter

    def parameters(self) -> Iterator[Tensor]:
        """The parameters of this module and of every module below it: what an optimiser updates."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The buffers of this module and of every module below it, with dotted names, those that are not saved included."""
        for path, module in self.named_modules():
            for name, buffer, _ in module._own_buffers():
                yield f"{path}.{name}" if path else name, buffer

    def buffers(self) -> Iterator[Tensor]:
        """The buffers of this module and of every module below it."""
        return (buffer for _, buffer in self.named_buffers())

    def state_dict(self) -> dict[str, Array]:
        """Everything to save: copies of the parameters and of the persistent buffers, as NumPy arrays by dotted names.

        Names and order are those of the same model in PyTorch, and so are the layouts: weights go to and fro as they are. A
        parameter that is used in several places comes under each of its names. Counterpart: ``torch.nn.Module.state_dict``.

        >>> import tinygrad_edu as tg
        >>> net = tg.nn.Sequential(tg.nn.Linear(2, 1), tg.nn.BatchNorm1d(1))
        >>> list(net.state_dict())  # doctest: +NORMALIZE_WHITESPACE
        ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var', '1.num_batches_tracked']
        """
        return {name: tensor.numpy() for name, tensor in state.saved(self)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> state.LoadResult:
        """Take over the numbers of a `state_dict`, of this library or of PyTorch: arrays, or what ``np.asarray`` understands.

        All or nothing: an error leaves the module as it was. Parameters and buffers stay the same tensors, so that an optimiser
        that holds them goes on. A wider float takes a narrower one; the other way round would round, and is an error.

        Parameters
        ----------
        state_dict: arrays by dotted names.
        strict: whether a name that is missing, or not known here, is an error. Shapes and dtypes are always looked at.

        Returns the names that were missing and those that were not known. Raises `StateError` for names, shapes and dtypes that do
        not fit, all of them in one message. Counterpart: ``torch.nn.Module.load_state_dict``.

        >>> import tinygrad_edu as tg
        >>> net, other = tg.nn.Linear(2, 1), tg.nn.Linear(2, 1)
        >>> net.load_state_dict(other.state_dict())
        LoadResult(missing_keys=[], unexpected_keys=[])
        """
        return state.load(self, state_dict, strict)

    # ------------------------------------------------------------------------------------------------------- the whole

    def train(self: Self, mode: bool = True) -> Self:
        """Set ``training`` here and in every module below, and return the module. Counterpart: ``torch.nn.Module.train``.

        >>> import tinygrad_edu as tg
        >>> tg.nn.Sequential(tg.nn.Dropout(0.5)).eval()[0].training
        False
        """
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """``train(False)``: for using the module, when nothing is dropped and statistics stay as they are."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Freeze all parameters with False, and thaw them with True; return the module. What is frozen is still saved."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def to(self: Self, dtype: Any) -> Self:
        """Turn all parameters and floating buffers into another floating dtype, in place, and return the module. Gradients are
        forgotten. ``float()`` and ``double()`` are ``to(np.float32)`` and ``to(np.float64)``. Counterpart: ``torch.nn.Module.to``.

        >>> import tinygrad_edu as tg
        >>> tg.nn.Linear(2, 1).float().weight.dtype
        dtype('float32')
        """
        if isinstance(dtype, str) and dtype.partition(":")[0] in ("cpu", "cuda", "mps"):
            raise ArgumentError(f"{type(self).__name__}.to: {dtype!r} is a device, and there is only the processor: leave it out")
        if np.dtype(dtype).kind not in "fc":
            raise DTypeError(f"{type(self).__name__}.to: parameters are floating or complex numbers, and {np.dtype(dtype)} is not")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype.kind in "fc":
                Tensor.__init__(tensor, tensor.data, tensor.requires_grad, dtype=dtype, name=tensor.name)
        return self

    def float(self: Self) -> Self:
        """``to(np.float32)``: half the memory, and more than twice the speed."""
        return self.to(np.float32)

    def double(self: Self) -> Self:
        """``to(np.float64)``: what gradients are checked with."""
        return self.to(np.float64)

    def apply(self: Self, function: Callable[[Module], Any]) -> Self:
        """Call a function with every module below and then with this one, to initialise them for instance; return the module.
        Counterpart: ``torch.nn.Module.apply``.

        >>> import tinygrad_edu as tg
        >>> names = []
        >>> net = tg.nn.Sequential(tg.nn.ReLU(), tg.nn.Tanh()).apply(lambda module: names.append(type(module).__name__))
        >>> names
        ['ReLU', 'Tanh', 'Sequential']
        """
        for module in reversed(list(state.parents_first_backwards(self))):
            function(module)
        return self

    def summary(self, *inputs: Any) -> Summary:
        """A table of the modules that these inputs run through: what each returns, and how many parameters it has.

        ``inputs`` are what the module is called with: arrays or tensors. It runs once, in evaluation mode and without recording.
        Print the result, or read its ``rows``. Counterpart: the package ``torchinfo``.

        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> net = tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.ReLU(), tg.nn.Linear(3, 2))
        >>> print(net.summary(np.zeros((5, 4))))
        module      output  parameters
        Sequential  (5, 2)          23
          0 Linear  (5, 3)          15
          1 ReLU    (5, 3)           0
          2 Linear  (5, 2)           8
        23 parameters, 184 bytes; all trainable
        """
        from tinygrad_edu.nn.summary import summarize

        return summarize(self, inputs)

    # ------------------------------------------------------------------------------------------------------------ hooks

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, args)`` before every forward; what it returns, unless None, takes the place of the arguments.
        ``remove()`` on the result ends it. Counterpart: ``torch.nn.Module.register_forward_pre_hook``."""
        return Handle(self, "before", hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, args, output)`` after every forward; what it returns, unless None, takes the place of the output.
        ``remove()`` on the result ends it. Counterpart: ``torch.nn.Module.register_forward_hook``.

        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> net, seen = tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.ReLU()), []
        >>> handle = net[0].register_forward_hook(lambda module, args, output: seen.append(output.shape))
        >>> y = net(np.zeros((5, 4)))
        >>> handle.remove()
        >>> y = net(np.zeros((6, 4)))
        >>> seen
        [(5, 3)]
        """
        return Handle(self, "after", hook)

    def register_full_backward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, grad_input, grad_output)`` when backward has gone through the module: with a tuple of gradients for
        the positional arguments, None for those that need none, and one for the outputs. It looks and changes nothing: what it
        returns is ignored. It is called when the last of the inputs that require grad has its gradient. ``remove()`` on the result
        ends it. Counterpart: ``torch.nn.Module.register_full_backward_hook``.

        >>> import numpy as np
        >>> import tinygrad_edu as tg
        >>> layer, seen = tg.nn.Linear(2, 1), []
        >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_output[0].tolist()))
        >>> (3 * layer(np.ones((1, 2)))).sum().backward()
        >>> seen
        [[[3.0]]]
        """
        return Handle(self, "backward", hook)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradient of every parameter: ``.grad`` is None until the next ``backward()``, or else zeros."""
        for parameter in self.parameters():
            parameter.grad = None if set_to_none or parameter.grad is None else np.zeros(parameter.shape, parameter.dtype)

    def extra_repr(self) -> str:
        """What a subclass wants to see between the parentheses of its repr."""
        return ""

    @recursive_repr("...")
    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        parameters = f": {count:,} parameter{'s' * (count != 1)}" if count else ""
        lines = [f"{type(self).__name__}({self.extra_repr()}){parameters}"]
        lines += [indent(f"{name} = {child!r}", "  ") for name, child in self.named_children()]
        return "\n".join(lines)


def _found(attributes: dict[str, Any], kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """Attributes of a kind, those in lists, tuples and dictionaries included, with their dotted names."""
    for name, value in attributes.items():
        if isinstance(value, kind):
            yield name, value
        elif isinstance(value, list | tuple | dict):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(item, kind):
                    yield f"{name}.{key}", item


def _is_trainable(tensor: Tensor) -> bool:
    return tensor.requires_grad and tensor.is_leaf
