"""Cells that use what cells may use, one feature each: what the compiler has to get right."""

from typing import NamedTuple

import numpy as np
from scans import Scan

import minigrad as mg

T, N, I, H = 4, 3, 2, 5


class Belief(NamedTuple):
    mean: mg.Tensor
    count: mg.Tensor


SCANS = {}


def odd(xs, state):
    def add(cell):
        SCANS[cell.__name__] = Scan(cell, PARAMS, xs, state)
        return cell

    return add


rng = np.random.default_rng(1)
draw = rng.normal
PARAMS = {
    **{"w": draw(size=(I, H)), "w2": draw(size=(I, H)), "two": draw(size=(I, 2))},
    **{"u": draw(size=(H, H)) / 2, "u2": draw(size=(H, H)) / 2, "number": draw()},
    **{"b": draw(size=H), "g": draw(size=H), "row": draw(size=(1, H)), "one": draw(size=1)},
    "rows": draw(size=(N, H)),
}
x, h, h2 = draw(size=(T, N, I)), draw(size=(N, H)), draw(size=(N, H))
flags = draw(size=(T, N, H)) > 0
count = np.zeros((N, 1), int)
plain = odd(x, h)


# --- states and outputs ----------------------------------------------------------------------


@plain
def state_passed_through(p, x, s):
    return x, s


@odd(x, (h, h2))
def states_swapped(p, x, s):
    return s[0] - s[1], (s[1], s[0])


@odd(draw(size=(T, N, H)), h)
def a_delay(p, x, s):
    return s, x


@plain
def the_state_before(p, x, s):
    return s, mg.tanh(x @ p["w"] + s)


@plain
def state_forgotten(p, x, s):
    return s @ p["u"], mg.tanh(x @ p["w"])


@plain
def state_from_parameters(p, x, s):
    return x, mg.broadcast_to(p["b"], s.shape)


@plain
def output_from_parameters(p, x, s):
    return mg.broadcast_to(p["b"], s.shape), s


@plain
def output_of_the_state(p, x, s):
    s = mg.tanh(x @ p["w"] + s @ p["u"])
    return mg.tanh(s @ p["u2"] + p["b"]), s


@plain
def masked_output(p, x, s):
    s = mg.tanh(x @ p["w"] + s)
    return mg.where(s > 0, s @ p["u"], 0), s


@plain
def the_same_output_twice(p, x, s):
    s = mg.tanh(x @ p["w"] + s)
    return (s, s, x, s * 2), s


@plain
def outputs_as_a_list(p, x, s):
    s = mg.tanh(x @ p["w"] + s)
    return [s, mg.isnan(s), s.sum(axis=1)], s


@odd(x, (h, h2))
def two_layers(p, x, s):
    first = mg.tanh(x @ p["w"] + s[0] @ p["u"])
    second = mg.tanh(first @ p["u2"] + s[1] @ p["u"])
    return second @ p["w"].T, (first, second)


@odd(x, (h, count))
def a_counter(p, x, s):
    h = mg.tanh(x @ p["w"] + s[0] / (s[1] + 1).astype("float64"))
    return h, (h, s[1] + 1)


@odd(x, Belief(h, count))
def a_named_state(p, x, s):
    count = s.count + 1
    mean = s.mean + (x @ p["w"] - s.mean) / count.astype("float64")
    return [mean, count], Belief(mean, count)


@odd((x, draw(size=(T, N))), (h, draw(size=N)))
def vectors_without_features(p, x, s):
    level = s[1] * 0.5 + x[1] + s[0].sum(axis=1)
    h = mg.tanh(x[0] @ p["w"] + s[0] * level.reshape(-1, 1))
    return (h, level), (h, level)


# --- inputs and parameters -------------------------------------------------------------------


@odd((x, flags), h)
def flags_per_step(p, x, s):
    s = mg.where(x[1], mg.tanh(x[0] @ p["w"] + s), s)
    return s, s


@odd((x, draw(size=(T, N, 1)) > 0), h)
def a_flag_per_step_and_sequence(p, x, s):
    s = mg.tanh(x[0] @ p["w"] + s) * x[1]
    return s > 0, s


