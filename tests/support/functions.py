"""Functions run fused and composed, and compared: values and gradients of both orders."""

import numpy as np
from interpreted_backend import InterpretedBackend
from scans import assert_close, fusing, parts

import minigrad as mg

BACKEND = InterpretedBackend()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def grads_of(pairs, leaves, **options):
    """Gradients of outputs weighted by cotangents; zeros where there are none."""
    if not pairs:
        return []
    ys, gs = zip(*pairs, strict=True)
    found = mg.grad(ys, leaves, gs, allow_unused=True, **options)
    return [mg.zeros_like(t) if g is None else g for t, g in zip(leaves, found, strict=True)]


def results(function, arrays, backend, fused, order=1):
    """Results and gradients by random cotangents; of order 2 those of their squares, too."""
    with fusing(fused), np.errstate(all="ignore"):
        tensors = [mg.tensor(a, backend=backend) for a in arrays]
        leaves = [t for t in tensors if t.dtype.kind == "f"]
        for t in leaves:
            t.requires_grad = True
        ys = parts(function(*tensors))
        rng = np.random.default_rng(0)
        pairs = [(y, rng.normal(size=y.shape)) for y in ys if y.requires_grad]
        grads = grads_of(pairs, leaves, create_graph=order > 1)
        squares = [((g * g).sum(), 1.0) for g in grads if g.requires_grad]
        return [t.numpy() for t in (*ys, *grads, *grads_of(squares, leaves))]


def assert_fused_as_composed(function, arrays, tolerance=1e-10, order=1, backend=BACKEND):
    found = results(function, arrays, backend, "require", order)
    assert_close(found, results(function, arrays, "numpy", "0", order), tolerance)
