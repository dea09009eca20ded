"""Errors make no reference cycles: what met one is free as soon as it is dealt with."""

import ast
import gc
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import minigrad.backends
import minigrad.models
from minigrad.engine import deferred

FOLDERS = [Path(mg.__file__).parent, Path(minigrad.models.__file__).parent]
FOLDERS.append(Path(minigrad.backends.__file__).parent)


@contextmanager
def no_collector():
    gc.collect()
    gc.freeze()  # what is here now needn't be looked at again
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leaf(values):
    return mg.tensor(values, requires_grad=True)


# --- each raises, given a tensor h that nothing else keeps alive --------------------------------


def checkpoint_of_other_numbers(h):
    w = leaf([2.0, 3.0])
    y = mg.checkpoint(lambda h: h * w, h).sum()
    w.data = np.ones(2, "float32")
    y.backward()
    y.numpy()


def checkpoint_of_another_way(h):
    way = [mg.sin]
    y = mg.checkpoint(lambda h: way[0](h), h).sum()
    way[0] = mg.cos
    y.backward()


def checkpoint_of_another_shape(h):
    held = [leaf([2.0, 3.0])]
    y = mg.checkpoint(lambda h: (h * held[0]).sum(), h)
    held[0] = leaf([[2.0, 3.0]])
    y.backward()


def checkpoint_without_a_weight(h):
    w = leaf([2.0, 3.0])
    held = [w]
    y = mg.checkpoint(lambda h: h * held[0], h).sum()
    held[0] = w.detach()
    y.backward()


def checkpoint_of_what_is_no_tensor(h):
    mg.checkpoint(lambda h: "no tensor", h * 2)


def edit_of_a_saved_array(h):
    w = leaf([2.0, 3.0])
    y = (w * h).sum()
    w.data = mg.tensor([5.0, 6.0]).data if not w.backend.is_host else w.data
    if w.backend.is_host and w.backend.array_type is np.ndarray:
        w.data[0] = 7
        y.backward()
    raise RuntimeError("not on this backend")


def second_pass(h):
    y = (h * h).sum()
    y.backward()
    y.backward()


def hook_that_fails(h):
    y = h * 2
    y.register_hook(lambda g: 1 / 0)
    y.sum().backward()


def hook_that_edits_a_copy(h):
    y = h * 2
    y.register_hook(lambda g: g.numpy().fill(0))
    y.sum().backward()


def hook_that_returns_a_number(h):
    y = h * 2
    y.register_hook(lambda g: 3.0)
    y.sum().backward()


def shapes_that_do_not_fit(h):
    (h * 2) @ mg.ones((3, 3))


def gradient_lost_in_a_setting(h):
    mg.clip(h * 2, 0, (h * 3).sum())


def gradient_lost_in_numpy(h):
    np.sin(h * 2)


def edit_in_a_graph(h):
    y = h * 2
    y[0] = 1


def no_path(h):
    mg.grad((h * 2).sum(), leaf([1.0, 2.0]))


def anomaly(h):
    with mg.detect_anomaly():
        mg.log(h * 0 - 1)


def anomaly_backwards(h):
    with mg.detect_anomaly():
        mg.sqrt(h * 0).sum().backward()


def position_out_of_bounds(h):
    (h * 2)[np.array([5])].numpy()


def label_out_of_bounds(h):
    mg.cross_entropy(h.reshape(1, 2) * 2, [5]).numpy()


def cell_that_fails(h):
    def cell(p, x, state):
        raise ZeroDivisionError

    mg.scan(cell, None, mg.ones((3, 2)), h * 2)


@mg.fuse
def looks_at_values(x):
    return x * 2 if x.sum().item() > 0 else (x / "text")


def fused_function_that_fails(h):
    looks_at_values(mg.broadcast_to(-h, (10_000, 2)))


def derivative_that_fails(h):
    @mg.op
    def broken_derivative(xp, x):
        return x * 2

    broken_derivative.vjp(x=lambda g, x: g / 0 if isinstance(g, str) else undefined)  # noqa: F821
    try:
        broken_derivative(h * 2).sum().backward()
    finally:
        del mg.OPS["broken_derivative"]


RAISING = [
    *(checkpoint_of_other_numbers, checkpoint_of_another_way, checkpoint_of_another_shape),
    *(checkpoint_without_a_weight, checkpoint_of_what_is_no_tensor, edit_of_a_saved_array),
    *(second_pass, hook_that_fails, hook_that_edits_a_copy, hook_that_returns_a_number),
    *(shapes_that_do_not_fit, gradient_lost_in_a_setting, gradient_lost_in_numpy),
    *(edit_in_a_graph, no_path, anomaly, anomaly_backwards, position_out_of_bounds),
    *(label_out_of_bounds, cell_that_fails, fused_function_that_fails, derivative_that_fails),
]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("fails", RAISING, ids=lambda f: f.__name__)
def test_an_error_keeps_nothing_alive(backend, fails, depth):
    """At the second call, too, when what was found out at the first one is known."""
    x = leaf([1.0, 2.0])
    for _ in range(depth):
        with no_collector():
            h = x * 1
            node, array = weakref.ref(h._node), weakref.ref(h._data)
            failed = False
            try:
                fails(h)
            except Exception:
                failed = True
            assert failed
            del h
            assert node() is None and array() is None


@pytest.mark.parametrize("most", [1, 10_000])
def test_errors_found_late_keep_nothing_alive(monkeypatch, most):
    monkeypatch.setattr(deferred, "_MOST", most)

    def find(h):
        y = h * 2
        deferred.defer(mg.tensor(True)._data, y.backend, ValueError("found late"))
        y.numpy()

    with mg.use_backend("strict"), no_collector():
        x = leaf([1.0, 2.0])
        h = x * 1
        node, failed = weakref.ref(h._node), False
        try:
            find(h)
        except ValueError:
            failed = True
        del h
        assert failed and node() is None


def test_no_error_is_raised_out_of_a_variable():
    """`raise error` leaves a cycle: the error refers to the frame, and the frame to the error."""
    found = []
    for path in (path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tidy = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Try):  # try: raise error; finally: del error
                deleted = {
                    target.id
                    for end in node.finalbody
                    if isinstance(end, ast.Delete)
                    for target in end.targets
                }
                inside = [part for statement in node.body for part in ast.walk(statement)]
                tidy |= {n for n in inside if isinstance(n, ast.Raise) and _name(n) in deleted}
            if isinstance(node, ast.ExceptHandler):  # its name is deleted at its end
                inside = [part for statement in node.body for part in ast.walk(statement)]
                tidy |= {n for n in inside if isinstance(n, ast.Raise) and _name(n) == node.name}
        found += [
            f"{path}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise)
            and isinstance(node.exc, ast.Name)
            and not node.exc.id[:1].isupper()
            and node not in tidy
        ]
    assert not found


def _name(node):
    return node.exc.id if isinstance(node.exc, ast.Name) else None
