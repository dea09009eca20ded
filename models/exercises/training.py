"""Exercises about learning and generating: optimisers, clipping, sampling, attention."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from .compare import compare
from .exercise import Student, exercise


def _rng() -> np.random.Generator:
    return np.random.default_rng(2)


@exercise("momentum", 4, "Gradient descent with momentum.")
def momentum(student: Student) -> None:
    """Compare three steps with `mg.optim.SGD`."""
    rng = _rng()
    w = rng.normal(size=5)
    parameter = mg.nn.Parameter(mg.tensor(w))
    optimizer = mg.optim.SGD([parameter], lr=0.1, momentum=0.9)
    velocity = np.zeros(5)
    for step in range(1, 4):
        g = rng.normal(size=5)
        plain = w - 0.1 * g
        parameter.grad = mg.tensor(g)
        optimizer.step()
        w, velocity = student.parts("step", 2, w, velocity, g, 0.1, 0.9)
        others = {"a step without momentum": plain} if step > 1 else {}
        compare(f"the weight after step {step}", w, parameter, others=others, axes=("entry",))


@exercise("adam", 13, "A step of Adam.")
def adam(student: Student) -> None:
    """Compare three steps with `mg.optim.Adam`."""
    rng = _rng()
    w = rng.normal(size=5)
    parameter = mg.nn.Parameter(mg.tensor(w))
    optimizer = mg.optim.Adam([parameter], lr=0.1)
    m, v = np.zeros(5), np.zeros(5)
    for t in range(1, 4):
        g = rng.normal(size=5)
        before, m_next, v_next = w, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        parameter.grad = mg.tensor(g)
        optimizer.step()
        w, m, v = student.parts("step", 3, w, m, v, g, t, 0.1)
        others = {
            "a step without the corrections 1 - 0.9^t and 1 - 0.999^t": before
            - 0.1 * m_next / (np.sqrt(v_next) + 1e-8),
            "a step of plain gradient descent": before - 0.1 * g,
        }
        compare(f"the weight after step {t}", w, parameter, others=others, axes=("entry",))


@exercise("clipping", 11, "Scale gradients down to a common norm.")
def clipping(student: Student) -> None:
    """Above the limit all are scaled by one number, below it none is."""
    rng = _rng()
    for limit in (1.0, 1000.0):
        gradients = [rng.normal(size=(3, 4)), rng.normal(size=5)]
        norm = np.sqrt(sum(float((g * g).sum()) for g in gradients))
        wanted = [g * min(1.0, limit / norm) for g in gradients]
        got = student.parts("clip", 2, gradients, limit)
        for i, (answer, right) in enumerate(zip(got, wanted, strict=True)):
            g = gradients[i]
            others = {
                "each gradient scaled by its norm alone": g * limit / np.linalg.norm(g),
                "gradients that are scaled up, too": g * limit / norm,
                "gradients cut off entry by entry": np.clip(g, -limit, limit),
            }
            compare(f"gradient {i} for the limit {limit:g}", answer, right, others=others)


@exercise("temperature", 11, "Probabilities for the next character: temperature and top-k.")
def temperature(student: Student) -> None:
    """Compare at several temperatures."""
    scores = _rng().normal(size=8)
    for heat, k in ((1.0, 8), (0.5, 8), (2.0, 3), (1.0, 1)):
        wanted = np.exp(scores / heat)
        wanted[np.argsort(scores)[: 8 - k]] = 0
        wanted /= wanted.sum()
        whole = np.exp(scores / heat) / np.exp(scores / heat).sum()
        hot = np.exp(scores * heat) / np.exp(scores * heat).sum()
        cut = np.where(wanted > 0, whole, 0)
        others = {
            "all characters, without top-k": whole,
            "probabilities that no longer add up to 1": cut,
            "scores times the temperature, not by it": hot,
        }
        got = student("probabilities", scores, heat, k)
        what = f"the probabilities for temperature {heat:g}, top {k}"
        compare(what, got, wanted, others=others, axes=("character",))


@exercise("attention", 8, "Attention: weights over what was read, and their mean.")
def attention(student: Student) -> None:
    """Compare weights and context; steps in the padding get no weight."""
    rng = _rng()
    states, query, lengths = rng.normal(size=(6, 3, 5)), rng.normal(size=(3, 5)), [6, 4, 1]
    scores = np.einsum("tnh,nh->tn", states, query)
    unmasked = np.exp(scores) / np.exp(scores).sum(axis=0)
    inside = np.arange(6)[:, None] < np.array(lengths)
    weights = np.where(inside, np.exp(scores), 0)
    cut = np.where(inside, unmasked, 0)
    weights /= weights.sum(axis=0)
    over_batch = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    context = np.einsum("tn,tnh->nh", weights, states)
    got = student.parts("attend", 2, states, query, np.array(lengths))
    others = {
        "weights that reach into the padding": unmasked,
        "weights that don't add up to 1 over the steps": cut,
        "a softmax over the batch, not over the steps": over_batch,
    }
    compare("the weights", got[0], weights, others=others, axes=("step", "sequence"))
    compare("the context", got[1], context, axes=("sequence", "unit"))
