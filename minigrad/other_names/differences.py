"""Names that PyTorch and minigrad both have, with another meaning: the page's first part."""

from __future__ import annotations

INTRODUCTION = """\
Layers, weights, losses, optimisers and schedules have PyTorch's names, options and results;
functions of tensors have NumPy's names and arguments. So the imports become

```python
>>> import minigrad as mg
>>> import minigrad as F                      # functions are in mg itself
>>> from minigrad import nn, optim

```

and most other lines stay. A line that doesn't stay fails, and its error says what to write:

```python
>>> x = mg.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 6.0]])
>>> x.sum(dim=1, keepdim=True)
Traceback (most recent call last):
TypeError: mg.sum: minigrad calls dim axis, keepdim keepdims: mg.sum(x, axis=1, keepdims=True)
>>> x.unsqueeze(1)
Traceback (most recent call last):
AttributeError: x.unsqueeze: minigrad calls it expand_dims: mg.expand_dims(x, 1). Or x[:, None]

```

This page is made from the table that those errors come from, by `python -m minigrad.other_names`.
"""

DIFFERENCES = [
    (
        "`x.max(1)` and `x.min(1)` give one thing",
        "The largest elements alone, not a pair with their positions; `argmax` gives these, and "
        "`mg.maximum` compares two tensors. So does `mg.sort`, with `mg.argsort`; `topk` gives a "
        "pair, as in PyTorch.",
        ">>> x.max(1), x.argmax(1)\n(tensor([5., 6.]), tensor([1, 2]))",
    ),
    (
        "`std` and `var` divide by n",
        "As in NumPy. `ddof=1` divides by n - 1, PyTorch's default.",
        ">>> mg.var(mg.tensor([1.0, 3.0])).item(), mg.var(mg.tensor([1.0, 3.0]), ddof=1).item()\n"
        "(1.0, 2.0)",
    ),
    (
        "`repeat` repeats each element",
        "As in NumPy: it is PyTorch's `repeat_interleave`. PyTorch's `repeat` is `mg.tile`.",
        ">>> v = mg.tensor([1, 2])\n>>> v.repeat(2), mg.tile(v, 2)\n"
        "(tensor([1, 1, 2, 2]), tensor([1, 2, 1, 2]))",
    ),
    (
        "`split` takes a number of parts, or positions",
        "As in NumPy, where PyTorch takes sizes.",
        ">>> [part.tolist() for part in mg.split(mg.arange(6), 2)]  # two parts\n"
        "[[0, 1, 2], [3, 4, 5]]\n"
        ">>> [part.tolist() for part in mg.split(mg.arange(6), (1, 3))]  # cuts before 1 and 3\n"
        "[[0], [1, 2], [3, 4, 5]]",
    ),
    (
        "`transpose` takes all axes",
        "As in NumPy. PyTorch's, which exchanges two, is `swapaxes`.",
        ">>> mg.ones((2, 3, 4)).transpose(0, 2, 1).shape, mg.ones((2, 3, 4)).swapaxes(1, 2).shape\n"
        "((2, 4, 3), (2, 4, 3))",
    ),
    (
        "`x.size` is a number",
        "That of all elements. PyTorch's `x.size()` is `x.shape`, a tuple.",
        ">>> x.size, x.shape, x.shape[0]\n(6, (2, 3), 2)",
    ),
    (
        "`mg.equal` compares element by element",
        "As `==` does. PyTorch's `equal` gives one truth value.",
        ">>> mg.equal(v, 2), bool((v == 2).all())\n(tensor([False,  True]), False)",
    ),
    (
        "`gelu` has the tanh form",
        'PyTorch\'s default is the form with the error function, `approximate="none"`; the two '
        "differ by less than 5e-4.",
        ">>> one = mg.tensor(1.0)\n"
        '>>> round(mg.gelu(one).item(), 4), round(mg.gelu(one, approximate="none").item(), 4)\n'
        "(0.8412, 0.8413)",
    ),
    (
        "Integers times float32 are float64",
        "Two tensors of different dtypes meet as NumPy's arrays do. A Python number changes no "
        "float tensor's dtype.",
        ">>> (mg.arange(3) * mg.ones(3)).dtype, (2 * mg.ones(3)).dtype\n"
        "(dtype('float64'), dtype('float32'))\n"
        '>>> (mg.arange(3).astype("float32") * mg.ones(3)).dtype\n'
        "dtype('float32')",
    ),
    (
        "`cumsum`, `cumprod` and `take` without an axis flatten",
        "As in NumPy; and `meshgrid` has `indexing='xy'` unless it is given `'ij'`.",
        ">>> mg.cumsum(mg.ones((2, 2)))\ntensor([1., 2., 3., 4.])",
    ),
    (
        "An edit never reaches another tensor",
        "`x += y` edits x within `mg.no_grad()`; elsewhere it makes a new tensor. `x.detach()` and "
        "`x[0]` keep their numbers when x is edited later. `x.data` is the backend's own array, "
        "NumPy's for instance, so `p.data.add_(...)` is written `p -= 0.1 * p.grad`:",
        ">>> p = mg.tensor([1.0], requires_grad=True)\n"
        ">>> (3 * p).sum().backward()\n"
        ">>> with mg.no_grad():\n"
        "...     p -= 0.1 * p.grad\n"
        ">>> p\n"
        "tensor([0.7], requires_grad=True)",
    ),
    (
        "Backends take the place of devices",
        "`MINIGRAD_BACKEND` (`numpy`, `numba`, `cupy`) is read when the first tensor is made, not "
        'later; `mg.set_backend("numba")` and `with mg.use_backend("numba"):` choose one in a '
        'program. `model.to("numpy")` and `x.to("numpy")` move; `.to("cpu")` is understood.',
        "",
    ),
    (
        "State dicts hold NumPy arrays",
        "So `mg.save(path, state)`, with the path first, writes a safetensors file that holds no "
        "code, and a state dict of PyTorch can be loaded.",
        ">>> list(nn.Linear(2, 1).state_dict().values())[1].dtype\ndtype('float32')",
    ),
    (
        "Random numbers are others",
        "`mg.manual_seed` controls all of them, on every backend alike; they aren't PyTorch's for "
        "the same seed.",
        "",
    ),
    (
        "A step without gradients is an error",
        "`optimizer.step()` and `clip_grad_norm_` raise if no parameter has a gradient.",
        "",
    ),
]
"""Title, text and example of each; the examples share their names with the introduction's."""
