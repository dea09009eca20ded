"""Edits in place: of an array that a graph needs they are errors, elsewhere they are free."""

import gc

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine import contents, inplace
from minigrad.engine.graph import on_call

# NumPy's arrays are looked at at once; a device may tell later, and is tested where it is named.
pytestmark = pytest.mark.usefixtures("on_numpy")


def leaf(values=(1.0, 2.0, 3.0)):
    return mg.tensor(np.array(values, dtype="float64"), requires_grad=True)


def set_one(x):
    x.data[0] = 9.0


def add_one(x):
    x.data += 1


def through_a_view(x):
    x.data[1:][0] = 9.0


def through_a_reshaped_view(x):
    x.data.reshape(3, 1)[2, 0] = 9.0


def through_a_transposed_view(x):
    x.data[None].T[0, 0] = 9.0


def by_sorting(x):
    x.data[::-1].sort()


def by_swapping(x):
    x.data[[0, 1]] = x.data[[1, 0]]


def by_negating(x):
    np.negative(x.data, out=x.data)


def by_numpy(x):
    np.add.at(x.data, 0, 1)


def through_a_detached_tensor(x):
    x.detach().data[2] = 0.0


EDITS = [
    *(set_one, add_one, through_a_view, through_a_reshaped_view, through_a_transposed_view),
    *(by_sorting, by_swapping, by_negating, by_numpy, through_a_detached_tensor),
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_of_a_saved_input_is_an_error(edit):
    x = leaf()
    y = (x * x).sum()
    edit(x)
    with pytest.raises(RuntimeError, match="edited in place after multiply saved it"):
        y.backward()


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_the_same_when_the_array_was_handed_out_before(edit):
    x = leaf()
    assert x.data[0] == 1.0
    y = (x * x).sum()
    edit(x)
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_before_the_forward_pass_is_fine(edit):
    x = leaf()
    edit(x)
    y = (x * x).sum()
    y.backward()
    assert np.allclose(x.grad.numpy(), 2 * x.numpy())


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_after_the_backward_pass_is_fine(edit):
    x = leaf()
    (x * x).sum().backward()
    edit(x)
    x.zero_grad()
    (x * x).sum().backward()
    assert np.allclose(x.grad.numpy(), 2 * x.numpy())


def test_an_array_held_from_before_is_watched():
    x = leaf()
    array = x.data
    y = mg.exp(x * 2).sum()  # saves no input
    y.backward()
    z = (x * x).sum()
    array[1] = 0.0
    with pytest.raises(RuntimeError, match="edited in place"):
        z.backward()


def test_the_error_names_op_input_and_shape():
    x, w = leaf(), leaf()
    y = mg.divide(w, x).sum()
    x.data[0] = 5.0
    with pytest.raises(RuntimeError, match=r"after divide saved it .* its input b, shape \(3,\)"):
        y.backward()


def test_an_edit_of_a_saved_output():
    x = leaf()
    y = mg.exp(x)
    y.data[0] = 1.0
    with pytest.raises(RuntimeError, match=r"after exp saved it .* its output"):
        y.sum().backward()


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(3, 1),
        lambda x: x[1:],
        lambda x: x[::-1],
        lambda x: mg.expand_dims(x, 0).T,
        lambda x: mg.broadcast_to(x, (2, 3)),
        lambda x: mg.split(x, 3)[2],
        lambda x: mg.unstack(x)[2],
    ],
)
def test_a_saved_view_of_an_edited_array(view):
    x = leaf()
    y = (view(x) ** 3).sum()
    x.data[2] = 9.0
    with pytest.raises(RuntimeError, match="after power saved it"):
        y.backward()


def test_an_edit_through_a_view_that_is_a_tensor():
    x = leaf()
    y = (x * x).sum()
    x.reshape(3, 1).data[0] = 9.0
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


def test_an_edited_condition():
    condition = mg.tensor([True, False, True])
    y = mg.where(condition, leaf(), 0).sum()
    condition.data[1] = True
    with pytest.raises(RuntimeError, match=r"after where saved it .* its input condition"):
        y.backward()


def test_an_edited_operand_of_an_op_of_many():
    a, b = leaf(), leaf()
    y = mg.einsum("i,i->", a, b)
    b.data[1] = 0
    with pytest.raises(RuntimeError, match="after contract saved it"):
        y.backward()


def test_an_edited_array_at_second_order():
    x = leaf()
    slope = mg.grad((x**3).sum(), x, create_graph=True)
    x.data[0] = 5.0
    with pytest.raises(RuntimeError, match="edited in place"):
        mg.grad(slope.sum(), x)


def test_an_edit_between_two_passes_over_a_kept_graph():
    x = leaf()
    y = (x * x).sum()
    y.backward(retain_graph=True)
    x.data[0] = 5.0
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


