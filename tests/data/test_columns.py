"""What loaders take: arrays, tensors, lists and data sets, and what a batch has of each."""

import collections

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import DataLoader
from minigrad.utils.install import install_line

TEXTS = [[1, 2, 3], [4], [5, 6]]


def only(data, **settings):
    """The one batch of some data."""
    (batch,) = DataLoader(data, batch_size=100, **settings)
    return batch


def test_arrays_and_numbers_give_rows(backend):
    x, y = np.arange(12.0).reshape(3, 2, 2), np.array([True, False, True])
    a, b, c = only((x, y, [1.5, 2, 3]))
    np.testing.assert_array_equal(a.numpy(), x)
    np.testing.assert_array_equal(b.numpy(), y)
    assert (a.dtype, b.dtype, c.dtype) == (np.float64, np.bool_, np.float32)
    assert c.tolist() == [1.5, 2, 3]
    assert only([1, 2, 3]).tolist() == [1, 2, 3]
    assert only([np.int32(1), mg.tensor(2)]).tolist() == [1, 2]
    assert isinstance(only((x,)), tuple) and isinstance(only(x), mg.Tensor)


def test_columns_that_are_tensors_stay_where_they_are(backend):
    x = mg.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    with mg.use_backend("numpy"):
        batches = list(DataLoader((x, np.arange(3)), 2))
    assert [a.tolist() for a, _ in batches] == [[[1.0], [2.0]], [[3.0]]]
    assert batches[0][0].backend.name == backend and batches[0][1].backend.name == "numpy"
    batches[0][0].sum().backward()
    assert x.grad.tolist() == [[1.0], [1.0], [0.0]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8", "int64", "bool"])
@pytest.mark.parametrize(
    "kind",
    [lambda x: x, lambda x: mg.tensor(x), lambda x: x[::-1][::-1]],
    ids=["array", "t", "view"],
)
def test_sequences_in_a_list_are_padded(kind, dtype, backend):
    sequences = [kind(np.ones((n, 2), dtype)) for n in (2, 0, 3)]
    x, lengths = only(sequences, padding_value=0)
    assert (x.shape, x.dtype, lengths.tolist()) == ((3, 3, 2), dtype, [2, 0, 3])
    assert (x.numpy()[..., 0].T == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]).all()
    first, _ = only(sequences, batch_first=True)
    np.testing.assert_array_equal(first.numpy(), x.numpy().swapaxes(0, 1))


def test_lists_and_arrays_of_lists():
    ragged = np.empty(3, dtype=object)
    ragged[:] = TEXTS
    for data in (TEXTS, ragged, [np.array(text) for text in TEXTS]):
        x, lengths = only(data)
        assert x.tolist() == [[1, 4, 5], [2, 0, 6], [3, 0, 0]] and lengths.tolist() == [3, 1, 2]
        assert type(lengths) is np.ndarray
    assert only([[], [1, 2]])[0].dtype == np.int64  # a list of nothing has no dtype
    assert only([[], []])[0].shape == (0, 2)
    assert only([[1], [0.5]])[0].tolist() == [[1.0, 0.5]]
    assert only([[0.5], [1.5]])[0].dtype == np.float32
    a, b = [x.dtype for x, _ in DataLoader([[1], [0.5]])]
    assert a == b == np.float64 or a == b == np.float32  # the same in all batches


def test_dicts_give_dicts():
    batch = only({"x": TEXTS, "tags": TEXTS, "y": [1, 0, 1]}, padding_value={"tags": -100})
    assert [*batch] == ["x", "x_lengths", "tags", "tags_lengths", "y"]
    assert batch["x"][:, 1].tolist() == [4, 0, 0] and batch["tags"][:, 1].tolist() == [
        4,
        -100,
        -100,
    ]
    _, _, tags, _ = only((TEXTS, TEXTS), padding_value=(None, -1))
    assert tags[:, 1].tolist() == [4, -1, -1]


def test_which_columns_are_sequences_may_be_named():
    x = np.arange(12).reshape(3, 2, 2)
    padded, lengths = only(x, sequences=[0])
    assert (padded.shape, lengths.tolist()) == ((2, 3, 2), [2, 2, 2])
    np.testing.assert_array_equal(padded.numpy(), x.swapaxes(0, 1))
    np.testing.assert_array_equal(only(list(x), sequences=[]).numpy(), x)
    np.testing.assert_array_equal(only([*mg.tensor(x)], sequences=[]).numpy(), x)
    batch = only({"x": x, "y": [[1, 2], [3, 4], [5, 6]]}, sequences="x")
    assert [*batch] == ["x", "x_lengths", "y"] and batch["y"].shape == (3, 2)


class Squares:
    """A data set in PyTorch's way."""

    def __init__(self, make):
        self.make, self.asked = make, []

    def __len__(self):
        return 5

    def __getitem__(self, i):
        if i >= 5:
            raise IndexError
        self.asked.append(i)
        return self.make(i)


Pair = collections.namedtuple("Pair", "x y")


@pytest.mark.parametrize("whole", [False, True], ids=["data set", "list"])
def test_examples_one_by_one(whole, backend):
    def first(make, **settings):
        data = Squares(make)
        return next(iter(DataLoader(list(data) if whole else data, 3, **settings)))

    x, y = first(lambda i: (np.full(2, i, "float32"), i * i))
    assert (x.tolist(), y.tolist(), x.dtype) == ([[0, 0], [1, 1], [2, 2]], [0, 1, 4], np.float32)
    assert first(lambda i: Pair(mg.tensor([i]), i))[0].shape == (3, 1)
    batch = first(lambda i: {"x": [i] * i, "y": float(i)})
    assert [*batch] == ["x", "x_lengths", "y"] and batch["x"].tolist() == [[0, 1, 2], [0, 0, 2]]
    x, lengths, y = first(lambda i: (np.arange(i), i), sequences=[0], padding_value=(9, 0))
    assert (x.tolist(), lengths.tolist()) == ([[9, 0, 0], [9, 9, 1]], [0, 1, 2])
    with pytest.raises(
        ValueError, match=r"column 0 has examples of different shapes.*\(0,\).*\(1,"
    ):
        first(lambda i: (np.arange(i), i))
    assert first(lambda i: i * i).tolist() == [0, 1, 4]


def test_a_data_set_is_asked_for_what_is_due():
    data = Squares(lambda i: (i, i))
    loader = DataLoader(data, 2, shuffle=True, seed=0)
    assert data.asked == []
    order = [i for x, _ in loader for i in x.tolist()]
    assert data.asked == order and sorted(order) == [0, 1, 2, 3, 4]
    state = loader.state_dict()
    data.asked.clear()
    loader.load_state_dict({**state, "epoch": 0, "batch": 2})
    assert len([*loader]) == 1 and data.asked == order[4:]


def test_data_sets_of_pytorch():
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    x, y = torch.arange(12.0).reshape(6, 2), torch.arange(6)
    data = torch.utils.data.TensorDataset(x, y)
    ours = [[part.tolist() for part in batch] for batch in DataLoader(data, 4)]
    theirs = [[part.tolist() for part in batch] for batch in torch.utils.data.DataLoader(data, 4)]
    assert ours == theirs
    assert next(iter(DataLoader(data, 4)))[0].dtype == np.float32
