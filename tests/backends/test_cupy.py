"""What is particular to the CuPy backend, on the real CuPy: arrays in and out, devices, memory.

That it computes what NumPy does is shown by the tests that run on every backend.
"""

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import doctor
from minigrad.models.networks.classifier import SequenceClassifier

try:
    BACKEND = mg.get_backend("cupy")
except mg.BackendError as reason:
    pytest.skip(str(reason), allow_module_level=True)

import cupy

pytestmark = pytest.mark.cupy

DEVICES = cupy.cuda.runtime.getDeviceCount()
two_devices = pytest.mark.skipif(DEVICES < 2, reason="there is only one device here")


@pytest.fixture(autouse=True)
def on_cupy():
    with mg.use_backend("cupy"):
        yield


def leaf(*values):
    return mg.tensor(list(values), requires_grad=True)


# --- arrays in and out ---------------------------------------------------------------------------


def test_data_is_the_array_itself():
    x = mg.ones(3)
    assert isinstance(x.data, cupy.ndarray)
    x.data[1] = 5
    assert x.tolist() == [1, 5, 1]


def test_a_cupy_array_is_copied_by_tensor_and_shared_by_from_dlpack():
    array = cupy.arange(3.0)
    copied, shared = mg.tensor(array), mg.from_dlpack(array)
    assert shared.data.data.ptr == array.data.ptr != copied.data.data.ptr
    array[0] = 7
    assert copied.tolist() == [0, 1, 2] and shared.tolist() == [7, 1, 2]
    assert copied.dtype == shared.dtype == np.float64


def test_gradients_flow_to_a_shared_array():
    array = cupy.arange(3, dtype="float32")
    x = mg.from_dlpack(array)
    x.requires_grad = True
    (x * x).sum().backward()
    assert x.grad.tolist() == [0, 2, 4]


def test_a_tensor_is_shared_with_others_by_dlpack():
    x = mg.ones(3)
    array = cupy.from_dlpack(x)
    assert array.data.ptr == x.data.data.ptr
    assert mg.from_dlpack(x).data.data.ptr == array.data.ptr
    assert x.__dlpack_device__() == array.__dlpack_device__()
    with pytest.raises(BufferError, match="detach"):
        cupy.from_dlpack(leaf(1.0))


def test_other_libraries_tensors_on_a_device():
    """They come by the protocol: here one that offers nothing else."""

    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    array = cupy.arange(3.0)
    assert mg.from_dlpack(Foreign(array)).data.data.ptr == array.data.ptr
    copied = mg.tensor(Foreign(array), dtype="float32")
    assert copied.tolist() == [0, 1, 2] and copied.dtype == np.float32
    assert copied.data.data.ptr != array.data.ptr


def test_a_host_array_cannot_be_shared_with_a_device():
    said = r"an array in the host's memory can't be shared with backend 'cupy'; copy it there by "
    said += r"mg.tensor\(array, backend='cupy'\)"
    with pytest.raises(mg.BackendError, match=said):
        mg.from_dlpack(np.ones(2))


@pytest.mark.parametrize("take", [mg.tensor, mg.from_dlpack])
def test_a_device_array_cannot_be_read_by_a_host_backend(take):
    said = r"backend 'numpy' can't read an array on a device; pass backend='cupy', and move the "
    said += r"tensor with \.to\('numpy'\)"
    with pytest.raises(mg.BackendError, match=said):
        take(cupy.ones(2), backend="numpy")


def test_a_cupy_array_beside_a_tensor():
    array = cupy.arange(2, dtype="float32")
    y = leaf(1.0, 2.0) * array
    array += 1  # the graph has its own copy
    assert y.tolist() == [0, 2] and mg.grad(y.sum(), y).tolist() == [1, 1]
    assert mg.ones(3)[cupy.array([2, 0])].shape == (2,)


def test_a_numpy_array_beside_a_tensor_is_not_moved_in_silence():
    with pytest.raises(TypeError, match="a NumPy array meets a tensor on backend 'cupy'"):
        mg.ones(2) * np.ones(2)


