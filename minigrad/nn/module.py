"""Modules: parameters with names, modes, and state that can be saved.

A module is a plain object. Its parts are the parameters, buffers and modules that its attributes
hold, directly or in lists, tuples and dicts; nothing is registered anywhere.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from types import FunctionType
from typing import Any, ClassVar, Self

import numpy as np

from ..engine.creation import as_dtype
from ..engine.filled import zeros_like
from ..engine.graph import grad_enabled, no_grad, probing, tick
from ..engine.registry import backend_at, current_backend
from ..engine.spans import note_span
from ..engine.tensor import Tensor
from ..recording.probes import placed_by
from ..utils.arguments import check_flag
from ..utils.spelling import nearest
from .holder import RESERVED, Holder
from .parameter import Buffer, Parameter
from .parts import all_names, all_parts, parts_in
from .state import load_state, state_of

__all__ = ["Module"]


class Module(Holder):
    """Base of all layers and models: holds parameters, and calls `forward`.

    A subclass assigns parameters, buffers and other modules to attributes, or lists, tuples and
    dicts of them, and defines `forward`. Names join attributes by dots: `encoder.layers.0.weight`.
    A part that can be reached in two ways, such as a tied weight, is counted once, under its first
    name; the state dict has it under both. Two parts of one name, and parts in other containers
    than these, are errors, if possible at the assignment.

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

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass defines it.

        >>> mg.nn.Dropout(p=0.0).forward(mg.ones(2))
        tensor([1., 1.])
        """
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What `forward` gives."""
        start = tick()
        if probing.get() is None:
            result = self.forward(*args, **kwargs)
        else:
            with placed_by(self):
                result = self.forward(*args, **kwargs)
        if grad_enabled.get() and (
            result.__class__ is not Tensor
            or ((node := result._node) is not None and node.birth > start)
        ):
            note_span(result, (start, tick(), self.__class__, weakref.ref(self)))
        return result

    _is_step: ClassVar[bool] = False  # whether a call is a step of a loop, for pictures

    # --- its parts -------------------------------------------------------------------------

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (its name is empty) and all modules within, each before its own parts.

        A module that can be reached in two ways comes once, under its first name.

        >>> [name for name, _ in mg.nn.Sequential(mg.nn.Linear(2, 2), mg.tanh).named_modules()]
        ['', '0']
        """
        return self._named(Module)

    def modules(self) -> Iterator[Module]:
        """This module and all modules within.

        >>> model = mg.nn.Sequential(mg.nn.Linear(2, 2), mg.tanh)
        >>> [type(module).__name__ for module in model.modules()]
        ['Sequential', 'Linear']
        """
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly in this one, or in its lists, tuples and dicts, with their names.

        >>> [name for name, _ in mg.nn.Sequential(mg.nn.Linear(2, 2), mg.tanh).named_children()]
        ['0']
        """
        first: dict[int, tuple[str, Any]] = {}
        for name, part in parts_in(self):
            if isinstance(part, Module):
                first.setdefault(id(part), (name, part))
        return iter(first.values())

    def children(self) -> Iterator[Module]:
        """The modules directly in this one.

        >>> list(mg.nn.Sequential(mg.nn.Linear(2, 2), mg.tanh).children())
        [Linear(in_features=2, out_features=2, bias=True)]
        """
        return (module for _, module in self.named_children())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters, here and in the modules within, with their names; tied ones once.

        >>> {name: p.shape for name, p in mg.nn.Linear(3, 2).named_parameters()}
        {'weight': (2, 3), 'bias': (2,)}
        """
        return self._named(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        """All parameters: what an optimiser takes.

        >>> [p.size for p in mg.nn.Linear(3, 2).parameters()]
        [6, 2]
        """
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """All buffers, here and in the modules within, with their names.

        >>> [name for name, _ in mg.nn.BatchNorm1d(3).named_buffers()]
        ['running_mean', 'running_var', 'num_batches_tracked']
        """
        return self._named(Buffer)

    def buffers(self) -> Iterator[Buffer]:
        """All buffers.

        >>> [buffer.shape for buffer in mg.nn.BatchNorm1d(3).buffers()]
        [(3,), (3,), ()]
        """
        return (buffer for _, buffer in self.named_buffers())

    def _named(self, kind: Any) -> Iterator[tuple[str, Any]]:
        return ((name, part) for name, part in all_parts(self).items() if isinstance(part, kind))

    def get_submodule(self, target: str) -> Module:
        """The module of this name, as in `named_modules`.

        >>> mg.nn.Sequential(mg.nn.Sequential(mg.nn.Dropout())).get_submodule("0.0")
        Dropout(p=0.5)
        """
        found: Module = self._get("module", Module, target)
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of this name, as in `named_parameters`.

        >>> mg.nn.Sequential(mg.nn.Linear(3, 2)).get_parameter("0.weight").shape
        (2, 3)
        """
        found: Parameter = self._get("parameter", Parameter, target)
        return found

    def _get(self, what: str, kind: Any, target: str) -> Any:
        names = {name: part for name, part in all_names(self).items() if isinstance(part, kind)}
        if target not in names:
            near = nearest(str(target), names)
            hint = f"; did you mean {near!r}?" if near else ""
            raise AttributeError(f"{type(self).__name__} has no {what} {target!r}{hint}")
        return names[target]

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function with each module within and this one, what is within first.

        >>> def start(module):
        ...     if isinstance(module, mg.nn.Linear):
        ...         mg.nn.init.ones_(module.weight)
        >>> mg.nn.Sequential(mg.nn.Linear(2, 1)).apply(start)[0].weight
        tensor([[1., 1.]], requires_grad=True)
        """
        done: set[int] = set()

        def visit(module: Any) -> None:
            if id(module) not in done:
                done.add(id(module))
                for child in module.children():
                    visit(child)
                fn(module)

        visit(self)
        return self

    # --- modes -----------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Put this module and all within into training mode, in which dropout is active.

        >>> mg.nn.Dropout().train().training
        True
        """
        mode = check_flag("train", "mode", mode)
        for module in list(self.modules()):
            module.training = mode
        return self

    def eval(self) -> Self:
        """Put this module and all within into evaluation mode; it doesn't switch gradients off.

        >>> mg.nn.Dropout().eval()(mg.ones(3))
        tensor([1., 1., 1.])
        """
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or unfreeze (True) all parameters.

        >>> mg.nn.Linear(1, 1).requires_grad_(False).weight.requires_grad
        False
        """
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with `set_to_none=False` make zeros of them.

        >>> layer = mg.nn.Linear(2, 1)
        >>> layer(mg.ones(2)).sum().backward()
        >>> layer.zero_grad()
        >>> layer.weight.grad is None
        True
        """
        forget = check_flag("zero_grad", "set_to_none", set_to_none)
        for p in self.parameters():
            p.grad = None if forget or p.grad is None else zeros_like(p.grad)

    # --- conversion ------------------------------------------------------------------------

    def to(self, backend: Any) -> Self:
        """Move all parameters and buffers to a backend, in place; takes what `Tensor.to` takes.

        >>> mg.nn.Linear(1, 1).to("numpy").weight.backend.name
        'numpy'
        """
        backend_at(backend, current_backend())  # raises also where there is nothing to move
        return self._convert(lambda x: x.to(backend))

    def astype(self, dtype: Any) -> Self:
        """Convert all float parameters and buffers to another float dtype, in place.

        >>> mg.nn.Linear(1, 1).astype("float16").weight.dtype
        dtype('float16')
        """
        target = as_dtype("Module.astype", dtype)
        if target.kind != "f":
            raise TypeError(f"a module's parameters are of a float dtype; got {target}")
        return self._convert(lambda x: x.astype(target) if x.dtype.kind == "f" else x)

    def float(self) -> Self:
        """Convert to float32, in place.

        >>> mg.nn.Linear(1, 1).double().float().weight.dtype
        dtype('float32')
        """
        return self.astype("float32")

    def double(self) -> Self:
        """Convert to float64, in place.

        >>> mg.nn.Linear(1, 1).double().weight.dtype
        dtype('float64')
        """
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
        """NumPy copies of all parameters and buffers by name: what `mg.save` takes.

        A tied weight is there under each of its names; these share one copy.

        >>> mg.nn.LayerNorm(2).state_dict()["bias"]
        array([0., 0.], dtype=float32)
        """
        return state_of(self._persistent())

    def load_state_dict(
        self, state: Mapping[str, Any], strict: bool = True
    ) -> tuple[list[str], list[str]]:
        """Copy the values of a state dict into this module; if anything is wrong, nothing changes.

        Parameters
        ----------
        state : arrays by name (NumPy arrays, tensors, or lists of numbers), as from `state_dict()`
            or from PyTorch. They are copied, and converted to the parameters' float dtypes. For
            a tied weight, one of its names is enough; under several, the values must agree.
        strict : whether missing and unexpected names are errors. Wrong shapes always are.

        Returns
        -------
        The missing and the unexpected names; two empty lists if strict.

        Raises
        ------
        ValueError : lists everything that is missing, unexpected or of wrong shape or dtype.

        Examples
        --------
        >>> layer = mg.nn.Linear(2, 1)
        >>> layer.load_state_dict({"weight": [[1.0, 2.0]]}, strict=False)
        (['bias'], [])
        >>> layer.weight
        tensor([[1., 2.]], requires_grad=True)
        """
        return load_state(type(self).__name__, self._persistent(), state, strict)

    def _persistent(self) -> dict[str, Tensor]:
        """What is in a state dict, under all names."""
        return {
            name: part
            for name, part in all_names(self).items()
            if isinstance(part, Parameter) or (isinstance(part, Buffer) and part.persistent)
        }

    # --- text ------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The settings that `repr` shows in brackets after the module's name.

        >>> mg.nn.Dropout(p=0.1).extra_repr()
        'p=0.1'
        """
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        lines = [f"({name}): {part!r}".replace("\n", "\n  ") for name, part in self._shown()]
        inside = [self.extra_repr()] if self.extra_repr() else []
        if lines:
            inside = ["", *(f"  {line}" for line in [*inside, *lines]), ""]
        return f"{type(self).__name__}({chr(10).join(inside)})"

    def _repr_html_(self) -> str:
        from .notebook import module_html  # loaded when a notebook asks for it

        return module_html(self)

    def _shown(self) -> Iterator[tuple[str, Any]]:
        return ((name, part) for name, part in parts_in(self) if isinstance(part, Module))


RESERVED.update(
    name
    for kind in (Holder, Module)
    for name, value in vars(kind).items()
    if isinstance(value, FunctionType)
)
