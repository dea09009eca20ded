"""Sequences side by side and apart again: PyTorch's numbers, gradients, wrong use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.data import pad_sequence, unpad_sequence
from minigrad.testing.strategies import LAYOUTS, relaid
from minigrad.utils.install import install_line

lengths = st.lists(st.integers(0, 4), min_size=1, max_size=5)


def sequences_of(lengths, rest=(), seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, *rest)) for n in lengths]


@given(lengths=lengths, rest=st.sampled_from([(), (2,), (0,), (2, 3)]), first=st.booleans())
def test_there_and_back(lengths, rest, first, backend):
    arrays = sequences_of(lengths, rest)
    for sequences in (arrays, [mg.tensor(x) for x in arrays], [mg.tensor(arrays[0]), *arrays[1:]]):
        x = pad_sequence(sequences, batch_first=first, padding_value=7)
        T, N = max(lengths), len(lengths)
        assert x.shape == ((N, T, *rest) if first else (T, N, *rest))
        assert x.dtype == np.float64 and x.backend.name == backend
        wide = x.numpy() if first else x.numpy().swapaxes(0, 1)
        for row, array in zip(wide, arrays, strict=True):
            np.testing.assert_array_equal(row[: len(array)], array)
            assert (row[len(array) :] == 7).all()
        back = unpad_sequence(x, lengths, batch_first=first)
        for y, array in zip(back, arrays, strict=True):
            np.testing.assert_array_equal(y.numpy(), array)


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4), first=st.booleans())
def test_the_same_as_in_pytorch(lengths, first, backend):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    arrays = sequences_of(lengths, (2,))
    theirs = torch.nn.utils.rnn.pad_sequence([torch.tensor(x) for x in arrays], first, -1.5)
    np.testing.assert_array_equal(pad_sequence(arrays, first, -1.5).numpy(), theirs.numpy())


@given(data=st.data(), lengths=lengths, first=st.booleans())
def test_gradients_of_any_order(data, lengths, first, numpy_unless_deep):
    arrays = [relaid(x, data.draw(st.sampled_from(LAYOUTS))) for x in sequences_of(lengths, (2,))]

    def there_and_back(*sequences):
        x = pad_sequence(sequences, batch_first=first)
        return mg.concatenate(unpad_sequence(x * x, lengths, batch_first=first)).sum() + x.sum()

    report = mg.gradcheck(there_and_back, tuple(mg.tensor(x) for x in arrays), order=2)
    assert report or not any(lengths), report


@given(data=st.data(), lengths=lengths, first=st.booleans())
def test_a_gradient_is_its_part_of_the_cotangent(data, lengths, first, backend):
    arrays = [relaid(x, data.draw(st.sampled_from(LAYOUTS))) for x in sequences_of(lengths, (2,))]
    ws = [mg.tensor(x, requires_grad=True) for x in arrays]
    g = np.random.default_rng(1).normal(size=pad_sequence(ws, first).shape)
    pad_sequence(ws, first).backward(mg.tensor(g))
    wide = g if first else g.swapaxes(0, 1)
    for w, row in zip(ws, wide, strict=True):
        np.testing.assert_array_equal(w.grad.numpy(), row[: w.shape[0]])


def test_dtypes(backend):
    assert pad_sequence([[1, 2], [3]]).dtype == np.int64
    assert pad_sequence([[1.0], [2]]).dtype == np.float32
    assert pad_sequence([mg.ones(1), [2], [0.5]]).dtype == np.float32
    assert pad_sequence([mg.ones(1), np.ones(2)]).dtype == np.float64
    assert pad_sequence([np.ones(1, "float16"), [2, 0.5]]).dtype == np.float16
    assert pad_sequence([np.ones(2, "float16"), []]).dtype == np.float16
    assert pad_sequence([mg.ones(2, dtype="int32"), []]).dtype == np.int32
    assert pad_sequence([[True], [False, True]]).tolist() == [[True, False], [False, True]]
    assert pad_sequence([np.ones(1, "uint8"), []], padding_value=255).tolist() == [[1, 255]]
    assert np.isnan(pad_sequence([[1.0], []], padding_value=np.nan).numpy()[0, 1])


def test_lengths_may_be_tensors(backend):
    x = mg.tensor([[1, 2], [3, 4]])
    assert [y.tolist() for y in unpad_sequence(x, mg.tensor([2, 0]))] == [[1, 3], []]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: pad_sequence([]), ValueError, "pad_sequence: there are no sequences"),
        (lambda: pad_sequence(np.ones((2, 2))), TypeError, "a list of sequences; got ndarray"),
        (lambda: pad_sequence([1, 2]), TypeError, "number 0 is a single number"),
        (lambda: pad_sequence([mg.ones(2), mg.tensor(1.0)]), TypeError, "number 1 is a single num"),
        (lambda: pad_sequence(["ab"]), TypeError, "sequence 0: can't make a tensor of str"),
        (lambda: pad_sequence([[[1, 2]], [[1]]]), ValueError, "number 0 has steps of shape"),
        (lambda: pad_sequence([[1]], padding_value=0.5), ValueError, "=0.5 is no int64, which the"),
        (lambda: pad_sequence([[True]], padding_value=2), ValueError, "=2 is no bool, which the"),
        (lambda: pad_sequence([mg.tensor([1])], padding_value=2**70), ValueError, "is no int64"),
        (lambda: pad_sequence([[1]], padding_value=[0]), TypeError, "padding_value is a number"),
        (lambda: pad_sequence([[1]], 2), TypeError, "batch_first is True or False; got 2"),
        (lambda: unpad_sequence(mg.ones(2), [1]), ValueError, r"\(T, N, ...\); got shape \(2,\)"),
        (lambda: unpad_sequence(mg.ones((2, 1)), [3]), ValueError, "unpad_sequence: lengths must "
         "be from 0 to 2, the number of steps in padded; sequence 0 has 3"),
        (lambda: unpad_sequence(mg.ones((2, 1)), [1.0]), TypeError, "lengths must be 1 integers"),
        (lambda: unpad_sequence(mg.ones((2, 3)), [1]), ValueError, "lengths must be 3 integers"),
        (lambda: unpad_sequence(mg.ones((3, 2)), [3, 1, 1], True), ValueError, "from 0 to 2"),
    ],
)  # fmt: skip
def test_wrong_use(call, error, text):
    with pytest.raises(error, match=text):
        call()
