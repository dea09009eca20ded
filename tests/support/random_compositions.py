"""Functions composed at random, with inputs of extreme sizes; an equal seed gives an equal one."""

import numpy as np

import minigrad as mg

STEPS = {
    "tanh": mg.tanh,
    "sigmoid": mg.sigmoid,
    "exp": mg.exp,
    "expm1": mg.expm1,
    "sin": mg.sin,
    "cos": mg.cos,
    "log": lambda x: mg.log(x * x + 0.1),
    "log1p": lambda x: mg.log1p(x * x),
    "log2": lambda x: mg.log2(x * x + 0.1),
    "arctan": mg.arctan,
    "arcsinh": mg.arcsinh,
    "erf": mg.erf,
    "logaddexp": lambda x: mg.logaddexp(x, 0.5),
    "hypot": lambda x: mg.hypot(x, 1e-3),
    "log of the size": lambda x: mg.log(mg.abs(x)),
    "sqrt": lambda x: mg.sqrt(x * x + 1e-3),
    "relu": mg.relu,
    "gelu": mg.gelu,
    "elu": mg.elu,
    "softplus": mg.softplus,
    "abs": mg.abs,
    "clip": lambda x: mg.clip(x, -1, 1),
    "where": lambda x: mg.where(x > 0.3, x * x, 0.3 * x),
    "minimum": lambda x: mg.minimum(x, mg.tanh(x)),
    "square": lambda x: x * x,
    "cube": lambda x: x**3,
    "power": lambda x: mg.abs(x) ** 1.5,
    "reciprocal": lambda x: 1 / x,
    "bell": lambda x: 1 / (x * x + 0.5),
    "softmax": lambda x: mg.softmax(x, axis=-1),
    "log_softmax": lambda x: mg.log_softmax(x, axis=-1),
    "logsumexp": lambda x: mg.logsumexp(x, axis=-1, keepdims=True) + 0 * x,
    "layer_norm": lambda x: mg.layer_norm(x, 4),
    "centred": lambda x: x - x.mean(axis=-1, keepdims=True),
    "cumsum": lambda x: mg.cumsum(x, axis=-1),
    "flip": lambda x: mg.flip(x, axis=-1),
    "max": lambda x: x.max(axis=-1, keepdims=True) * x,
    "var": lambda x: x * mg.var(x, axis=-1, keepdims=True),
    "std": lambda x: x / (1e-3 + mg.std(x, axis=-1, keepdims=True)),
    "norm": lambda x: x * mg.norm(x, axis=-1, keepdims=True),
    "prod": lambda x: x + mg.prod(x, axis=-1, keepdims=True),
}
WITH_ROW = {
    "* row": lambda x, row: x * row,
    "+ row": lambda x, row: x + row,
    "/ row": lambda x, row: x / (row * row + 0.3),
    "maximum of row": mg.maximum,
}


class Composition:
    """A function of x (3, 4) and a row (4,), with one or two outputs, and a point.

    Attributes
    ----------
    steps : the names of its steps, and matrices (4, 4) to multiply with.
    inputs : x and the row, as NumPy arrays.
    """

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.steps = []
        for _ in range(rng.integers(1, 6)):
            self.steps.append(str(rng.choice(list(STEPS))))
            if rng.random() < 0.3:
                self.steps.append(str(rng.choice(list(WITH_ROW))))
            if rng.random() < 0.3:
                self.steps.append(rng.normal(size=(4, 4)))
        self.two_outputs = rng.random() < 0.5
        self.inputs = [
            _extreme(rng),
            rng.normal(size=4) * 10.0 ** rng.choice([-10, -2, 0, 0, 2, 10]),
        ]

    def __str__(self):
        return " | ".join(step if isinstance(step, str) else "@ matrix" for step in self.steps)

    def __call__(self, x, row):
        """The outputs, for tensors."""
        for step in self.steps:
            if not isinstance(step, str):
                x = x @ mg.tensor(step)
            else:
                x = STEPS[step](x) if step in STEPS else WITH_ROW[step](x, row)
        return (x.sum(), x) if self.two_outputs else (x,)

    def outputs(self, *arrays):
        """The outputs, for NumPy arrays."""
        return tuple(y.numpy() for y in self(*map(mg.tensor, arrays)))

    def vjp(self, arrays, cotangents):
        """The engine's gradients, for NumPy arrays."""
        leaves = [mg.tensor(array, requires_grad=True) for array in arrays]
        found = mg.grad(list(self(*leaves)), leaves, cotangents, allow_unused=True)
        return [
            np.zeros(x.shape) if g is None else g.numpy()
            for x, g in zip(leaves, found, strict=True)
        ]


def _extreme(rng):
    x = rng.normal(size=(3, 4)) * 10.0 ** rng.choice([-20, -8, -3, -1, 0, 0, 0, 0, 1, 3, 6, 16, 20])
    return {
        0: lambda: np.where(np.arange(12).reshape(3, 4) < 3, 0.0, x),
        1: lambda: np.round(x),
        2: lambda: x * np.where(np.arange(4) % 2, 1.0, 10.0 ** rng.integers(-18, 18)),
        3: lambda: x[:, [0, 1, 1, 3]],
        4: lambda: x + 10.0 ** rng.integers(0, 17),
    }.get(int(rng.integers(8)), lambda: x)()
