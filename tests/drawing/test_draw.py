"""Graph pictures: what is in the boxes, and that the files are what they claim to be."""

import itertools
import json
import math
import random
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import minigrad as mg
from minigrad.drawing.layout import Layout
from minigrad.drawing.parts import Arrow, Box, Row
from minigrad.drawing.render import Drawing

SVG = "{http://www.w3.org/2000/svg}"
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan)")


def box(picture, title):
    """The one box of this title."""
    (found,) = [b for b in picture.boxes if b.title == title]
    return found


def shown(box, label):
    """The numbers of a box's rows under a label (`value` or `grad`); None if it has no such row."""
    texts, current = [], None
    for row in box.rows:
        current = row.label or current
        if current == label:
            texts.append(row.text)
    return [float(x) for x in NUMBER.findall(" ".join(texts))] if texts else None


def numbers(tensor):
    """The numbers that a box shows of a tensor: a few as they are, more by three statistics."""
    x = tensor.numpy().astype(np.float64)
    if math.prod(x.shape[:-1]) <= 4 and math.prod(x.shape[-1:]) <= 4:
        return x.reshape(-1).tolist()
    return [x.min(), x.mean(), x.max()]


def close(found, expected):
    # Three digits are printed; a mean may cancel down to rounding errors.
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=6e-3, atol=1e-7)


def links(picture):
    """The arrows as triples of titles and the input's name."""
    titles = [b.title for b in picture.boxes]
    return {(titles[a.tail], titles[a.head], a.label) for a in picture.arrows}


def lstm_step():
    """One step of an LSTM cell from ops, all tensors by name, and its loss."""
    mg.manual_seed(0)
    x, h, c = mg.randn((2, 3)), mg.randn((2, 4)), mg.randn((2, 4))
    w_ih = mg.randn((16, 3), requires_grad=True)
    w_hh = mg.randn((16, 4), requires_grad=True)
    b = mg.zeros(16, requires_grad=True)
    i, f, g, o = mg.split(x @ w_ih.T + h @ w_hh.T + b, 4, axis=1)
    c_new = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
    h_new = mg.sigmoid(o) * mg.tanh(c_new)
    loss = mg.square(h_new).mean()
    return loss, {name: value for name, value in locals().items() if name != "loss"}


# --- what is in the boxes --------------------------------------------------------------------


def test_values_and_gradients_of_a_scalar_graph():
    a = mg.tensor(2.0, requires_grad=True, dtype="float64")
    b = mg.tensor(-3.0, requires_grad=True, dtype="float64")
    e = a * b
    d = e + a
    out = mg.tanh(d / 4) * d + e * e
    picture = mg.draw(out, names=locals())
    assert [x.kind for x in picture.boxes] == ["leaf", "leaf", *["op"] * 6, "result"]
    tensors = {"a": a, "b": b, "e = multiply": e, "d = add": d, "out = add": out}
    for title, tensor in tensors.items():
        close(shown(box(picture, title), "value"), [tensor.item()])
        slope = mg.grad(out, tensor, retain_graph=True)
        close(shown(box(picture, title), "grad"), [slope.item()])
    assert ("a", "e = multiply", "a") in links(picture)
    assert ("b", "e = multiply", "b") in links(picture)
    assert len(picture.arrows) == 12
    assert repr(picture) == "<drawing of 9 nodes and 12 edges>"


@pytest.mark.usefixtures("on_numpy")
def test_every_number_of_an_lstm_step():
    loss, names = lstm_step()
    picture = mg.draw(loss, names=names)
    for name, tensor in names.items():
        (found,) = [b for b in picture.boxes if b.title.split(" = ")[0] == name]
        close(shown(found, "value"), numbers(tensor))
        if tensor.requires_grad:
            close(shown(found, "grad"), numbers(mg.grad(loss, tensor, retain_graph=True)))
        else:
            assert found.kind == "constant"
            assert shown(found, "grad") is None
        assert found.subtitle == f"{tensor.shape} float32"
    # All could be told here: each op keeps its inputs or can be computed again.
    assert picture.notes == ["grad: the derivative of the result by the node."]


