"""What a cell reads from outside is part of its kernel's key, or a refusal with its reason."""
# ruff: noqa: NPY002 (NumPy's old random numbers are among what cells may read)

import collections
import dataclasses
import functools
import itertools
import os
import random
import sys
import threading
import types
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import outside
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from outside import KEYED, REFUSED
from places import ROOT
from scans import fusing

import minigrad as mg
from minigrad.compiler import FusionError

pytestmark = pytest.mark.numpy

T, N, I, H = 3, 2, 2, 5
BACKEND = InterpretedBackend()


@pytest.fixture(autouse=True)
def on_a_fusing_backend():
    with mg.use_backend(BACKEND):
        mg.reset_dispatch_counts()
        yield
    mg.reset_dispatch_counts()
    os.environ.pop("MINIGRAD_TEST_FACTOR", None)


def scan(cell, params=None):
    return mg.scan(cell, params, mg.ones((T, N, I)), mg.ones((N, H)))[0].numpy()


def reason_for(cell):
    name = getattr(cell, "__name__", type(cell).__name__)
    (key,) = [key for key in mg.dispatch_counts() if key[0] == name]
    assert key[2] == "composed"
    return key[3]


def each(table):
    return [
        pytest.param(make, reason, id=f"{name}: {make.__name__}")
        for name, makes in table.items()
        for make, reason in makes
    ]


def test_the_table_of_the_readme_has_these_rows():
    text = (ROOT / "minigrad" / "compiler" / "README.md").read_text(encoding="utf-8")
    lines = text.partition("| A cell reads |")[2].splitlines()[2:]
    rows = [line.split("|")[1:3] for line in itertools.takewhile(str.strip, lines)]
    names = {False: [], True: []}
    for name, what in rows:
        assert "part of the kernel's key" in what or "refused: " in what
        names["refused" in what].append(name.strip())
    assert names == {False: list(KEYED), True: list(REFUSED)}


@pytest.mark.parametrize("make, _", each(KEYED))
def test_a_new_number_counts_at_the_next_call(make, _):
    cell, change = make()
    with fusing("require"):
        for k in (1.0, 3.0, 3.0, 1.0, 2.0):
            change(k)
            np.testing.assert_array_equal(scan(cell), np.full((T, N, H), k))
    change(1.0)


@pytest.mark.parametrize("make, reason", each(REFUSED))
def test_what_may_be_another_at_each_step_is_refused(make, reason):
    cell = make()
    scan(cell)
    said = reason_for(cell)
    assert reason in said and "%s" not in said
    with fusing("require"), pytest.raises(FusionError):
        scan(cell)


# --- any place ---------------------------------------------------------------------------------


class Slotted:
    __slots__ = ("k",)


class WithProperty:
    @property
    def k(self):
        return self._k

    def get(self):
        return self._k


def holder(kind, inner):
    """Something that holds `inner`, how to read that, and how to put another number there."""
    if kind == "dict":
        made = {"k": inner}
        return made, "['k']", lambda k: made.update(k=k)
    if kind == "list":
        made = [0, inner]
        return made, "[-1]", lambda k: made.__setitem__(1, k)
    if kind == "tuple":
        return (0, inner), "[-1]", None
    if kind in ("property", "method"):
        made = WithProperty()
        made._k = inner
        return made, ".k" if kind == "property" else ".get()", lambda k: setattr(made, "_k", k)
    if kind == "partial":
        made = functools.partial(lambda x: x, inner)
        return made, "()", None
    make = {
        "object": SimpleNamespace,
        "class": lambda: type("Made", (), {}),
        "module": lambda: types.ModuleType("made"),
        "function": lambda: lambda: None,
        "slot": Slotted,
    }
    made = make[kind]()
    made.k = inner
    return made, ".k", lambda k: setattr(made, "k", k)


