"""Which way a scan runs, and why: refusals and counts."""

import contextlib
import random
import subprocess
import sys

import numpy as np
import pytest
from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.compiler import FusionError, Untraceable
from minigrad.engine.graph import time_step

T, N, I, H = 4, 3, 2, 5
BACKEND = InterpretedBackend()
ELSEWHERE = mg.ones(H, backend=BACKEND)


@pytest.fixture(autouse=True)
def on_a_fusing_backend():
    with mg.use_backend(BACKEND):
        mg.reset_dispatch_counts()
        yield
    mg.reset_dispatch_counts()


def scan(cell, params=None, T=T, dtype="float32", **options):
    h = mg.ones((N, H), dtype)
    return mg.scan(cell, params, mg.ones((T, N, I), dtype), h, **options)


# --- refusals ----------------------------------------------------------------------------------


def looks(p, x, h):
    return (h, h) if h.sum() > 0 else (x, h)


def reads(p, x, h):
    return h * float(h[0, 0].item()), h


def takes_numpy(p, x, h):
    return h * h.numpy(), h


def makes(p, x, h):
    return h * mg.tensor([1.0] * H), h


def meets_an_array(p, x, h):
    return h * np.ones(H, "float32"), h


def captures(p, x, h):
    return h * ELSEWHERE, h


def drops(p, x, h):
    return mg.dropout(h, 0.5), h


def rolls_dice(p, x, h):
    return h * (random.random() < 0.5), h


def rolls_numpys_dice(p, x, h):
    old_style = "random"
    return h * float(getattr(np.random, old_style)()), h


def knows_the_time(p, x, h):
    return h * (time_step.get() == 2), h


def normalises_the_batch(p, x, h):
    return h - h.mean(axis=0, keepdims=True), h


def sums_all(p, x, h):
    return h / h.sum(), h


def compares_rows(p, x, h):
    return h @ h.T @ h, h


def counts_rows(p, x, h):
    return h / h.shape[0], h


def knows_the_batch(p, x, h):
    return h + mg.zeros((N, H)), h


def doubles_the_batch(p, x, h):
    both = mg.concatenate([h, h], axis=0)
    return h, both[:N]


def picks(p, x, h):
    return h[:, [0, 1]], h


def strides(p, x, h):
    return h[:, ::2], h


def accumulates(p, x, h):
    return mg.cumsum(h, axis=1), h


def listens(p, x, h):
    h = mg.tanh(h * p)
    h.register_hook(lambda g: g)
    return h, h


def halves_precision(p, x, h):
    return h.astype("float16"), h


def multiplies_states(p, x, h):
    weights = h.reshape(N, 1, H)
    return (weights * h.reshape(N, H, 1)).sum(axis=1), h


REFUSED = {
    looks: "it reads a tensor's values",
    reads: "the index (0, 0); only slices of the last axis can be compiled",
    takes_numpy: "it reads a tensor's values",
    makes: "it creates a tensor; pass it as an argument",
    meets_an_array: "it creates a tensor; pass it as an argument",
    captures: "it uses a tensor that is not among its arguments",
    drops: "it draws random numbers; pass them as arguments",
    rolls_dice: "it draws random numbers; pass them as arguments",
    rolls_numpys_dice: "it draws random numbers; pass them as arguments",
    knows_the_time: "it reads the time step; pass it as an argument",
    normalises_the_batch: "a mean over the rows mixes them",
    sums_all: "sum mixes rows",
    compares_rows: "transpose mixes rows",
    counts_rows: "it calculates with the number of rows",
    knows_the_batch: "it uses the number of rows as a plain number",
    doubles_the_batch: "only slices of the last axis can be compiled",
    picks: "it picks elements by their positions; only slices can be compiled",
    strides: "only slices of the last axis can be compiled",
    accumulates: "cumsum can't be part of a kernel",
    listens: "it registers a hook, which no kernel would call",
    halves_precision: "it uses float16; compiled are float32 and float64",
    multiplies_states: "it returns a tensor with other rows than its arguments have",
}


@pytest.mark.parametrize("cell", REFUSED, ids=lambda cell: cell.__name__)
def test_refusals_have_a_reason(cell):
    p = mg.ones(1, requires_grad=True)
    with fusing("require"), pytest.raises(FusionError) as caught:
        scan(cell, p)
    text = str(caught.value)
    assert text.startswith(
        f"MINIGRAD_FUSED=require, but a scan of {cell.__name__} on backend 'interpreted' can't be "
        "fused: "
    )
    assert REFUSED[cell] in text
    ys, _ = scan(cell, p)  # runs all the same
    assert ys.shape[:2] == (T, N)
    counted = {key: n for key, n in mg.dispatch_counts().items() if key[0] == cell.__name__}
    (((_, backend, way, reason), count),) = counted.items()
    assert (backend, way, count) == ("interpreted", "composed", 1)
    assert REFUSED[cell] in reason


