"""Folded pictures: what one box stands for, what is inside of it, and what things are called."""

import graphlib
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import random_graphs
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.drawing.graph_values import nodes_of
from minigrad.engine.graph import Output, on_call


@pytest.fixture
def op_by_op(monkeypatch):
    """Scans are composed, so that each step has nodes."""
    monkeypatch.setenv("MINIGRAD_FUSED", "0")


def titles(picture, kind=None):
    return [box.title for box in picture.boxes if kind in (None, box.kind)]


def edges(picture):
    found = titles(picture)
    return [(found[a.tail], found[a.head]) for a in picture.arrows]


def check_order(picture):
    """No arrow runs backwards, here and inside."""
    assert all(arrow.tail < arrow.head for arrow in picture.arrows)
    for inner in picture.inside.values():
        check_order(inner)


# --- random graphs ---------------------------------------------------------------------------


class Block(mg.nn.Module):
    """Runs a part of a program, and notes what runs within it."""

    def __init__(self, name, stack):
        self.name, self.stack = name, stack

    def forward(self, run):
        self.stack.append(self.name)
        try:
            return run()
        finally:
            self.stack.pop()


class BlockRun(random_graphs.Run):
    """A run whose blocks are calls of modules; `born` is the blocks that each node is born in."""

    def __init__(self, program, leaves, within=True):
        stack, self.born, self.count = [], {}, 0
        self.blocks = [Block(f"blocks.{i}: Block", stack) for i in range(99)]

        def note(op, node, *_):
            self.born[node] = tuple(stack)

        with on_call.within(note):
            super().__init__(program, leaves, within=within)

    def _block(self, step, values, here):
        block = self.blocks[self.count]
        self.count += 1
        return block(lambda: super(BlockRun, self)._block(step, values, here))


class Whole(mg.nn.Module):
    """A module of all blocks, so that they have places in it."""

    def forward(self, program, leaves, weights):
        run = BlockRun(program, leaves)
        self.blocks = run.blocks
        return run, run.loss(weights)


def run_named(program):
    """A run, its loss, its nodes, each of which has a name, and the blocks of each."""
    model = Whole()
    leaves = [mg.randn(random_graphs.SHAPE, requires_grad=True) for _ in range(2)]
    run, loss = model(program, leaves, [1.0, 2.0, -1.0])
    nodes = nodes_of(loss._node)
    for node in nodes:
        node.label = f"n{node.birth}"
    born = {n: run.born.get(n.edges[0] if isinstance(n, Output) else n, ()) for n in nodes}
    return model, loss, nodes, born


def key(title):
    return title.partition(" = ")[0]


@given(random_graphs.programs())
def test_each_node_has_one_box(program):
    _, loss, nodes, _ = run_named(program)
    picture = mg.draw(loss, fold=None, max_nodes=10**6)
    assert [key(title) for title in titles(picture)] == [node.label for node in nodes]
    expected = [(e.label, n.label) for n in nodes for e in n.edges if e is not None]
    assert sorted((key(a), key(b)) for a, b in edges(picture)) == sorted(expected)
    check_order(picture)


@given(random_graphs.programs(), st.integers(1, 3))
def test_folded_calls_are_the_quotient_of_the_graph(program, depth):
    model, loss, nodes, born = run_named(program)
    picture = mg.draw(loss, names=model, fold=depth, max_nodes=10**6)
    # The call of the model is the outermost one.
    unit = {n: b[depth - 1] if len(b := born[n]) >= depth else n.label for n in nodes}
    assert sorted(map(key, titles(picture))) == sorted(set(unit.values()))
    expected = {(unit[e], unit[n]) for n in nodes for e in n.edges if e is not None}
    folded = [(key(a), key(b)) for a, b in edges(picture)]
    assert set(folded) == {(a, b) for a, b in expected if a != b}
    groups = set(titles(picture, "group"))
    assert groups == {u for u in unit.values() if u.startswith("blocks")}
    several = [pair for pair in folded if groups & set(pair)]
    assert len(several) == len(set(several))
    check_order(picture)

    def within(drawn):
        for place, box in enumerate(drawn.boxes):
            if place in drawn.inside:
                yield from within(drawn.inside[place])
            elif box.kind not in ("outside", "leaf"):
                yield key(box.title)

    ops = [node.label for node in nodes if node.edges]
    assert sorted(within(picture)) == sorted(ops)


