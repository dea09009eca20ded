"""Cells, drawn at random as text; one that fails can be read in the report."""

import numpy as np
from hypothesis import strategies as st
from scans import Scan

import minigrad as mg

UNARY = ["mg.tanh({})", "mg.sigmoid({})", "mg.relu({})", "mg.sin({})", "mg.square({})"]
UNARY += ["mg.abs({})", "mg.exp(mg.tanh({}))", "-{}", "mg.softplus({})", "mg.sqrt(1 + {0} * {0})"]
UNARY += ["mg.log(1.5 + mg.tanh({}))", "mg.sign({})", "mg.clip({}, -0.5, None)", "1 - {} * 3"]
UNARY += ["mg.clip({}, -0.5, 0.6)", "2.0 * {} ** 2", "{} / 2 + 0.5", "{0} + mg.ones_like({0})"]
UNARY += ["{0} - {0}.mean(axis=1).reshape(-1, 1)", "mg.softmax({})"]
BINARY = ["mg.where({0} > 0, {1}, 0)", "mg.where({0} > {1}, {0}, {1})", "mg.maximum({0}, {1})"]
BINARY += ["mg.where({0} <= 0.1, 1.0, 0.0) * {1}", "{0} * {1}", "{0} - {1}", "{0} + {1}"]
REDUCTIONS = [f"mg.{name}({{}}, axis=-1, keepdims=True)" for name in ("sum", "mean", "max", "min")]
WITH_ROW = ["{0} + {1}", "{1} - {0}", "{0} * mg.tanh({1}) / mg.sqrt(1 + {1} * {1})"]
STEPS = ["unary", "binary", "narrow", "product", "linear", "low rank", "parameter", "per sequence"]
STEPS += ["reduction", "join", "slice", "split", "gates", "sum of products"]


