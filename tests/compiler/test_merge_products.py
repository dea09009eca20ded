"""Cells whose gates have weights of their own each: one product for all of them."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from fused_layers import GATES, gate_by_gate
from interpreted_backend import InterpretedBackend
from scans import Scan, assert_fused_as_composed

import minigrad as mg
from minigrad.compiler.scan_plan import ScanPlan
from minigrad.models import LSTM

T, N, I, H = 5, 3, 2, 4
BACKEND = InterpretedBackend()


def with_bias_first(p, x, state):
    return gate_by_gate(SimpleNamespace(**p), x, state)


def with_bias_last(p, x, state):
    """An LSTM whose sums are x @ W + h @ U + b."""
    h, c = state
    i, f, g, o = (x @ p[f"x{k}"].T + h @ p[f"h{k}"].T + p[f"b{k}"] for k in GATES)
    c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
    h = mg.sigmoid(o) * mg.tanh(c)
    return h, (h, c)


def weights(rng, matrices="xh", vectors="bd"):
    found = {f"{x}{k}": rng.normal(size=(H, I if x == "x" else H)) for x in matrices for k in GATES}
    return found | {f"{b}{k}": rng.normal(size=H) for b in vectors for k in GATES}


def scan_of(cell, states=2, inputs=1, **kinds):
    rng = np.random.default_rng(0)
    state = tuple(rng.normal(size=(N, H)) for _ in range(states))
    xs = tuple(rng.normal(size=(T, N, I)) for _ in range(inputs))
    return Scan(
        cell,
        weights(rng, **kinds),
        xs if inputs > 1 else xs[0],
        state if states > 1 else state[0],
    )


def products(scan, wanted=None):
    """How many products there are, by when: "before", "loop", "after", and "sums" over rows."""
    params = {k: mg.tensor(a, backend=BACKEND) for k, a in scan.params.items()}
    x, state = (
        tuple(mg.tensor(a, backend=BACKEND) for a in group)
        if isinstance(group, tuple)
        else mg.tensor(group, backend=BACKEND)
        for group in (
            tuple(a[0] for a in scan.xs) if isinstance(scan.xs, tuple) else scan.xs[0],
            scan.state,
        )
    )
    asked = [True] * len(scan.arrays) if wanted is None else [name in wanted for name in params]
    asked += [False] * (len(scan.arrays) - len(asked))
    schedule = ScanPlan(scan.cell, params, x, state, BACKEND, asked).schedule
    found = {"forward": Counter(), "backward": Counter()}
    for direction, part in (("forward", schedule.forward), ("backward", schedule.backward)):
        for when, values in (
            ("before", part.hoisted),
            ("loop", part.loop.body),
            ("after", part.sunk),
        ):
            found[direction][when] += sum(v.op == "matmul" for v in values)
            found[direction]["sums"] += sum(
                v.op == "sum" and 0 in v.settings["axes"] for v in values
            )
    return {k: {name: n for name, n in v.items() if n} for k, v in found.items()}


@pytest.mark.parametrize("cell", [with_bias_first, with_bias_last])
def test_an_lstm_gate_by_gate_has_the_products_of_the_built_in_one(cell):
    scan = scan_of(cell, vectors="bd" if cell is with_bias_first else "b")
    assert products(scan) == {
        "forward": {"before": 1, "loop": 1},
        "backward": {"loop": 1, "after": 3, "sums": 1},
    }
    for lengths in (None, [5, 0, 3]):
        for reverse in (False, True):
            scan = scan._replace(lengths=lengths, reverse=reverse)
            assert_fused_as_composed(scan, BACKEND, 1e-11)


def test_it_gives_what_the_built_in_one_gives():
    scan = scan_of(with_bias_first)
    layer = LSTM(I, H).double()
    names = {"weight_ih_l0": "x", "weight_hh_l0": "h", "bias_ih_l0": "b", "bias_hh_l0": "d"}
    layer.load_state_dict(
        {k: np.concatenate([scan.params[x + gate] for gate in GATES]) for k, x in names.items()}
    )
    y, (h, c) = layer(mg.tensor(scan.xs), tuple(mg.tensor(s[None]) for s in scan.state))
    ys, last = scan([mg.tensor(a, backend=BACKEND) for a in scan.arrays])
    for found, right in zip((ys, *last), (y, h[0], c[0]), strict=True):
        np.testing.assert_allclose(found.numpy(), right.numpy(), rtol=1e-12, atol=1e-14)


def test_a_gru_gate_by_gate():
    """Its candidate's sums stay apart, as r stands between: still one product of x, one of h."""

    def cell(p, x, h):
        x_r, x_z, x_n = (mg.linear(x, p[f"x{k}"], p[f"b{k}"]) for k in "ifg")
        h_r, h_z, h_n = (mg.linear(h, p[f"h{k}"], p[f"d{k}"]) for k in "ifg")
        r, z = mg.sigmoid(x_r + h_r), mg.sigmoid(x_z + h_z)
        h = (1 - z) * mg.tanh(x_n + r * h_n) + z * h
        return h, h

    scan = scan_of(cell, states=1)
    assert products(scan) == {
        "forward": {"before": 1, "loop": 1},
        "backward": {"loop": 1, "after": 3, "sums": 2},
    }
    assert_fused_as_composed(scan, BACKEND, 1e-11)


