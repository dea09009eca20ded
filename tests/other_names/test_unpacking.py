"""Two names for what PyTorch's function gives, a pair, and minigrad's doesn't."""

import pytest
from wrong_uses import check, ones, table

import minigrad as mg


def method(x):
    values, indices = x.abs().max(1)
    return values, indices


def function(x):
    _, predicted = mg.max(x * 2, axis=1)
    return predicted


def of_sort(x):
    ordered, places = mg.sort(
        x,
        axis=0,
    )
    return ordered, places


def of_two(x):
    values, idx = x.max(1)
    return values, idx


def of_two_by_function(x):
    _, predicted = mg.min(x, axis=1)
    return predicted


ALONE = "It gives the largest elements alone; mg.argmax gives positions"
WRONG = {
    f"max: there is one tensor, of shape (3,). {ALONE}": (ValueError, lambda: method(ones(3, 4))),
    f"max: there is one tensor, of shape (5,). {ALONE}": (ValueError, lambda: function(ones(5, 1))),
    f"max: there is one tensor, of shape (2,). {ALONE}, mg.maximum compares two tensors. If you "
    "mean its two rows, give the second another name than 'idx'": (
        ValueError,
        lambda: of_two(ones(2, 4)),
    ),
    "min: there is one tensor, of shape (2, 3). ": (
        ValueError,
        lambda: of_two_by_function(ones(2, 5, 3)),
    ),
    "sort: there is one tensor, of shape (3, 2). It gives the sorted tensor alone; mg.topk and "
    "mg.argsort give positions": (ValueError, lambda: of_sort(ones(3, 2))),
}


@table(WRONG)
def test_a_pair_that_is_none(text, kind, use, backend):
    with mg.use_backend(backend):
        for _ in range(2):
            check(use, kind, text)


def test_other_unpackings_are_pythons():
    x = mg.arange(6).reshape(2, 3)
    for _ in range(2):
        a, b = x.max(axis=1)  # two rows
        assert (a.item(), b.item()) == (2, 5)
        a, b, c = x.max(axis=0)
        assert (a.item(), b.item(), c.item()) == (3, 4, 5)
        a, b = x.max(axis=0)[1:]
        assert (a.item(), b.item()) == (4, 5)
        largest, places = x.topk(1)
        assert largest.shape == places.shape == (2, 1)
        with pytest.raises(ValueError, match="too many values to unpack"):
            a, b = x.max(axis=0).astype("float32")
        with pytest.raises(ValueError, match="not enough values to unpack"):
            a, b, c = x
    assert [row.tolist() for row in x] == x.tolist()
    with pytest.raises(TypeError, match="can't be iterated over"):
        a, b = x.max()
    assert mg.Tensor.__iter__.__doc__
