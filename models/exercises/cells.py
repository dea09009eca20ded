"""Exercises of chapters 1 to 15: the cells, forwards and backwards."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nn import Recurrent

from ..tasks.first import First, FirstSettings
from ..tasks.memory_task import MemoryNetwork
from ..training.loop import fit
from .compare import Mistake, compare
from .exercise import Student, exercise

T, N, I, H = 4, 3, 6, 5  # all different, so that no mix-up of axes fits by chance


def _arrays(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def _layer(layer: Any) -> Any:
    """A layer of random float64 weights, its biases included."""
    mg.manual_seed(1)
    layer = layer.double()
    for parameter in layer.parameters():
        parameter.data = mg.randn(parameter.shape, dtype=np.float64).data
    return layer


def _weights(layer: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bias = layer.bias_ih_l0.numpy() + layer.bias_hh_l0.numpy()
    return layer.weight_ih_l0.numpy(), layer.weight_hh_l0.numpy(), bias


@exercise("rnn-step", 2, "A step of the RNN.")
def rnn_step(student: Student) -> None:
    """Compare with the layer, on one step of a batch."""
    layer = _layer(mg.nn.RNN(I, H))
    given = _arrays(x=(N, I), h=(N, H))
    wanted = layer.step(mg.tensor(given["x"]), mg.tensor(given["h"][None]))[0].numpy()
    w_ih, w_hh, bias = _weights(layer)
    sums = given["x"] @ w_ih.T + given["h"] @ w_hh.T + bias
    others = {
        "the sum before tanh": sums,
        "a step without the bias": np.tanh(sums - bias),
        "a step without the old state": np.tanh(given["x"] @ w_ih.T + bias),
        "a product with w_hh, not with w_hh.T": np.tanh(
            given["x"] @ w_ih.T + given["h"] @ w_hh + bias
        ),
    }
    got = student("rnn_step", given["x"], given["h"], w_ih, w_hh, bias)
    compare("the new state", got, wanted, others=others, axes=("sequence", "unit"))


@exercise("rnn-loop", 1, "Read a whole sequence, step by step.")
def rnn_loop(student: Student) -> None:
    """Compare all states, and say at which step they begin to differ."""
    layer = _layer(mg.nn.RNN(I, H))
    x = _arrays(x=(T, N, I))["x"]
    wanted = layer(mg.tensor(x))[0].numpy()
    w_ih, w_hh, bias = _weights(layer)
    alone = np.stack([np.tanh(step @ w_ih.T + bias) for step in x])
    got = student("read", x, w_ih, w_hh, bias)
    others = {"a layer that starts anew at each step: is the state handed on?": alone}
    compare("the states", got, wanted, others=others, axes=("step", "sequence", "unit"))


@exercise("rnn-backward", 4, "Backpropagation through time, for an RNN.")
def rnn_backward(student: Student) -> None:
    """Compare the gradients of the weights and of the first state, with the usual mistakes."""
    layer = _layer(mg.nn.RNN(I, H))
    given = _arrays(x=(T, N, I), g=(T, N, H), h=(N, H))
    x, h0 = mg.tensor(given["x"]), mg.tensor(given["h"][None], requires_grad=True)
    y, _ = layer(x, h0)
    parameters = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, h0]
    wanted = mg.grad((y * mg.tensor(given["g"])).sum(), parameters)
    states = np.concatenate([given["h"][None], y.numpy()])  # (T + 1, N, H)
    _, w_hh, _ = _weights(layer)
    slopes = 1 - states[1:] ** 2
    one_step = given["g"] * slopes  # of a way back that doesn't go on to the step before
    mistakes = {
        "w_ih": {"one step back only": np.einsum("tnh,tni->hi", one_step, given["x"])},
        "w_hh": {"one step back only": np.einsum("tnh,tnk->hk", one_step, states[:-1])},
        "bias": {"one step back only": one_step.sum(axis=(0, 1))},
        "first state": {},
    }
    got = student.named("backward", [*mistakes], given["x"], states, w_hh, given["g"])
    for (name, others), right in zip(mistakes.items(), wanted, strict=True):
        right = right.numpy().reshape(-1, H) if name == "first state" else right.numpy()
        compare(f"the gradient of {name}", got[name], right, others=others)


def _compare_named(got: dict[str, Any], wanted: dict[str, np.ndarray], what: str = "") -> None:
    """Compare values in order; one that is another's is said to be so."""
    for name, right in wanted.items():
        others = {f"{what}{other}": value for other, value in wanted.items() if other != name}
        plain = {f"{what}{name} before its squashing": _unsquashed(right)}
        compare(f"{what}{name}", got[name], right, others=others | plain, axes=("sequence", "unit"))


