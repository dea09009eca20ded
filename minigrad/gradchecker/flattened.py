"""A checked function as a function of one vector with one vector of outputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from .checked_function import CheckedFunction
from .noise import Noise
from .report import Index, Name, place

CLEAR = 1e6  # an output is so many times its noise, or is not brought to the size of the others

Array = np.ndarray


def random_weights(rng: np.random.Generator, n: int) -> Array:
    """Numbers between 0.5 and 1.5 in size, of either sign: none small enough to hide anything."""
    return rng.uniform(0.5, 1.5, n) * rng.choice([-1.0, 1.0], n)


class FlattenedFunction:
    """All checked inputs in one vector of N numbers, all float outputs in one of M.

    Attributes
    ----------
    x : the point (N,), rounded to `grid`.
    base : the outputs there (M,).
    parts : per input its name, its slice of x, and its shape.
    grid : the coarsest precision among the outputs.
    evaluations : calls so far, of the function and of its vjp.
    """

    def __init__(self, target: CheckedFunction) -> None:
        self.target = target
        sizes = [array.size for array in target.arrays]
        ends = [0, *itertools.accumulate(sizes)]
        slices = itertools.starmap(slice, itertools.pairwise(ends))
        shapes = [array.shape for array in target.arrays]
        self.parts = list(zip(target.names, slices, shapes, strict=True))
        self.x = np.concatenate([array.ravel() for array in target.arrays])
        self.evaluations = 0
        outputs = self._outputs(self.x)
        self.output_shapes = [y.shape for y in outputs]
        dtypes = {y.dtype for y in outputs} or {np.dtype(np.float64)}
        self.grid = max(dtypes, key=lambda dtype: np.finfo(dtype).eps)
        self.eps = float(np.finfo(self.grid).eps)
        if self.eps > np.finfo(np.float64).eps:
            target.note(f"the outputs are {self.grid}: checked in that precision")
            self.x = self.rounded(self.x)
            outputs = self._outputs(self.x)
        self.base = _joined(outputs)
        if not np.isfinite(self.base).all():
            raise ValueError(self._not_finite())

    # --- the function and its vjp --------------------------------------------------------------

    def function(self, x: Array) -> Array:
        """The outputs (M,) at x (N,)."""
        outputs = self._outputs(x)
        shapes = [y.shape for y in outputs]
        if shapes != self.output_shapes:
            raise ValueError(
                f"the outputs must keep their shapes; they were {self.output_shapes} and, at "
                f"another value of the inputs, {shapes}"
            )
        return _joined(outputs)

    def vjp(self, x: Array, v: Array) -> Array:
        """The gradient (N,) of the outputs weighted by v (M,); NaN where its shape is wrong."""
        self.evaluations += 1
        cotangents = [
            v[part].reshape(shape).astype(self.grid) for part, shape in self.output_parts()
        ]
        found = self.target.gradients(self._split(x), cotangents)
        flat = np.zeros(x.size)
        for (name, part, shape), g in zip(self.parts, found, strict=True):
            if g is None:
                continue
            if g.shape != shape:
                self.target.fault(
                    f"the gradient of {place(name)} must have its shape {shape}; got {g.shape}"
                )
                flat[part] = np.nan
                continue
            if g.dtype not in (np.float64, self.grid):
                self.target.fault(
                    f"the gradient of {place(name)} must be float64, as the input is while it is "
                    f"checked; got {g.dtype}"
                )
            flat[part] = g.ravel()
        return flat

    def _outputs(self, x: Array) -> list[Array]:
        self.evaluations += 1
        return self.target.outputs(self._split(x))

    def _split(self, x: Array) -> list[Array]:
        return [x[part].reshape(shape) for _, part, shape in self.parts]

    # --- places --------------------------------------------------------------------------------

    def locate(self, i: int) -> tuple[Name, Index]:
        """The input and the index of entry i of x."""
        for name, part, shape in self.parts:
            if i < part.stop:
                return name, tuple(int(k) for k in np.unravel_index(i - part.start, shape))
        raise IndexError(i)

    def output_parts(self) -> Iterator[tuple[slice, tuple[int, ...]]]:
        """Per output its slice of the vector of outputs, and its shape."""
        start = 0
        for shape in self.output_shapes:
            stop = start + math.prod(shape)
            yield slice(start, stop), shape
            start = stop

    def rounded(self, x: Array) -> Array:
        """x as the function sees it in the precision that it calculates in."""
        return x.astype(self.grid).astype(np.float64)

    # --- choices -------------------------------------------------------------------------------

    def cotangent(self, rng: np.random.Generator, noise: Noise) -> Array:
        """Random weights (M,); several outputs of very different size are brought together.

        `noise` is that of the outputs before they are weighted: what is nothing but rounding, such
        as a sum of equals that cancel, must not be blown up.
        """
        v = random_weights(rng, self.base.size)
        if len(self.output_shapes) > 1:
            for part, _ in self.output_parts():
                largest = float(np.abs(self.base[part]).max(initial=0.0))
                if largest > 0:
                    size = max(largest, CLEAR * noise.of(np.arange(part.start, part.stop)))
                    v[part] *= 2.0 ** np.clip(-round(math.log2(size)), -100, 100)
        return self.rounded(v)

    def scales(self) -> Array:
        """Per entry (N,) the length over which the function may be expected to change."""
        scales = np.ones(self.x.size)
        for _, part, _ in self.parts:
            size = np.abs(self.x[part])
            known = size[np.isfinite(size)]
            spread = float(np.std(self.x[part][np.isfinite(size)])) if known.size > 1 else 0.0
            if spread > 1e-12 * known.max(initial=0.0):
                least = 0.1 * min(spread, float(np.median(known)) or spread)
                scales[part] = np.maximum(np.fmin(size, spread), least)
            else:
                scales[part] = np.where(np.isfinite(size) & (size > 0), size, 1.0)
        return scales

    def nearby(self, scales: Array) -> Array:
        """The same for the shortest steps of all (N,), which must stay close to small entries."""
        size = np.abs(self.x)
        return np.where(size > 0, np.fmin(scales, 1e4 * size), scales)

    def _not_finite(self) -> str:
        for i, (part, shape) in enumerate(self.output_parts()):
            bad = np.flatnonzero(~np.isfinite(self.base[part]))
            if bad.size:
                index = tuple(int(k) for k in np.unravel_index(bad[0], shape))
                cure = "Choose inputs inside the domain of the function."
                if not np.isfinite(self.x).all():
                    cure = "The inputs themselves hold NaN or infinities: look there first."
                return (
                    f"output {i} is {self.base[part][bad[0]]} at index {index} ({bad.size} of "
                    f"{math.prod(shape)} values are not finite): there is no slope to check. {cure}"
                )
        raise AssertionError("every output is finite")


def _joined(outputs: list[Array]) -> Array:
    return np.concatenate([np.empty(0), *(y.ravel().astype(np.float64) for y in outputs)])