class _Author:
    """Writes a cell: a line per step, each from values that are there already."""

    def __init__(self, random, N, sizes):
        self.random, self.N, self.sizes = random, N, sizes  # sizes by name of a width
        self.lines, self.shapes = [], {}
        self.pool = []  # (name, name of its width)

    def parameter(self, *shape):
        name = f"p{len(self.shapes)}"
        self.shapes[name] = shape
        return f"p[{name!r}]"

    def pick(self, width=None):
        return self.random.choice([v for v in self.pool if width in (None, v[1])])

    def width(self, size):
        """The name of a width of its own."""
        name = f"w{len(self.sizes)}"
        self.sizes[name] = size
        return name

    def write(self, width, text):
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.pool.append((name, width))

    def step(self):
        random, sizes = self.random, self.sizes
        (a, w), kind = self.pick(), random.choice(STEPS)
        n = sizes[w]
        if kind == "unary":
            self.write(w, random.choice(UNARY).format(a))
        elif kind == "binary":
            self.write(w, random.choice(BINARY).format(a, self.pick(w)[0]))
        elif kind == "narrow":  # one number per row meets all of a row
            narrow = [v for v in self.pool if v[1] == "1"]
            if narrow:
                self.write(w, f"mg.tanh({a} {random.choice('+-*')} {random.choice(narrow)[0]})")
        elif kind in ("product", "linear", "low rank"):
            to = random.choice(["H", "H", "K", "1", "I"])
            text = {
                "product": lambda: f"{a} @ {self.parameter(n, sizes[to])}",
                "linear": lambda: f"mg.linear({a}, {self.parameter(sizes[to], n)})",
                "low rank": lambda: (
                    f"{a} @ ({self.parameter(n, 2)} @ {self.parameter(2, sizes[to])})"
                ),
            }[kind]()
            self.write(to, text)
        elif kind == "parameter":
            shape = random.choice([(n,), (1, n), (), (1,), (1, 1)])
            self.write(w, random.choice(WITH_ROW).format(a, self.parameter(*shape)))
        elif kind == "per sequence":
            own = self.parameter(self.N, random.choice([n, 1]))
            self.write(w, random.choice([f"{own} * {a}", f"{a} + mg.sigmoid({own})"]))
        elif kind == "reduction":
            self.write("1", random.choice(REDUCTIONS).format(a))
        elif kind == "join":
            b, other = self.pick()
            self.write(self.width(n + sizes[other]), f"mg.concatenate([{a}, {b}], axis=-1)")
        elif kind == "slice" and n > 1:
            self.write(self.width(n - 1), f"{a}[:, {random.choice(['1:', ':-1'])}]")
        elif kind == "gates":  # with weights, and perhaps a bias, of its own each
            b, other = self.pick()
            form = random.choice(["{0}", "{0} + {2}", "{0} + {1}", "{0} + {1} + {2}"])
            for _ in range(random.choice([2, 3])):
                to = random.choice("HHK")
                products = [
                    f"{x} @ {self.parameter(sizes[v], sizes[to])}" for x, v in [(a, w), (b, other)]
                ]
                self.write(to, form.format(*products, self.parameter(sizes[to])))
        elif kind == "sum of products":
            terms = [
                f"{x} @ {self.parameter(sizes[v], sizes['H'])}" for x, v in [self.pick(), (a, w)]
            ]
            self.write("H", f"mg.tanh({' + '.join(terms)} {random.choice(['', '- 1', '+ 0.5'])})")
        elif kind == "split":
            name = f"u{len(self.lines)}"
            weights = self.parameter(n, 2 * sizes["H"])
            self.lines.append(f"{name}, {name}_ = mg.split({a} @ {weights}, 2, axis=-1)")
            self.pool += [(name, "H"), (f"{name}_", "H")]

    def result(self, states):
        """The cell's last line: some of the newest values, and a new state."""
        pick = self.random.choice
        ys = [pick(self.pool[-3:] + self.pool)[0] for _ in range(pick([1, 1, 2, 3]))]
        new = []
        for _, width in states:
            fitting = [v for v, w in self.pool if w == width]
            chosen = pick(fitting[-3:] + fitting)
            new.append(f"mg.tanh({chosen})" if chosen[0] in "uv" else chosen)
        return f"return {_tuple(ys)}, {_tuple(new)}"


def _tuple(names):
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


@st.composite
def cases(draw):
    """Any cell that can be compiled, with inputs of any size, masks and directions."""
    random = draw(st.randoms(use_true_random=False))
    pick = random.choice
    T, N = pick([1, 2, 4]), pick([1, 2, 3, 5])
    sizes = {"I": pick([1, 2, 3]), "H": pick([1, 2, 3, 4]), "1": 1}
    sizes["K"] = sizes["H"] + 1
    author = _Author(random, N, sizes)
    xs = [(f"x{i}", pick(["I", "H", "1"])) for i in range(pick([1, 1, 2]))]
    states = [(f"s{i}", pick(["H", "H", "H", "1", "K"])) for i in range(pick([1, 1, 2, 3]))]
    author.pool += xs + states
    for _ in range(random.randint(2, 9)):
        author.step()
    lines = [f"{', '.join(name for name, _ in xs)} = x", f"{', '.join(n for n, _ in states)} = s"]
    lines += [*author.lines, author.result(states)]
    text = "def cell(p, x, s):\n" + "".join(f"    {line}\n" for line in lines)
    scope = {"mg": mg}
    exec(text, scope)
    rng = np.random.default_rng(random.randint(0, 2**32))
    xs, state = (
        [rng.normal(size=(*lead, sizes[w])) for _, w in group]
        for lead, group in (((T, N), xs), ((N,), states))
    )
    return Scan(
        scope["cell"],
        {name: rng.normal(size=shape) * 0.7 for name, shape in author.shapes.items()},
        tuple(xs) if len(xs) > 1 else xs[0],
        tuple(state) if len(state) > 1 else state[0],
        [random.randint(0, T) for _ in range(N)] if random.random() < 0.4 else None,
        random.random() < 0.4,
        text,
    )