KINDS = ["dict", "list", "tuple", "property", "method", "partial", "object", "class", "module"]
KINDS += ["function", "slot"]
ROOTS = {
    "global": "def cell(p, x, h):\n    return h * {read}, h",
    "closure": "def make(root):\n    def cell(p, x, h):\n        return h * {read}, h\n"
    "    return cell\ncell = make(root)",
    "default": "def cell(p, x, h, root=root):\n    return h * {read}, h",
    "keyword": "def cell(p, x, h, *, root=root):\n    return h * {read}, h",
    "partial": "def f(root, p, x, h):\n    return h * {read}, h\ncell = partial(f, root)",
    "self": "class Cell:\n    def f(self, p, x, h):\n        root = self.root\n"
    "        return h * {read}, h\ncell = Cell()\ncell.root = root\ncell = cell.f",
    "callable": "class Cell:\n    root = root\n    def __call__(self, p, x, h):\n"
    "        return h * self.{read}, h\ncell = Cell()",
    "helper": "def helper(h):\n    return h * {read}\ndef cell(p, x, h):\n    return helper(h), h",
    "inner": "def cell(p, x, h):\n    return [h * {read} for _ in range(1)][0], h",
    "alias": "def cell(p, x, h):\n    a = root\n    return h * (lambda root: {read})(a), h",
    "argument": "def helper(root, h):\n    return h * {read}\n"
    "def cell(p, x, h):\n    return helper(root, h), h",
    "params": "def cell(root, x, h):\n    return h * {read}, h",
    "in params": "def cell(p, x, h):\n    root = p['root']\n    return h * {read}, h",
}


@given(
    root=st.sampled_from(sorted(ROOTS)),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    numbers=st.lists(st.sampled_from([1.0, 2.0, 0.5, -0.0, 3]), min_size=2, max_size=4),
)
def test_a_number_anywhere_is_never_an_old_one(root, kinds, numbers):
    value, read, change = holder(kinds[-1], numbers[0])
    for kind in reversed(kinds[:-1]):
        value, more, _ = holder(kind, value)
        read = more + read
    if change is None:  # it can't be changed there
        numbers, change = numbers[:1] * 2, lambda k: None
    scope = {"root": value, "partial": functools.partial}
    exec(ROOTS[root].format(read=f"root{read}"), scope)
    params = {"params": value, "in params": {"root": value, "w": mg.ones(1)}}.get(root)
    for k in numbers:
        change(k)
        np.testing.assert_array_equal(scan(scope["cell"], params), np.full((T, N, H), k))


# --- what parameters are besides their tensors ---------------------------------------------------


class Table(dict):
    """A dict with attributes."""


class Row(list):
    """A list with attributes."""


class SlottedRow(list):
    """A list with a slot."""

    __slots__ = ("k",)


class Key:
    """A key that looks the same whatever it holds."""

    def __repr__(self):
        return "Key"


def two():
    return mg.tensor(2.0)


def attributes_of_a_container(kind):
    made = kind({"w": two()}) if kind is Table else kind([two()])
    first = "w" if kind is Table else 0
    return made, lambda p: p[first] * p.k, lambda k: setattr(made, "k", k)


def a_default_factory():
    made = collections.defaultdict(lambda: 1.0, w=two())
    return (
        made,
        lambda p: p["w"] * p.default_factory(),
        lambda k: setattr(made, "default_factory", lambda: k),
    )


def a_key():
    made = {Key(): two()}
    (key,) = made
    return made, lambda p: sum(w * key.k for key, w in p.items()), lambda k: setattr(key, "k", k)


@pytest.mark.parametrize(
    "make",
    [
        functools.partial(attributes_of_a_container, Table),
        functools.partial(attributes_of_a_container, Row),
        functools.partial(attributes_of_a_container, SlottedRow),
        a_default_factory,
        a_key,
    ],
    ids=["dict", "list", "slotted list", "factory", "key"],
)
def test_containers_of_parameters_hold_more_than_items(make):
    params, read, change = make()

    def cell(p, x, h):
        return h * read(p), h

    for k in (1.0, 3.0, 1.0, 0.5):
        change(k)
        with fusing("require"):
            np.testing.assert_array_equal(scan(cell, params), np.full((T, N, H), 2 * k))


