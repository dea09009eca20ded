"""Random programs of small ops, with blocks that may be checkpoints, and hooks on any value."""

from hypothesis import strategies as st

import minigrad as mg

SHAPE = (2, 3)

OPS = {
    "add": lambda m, a, b: a + b,
    "same": lambda m, a, b: a + a,
    "subtract": lambda m, a, b: a - 2 * b,
    "multiply": lambda m, a, b: a * b,
    "tanh": lambda m, a, b: m.tanh(a),
    "sin": lambda m, a, b: m.sin(b) * a,
    "row": lambda m, a, b: a + b.sum(0),
    "swap": lambda m, a, b: m.concatenate([b[1:], a[:1]]),
    "halves": lambda m, a, b: _halves(m, a) * b,
    "constant": lambda m, a, b: a * 0.5 + 1,
}


def _halves(m, a):
    first, last = m.unstack(a) if m is mg else m.unbind(a)
    return m.stack([m.sin(last), first])


@st.composite
def steps(draw, known, depth, most=5):
    """Steps of a program that starts with so many values: ops, blocks, hooks, retained ones."""
    found = []
    for _ in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(["op", "op", "hook", "retain"] + ["block"] * (depth > 0)))
        pick = st.integers(0, known - 1)
        if kind == "op":
            found.append((kind, draw(st.sampled_from(sorted(OPS))), draw(pick), draw(pick)))
            known += 1
        elif kind == "block":
            inner = draw(steps(known, depth - 1, most=4))
            inner.append(("op", "multiply", draw(pick), draw(pick)))  # it makes one value at least
            given = draw(st.booleans())  # whether values are arguments, or found in the closure
            found.append((kind, inner, given))
            known += made(inner)
        elif kind == "hook":
            found.append((kind, draw(pick), draw(st.sampled_from([None, 2.0, -0.5]))))
        else:
            found.append((kind, draw(pick)))
    return found


def made(program):
    """How many values a program makes."""
    return sum(
        1 if step[0] == "op" else made(step[1]) if step[0] == "block" else 0 for step in program
    )


def programs():
    """Programs over two leaves."""
    return steps(known=2, depth=2)


class Run:
    """One run of a program on the leaves.

    `m` is minigrad or torch, `checkpointed` whether blocks are checkpoints. Within a block, hooks
    and retained values are those of the block's own: a checkpoint's function runs twice, and would
    register hooks on what enters it twice. At second order it may run once more, and its own values
    get their gradients in parts: `within` is whether they have hooks.
    """

    def __init__(self, program, leaves, m=mg, checkpointed=False, within=True):
        self.m, self.checkpointed, self.within = m, checkpointed, within
        self.calls = {}  # by place in the program: the gradients that a hook has seen
        self.retained = []
        self.values = self._run(program, list(leaves), (), first_own=0)

    def _run(self, program, values, place, first_own):
        for i, step in enumerate(program):
            here = (*place, i)
            if step[0] == "op":
                _, name, a, b = step
                values.append(OPS[name](self.m, values[a], values[b]))
            elif step[0] == "block":
                values += self._block(step, values, here)
            elif step[1] >= first_own and (self.within or not place):
                if step[0] == "hook":
                    values[step[1]].register_hook(self._hook(here, step[2]))
                else:
                    values[step[1]].retain_grad()
                    if not place:
                        self.retained.append(values[step[1]])
        return values

    def _block(self, step, values, here):
        _, inner, given = step
        outer = list(values)

        def run(*arguments):
            start = list(arguments) if given else list(outer)
            new = self._run(inner, start, here, len(outer))[len(outer) :]
            return tuple(x * 1 for x in new)  # or what is returned is also used within the block

        arguments = outer if given else []
        if not self.checkpointed:
            return run(*arguments)
        return mg.checkpoint(run, *arguments)

    def _hook(self, here, factor):
        def hook(g):
            self.calls.setdefault(here, []).append(g.detach())
            return None if factor is None else g * factor

        return hook

    def loss(self, weights):
        """A sum of the last values, with weights."""
        total = None
        for value, weight in zip(self.values[-3:], weights, strict=False):
            part = (value * weight).sum()
            total = part if total is None else total + part
        return total