def test_what_comes_at_another_time_stays_apart():
    """The output's product can wait until after the loop, that of x can be done before; the other
    two are of what the loop computes, and become one.
    """

    def cell(p, x, h):
        y = mg.linear(h, p["ho"])
        gate = mg.sigmoid(h.mean(axis=1, keepdims=True))
        h = mg.tanh(mg.linear(x, p["xi"]) + mg.linear(h, p["hi"]) + mg.linear(x * gate, p["xf"]))
        return y, h

    scan = scan_of(cell, states=1, vectors="")
    found = products(scan)
    assert found["forward"] == {"before": 1, "loop": 1, "after": 1}
    assert_fused_as_composed(scan, BACKEND, 1e-11)


def test_only_gradients_that_are_asked_for_are_joined():
    scan = scan_of(with_bias_first)
    found = products(scan, wanted=["xi", "bf"])
    # That of xi alone, not as a part of all gates'; those of the states run with the loop.
    assert found["backward"] == {"loop": 1, "after": 1, "sums": 1}
    places = [list(scan.params).index(name) for name in ("xi", "bf")]
    assert_fused_as_composed(scan, BACKEND, 1e-11, wanted=places)


def test_sums_with_other_terms():
    def cell(p, x, state):
        h, c = state
        a = mg.linear(h, p["hi"]) + c * 0.5 + mg.linear(c, p["hf"]) - 1 + mg.linear(x, p["xi"])
        h = mg.tanh(a) + 0.1 * c
        return h * c, (h, mg.sin(mg.linear(h, p["hg"]) + mg.linear(c, p["ho"])))

    assert_fused_as_composed(scan_of(cell, vectors=""), BACKEND, 1e-11)


def test_weights_of_several_widths_and_makes():
    def cell(p, x, h):
        narrow = h @ p["hi"][:, :1]
        wide = h @ mg.concatenate([p["hf"], p["hg"].T], axis=1)
        h = mg.tanh(narrow * wide[:, :4] + wide[:, 4:] + x @ (p["xi"].T * 2) + x @ p["xf"].T)
        return h, h

    assert_fused_as_composed(scan_of(cell, states=1, vectors=""), BACKEND, 1e-11)


def test_a_full_array_is_no_start_of_a_product():
    def cell(p, x, h):
        h = mg.tanh(h @ p["hi"] + mg.ones_like(h))
        return h, h

    assert_fused_as_composed(scan_of(cell, states=1), BACKEND, 1e-11)