@plain
def rows_of_parameters(p, x, s):
    s = mg.tanh(p["rows"] * s + x @ p["w"] @ p["u"]) + p["rows"][:, :1]
    return p["rows"] @ p["u"], s


@plain
def parameters_of_all_shapes(p, x, s):
    s = mg.tanh(p["row"] * s + p["number"] * (x @ p["w"]) + p["one"] - p["b"])
    return s, s


@plain
def weights_made_of_parameters(p, x, s):
    w = p["w"] / mg.norm(p["w"], axis=0, keepdims=True) - p["w2"].mean(axis=0) / p["w"].max()
    s = mg.tanh(x @ w + mg.clip(p["b"], -0.5, 0.5) * s + s @ (p["u"] + p["u"].T) / 2)
    return s, s


@plain
def gates_of_one_number(p, x, s):
    a, b = mg.split(x @ p["two"], 2, axis=-1)
    s = mg.sigmoid(a) * s + mg.tanh(b * s)
    return s, s


@plain
def one_weight_for_all(p, x, s):
    s = mg.tanh(x @ p["w"] + s @ p["u"])
    s = mg.tanh(s @ p["u"] + s @ p["u"].T)
    return s, s


@plain
def reset_before_the_product(p, x, h):
    r = mg.sigmoid(x @ p["w"] + h @ p["u"])
    z = mg.sigmoid(x @ p["w2"] + h @ p["u2"])
    n = mg.tanh(x @ p["w"] + (r * h) @ p["u"])
    h = (1 - z) * n + z * h
    return h, h


# --- ops -------------------------------------------------------------------------------------


@plain
def softmax(p, x, s):
    a = mg.softmax(s @ p["u"])
    s = mg.tanh(x @ p["w"] + a * s - mg.logsumexp(s, axis=-1, keepdims=True))
    return a, s


@plain
def norms(p, x, s):
    s = mg.layer_norm(x @ p["w"] + s @ p["u"], H, p["g"], p["b"])
    s = mg.tanh(s / (1 + s.std(axis=-1, keepdims=True)))
    return mg.norm(s, axis=1), s / (0.1 + mg.norm(s, axis=1, keepdims=True))


@plain
def attention(p, x, s):
    s = mg.tanh(x @ p["w"] + s)
    score = (s @ p["u"] * s).sum(axis=-1, keepdims=True)
    return score, s * mg.sigmoid(score)


@plain
def powers(p, x, s):
    s = mg.abs(mg.tanh(x @ p["w"] + s)) ** mg.sigmoid(p["b"])
    return (s**3 + s**-0.5 + s**1.5 + 2.0**s, 1 / s), s


@plain
def activations(p, x, s):
    s = mg.elu(x @ p["w"] + s)
    s = mg.tanh(mg.gelu(s) + mg.silu(s) + mg.leaky_relu(s) + mg.softplus(s))
    return s, s


@plain
def nan_comes_through(p, x, s):
    h = mg.where(x @ p["w"] > 0.5, np.nan, s * 0.5)
    return (h.max(axis=1), h.min(axis=1), mg.maximum(h, s), mg.relu(h), mg.sign(h)), s * 0.9


@plain
def infinities_come_through(p, x, s):
    h = mg.where(x @ p["w"] > 0.5, -np.inf, s)
    return (mg.isfinite(h), mg.tanh(h), mg.exp(h), 1 / (s * 0.0), 1 / (s * -0.0)), s * 0.9


@plain
def logic(p, x, s):
    chosen = ((s > 0) & (s < 0.5)) | ~(s > -1)
    return chosen, mg.where(chosen, s * 2, mg.tanh(x @ p["w"] + s))


@plain
def slices(p, x, s):
    s = mg.tanh(x[..., -1:] + s)
    s = mg.concatenate([s[:, 2:], s[:, :-3]], axis=1)
    return s[:, 1:3] + mg.squeeze(x[:, :1], 1).reshape(-1, 1), s