@given(st.data())
def test_loops_of_cells_that_feed_each_other_fold_without_circles(data):
    cells = [mg.nn.RNNCell(2, 2) for _ in range(2)]
    values = [mg.zeros((1, 2)), mg.ones((1, 2))]
    for _ in range(data.draw(st.integers(4, 12))):
        cell = cells[data.draw(st.integers(0, 1))]
        x, h = (values[data.draw(st.integers(-3, -1)) % len(values)] for _ in "xh")
        values.append(cell(mg.sin(x) if data.draw(st.booleans()) else x, h))
    picture = mg.draw(sum(values[2:]).sum(), steps=2)
    before = {place: set() for place in range(len(picture.boxes))}
    for arrow in picture.arrows:
        before[arrow.head].add(arrow.tail)
    list(graphlib.TopologicalSorter(before).static_order())  # raises CycleError
    check_order(picture)


# --- steps -----------------------------------------------------------------------------------


class Tagger(mg.nn.Module):
    def __init__(self):
        self.lstm = mg.nn.LSTM(3, 4, num_layers=2)
        self.head = mg.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.usefixtures("on_numpy")
def test_steps_of_a_layer():
    model = Tagger()
    picture = mg.draw(model(mg.randn((3, 2, 3))).sum())
    groups = [f"l{layer} step {t}" for layer in (0, 1) for t in range(3)]
    assert titles(picture, "group") == groups
    found = edges(picture)
    for before, after in (("l0 step 0", "l0 step 1"), ("l0 step 1", "l0 step 2")):
        assert found.count((before, after)) == 1
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        assert [(f"lstm.{name}_l1", f"l1 step {t}") in found for t in range(3)] == [True] * 3
    inner = picture.open("l0 step 1")
    assert titles(inner, "group") == ["forget", "candidate", "input", "cell", "output", "hidden"]
    assert sorted(titles(inner, "outside")) == ["cell", "hidden"]
    assert [b.subtitle for b in inner.boxes if b.kind == "outside"] == ["from l0 step 0"] * 2
    assert titles(inner.open("forget")) == ["split", "output 1", "forget = sigmoid"]
    assert titles(inner.open("cell"), "result") == ["cell = add"]


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("T, steps", [(2, 2), (3, 2), (3, 3), (5, 3), (40, 3), (40, 5)])
def test_of_many_steps_those_in_the_middle_share_a_box(T, steps):
    layer = mg.nn.GRU(3, 4, bidirectional=True)
    y, _ = layer(mg.randn((T, 2, 3)))
    picture = mg.draw(y.sum(), steps=steps)
    forwards = [t for t in titles(picture, "group") if t.startswith("l0 ")]
    first = [f"l0 step {t}" for t in range(min(T, steps) - 1)]
    middle = [f"l0 step {t}" for t in range(T)][steps - 1 : -1]
    more = [f"l0 {T - steps} more steps"] if steps + 1 < T else []
    assert forwards == [*first, *(more or middle), f"l0 step {T - 1}"]
    backwards = [t for t in titles(picture, "group") if t.startswith("l0_reverse ")]
    assert (backwards[0], backwards[-1]) == (f"l0_reverse step {T - 1}", "l0_reverse step 0")
    check_order(picture)
    if more:
        with pytest.raises(KeyError, match=r"no box 'l0 .*' opens; these do: 'l0 step 0"):
            picture.open(more[0])