def test_looking_changes_nothing():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    calls = []
    y.retain_grad()
    x.register_hook(lambda g: calls.append(g) or g * 100)
    out = y.sum()
    picture = mg.draw(out, names=locals())
    assert x.grad is None and y.grad is None and calls == []
    close(shown(box(picture, "x"), "grad"), [2, 4])
    assert picture.notes[1] == "Hooks were not run: gradients are as they would be without them."
    out.backward()
    assert len(calls) == 1
    assert x.grad.tolist() == [200, 400]
    assert y.grad.tolist() == [1, 1]


def test_hooks_come_back_after_an_error():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    out = (x * x).sum()
    x.register_hook(lambda g: g * 100)
    x.data[0] = 7
    with pytest.raises(RuntimeError, match="edited in place"):
        mg.draw(out)
    assert len(x._node.hooks) == 1


def test_a_value_is_shown_where_it_is_known():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    kept = x + 1  # sin keeps it
    lost = x + 2  # nothing keeps it, nor the 2
    again = -kept  # not kept, but it follows from what is
    out = (mg.sin(kept) * 3 + lost * again * 0.5).sum()
    picture = mg.draw(out, names=locals())
    assert shown(box(picture, "kept = add"), "value") == [2, 3]
    assert shown(box(picture, "again = negative"), "value") == [-2, -3]
    assert box(picture, "kept = add").detail == "b not kept"
    # multiply(lost, again) keeps both of its inputs
    assert shown(box(picture, "lost = add"), "value") == [3, 4]
    blind = ((x + 2) * 3).sum()
    picture = mg.draw(blind)
    assert Row("value", "not kept", "faint") in box(picture, "add").rows
    assert Row("value", "not kept", "faint") in box(picture, "multiply").rows
    assert shown(box(picture, "sum"), "value") == [blind.item()]
    assert shown(box(picture, "add"), "grad") == [3, 3]
    assert picture.notes[-1].startswith("not kept: no derivative needs it")


def test_a_leaf_that_is_gone_is_known_if_something_kept_it():
    def make():
        return mg.square(mg.tensor([3.0], requires_grad=True) * 2) + mg.tensor(
            [5.0], requires_grad=True
        )

    picture = mg.draw(make())
    first, second = (b for b in picture.boxes if b.title == "leaf")
    # Neither is kept, but square keeps its input; no forward runs backwards.
    assert [first.rows[0].text, second.rows[0].text] == ["not kept", "not kept"]
    assert shown(box(picture, "multiply"), "value") == [6]
    assert shown(first, "grad") == [24]


def test_constants():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    shared, scale, step = mg.tensor([3.0, 4.0]), mg.tensor(2.0), mg.tensor(9.0)
    out = ((x * shared / scale) ** 2 * shared * step).sum()
    picture = mg.draw(out, names={"x": x, "shared": shared, "step": step})
    assert [b.title for b in picture.boxes if b.kind == "constant"] == ["shared", "step"]
    assert [b.detail for b in picture.boxes if b.title == "divide"] == ["b=2"]
    assert [b.detail for b in picture.boxes if b.title == "power"] == ["b=2"]
    place = [b.title for b in picture.boxes].index("shared")
    assert sum(arrow.tail == place for arrow in picture.arrows) == 2
    assert shown(box(picture, "step"), "value") == [9]


@pytest.mark.usefixtures("on_numpy")
def test_settings():
    x = mg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    part = x[:, 1:][[0, 1, 1]].astype("float32")
    out = mg.clip(mg.concatenate([part, part]).sum(axis=-1, keepdims=True), max=4.5)
    details = {b.title: b.detail for b in mg.draw(out.reshape(1, 6)).boxes}
    assert details["sum"] == "axis=-1, keepdims=True"
    assert details["clip"] == "max=4.5"
    assert details["cast"] == "dtype=float32"
    assert details["concatenate"] == ""  # the default
    assert details["reshape"] == ""  # the shape is seen
    indices = [b.detail for b in mg.draw(out).boxes if b.title == "getitem"]
    assert indices == ["index=(:, 1:)", "index=[0, 1, 1]"]


def test_long_settings_are_cut_in_the_box_and_whole_in_the_tooltip():
    x = mg.tensor(np.ones((9, 2)), requires_grad=True)
    found = box(mg.draw(x[mg.arange(9), None, ..., None, None, 0:1].sum()), "getitem")
    assert found.detail.endswith("…") and len(found.detail) == 36
    assert "index=(<int64 (9,)>, None, ..., None, None, 0:1)" in found.tip


