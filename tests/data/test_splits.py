"""Random parts of data: each example in one of them, in the form of the data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.data import DataLoader, random_split
from minigrad.utils.install import install_line


def shares_of(weights):
    return [weight / sum(weights) for weight in weights]


@given(
    count=st.integers(1, 40),
    weights=st.lists(st.floats(0.1, 1.0), min_size=1, max_size=4),
    seed=st.integers(0, 5),
)
def test_each_example_is_in_one_part(count, weights, seed):
    shares = shares_of(weights)
    parts = random_split(np.arange(count), shares, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(count))
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * count) < len(shares)
    again = random_split(list(range(count)), [len(part) for part in parts], seed=seed)
    assert again == [part.tolist() for part in parts]  # shares or numbers, lists or arrays


@given(count=st.integers(1, 40), weights=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_parts_are_as_large_as_in_pytorch(count, weights):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    shares = [weight / sum(weights) for weight in weights]
    if sum(shares) > 1:
        return  # which PyTorch refuses
    sizes = [len(part) for part in random_split(np.arange(count), shares, seed=0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)  # of empty parts
        theirs = torch.utils.data.random_split(range(count), shares)
    assert sizes == [len(part) for part in theirs]


def test_parts_have_the_form_of_the_data(backend):
    x, texts, rows = np.arange(12).reshape(6, 2), [[i] * i for i in range(6)], mg.arange(6)
    a, b = random_split((x, texts, rows), [4, 2], seed=1)
    assert type(a) is tuple and [type(part) for part in a] == [np.ndarray, list, mg.Tensor]
    for part in (a, b):
        for i, row, text in zip(part[2].tolist(), part[0], part[1], strict=True):
            assert row.tolist() == [2 * i, 2 * i + 1] and text == [i] * i
    c, _ = random_split({"x": x, "y": texts}, [4, 2], seed=1)
    np.testing.assert_array_equal(c["x"], a[0])
    assert c["y"] == a[1]
    d, _ = random_split([(i, text) for i, text in enumerate(texts)], [4, 2], seed=1)
    assert d == list(zip(a[2].tolist(), a[1], strict=True))
    e, _ = random_split(range(6), [4, 2], seed=1)  # a data set
    assert list(e) == a[2].tolist() and len(e) == 4
    assert [x.tolist() for x in DataLoader(e, 3)] == [a[2].tolist()[:3], a[2].tolist()[3:]]


def test_seeds():
    mg.manual_seed(0)
    draws = [tuple(random_split(np.arange(20), [10, 10])[0]) for _ in range(2)]
    mg.manual_seed(0)
    assert tuple(random_split(np.arange(20), [10, 10])[0]) == draws[0] != draws[1]
    first = [tuple(random_split(np.arange(20), [10, 10], seed=s)[0]) for s in (0, 0, 1)]
    assert first[0] == first[1] != first[2]
    assert random_split(np.arange(6), [4, 2], seed=0)[1].tolist() == [0, 1]  # which stays


@pytest.mark.parametrize(
    ("lengths", "error", "text"),
    [
        ([3, 4], ValueError, r"there are 6 examples, and \[3, 4\] is neither"),
        ([0.5, 0.4], ValueError, "shares that add up to 1; there are 6 examples"),
        ([-1, 7], ValueError, r"got \[-1, 7\]"),
        ([], TypeError, "in a list; got list"),
        (0.8, TypeError, "in a list; got float 0.8"),
        (["a"], ValueError, "numbers of examples, or shares"),
    ],
)
def test_wrong_lengths(lengths, error, text):
    with pytest.raises(error, match=f"random_split: .*{text}"):
        random_split(np.arange(6), lengths)


def test_wrong_data():
    with pytest.raises(ValueError, match=r"random_split: columns have .* 0 has 3, column 1 has 2"):
        random_split((np.ones(3), np.ones(2)), [1.0])
    with pytest.raises(TypeError, match=r"random_split takes columns.*got generator"):
        random_split((i for i in "abc"), [1.0])
    with pytest.raises(ValueError, match="random_split: seed is an integer"):
        random_split(np.ones(3), [1.0], seed="x")
