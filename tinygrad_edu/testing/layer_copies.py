"""Copies of layers that somebody wrote, in which views are views of the same array again, and where their parameters are."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.errors import ArgumentError, NumericalError
from tinygrad_edu.testing.hand_written import alike, as_gradient, is_number, results_of
from tinygrad_edu.testing.inputs import fresh_copies
from tinygrad_edu.testing.levels import wide_of

if TYPE_CHECKING:
    from tinygrad_edu.graph import Array


def copied(layer: Any, wide: bool = False) -> Any:
    """A copy of a layer; with ``wide``, its floating arrays are in double precision. An array that is updated in place changes its
    views, such as W.T, and so it is in the copy, where `copy.deepcopy` alone would make arrays of their own."""
    lists = {name: inspect.getattr_static(layer, name, None) for name in ("params", "grads")}  # perhaps of the class
    whole = layer, {name: value for name, value in lists.items() if isinstance(value, list | tuple | dict)}
    groups: dict[int, tuple[Array, list[Array]]] = {}
    for array in _arrays(whole, {}):
        root = _root(array)
        groups.setdefault(id(root), (root, []))[1].append(array)
    memo: dict[int, Any] = {}
    for root, views in groups.values():
        dtype = wide_of(root) if wide and root.dtype.kind in "fc" else root.dtype
        if len(views) > 1 or dtype != root.dtype:
            memo.update(zip(map(id, views), _views(root, views, dtype), strict=True))
    try:
        made, lists = copy.deepcopy(whole, memo)
    except Exception as error:
        raise ArgumentError(
            f"check_layer: {type(layer).__name__} cannot be copied, and it is checked on copies: {error}. Keep locks, files and "
            "the like outside of the layer, or give it a __deepcopy__"
        ) from error
    for name in lists.keys() - _inside(made).keys():
        setattr(made, name, lists[name])
    return made


def _inside(thing: Any) -> dict[str, Any]:
    """The attributes that an object has of its own, also those in slots."""
    names = list(getattr(thing, "__dict__", ()))
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return {name: getattr(thing, name) for name in names if hasattr(thing, name)}


def _arrays(thing: Any, seen: dict[int, Any]) -> Iterator[Array]:
    """All arrays in a layer: in attributes, lists and dictionaries, and in the layers that these hold."""
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    inside: Any = ()
    if type(thing) is np.ndarray:
        yield thing
    elif isinstance(thing, Mapping):
        inside = thing.values()
    elif isinstance(thing, list | tuple | set):
        inside = thing
    elif not isinstance(thing, type | types.ModuleType | types.FunctionType):  # which deepcopy does not copy
        inside = _inside(thing).values()
    for part in list(inside):
        yield from _arrays(part, seen)


def _root(array: Array) -> Array:
    """The array that owns the numbers: the array itself, where they are of another kind there, or not in one piece."""
    root = array
    while type(root.base) is np.ndarray:
        root = root.base
    whole = root.flags.owndata or root.flags.forc
    return root if whole and root.dtype == array.dtype and array.size and not root.dtype.hasobject else array


def _views(root: Array, views: Sequence[Array], dtype: Any) -> Iterator[Array]:
    """The same views of a copy of the numbers."""
    if len(views) == 1:  # of which there is nothing to share
        yield views[0].astype(dtype)
        return
    numbers = as_strided(root, (root.size,), (root.itemsize,)).astype(dtype)  # in the order of memory
    start = root.__array_interface__["data"][0]
    for view in views:
        first = view.__array_interface__["data"][0] - start
        offset, *strides = [numbers.itemsize * (step // root.itemsize) for step in (first, *view.strides)]
        made: Array = np.ndarray(view.shape, numbers.dtype, numbers, offset, strides)
        made.flags.writeable = view.flags.writeable
        yield made


class Parameters:
    """Where a layer has its parameters: ``params`` and ``grads``, two lists or dictionaries, or, where these are empty, attributes
    W and dW. A parameter that is there several times, as itself or transposed, is one, whose gradients add up."""

    def __init__(self, layer: Any, inputs: Sequence[Any], name: str) -> None:
        self.name = name
        self.notes: list[str] = []
        params = getattr(layer, "params", None)
        if not isinstance(params, Sequence | Mapping | None):
            raise ArgumentError(
                f"check_layer: params of {name} is an object of type {type(params).__name__}: make it a list of arrays"
            )
        self.named = params is None or not len(params)
        self.keys: list[Any] = self._attributes(layer, inputs) if self.named else list(_keyed(params))
        self.labels = list(self.keys) if self.named else [f"params[{key!r}]" for key in self.keys]
        arrays = self._all(layer)
        for label, array in zip(self.labels, arrays, strict=True):
            self._check(label, array)
        # Of each the first that is the same array, and how the one is turned into the other.
        self.same = [next((i, turn) for i, b in enumerate(arrays) for turn in (False, True) if _same(a, b, turn)) for a in arrays]
        self.first = [i for i, (same, _) in enumerate(self.same) if i == same]

    def arrays(self, layer: Any) -> list[Array]:
        """The parameters of a copy of the layer."""
        arrays = self._all(layer)
        return [arrays[i] for i in self.first]

    def label(self, number: int) -> str:
        """What one of `arrays` is called."""
        return self.labels[self.first[number]]

    def gradient_label(self, number: int) -> str:
        """What its gradient is called."""
        label = self.label(number)
        return f"d{label}" if self.named else f"grads{label.removeprefix('params')}"

    def gradients(self, layer: Any) -> list[Array]:
        """Copies of the gradients of `arrays`."""
        found: Any = [getattr(layer, f"d{key}", None) for key in self.keys]
        if not self.named:
            grads = _keyed(getattr(layer, "grads", None) or [])
            if grads.keys() != set(self.keys):
                lists = f"{len(self.keys)} params and {len(grads)} grads"
                both = f"params {self.keys} and grads {list(grads)}" if isinstance(layer.params, Mapping) else lists
                raise ArgumentError(f"check_layer: {self.name} has {both}; each parameter has a gradient")
            found = [grads[key] for key in self.keys]
        total: dict[int, Array] = {}
        for gradient, array, label, (same, turn) in zip(found, self._all(layer), self.labels, self.same, strict=True):
            one = as_gradient(gradient, array, f"{label} of {self.name}")
            if one is None:
                raise ArgumentError(f"the gradient for {label} of {self.name} is None: backward sets it")
            one = one.T if turn else one
            total[same] = total[same] + one if same in total else np.array(one)
        return [total[i] for i in self.first]

    def _all(self, layer: Any) -> list[Any]:
        if self.named:
            return [getattr(layer, key) for key in self.keys]
        return list(_keyed(layer.params).values())

    def _check(self, label: str, array: Any) -> None:
        if not isinstance(array, np.ndarray):
            raise ArgumentError(
                f"check_layer: {label} of {self.name} is of type {type(array).__name__}, which cannot be updated in place: write "
                "np.array(...)"
            )
        if array.dtype.kind not in "fc":
            raise NumericalError(
                f"check_layer: {label} of {self.name} has dtype {array.dtype}: a gradient of its dtype is truncated to integers, "
                "and so is every update; write the numbers with a decimal point"
            )

    def _attributes(self, layer: Any, inputs: Sequence[Any]) -> list[str]:
        """The names of the arrays that stay in their place, and have a gradient with a d before their name."""
        used = copied(layer)
        before = {name: a for name, a in _inside(used).items() if isinstance(a, np.ndarray)}
        y = results_of(used.forward(*fresh_copies(inputs)), f"check_layer: {self.name}.forward")
        used.backward(*[np.ones_like(part) for part in y])
        kept = {name: a for name, a in before.items() if getattr(used, name, None) is a}
        found = [name for name in kept if is_number(getattr(used, f"d{name}", None))]
        for name, value in _inside(used).items():
            if isinstance(value, float | np.floating) and is_number(getattr(used, f"d{name}", None)):
                self.notes.append(
                    f"{name} of {self.name} is of type {type(value).__name__}, which cannot be updated in place, and so d{name} is "
                    "not compared: write np.array(...)"
                )
        for name, a in kept.items():
            beside = name in found or name.removeprefix("d") in kept.keys() - {name} or a.dtype.kind not in "fc"
            if beside or any(np.may_share_memory(a, kept[parameter]) for parameter in found) or not _matters(layer, name, inputs):
                continue
            misspelt = next((f", not self.{n}" for n in _inside(used) if n != f"d{name}" and n.lower() == f"d{name}".lower()), "")
            self.notes.append(
                f"{name} of {self.name} has no gradient d{name}, and the result depends on it: if it is a parameter, backward "
                f"should set self.d{name}{misspelt}"
            )
        return found


def _keyed(parts: Any) -> dict[Any, Any]:
    return dict(parts) if isinstance(parts, Mapping) else dict(enumerate(parts))


def _same(a: Array, b: Array, turned: bool) -> bool:
    """Whether two arrays are the same numbers in memory, the second one perhaps transposed."""
    b = b.T if turned else b
    here, there = a.__array_interface__, b.__array_interface__
    return a is b or (a.shape == b.shape and a.strides == b.strides and here["data"] == there["data"] and a.dtype == b.dtype)


def _matters(layer: Any, name: str, inputs: Sequence[Any]) -> bool:
    """Whether the result of a layer depends on an array that it has."""
    here, there = copied(layer), copied(layer)
    array = getattr(there, name)
    if not array.flags.writeable:
        return False
    array[...] = 1.1 * array + 0.1
    try:
        with np.errstate(all="ignore"):
            results = [[np.asarray(y) for y in results_of(l.forward(*fresh_copies(inputs)), name)] for l in (here, there)]
    except Exception:  # the layer looks at these numbers, and does not like them
        return True
    return not alike(*results)