def test_nothing_is_read_in_silence():
    for read in (np.asarray, np.exp, np.sum, lambda x: np.stack([x, x])):
        with pytest.raises(TypeError):
            read(mg.ones(2))


# --- errors that a device finds -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "wrong", "axis", "n"),
    [
        (([0, 3],), 3, 0, 3),
        (np.array([0, -4]), -4, 0, 3),
        ((slice(None), [[4], [0]]), 4, 1, 4),
        ((..., [0, 1, 9]), 9, 2, 2),
        ((0, None, [0, 4]), 4, 1, 4),
        ((np.array([True, False, True]), [0, 4]), 4, 1, 4),
        (np.array([200], "uint8"), 200, 0, 3),
    ],
)
def test_a_position_from_the_host_that_is_not_there(index, wrong, axis, n):
    x = mg.zeros((3, 4, 2))
    with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis {axis}"):
        x[index]
    with pytest.raises(IndexError, match=f"axis {axis} with size {n}"):
        mg.scatter_add(x, index, 1.0)
    with pytest.raises(IndexError):  # as NumPy has it
        np.zeros((3, 4, 2))[index]


@pytest.mark.parametrize("index", [np.array([True, False]), (0, 0, 0, [0]), 3, (0, 4)])
def test_an_index_that_does_not_fit(index):
    with pytest.raises(IndexError):
        mg.zeros((3, 4, 2))[index]


def test_a_mask_from_the_host_is_found_there():
    x = mg.arange(12).reshape(3, 4)
    mask = np.arange(12).reshape(3, 4) % 5 == 0
    assert x[mask].tolist() == [0, 5, 10]
    assert x[:, mask[0]].shape == (3, 1)
    assert x[mask[:, 0], 1:].tolist() == x.numpy()[mask[:, 0], 1:].tolist()
    with pytest.raises(IndexError, match=r"a mask of shape \(2, 4\) doesn't fit the axes \(3, 4\)"):
        x[mask[:2]]


def test_positions_on_the_device_are_checked_without_waiting():
    x = mg.zeros(3)
    y = x[mg.tensor([0, 5])] * 2
    assert y.shape == (2,)
    with pytest.raises(
        IndexError, match="an index is out of bounds for axis 0 with size 3"
    ) as error:
        mg.ones(1).numpy()  # any number that comes to the host
    assert error.value.__notes__ == [
        "The error happened earlier on device 'cupy'; it is reported now, when results are read."
    ]
    assert y.numpy().shape == (2,)  # told once


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_good_positions_on_the_device(dtype):
    index = mg.tensor([2, 0, 2], dtype=dtype)
    assert mg.arange(3)[index].tolist() == [2, 0, 2]
    if dtype != "uint8":
        assert mg.arange(3)[index - 3].tolist() == [2, 0, 2]


def test_words_and_classes_that_are_not_there():
    weight = mg.zeros((5, 2))
    with pytest.raises(IndexError, match=r"embedding: 5 is not one of the 5 positions 0..4"):
        mg.functional.embedding([[1, 5]], weight)
    with pytest.raises(IndexError, match=r"cross_entropy: -1 is not one of the 2 positions 0..1"):
        mg.cross_entropy(weight, np.array([0, 1, 0, 1, -1]))
    mg.functional.embedding(mg.tensor([0, -1]), weight)
    with pytest.raises(IndexError, match="embedding: an index is not one of the 5 positions"):
        weight.numpy()
    mg.cross_entropy(weight, mg.tensor([0, 1, 0, 1, -100])).item()  # ignore_index is allowed
    loss = mg.cross_entropy(weight, mg.tensor([0, 1, 0, 1, 2]))
    with pytest.raises(IndexError, match="cross_entropy: an index is not one of the 2 positions"):
        loss.item()


