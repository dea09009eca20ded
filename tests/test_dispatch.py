"""Which way a scan runs, and why: refusals, counts, and plans that serve again or don't."""

import functools
import random
from types import SimpleNamespace

import numpy as np
import pytest
from interpreted_backend import InterpretedBackend
from odd_cells import SCANS
from scans import fusing, run

import minigrad as mg
from minigrad.compiler import FusionError, Untraceable

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
    return h * float(np.random.random()), h  # noqa: NPY002 -- what users do


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
    looks: "it looks at the numbers in a tensor",
    reads: "the index (0, 0); only slices of the last axis can be compiled",
    takes_numpy: "it looks at the numbers in a tensor",
    makes: "it makes a tensor of its own; hand it in through the parameters",
    meets_an_array: "it makes a tensor of its own; hand it in through the parameters",
    captures: "it uses a tensor that is not among its parameters, inputs or state",
    drops: "it draws random numbers; hand them in through its inputs",
    rolls_dice: "it draws random numbers; hand them in through its inputs",
    rolls_numpys_dice: "it draws random numbers; hand them in through its inputs",
    normalises_the_batch: "a mean over the batch lets its rows meet",
    sums_all: "sum lets the rows of a batch meet",
    compares_rows: "transpose lets the rows of a batch meet",
    counts_rows: "it calculates with the number of sequences in the batch",
    knows_the_batch: "it uses the number of sequences in the batch as a plain number",
    doubles_the_batch: "only slices of the last axis can be compiled",
    picks: "it picks elements by their positions; only slices can be compiled",
    strides: "only slices of the last axis can be compiled",
    accumulates: "cumsum can't be part of a compiled step",
    listens: "it registers a hook, which wants to see every step",
    halves_precision: "it uses float16; compiled are float32 and float64",
    multiplies_states: "it returns a tensor without a row per sequence",
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
    ((name, backend, way, reason), count) = mg.dispatch_counts().popitem()
    assert (name, backend, way, count) == (cell.__name__, "interpreted", "composed", 1)
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
    with mg.use_backend("numpy"):
        scan(cell)
    assert next(iter(mg.dispatch_counts()))[1:] == (
        *("numpy", "composed"),
        "the backend has no compiler",
    )


def test_wrong_cells_get_the_errors_of_scan():
    def no_pair(p, x, h):
        return h

    def other_state(p, x, h):
        return h, x

    def broken(p, x, h):
        return h @ p, h

    with pytest.raises(TypeError, match=r"must return a pair \(y, state\)"):
        scan(no_pair)
    with pytest.raises(ValueError, match="must return a state of the same structure"):
        scan(other_state)
    for lengths in (None, [1, 2, 3]):
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
    scan(double)
    assert mg.dispatch_counts() == {("double", "interpreted", "fused", ""): 3}
    for wrong in ("yes", "", "true"):
        with fusing(wrong), pytest.raises(ValueError, match=f"0, 1 or require; got {wrong!r}"):
            scan(double)


def test_counts_are_a_copy():
    scan(double)
    mg.dispatch_counts().clear()
    assert sum(mg.dispatch_counts().values()) == 1
    mg.reset_dispatch_counts()
    assert mg.dispatch_counts() == {}


# --- plans -------------------------------------------------------------------------------------


def counted(cell):
    """The cell, and how often it has been called."""
    calls = []

    @functools.wraps(cell)
    def counting(p, x, h):
        calls.append(1)
        return cell(p, x, h)

    return counting, calls


CALLS = SimpleNamespace(count=0)


def test_a_plan_serves_again():
    texts = len(BACKEND.texts)

    def cell(p, x, h):
        return h * p, h

    for steps in (2, 3):
        for value in (2.0, 3.0):
            ys, _ = scan(cell, mg.tensor(value), T=steps)
            assert ys.tolist() == [[[value] * H] * N] * steps
    assert len(BACKEND.texts) == texts + 1  # traced and compiled once
    scan(cell, mg.tensor(2.0, requires_grad=True))
    assert len(BACKEND.texts) == texts + 3  # with a backward pass
    with mg.no_grad():
        scan(cell, mg.tensor(2.0, requires_grad=True))
    assert len(BACKEND.texts) == texts + 3


def outputs(cell, params=None):
    with fusing("require"):
        return scan(cell, params)[0].numpy()[0, 0, 0]


def test_a_constant_of_the_closure_may_change():
    factor = 2.0

    def cell(p, x, h):
        return h * factor, h

    assert outputs(cell) == 2
    factor = 3.0
    assert outputs(cell) == 3

    def scaled(by):
        return lambda p, x, h: (h * by, h)

    assert [outputs(scaled(by)) for by in (2.0, 3.0, 2, True, -0.0)] == [2, 3, 2, 1, 0]
    assert np.signbit(outputs(scaled(-0.0))) and not np.signbit(outputs(scaled(0.0)))


def test_what_the_closure_holds_may_change():
    factors = [2.0]
    settings = SimpleNamespace(factor=2.0)
    table = {"factor": 2.0}

    def helper(h):
        return h * factors[0]

    for cell in (
        lambda p, x, h: (h * factors[0], h),
        lambda p, x, h: (helper(h), h),
        lambda p, x, h: (h * settings.factor, h),
        lambda p, x, h: (h * table["factor"], h),
        functools.partial(lambda factors, p, x, h: (h * factors[0], h), factors),
    ):
        assert outputs(cell) == 2
        factors[0] = settings.factor = table["factor"] = 3.0
        assert outputs(cell) == 3
        factors[0] = settings.factor = table["factor"] = 2.0


