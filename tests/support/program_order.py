"""How ops of order, of running values, of diagonals and of grids are called; see
`program_steps.py`.
"""

import numpy as np
from program_author import Unfit
from program_moves import STEPS, step
from program_steps import reduced

__all__ = ["STEPS"]


def apart(v):
    """Whether no two numbers of a value are so close that a finite difference exchanges them."""
    with np.errstate(invalid="ignore"):
        return np.diff(np.sort(v.array, axis=None)).min(initial=1) > 1e-3


def in_order(a, **wanted):
    """A value that may be sorted: without ties, but where special numbers are looked at."""
    return a.real(1, fits=lambda v: a.special or apart(v), **wanted)


@step("sort", "argsort")
def sort(a, name):
    v = in_order(a)
    return f"mg.{name}({v.name}, axis={a.axis(v.ndim, many=False)}{a.pick(['', DOWN])})"


DOWN = ", descending=True"


@step("topk")
def topk(a):
    v = in_order(a, filled=True)
    axis = a.below(v.ndim)
    k = a.pick([1, v.shape[axis], 0])
    text = f"mg.topk({v.name}, {k}, axis={axis - (v.ndim if a.below(2) else 0)}"
    return f"{text}{a.pick(['', ', largest=False'])})", 2


@step("take_along_axis")
def take_along_axis(a):
    v = a.real(1, filled=True)
    axis = a.axis(v.ndim, many=False)
    if axis == "None":
        n, shape = v.size, (a.pick([3, 1, 0]),)
    else:
        i = int(axis) % v.ndim
        n, shape = v.shape[i], (*v.shape[:i], a.pick([2, 5, 1, 0]), *v.shape[i + 1 :])
    if np.prod(shape) > 200:
        raise Unfit
    places = f"np.random.default_rng({a.seed()}).integers({-n}, {n}, {shape})"
    return f"mg.take_along_axis({v.name}, {places}, axis={axis})"


@step("nansum", "nanmean")
def nansum(a, name):
    return reduced(a, name, a.real(filled=True))


@step("cumprod")
def cumprod(a):
    v = a.real(fits=lambda v: v.size <= 64)
    return f"mg.cumprod({v.name}, axis={a.axis(v.ndim, many=False)})"


@step("cummax", "cummin")
def cummax(a, name):
    v = in_order(a)
    return f"mg.{name}({v.name}, axis={a.axis(v.ndim, many=False)})"


@step("diff")
def diff(a):
    v = a.real(1)
    axis = a.pick([-1, *range(v.ndim)])
    ends = a.pick(["", ", prepend=0.5", ", append=2", f", append={v.name}"])
    return f"mg.diff({v.name}, n={a.pick([1, 2, 0])}, axis={axis}{ends})"


@step("roll")
def roll(a):
    v = a.real()
    axis = a.axis(v.ndim)
    shift = a.pick([1, -1, 3, (1, -2) if axis.count(",") > 1 or axis[-2:] == ",)" else 2])
    shift = shift[: len(eval(axis))] if isinstance(shift, tuple) else shift
    return f"mg.roll({v.name}, {shift}, axis={axis})"


@step("diagonal")
def diagonal(a):
    v = a.real(2)
    i, j = a.pick([(0, 1), (1, 0), (-1, -2), (0, v.ndim - 1)])
    return f"mg.diagonal({v.name}, {a.pick([0, 1, -1, 5])}, {i}, {j})"


@step("diag")
def diag(a):
    v = a.real(1, fits=lambda v: v.ndim == 2 or (v.ndim == 1 and v.size <= 60))
    return f"mg.diag({v.name}, k={a.pick([0, 1, -2])})"


@step("meshgrid")
def meshgrid(a):
    x, y = a.real(fits=lambda v: v.size <= 12), a.leaf((a.pick([3, 1, 0]),))
    options = a.pick(["", ", indexing='ij'", ", sparse=True"])
    return f"mg.meshgrid({x.name}, {y.name}{options})", 2


@step("inner")
def inner(a):
    v = a.real()
    n = v.shape[-1:]
    return f"mg.inner({v.name}, {a.of_shape(a.pick([n, (2, *n), (2, 1, *n), ()])).name})"


@step("tensordot")
def tensordot(a):
    v = a.real(fits=lambda v: v.size <= 200)
    if v.ndim == 0 or a.chance(4):
        return f"mg.tensordot({v.name}, {a.of_shape((2,)).name}, axes=0)"
    if v.ndim == 1 or a.below(2):
        return f"mg.tensordot({v.name}, {a.of_shape((v.shape[-1], 2)).name}, axes=1)"
    i, j = a.pick([(0, 1), (1, 0), (-1, 0)])
    other = a.of_shape((v.shape[i], 3, v.shape[j]))
    return f"mg.tensordot({v.name}, {other.name}, axes=(({i}, {j}), (0, -1)))"
