"""How a module gets its parts: attributes are checked when they are set."""

from __future__ import annotations

from types import FunctionType, MemberDescriptorType
from typing import Any

from ..engine.tensor import Tensor
from .parameter import Buffer, Parameter
from .parts import Part, all_parts, holds_parts

__all__ = ["RESERVED", "Holder"]

# The names of the methods that all modules have, which no attribute may have.
RESERVED: set[str] = set()


class Holder(Part):
    """An object whose attributes hold parts: the half of `Module` that sets them."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if holds_parts(value):
                raise TypeError(
                    f"{cls.__name__}.{name} belongs to the class and not to a module, so it "
                    f"would be neither trained nor saved. Assign it in __init__, self.{name} = ..."
                )

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
            value = Buffer(value, persistent=held.persistent)
        if isinstance(value, Tensor) and isinstance(held, Part):
            super().__setattr__(name, value)  # in place of another part: no new name
        elif holds_parts(value):
            self._add(name, value)
        elif name in RESERVED and not callable(value):
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

    # --- new parts -------------------------------------------------------------------------

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Set an attribute to a new `Buffer`: `self.name = mg.nn.Buffer(tensor, persistent=...)`.

        >>> import minigrad as mg
        >>> module = mg.nn.Module()
        >>> module.register_buffer("count", mg.zeros(2))
        >>> list(module.state_dict())
        ['count']
        """
        name = self._new_name("register_buffer", name, Buffer)
        if tensor is None:
            raise TypeError(
                f"register_buffer: a buffer is a tensor; got None for {name!r}. Without the "
                f"buffer write self.{name} = None, and later self.{name} = mg.nn.Buffer(...)"
            )
        setattr(self, name, Buffer(tensor, persistent=persistent))

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set an attribute to a parameter, or to None: `self.name = param`.

        >>> module = mg.nn.Module()
        >>> module.register_parameter("weight", mg.nn.Parameter([1.0]))
        >>> module.weight
        tensor([1.], requires_grad=True)
        """
        name = self._new_name("register_parameter", name, Parameter)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: {name!r} must be a parameter or None; got "
                f"{type(param).__name__}. Write mg.nn.Parameter(...)"
            )
        setattr(self, name, param)

    def add_module(self, name: str, module: Holder | None) -> None:
        """Set an attribute to a module: `self.name = module`.

        >>> model = mg.nn.Sequential()
        >>> model.add_module("act", mg.nn.Linear(2, 2))
        >>> model.act
        Linear(in_features=2, out_features=2, bias=True)
        """
        name = self._new_name("add_module", name, Holder)
        if module is not None and not isinstance(module, Holder):
            raise TypeError(f"add_module: {name!r} must be a module; got {module!r:.40}")
        setattr(self, name, module)

    def _new_name(self, asked_by: str, name: Any, kind: type[Part]) -> str:
        """A name that may be an attribute of this kind of part."""
        if not isinstance(name, str):
            raise TypeError(f"{asked_by}: the name comes first, a string; got {name!r:.40}")
        if not name or "." in name:
            raise ValueError(f"{asked_by}: a name isn't empty and has no dot in it; got {name!r}")
        if hasattr(self, name) and not isinstance(getattr(self, name), (kind, type(None))):
            raise ValueError(
                f"{asked_by}: {type(self).__name__} has an attribute {name} already; choose "
                "another name, or delete that one first"
            )
        return name
