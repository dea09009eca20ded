"""What a random program must satisfy.

A program is the text of a function `program(x0, x1, ...)` of tensors, with its inputs in any
layout of memory. Its values are NumPy's, its gradients those of finite differences at first and
second order, every way through the engine gives the same ones, and so does every backend.
"""

import contextlib
import itertools
import os
import warnings

import numpy as np
from program_data import Reference

import minigrad as mg

# By the coarsest dtype of a program: how far two results may be apart, of the largest number.
CLOSE = {"float64": 1e-9, "float32": 3e-4, "float16": 5e-2}
ROUNDING = {"float64": 4e-16, "float32": 2e-7, "float16": 2e-3}


class Difference(AssertionError):
    """Two answers that should be one."""


# --- the checks ------------------------------------------------------------------------------


def check(program, backends=("numpy",)):
    """Raise a `Difference` if the program's values or gradients are wrong somewhere.

    On NumPy they are compared with other ways to get them, on other backends with NumPy's.
    """
    with np.errstate(all="ignore"), mg.use_backend("numpy"):
        right = _where("numpy", lambda: results(program, "numpy"))
        if "numpy" in backends:
            _values_are_numpys(program, right)
            if right["first"]:
                _agree(program, "create_graph", {"first": right["graph"]}, right)
                _where("the engine on numpy", lambda: _every_way(program, right))
                if program.has_slopes:
                    _slopes_nearby(program, right)
                    _no_silent_zero(program, right)
        for name in backends:
            if name != "numpy":
                found = _where(name, lambda name=name: results(program, name))
                _agree(program, name, found, right)