def test_writing_to_a_container_s_attributes_is_refused():
    def cell(p, x, h):
        p.k = p.k + 1
        return h * p[0], h

    p = Row([two()])
    p.k = 0
    scan(cell, p)
    assert p.k == T and "it writes to p, and a kernel" in reason_for(cell)


@pytest.mark.parametrize(
    "read",
    [lambda t: t.requires_grad, lambda t: t.is_leaf, lambda t: t.grad is None],
    ids=["requires_grad", "is_leaf", "grad"],
)
@pytest.mark.parametrize("requires", [False, True])
def test_a_cell_that_asks_for_the_graph_is_refused(read, requires):
    def cell(w, x, h):
        return h * (w if read(w) else 3 * w), h

    w = mg.ones(H).requires_grad_(requires)
    results = []
    for grad in (None, mg.ones(H) if requires else None):
        w.grad = grad
        for fused in ("1", "0"):
            with fusing(fused):
                results.append(scan(cell, w)[0, 0, 0])
    assert (
        results == [3.0 if not read(w) else 1.0] * 4
        if not requires
        else results[0::2] == (results[1::2])
    )
    assert not any(key[2] == "fused" for key in mg.dispatch_counts())


def test_tensors_of_a_class_of_the_user_s_are_refused():
    class Doubled(mg.Tensor):
        def __mul__(self, other):
            return 2 * mg.multiply(self, other)

        __rmul__ = __mul__

    def cell(w, x, h):
        return w * h, h

    @mg.fuse
    def f(w, x):
        return w * x

    w = Doubled(np.ones(H, "float32"), BACKEND)
    np.testing.assert_array_equal(scan(cell, w), np.full((T, N, H), 2.0))
    assert "it is given a Doubled" in reason_for(cell)
    x = mg.ones((N, H))
    np.testing.assert_array_equal(f(w, x).numpy(), 2 * x.numpy())


class Holder:
    def __init__(self, w):
        self.w = w


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    "read",
    [
        lambda t: isinstance(t, mg.nn.Parameter),
        lambda t: t.grad is None,
        lambda t: t.requires_grad,
        lambda t: t.is_leaf,
    ],
    ids=["class", "grad", "requires_grad", "is_leaf"],
)
@pytest.mark.parametrize("of_rows", [False, True])
def test_what_a_function_sees_of_its_arguments_besides_numbers(read, wrapped, of_rows):
    @mg.fuse
    def f(x, given):
        w = given.w if wrapped else given
        return x * w * (3 if read(x if of_rows else w) else 1)

    def used(x, w, fused):
        w.grad = None if w.grad is None else mg.ones(H)
        with fusing(fused):
            y = f(x, Holder(w) if wrapped else w)
            (first,) = mg.grad(y.sum(), [w], create_graph=True) if w.requires_grad else [y]
        return y.numpy().tolist(), first.numpy().tolist()

    x, ones = mg.ones((N, H)), np.ones(H, "float32")
    seen = mg.ones((N, H)).requires_grad_()
    seen.grad = mg.ones((N, H))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["minigrad.fusion"], "MIN_ELEMENTS_TO_FUSE", 0)
        for w in (mg.nn.Parameter(ones), mg.ones(H), mg.nn.Parameter(ones, requires_grad=False)):
            for w.grad in (None, mg.ones(H)):
                for rows in (x, seen):
                    assert used(rows, w, "1") == used(rows, w, "0")


def test_a_parameter_is_one_while_its_cell_is_traced():
    def cell(w, x, h):
        return (h * 2 if isinstance(w, mg.nn.Parameter) else h) * w, h

    for w, k in ((mg.nn.Parameter(np.ones(H, "float32")), 2.0), (mg.ones(H), 1.0)):
        with fusing("require"):
            np.testing.assert_array_equal(scan(cell, w), np.full((T, N, H), k))