def _unsquashed(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        between = bool(((values > 0) & (values < 1)).all())
        return np.log(values / (1 - values)) if between else np.arctanh(values)


@exercise("lstm-step", 5, "A step of the LSTM, in seven lines.")
def lstm_step(student: Student) -> None:
    """Compare gate by gate, in the order in which they are computed."""
    layer = _layer(mg.nn.LSTM(I, H))
    given = _arrays(x=(N, I), h=(N, H), c=(N, H))
    state = mg.tensor(given["h"][None]), mg.tensor(given["c"][None])
    with mg.record() as trace:
        layer.step(mg.tensor(given["x"]), state)
    order = ["forget", "candidate", "input", "cell", "output", "hidden"]
    wanted = {name: trace[name][0] for name in order}
    got = student.named("lstm_step", order, given["x"], given["h"], given["c"], *_weights(layer))
    _compare_named(got, wanted)


@exercise("gru-step", 7, "A step of the GRU.")
def gru_step(student: Student) -> None:
    """Compare gate by gate."""
    layer = _layer(mg.nn.GRU(I, H))
    given = _arrays(x=(N, I), h=(N, H))
    with mg.record() as trace:
        layer.step(mg.tensor(given["x"]), mg.tensor(given["h"][None]))
    order = ["reset", "update", "candidate", "hidden"]
    wanted = {name: trace[name][0] for name in order}
    z, n, h = wanted["update"], wanted["candidate"], given["h"]
    weights = [p.numpy() for p in (layer.weight_ih_l0, layer.weight_hh_l0)]
    biases = [p.numpy() for p in (layer.bias_ih_l0, layer.bias_hh_l0)]
    got = student.named("gru_step", order, given["x"], given["h"], *weights, *biases)
    if np.allclose(got["hidden"], z * n + (1 - z) * h):
        raise Mistake(
            "hidden is wrong.\n  perhaps: update keeps the old state, and not the new one"
        )
    _compare_named(got, wanted)


@exercise("lstm-backward", 6, "A step of the LSTM, backwards.")
def lstm_backward(student: Student) -> None:
    """Compare the gradients of gates, candidate and old cell state."""
    names = ("forget", "candidate", "input", "output")
    given = _arrays(**dict.fromkeys((*names, "old", "g_h", "g_c"), (N, H)))
    gates = {
        name: np.tanh(given[name]) if name == "candidate" else 1 / (1 + np.exp(-given[name]))
        for name in names
    }
    leaves = {name: mg.tensor(value, requires_grad=True) for name, value in gates.items()}
    leaves["old cell"] = mg.tensor(given["old"], requires_grad=True)
    cell = leaves["forget"] * leaves["old cell"] + leaves["input"] * leaves["candidate"]
    hidden = leaves["output"] * mg.tanh(cell)
    total = (hidden * mg.tensor(given["g_h"]) + cell * mg.tensor(given["g_c"])).sum()
    order = ["output", "forget", "input", "candidate", "old cell"]
    wanted = dict(
        zip(order, (g.numpy() for g in mg.grad(total, [leaves[n] for n in order])), strict=True)
    )
    got = student.named(
        "backward", order, given["g_h"], given["g_c"], given["old"], cell.numpy(), gates
    )
    squashed = np.tanh(cell.numpy())
    by_h = given["g_h"] * gates["output"] * (1 - squashed**2)
    flat = given["g_h"] * gates["output"] + given["g_c"]
    partner = {
        "forget": given["old"],
        "input": gates["candidate"],
        "candidate": gates["input"],
        "old cell": gates["forget"],
    }
    for name, right in wanted.items():
        others = {
            f"the gradient of {other}": value for other, value in wanted.items() if other != name
        }
        if name in partner:
            others["one without the part that comes from the next step, g_c"] = by_h * partner[name]
            others["one without the part that comes through h"] = given["g_c"] * partner[name]
            others["one without the slope of tanh(cell)"] = flat * partner[name]
        compare(
            f"the gradient of {name}", got[name], right, others=others, axes=("sequence", "unit")
        )


@exercise("gru-backward", 7, "The last line of the GRU, backwards.")
def gru_backward(student: Student) -> None:
    """Compare the gradients of update gate, candidate and old state."""
    given = _arrays(update=(N, H), candidate=(N, H), old=(N, H), g=(N, H))
    given["update"] = 1 / (1 + np.exp(-given["update"]))
    order = ["update", "candidate", "old state"]
    leaves = [mg.tensor(given[name], requires_grad=True) for name in ("update", "candidate", "old")]
    z, n, h = leaves
    found = mg.grad((((1 - z) * n + z * h) * mg.tensor(given["g"])).sum(), leaves)
    wanted = {name: g.numpy() for name, g in zip(order, found, strict=True)}
    got = student.named("backward", order, *given.values())
    for name, right in wanted.items():
        others = {
            f"the gradient of {other}": value for other, value in wanted.items() if other != name
        }
        factors = {
            "the candidate": -given["g"] * given["candidate"],
            "old state": given["g"] * given["old"],
        }
        compare(f"the gradient of {name}", got[name], right, others=others, factors=factors)


@exercise("padding", 9, "Texts of different lengths in one batch: the state stays at the end.")
def padding(student: Student) -> None:
    """Compare the states of a padded batch with the layer's."""
    layer = _layer(mg.nn.RNN(I, H))
    x, lengths = _arrays(x=(T, N, I))["x"], np.array([4, 2, 0])
    with mg.no_grad():
        _, last = layer(mg.tensor(x), lengths=lengths)
        full, _ = layer(mg.tensor(x))
    got = student("last_states", x, lengths, *_weights(layer))
    others = {"a batch that isn't padded: the steps behind the end count, too": full[-1].numpy()}
    compare("the last states", got, last[0].numpy(), others=others, axes=("sequence", "unit"))


@exercise("count-parameters", 10, "How many parameters has a layer?")
def count_parameters(student: Student) -> None:
    """Compare for all three cells and several sizes."""
    for name in ("RNN", "GRU", "LSTM"):
        for sizes in ((3, 4), (10, 2), (64, 128)):
            layer = getattr(mg.nn, name)(*sizes)
            wanted = sum(p.size for p in layer.parameters())
            bias = {"one of the two biases": layer.bias_ih_l0.size}
            got = student("count", name, *sizes)
            compare(f"the count for {name}{sizes}", got, wanted, factors=bias)


@exercise("open-gates", 6, "Set an LSTM to remember: the forget gates begin open.")
def open_gates(student: Student) -> None:
    """The bias is that of the forget gates, and only theirs."""
    bias = np.arange(4 * H, dtype=float)
    wanted = bias.copy()
    wanted[H : 2 * H] = 3.0
    ranges = {"input": 0, "candidate": 2, "output": 3}
    others = {}
    for gate, place in ranges.items():
        other = bias.copy()
        other[place * H : (place + 1) * H] = 3.0
        others[f"the {gate} part: the order is input, forget, candidate, output"] = other
    compare("the bias", student("open_forget_gates", bias, 3.0), wanted, others=others)


@exercise("half-life", 8, "How long a memory lasts behind a gate that stays as it is.")
def half_life(student: Student) -> None:
    """Compare for several gates and times, and set a layer's gate by the answer."""
    for f in (0.5, 0.9, 0.99):
        others = {
            "1 / (1 - f), after which 1/e is left": 1 / (1 - f),
            "the time after which 1/e is left": -1 / np.log(f),
            "the logarithm of f over that of a half, the wrong way round": np.log(f) / np.log(0.5),
        }
        wanted = np.log(0.5) / np.log(f)
        compare(f"the half-life for f = {f}", student("half_life", f), wanted, others=others)
    for t in (1.0, 10.0, 160.0):
        f = 0.5 ** (1 / t)
        wanted = np.log(f / (1 - f))
        others = {
            "the gate, not its bias": f,
            "log(t): a usual start, for other times": np.log(t),
            "a gate that keeps 1 - f": -wanted,
        }
        compare(f"the bias for {t:g} steps", student("bias_for", t), wanted, others=others)


@exercise("lstm-loops", 14, "A step of the LSTM in plain loops, as a kernel runs it.")
def lstm_loops(student: Student) -> None:
    """Compare both states with those of the layer's formula."""
    given = _arrays(sums=(N, 4 * H), c=(N, H))
    i, f, g, o = np.split(given["sums"], 4, axis=1)
    i, f, o = (1 / (1 + np.exp(-a)) for a in (i, f, o))
    g = np.tanh(g)
    cell = f * given["c"] + i * g
    others = {
        "the gates of another order: they are input, forget, candidate, output": _swapped(given),
        "a sum without input times candidate": f * given["c"],
        "a sum without forget times old cell": i * g,
    }
    h, c = student.parts("lstm_step", 2, *given.values())
    compare("the new cell state", c, cell, others=others, axes=("sequence", "unit"))
    plain = {"output times the cell state, without tanh": o * cell}
    compare("the new hidden state", h, o * np.tanh(cell), others=plain, axes=("sequence", "unit"))


def _swapped(given: dict[str, np.ndarray]) -> np.ndarray:
    """The new cell state if forget gate and candidate change places."""
    i, g, f, _ = np.split(given["sums"], 4, axis=1)
    found: np.ndarray = given["c"] / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    return found


@exercise("invent-a-gate", 15, "A cell of yours, with a gate, that outlasts the RNN.")
def invent_a_gate(student: Student) -> None:
    """Its gate lies between 0 and 1, its gradient is right, and it learns `first` at lag 20."""
    kind: Any = student.names.get("MyCell")
    if not (isinstance(kind, type) and issubclass(kind, Recurrent)):
        raise Mistake("there is no class MyCell of Recurrent; leave its name as it was")
    mg.manual_seed(0)
    try:
        layer = kind(3, 4)
        with mg.record() as trace:
            layer(mg.randn((T, N, 3)))
        report = mg.gradcheck(kind(2, 3), mg.randn((3, 2, 2)), raise_exception=False)
    except Exception as error:
        raise Mistake(f"MyCell can't be called: {type(error).__name__}: {error}") from error
    if "l0.gate" not in trace:
        raise Mistake('no value of the cell is named gate: write mg.probe("gate", ...)')
    low, high = float(trace["gate"].min()), float(trace["gate"].max())
    if not 0 <= low <= high <= 1:
        raise Mistake(f"a gate lies between 0 and 1; this one goes from {low:.3g} to {high:.3g}")
    if not report:
        raise Mistake(f"the gradient check says:\n{report}")

    class Remember(First):
        """The task, with the reader's cell."""

        def model(self) -> MemoryNetwork:
            return MemoryNetwork(kind(self.settings.symbols, 32), self.settings.symbols)

    training = fit(Remember(FirstSettings(lag=20, epochs=5)))
    loss, chance = training.best.value, float(np.log(8))
    if loss > chance / 2:
        raise Mistake(
            f"it doesn't remember for 20 steps: after {training.best.epoch} epochs the loss is "
            f"{loss:.2f}, by chance it is {chance:.2f}\n"
            "  perhaps: the gate begins half open; give its bias a start of 2 or 3"
        )
