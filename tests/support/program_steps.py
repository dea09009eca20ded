"""How each op of the op table is called in a random program: one line of text per call.

A step gets the author of the program and returns the call, with the number of its results if
there are several; `Unfit` if no value will do.
"""

import numpy as np

STEPS = {}


def step(*names):
    """Registers a function as the steps of these names, which it is given if there are several."""

    def register(f):
        for name in names:
            STEPS[name] = f if len(names) == 1 else lambda a, name=name: f(a, name)
        return f

    return register


# --- elementwise -----------------------------------------------------------------------------

DOMAINS = {"exp": (-3, 2.5), "expm1": (-3, 2.5), "log": (0.3, 20), "log1p": (-0.6, 20)}
DOMAINS |= {"sqrt": (0.3, 20), "tan": (-1.2, 1.2), "sinh": (-3, 3), "cosh": (-3, 3)}
DOMAINS |= {"arcsin": (-0.9, 0.9), "arccos": (-0.9, 0.9), "arctanh": (-0.9, 0.9)}
DOMAINS |= {"arccosh": (1.2, 20), "exp2": (-4, 4), "log2": (0.3, 20), "log10": (0.3, 20)}
DOMAINS |= {"reciprocal": (0.4, 20)}


@step("tanh", "sin", "cos", "sigmoid", "relu", "abs", "square", "negative", "softplus", "exp")
def unary(a, name):
    x = a.real().name
    return f"mg.{name}({a.within(x, *DOMAINS.get(name, (-20, 20)))})"


@step("gelu")
def gelu(a):
    form = a.pick(["", ", approximate='none'"])
    return f"mg.gelu({a.within(a.real().name, -20, 20)}{form})"


@step("expm1", "log", "log1p", "sqrt", "sign", "silu")
def unary_too(a, name):
    return unary(a, name)


@step("erf", "exp2", "log2", "log10", "reciprocal")
def of_powers(a, name):
    return unary(a, name)


@step("tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh")
def of_angles(a, name):
    return unary(a, name)


@step("hypot", "arctan2")
def polar(a, name):
    v = a.real()
    x, y = v.name, a.partner(v)
    return f"mg.{name}({x}, {a.within(y, 0.4, 20) if y[0] in 'vx' else '-1.5'})"


@step("floor", "ceil", "trunc", "round")
def rounded(a, name):
    """Of an input: at a jump, the smallest difference of what was calculated would be one of 1."""
    x = a.leaf(a.real().shape, role="wanted").name
    return f"mg.{name}({x}{a.pick(['', ', 1', ', -1']) if name == 'round' else ''})"


@step("mod", "floor_divide")
def whole_division(a, name):
    x, sign = a.leaf(a.real().shape, role="wanted").name, {"mod": "%", "floor_divide": "//"}[name]
    y = a.pick(["0.7", "-2", "3"])
    return f"{x} {sign} {y}" if a.below(2) else f"mg.{name}({x}, {y})"


@step("isnan", "isfinite", "isinf")
def unary_truth(a, name):
    return f"mg.{name}({a.real().name})"


@step("elu", "leaky_relu")
def with_slope(a, name):
    setting = {"elu": "alpha", "leaky_relu": "negative_slope"}[name]
    return f"mg.{name}({a.real().name}, {setting}={a.pick([0.5, 0.1])})"


SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "equal": "=="}
SIGNS |= {"not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">"}
SIGNS |= {"greater_equal": ">="}


def binary_text(a, name, x, y):
    return f"{x} {SIGNS[name]} {y}" if name in SIGNS and a.below(2) else f"mg.{name}({x}, {y})"


@step("add", "multiply", "subtract", "divide", "maximum", "minimum", "logaddexp")
def binary(a, name):
    v = a.real()
    x, y = v.name, a.partner(v)
    if a.chance(3):
        x, y = y, x
    if name == "divide":
        y = a.within(y, 0.4, 20) if y[0] in "vx" else "-1.5"
    return binary_text(a, name, x, y)


@step("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
def comparison(a, name):
    v = a.real()
    return binary_text(a, name, v.name, a.partner(v))


@step("power")
def power(a):
    v = a.real()
    way = a.below(4)
    if way == 0:
        return f"{v.name} ** {a.pick([2, 3, 1, 2.0, 0])}"
    base = a.within(v.name, 0.4, 4)
    if way == 1:
        return f"{base} ** {a.pick([-1, 0.5, -0.5, 1.5])}"
    exponent = a.partner(v, numbers=False)
    a.as_tensor(exponent)
    exponent = a.within(exponent, -2, 2)
    if way == 2:
        return f"2.0 ** {exponent}"
    return f"mg.power({base}, {exponent})"


@step("clip")
def clip(a):
    low = a.pick(["-0.7", "None"])
    high = a.pick(["0.6", "None"])
    return f"mg.clip({a.real().name}, min={low}, max={high})"


def truth(a, shape=None):
    """Truth values of a shape that broadcasts with `shape`, as text."""
    found = [v for v in a.values if v.kind == "b" and (shape is None or v.shape == shape)]
    if found and a.below(2) == 0:
        return a.pick(found).name
    if shape is None:
        return f"({a.real().name} > 0.25)"
    if a.below(2) == 0:
        return a.leaf(shape[a.below(2) :] if shape else shape, "bool").name
    return f"({a.of_shape(shape).name} > 0.25)"


@step("nan_to_num")
def nan_to_num(a):
    return f"mg.nan_to_num({a.real().name}{a.pick(['', ', nan=0.5, posinf=1.0, neginf=-1.0'])})"


@step("isclose", "allclose")
def close(a, name):
    """Of inputs, as a difference in the last digit may decide."""
    v = a.leaf(a.real().shape, role="wanted")
    text = f"mg.{name}({v.name}, {a.pick(['0.5', v.name, a.leaf(v.shape).name])}, rtol=0.3)"
    return text if name == "isclose" else f"{v.name} + {text}"


@step("where")
def where(a):
    v = a.real()
    condition, other = truth(a, v.shape), a.partner(v)
    x, y = (v.name, other) if a.below(2) == 0 else (other, v.name)
    return f"mg.where({condition}, {x}, {y})"


@step("logical_and", "logical_or")
def logical(a, name):
    v = a.any(kinds="b")
    return f"mg.{name}({v.name}, {truth(a, v.shape)})"


@step("logical_not")
def logical_not(a):
    return f"mg.logical_not({a.any(kinds='b').name})"


BITS = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
BITS |= {"left_shift": "<<", "right_shift": ">>"}


@step(*BITS)
def bits(a, name):
    """Of integers and of truth values; shifts of integers alone, by small ones."""
    v = a.any(kinds=a.pick(["i", "b"]) if name in list(BITS)[:3] else "i")
    x, y = v.name, a.pick(["2", "1", a.of_shape(v.shape, v.kind).name])
    if name in list(BITS)[3:]:
        y = a.pick(["2", "1", f"mg.bitwise_and({y}, 3)" if y[0] in "xv" else "0"])
    elif a.below(2) and v.kind == "i":
        x, y = y, x
    return f"{x} {BITS[name]} {y}" if a.below(2) else f"mg.{name}({x}, {y})"


@step("bitwise_not")
def bitwise_not(a):
    v = a.any(kinds=a.pick(["i", "b"]))
    return f"~{v.name}" if a.below(2) else f"mg.bitwise_not({v.name})"


@step("astype")
def astype(a):
    if a.chance(3):
        return f"mg.astype({a.any(kinds='bi').name}, 'float64')"
    if a.below(2) and not a.special:
        return f"mg.astype({a.within(a.real().name, -9, 9)}, 'int64')"
    dtypes = {"mixed": ["float32", "float64"], "half": ["float16"]}.get(a.flavour, ["float64"])
    return f"mg.astype({a.real().name}, {a.pick(dtypes)!r})"


@step("transfer")
def transfer(a):
    return f"there_and_back({a.real().name})"


# --- reductions ------------------------------------------------------------------------------


MASKED = {"sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"}


def reduced(a, name, v, many=True, none=True, settings="", keepdims=True):
    axis = a.axis(v.ndim, many, none)
    settings += ", keepdims=True" if keepdims and a.below(2) else ""
    if name in MASKED and "ddof" not in settings and a.chance(5):
        mask = truth(a, v.shape)
        found = np.broadcast_to(np.asarray(eval(mask, a.scope)), v.shape)
        if a.special or found.any(axis=eval(axis)).all():  # of nothing, results are not finite
            settings += f", where={mask}"
    return f"mg.{name}({v.name}, axis={axis}{settings})"


@step("sum", "logsumexp")
def reduction(a, name):
    # Of nothing, logsumexp is -inf.
    return reduced(a, name, a.real(filled=name == "logsumexp" and not a.special))


@step("mean", "max", "min", "var", "std", "norm")
def of_something(a, name):
    v = a.real(filled=True)
    settings = ""
    if name == "norm" and a.chance(3):
        settings = f", ord={a.pick(['1', 'np.inf'])}"
    if name in ("var", "std") and a.chance(3) and 1 not in v.shape and v.ndim:
        settings = ", ddof=1"
    return reduced(a, name, v, settings=settings)


@step("prod")
def prod(a):
    v = a.real(fits=lambda v: v.size <= 64)
    return reduced(a, "prod", v)


@step("any", "all")
def any_(a, name):
    return reduced(a, name, a.any(kinds="b"))


@step("argmax", "argmin")
def argmax(a, name):
    return reduced(a, name, a.real(filled=True), many=False)


@step("cumsum")
def cumsum(a):
    v = a.real()
    return f"mg.cumsum({v.name}, axis={a.axis(v.ndim, many=False)})"


@step("softmax", "log_softmax")
def softmax(a, name):
    v = a.real(1)
    axis = a.pick([-1, *range(v.ndim)])
    return f"mg.{name}({a.within(v.name, -9, 9)}, axis={axis})"


# --- products --------------------------------------------------------------------------------


@step("matmul")
def matmul(a):
    v = a.real(1)
    n, lead = v.shape[-1], v.shape[:-2]
    m = a.pick([17, 40, 3, 64, 100] if a.large else [3, 2, 5, 1, 6, 7])
    if a.below(2) == 0 or v.ndim == 1:
        shapes = [(n, m), (n,), (*lead, n, m), (*(1 for _ in lead), n, m)]
        shapes += [(2, n, m)] if v.ndim < 3 else []
        other = a.of_shape(a.pick(shapes))
        return f"{v.name} @ {other.name}"
    n = v.shape[-2]
    shapes = [(m, n), (n,), (*lead, m, n), (2, *lead, m, n)[-4:] if len(lead) == 1 else (m, n)]
    return f"mg.matmul({a.of_shape(a.pick(shapes)).name}, {v.name})"


@step("dot")
def dot(a):
    v = a.real()
    if v.ndim == 0:
        return f"mg.dot({v.name}, {a.real().name})"
    n = v.shape[-1]
    m = 50 if a.large else 2
    return f"mg.dot({v.name}, {a.of_shape(a.pick([(n,), (n, m), (2, n, 3), ()])).name})"


@step("outer")
def outer(a):
    x = a.real(fits=lambda v: v.size <= 12)
    return f"mg.outer({x.name}, {a.of_shape(a.pick([(3,), (2, 2), ()])).name})"


EINSUMS = ["ij,jk->ik", "ij->ji", "i,i", "ij,jk", "ij,ij->j", "ii->i", "...j->...", "ij,kl->jk"]
EINSUMS += ["bij,jk->bik", "...ij,...jk->...ik", "ij,jk,kl->il", "ij->", "ji", "ii", "ij,ab"]
EINSUMS += ["ij,i->ij", "bij,bjk->bki", "i,j,ij", "ij , jk -> ki", "iij,jk->ik", "abi,iab->ba"]


@step("einsum")
def einsum(a):
    text = a.pick(EINSUMS)
    terms = text.split("->")[0].replace(" ", "").split(",")
    sizes, names = {}, []
    for term in terms:
        letters = term.replace("...", "AB" if "..." in term and a.below(2) else "")
        v = None
        if not names and len(set(letters)) == len(letters):
            v = next(
                (v for v in reversed(a.values) if v.kind == "f" and v.ndim == len(letters)), None
            )
        if v is None:
            sides = [17, 33, 5] if a.large else [2, 3, 4, 1]
            for letter in letters:
                sizes.setdefault(letter, a.pick(sides))
            single = {c for c in letters if letters.count(c) == 1 and a.chance(6)}
            v = a.leaf(tuple(1 if c in single else sizes[c] for c in letters))
        for letter, n in zip(letters, v.shape, strict=True):
            sizes[letter] = n if n != 1 else sizes.get(letter, a.pick([1, 2]))
        names.append(v.name)
    return f"mg.einsum({text!r}, {', '.join(names)})"


@step("linear")
def linear(a):
    v = a.real(1)
    m = a.pick([17, 40, 100] if a.large else [2, 3, 1])
    operands = [v.name, a.tensor((m, v.shape[-1]))]
    operands += [a.tensor((m,))] if a.below(2) else []
    return f"mg.linear({', '.join(operands)})"
