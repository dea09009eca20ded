"""Functions of tensors, modules, and their gradients, as functions of arrays to be checked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..engine import rng
from ..engine.gradients import grad
from ..engine.registry import current_backend, get_backend, use_backend
from ..engine.tensor import Tensor
from ..engine.wrapping import wrap
from ..nested import leaves_of, map_leaves
from ..nn.module import Module
from ..nn.parameter import Buffer
from .checked_function import CheckedFunction, describe, laid_out, layout, same
from .report import Index, Name, place

Array = np.ndarray


class GraphFunction(CheckedFunction):
    """What the engine differentiates; a subclass says how to `call` it."""

    backend: Any

    def call(self, arrays: list[Array]) -> tuple[list[Tensor], list[Tensor]]:
        """The leaves that were made of `arrays`, and the float outputs."""
        raise NotImplementedError

    def outputs(self, arrays: list[Array]) -> list[Array]:
        """The float outputs at `arrays`."""
        return [y.numpy() for y in self.call(arrays)[1]]

    def gradients(self, arrays: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """The engine's gradients."""
        leaves, outputs = self.call(arrays)
        before = [leaf.numpy() for leaf in leaves]
        seeds = [self._tensor(g) for g in cotangents]
        found = self.differentiate(leaves, outputs, seeds, create_graph=False)
        for i, (seed, g) in enumerate(zip(seeds, cotangents, strict=True)):
            if not same(seed.numpy(), g):
                self.fault(f"the backward pass edits the cotangent of output {i} in place")
        for name, leaf, array in zip(self.names, leaves, before, strict=True):
            if not same(leaf.numpy(), array):
                self.fault(f"the backward pass edits {place(name)} in place")
        if self.backend.is_host:
            raw = [None if g is None else g._data for g in found]
            for text in self.aliases(raw, [x._data for x in (*leaves, *seeds)]):
                self.fault(text)
        return [None if g is None else g.numpy() for g in found]

    def differentiate(
        self, leaves: list[Tensor], outputs: list[Tensor], seeds: list[Tensor], create_graph: bool
    ) -> Sequence[Tensor | None]:
        """The engine's gradients; None for a leaf that no output depends on."""
        reached = [i for i, y in enumerate(outputs) if y.requires_grad]
        if not outputs:
            return [None] * len(leaves)
        if not reached:
            self.note(
                "no output depends on the inputs as far as the graph knows; if it should, look "
                "for detach(), no_grad(), .numpy() or an op whose derivative is None"
            )
            return [None] * len(leaves)
        return grad(
            [outputs[i] for i in reached],
            leaves,
            [seeds[i] for i in reached],
            create_graph=create_graph,
            allow_unused=True,
        )

    def _tensor(self, array: Array) -> Tensor:
        return wrap(self.backend.from_host(array), self.backend)

    def _leaf(self, array: Array, how: str = "C") -> Tensor:
        leaf = wrap(laid_out(array, how, self.backend.from_host), self.backend)
        leaf.requires_grad = True
        return leaf


