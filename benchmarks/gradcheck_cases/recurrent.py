"""RNN, LSTM and GRU over NumPy arrays, with derivatives written by hand: right, or with one bug.

Sequences are time-major (T, N, I); a sequence that has
ended keeps its state and gives zeros. Gates: i, f, g, o (LSTM) and r, z, n (GRU, reset after).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Array, Case
from .ordinary import sigmoid

T, N, I, H = 3, 2, 2, 2  # square, so that a transposed matrix still fits


def inputs(gates: int, cell: bool) -> Callable[[np.random.Generator], list[Array]]:
    """Draws x, W_ih, W_hh, b, lengths, h0 (and c0)."""

    def draw(rng: np.random.Generator) -> list[Array]:
        shapes = [(T, N, I), (gates * H, I), (gates * H, H), (gates * H,)]
        states = [rng.normal(size=(N, H)) for _ in range(1 + cell)]
        return [*(rng.normal(size=s) for s in shapes), np.array([T, T - 1]), *states]

    return draw


# --- RNN -----------------------------------------------------------------------------------


def rnn_run(x: Array, w_ih: Array, w_hh: Array, b: Array, lengths: Array, h: Array) -> Any:
    """Outputs, last state, and what each step needs on the way back."""
    steps, ys = [], []
    for t in range(len(x)):
        on = (t < lengths)[:, None]  # (N, 1)
        new = np.tanh(x[t] @ w_ih.T + h @ w_hh.T + b)
        steps.append((h, new, on))
        h = np.where(on, new, h)
        ys.append(np.where(on, new, 0))
    return np.stack(ys), h, steps


def rnn(*arrays: Array) -> tuple[Array, Array]:
    """Outputs and last state."""
    return rnn_run(*arrays)[:2]


def rnn_vjp(bug: str = "") -> Callable[..., list[Any]]:
    """The derivative, with the bug named."""

    def vjp(arrays: list[Array], cotangents: list[Array]) -> list[Any]:
        x, w_ih, w_hh, b, *_ = arrays
        gy, gh = cotangents
        dx, dw_ih, dw_hh, db = (np.zeros_like(a) for a in (x, w_ih, w_hh, b))
        steps = rnn_run(*arrays)[2]
        for t in reversed(range(len(x))):
            h, new, on = steps[t]
            if bug == "mask forgotten":
                on = np.ones_like(on)
            if bug == "last step dropped" and t == len(x) - 1:
                continue
            d = np.where(on, gy[t] + gh, 0)
            if bug == "output gradient only":
                d = np.where(on, gy[t], 0)
            da = d if bug == "tanh forgotten" else d * (1 - new * new)
            dx[t] = da @ w_ih
            dw_ih += da.T @ x[t]
            dw_hh += da.T @ (new if bug == "state of the wrong step" else h)
            db += da[0] if bug == "last sample dropped" else da.sum(0)
            carry = da @ (w_hh.T if bug == "transposed recurrent weight" else w_hh)
            gh = carry + np.where(on, 0, gh)
            if bug == "one step of time only":
                gh = np.zeros_like(gh)
        return [dx, dw_ih, dw_hh, db, None, gh]

    return vjp


# --- LSTM ----------------------------------------------------------------------------------


def lstm_run(
    x: Array, w_ih: Array, w_hh: Array, b: Array, lengths: Array, h: Array, c: Array
) -> Any:
    """Outputs, last state and cell, and what each step needs on the way back."""
    steps, ys = [], []
    for t in range(len(x)):
        on = (t < lengths)[:, None]
        i, f, g, o = np.split(x[t] @ w_ih.T + h @ w_hh.T + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        new = f * c + i * g
        steps.append((h, c, i, f, g, o, new, on))
        y = o * np.tanh(new)
        h, c = np.where(on, y, h), np.where(on, new, c)
        ys.append(np.where(on, y, 0))
    return np.stack(ys), h, c, steps


def lstm(*arrays: Array) -> tuple[Array, Array, Array]:
    """Outputs, last state and last cell."""
    return lstm_run(*arrays)[:3]


def lstm_vjp(bug: str = "") -> Callable[..., list[Any]]:
    """The derivative, with the bug named."""

    def vjp(arrays: list[Array], cotangents: list[Array]) -> list[Any]:
        x, w_ih, w_hh, b, *_ = arrays
        gy, gh, gc = cotangents
        dx, dw_ih, dw_hh, db = (np.zeros_like(a) for a in (x, w_ih, w_hh, b))
        steps = lstm_run(*arrays)[3]
        for t in reversed(range(len(x))):
            h, c, i, f, g, o, new, on = steps[t]
            if bug == "mask forgotten":
                on = np.ones_like(on)
            if bug == "last step dropped" and t == len(x) - 1:
                continue
            dy = np.where(on, gy[t] + gh, 0)
            tanh = np.tanh(new)
            dc = np.where(on, gc, 0)
            if bug == "cell carry dropped":
                dc = np.zeros_like(dc)
            dc = dc + dy * o * (1 if bug == "tanh of the cell forgotten" else 1 - tanh * tanh)
            di, dg = dc * g * i * (1 - i), dc * i * (1 - g * g)
            df = dc * (new if bug == "forget gate reads the new cell" else c) * f * (1 - f)
            do = dy * (new if bug == "output gate reads the raw cell" else tanh) * o * (1 - o)
            if bug == "sigmoid slope of the input gate":
                di = dc * g * i
            if bug == "gate g treated as sigmoid":
                dg = dc * i * g * (1 - g)
            order = [df, di, dg, do] if bug == "gates i and f swapped" else [di, df, dg, do]
            da = np.concatenate(order, axis=1)
            dx[t] = da @ w_ih
            dw_ih += da.T @ x[t]
            dw_hh += da.T @ (new if bug == "state of the wrong step" else h)
            db += da[0] if bug == "last sample dropped" else da.sum(0)
            gh = da @ w_hh + np.where(on, 0, gh)
            forget = i if bug == "cell carried by the input gate" else f
            gc = dc * forget + np.where(on, 0, gc)
            if bug == "initial state detached" and t == 0:
                gh, gc = np.zeros_like(gh), np.zeros_like(gc)
        if bug == "0.1% too much in one weight":
            dw_hh[1, 1] *= 1.001
        return [dx, dw_ih, dw_hh, db, None, gh, gc]

    return vjp


# --- GRU -----------------------------------------------------------------------------------


def gru_run(x: Array, w_ih: Array, w_hh: Array, b: Array, lengths: Array, h: Array) -> Any:
    """Outputs, last state, and what each step needs on the way back."""
    steps, ys = [], []
    for t in range(len(x)):
        on = (t < lengths)[:, None]
        (ar, az, an), (hr, hz, hn) = (
            np.split(part, 3, axis=1) for part in (x[t] @ w_ih.T + b, h @ w_hh.T)
        )
        r, z = sigmoid(ar + hr), sigmoid(az + hz)
        n = np.tanh(an + r * hn)
        new = (1 - z) * n + z * h
        steps.append((h, r, z, n, hn, on))
        h = np.where(on, new, h)
        ys.append(np.where(on, new, 0))
    return np.stack(ys), h, steps


def gru(*arrays: Array) -> tuple[Array, Array]:
    """Outputs and last state."""
    return gru_run(*arrays)[:2]


def gru_vjp(bug: str = "") -> Callable[..., list[Any]]:
    """The derivative, with the bug named."""

    def vjp(arrays: list[Array], cotangents: list[Array]) -> list[Any]:
        x, w_ih, w_hh, b, *_ = arrays
        gy, gh = cotangents
        dx, dw_ih, dw_hh, db = (np.zeros_like(a) for a in (x, w_ih, w_hh, b))
        steps = gru_run(*arrays)[2]
        for t in reversed(range(len(x))):
            h, r, z, n, hn, on = steps[t]
            if bug == "mask forgotten":
                on = np.ones_like(on)
            if bug == "last step dropped" and t == len(x) - 1:
                continue
            d = np.where(on, gy[t] + gh, 0)
            dn = d * (z if bug == "update gate the wrong way round" else 1 - z) * (1 - n * n)
            dz = d * (h if bug == "new state missing in the update gate" else h - n) * z * (1 - z)
            dr = dn * hn * r * (1 - r)
            if bug == "reset gate detached":
                dr = np.zeros_like(dr)
            before = np.concatenate([dr, dz, dn], axis=1)
            after = np.concatenate(
                [dr, dz, dn if bug == "reset gate forgotten on the way back" else dn * r], axis=1
            )
            dx[t] = before @ w_ih
            dw_ih += before.T @ x[t]
            dw_hh += (before if bug == "reset gate missing in the weight" else after).T @ h
            db += before[0] if bug == "last sample dropped" else before.sum(0)
            direct = np.zeros_like(d) if bug == "direct path dropped" else d * z
            gh = after @ w_hh + direct + np.where(on, 0, gh)
        return [dx, dw_ih, dw_hh, db, None, gh]

    return vjp


RNN_BUGS = (
    *("last step dropped", "output gradient only", "tanh forgotten", "state of the wrong step"),
    *("last sample dropped", "transposed recurrent weight", "one step of time only"),
    "mask forgotten",
)
LSTM_BUGS = (
    *("last step dropped", "cell carry dropped", "tanh of the cell forgotten"),
    *("forget gate reads the new cell", "output gate reads the raw cell"),
    *("sigmoid slope of the input gate", "gate g treated as sigmoid", "gates i and f swapped"),
    *("state of the wrong step", "last sample dropped", "cell carried by the input gate"),
    *("initial state detached", "mask forgotten", "0.1% too much in one weight"),
)
GRU_BUGS = (
    *("last step dropped", "update gate the wrong way round", "reset gate detached"),
    *("new state missing in the update gate", "reset gate forgotten on the way back"),
    *("reset gate missing in the weight", "last sample dropped", "direct path dropped"),
    "mask forgotten",
)

CASES: list[Case] = []
for family, f, vjp, bugs, draw in (
    ("RNN", rnn, rnn_vjp, RNN_BUGS, inputs(1, False)),
    ("LSTM", lstm, lstm_vjp, LSTM_BUGS, inputs(4, True)),
    ("GRU", gru, gru_vjp, GRU_BUGS, inputs(3, False)),
):
    CASES.append(Case(family, "right", "right", f, vjp(), draw))
    CASES += [Case(family, bug, "bug", f, vjp(bug), draw) for bug in bugs]