def test_outputs_of_an_op_of_several():
    x = mg.tensor(np.arange(8.0).reshape(2, 4), requires_grad=True)
    first, _, last = mg.split(x, [1, 3], axis=1)
    picture = mg.draw((first * last).sum(), names={"x": x, "last": last})
    call = box(picture, "split")
    assert (call.subtitle, call.detail, call.rows) == ("3 outputs", "sections=[1, 3], axis=1", [])
    titles = [b.title for b in picture.boxes if b.kind == "output"]
    assert titles == ["output 0", "last = output 2"]
    assert links(picture) == {
        ("x", "split", ""),
        ("split", "output 0", ""),
        ("split", "last = output 2", ""),
        ("output 0", "multiply", "a"),
        ("last = output 2", "multiply", "b"),
        ("multiply", "sum", ""),
    }
    assert shown(box(picture, "last = output 2"), "value") == [3, 7]
    assert shown(box(picture, "last = output 2"), "grad") == [0, 4]
    assert shown(box(picture, "x"), "grad") == [3, 0, 0, 0, 7, 0, 0, 4]


def test_an_input_without_a_derivative():
    x = mg.tensor([1.0, 0.0], requires_grad=True)
    gate = x * 1
    picture = mg.draw(mg.where(gate, x, 5.0).sum(), names={"x": x, "gate": gate})
    assert Row("grad", "none", "faint") in box(picture, "gate = multiply").rows
    assert shown(box(picture, "x"), "grad") == [1, 0]


def test_nodes_made_by_hand():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    square, cube = mg.checkpoint(lambda x: (x * x, x * x * x), x)
    picture = mg.draw((square * cube).sum(), names=locals())
    assert box(picture, "checkpoint").subtitle == "2 outputs"
    assert shown(box(picture, "cube = output 1"), "value") == [1, 8]
    assert shown(box(picture, "x"), "grad") == [5, 80]
    assert x.grad is None


def test_a_graph_of_gradients():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    slope = mg.grad((x**3).sum(), x, create_graph=True)
    picture = mg.draw(slope.sum(), names={"x": x})
    close(shown(box(picture, "x"), "grad"), [6, 12])


@pytest.mark.usefixtures("on_numpy")
def test_several_backends():
    x = mg.tensor(np.ones((2, 3)), requires_grad=True)
    y = mg.tanh(x.to("strict") * mg.tensor(2.0, backend="strict"))
    picture = mg.draw((y @ y.T).sum(), names={"x": x})
    assert box(picture, "x").subtitle == "(2, 3) float64"
    assert box(picture, "tanh").subtitle == "(2, 3) float64 strict"
    close(shown(box(picture, "tanh"), "value"), [math.tanh(2)] * 6)
    close(shown(box(picture, "x"), "grad"), [16 * math.tanh(2) * (1 - math.tanh(2) ** 2) / 2] * 6)
    assert box(picture, "multiply").detail == "b=2"


# --- without gradients, without values -------------------------------------------------------


def test_a_result_that_is_no_scalar():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = mg.exp(x)
    picture = mg.draw(y)
    assert all(row.label != "grad" for b in picture.boxes for row in b.rows)
    assert picture.notes[0].startswith("No gradients: the result is not a scalar.")
    picture = mg.draw(y, [1.0, -10.0])
    close(shown(box(picture, "leaf"), "grad"), [math.exp(1), -10 * math.exp(2)])
    assert picture.notes[0].endswith("the elements of the result weighted by g.")


@pytest.mark.usefixtures("on_numpy")
def test_a_freed_graph():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    v = mg.tensor([0.0, 0.0], requires_grad=True)
    out = mg.tanh(w * 3 + v.detach() * v).sum()
    out.backward()
    v.grad = None
    picture = mg.draw(out, names=locals())
    assert picture.notes[0].startswith("backward() has freed this graph")
    assert "backward(retain_graph=True)" in picture.notes[0]
    titles = [b.title for b in picture.boxes]
    assert titles == ["w", "v", "multiply", "multiply", "add", "tanh", "out = sum"]
    assert [b.subtitle for b in picture.boxes[:6]] == ["(2,) float32"] * 6
    assert [b.rows for b in picture.boxes[2:6]] == [[]] * 4
    assert all("not kept" not in b.detail for b in picture.boxes)
    assert shown(box(picture, "w"), "value") == [1, 2]
    close(shown(box(picture, "w"), "grad"), w.grad.tolist())
    assert Row("grad", "none", "faint") in box(picture, "v").rows
    close(shown(box(picture, "out = sum"), "value"), [out.item()])
    assert "freed" in "".join(ElementTree.fromstring(picture.svg).itertext())