class TensorFunction(GraphFunction):
    """A function of tensors, or a module with parameters."""

    def __init__(self, f: Callable[..., Any], inputs: Any, backend: Any, seed: int) -> None:
        super().__init__()
        self.f, self.seed = f, seed
        self.inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        leaves = list(leaves_of(self.inputs))
        for _, x in leaves:
            if getattr(getattr(x, "dtype", None), "kind", "") == "c":
                raise TypeError(f"complex inputs are not supported; got {describe(x)}")
        self.parameters: list[Tensor] = []
        if hasattr(f, "named_parameters"):
            for name, parameter in f.named_parameters():
                self.parameters.append(parameter)
                self.names.append(name)
        self.buffers = list(f.buffers()) if isinstance(f, Module) else []
        tensors = [x for _, x in leaves if isinstance(x, Tensor)] + self.parameters
        if backend is not None:
            self.backend = get_backend(backend)
        else:
            self.backend = tensors[0].backend if tensors else current_backend()
        sources: list[Any] = [*self.parameters]
        for path, x in leaves:
            if is_checked(x):
                self.names.append(_path_name(path))
                sources.append(x)
        if not sources:
            given = ", ".join(describe(x) for _, x in leaves) or "no inputs"
            raise TypeError(
                "gradcheck needs an input to differentiate with respect to: a tensor or a NumPy "
                f"array of a float dtype; got {given}. "
                "Numbers and lists must be made tensors: mg.tensor(...)"
            )
        self.layouts = [layout(x) for x in sources]
        self.arrays = [_promoted(x) for x in sources]
        narrow = sorted({str(x.dtype) for x in sources if x.dtype.itemsize < 8})
        if narrow:
            self.note(f"{', '.join(narrow)} inputs were promoted: checked in float64")

    def where(self, name: Name, index: Index) -> str:
        """What the function, or a layer in it, says by its method `where(name, index)`."""
        for prefix, layer in _layers(self.f):
            inside = isinstance(name, int) or name.startswith(prefix)
            if inside and hasattr(layer, "where"):
                own = name if isinstance(name, int) else name[len(prefix) :]
                if said := layer.where(own, index):
                    return said
        return ""

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Parameters, buffers and random numbers are as before afterwards."""
        held = [(x, x._data, x.backend, x._node, x.grad) for x in (*self.parameters, *self.buffers)]
        modules = self.f.modules() if isinstance(self.f, Module) else ()
        # A module gives a buffer a new value by another buffer in its place.
        places = [(vars(m), key) for m in modules for key in vars(m)]
        self._places = [(d, key, d[key]) for d, key in places if isinstance(d[key], Buffer)]
        self._states = [_promoted(b) if is_checked(b) else b.numpy() for b in self.buffers]
        generator = rng.generator()
        try:
            with use_backend(self.backend):
                yield
        finally:
            for x, data, backend, node, gradient in held:
                x._data, x.backend, x._node, x.grad = data, backend, node, gradient
            self._put_buffers_back()
            rng._generator[0] = generator

    def _put_buffers_back(self) -> None:
        for attributes, key, buffer in self._places:
            attributes[key] = buffer

    def call(self, arrays: list[Array]) -> tuple[list[Tensor], list[Tensor]]:
        """The leaves that were made of `arrays`, and the float outputs."""
        self._put_buffers_back()
        # The same random numbers, so that dropout drops the same in every call, and the same of
        # what a module keeps from call to call.
        rng.manual_seed(self.seed)
        untouched = rng.generator().bit_generator.state
        k = len(self.parameters)
        for x, array in zip(
            (*self.parameters, *self.buffers), (*arrays[:k], *self._states), strict=True
        ):
            x._data, x.backend, x._node = self.backend.from_host(array), self.backend, None
        for parameter in self.parameters:
            parameter.requires_grad = True
        fresh = [self._leaf(x, how) for x, how in zip(arrays[k:], self.layouts[k:], strict=True)]
        rest = iter(fresh)
        values = map_leaves(lambda x: next(rest) if is_checked(x) else self._passed(x), self.inputs)
        leaves = [*self.parameters, *fresh]
        before = [leaf._data for leaf in leaves]
        outputs = list(self._outputs(self.f(*values)))
        if rng.generator().bit_generator.state != untouched:
            self.note("the function draws random numbers: the same ones at every call")
        for name, leaf, array, data in zip(self.names, leaves, arrays, before, strict=True):
            if leaf._data is not data or not same(self.backend.to_host(data), array):
                self.fault(f"the function edits {place(name)} in place")
        return leaves, outputs

    def _passed(self, x: Any) -> Any:
        return x.to(self.backend) if isinstance(x, Tensor) else x

    def _outputs(self, outputs: Any) -> Iterator[Tensor]:
        for keys, y in leaves_of(outputs):
            path = "the output" + "".join(f"[{key!r}]" for key in keys)
            if isinstance(y, Tensor):
                if y.dtype.kind == "f":
                    yield y
                else:
                    self.note(f"{path} is {y.dtype}: it has no derivative and was not checked")
                continue
            hint = ". Is a return missing?" if y is None else ""
            if isinstance(y, (np.ndarray, np.generic, float)):
                hint = (
                    ". Stay with tensors inside the function: NumPy's functions, .numpy(), "
                    ".item() and float() cut the graph. For a function over NumPy arrays there "
                    "is mg.gradcheck_numpy"
                )
            raise TypeError(
                "the function to check must return a tensor, or tuples, lists and dicts of them; "
                f"{path} is {describe(y)}{hint}"
            )


class SecondOrder(GraphFunction):
    """The gradient of a function of tensors: a function of its inputs and its cotangents."""

    def __init__(self, first: TensorFunction, cotangents: list[Array]) -> None:
        super().__init__()
        self.first, self.backend = first, first.backend
        self.notes, self.faults = first.notes, first.faults
        self.names = [*first.names, *(f"cotangent {i}" for i in range(len(cotangents)))]
        self.arrays = [*first.arrays, *cotangents]

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """That of the function itself, which is what runs."""
        return self.first.session()

    def where(self, name: Name, index: Index) -> str:
        """As for the function itself, of which only cotangents have other names."""
        return self.first.where(name, index)

    def call(self, arrays: list[Array]) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs and cotangents as leaves, and the gradients made of them."""
        k = len(self.first.arrays)
        leaves, outputs = self.first.call(arrays[:k])
        seeds = [self._leaf(g) for g in arrays[k:]]
        found = self.differentiate(leaves, outputs, seeds, create_graph=True)
        return [*leaves, *seeds], [g for g in found if g is not None]


def is_checked(x: Any) -> bool:
    """Whether gradients are asked for: a tensor or an array of a float dtype."""
    return isinstance(x, (Tensor, np.ndarray)) and x.dtype.kind == "f"


def _layers(f: Any) -> Iterator[tuple[str, Any]]:
    """A function and the modules in it, with what the names of their parameters begin with."""
    if hasattr(f, "named_parameters"):
        yield "", f
    for name, module in f.named_modules() if isinstance(f, Module) else ():
        if name:
            yield f"{name}.", module


def _path_name(path: tuple[Any, ...]) -> Name:
    if len(path) == 1:
        return path[0]
    return f"input {path[0]}" + "".join(f"[{key!r}]" for key in path[1:])


def _promoted(x: Any) -> Array:
    array = x.numpy() if isinstance(x, Tensor) else x
    return np.array(array, dtype=np.float64)
