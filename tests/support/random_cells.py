"""Cells, drawn at random as scripts; one that fails is printed, and runs as it is."""

from hypothesis import strategies as st
from scans import Scan

UNARY = ["mg.tanh({})", "mg.sigmoid({})", "mg.relu({})", "mg.sin({})", "mg.square({})"]
UNARY += ["mg.abs({})", "mg.exp(mg.tanh({}))", "-{}", "mg.softplus({})", "mg.sqrt(1 + {0} * {0})"]
UNARY += ["mg.log(1.5 + mg.tanh({}))", "mg.sign({})", "mg.clip({}, -0.5, None)", "1 - {} * 3"]
UNARY += ["mg.clip({}, -0.5, 0.6)", "2.0 * {} ** 2", "{} / 2 + 0.5", "{0} + mg.ones_like({0})"]
UNARY += ["{0} - {0}.mean(axis=1).reshape(-1, 1)", "mg.softmax({})"]
UNARY += ["mg.arctan({})", "mg.erf({})", "mg.arcsinh({})", "mg.hypot({}, 1.5)"]
BINARY = ["mg.where({0} > 0, {1}, 0)", "mg.where({0} > {1}, {0}, {1})", "mg.maximum({0}, {1})"]
BINARY += ["mg.where({0} <= 0.1, 1.0, 0.0) * {1}", "{0} * {1}", "{0} - {1}", "{0} + {1}"]
REDUCTIONS = [f"mg.{name}({{}}, axis=-1, keepdims=True)" for name in ("sum", "mean", "max", "min")]
WITH_ROW = ["{0} + {1}", "{1} - {0}", "{0} * mg.tanh({1}) / mg.sqrt(1 + {1} * {1})"]
WITH_ROW += ["mg.logaddexp({0}, {1})", "mg.arctan2({0}, 1.5 + mg.tanh({1}))"]

# Of cells alone: what changes the place of numbers, and not the numbers.
SAME = ["{0}[:, 0:]", "mg.split({0}, 1, axis=-1)[0]", "mg.concatenate([{0}], axis=1)"]
SAME += ["mg.concatenate([{0}[:, :0], {0}], axis=-1)", "mg.reshape({0}, {0}.shape)", "{0}.detach()"]
SAME += ["mg.broadcast_to({0}, {0}.shape)", "{0}[..., : {0}.shape[1]]", "mg.clip({0}, None, None)"]
SAME += [
    "mg.concatenate([{0}[:, :1], {0}[:, 1:]], axis=1)",
    "{0} + {0}[:, :1]",
    "{0}[:, -1:] * {0}",
]
# Other dtypes, by numbers that all of them have.
SAME += ["{0} + (mg.abs({0}) > 0.2).astype('float64')", "{0} + 0 * ({0} > 0).astype('int64')"]
SAME += ["{0} * (mg.sign({0}).astype('float32') * 0.5).astype('float64')"]
ONE_COLUMN = ["{0}[:, :1]", "{0}[:, -1:]", "mg.sum({0}, axis=1, keepdims=True)[:, :1]"]
ONE_COLUMN += ["{0}.mean(axis=-1).reshape(-1, 1)", "({0} * 2).max(axis=1, keepdims=True)[..., 0:]"]
ONE_COLUMN += ["mg.concatenate([{0}[:, {0}.shape[1] :], {0}[:, :1]], axis=1)"]
STEPS = ["unary", "binary", "narrow", "product", "linear", "parameter", "per sequence", "same"]
STEPS += ["reduction", "column", "join", "slice", "split", "gates", "sum of products", "of parts"]


class _Choices:
    """What Python's random numbers can do, from bytes; 0 is the first choice, and the simplest.

    Hypothesis draws the bytes of a step all at once. Where it draws choices one by one, it makes
    many cells of one, and few of a kind of their own.
    """

    def __init__(self, numbers):
        self._rest = iter(numbers)

    drawn = staticmethod(lambda count: st.binary(min_size=count, max_size=count))

    def randint(self, first, last):
        return first + next(self._rest, 0) % (last - first + 1)

    def choice(self, options):
        return options[self.randint(0, len(options) - 1)]

    def random(self):
        """From 0 to 1; an unlikely choice is made below a small number, and 0 is none."""
        return 1 - self.randint(0, 255) / 256