def test_a_leaf_that_changed_after_the_forward_pass():
    # square keeps the leaf's array: the picture is of the forward pass, and says so.
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    out = mg.square(w).sum()
    before = mg.draw(out, names={"w": w})
    w._data = w._data + 1e-3  # as an optimiser does
    after = mg.draw(out, names={"w": w})
    assert after.boxes[0] == before.boxes[0]
    assert after.notes[-2].startswith("A leaf has other numbers now than in the forward pass")
    assert not any("other numbers" in note for note in before.notes)


def test_a_leaf_that_changed_and_was_not_kept():
    # exp keeps its own output, which the leaf's new numbers would not give.
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    out = mg.exp(w.reshape(1, 2)).sum()
    before = mg.draw(out, names={"w": w})
    w._data = w._data + 1e-3
    after = mg.draw(out, names={"w": w})
    assert after.notes[1].startswith("A leaf has other numbers now than in the forward pass")
    assert box(after, "exp") == box(before, "exp")
    assert shown(box(after, "w"), "value") == [1.001, 2.001]
    assert shown(box(before, "reshape"), "value") == [1, 2]
    assert Row("value", "not kept", "faint") in box(after, "reshape").rows
    assert shown(box(after, "w"), "grad") == shown(box(before, "w"), "grad")


def test_numbers_that_are_not_finite_stand_out():
    x = mg.tensor([1.0, 0.0], requires_grad=True)
    with np.errstate(all="ignore"):
        y = mg.log(x)
    picture = mg.draw(y, mg.ones(2))
    assert [row.style for row in box(picture, "log").rows] == ["bad", "grad"]
    assert [row.style for row in box(picture, "leaf").rows] == ["value", "bad"]
    big = mg.tensor(np.array([np.inf, -np.inf] * 8), requires_grad=True)
    assert shown(mg.draw(big * 2).boxes[0], "value")[::2] == [-np.inf, np.inf]


def test_arrays_of_any_shape():
    for shape in [(), (1,), (4,), (5,), (4, 4), (5, 1), (2, 2, 4), (2, 3, 2), (0,), (3, 0), (0, 9)]:
        x = mg.tensor(np.arange(math.prod(shape), dtype="float64").reshape(shape))
        x.requires_grad = True
        found = box(mg.draw((x * x).sum(), names={"x": x}), "x")
        if x.size:
            close(shown(found, "value"), numbers(x))
            close(shown(found, "grad"), numbers(x * 2))
        else:
            assert [row.text for row in found.rows] == ["empty", "empty"]


def test_a_leaf_alone():
    x = mg.tensor(3.0, requires_grad=True)
    picture = mg.draw(x, names={"x": x})
    assert [b.title for b in picture.boxes] == ["x"]
    assert shown(picture.boxes[0], "grad") == [1]
    assert picture.svg.count('class="node leaf"') == 1


# --- names -----------------------------------------------------------------------------------


def test_names_from_a_module():
    model = mg.nn.Sequential(mg.nn.Linear(3, 2), mg.nn.Linear(2, 1))
    picture = mg.draw(model(mg.ones((1, 3))).sum(), names=model)
    leaves = {b.title for b in picture.boxes if b.kind == "leaf"}
    assert leaves == {name for name, _ in model.named_parameters()}


def test_the_first_of_two_names_counts():
    x = mg.tensor(1.0, requires_grad=True)
    picture = mg.draw(x * 2, names={"x": x, "again": x, "number": 3, "nothing": None})
    assert picture.boxes[0].title == "x"


# --- errors ----------------------------------------------------------------------------------


