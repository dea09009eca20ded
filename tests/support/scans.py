"""Scans as data: run on any backend, fused or composed, and compared."""

import contextlib
import os
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg

_HEAD = """\
# minigrad, random cell: fused and composed must agree. Run as it is, perhaps with another backend.
import os

import numpy as np

import minigrad as mg

BACKEND = "numba"

"""

_TAIL = """

def results(backend, fused):
    os.environ["MINIGRAD_FUSED"] = fused
    many = lambda value: value if isinstance(value, tuple) else (value,)
    made = lambda value: tuple(mg.tensor(a, requires_grad=True, backend=backend) for a in value)
    p = dict(zip(params, made(map(np.asarray, params.values()))))
    x, s = made(many(xs)), made(many(state))
    one = lambda value, like: value if isinstance(like, tuple) else value[0]
    with mg.use_backend(backend):
        ys, last = mg.scan(cell, p, one(x, xs), one(s, state), lengths, reverse)
    outs = [y for y in (*many(ys), *many(last)) if y.requires_grad]
    draw = np.random.default_rng(0).normal
    gs = [mg.tensor(draw(size=y.shape), backend=backend) for y in outs]
    grads = mg.grad(outs, [*p.values(), *x, *s], gs, allow_unused=True) if outs else []
    return [t.numpy() for t in (*many(ys), *many(last), *(g for g in grads if g is not None))]


for found, right in zip(results(BACKEND, "require"), results("numpy", "0")):
    print(found.shape, "off by", abs(found - right).max(initial=0))
"""


class Scan(NamedTuple):
    """A cell with all that a scan of it takes, as NumPy arrays."""

    cell: Any
    params: dict
    xs: Any  # an array (T, N, ...) or a tuple of them
    state: Any  # (N, ...) likewise
    lengths: list | None = None
    reverse: bool = False
    text: str = ""  # of what made it, if that was a script

    @classmethod
    def of_script(cls, text):
        """The scan that a script sets up; it makes cell, params, xs, state, lengths and reverse."""
        scope = {"mg": mg, "np": np}
        exec(text, scope)
        return cls(*(scope[name] for name in cls._fields[:-1]), text)

    @property
    def script(self):
        """A script that shows what is wrong with it, if something is."""
        return f"{_HEAD}\n{self.text}\n{_TAIL}"

    def __repr__(self):
        if self.text:
            return "<the cell of the script>"
        shapes = {name: np.shape(a) for name, a in self.params.items()}
        inputs = [a.shape for a in (*parts(self.xs), *parts(self.state))]
        more = f"{shapes}, {inputs}, lengths={self.lengths}, reverse={self.reverse}"
        return f"{self.cell.__name__} {more}"

    @property
    def arrays(self):
        """All arrays that gradients may be asked for."""
        arrays = (*self.params.values(), *parts(self.xs), *parts(self.state))
        return [np.asarray(a) for a in arrays]

    def __call__(self, tensors):
        """The scan on tensors in the order of `arrays`: ys and the final state."""
        rest = iter(tensors)
        params = {name: next(rest) for name in self.params}
        xs, state = (like(v, [next(rest) for _ in parts(v)]) for v in (self.xs, self.state))
        return mg.scan(self.cell, params, xs, state, self.lengths, self.reverse)


def parts(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def like(template, values):
    if not isinstance(template, tuple):
        return values[0]
    return type(template)(*values) if hasattr(template, "_fields") else tuple(values)


@contextlib.contextmanager
def fusing(choice):
    """MINIGRAD_FUSED for a while."""
    before = os.environ.get("MINIGRAD_FUSED")
    os.environ["MINIGRAD_FUSED"] = choice
    try:
        yield
    finally:
        del os.environ["MINIGRAD_FUSED"]
        if before is not None:
            os.environ["MINIGRAD_FUSED"] = before


def run(scan, backend, fused, wanted=None, dtype="float64", second=False):
    """Outputs, final states, and gradients by random cotangents (zeros where there is none).

    `wanted` are the positions in `scan.arrays` to ask gradients of; all float ones if None. With
    `second` those of the gradients, too.
    """
    arrays = scan.arrays
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    wanted = floats if wanted is None else [i for i in wanted if i in floats]
    tensors = [
        mg.tensor(a, dtype=dtype if i in floats else None, backend=backend)
        for i, a in enumerate(arrays)
    ]
    leaves = [tensors[i] for i in wanted]
    for t in leaves:
        t.requires_grad = True
    # Cells that make tensors of their own make them on the current backend.
    with mg.use_backend(backend), fusing(fused), np.errstate(all="ignore"):
        ys, last = scan(tensors)
        outs = [*parts(ys), *parts(last)]
        rng = np.random.default_rng(0)
        gs = [rng.normal(size=y.shape) for y in outs]
        pairs = [(y, g) for y, g in zip(outs, gs, strict=True) if y.requires_grad]
        grads = _gradients(pairs, leaves, retain_graph=second)
        if second:
            first = _gradients(pairs, leaves, create_graph=True)
            pairs = [(g, rng.normal(size=g.shape)) for g in first if g.requires_grad]
            grads += first + _gradients(pairs, leaves)
    assert type(last) is type(scan.state) or isinstance(last, mg.Tensor)
    return [y.numpy() for y in outs] + [g.numpy() for g in grads]


def _gradients(pairs, leaves, **options):
    """Gradients by pairs of results and cotangents; zeros where there is none."""
    found = [None] * len(leaves)
    if pairs:
        ys, gs = zip(*pairs, strict=True)
        found = mg.grad(ys, leaves, gs, allow_unused=True, **options)
    return [mg.zeros_like(t) if g is None else g for t, g in zip(leaves, found, strict=True)]


def assert_close(found, right, tolerance):
    """Equal in shape, dtype and numbers; the largest number of an array sets the scale."""
    for i, (a, b) in enumerate(zip(found, right, strict=True)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"array {i}"
        a, b = np.float64(a), np.float64(b)
        scale = np.abs(b[np.isfinite(b)]).max(initial=1)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=f"{i}")


def assert_fused_as_composed(scan, backend, tolerance, wanted=None, dtype="float64", second=False):
    """What a backend's kernels give, by the definition."""
    found = run(scan, backend, "require", wanted, dtype, second)
    assert_close(found, run(scan, "numpy", "0", wanted, dtype, second), tolerance)
