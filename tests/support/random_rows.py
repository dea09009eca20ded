"""Functions of rows, drawn at random as text that a report shows; and what losses are given."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from random_cells import BINARY, REDUCTIONS, UNARY, WITH_ROW

import minigrad as mg

ELEMENTWISE = [text for text in UNARY if "axis=1" not in text]
SHORT = ["{}.sum(axis=-1)", "mg.logsumexp({}, axis=-1)", "mg.tanh({}.max(axis=-1))"]


class Case(NamedTuple):
    """A function with the arrays that it takes."""

    function: Any
    arrays: list
    text: str

    def __repr__(self):
        return f"\n{self.text}{[a.shape for a in self.arrays]}\n"


@st.composite
def functions(draw):
    """Any function that can be compiled, with rows of any number of axes."""
    random = draw(st.randoms(use_true_random=False))
    pick = random.choice
    lead = pick([(), (1,), (4,), (3,), (2, 3), (1, 1), (3, 1, 2)])
    widths = {"F": pick([1, 2, 3, 5]), "1": 1}
    shapes, pool, lines = {}, [], []

    def given_(prefix, shape):
        name = f"{prefix}{len(shapes)}"
        shapes[name] = shape
        return name

    def write(width, text):
        name = f"v{len(lines)}"
        lines.append(f"{name} = {text}")
        pool.append((name, width))

    def like(width):
        return pick([name for name, w in pool if w == width])

    pool += [(given_("x", (*lead, widths[w])), w) for w in ["F", *pick(["", "F", "1"])]]
    for _ in range(random.randint(1, 8)):
        a, w = pick(pool)
        kind = pick(["unary", "unary", "binary", "narrow", "shared", "reduction", "join", "slice"])
        if kind == "unary":
            write(w, pick(ELEMENTWISE).format(a))
        elif kind == "binary":
            write(w, pick(BINARY).format(a, like(w)))
        elif kind == "narrow" and "1" in {width for _, width in pool}:
            write(w, f"mg.tanh({a} {pick('+-*')} {like('1')})")
        elif kind == "shared" and lead:
            n = widths[w]
            shape = pick([(n,), (1, n), (), (1,), (1, 1)])
            write(w, pick(WITH_ROW).format(a, given_("p", shape)))
        elif kind == "reduction":
            write("1", pick(REDUCTIONS).format(a))
        elif kind == "join":
            b, other = pick(pool)
            widths[f"{w}{other}"] = widths[w] + widths[other]
            write(f"{w}{other}", f"mg.concatenate([{a}, {b}], axis=-1)")
        elif kind == "slice" and widths[w] > 1:
            widths[f"{w}-"] = widths[w] - 1
            write(f"{w}-", f"{a}[..., {pick(['1:', ':-1'])}]")
    ys = [pick(pool[-3:] + pool)[0] for _ in range(pick([1, 1, 2, 3]))]
    ys = [pick(SHORT).format(y) if random.random() < 0.2 else y for y in ys]
    text = f"def function({', '.join(shapes)}):\n"
    text += "".join(f"    {line}\n" for line in [*lines, f"return {', '.join(ys)}"])
    scope = {"mg": mg}
    exec(text, scope)
    rng = np.random.default_rng(random.randint(0, 2**32))
    return Case(scope["function"], [rng.normal(size=s) * 0.7 for s in shapes.values()], text)


@st.composite
def classified(draw):
    """Logits, labels (some of them to be ignored), and options of `cross_entropy`."""
    shape = draw(st.sampled_from([(3,), (1, 4), (5, 1), (6, 7), (2, 3, 4), (2, 3, 2, 2)]))
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    classes = shape[min(1, len(shape) - 1)]
    labels = rng.integers(0, classes, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if labels.size > 1 and draw(st.booleans()):
        labels.reshape(-1)[0] = -100
    weight = draw(st.sampled_from([(), (rng.random(classes),)]))
    options = {"label_smoothing": draw(st.sampled_from([0.0, 0.0, 0.2]))}
    options["reduction"] = draw(st.sampled_from(["mean", "sum", "none"]))
    return (rng.normal(size=shape) * 3, *weight), labels, options