def test_errors():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="the tensor to draw must be a tensor; got int 3"):
        mg.draw(3)
    with pytest.raises(RuntimeError, match="does not depend on any tensor that requires a grad"):
        mg.draw(mg.ones(2))
    with pytest.raises(ValueError, match=r"must have its shape \(2,\); got \(3,\)"):
        mg.draw(x, mg.ones(3))
    with pytest.raises(TypeError, match=r"names must be a dict of tensors by name, .* got list"):
        mg.draw(x.sum(), names=["x"])


def test_large_graphs_are_refused():
    x = mg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(300):
        y = mg.sin(y)
    with pytest.raises(ValueError, match=r"301 nodes, more than max_nodes=200: .* max_nodes=301"):
        mg.draw(y)
    picture = mg.draw(y, max_nodes=301)
    assert len(picture.boxes) == 301
    assert picture.svg.count('<g class="node') == 301


def test_without_the_layout_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "grandalf.graphs", None)
    picture = mg.draw(mg.tensor(1.0, requires_grad=True) * 2)
    assert picture.dot.startswith("digraph")
    with pytest.raises(ImportError, match=r'grandalf, .* pip install -e "\.\[learn\]"'):
        _ = picture.svg


def test_importing_minigrad_imports_no_layout_library():
    code = "import sys, json, minigrad; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "minigrad.drawing.draw" in json.loads(run.stdout)
    assert not [name for name in json.loads(run.stdout) if name.startswith("grandalf")]


# --- files -----------------------------------------------------------------------------------

NASTY = 'a <b> & "c" \\ \\n {d|e} ]]> é\n\x00'


def parsed_dot(text):
    """The lines of each node's label, and the edges with their labels; the grammar is checked."""
    string = r'"(?:[^"\\\n]|\\.)*"'
    attributes = rf"\[\w+=(?:{string}|[\w.]+)(?:, \w+=(?:{string}|[\w.]+))*\]"
    first, *lines, last = text.splitlines()
    assert (first, last) == ("digraph minigrad {", "}")
    nodes, edges = {}, []
    for line in lines:
        match = re.fullmatch(rf"  (graph|node|edge|n\d+(?: -> n\d+)?)( {attributes})?;", line)
        assert match, line
        label = re.search(rf"label=({string})", match[2] or "")
        label = re.sub(r"\\(.)", lambda m: {"l": "\n"}.get(m[1], m[1]), label[1]) if label else '""'
        label = label[1:-1].split("\n")[:-1]
        if "->" in match[1]:
            edges.append((*match[1].split(" -> "), *label))
        elif match[1].startswith("n") and match[1] != "node":
            nodes[match[1]] = label
    return nodes, edges


def test_dot():
    loss, names = lstm_step()
    picture = mg.draw(loss, names=names)
    nodes, edges = parsed_dot(picture.dot)
    assert list(nodes) == [f"n{i}" for i in range(len(picture.boxes))]
    for lines, expected in zip(nodes.values(), picture.boxes, strict=True):
        assert lines[0] == f"{expected.title}  {expected.detail}".rstrip()
        assert lines[1] == expected.subtitle
        assert len(lines) == 2 + len(expected.rows)
        for line, row in zip(lines[2:], expected.rows, strict=True):
            assert line.split() == f"{row.label} {row.text}".split()
    assert edges == [
        (f"n{a.tail}", f"n{a.head}", *([a.label] if a.label else [])) for a in picture.arrows
    ]


def test_svg_is_well_formed_and_complete():
    loss, names = lstm_step()
    picture = mg.draw(loss, names=names)
    root = ElementTree.fromstring(picture.svg)
    groups = [g.get("class") for g in root.iter(f"{SVG}g")]
    assert sum(c.startswith("node") for c in groups) == len(picture.boxes) == 28
    assert sum(c == "edge" for c in groups) == len(picture.arrows) == 30
    boxes = [g for g in root.iter(f"{SVG}g") if g.get("class").startswith("node")]
    for drawn, expected in zip(boxes, picture.boxes, strict=True):
        assert drawn.find(f"{SVG}title").text == expected.tip
        texts = ["".join(t.itertext()) for t in drawn.iter(f"{SVG}text")]
        assert texts[0] == expected.title + expected.detail
        for row in expected.rows:
            assert row.text in texts
    notes = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "note"]
    assert " ".join(notes) == " ".join(picture.notes)
    # One file for itself: no links, scripts or style sheets.
    assert not re.search(r"href|url\(|<script|<style|<image", picture.svg)
    assert mg.draw(loss, names=names).svg == picture.svg