def test_defaults_may_change():
    def cell(p, x, h, factors=[2.0], *, more={"factor": 1.0}):  # noqa: B006 -- the point of it
        return h * factors[0] * more["factor"], h

    assert outputs(cell) == 2
    cell.__defaults__[0][0] = 3.0
    assert outputs(cell) == 3
    cell.__kwdefaults__["more"]["factor"] = 2.0
    assert outputs(cell) == 6
    cell.__defaults__ = ([5.0],)
    assert outputs(cell) == 10


FACTOR = 2.0


def by_global(h):
    return h * FACTOR


def test_globals_may_change(monkeypatch):
    def direct(p, x, h):
        return h * FACTOR, h

    def through(p, x, h):
        return (lambda a: by_global(a))(h), h

    assert outputs(direct) == outputs(through) == 2
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert outputs(direct) == outputs(through) == 3
    monkeypatch.setitem(globals(), "by_global", lambda h: h * 7)
    assert outputs(through) == 7


def test_what_parameters_hold_besides_tensors_may_change():
    class Gentle:
        def __init__(self):
            self.w, self.factor, self.steps = mg.ones(1), 2.0, [1.0]

        def squash(self, h):
            return h * self.factor * self.steps[0]

    class Harsh(Gentle):
        def squash(self, h):
            return h * 100

    def cell(p, x, h):
        return p.squash(h) * p.w, h

    p = Gentle()
    assert outputs(cell, p) == 2
    p.factor = 3.0
    assert outputs(cell, p) == 3
    p.steps[0] = 2.0
    assert outputs(cell, p) == 6
    assert outputs(cell, Harsh()) == 100
    p.steps.append(p)  # it holds itself
    assert outputs(cell, p) == 6

    def apply(p, x, h):
        return p["f"](h), h

    for f, y in ((mg.negative, -1), (lambda h: h * 5, 5), (mg.ones_like, 1)):
        assert outputs(apply, {"w": mg.ones(1), "f": f}) == y


def test_a_cell_is_traced_each_time_where_nobody_can_tell_what_it_depends_on():
    class Cell:
        factor = 2.0

        def __call__(self, p, x, h):
            return h * self.factor, h

        def method(self, p, x, h):
            return h * self.factor, h

    cell = Cell()
    assert outputs(cell) == outputs(cell.method) == 2
    cell.factor = 3.0
    assert outputs(cell) == outputs(cell.method) == 3


def test_parameters_in_any_container():
    def cell(p, x, h):
        a, (b, *c) = p["list"]
        return h * a * b * c[0] * p["of"].w * p["n"], h

    p = {"list": [mg.tensor(2.0), (mg.tensor(3.0), mg.tensor(5.0))]}
    p |= {"of": SimpleNamespace(w=mg.tensor(7.0), name="w"), "n": 11, "none": None}
    assert outputs(cell, p) == 2 * 3 * 5 * 7 * 11
    strange = {"import os\n": mg.tensor(2.0), "a b": mg.ones(H), 3: mg.ones((H, H))}
    assert outputs(lambda p, x, h: (h @ p[3] * p["a b"] * p["import os\n"], h), strange) == 2 * H


def test_a_plan_that_fails_says_how_to_go_on_without(monkeypatch):
    def fail(loop, dtype):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(BACKEND, "compile_loop", fail)
    with pytest.raises(RuntimeError, match="out of luck") as caught:
        scan(lambda p, x, h: (h * 12345, h))
    assert caught.value.__notes__ == [
        "This happened while <lambda> was compiled. MINIGRAD_FUSED=0 runs it without."
    ]


# --- what a fused scan gives -------------------------------------------------------------------


def test_outputs_are_arrays_of_their_own():
    def cell(p, x, h):
        h = h + 1
        return (x, h, h, x), h

    xs, h = mg.ones((T, N, I)), mg.ones((N, H))
    with fusing("require"):
        ys, last = mg.scan(cell, None, xs, h)
    arrays = [t._data for t in (xs, h, *ys, last)]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_only_what_has_a_gradient_requires_one():
    def cell(p, x, s):
        h, frozen, n = s
        h = h + x * p
        return (h, frozen * 2, h > 0, h.detach()), (h, frozen, n + 1)

    p = mg.ones(1, requires_grad=True)
    state = mg.ones((N, 1)), mg.ones((N, 1)), mg.ones((N, 1), dtype="int64")
    with fusing("require"):
        ys, last = mg.scan(cell, p, mg.ones((T, N, 1)), state)
    assert [t.requires_grad for t in (*ys, *last)] == [True, *[False] * 3, True, False, False]


def test_structures_are_those_of_a_composed_scan():
    for name in ("a_named_state", "outputs_as_a_list", "two_layers"):
        kinds = []
        for choice in ("0", "require"):
            case = SCANS[name]
            tensors = [mg.tensor(a) for a in case.arrays]
            with fusing(choice):
                kinds.append([type(part) for part in case(tensors)])
        assert kinds[0] == kinds[1]


def test_an_unused_parameter_has_no_gradient():
    def cell(p, x, h):
        return h * p[0], h

    p = [mg.ones(1, requires_grad=True), mg.ones(1, requires_grad=True)]
    with fusing("require"):
        ys, _ = scan(cell, p)
        used, unused = mg.grad(ys.sum(), p, allow_unused=True)
    assert used.tolist() == [T * N * H] and unused is None


def test_the_backward_pass_that_asks_for_less_gives_the_same():
    case = SCANS["parameters_of_all_shapes"]
    everything = run(case, BACKEND, "require")[2:]
    floats = range(len(case.arrays))
    for i in floats:
        (one,) = run(case, BACKEND, "require", wanted=[i])[2:]
        np.testing.assert_allclose(one, everything[i], rtol=1e-12, atol=1e-14)