class _Author:
    """Writes a cell: a line per step, each from values that are there already."""

    def __init__(self, random, N, sizes):
        self.random, self.N, self.sizes = random, N, sizes  # sizes by name of a width
        self.lines, self.shapes, self.shared = [], {}, {}
        self.pool = []  # (name, name of its width)

    def parameter(self, *shape):
        """A new parameter, or one of this shape that is there already."""
        names = [name for name, other in self.shared.items() if other == shape]
        if names and self.random.random() < 0.3:
            return f"p[{self.random.choice(names)!r}]"
        name = f"p{len(self.shapes)}"
        self.shapes[name] = self.shared[name] = shape
        return f"p[{name!r}]"

    def own_parameter(self, *shape):
        """A parameter with a row per sequence: it can't be a weight, too."""
        name = f"p{len(self.shapes)}"
        self.shapes[name] = shape
        return f"p[{name!r}]"

    # --- what all sequences share ----------------------------------------------------------

    def weight(self, n, m, depth=2):
        """A matrix (n, m) made of parameters."""
        if depth == 0 or self.random.random() > 0.7:
            return self.parameter(n, m)
        kind = self.random.choice(list(WEIGHTS))
        return WEIGHTS[kind](self, n, m, depth - 1)

    def vector(self, n, depth=2):
        """Numbers that meet n features: of as many, or one for all."""
        one = self.random.choice([(), (1,), (1, 1)])
        forms = [lambda shape=shape: self.parameter(*shape) for shape in [(n,), (1, n), one]]
        if depth:
            w, k = self.weight, self.random.choice([1, 2, 3])
            forms += [
                lambda: f"{w(k, n, depth - 1)}.sum(axis=0)",
                lambda: f"{w(k, n, depth - 1)}.mean(axis=0, keepdims=True)",
                lambda: f"mg.reshape({w(n, 1, depth - 1)}, ({n},))",
                lambda: f"{w(n, k, depth - 1)}.max(axis=-1)",
                lambda: f"{w(n, 2, depth - 1)}[:, :1].T",
                lambda: f"{self.parameter(n + 2)}[1:-1]",
                lambda: f"mg.concatenate([{self.parameter(n)}, {self.parameter(2)}])[:{n}]",
                lambda: f"mg.tanh({self.vector(n, depth - 1)}) * {self.vector(n, depth - 1)}",
            ]
        return self.random.choice(forms)()

    # --- values ----------------------------------------------------------------------------

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

    def product(self, to):
        """A product of any value and a weight, to a width."""
        a, w = self.pick()
        n, m = self.sizes[w], self.sizes[to]
        if self.random.random() < 0.05:
            signs, weight = f"mg.sign({a})", f"mg.sign({self.weight(n, m)})"
            return f"({signs}.astype('float32') @ {weight}.astype('float32')).astype('float64')"
        if self.random.random() < 0.5:
            return f"{a} @ {self.weight(n, m)}"
        bias = f", {self.parameter(m)}" if self.random.random() < 0.5 else ""
        return f"mg.linear({a}, {self.weight(m, n)}{bias})"

    def step(self):
        random, sizes = self.random, self.sizes
        (a, w), kind = self.pick(), random.choice(STEPS)
        n, to = sizes[w], random.choice(["H", "H", "K", "1", "I"])
        if kind in ("unary", "same"):
            self.write(w, random.choice(UNARY if kind == "unary" else SAME).format(a))
        elif kind == "binary":
            self.write(w, random.choice(BINARY).format(a, self.pick(w)[0]))
        elif kind == "narrow":  # one number per row meets all of a row
            narrow = [v for v in self.pool if v[1] == "1"]
            if narrow:
                b = random.choice(narrow)[0]
                b = random.choice([b, b, f"{b}[:, :1]", f"mg.broadcast_to({b}, {a}.shape)"])
                self.write(w, f"mg.tanh({a} {random.choice('+-*')} {b})")
        elif kind in ("product", "linear"):
            self.write(to, self.product(to))
        elif kind == "parameter":
            self.write(w, random.choice(WITH_ROW).format(a, self.vector(n)))
        elif kind == "per sequence":
            own = self.own_parameter(self.N, random.choice([n, 1]))
            self.write(w, random.choice([f"{own} * {a}", f"{a} + mg.sigmoid({own})"]))
        elif kind in ("reduction", "column"):
            forms = REDUCTIONS if kind == "reduction" else ONE_COLUMN
            self.write("1", random.choice(forms).format(a))
        elif kind == "join":
            b, other = self.pick()
            self.write(self.width(n + sizes[other]), f"mg.concatenate([{a}, {b}], axis=-1)")
        elif kind == "slice" and n > 1:
            self.write(self.width(n - 1), f"{a}[:, {random.choice(['1:', ':-1', f':{n - 1}'])}]")
        elif kind == "gates":  # with weights, and perhaps a bias, of its own each
            b, other = self.pick()
            form = random.choice(["{0}", "{0} + {2}", "{0} + {1}", "{0} + {1} + {2}"])
            for _ in range(random.choice([2, 3])):
                to = random.choice("HHK")
                products = [
                    f"{x} @ {self.weight(sizes[v], sizes[to])}" for x, v in [(a, w), (b, other)]
                ]
                self.write(to, form.format(*products, self.vector(sizes[to])))
        elif kind == "sum of products":
            terms = [self.product("H") for _ in range(random.choice([2, 2, 3]))]
            self.write("H", f"mg.tanh({' + '.join(terms)} {random.choice(['', '- 1', '+ 0.5'])})")
        elif kind == "of parts":  # equal, wider or narrower ones of two products
            size = sizes["H"] + 1
            weight = self.weight(n, size)
            first, second = (f"{x} @ {weight}" for x in (a, self.pick(w)[0]))
            if random.random() < 0.3:
                second = self.product("K")
            cuts = random.choice([(":1", ":1"), ("1:", "1:"), (":2", ":1"), (":1", "1:2")])
            cuts = ("1:", "1:2") if size > 2 and random.random() < 0.3 else cuts
            rows = self.lines
            rows.append(f"a{len(rows)} = {first}")
            rows.append(f"b{len(rows)} = {second}")
            parts = f"a{len(rows) - 2}[:, {cuts[0]}]", f"b{len(rows) - 1}[:, {cuts[1]}]"
            width = len(range(size)[_slice(cuts[0])])
            self.write(self.width(width), " + ".join(parts))
        elif kind == "split":
            name = f"u{len(self.lines)}"
            weights = self.weight(n, 2 * sizes["H"])
            self.lines.append(f"{name}, {name}_ = mg.split({a} @ {weights}, 2, axis=-1)")
            self.pool += [(name, "H"), (f"{name}_", "H")]

    def result(self, states):
        """The cell's last line: some of the newest values, and a new state."""
        pick = self.random.choice
        ys = [pick(self.pool[-3:] + self.pool)[0] for _ in range(pick([1, 1, 2, 3]))]
        new = []
        for _, width in states:
            fitting = [v for v, w in self.pool if self.sizes[w] == self.sizes[width]]
            chosen = pick(fitting[-3:] + fitting)
            new.append(f"mg.tanh({chosen})" if chosen[0] in "uv" else chosen)
        return f"return {_tuple(ys)}, {_tuple(new)}"