def test_an_edit_that_is_taken_back_is_none():
    x = leaf()
    y = (x * x).sum()
    x.data[0] = 5.0
    x.data[0] = 1.0
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_an_array_that_nothing_saved_may_be_edited():
    x = leaf()
    y = (x + 1).sum()  # the sum's gradient needs no numbers
    x.data[0] = 5.0
    y.backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_index_arrays_are_copied(backend):
    x = leaf()
    index = np.array([0, 0, 2])
    y = x[index]
    index[:] = 1
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 1.0]


def test_raw_operands_are_copied():
    x, array = leaf(), np.array([1.0, 10.0, 100.0])
    y = x * array
    array[:] = 0
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 10.0, 100.0]


def test_a_tensor_is_a_copy_of_its_data():
    array = np.ones(3)
    x = mg.tensor(array, requires_grad=True)
    y = (x * x).sum()
    array[:] = 5
    y.backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_assigning_new_data_leaves_a_graph_alone():
    x = leaf()
    y = (x * x).sum()
    x.data = np.array([5.0, 5.0, 5.0])
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]  # of the numbers that y was computed from


def test_assigned_data_is_watched():
    x, array = leaf(), np.array([5.0, 5.0, 5.0])
    x.data = array
    y = (x * x).sum()
    array[0] = 1.0
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


def test_assigned_data_must_fit():
    with pytest.raises(ValueError, match=r"shape \(3,\) and dtype float64 can't become"):
        leaf().data = np.ones(2)


@pytest.mark.parametrize("held", [False, True])
def test_a_training_loop_by_hand(held):
    """The classic: weights edited in place after each backward pass."""
    w, x, target = leaf([0.0, 0.0, 0.0]), mg.tensor(np.eye(3)), mg.tensor(np.array([1.0, 2.0, 3.0]))
    array = w.data if held else None
    for _ in range(60):
        loss = ((x @ w - target) ** 2).sum()
        w.grad = None
        loss.backward()
        if held:
            array -= 0.2 * w.grad.numpy()
        else:
            w.data -= 0.2 * w.grad.data
    assert np.allclose(w.numpy(), [1, 2, 3])


def test_imported_memory_is_watched():
    array = np.ones(3)
    x = mg.from_dlpack(array)
    w = leaf()
    y = (w * x).sum()
    array[0] = 5.0
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


def test_exported_memory_is_watched():
    x = leaf()
    y = (x * x).sum()
    np.from_dlpack(x.detach())
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: NumPy's import is read-only"
    )
    torch.from_dlpack(x.detach())[0] = 7
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


def test_editing_on_a_device(backend):
    """The guard works on any backend; on a device it may wait until a number comes to the host."""
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    array = x.data
    array += 1
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()
        x.grad.numpy()


def test_nobody_pays_once_no_array_is_out():
    gc.collect()
    x = leaf()
    assert (x * x).sum().data is not None
    x.data += 1
    x.data = x.data * 2
    x.data[...] -= 1
    (x * x).sum().backward()
    assert not on_call and not inplace.noted
    array = x.data
    y = (x * x).sum()
    assert inplace._note_saved in [listener.function for listener in on_call]
    del array, y
    x = leaf()
    (x * x).sum().backward()
    gc.collect()
    assert not on_call and not inplace.noted
    assert not inplace._memories and not inplace._loans


def test_the_guard_may_go_while_anomaly_mode_looks(monkeypatch):
    """Garbage is collected at any time; what else looks at the op must not be passed over."""
    gc.collect()
    x = mg.zeros(2)[1:].detach().requires_grad_()  # a view: the guard looks for its owner
    out = [mg.ones(1)]
    assert out[0].data is not None
    monkeypatch.setattr(inplace, "_owner", lambda array: out.clear() or array)
    with pytest.raises(FloatingPointError, match="whose forward was at"), mg.detect_anomaly():
        (x**0.5 * 0).sum().backward()
    assert not out


def test_an_array_goes_while_another_is_handed_out(monkeypatch):
    gc.collect()
    out, read = [leaf().data], contents.read_contents

    def meanwhile(*args):
        out.clear()  # as a collection of garbage may do at any time
        return read(*args)

    x = leaf()
    kept = x.detach()  # so that a graph might have the array
    monkeypatch.setattr(contents, "read_contents", meanwhile)
    array = x.data
    monkeypatch.undo()
    assert not out and kept.shape == x.shape
    y = (x * x).sum()
    array[0] = 9.0
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


def test_views_of_one_array_are_looked_at_once(monkeypatch):
    x = leaf()
    array = x.data
    looked, read = [], contents.as_bytes
    monkeypatch.setattr(contents, "as_bytes", lambda *args: looked.append(1) or read(*args))
    y = (x * x[::-1]).sum()
    saved = len(looked)
    y.backward()
    assert saved == len(looked) - saved == 1
    assert array.tolist() == x.tolist()
