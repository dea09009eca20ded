"""What the names mean that the lines of the table of other names are about."""

import math

import numpy as np

import minigrad as mg


def scope():
    """What the names in the lines mean; the files with rows say so, too."""
    mg.manual_seed(0)
    model = mg.nn.Linear(3, 2)
    x = mg.rand(2, 3) + 0.5
    logits, labels = model(x), [0, 1]
    found = {"mg": mg, "np": np, "math": math, "model": model, "x": x, "y": mg.rand(2, 3) + 0.5}
    found |= {"a": mg.rand(2, 2), "b": mg.rand(2, 2), "v": mg.rand(3), "i": mg.tensor([0, 1, 0])}
    found |= {"logits": logits, "labels": labels, "loss": mg.cross_entropy(logits, labels)}
    found |= {"m": x > 1, "array": np.ones(3)}
    found["loss"].backward(retain_graph=True)
    found["optimizer"] = mg.optim.SGD(model.parameters(), lr=0.1)
    return found