def _slice(text):
    first, _, last = text.partition(":")
    return slice(int(first or 0), int(last) if last else None)


# Ways to make a matrix (n, m): of the author, n, m, and how deep it may go on.
WEIGHTS = {
    "turned": lambda a, n, m, d: f"{a.weight(m, n, d)}.T",
    "in place": lambda a, n, m, d: f"mg.transpose({a.weight(n, m, d)}, (0, 1))",
    "turned by axes": lambda a, n, m, d: f"mg.transpose({a.weight(m, n, d)}, (1, 0))",
    "turned from the end": lambda a, n, m, d: f"mg.transpose({a.weight(m, n, d)}, (-1, -2))",
    "turned twice": lambda a, n, m, d: f"mg.swapaxes({a.weight(n, m, d)}.T, 0, 1)",
    "some columns": lambda a, n, m, d: f"{a.weight(n, m + 2, d)}[:, 1:-1]",
    "first columns": lambda a, n, m, d: f"{a.weight(n, m + 1, d)}[:, :{m}]",
    "some rows": lambda a, n, m, d: f"{a.weight(m, n + 2, d)}[:, 1:-1].T",
    "all columns": lambda a, n, m, d: f"{a.weight(n, m, d)}[:, 0:]",
    "one part": lambda a, n, m, d: f"mg.split({a.weight(n, 2 * m, d)}, 2, axis=-1)[1]",
    "one part of rows": lambda a, n, m, d: f"mg.split({a.weight(2 * n, m, d)}, 2, axis=0)[0]",
    "side by side": lambda a, n, m, d: (
        f"mg.concatenate([{a.weight(n, m, d)}, {a.weight(n, 1, d)}], axis=1)[:, 1:]"
    ),
    "on top": lambda a, n, m, d: (
        f"mg.concatenate([{a.weight(n, m, d)}, {a.weight(0, m, 0)}], axis=0)"
    ),
    "reshaped": lambda a, n, m, d: f"mg.reshape({a.weight(m, n, d)}, ({n}, {m}))",
    "of a vector": lambda a, n, m, d: f"{a.parameter(n * m)}.reshape({n}, -1)",
    "product": lambda a, n, m, d: f"({a.weight(n, 2, d)} @ {a.weight(2, m, d)})",
    "outer": lambda a, n, m, d: f"({a.weight(n, 1, d)} * {a.vector(m, 0)} + {a.parameter(n, m)})",
    "sum": lambda a, n, m, d: f"({a.weight(n, m, d)} + {a.weight(n, m, d)})",
    "scaled": lambda a, n, m, d: f"(0.5 * {a.weight(n, m, d)})",
    "scaled by a tensor": lambda a, n, m, d: f"({a.weight(n, m, d)} * {a.parameter()})",
    "broadcast": lambda a, n, m, d: f"mg.broadcast_to({a.weight(1, m, d)}, ({n}, {m}))",
    "broadcast columns": lambda a, n, m, d: f"mg.broadcast_to({a.weight(n, 1, d)}, ({n}, {m}))",
    "centred": lambda a, n, m, d: "({0} - {0}.mean(axis=0, keepdims=True))".format(
        a.weight(n, m, d)
    ),
    "normed": lambda a, n, m, d: "({0} / (1 + mg.norm({0}, axis=1, keepdims=True)))".format(
        a.weight(n, m, d)
    ),
    "bounded": lambda a, n, m, d: f"mg.tanh({a.weight(n, m, d)})",
}