# --- what a cell changes is changed once a step --------------------------------------------------

PLACES = {
    "variable": ("", "d"),
    "local": ("e = d", "e"),
    "local of local": ("e = d; f = e", "f"),
    "attribute": ("", "holder.d"),
    "local attribute": ("e = holder.d", "e"),
    "item": ("", "box['d']"),
    "local item": ("e = box['d']", "e"),
    "default": ("", "default"),
}
CHANGES = ["{}.append(1)", "{}[0] += 1", "{} += [1]", "{}.__setitem__(0, {}[0] + 1)", "del {}[0]"]
CHANGES += ["{}.sort(); {}.pop()", "note = {}.append; note(1)", "[{}.append(i) for i in range(2)]"]


@given(st.sampled_from(sorted(PLACES)), st.sampled_from(CHANGES))
def test_a_cell_that_changes_something_does_so_once_a_step(place, change):
    first, target = PLACES[place]
    text = change.replace("{}", target)
    lines = [*first.split("; "), *text.split("; "), "return h * 2, h"]
    source = "def make(d, holder, box):\n    def cell(p, x, h, default=d):\n        "
    source += "\n        ".join(line for line in lines if line) + "\n    return cell\n"
    if text.startswith("d +="):
        source = source.replace("default=d):\n", "default=d):\n        nonlocal d\n")
    found = []
    for fused in ("0", "1"):
        d, scope = [0] * 9, {}
        exec(source, scope)
        cell = scope["make"](d, SimpleNamespace(d=d), {"d": d})
        with fusing(fused):
            for _ in range(2):
                scan(cell)
        found.append(d)
    assert found[0] == found[1] != [0] * 9


# --- tracing leaves everything as it was ---------------------------------------------------------


@pytest.mark.parametrize("name", ["random numbers", "writing to what is outside"])
def test_what_is_refused_is_not_run_to_find_that_out(name):
    for make, _ in REFUSED[name]:
        results = []
        for fused in ("0", "1"):
            mg.manual_seed(0)
            np.random.seed(0)
            random.seed(0)
            outside.RNG = np.random.default_rng(0)
            outside.FACTOR = 1.0
            cell = make()
            with fusing(fused):
                ys = [scan(cell) for _ in range(3)]
            drawn = np.random.rand(), random.random(), outside.RNG.random(), outside.FACTOR
            results.append((np.stack(ys).tolist(), drawn))
        if make is not outside.a_list_that_a_helper_changes:  # which only tracing shows
            assert results[0] == results[1], make.__name__
    outside.FACTOR = 1.0


def test_other_threads_may_draw_while_a_cell_is_traced():
    stop, drawn = threading.Event(), []

    def draw():
        while not stop.is_set():
            drawn.append((np.random.rand(), random.random(), mg.rand(()).item()))

    mg.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    thread = threading.Thread(target=draw)
    thread.start()
    try:
        with fusing("require"):
            for i in range(20):
                scan(lambda p, x, h, i=i: (h * i, h))
    finally:
        stop.set()
        thread.join()
    mg.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    right = [(np.random.rand(), random.random(), mg.rand(()).item()) for _ in drawn]
    assert drawn == right


def test_what_is_made_when_it_is_first_needed_may_be_made():
    class Cell:
        @functools.cached_property
        def factor(self):
            return 2.0

        def __call__(self, p, x, h):
            return h * self.factor, h

    cell = Cell()
    with fusing("require"):
        for _ in range(3):
            np.testing.assert_array_equal(scan(cell), np.full((T, N, H), 2.0))