@plain
def parts_of_a_sum(p, x, s):
    mean = s.mean(axis=1, keepdims=True)
    a, b = mg.split(s @ p["u"] - mean * p["b"], (2,), axis=-1)
    late = s @ p["u2"]
    _, late = mg.split(late - late.mean(axis=1, keepdims=True), (2,), axis=-1)
    return late, mg.concatenate([mg.tanh(b), mg.sigmoid(a)], axis=1)


@plain
def a_sum_over_a_join(p, x, s):
    joined = mg.concatenate([mg.tanh(s), x], axis=1)
    total = joined.sum(axis=1, keepdims=True)
    return (joined, joined[:, 2:4], mg.concatenate([total, x], axis=1)), s * 0.5


@plain
def a_gate_on_a_product_before(p, x, s):
    return mg.where(s > 0, x @ p["w"], 0), s * 0.5


@plain
def a_part_unused(p, x, s):
    first, _ = mg.split(s @ p["u"], (2,), axis=-1)
    return first, mg.tanh(x @ p["w"] + s)


@plain
def other_dtypes(p, x, s):
    s = mg.tanh((x @ p["w"]).astype("float32").astype("float64") + s)
    return (s.astype("float32"), (s > 0).astype("int64") * 2 + 1), s


@plain
def constants(p, x, s):
    fired = mg.where(s > 0.3, 1.0, 0.0)
    return fired, mg.tanh(x @ p["w"] + s - fired * mg.ones_like(s) + mg.tensor(0.5))


@plain
def gradient_stopped(p, x, s):
    s = mg.tanh(x @ p["w"] + s.detach() * 0.5 + s)
    return s.detach(), s


@plain
def sizes_as_numbers(p, x, s):
    return x * x.shape[1] + len(p), s / s.shape[1] ** 0.5


@plain
def products_of_other_dtypes(p, x, s):
    signs, weights = mg.sign(s).astype("float32"), mg.sign(p["u"]).astype("float32")
    few = (signs @ weights).astype("float64")
    s = mg.tanh(s @ p["u"] + x @ p["w"] + 0.1 * few)
    return few, s


# --- settings that change nothing, or little ---------------------------------------------------


@plain
def transposes(p, x, s):
    same, turned = mg.transpose(p["u"], (0, 1)), mg.transpose(p["u"], (-1, -2))
    back = mg.transpose(mg.transpose(same, (1, 0)), (0, 1)).T
    s = mg.tanh(mg.linear(s, same) + s @ turned + x @ p["w"] + s @ back)
    return s @ mg.transpose(mg.transpose(p["u"], (0, 1)), (1, 0)), s


@plain
def slices_of_one_column(p, x, s):
    m = mg.sum(x, axis=-1, keepdims=True)
    s = mg.tanh(s + m[:, :1] * m[:, -1:])
    top = s.max(axis=1, keepdims=True) + 1
    return mg.concatenate([top[:, 1:], top[..., 0:], x[:, :0], m], axis=1), s * top[:, :1]


@plain
def whole_slices(p, x, s):
    (only,) = mg.split(s, 1, axis=-1)
    (lone,) = mg.split(s.mean(axis=1, keepdims=True) * 2, 1, axis=-1)
    s = mg.tanh(only[:, :] + s[:, : s.shape[1]] + s[:, :H] + x @ p["w"][:, 0:])
    return mg.concatenate([lone], axis=1) + mg.concatenate([s, s[:, H:]], axis=1), s


@plain
def parts_of_other_widths(p, x, s):
    a, b = s @ p["u"], (x @ p["w"]) @ p["u"]
    s = mg.tanh(a[:, 1:4] + b[:, 1:2] + p["b"][1:2])
    return s, mg.concatenate([s, a[:, 3:]], axis=1)


@plain
def nothing_left(p, x, s):
    none = s[:, H:]
    s = mg.tanh(x @ p["w"] + s + none @ p["u"][:, H:].T)
    return (none, mg.concatenate([none, s[:, :0]], axis=1) * 2), s