def test_names_are_escaped():
    x = mg.tensor(1.0, requires_grad=True)
    picture = mg.draw(x * 2, names={NASTY: x})
    title = NASTY[:-2] + "  "  # what can't be printed, XML can't hold
    root = ElementTree.fromstring(picture.svg)
    assert title in [t.text for t in root.iter(f"{SVG}text")]
    nodes, _ = parsed_dot(picture.dot)
    assert nodes["n0"][0] == title.rstrip()


def test_nothing_overlaps_or_sticks_out():
    rng = random.Random(0)
    for _ in range(40):
        n = rng.randint(2, 40)
        boxes = [
            Box("op", "x" * rng.randint(1, 20), "", "()", [Row("", "1", "value")] * (i % 4), "")
            for i in range(n)
        ]
        # Edges from older to younger; what is used by none leads to the last.
        arrows = [
            Arrow(tail, head, "a")
            for head in range(1, n)
            for tail in rng.choices(range(max(0, head - 9), head), k=rng.randint(0, 3))
        ]
        unused = set(range(n - 1)) - {arrow.tail for arrow in arrows}
        arrows += [Arrow(tail, n - 1, "") for tail in sorted(unused)]
        picture = Drawing(boxes, arrows, [])
        layout = Layout(boxes, arrows)
        placed = list(layout.boxes())
        for ((x, y), (w, h)), ((p, q), (v, k)) in itertools.combinations(placed, 2):
            assert abs(x - p) >= (w + v) / 2 or abs(y - q) >= (h + k) / 2
        root = ElementTree.fromstring(picture.svg)
        left, top, width, height = map(float, root.get("viewBox").split())
        for (x, y), (w, h) in placed:
            assert left < x - w / 2 and x + w / 2 < left + width
            assert top < y - h / 2 and y + h / 2 < top + height
        for arrow, end, path in zip(arrows, layout.end, layout.path, strict=True):
            (_, tail_y), (x, y) = layout.centre[arrow.tail], layout.centre[arrow.head]
            assert abs(end - x) <= layout.size[arrow.head][0] / 2  # it ends at its box
            heights = [tail_y, *(via for _, via in path), y]
            assert heights == sorted(heights)  # and runs downwards
            assert all(left < via < left + width for via, _ in path)


def test_inputs_run_from_left_to_right_where_they_can():
    for flip in (False, True):
        x, y = (mg.tensor(float(i), requires_grad=True) for i in (1, 2))
        total = x * y
        for _ in range(3):  # chains on one side, long arrows on the other
            total = mg.sin(total) * y if flip else y * mg.sin(total)
        picture = mg.draw(total)
        ends = zip(picture.arrows, Layout(picture.boxes, picture.arrows).end, strict=True)
        pairs = [
            end < following
            for (arrow, end), (other, following) in itertools.pairwise(ends)
            if (arrow.head, arrow.label, other.label) == (other.head, "a", "b")
        ]
        assert len(pairs) == 4
        assert sum(pairs) >= 3


def test_an_array_that_is_used_twice_by_one_op():
    x = mg.tensor(3.0, requires_grad=True)
    picture = mg.draw(x * x)
    assert [tuple(arrow) for arrow in picture.arrows] == [(0, 1, "a"), (0, 1, "b")]
    first, second = Layout(picture.boxes, picture.arrows).end
    assert first != second
    assert picture.svg.count('class="edge"') == 2


def test_save(tmp_path):
    picture = mg.draw(mg.tensor(1.0, requires_grad=True) * 2)
    picture.save(tmp_path / "graph.svg")
    picture.save(str(tmp_path / "graph.dot"))
    picture.save(tmp_path / "graph.gv")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == picture.svg
    assert picture._repr_svg_() == picture.svg
    assert (tmp_path / "graph.dot").read_text(encoding="utf-8") == picture.dot
    assert (tmp_path / "graph.gv").read_text(encoding="utf-8") == picture.dot
    with pytest.raises(
        ValueError, match=r"saved as \.html, \.svg, \.dot or \.gv; got 'graph\.png'"
    ):
        picture.save(tmp_path / "graph.png")
    assert len(list(tmp_path.iterdir())) == 3
