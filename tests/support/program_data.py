"""A random program: its text, its inputs in any layout of memory, and its functions in NumPy."""

import contextlib
import functools
from dataclasses import dataclass, field, replace

import numpy as np

import minigrad as mg
from minigrad.testing import references


@dataclass
class Input:
    """An array and its place in memory.

    Attributes
    ----------
    values : the numbers; of size 1 along repeated axes.
    order : the axes as they lie in memory, the outermost first.
    steps : per axis, how many places on the next number is; a negative one goes back.
    margin : how many places on both sides of each axis hold garbage.
    repeats : per axis how often it is repeated with a stride of 0, or 1.
    role : "wanted" for a tensor that requires a gradient, "tensor", or "array" for NumPy's.
    """

    values: np.ndarray
    order: tuple = ()
    steps: tuple = ()
    margin: int = 0
    repeats: tuple = ()
    role: str = "wanted"

    @property
    def whole(self):
        """The numbers, repeated ones as well."""
        values = self.values
        shape = tuple(n * r for n, r in zip(values.shape, self.repeats, strict=False))
        return np.broadcast_to(values, shape or values.shape)

    def laid(self, tensor=lambda x: x, module=np):
        """A view that reads the numbers out of a larger array, of NumPy or of tensors."""
        values, n = self.values, self.values.ndim
        steps = self.steps or (1,) * n
        garbage = {"f": np.nan, "i": 99, "b": True}[values.dtype.kind]
        if n == 0:
            memory = np.full(3, garbage, values.dtype)
            memory[1] = values
            return tensor(memory)[1, ...] if self.margin else tensor(values.copy())
        sides = [(k - 1) * abs(s) + 1 if k else 0 for k, s in zip(values.shape, steps, strict=True)]
        place = []
        for side, step in zip(sides, steps, strict=True):
            first, after = self.margin, self.margin + side
            if step < 0 and side:
                place.append(slice(after - 1, first - 1 if first else None, step))
            else:
                place.append(slice(first, after, abs(step)))
        memory = np.full([side + 2 * self.margin for side in sides], garbage, values.dtype)
        memory[tuple(place)] = values
        order = self.order or tuple(range(n))
        memory = np.transpose(memory, order).copy()
        view = module.transpose(tensor(memory), tuple(map(int, np.argsort(order))))[tuple(place)]
        if max(self.repeats, default=1) > 1 or 0 in self.repeats:
            view = module.broadcast_to(view, self.whole.shape)
        return view

    def tensor(self, backend):
        """What the program is given on a backend."""
        if self.role == "array" and mg.get_backend(backend).is_host:
            return self.laid()
        with mg.no_grad():
            x = self.laid(lambda array: mg.tensor(array, backend=backend), mg).detach()
        x.requires_grad = self.role == "wanted"
        return x


def drawn(seed, shape, dtype="float64", special=False):
    """Numbers for an input; special ones are infinite, no numbers, zeros and ties."""
    rng = np.random.default_rng(seed)
    if special:
        some = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 1.0, -2.0, np.inf, -np.inf, np.nan, 1.5]
        return np.asarray(rng.choice(some, shape), dtype)
    numbers = np.asarray(rng.uniform(-2, 2, shape))
    # Rounded, to be short in print; but not onto the numbers that programs compare with.
    return np.asarray(
        (numbers.round(3) + 0.0003).round(4) if numbers.size < 100 else numbers, dtype
    )


@dataclass
class Program:
    """A program with its inputs.

    Attributes
    ----------
    text : of the function `program`, which returns a list of tensors.
    inputs : by the name of the argument.
    seed : of cotangents and directions.
    precision : the coarsest float dtype that occurs.
    special : whether numbers are infinite or none, or tie, so that nothing has a slope.
    compiled : whether Numba and CuPy compile its functions and scans, which takes seconds each.
    doubts : what could not be decided, as on a kink.
    recipes : by the name of an input the text of the call that draws its numbers.
    seen : pairs of an op and what became of it: "called", "gradient", "layout".
    """

    text: str
    inputs: dict
    seed: int = 0
    precision: str = "float64"
    special: bool = False
    compiled: bool = False
    doubts: list = field(default_factory=list)
    recipes: dict = field(default_factory=dict)
    seen: set = field(default_factory=set)

    def __repr__(self):
        return f"\n{self.text}"

    def saw(self, op, has_gradient, arrays):
        """Remember that an op was called, and how."""
        self.seen.add((op, "called"))
        if has_gradient:
            self.seen.add((op, "gradient"))
        if any(isinstance(x, np.ndarray) and not x.flags.c_contiguous for x in arrays):
            self.seen.add((op, "layout"))

    @property
    def has_slopes(self):
        """Whether finite differences can tell its slopes."""
        return self.precision == "float64" and not self.special

    def tensors(self, backend):
        """The arguments."""
        return [given.tensor(backend) for given in self.inputs.values()]

    def run(self, xs, module=mg, held=None, note=None, record=None):
        """The outputs; `note` sees the value that the text notes.

        What the text stops gradients at (`stop`) goes to `record`, and comes from `held`.
        """

        def stop(k, how, f):
            if module is not mg:
                return f()
            if held is not None:
                return mg.tensor(held[k], backend=xs[0].backend)
            with mg.no_grad() if how == "no_grad" else contextlib.nullcontext():
                y = f()
            if record is not None:
                record[k] = y.numpy()
            return y.detach()

        def there_and_back(x):
            if module is not mg:
                return x
            return mg.transfer(mg.transfer(x, mg.get_backend("numpy")), x.backend)

        scope = {"mg": module, "np": np, "stop": stop, "there_and_back": there_and_back}
        scope["note"] = note or (lambda x: x)
        exec(compile(self.text, "<program>", "exec"), scope)
        return scope["program"](*xs)

    def moved(self, by):
        """The program at other values of its inputs."""
        new = {
            name: replace(x, values=np.asarray(x.whole + by[name], x.values.dtype), repeats=())
            if name in by
            else x
            for name, x in self.inputs.items()
        }
        return replace(self, inputs=new, doubts=[])


