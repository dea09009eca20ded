"""Exercises of chapters 1 to 13: derivatives by hand."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from .compare import compare
from .exercise import Student, exercise


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _grads(y: mg.Tensor, g: np.ndarray, *inputs: mg.Tensor) -> list[np.ndarray]:
    return [found.numpy() for found in mg.grad((y * mg.tensor(g)).sum(), list(inputs))]


def _leaves(*arrays: np.ndarray) -> list[mg.Tensor]:
    return [mg.tensor(array, requires_grad=True) for array in arrays]


@exercise("polynomial", 3, "The derivative of x³ - 2x.")
def polynomial(student: Student) -> None:
    """Compare with the derivative that minigrad computes."""
    x = _rng().normal(size=5)
    (leaf,) = _leaves(x)
    (wanted,) = _grads(leaf**3 - 2 * leaf, np.ones(5), leaf)
    terms = {"3 x²": 3 * x**2, "-2": np.full(5, -2.0), "the 2 of 2x": np.full(5, 2.0)}
    compare("the derivative", student("derivative", x), wanted, factors=terms)


@exercise("tanh-slope", 3, "The way back through tanh, from its output.")
def tanh_slope(student: Student) -> None:
    """Compare with minigrad's derivative of tanh."""
    x, g = _rng().normal(size=(2, 3, 4))
    (leaf,) = _leaves(x)
    y = mg.tanh(leaf)
    (wanted,) = _grads(y, g, leaf)
    slopes = {"g": g, "the slope 1 - y²": 1 - y.numpy() ** 2, "y": y.numpy()}
    got = student("backward", g, y.numpy())
    compare("the gradient of x", got, wanted, factors=slopes, axes=("row", "column"))


@exercise("sigmoid-slope", 3, "The way back through sigmoid, from its output.")
def sigmoid_slope(student: Student) -> None:
    """Compare with minigrad's derivative of sigmoid."""
    x, g = _rng().normal(size=(2, 3, 4))
    (leaf,) = _leaves(x)
    y = mg.sigmoid(leaf)
    (wanted,) = _grads(y, g, leaf)
    s = y.numpy()
    slopes = {"g": g, "the slope y (1 - y)": s * (1 - s), "y": s, "1 - y": 1 - s}
    got = student("backward", g, s)
    compare("the gradient of x", got, wanted, factors=slopes, axes=("row", "column"))


@exercise("chain-rule", 2, "One unit: back through tanh(w x + b) to w, x and b.")
def chain_rule(student: Student) -> None:
    """Compare all three gradients."""
    x, w, b, g = _rng().normal(size=4)
    leaves = _leaves(x, w, b)
    y = mg.tanh(leaves[1] * leaves[0] + leaves[2])
    wanted = _grads(y, g, *leaves)
    got = student.parts("backward", 3, x, w, b, g)
    factors = {"the slope of tanh": 1 - y.numpy() ** 2, "x": x, "w": w, "g": g}
    right = dict(zip(("x", "w", "b"), wanted, strict=True))
    for name, answer in zip(right, got, strict=True):
        others = {f"the gradient of {other}": value for other, value in right.items()}
        compare(f"the gradient of {name}", answer, right[name], factors=factors, others=others)


@exercise("linear-backward", 2, "The way back through a linear layer of a batch.")
def linear_backward(student: Student) -> None:
    """Compare the gradients of input, weight and bias."""
    rng = _rng()
    x, w, b, g = (rng.normal(size=size) for size in ((6, 5), (7, 5), (7,), (6, 7)))
    leaves = _leaves(x, w, b)
    wanted = _grads(mg.linear(*leaves), g, *leaves)
    got = student.parts("backward", 3, x, w, g)
    for name, answer, right in zip(("x", "w", "b"), got, wanted, strict=True):
        compare(f"the gradient of {name}", answer, right)


