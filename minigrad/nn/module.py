"""Modules: parameters with names, modes, and state that can be saved.

A module is a plain object. Its parts are the parameters, buffers and modules that its attributes
hold, directly or in lists, tuples and dicts; nothing is registered anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from types import FunctionType, MemberDescriptorType
from typing import Any, Self

import numpy as np

from ..engine.creation import as_dtype, tensor
from ..engine.graph import no_grad
from ..engine.registry import backend_at, current_backend
from ..engine.tensor import Tensor
from ..utils.arguments import check_flag
from .parts import Part, all_parts, holds_parts, parts_in

__all__ = ["Buffer", "Module", "Parameter"]


class Parameter(Part, Tensor):
    """A tensor that is trained: an attribute of a module, with gradients.

    Takes what `mg.tensor` takes and copies it; `requires_grad=False` freezes it.

    >>> import minigrad as mg
    >>> mg.nn.Parameter([1.0, 2.0])
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(
        self, data: Any, requires_grad: bool = True, dtype: Any = None, backend: Any = None
    ) -> None:
        numbers = data.detach() if isinstance(data, Tensor) else data
        made = tensor(numbers, dtype=dtype, backend=backend)
        super().__init__(made._data, made.backend)
        self._as_made()
        self.requires_grad = requires_grad