def test_a_loop_over_a_cell(backend):
    encoder, decoder = mg.nn.GRUCell(3, 4), mg.nn.GRUCell(3, 4)
    h = encoder(mg.ones((2, 3)))
    for _ in range(6):
        h = decoder(mg.ones((2, 3)), h)
    picture = mg.draw(h.sum())
    assert titles(picture, "group") == [
        "GRUCell",
        "GRUCell step 0",
        "GRUCell step 1",
        "GRUCell 3 more steps",
        "GRUCell step 5",
    ]
    assert "GRUCell.weight_ih" in titles(picture) and "GRUCell2.weight_ih" in titles(picture)
    check_order(picture)


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.usefixtures("on_numpy")
def test_a_scan_of_ones_own_with_padding():
    def cell(w, x, h):
        h = mg.probe("state", mg.tanh(x @ w + h))
        return h, h

    w = mg.randn((3, 3), requires_grad=True)
    ys, last = mg.scan(cell, w, mg.randn((4, 2, 3)), mg.zeros((2, 3)), lengths=[4, 1])
    for out in (ys.sum(), last.sum()):
        picture = mg.draw(out, names={"w": w}, steps=4)
        assert titles(picture, "group") == [f"cell step {t}" for t in range(4)]
        assert "state = tanh" in titles(picture.open("cell step 3").open("state"))


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.usefixtures("on_numpy")
def test_scans_by_depth_and_in_each_other():
    def inner(w, x, h):
        h = mg.tanh(x @ w + h)
        return h, h

    def outer(w, x, h):
        _, h = mg.scan(inner, w, mg.stack([x, x, x]), h)
        return h, h

    w = mg.randn((3, 3), requires_grad=True)
    ys, _ = mg.scan(outer, w, mg.randn((2, 1, 3)), mg.zeros((1, 3)))
    steps = ["outer step 0", "outer step 1"]
    expected = {
        0: ["outer"],
        1: steps,
        2: ["inner", "inner (2)"],
        "step": steps,
        "layer": ["outer"],
    }
    for fold, groups in expected.items():
        assert titles(mg.draw(ys.sum(), fold=fold), "group") == groups
    for fold in ("step", "layer"):
        picture = mg.draw(ys.sum(), names={"w": w}, fold=fold)
        step = (picture.open("outer") if fold == "layer" else picture).open("outer step 1")
        assert titles(step) == ["w", "tanh", *(f"inner step {t}" for t in range(3))]
        assert titles(step.open("inner step 2"), "result") == ["tanh"]


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.usefixtures("on_numpy")
def test_steps_in_a_module_in_a_model():
    model = Tagger()
    picture = mg.draw(model(mg.randn((3, 2, 3))).sum(), fold="layer", names={})
    assert titles(picture) == ["lstm: LSTM", "head: Linear", "sum"]
    inner = picture.open("lstm: LSTM")
    assert len(titles(inner, "group")) == 6
    assert titles(inner.open("l1 step 0"), "group")[0] == "forget"
    assert titles(mg.draw(model(mg.randn((3, 2, 3))).sum(), fold=0)) == ["Tagger", "sum"]


# --- names -----------------------------------------------------------------------------------


def test_parameters_of_called_modules_have_names(backend):
    model = Tagger()
    loss = mg.square(model(mg.randn((3, 2, 3)))).mean()
    assert set(titles(mg.draw(loss), "leaf")) == {name for name, _ in model.named_parameters()}
    w = model.head.weight
    assert "mine" in titles(mg.draw(loss, names={"mine": w}), "leaf")
    del model
    assert set(titles(mg.draw(loss), "leaf")) == {"leaf"}


def test_names_of_two_modules_stay_apart():
    first, second = mg.nn.Linear(3, 3), mg.nn.Linear(3, 3, bias=False)
    picture = mg.draw(second(first(mg.ones((1, 3)))).sum())
    assert sorted(titles(picture, "leaf")) == ["Linear.weight", "Linear2.weight", "bias"]
    found = titles(mg.draw((first(first(mg.ones((1, 3))))).sum(), fold="layer"), "group")
    assert found == ["Linear", "Linear (2)"]


def test_named_values_have_their_names_and_what_serves_them_alone():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    shared = mg.sin(x)
    gate = mg.probe("gate", mg.sigmoid(shared * 2 + mg.cos(x)))
    out = (gate * shared).sum()
    assert "gate = sigmoid" in titles(mg.draw(out))
    picture = mg.draw(out, fold="gate", names={"x": x})
    assert titles(picture) == ["x", "sin", "gate", "multiply", "sum"]
    inner = picture.open("gate")
    assert titles(inner) == ["sin", "multiply", "x", "cos", "add", "gate = sigmoid"]
    assert inner.boxes[0].kind == "outside"
    with mg.record(gradients=True):  # which changes the graph
        gate = mg.probe("gate", mg.sigmoid(x))
    assert any(t.startswith("gate = ") for t in titles(mg.draw(gate.sum())))


# --- kernels ---------------------------------------------------------------------------------