class Reference:
    """minigrad's functions on NumPy arrays."""

    def __getattr__(self, name):
        return getattr(references if hasattr(references, name) else np, name)

    max = staticmethod(functools.partial(np.max, initial=-np.inf))
    min = staticmethod(functools.partial(np.min, initial=np.inf))
    relu = staticmethod(lambda x: np.where(x < 0, np.zeros_like(x), x))
    softplus = staticmethod(lambda x: np.logaddexp(x, np.zeros_like(x)))
    silu = staticmethod(lambda x: np.where(x == -np.inf, 0, x * references.sigmoid(x)))
    leaky_relu = staticmethod(lambda x, negative_slope: np.where(x > 0, x, negative_slope * x))
    astype = staticmethod(lambda x, dtype: np.asarray(x).astype(dtype))
    unstack = staticmethod(lambda x, axis: [np.take(x, i, axis) for i in range(x.shape[axis])])
    checkpoint = staticmethod(lambda f, *xs: f(*xs))
    fuse = staticmethod(lambda f: f)
    mse_loss = staticmethod(lambda x, t, reduction: references.reduced((x - t) ** 2, reduction))
    l1_loss = staticmethod(lambda x, t, reduction: references.reduced(abs(x - t), reduction))
    binary_cross_entropy = staticmethod(references.binary_cross_entropy)
    kl_div = staticmethod(references.kl_div)

    def huber_loss(self, x, target, reduction, delta):
        return references.huber(x, target, delta, reduction)

    def smooth_l1_loss(self, x, target, reduction, beta):
        return references.huber(x, target, beta, reduction) / beta

    def log_softmax(self, x, axis):
        return x - references.logsumexp(x, axis, keepdims=True)

    def softmax(self, x, axis):
        return np.exp(self.log_softmax(x, axis))

    def gelu(self, x, approximate="tanh"):
        return np.where(x == -np.inf, 0, references.gelu(x, approximate))

    def elu(self, x, alpha):
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

    def linear(self, x, w, b=0):
        return x @ w.T + b

    def embedding(self, indices, w, padding_idx=None):
        return w[np.asarray(indices)]

    def one_hot(self, labels, num_classes):
        return np.eye(num_classes, dtype=int)[np.asarray(labels)]

    def layer_norm(self, x, shape, w=1.0, b=0.0):
        return references.layer_norm(x, w, b, len(shape))

    def scatter_add(self, x, index, values):
        return references.scatter_add(x, values, index)

    def manual_seed(self, seed):
        self.seed = seed

    def dropout(self, x, p):
        return references.dropout(x, p, self.seed)

    def binary_cross_entropy_with_logits(
        self, x, target, weight=1.0, reduction="mean", pos_weight=1.0
    ):
        yes, no = np.logaddexp(-x, 0 * x), np.logaddexp(x, 0 * x)
        losses = pos_weight * target * yes + (1 - target) * no
        return references.reduced(weight * losses, reduction)

    def cross_entropy(self, x, target, weight=None, **options):
        return references.cross_entropy(x, weight, target=target, **options)

    def nll_loss(self, logarithms, target, weight=None, **options):
        return references.cross_entropy(logarithms, weight, target=target, **options)

    def ctc_loss(self, x, targets, *lengths, reduction):
        losses = references.ctc_loss(x, targets)
        if reduction == "mean":
            losses = losses / [max(len(row), 1) for row in targets]
        return references.reduced(losses, reduction)

    def scan(self, cell, p, xs, h, reverse=False):
        ys = [None] * len(xs)
        for t in reversed(range(len(xs))) if reverse else range(len(xs)):
            ys[t], h = cell(p, xs[t], h)
        return np.stack(ys), h