def test_an_edit_is_found_without_waiting():
    x = leaf(1.0, 2.0, 3.0)
    y = (x * x).sum()
    x.data[:] = x.data[::-1].copy()  # the same numbers in another order
    y.backward()
    with pytest.raises(RuntimeError, match="edited in place after multiply saved it"):
        x.grad.numpy()
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [6, 4, 2]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
def test_fingerprints(dtype):
    array = cupy.asarray(np.arange(6).reshape(2, 3) % 4 == 1, dtype)
    before = BACKEND.fingerprint(array)
    assert before.shape == () and before == BACKEND.fingerprint(array.copy())
    assert before == BACKEND.fingerprint(cupy.asfortranarray(array))
    changed = array.copy()
    changed[1, 1] = not changed[1, 1]
    assert before != BACKEND.fingerprint(changed)
    assert before != BACKEND.fingerprint(array[:, ::-1])


# --- memory --------------------------------------------------------------------------------------

MUCH = 10**13


@pytest.fixture
def pool():
    """CuPy's memory pool, whatever else the tests' arrays come from."""
    with cupy.cuda.using_allocator(cupy.get_default_memory_pool().malloc):
        yield


@pytest.mark.parametrize(
    "ask",
    [
        lambda: mg.zeros(MUCH),
        lambda: mg.ones(MUCH // 1000).reshape(1, -1) * mg.ones((1000, 1)),
        lambda: mg.broadcast_to(mg.ones(1), (MUCH,)).astype("float64"),
    ],
)
def test_out_of_memory_says_what_was_asked_for_and_what_is_free(ask, pool):
    with pytest.raises(
        cupy.cuda.memory.OutOfMemoryError, match=r"allocating [\d,]{14,} bytes"
    ) as e:
        ask()
    (told,) = [note for note in e.value.__notes__ if note.startswith("GPU memory: ")]
    free = BACKEND.memory()["free"] / 2**30
    assert float(re.search(r"of which ([\d.]+) GiB are free", told)[1]) == pytest.approx(
        free, abs=1
    )
    assert "mg.checkpoint" in told


def test_out_of_memory_in_an_op_names_the_op(pool):
    with pytest.raises(MemoryError) as error:
        mg.outer(mg.ones(2**22), mg.ones(2**22))
    assert any(
        "This happened in multiply, called with a (4194304, 1)" in n for n in error.value.__notes__
    )


def test_out_of_memory_in_a_backward_pass(pool):
    @mg.op
    def greedy(xp, x):
        return x + 0

    greedy.vjp(x=lambda g, x: mg.broadcast_to(g, (MUCH,)) + 1)
    y = greedy(leaf(1.0))
    with pytest.raises(MemoryError) as error:
        y.sum().backward()
    notes = "\n".join(error.value.__notes__)
    assert "backward pass of greedy" in notes and notes.count("GPU memory: ") == 1


def test_the_doctor_reports_the_memory(pool):
    kept = mg.zeros(2**20)  # 4 MiB
    (row,) = [row for row in doctor.report() if row["name"] == "cupy"]
    assert row["available"] and row["version"] == cupy.__version__
    memory = row["memory"]
    assert 0 < memory["free"] <= memory["total"]
    assert kept.size * 4 <= memory["pool_used"] <= memory["pool_held"] <= memory["total"]
    assert "GiB free; the memory pool holds 0." in doctor.table([row])


# --- devices and streams --------------------------------------------------------------------------


def test_a_device_is_chosen_by_its_number():
    first = mg.get_backend("cupy:0")
    assert first.name == "cupy:0" and first.device.endswith(":0")
    assert mg.get_backend("cupy:0") is first is not BACKEND
    assert mg.ones(2, backend="cupy:0").data.device.id == 0
    with pytest.raises(
        mg.BackendError, match=f"there is no GPU number {DEVICES}: this machine has"
    ):
        mg.get_backend(f"cupy:{DEVICES}")


def step(backend, device):
    """A step of training by a backend; everything is on the device."""
    mg.manual_seed(0)
    model, x = SequenceClassifier("lstm", 9, 3, 4, dropout=0.2), np.arange(2, 8).reshape(3, 2)
    model.to(backend)
    optimizer = mg.optim.Adam(model.parameters())
    loss = mg.cross_entropy(model(x, [3, 2]), [0, 1])
    loss.backward()
    mg.optim.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    arrays = [loss, *model.parameters(), *(p.grad for p in model.parameters())]
    assert {x.data.device.id for x in arrays} == {device}
    return loss.item(), [p.tolist() for p in model.parameters()]


@two_devices
def test_the_second_device_trains_as_the_first():
    first = step("cupy", 0)
    with mg.use_backend("cupy:1"):
        assert cupy.cuda.Device().id == 1
        assert step("cupy:1", 1) == first
    assert cupy.cuda.Device().id == 0
    assert step("cupy:1", 1) == first  # outside of its context, too


@two_devices
def test_tensors_of_the_second_device_outside_of_its_context():
    x = mg.tensor([1.0, 2.0], requires_grad=True, backend="cupy:1")
    y = mg.softplus(x * x).sum()
    y.backward()
    assert cupy.cuda.Device().id == 0
    assert x.data.device.id == y.data.device.id == x.grad.data.device.id == 1
    assert x.grad.numpy() == pytest.approx(2 * np.array([1, 2]) / (1 + np.exp([-1.0, -4.0])))


@two_devices
def test_gradients_flow_between_devices():
    x = mg.tensor([1.0, 2.0], requires_grad=True, backend="cupy:0")
    y = (x * x).to("cupy:1")
    assert y.data.device.id == 1
    z = (mg.exp(y) * 2).to("cupy:0") * x
    z.sum().backward()
    assert x.grad.data.device.id == 0
    a = np.array([1.0, 2.0])
    assert np.allclose(x.grad.numpy(), 2 * np.exp(a * a) * (1 + 2 * a * a), rtol=1e-5)


@two_devices
def test_devices_do_not_mix():
    with pytest.raises(mg.BackendError, match="different backends, 'cupy:0' and 'cupy:1'"):
        mg.ones(2, backend="cupy:0") + mg.ones(2, backend="cupy:1")


@two_devices
def test_an_array_of_another_device():
    second, array = mg.get_backend("cupy:1"), cupy.arange(3.0)
    said = r"arrays of 'cupy:1' are on GPU 1, and this one is on GPU 0\. .*use_backend\('cupy:1'\)"
    with pytest.raises(mg.BackendError, match=said):
        second.asarray(array)
    with pytest.raises(mg.BackendError, match=said):
        mg.from_dlpack(array, backend="cupy:1")
    copied = mg.tensor(array, backend="cupy:1")
    assert copied.data.device.id == 1 and copied.tolist() == [0, 1, 2]


@two_devices
def test_an_op_that_computes_on_the_wrong_device():
    """Where one device may read another's memory, CuPy's operators work on the current one."""

    @mg.op
    def elsewhere(xp, x):
        with cupy.cuda.Device(0):
            return cupy.zeros(x.shape, x.dtype)

    with pytest.raises(mg.BackendError, match="elsewhere: arrays of 'cupy:1' are on GPU 1, and"):
        elsewhere(mg.ones(2, backend="cupy:1"))


@two_devices
def test_cupys_own_choice_of_a_device_counts():
    with cupy.cuda.Device(1):
        x = leaf(1.0, 2.0)
        (x * x).sum().backward()
    assert x.data.device.id == x.grad.data.device.id == 1


def test_work_is_queued_on_the_users_stream():
    """A captured stream records what is asked of it: nothing of this runs before its launch."""
    x, out = mg.ones((2, 4)), mg.zeros((2, 4)).data
    y = mg.tanh(x + x)  # kernels are compiled before
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        out[...] = mg.tanh(x + x)._data
        graph = stream.end_capture()
    assert not cupy.asnumpy(out).any()
    graph.launch(stream)
    stream.synchronize()
    assert np.array_equal(cupy.asnumpy(out), y.numpy())