def test_a_scan_by_kernels_opens_to_its_program(backend):
    layer = mg.nn.GRU(3, 4)
    y, _ = layer(mg.randn((5, 2, 3)))
    picture = mg.draw(y.sum())
    if "scan of gru_cell" not in titles(picture):
        assert backend in ("numpy", "strict")
        assert titles(picture, "group")[0] == "l0 step 0"
        return
    labels = {arrow.label for arrow in picture.arrows}
    assert {"w_ih", "w_hh", "b_ih", "b_hh", "xs", "state"} <= labels
    inner = picture.open("scan of gru_cell")
    for gate in ("update = sigmoid", "reset = sigmoid", "candidate = tanh"):
        assert gate in titles(inner)
    (last,) = [box for box in inner.boxes if box.kind == "result"]
    assert last.title == "hidden = add" and last.subtitle == "(N, H) float32"
    assert [row.text for row in last.rows] == ["to the output ", "to the next state "]
    y.sum().backward()
    freed = mg.draw(y.sum())
    assert titles(freed.open("scan of gru_cell")) == titles(inner)


def test_a_fused_function_opens_to_its_program(backend):
    @mg.fuse
    def gated(a, b):
        return mg.tanh(a) * mg.probe("gate", mg.sigmoid(b))

    a, b = (mg.randn((64, 256), requires_grad=True) for _ in "ab")
    picture = mg.draw(gated(a, b).sum(), names={"a": a, "b": b})
    if "gated" in titles(picture):
        assert "gate = sigmoid" in titles(picture.open("gated"))
    else:
        assert backend in ("numpy", "strict") and "gate = sigmoid" in titles(picture)


# --- forms and errors ------------------------------------------------------------------------


@pytest.mark.usefixtures("op_by_op")
@pytest.mark.usefixtures("on_numpy")
def test_html_and_text(tmp_path):
    picture = mg.draw(Tagger()(mg.randn((3, 2, 3))).sum())

    def count(drawn):
        return sum(1 + count(inner) for inner in drawn.inside.values())

    page = picture._repr_html_()
    root = ElementTree.fromstring(page)
    assert len(list(root.iter("details"))) == count(picture) == 6 * 7
    assert page.count('role="button"') == 6 * 7
    assert not re.search(r"href|url\(|<script|<style|<image", page)
    assert "onclick" not in picture.svg
    picture.save(tmp_path / "graph.html")
    assert page in (tmp_path / "graph.html").read_text(encoding="utf-8")
    lines = str(picture).splitlines()
    assert len(lines) == len(picture.boxes) + len(picture.notes)
    for place, (line, box) in enumerate(zip(lines, picture.boxes, strict=False)):
        assert line.split()[0] == str(place) and box.title in line
        taken = {str(arrow.tail) for arrow in picture.arrows if arrow.head == place}
        said = line.partition("<- ")[2].split("   ")[0]
        assert set(re.findall(r"\d+(?=,|$)", said)) == taken


def test_a_step_shows_how_large_its_gradients_are(monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", "0")  # a kernel shows its program instead
    h = mg.zeros((1, 2), requires_grad=True)
    cell = mg.nn.RNNCell(2, 2)
    states = [h]
    for _ in range(3):
        states.append(cell(mg.ones((1, 2)), states[-1]))
    out = states[-1].sum()
    picture = mg.draw(out)
    for t, state in enumerate(states[1:]):
        (box,) = [b for b in picture.boxes if b.title == f"RNNCell step {t}"]
        shown = [float(re.search(r"±(\S+)", row.text)[1]) for row in box.rows]
        slope = mg.grad(out, state, retain_graph=True)
        expected = [np.abs(state.numpy()).max(), np.abs(slope.numpy()).max()]
        np.testing.assert_allclose(shown, expected, rtol=6e-3)


def test_wrong_uses():
    x = mg.tensor(1.0, requires_grad=True) * 2
    with pytest.raises(ValueError, match="fold is 'step', 'layer', 'gate', None or a number; got"):
        mg.draw(x, fold="steps")
    with pytest.raises(ValueError, match="a number from 0; got -1"):
        mg.draw(x, fold=-1)
    for wrong in (True, 1.5, ["step"]):
        with pytest.raises(TypeError, match=r"fold is 'step', .*; got (bool|float|list)"):
            mg.draw(x, fold=wrong)
    with pytest.raises(TypeError, match="steps is a number from 2; got str '3'"):
        mg.draw(x, steps="3")
    with pytest.raises(ValueError, match="steps is 2 or more, for the first and the last; got 1"):
        mg.draw(x, steps=1)
    with pytest.raises(KeyError, match="no box 'multiply' opens; these do: no others do"):
        mg.draw(x).open("multiply")
