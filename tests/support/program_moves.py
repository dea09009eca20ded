"""How ops of shapes and positions, layers, losses and parts of programs are called; see
`program_steps.py`.
"""

import numpy as np
from program_author import Unfit
from program_steps import STEPS, step
from random_cells import BINARY, REDUCTIONS, UNARY

__all__ = ["STEPS"]

# --- shape -----------------------------------------------------------------------------------


@step("reshape")
def reshape(a):
    v = a.real()
    shapes = [(-1,), (v.size,), (1, v.size), (*v.shape, 1), v.shape[::-1]]
    if v.size % 2 == 0 and v.size:
        shapes += [(2, -1), (v.size // 2, 2)]
    shapes = [s for s in shapes if v.size or -1 not in s]
    shape = a.pick(shapes)
    return f"{v.name}.reshape({shape})" if a.below(2) else f"mg.reshape({v.name}, {shape})"


@step("transpose")
def transpose(a):
    v = a.real()
    if v.ndim < 2 or a.below(2) == 0:
        return a.pick([f"mg.transpose({v.name})", f"{v.name}.T"])
    axes = np.random.default_rng(a.seed()).permutation(v.ndim).tolist()
    axes = tuple(i - v.ndim if a.chance(3) else i for i in axes)
    return f"mg.transpose({v.name}, {axes})"


@step("broadcast_to")
def broadcast_to(a):
    v = a.real()
    shape = tuple(a.pick([3, 1, 2]) if n == 1 else n for n in v.shape)
    lead = a.pick([(), (2,), (1,), (3, 1)])
    return f"mg.broadcast_to({v.name}, {lead + shape})"


@step("expand_dims")
def expand_dims(a):
    v = a.real(fits=lambda v: v.ndim < 4)
    axes = [0, -1, v.ndim, (0, -1), *([(0, 2)] if v.ndim else [])]
    return f"mg.expand_dims({v.name}, {a.pick(axes)})"


@step("squeeze")
def squeeze(a):
    v = a.real(1, fits=lambda v: 1 in v.shape)
    axes = [i for i, n in enumerate(v.shape) if n == 1]
    return f"mg.squeeze({v.name}, axis={a.pick(['None', axes[0], axes[-1] - v.ndim, tuple(axes)])})"


@step("swapaxes")
def swapaxes(a):
    v = a.real(1)
    i, j = a.below(v.ndim), a.below(v.ndim) - v.ndim
    return f"mg.swapaxes({v.name}, {i}, {j})"


@step("moveaxis")
def moveaxis(a):
    v = a.real(2)
    if a.below(2) == 0:
        return f"mg.moveaxis({v.name}, {a.below(v.ndim)}, {a.below(v.ndim) - v.ndim})"
    return f"mg.moveaxis({v.name}, (0, 1), {a.pick([(-1, 0), (1, 0)])})"


@step("concatenate")
def concatenate(a):
    v = a.real(1)
    axis = a.below(v.ndim)
    shape = list(v.shape)
    shape[axis] = a.pick([v.shape[axis], 1, 2, 0])
    names = [v.name, a.of_shape(tuple(shape)).name, *([v.name] if a.chance(3) else [])]
    if a.below(2):
        names.reverse()
    return f"mg.concatenate([{', '.join(names)}], axis={axis - (v.ndim if a.below(2) else 0)})"


@step("stack")
def stack(a):
    v = a.real(fits=lambda v: v.ndim < 4)
    names = [v.name] + [a.of_shape(v.shape).name for _ in range(a.below(3))]
    return f"mg.stack([{', '.join(names)}], axis={a.below(2 * v.ndim + 2) - v.ndim - 1})"


@step("split")
def split(a):
    v = a.real(1, filled=True)
    axis = a.below(v.ndim)
    n = v.shape[axis]
    if a.below(2) == 0 and n < 6:
        parts = a.pick([k for k in range(1, n + 1) if n % k == 0][::-1])
        return f"mg.split({v.name}, {parts}, axis={axis})", parts
    cuts = tuple(sorted(a.below(n + 1) for _ in range(a.below(3) + 1)))
    return f"mg.split({v.name}, {cuts}, axis={axis - v.ndim})", len(cuts) + 1


@step("unstack")
def unstack(a):
    v = a.real(1, fits=lambda v: 0 < min(v.shape) <= 5)
    axis = a.pick([i for i, n in enumerate(v.shape) if 0 < n <= 5])
    return f"mg.unstack({v.name}, axis={axis - (v.ndim if a.below(2) else 0)})", v.shape[axis]


@step("flip")
def flip(a):
    v = a.real()
    return f"mg.flip({v.name}, axis={a.axis(v.ndim)})"


@step("pad")
def pad(a):
    v = a.real(1, fits=lambda v: v.size <= 30 or a.large)
    each = tuple((a.below(2), a.below(3)) for _ in v.shape)
    value = f", constant_values={a.pick([0, 1.5])}"
    return f"mg.pad({v.name}, {a.pick([1, (0, 2), each])}{value})"


@step("repeat")
def repeat(a):
    v = a.real()
    return f"mg.repeat({v.name}, {a.pick([2, 1, 3, 0])}, axis={a.axis(v.ndim, many=False)})"


@step("tile")
def tile(a):
    return f"mg.tile({a.real().name}, {a.pick([2, (2, 1), (1, 2, 1), (0, 1), 1])})"


@step("tril", "triu")
def tril(a, name):
    return f"mg.{name}({a.real(2).name}, k={a.pick([0, 1, -1])})"


# --- positions -------------------------------------------------------------------------------


def index_text(a, shape):
    """An index into a shape, as text: of slices, integers, arrays, masks, None and an ellipsis."""
    rng = np.random.default_rng(a.seed())
    if a.chance(8) and shape and 0 not in shape:
        return f"np.array({(rng.random(shape) < 0.6).tolist()})"
    parts, many = [], a.pick([3, 2, 1])
    for i, n in enumerate(shape):
        ways = ["slice", "step", "back", "all"]
        if n:
            ways += ["int", "ints", "ints", "mask", "list"]
        way = a.pick(ways)
        if way == "slice":
            parts.append(f"{a.below(n + 1)}:" if a.below(2) else f":{-a.below(n + 1) or n}")
        elif way == "step":
            parts.append(f"{a.below(2)}::{a.pick([2, 3])}")
        elif way == "back":
            parts.append(a.pick(["::-1", "::-2", f"{n - 1}:0:-1"]))
        elif way == "all":
            parts.append(":")
        elif way == "int":
            parts.append(str(a.below(2 * n) - n))
        elif way == "mask":
            mask = rng.random(n) < 0.6
            mask[0] = True
            mask[: min(n, many)] = True
            mask[min(n, many) :] = False  # of as many entries as the other arrays have
            if mask.sum() == many:
                parts.append(f"np.array({mask.tolist()})")
            else:
                parts.append(":")
        else:
            places = rng.integers(-n, n, many).tolist()
            parts.append(f"np.array({places})" if way == "ints" else f"{places}")
        if a.chance(6) and i + 1 < len(shape) and "..." not in parts:
            parts.append("...")
            break
        if a.chance(8):
            parts.append("None")
    return ", ".join(parts) if parts else a.pick(["...", "None", "..., None"])


@step("index")
def index(a):
    v = a.real()
    return f"{v.name}[{index_text(a, v.shape)}]"


@step("take")
def take(a):
    v = a.real(1, filled=True)
    axis = a.axis(v.ndim, many=False)
    n = v.size if axis == "None" else v.shape[int(axis)]
    if a.chance(3) and axis != "None":
        return f"mg.take({v.name}, mg.argmax({v.name}, axis={axis}), axis={axis})"
    places = np.random.default_rng(a.seed()).integers(-n, n, a.pick([3, (2, 2), ()]))
    return f"mg.take({v.name}, np.array({places.tolist()}), axis={axis})"


@step("scatter_add")
def scatter_add(a):
    v = a.real(1, filled=True)
    text = index_text(a, v.shape)
    at = eval(f"np.s_[{text}]", {"np": np})
    shape = v.array[at].shape
    other = a.tensor(shape[a.below(2) :]) if a.below(4) else "1.5"
    return f"mg.scatter_add({v.name}, np.s_[{text}], {other})"


@step("embedding")
def embedding(a):
    v = a.real(2, fits=lambda v: v.ndim == 2 and v.shape[0])
    n = v.shape[0]
    places = np.random.default_rng(a.seed()).integers(0, n, a.pick([3, (2, 2), (), 9]))
    return f"mg.embedding({places.tolist()}, {v.name})"


@step("one_hot")
def one_hot(a):
    v = a.real(1, filled=True, fits=lambda v: v.ndim < 3)
    labels = np.random.default_rng(a.seed()).integers(0, 3, v.shape)
    return f"mg.expand_dims({v.name}, -1) * mg.one_hot(np.array({labels.tolist()}), 3)"


# --- layers and losses -----------------------------------------------------------------------


@step("dropout")
def dropout(a):
    v = a.real()
    a.line(f"mg.manual_seed({a.below(9)})")
    return f"mg.dropout({v.name}, {a.pick([0.4, 0.5])})"


@step("layer_norm")
def layer_norm(a):
    v = a.real(1, filled=True)
    shape = v.shape[-a.below(v.ndim) - 1 :]
    rest = [a.tensor(shape) for _ in range(2)] if a.below(2) else []
    return f"mg.layer_norm({', '.join([v.name, str(shape), *rest])})"


REDUCED = ["'mean'", "'sum'", "'none'"]


@step("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits")
def loss(a, name):
    v = a.real(filled=True)
    target = a.tensor(v.shape)
    if target == v.name:  # no errors: a kink in each place
        target = a.leaf(v.shape, role="wanted").name
    options = f"reduction={a.pick(REDUCED)}"
    if name == "huber_loss":
        options += f", delta={a.pick([1.0, 0.8])}"
    if name == "smooth_l1_loss":
        options += f", beta={a.pick([1.0, 0.8])}"
    if name.startswith("binary"):
        options += a.pick(["", ", pos_weight=2.5", ", weight=0.7"])
        target = a.within(target, 0, 1)
    return f"mg.{name}({v.name}, {target}, {options})"


@step("binary_cross_entropy", "kl_div")
def loss_of_probabilities(a, name):
    if a.special:  # which aren't from 0 to 1
        raise Unfit
    v = a.real(filled=True)
    target = a.within(a.tensor(v.shape), 0.1, 0.9)
    x = v.name if name == "kl_div" else a.within(v.name, 0.1, 0.9)
    return f"mg.{name}({x}, {target}, reduction={a.pick(REDUCED)})"


@step("cross_entropy", "nll_loss")
def cross_entropy(a, name):
    v = a.real(1, filled=True, fits=lambda v: v.size <= 200)
    axis = min(1, v.ndim - 1)
    classes = v.shape[axis]
    rng = np.random.default_rng(a.seed())
    target = rng.integers(0, classes, v.shape[:axis] + v.shape[axis + 1 :])
    options = f"reduction={a.pick(REDUCED)}"
    if target.size > 1 and a.chance(3):
        target.flat[0] = a.pick([-100, classes - 1])
        options += f", ignore_index={target.flat[0]}"
        if (target == target.flat[0]).all():
            raise Unfit
    if a.chance(3):
        weight = a.within(a.tensor((classes,)), 0.4, 3)
        options += f", weight={weight}"
    if name == "nll_loss":
        return f"mg.nll_loss(mg.log_softmax({v.name}, {axis}), {target.tolist()}, {options})"
    options += a.pick(["", ", label_smoothing=0.2"])
    return f"mg.cross_entropy({v.name}, {target.tolist()}, {options})"


@step("ctc_loss")
def ctc_loss(a):
    if a.special:  # the reference sums up probabilities
        raise Unfit
    v = a.real(
        2, filled=True, fits=lambda v: v.ndim == 2 and v.shape[0] < 5 and v.shape[1] in (2, 3)
    )
    T, C = v.shape
    target = a.pick([[1], [C - 1], [], *([[1, 1], [C - 1, 1]] if T > 2 else [])])
    said = f"mg.expand_dims(mg.log_softmax({v.name}, 1), 1)"
    return f"mg.ctc_loss({said}, {[target]}, None, None, reduction={a.pick(REDUCED)})"


# --- parts of a program ------------------------------------------------------------------------


@step("stopped")
def stopped(a):
    """A part that no gradient goes through."""
    a.stops += 1
    how = a.pick(["detach", "no_grad"])
    return f"stop({a.stops}, {how!r}, lambda: mg.tanh({a.real().name}))"


@step("part")
def part(a):
    """A function of several lines, run again in the backward pass, or fused."""
    v = a.real(1, filled=True)
    other = a.tensor(v.shape)
    names, lines = ["a0", "a1"], []
    for i in range(a.below(4) + 1):
        x, y = a.pick(names[::-1]), a.pick(names[::-1])
        kind = a.pick(["unary", "binary", "reduction"])
        text = {
            "unary": lambda x=x: a.pick(UNARY_ROWS).format(x),
            "binary": lambda x=x, y=y: a.pick(BINARY).format(x, y),
            "reduction": lambda x=x, y=y: f"{y} - {a.pick(REDUCTIONS).format(x)}",
        }[kind]()
        lines.append(f"    t{i} = {text}")
        names.append(f"t{i}")
    name = f"part{len(a.lines)}"
    head = "@mg.fuse\n" if (fused := a.below(2)) else ""
    a.line(f"{head}def {name}(a0, a1):\n" + "\n".join([*lines, f"    return {names[-1]}"]))
    operands = f"{v.name}, {other}"
    return f"{name}({operands})" if fused else f"mg.checkpoint({name}, {operands})"


UNARY_ROWS = [text for text in UNARY if "axis=1" not in text and "ones_like" not in text]
UNARY_ROWS = [text.replace("softmax({})", "softmax({}, axis=-1)") for text in UNARY_ROWS]
CELLS = ["mg.tanh(x @ p + h)", "mg.sigmoid(h) * x + mg.sin(p[0] * h)", "h * 0.5 - mg.tanh(x @ p)"]
CELLS += ["mg.maximum(x, h) @ p", "mg.softmax(h + x, axis=-1) * (x @ p)"]


@step("scan")
def scan(a):
    """A cell over the first axis."""
    v = a.real(3, filled=True, fits=lambda v: v.ndim == 3 and v.shape[0] <= 5)
    n = v.shape[-1]
    p, h = a.tensor((n, n)), a.tensor(v.shape[1:])
    if len({a.scope[x].dtype for x in (v.name, p, h)}) > 1:
        raise Unfit  # the state keeps its dtype
    name = f"cell{len(a.lines)}"
    a.line(f"def {name}(p, x, h):\n    h = {a.pick(CELLS)}\n    return h, h")
    reverse = a.pick(["", ", reverse=True"])
    return f"mg.scan({name}, {p}, {v.name}, {h}{reverse})", 2