class Buffer(Part, Tensor):
    """A tensor that belongs to a module's state and isn't trained, such as a running mean.

    Takes what `mg.tensor` takes and copies it. A tensor assigned to an attribute that holds a
    buffer becomes the buffer's new value, without its history.

    >>> mg.nn.Buffer([1.0, 2.0])
    tensor([1., 2.])
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: Any = None, backend: Any = None) -> None:
        numbers = data.detach() if isinstance(data, Tensor) else data
        made = tensor(numbers, dtype=dtype, backend=backend)
        super().__init__(made._data, made.backend)
        self._as_made()


class Module(Part):
    """Base of all layers and models: holds parameters, and calls `forward`.

    A subclass assigns parameters, buffers and other modules to attributes, or lists, tuples and
    dicts of them, and defines `forward`. Names join attributes by dots: `encoder.layers.0.weight`.
    A part that can be reached in two ways is counted once, under its first name. Two parts of one
    name, and parts in other containers than these, are errors, if possible at the assignment.

    Attributes
    ----------
    training : whether the module trains (True at first); `train()` and `eval()` set it.

    Examples
    --------
    >>> import minigrad as mg
    >>> class Scale(mg.nn.Module):
    ...     def __init__(self, size):
    ...         self.factor = mg.nn.Parameter(mg.ones(size))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale(2)
    >>> scale(mg.tensor([1.0, 2.0])).sum().backward()
    >>> {name: p.grad.tolist() for name, p in scale.named_parameters()}
    {'factor': [1.0, 2.0]}
    """

    training: bool = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if holds_parts(value):
                raise TypeError(
                    f"{cls.__name__}.{name} belongs to the class and not to a module, so it "
                    f"would be neither trained nor saved. Assign it in __init__, self.{name} = ..."
                )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What `forward` gives."""
        return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        held = vars(self).get(name)
        is_plain = isinstance(value, Tensor) and not isinstance(value, Part)
        if is_plain and isinstance(held, Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter, and a plain tensor in its place "
                f"would not be trained. Set its numbers with .{name}.data = ..., or assign a "
                "mg.nn.Parameter(...)"
            )
        if is_plain and isinstance(held, Buffer):
            value = Buffer(value)
        if isinstance(value, Tensor) and isinstance(held, Part):
            super().__setattr__(name, value)  # in place of another part: no new name
        elif holds_parts(value):
            self._add(name, value)
        elif name in _METHODS and not callable(value):
            raise self._taken(name)
        else:
            super().__setattr__(name, value)

    def _add(self, name: str, value: Any) -> None:
        """Set an attribute with parts in it, if they can be found and named."""
        of_class = getattr(type(self), name, None)
        if isinstance(of_class, FunctionType):
            raise self._taken(name)
        if isinstance(of_class, MemberDescriptorType):
            raise TypeError(
                f"{type(self).__name__}.{name} is a slot, in which no part is found; leave it out "
                "of __slots__"
            )
        before = dict(vars(self))
        super().__setattr__(name, value)
        if isinstance(value, Part) and all(key and "." not in key for key in vars(self)):
            return  # all names below it begin with its own, and no others do
        try:
            all_parts(self)
        except (ValueError, TypeError):
            vars(self).clear()
            vars(self).update(before)
            raise

    def _taken(self, name: str) -> TypeError:
        return TypeError(
            f"{type(self).__name__} has a method {name}(), which an attribute of that name would "
            "hide; choose another one"
        )

    # --- its parts -------------------------------------------------------------------------

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (its name is empty) and all modules within, each before its own parts."""
        found = all_parts(self)
        return ((name, part) for name, part in found.items() if isinstance(part, Module))

    def modules(self) -> Iterator[Module]:
        """This module and all modules within."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The modules directly in this one."""
        return (part for _, part in parts_in(self) if isinstance(part, Module))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters, here and in the modules within, with their names."""
        return self._named(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        """All parameters: what an optimiser takes."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """All buffers, here and in the modules within, with their names."""
        return self._named(Buffer)

    def buffers(self) -> Iterator[Buffer]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def _named(self, kind: Any) -> Iterator[tuple[str, Any]]:
        return ((name, part) for name, part in all_parts(self).items() if isinstance(part, kind))

    # --- modes -----------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Put this module and all within into training mode, in which dropout is active."""
        mode = check_flag("train", "mode", mode)
        for module in list(self.modules()):
            module.training = mode
        return self

    def eval(self) -> Self:
        """Put this module and all within into evaluation mode; it doesn't switch gradients off."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or unfreeze (True) all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    # --- conversion ------------------------------------------------------------------------

    def to(self, backend: Any) -> Self:
        """Move all parameters and buffers to a backend, in place; takes what `Tensor.to` takes."""
        backend_at(backend, current_backend())  # raises also where there is nothing to move
        return self._convert(lambda x: x.to(backend))

    def astype(self, dtype: Any) -> Self:
        """Convert all float parameters and buffers to another float dtype, in place."""
        target = as_dtype("Module.astype", dtype)
        if target.kind != "f":
            raise TypeError(f"a module's parameters are of a float dtype; got {target}")
        return self._convert(lambda x: x.astype(target) if x.dtype.kind == "f" else x)

    def float(self) -> Self:
        """Convert to float32, in place."""
        return self.astype("float32")

    def double(self) -> Self:
        """Convert to float64, in place."""
        return self.astype("float64")

    @no_grad()
    def _convert(self, convert: Callable[[Tensor], Tensor]) -> Self:
        for _, held in self._named((Parameter, Buffer)):
            new = convert(held)
            if new.dtype == held.dtype and new.backend is held.backend:
                continue
            held._data, held.backend = new._data, new.backend
            if held.grad is not None:
                held.grad = convert(held.grad).detach()
            if held._node is not None:  # a leaf's node has its backend and dtype
                held._node = held._as_leaf()
        return self

    # --- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """NumPy copies of all parameters and buffers by name: what `mg.save` takes."""
        return {name: part.numpy() for name, part in self._named((Parameter, Buffer))}

    def load_state_dict(
        self, state: Mapping[str, Any], strict: bool = True
    ) -> tuple[list[str], list[str]]:
        """Copy the values of a state dict into this module; if anything is wrong, nothing changes.

        Parameters
        ----------
        state : arrays by name (NumPy arrays, tensors, or lists of numbers), as from `state_dict()`
            or from PyTorch. They are copied, and converted to the parameters' float dtypes.
        strict : whether missing and unexpected names are errors. Wrong shapes always are.

        Returns
        -------
        The missing and the unexpected names; two empty lists if strict.

        Raises
        ------
        ValueError : lists everything that is missing, unexpected or of wrong shape or dtype.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"a state dict is a dict of arrays; got {type(state).__name__}. Pass what "
                "state_dict() or mg.load(path) returned"
            )
        parts = dict(self._named((Parameter, Buffer)))
        missing = [name for name in parts if name not in state]
        unexpected = [name for name in state if name not in parts]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(map(str, unexpected))}")
        arrays = {}
        for name, part in parts.items():
            if name not in state:
                continue
            array = _as_array(state[name])
            if array is None:
                problems.append(f"no array of numbers: {name} is {state[name]!r:.40}")
            elif array.shape != part.shape:
                problems.append(
                    f"wrong shape: {name} is {part.shape}, and in the state {array.shape}"
                )
            elif not np.can_cast(array.dtype, part.dtype, "same_kind"):
                problems.append(
                    f"wrong dtype: {name} is {part.dtype}, and in the state {array.dtype}"
                )
            else:
                array = np.array(array, dtype=part.dtype, order="C")
                arrays[name] = part.backend.from_host(array)
        if problems:
            raise ValueError(
                f"this state does not fit {type(self).__name__}; nothing was loaded\n  "
                + "\n  ".join(problems)
            )
        for name, array in arrays.items():
            parts[name]._data = array
        return missing, unexpected

    # --- text ------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The settings that `repr` shows in brackets after the module's name."""
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        lines = [f"({name}): {part!r}".replace("\n", "\n  ") for name, part in self._shown()]
        inside = [self.extra_repr()] if self.extra_repr() else []
        if lines:
            inside = ["", *(f"  {line}" for line in [*inside, *lines]), ""]
        return f"{type(self).__name__}({chr(10).join(inside)})"

    def _shown(self) -> Iterator[tuple[str, Any]]:
        return ((name, part) for name, part in parts_in(self) if isinstance(part, Module))


def _as_array(value: Any) -> np.ndarray | None:
    """A value of a state dict as an array; None if it isn't one of numbers."""
    try:
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in "biufc" else None


_METHODS = {name for name, value in vars(Module).items() if isinstance(value, FunctionType)}