@exercise("broadcast-backward", 13, "Back through x * s + b, where s and b serve all rows.")
def broadcast_backward(student: Student) -> None:
    """Compare three gradients; those of s and b are sums over rows."""
    rng = _rng()
    x, s, b, g = (rng.normal(size=size) for size in ((6, 5), (5,), (5,), (6, 5)))
    leaves = _leaves(x, s, b)
    wanted = _grads(leaves[0] * leaves[1] + leaves[2], g, *leaves)
    got = student.parts("backward", 3, x, s, g)
    for name, answer, right in zip(("x", "s", "b"), got, wanted, strict=True):
        compare(f"the gradient of {name}", answer, right, factors={"s": s, "x": x})


@exercise("softmax-loss", 9, "The gradient of the mean cross-entropy.")
def softmax_loss(student: Student) -> None:
    """Compare loss and gradient with `mg.cross_entropy`."""
    rng = _rng()
    scores, labels = rng.normal(size=(6, 5)), rng.integers(0, 5, 6)
    (leaf,) = _leaves(scores)
    loss = mg.cross_entropy(leaf, mg.tensor(labels))
    got_loss, got = student.parts("loss_and_gradient", 2, scores, labels)
    compare("the loss", got_loss, loss.item(), factors={"1/N": 1 / 6, "N": 6.0})
    (wanted,) = _grads(loss, np.ones(()), leaf)
    hot = np.eye(5)[labels]
    factors = {"the 1 of the right class": -hot, "-1/N at the right class": -hot / 6}
    compare("the gradient", got, wanted, factors=factors, axes=("row", "class"))


@exercise("embedding-backward", 1, "The gradient of a table of word vectors.")
def embedding_backward(student: Student) -> None:
    """Words that occur twice get the sum of both gradients."""
    rng = _rng()
    table, words, g = rng.normal(size=(7, 5)), np.array([3, 1, 3, 0, 3]), rng.normal(size=(5, 5))
    (leaf,) = _leaves(table)
    (wanted,) = _grads(mg.embedding(mg.tensor(words), leaf), g, leaf)
    last = np.zeros_like(table)
    last[words] = g
    once = {"the case that each word occurs once: row 3 occurs three times": last}
    got = student("backward", g, words, len(table))
    compare("the gradient of the table", got, wanted, others=once, axes=("word", "feature"))


@exercise("measured-slope", 13, "Measure a gradient: differences to both sides.")
def measured_slope(student: Student) -> None:
    """Compare with the gradient; one-sided differences are too far off."""
    x = _rng().normal(size=6)

    def f(v: np.ndarray) -> float:
        return float(np.sin(v).sum() + v[0] * v[1] ** 2 + np.exp(v).sum())

    wanted = np.cos(x) + np.exp(x)
    wanted[0] += x[1] ** 2
    wanted[1] += 2 * x[0] * x[1]
    eps = 1e-4
    one_sided = np.array([(f(x + eps * e) - f(x)) / eps for e in np.eye(6)])
    others = {"a difference to one side, whose error is a thousand times larger": one_sided}
    compare("the slope", student("slope", f, x, eps), wanted, others=others, axes=("entry",))


@exercise("vanishing", 4, "What is left of a gradient after T steps of one unit.")
def vanishing(student: Student) -> None:
    """h ← tanh(w h): the derivative of the last state with respect to the first."""
    for w, T in ((0.9, 10), (1.5, 25), (-1.2, 7)):
        (h0,) = _leaves(np.array(0.5))
        h = h0
        states = [0.5]
        for _ in range(T):
            h = mg.tanh(w * h)
            states.append(h.item())
        (wanted,) = _grads(h, np.ones(()), h0)
        after, before = np.array(states[1:]), np.array(states[:-1])
        factors = {
            "the factor w of each step": w**T,
            "one factor w": w,
            "the slope of tanh at each step": np.prod(1 - after**2),
        }
        others = {
            "slopes taken at the states before the steps": np.prod(w * (1 - before**2)),
            "slopes taken at T - 1 of the steps": np.prod(w * (1 - after[:-1] ** 2)),
        }
        got = student("left_of_the_gradient", w, 0.5, T)
        what = f"what is left for w = {w}, T = {T}"
        compare(what, got, wanted, factors=factors, others=others)