def _tuple(names):
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


@st.composite
def cases(draw, most_steps=9):
    """Any cell that can be compiled, with inputs of any size, masks and directions."""
    random = _Choices(draw(_Choices.drawn(30)))
    pick = random.choice
    T, N = pick([1, 2, 4]), pick([1, 2, 3, 5, 13])
    sizes = {"I": pick([1, 2, 3]), "H": pick([1, 2, 3, 4]), "1": 1}
    sizes["K"] = sizes["H"] + 1
    author = _Author(random, N, sizes)
    xs = [(f"x{i}", pick(["I", "H", "1"])) for i in range(pick([1, 1, 2]))]
    states = [(f"s{i}", pick(["H", "H", "H", "1", "K"])) for i in range(pick([1, 1, 2, 3]))]
    author.pool += xs + states
    for numbers in draw(st.lists(_Choices.drawn(40), min_size=1, max_size=most_steps)):
        author.random = _Choices(numbers)
        author.step()
    author.random = random = _Choices(draw(_Choices.drawn(30)))
    lines = [f"{', '.join(name for name, _ in xs)} = x", f"{', '.join(n for n, _ in states)} = s"]
    lines += [*author.lines, author.result(states)]
    inputs, state = (
        _tuple([f"rng.normal(size={(*lead, sizes[w])})" for _, w in group])
        for lead, group in (((T, N), xs), ((N,), states))
    )
    params = [f"    {n!r}: 0.7 * rng.normal(size={shape})," for n, shape in author.shapes.items()]
    lengths = [random.randint(0, T) for _ in range(N)] if random.random() < 0.4 else None
    return Scan.of_script(
        "\n".join(
            [
                "def cell(p, x, s):",
                *(f"    {line}" for line in lines),
                "",
                "",
                f"rng = np.random.default_rng({random.randint(0, 255)})",
                "params = {",
                *params,
                "}",
                f"xs = {inputs}",
                f"state = {state}",
                f"lengths, reverse = {lengths}, {random.random() < 0.4}",
            ]
        )
    )
