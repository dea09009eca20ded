"""The declaration of a cell, and modules with the parameters that it declares."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from ..engine.filled import zeros
from ..engine.rng import generator
from ..engine.tensor import Tensor
from ..nested import describe
from ..utils.arguments import check_flag, check_positive
from .module import Module
from .parameter import Parameter


class CellModule(Module):
    """Base of layers and single cells: the declaration of a cell, and its parameters.

    A subclass sets `cell`, and `gates` or `shapes`, and whatever else differs from these defaults:

    cell : `cell(p, x, state) -> (y, state)`, a plain function; y is as the first state.
    states : the names of its states. The cell takes and returns a tensor if there is one state,
        and a tuple of tensors if there are more.
    state_sizes : for states (N, S) of other sizes than H.
    gates : how many blocks of H rows the weights have side by side, as in `minigrad.nn.cells`.
    gate_names : a letter for each of these blocks, if they have names.
    shapes : for other parameters: their shapes by the names that the cell reads.
    initial : for other initial values.
    options : its own options with their defaults; `repr` shows those that differ.
    recurrent : the names of the weights that h is multiplied by, for `weight_drop`.
    masks_h : whether the cell uses `masked(p, h)` in its recurrent products (see
        `minigrad.nn.cells`), for `recurrent_dropout`.
    """

    cell: Any  # mypy would take a Callable for a method
    states: ClassVar[tuple[str, ...]] = ("h",)
    gates: ClassVar[int] = 1
    gate_names: ClassVar[str] = ""
    options: ClassVar[dict[str, Any]] = {}
    recurrent: ClassVar[tuple[str, ...]] = ("w_hh",)
    masks_h: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if isinstance(cell := vars(cls).get("cell"), FunctionType):
            cls.cell = staticmethod(cell)  # a cell takes parameters, not a module, as its first

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        name = type(self).__name__
        if not hasattr(self, "cell"):
            raise TypeError(f"{name} declares no cell: set cell = a function (p, x, state)")
        bias = check_flag(name, "bias", bias)
        self.input_size = check_positive(name, "input_size", input_size)
        self.hidden_size = check_positive(name, "hidden_size", hidden_size)
        self.bias = bias
        # By suffix of a set of parameters: the module's names by the cell's; see `_weights`.
        self._names = {
            suffix: {name: _full(name) + suffix for name in self._shapes(I)}
            for suffix, I in self._copies()
        }
        for full, declared, shape in self._declared():
            if hasattr(self, full):
                raise ValueError(
                    f"{name}: the parameter {declared} would be the attribute {full}, which "
                    "exists already; choose another name"
                )
            setattr(self, full, Parameter(zeros(shape)))
        self.reset_parameters()

    def shapes(self, I: int, H: int) -> dict[str, tuple[int, ...]]:
        """The parameters' shapes by the names that the cell reads.

        The module calls `w_x` and `b_x` by PyTorch's names, `weight_x` and `bias_x`, and leaves
        other names alone. Without bias, those that begin with `b_` are None.
        """
        rows = self.gates * H
        return {"w_ih": (rows, I), "w_hh": (rows, H), "b_ih": (rows,), "b_hh": (rows,)}

    def state_sizes(self, H: int) -> tuple[int, ...]:
        """The size of each state; that of the first is the output's, too."""
        return (H,) * len(self.states)

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Initial values of a parameter: uniform between ±1/√H, as in PyTorch."""
        bound = self.hidden_size**-0.5
        return generator().uniform(-bound, bound, shape)

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        values = {full: self.initial(name, shape) for full, name, shape in self._declared()}
        self.load_state_dict(values, strict=False)

    def where(self, name: int | str, index: tuple[int, ...]) -> str:
        """What an entry of a parameter is, in words, such as its gate; `gradcheck` asks for it."""
        for suffix, names in self._names.items():
            if name in names.values():
                words = [self._whose(suffix)]
                rows = getattr(self, str(name)).shape[0]
                if self.gate_names and rows == len(self.gate_names) * self.hidden_size:
                    words.append(f"gate {self.gate_names[index[0] // self.hidden_size]}")
                return ", ".join(filter(None, words))
        return ""

    def _whose(self, suffix: str) -> str:
        """Whose parameters have this suffix, in words."""
        return ""

    def _declared(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Of each parameter: the module's name for it, the cell's, and its shape."""
        for suffix, I in self._copies():
            for name, shape in self._shapes(I).items():
                if self.bias or not name.startswith("b_"):
                    yield _full(name) + suffix, name, shape

    def _shapes(self, I: int) -> dict[str, tuple[int, ...]]:
        """`shapes`, checked: it may be the user's."""
        shapes = self.shapes(I, self.hidden_size)
        if not isinstance(shapes, dict) or not all(isinstance(name, str) for name in shapes):
            raise TypeError(
                f"{type(self).__name__}.shapes must return a dict of shapes by the names that the "
                f"cell reads, as {{'w_ih': (H, I)}}; got {describe(shapes)}"
            )
        for name, shape in shapes.items():
            if not isinstance(shape, (tuple, list)) or not all(map(_is_size, shape)):
                raise TypeError(
                    f"{type(self).__name__}.shapes: the shape of {name!r} must be a tuple of "
                    f"sizes, as (H, I); got {shape!r:.60}"
                )
        return shapes

    def _copies(self) -> Iterator[tuple[str, int]]:
        """The suffix of each set of parameters, with the size of its input."""
        yield "", self.input_size

    def _weights(self, suffix: str) -> SimpleNamespace:
        """One set of parameters, by the names that the cell reads."""
        names = self._names[suffix].items()
        return SimpleNamespace(**{name: getattr(self, full, None) for name, full in names})

    def _check_input(self, x: Any, layouts: dict[int, str]) -> None:
        """`layouts` describes the allowed shapes by number of axes."""
        name, I = type(self).__name__, self.input_size
        if not isinstance(x, Tensor) or x.ndim not in layouts or x.shape[-1] != I:
            allowed = f"{' or '.join(layouts.values())} with I = {I}"
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{name}: x must be a tensor {allowed}; got {describe(x)}. Make one: "
                    f"mg.tensor(x, dtype={str(self._like(x).dtype)!r})"
                )
            raise ValueError(f"{name}: x must be {allowed}; got shape {x.shape}")
        dtype = self._like(x).dtype
        if x.dtype != dtype:
            raise TypeError(
                f"{name}: x is {x.dtype} and the parameters are {dtype}; convert one of them, for "
                f"example x.astype({str(dtype)!r})"
            )

    def _state(self, state: Any, leading: tuple[int, ...], x: Tensor) -> list[Tensor]:
        """The parts of a given initial state, or zeros: (*leading, S) each."""
        like = self._like(x)
        shapes = [(*leading, size) for size in self.state_sizes(self.hidden_size)]
        if state is None:
            xp, dtype = like.backend, like.dtype
            return [Tensor(xp.zeros(shape, dtype), xp) for shape in shapes]
        parts = [state] if isinstance(state, Tensor) else state
        single = len(self.states) == 1
        if (
            isinstance(state, Tensor) != single
            or not isinstance(parts, (list, tuple))
            or len(parts) != len(self.states)
            or not all(isinstance(part, Tensor) for part in parts)
            or [(part.shape, part.dtype) for part in parts] != [(s, like.dtype) for s in shapes]
        ):
            names = ", ".join(self.states)
            wanted = f"a tensor {names}" if single else f"a tuple ({names}) of tensors"
            shown = " and ".join(map(str, dict.fromkeys(shapes)))
            raise ValueError(
                f"{type(self).__name__}: the initial state must be {wanted} of shape {shown} and "
                f"dtype {like.dtype}; got {describe(state)}{_instead(state)}"
            )
        return list(parts)

    def _packed(self, parts: Any) -> Any:
        """The parts of a state as the cell and the user see it."""
        return parts[0] if len(self.states) == 1 else tuple(parts)

    def _sizes_and_options(self, defaults: dict[str, Any]) -> str:
        """Sizes, and the options that differ from their defaults."""
        options = ((name, getattr(self, name)) for name in defaults)
        changed = [f"{name}={value!r}" for name, value in options if value != defaults[name]]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])

    def _like(self, x: Tensor) -> Tensor:
        """A tensor of the dtype and on the backend of the parameters; x if there are none."""
        for full in self._names[next(iter(self._names))].values():
            if (part := getattr(self, full, None)) is not None:
                return part
        return next(self.parameters(), x)


def _instead(state: Any) -> str:
    """What was meant by something that is no state."""
    if isinstance(state, (list, tuple)) and state and all(isinstance(n, int) for n in state):
        return ". Lengths are given by name: lengths=[...]"
    return ""


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


def _full(name: str) -> str:
    """A module's name for what its cell reads as `name`."""
    kind, _, rest = name.partition("_")
    long = {"w": "weight", "b": "bias"}.get(kind)
    return f"{long}_{rest}" if long and rest else name