def _where(place, f):
    try:
        return f()
    except Difference:
        raise
    except Exception as error:
        raise Difference(f"on {place}: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _on(backend, compiled):
    """New tensors are on the backend; a compiler that takes long is asked only if so wanted."""
    before = os.environ.get("MINIGRAD_FUSED")
    if backend in ("numba", "cupy") and before is None and not compiled:
        os.environ["MINIGRAD_FUSED"] = "0"
    try:
        with mg.use_backend(backend):
            yield
    finally:
        if before is None:
            os.environ.pop("MINIGRAD_FUSED", None)


def cotangents(program, ys, shift=0):
    """Random numbers for each tensor, in reading order or transposed in memory."""
    rng = np.random.default_rng([program.seed, shift])
    made = []
    for y in ys:
        array = np.asarray(rng.standard_normal(y.shape[::-1]))
        g = mg.tensor(array.astype(y.dtype), backend=y.backend)
        made.append(mg.transpose(g) if (program.seed + len(made)) % 2 else g.reshape(y.shape))
    return [g.detach() for g in made]


def results(program, backend):
    """Values and gradients of both orders as NumPy arrays: the engine's, on a backend."""
    with _on(backend, program.compiled):
        xs = program.tensors(backend)
        before = [x.numpy() for x in xs if isinstance(x, mg.Tensor)]
        ys = program.run(xs)
        found = {"values": ys, "first": [], "graph": [], "second": []}
        leaves = [x for x in xs if isinstance(x, mg.Tensor) and x.requires_grad]
        rooted = [y for y in ys if y.requires_grad]
        if rooted and leaves:
            gs = cotangents(program, rooted)
            plain = mg.grad(rooted, leaves, gs, retain_graph=True, allow_unused=True)
            found["first"] = plain
            for g in gs:
                g.requires_grad = True
            graph = mg.grad(rooted, leaves, gs, create_graph=True, allow_unused=True)
            found["graph"] = graph
            weights = cotangents(program, leaves, 1)
            pairs = zip(graph, weights, strict=True)
            pairs = [(g, w) for g, w in pairs if g is not None and g.requires_grad]
            if pairs:
                smooth, weights = zip(*pairs, strict=True)
                found["second"] = mg.grad(smooth, [*leaves, *gs], weights, allow_unused=True)
            for x, g in zip(leaves, plain, strict=True):
                if g is not None and (g.shape != x.shape or g.dtype != x.dtype):
                    raise Difference(
                        f"on {backend}: a gradient {g.dtype} {g.shape} of {x.dtype} {x.shape}"
                    )
        found = {name: arrays(values) for name, values in found.items()}
        after = [x.numpy() for x in xs if isinstance(x, mg.Tensor)]
        for a, b in zip(before, after, strict=True):
            if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                raise Difference(f"on {backend}: an input was edited")
    return found


def arrays(values):
    """Tensors as NumPy arrays; None stays."""
    return [None if x is None else x.numpy() for x in values]


def _far(program, a, b, loose=True):
    """Whether two arrays are further apart than rounding explains."""
    if a.dtype.kind != "f":
        return not np.array_equal(a, b)
    if program.special and loose:
        # Infinite terms that come in another order, or as a product, give another of the two.
        a, b = (np.where(np.isfinite(x), x, np.nan) for x in (a, b))
    scale = np.abs(b[np.isfinite(b)]).max(initial=1.0)
    close = CLOSE[program.precision]
    return not np.allclose(a, b, rtol=close, atol=close * scale, equal_nan=True)


def _same(program, found, right, what):
    """Lists of arrays (or None) that should be equal but for rounding."""
    for i, (a, b) in enumerate(zip(found, right, strict=True)):
        if (a is None) != (b is None):
            raise Difference(f"{what}, number {i}: {a} and {b}")
        if a is None:
            continue
        if a.shape != b.shape or a.dtype != b.dtype:
            raise Difference(f"{what}, number {i}: {a.dtype} {a.shape}, not {b.dtype} {b.shape}")
        if _far(program, a, b):
            raise Difference(f"{what}, number {i}:\n{a!r}\nis not\n{b!r}")


def _values_are_numpys(program, right):
    if program.special and any(name in program.text for name in NAIVE):
        return
    xs = [given.laid() for given in program.inputs.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of means of nothing
        ys = _where("NumPy", lambda: [np.asarray(y) for y in program.run(xs, Reference())])
    for found, y in zip(right["values"], ys, strict=True):
        if found.shape != y.shape:
            raise Difference(f"shape {found.shape}, and NumPy's {y.shape}")
    _agree(program, "numpy", {"values": right["values"]}, {"values": ys}, dtypes=False)


def _agree(program, name, found, right, dtypes=True):
    """The same on another backend, but for what rounding makes of the program's numbers."""
    for part, arrays_ in found.items():
        for i, (a, b) in enumerate(zip(arrays_, right[part], strict=True)):
            what = f"{part} on {name}, number {i}"
            if (a is None) != (b is None):
                raise Difference(f"{what}: {a} and {b}")
            if a is None:
                continue
            if dtypes and (a.shape != b.shape or a.dtype != b.dtype):
                raise Difference(f"{what}: {a.dtype} {a.shape}, not {b.dtype} {b.shape}")
            if program.special and a.dtype.kind == "i" and "mg.argm" in program.text:
                continue  # of several NaN a device finds any
            # einsum may multiply its arrays in any order, on a device two at a time; and the root
            # of -inf is infinite by pow, NaN by sqrt.
            loose = part != "values" or any(text in program.text for text in ("einsum", "** 0.5"))
            if _far(program, a, b, loose) and not _is_rounding(program, part, i, a, b):
                raise Difference(f"{what}:\n{a!r}\nis not\n{b!r}")


def _is_rounding(program, part, i, a, b):
    """Whether inputs that are rounded otherwise change the result as much."""
    if program.special:
        return False
    rng = np.random.default_rng(0)
    for _ in range(6):
        by = {
            name: x.whole * ROUNDING[program.precision] * rng.standard_normal(x.whole.shape)
            for name, x in program.inputs.items()
            if x.values.dtype.kind == "f"
        }
        c = results(program.moved(by), "numpy")[part][i]
        if c is not None and c.shape == a.shape:
            spread = np.abs(np.subtract(c, b, dtype=float)).max()
            if np.abs(np.subtract(a, b, dtype=float)).max() <= 10 * spread:
                program.doubts.append("rounding")
                return True
    return False


# --- the engine's ways -----------------------------------------------------------------------


def _every_way(program, right):
    """Kept graphs, some of the leaves, backward(), values in the middle, hooks: one gradient."""
    rng = np.random.default_rng(program.seed)
    first = right["first"]

    def start(note=None):
        xs = program.tensors("numpy")
        ys = [y for y in program.run(xs, note=note) if y.requires_grad]
        leaves = [x for x in xs if isinstance(x, mg.Tensor) and x.requires_grad]
        return leaves, ys, cotangents(program, ys)

    with mg.use_backend("numpy"):
        leaves, ys, gs = start()
        hooked = [0] * len(leaves)
        for i, x in enumerate(leaves):
            x.register_hook(lambda g, i=i: hooked.__setitem__(i, hooked[i] + 1))
        chosen = [i for i in range(len(leaves)) if rng.random() < 0.5] or [0]
        some = mg.grad(ys, [leaves[i] for i in chosen], gs, retain_graph=True, allow_unused=True)
        _same(program, arrays(some), [first[i] for i in chosen], "gradients of some leaves")
        for i in chosen:
            if hooked[i] != (first[i] is not None):
                raise Difference(f"the hook of leaf {i} was called {hooked[i]} times")
        again = mg.grad(ys, leaves, gs, retain_graph=True, allow_unused=True)
        _same(program, arrays(again), first, "the second gradient of a kept graph")
        for i, (y, g) in enumerate(zip(ys, gs, strict=True)):
            y.backward(g, retain_graph=i + 1 < len(ys))
        _same(program, arrays(x.grad for x in leaves), first, "backward()")

        noted = []
        leaves, ys, gs = start(lambda x: noted.append(x) or x)
        if noted and noted[0].requires_grad:
            calls = []
            noted[0].register_hook(lambda g: calls.append(g))
            (middle,) = arrays(mg.grad(ys, noted[:1], gs, allow_unused=True))
            if len(calls) != (middle is not None):
                raise Difference(f"the hook of a value in the middle: {len(calls)} calls")
            zero = mg.zeros(noted[0].shape, noted[0].dtype, requires_grad=True)
            _, ys, gs = start(lambda x: x + zero)
            added = mg.grad(ys, [zero], gs, allow_unused=True)
            _same(program, [middle], arrays(added), "the gradient of a value in the middle")


# --- finite differences ----------------------------------------------------------------------


def _slopes_nearby(program, right):
    """As `_slopes`; where numbers tie, the slopes next to these inputs are what counts.

    With a tie inside, as in max(x, min(x)), each op's share is right and their chain is not.
    """
    try:
        _slopes(program, right)
    except Difference:
        rng = np.random.default_rng([program.seed, 4])
        by = {
            name: 1e-3 * rng.standard_normal(x.whole.shape)
            for name, x in program.inputs.items()
            if x.values.dtype.kind == "f"
        }
        aside = program.moved(by)
        _slopes(aside, results(aside, "numpy"))
        program.doubts.append("tie")


def _slopes(program, right):
    """First and second order along a random direction, each against differences below it."""
    held = {}
    program.run(program.tensors("numpy"), record=held)
    rng = np.random.default_rng([program.seed, 2])
    wanted = {name: x for name, x in program.inputs.items() if x.role == "wanted"}
    along = {name: rng.standard_normal(x.whole.shape) for name, x in wanted.items()}

    with mg.use_backend("numpy"):
        ys = program.run(program.tensors("numpy"))
        rooted = [i for i, y in enumerate(ys) if y.requires_grad]
        gs = cotangents(program, [ys[i] for i in rooted])
        turned = [rng.standard_normal(g.shape) for g in gs]

        def values(t):
            new = program.moved({name: t * d for name, d in along.items()})
            xs = [x.detach() if isinstance(x, mg.Tensor) else x for x in new.tensors("numpy")]
            ys = new.run(xs, held=held)
            return sum(np.vdot(g.numpy(), ys[i].numpy()) for g, i in zip(gs, rooted, strict=True))

        pairs = zip(right["first"], along.values(), strict=True)
        terms = [np.vdot(g, d) for g, d in pairs if g is not None]
        _is_slope(program, "first order", values, terms)
        if not right["second"]:
            return

        def slopes(t):
            new = program.moved({name: t * d for name, d in along.items()})
            xs = new.tensors("numpy")
            ys = new.run(xs, held=held)
            leaves = [x for x in xs if isinstance(x, mg.Tensor) and x.requires_grad]
            shifted = [mg.tensor(g.numpy() + t * d) for g, d in zip(gs, turned, strict=True)]
            found = mg.grad([ys[i] for i in rooted], leaves, shifted, allow_unused=True)
            pairs = zip(found, cotangents(program, leaves, 1), strict=True)
            return sum(np.vdot(w.numpy(), g.numpy()) for g, w in pairs if g is not None)

        directions = [*along.values(), *turned]
        pairs = zip(right["second"], directions, strict=True)
        terms = [np.vdot(g, d) for g, d in pairs if g is not None]
        _is_slope(program, "second order", slopes, terms)


def _is_slope(program, what, f, terms):
    """Whether the sum of `terms` is the slope of f at 0, by differences that agree."""
    found = sum(terms)
    size = sum(map(abs, terms)) + 1e-3
    middle = f(0.0)
    estimates = []
    for h in (2e-3, 3e-4, 4e-5, 5e-6):
        ahead, back, near, nearer = f(h), f(-h), f(h / 2), f(-h / 2)
        wide, narrow = (ahead - back) / (2 * h), (near - nearer) / h
        estimates.append((4 * narrow - wide) / 3)
        if abs(estimates[-1] - found) <= 1e-6 * size:
            return
    kink = abs((ahead - middle) / h - (middle - back) / h)
    best = min(abs(a - b) for a, b in itertools.pairwise(estimates))
    sure = min(abs(e - found) for e in estimates)
    kinked = what == "second order" and any(name in program.text for name in KINKED)
    if not np.isfinite(found) and np.all(np.isfinite(estimates)) and not kinked:
        raise Difference(f"{what}: the slope is {found}, finite differences say {estimates}")
    if kink > 0.3 * sure or not best < 0.1 * sure or not np.all(np.isfinite([found, *estimates])):
        program.doubts.append(what)
        return
    raise Difference(f"{what}: the slope along a line is {found}, finite differences: {estimates}")


# At their kinks there is no second derivative: it is 0, and of norms NaN.
KINKED = ("abs(", "l1_loss", "norm(", "std(", "huber", "smooth_l1")
# Their references make NaN of infinite numbers in another order, or by way of probabilities.
NAIVE = ("softmax", "dropout", "cross_entropy", "nll_loss", "einsum", "inner", "tensordot")
# Where what is no number has no say, whatever comes of it.
FLAT = ("stop(", "1.0, 0.0", "mg.sign(", "dropout", "argm", "astype", "where=", "mg.nan", "topk")


def _no_silent_zero(program, right):
    """What is not a number has no gradient of 0, unless it was 0 before."""
    if any(word in program.text for word in FLAT):
        return
    rng = np.random.default_rng([program.seed, 3])
    wanted = [name for name, x in program.inputs.items() if x.role == "wanted"]
    at = int(rng.integers(len(wanted)))
    shape, before = program.inputs[wanted[at]].whole.shape, right["first"][at]
    if before is None or not before.size:
        return
    one = int(rng.integers(before.size))
    by = np.zeros(shape)
    by.flat[one] = np.nan
    try:
        ill = results_of_first(program.moved({wanted[at]: by}))
    except np.linalg.LinAlgError:
        return  # it is no silence: there are no singular values
    if ill is None or abs(before.flat[one]) < 1e-6:
        return
    values, gradients = ill
    lost = any(np.isnan(y).any() for y in values) and gradients[at].flat[one] == 0
    if lost:
        raise Difference(
            f"entry {one} of {wanted[at]} is NaN, and so is a result, but its gradient is 0"
        )


def results_of_first(program):
    """The values that have gradients, and the gradients of first order, on NumPy."""
    with mg.use_backend("numpy"):
        xs = program.tensors("numpy")
        ys = [y for y in program.run(xs) if y.requires_grad]
        leaves = [x for x in xs if isinstance(x, mg.Tensor) and x.requires_grad]
        if not ys:
            return None
        found = mg.grad(ys, leaves, cotangents(program, ys), allow_unused=True)
        return arrays(ys), arrays(found)