def test_a_refusal_of_the_moment_is_not_kept():
    """Here another thread would change the number: the cell does it itself, for a while."""
    table, restless = [0.0], [True]

    def bump(table):
        if restless[0]:
            table[0] += 1

    def cell(p, x, h):
        bump(table)
        return h * table[0], h

    scan(cell)
    assert "it changes what it reads from outside" in reason_for(cell)
    restless[0] = False
    for _ in range(4):
        scan(cell)
    assert (cell.__name__, "interpreted", "fused", "") in mg.dispatch_counts()


def test_a_refusal_that_a_cell_catches_counts():
    def cell(p, x, h):
        try:
            good = bool(h.sum() > 0)
        except Exception:
            good = False
        return h * good, h

    np.testing.assert_array_equal(scan(cell), np.ones((T, N, H)))
    assert "it reads a tensor's values" in reason_for(cell)


def test_what_a_cell_does_not_use_of_its_parameters_may_be_anything():
    lock = threading.Lock()

    def cell(p, x, h):
        return h * p.w, h

    def locks(p, x, h):
        with p.lock:
            return h * p.w, h

    p = SimpleNamespace(w=mg.tensor(3.0), lock=lock, numbers=iter([1]))
    with fusing("require"):
        np.testing.assert_array_equal(scan(cell, p), np.full((T, N, H), 3.0))
    np.testing.assert_array_equal(scan(locks, p), np.full((T, N, H), 3.0))
    assert "it reads params.lock, and whether a lock changes can't be seen" in reason_for(locks)


def test_classes_of_parameters_may_change():
    class Params:
        __slots__ = ("w",)
        k = 1.0

        @property
        def both(self):
            return self.w * self.k

    def by_attribute(p, x, h):
        return h * p.w * p.k, h

    def by_property(p, x, h):
        return h * p.both, h

    def by_helper(p, x, h):
        return by_property(p, x, h)

    p = Params()
    p.w = mg.tensor(2.0)
    with fusing("require"):
        for k in (1.0, 3.0, 1.0):
            Params.k = k
            for cell in (by_attribute, by_property, by_helper):
                np.testing.assert_array_equal(scan(cell, p), np.full((T, N, H), 2 * k))


@pytest.mark.parametrize("slots", [False, True])
def test_parameters_in_a_data_class(slots):
    @dataclasses.dataclass(slots=slots)
    class Params:
        w: mg.Tensor
        k: float = 1.0

        def scaled(self, h):
            return h * self.w * self.k

    def by_attributes(p, x, h):
        return h * p.w * p.k, h

    def by_method(p, x, h):
        return p.scaled(h), h

    def by_helper(p, x, h):
        return by_method(p, x, h)

    p = Params(mg.tensor(2.0))
    for cell in (by_attributes, by_method, by_helper):
        for p.k in (1.0, 3.0):
            with fusing("require"):
                np.testing.assert_array_equal(scan(cell, p), np.full((T, N, H), 2 * p.k))


def test_a_class_of_the_state_may_change():
    class State(NamedTuple):
        h: mg.Tensor

        def scaled(self):
            return self.h * FACTOR[0]

    def cell(p, x, s):
        return s.scaled(), s

    for FACTOR[0] in (1.0, 3.0, 1.0):
        with fusing("require"):
            ys, _ = mg.scan(cell, None, mg.ones((T, N, I)), State(mg.ones((N, H))))
        np.testing.assert_array_equal(ys.numpy(), np.full((T, N, H), FACTOR[0]))


FACTOR = [1.0]


def test_a_fused_function_s_object_and_its_class_may_change():
    class Layer:
        k = 1.0

        def __init__(self):
            self.w = mg.ones(H)

        @mg.fuse
        def forward(self, x):
            return x * self.w * self.k

    layer = Layer()
    with fusing("require"):
        for k in (1.0, 3.0, 1.0):
            Layer.k = k
            np.testing.assert_array_equal(
                layer.forward(mg.ones((N, H))).numpy(), np.full((N, H), k)
            )
        layer.k = 5.0
        assert (layer.forward(mg.ones((N, H))) == 5.0).all()