def test_refused_arguments():
    def cell(p, x, h):
        return h, h

    reasons = {
        "there are no steps, or no sequences": lambda: scan(cell, T=0),
        "its tensors are of float32 and float64": lambda: scan(cell, mg.ones(1, "float64")),
        "its tensors are of no float dtype": lambda: scan(cell, dtype="int64"),
        "its tensors are on several backends": lambda: scan(cell, mg.ones(1, backend="numpy")),
        "it uses float16; compiled are float32 and float64": lambda: scan(cell, dtype="float16"),
        "its numbers are in another machine's byte order": lambda: scan(cell, dtype=">f4"),
    }
    for reason, call in reasons.items():
        mg.reset_dispatch_counts()
        call()
        assert list(mg.dispatch_counts()) == [("cell", "interpreted", "composed", reason)]
    mg.reset_dispatch_counts()
    with mg.detect_anomaly():
        scan(cell)
    assert next(iter(mg.dispatch_counts()))[3] == "anomaly mode looks at every op"
    mg.reset_dispatch_counts()
    with mg.use_backend("strict"):
        scan(cell)
    assert next(iter(mg.dispatch_counts()))[1:] == (
        *("strict", "composed"),
        "the backend has no compiler",
    )


def test_wrong_cells_get_the_errors_of_scan():
    def no_pair(p, x, h):
        return h

    def other_state(p, x, h):
        return h, x

    def narrow_state(p, x, h):
        return h, h[:, :1]

    def broken(p, x, h):
        return h @ p, h

    with pytest.raises(TypeError, match=r"must return a pair \(y, state\)"):
        scan(no_pair)
    for lengths in (None, [1, 2, 3]):
        for cell in (other_state, narrow_state):
            with pytest.raises(ValueError, match="must return a state of the same structure"):
                scan(cell, lengths=lengths)
        with pytest.raises(ValueError, match="do not fit") as caught:
            scan(broken, mg.ones((2, 2)), lengths=lengths)
        assert "This happened in broken at time step 0 of a scan." in caught.value.__notes__
    with pytest.raises(Untraceable, match="tracing it gave ValueError: matmul: shapes"):
        mg.trace(broken, mg.ones((2, 2)), mg.ones((N, I)), mg.ones((N, H)))


def test_a_draw_while_tracing_is_taken_back():
    mg.manual_seed(0)
    random.seed(0)
    drawn = scan(drops)[0].numpy()
    scan(rolls_dice)
    mg.manual_seed(0)
    with fusing("0"):
        np.testing.assert_array_equal(scan(drops)[0].numpy(), drawn)
    random.seed(0)
    for _ in range(T):
        random.random()
    after = random.random()
    random.seed(0)
    scan(rolls_dice)
    assert random.random() == after


# --- the setting and the counts ----------------------------------------------------------------


def double(p, x, h):
    return 2 * h, h


def test_the_setting():
    with fusing("0"):
        scan(double)
        assert mg.dispatch_counts() == {
            ("double", "interpreted", "composed", "MINIGRAD_FUSED=0"): 1
        }
    mg.reset_dispatch_counts()
    for choice in ("1", "require"):
        with fusing(choice):
            scan(double)
    for unset in (fusing(""), contextlib.nullcontext()):
        with unset:
            scan(double)
    assert mg.dispatch_counts() == {("double", "interpreted", "fused", ""): 4}
    for wrong in ("yes", "2", "Require"):
        with fusing(wrong), pytest.raises(ValueError, match=f"0, 1 or require; got {wrong!r}"):
            scan(double)


def test_counts_are_a_copy():
    scan(double)
    mg.dispatch_counts().clear()
    assert sum(mg.dispatch_counts().values()) == 1
    mg.reset_dispatch_counts()
    assert mg.dispatch_counts() == {}


ONE_BY_ONE = """
import sys
import minigrad as mg
from minigrad import nn
from minigrad.models import LSTM

mg.set_backend("numpy")
layer, x = LSTM(2, 3), mg.randn((4, 5, 2))
y, _ = layer(x, lengths=[4, 3, 2, 1, 0])
swish = mg.fuse(lambda parts, beta=1.0: parts[0] * mg.sigmoid(beta * parts[0]))
loss = mg.functional.cross_entropy(swish([y])[-1], mg.tensor([0, 1, 2, 0, 1]))
loss.backward()
mg.optim.Adam(layer.parameters()).step()
second = mg.grad(mg.scan(lambda p, x, s: (x * s, s * x), None, y, y[0])[1].sum(), [y])
print(*(name for name in sys.modules if name.startswith("minigrad.compiler")))
print(*sorted({way for _, _, way, _ in mg.dispatch_counts()}))
"""


def test_what_is_composed_imports_no_compiler(monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", "0")
    command = [sys.executable, "-c", ONE_BY_ONE]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == "\ncomposed\n"


ON_NUMPY = """
import sys
import minigrad as mg

swish = mg.fuse(lambda x: x * mg.sigmoid(x))
mg.set_backend("numpy")
x = mg.ones((200, 200), requires_grad=True)
mg.cross_entropy(swish(mg.nn.Linear(200, 10)(x)), mg.zeros(200, "int64")).backward()
print(*(name for name in sys.modules if name.startswith("minigrad.compiler")))
print(*sorted({reason for *_, reason in mg.dispatch_counts()}))
mg.reset_dispatch_counts()
mg.nn.GRU(3, 4)(mg.ones((5, 2, 3)))
print("minigrad.compiler" in sys.modules, *mg.dispatch_counts())
print(*(name for name in sys.modules if name.split(".")[0] in ("numba", "cupy")))
"""


def test_on_numpy_scans_alone_are_fused():
    command = [sys.executable, "-c", ON_NUMPY]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    imported, reasons, scan, others = told.stdout.splitlines()
    assert (imported, reasons) == ("", "on this backend its ops are faster one by one")
    assert scan == "True ('gru_cell', 'numpy', 'fused', '')" and not others
