"""Labels as rows of 0 and 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import minigrad as mg

LABELS = arrays.arrays(
    st.sampled_from(["int64", "uint8", "int32"]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    elements=st.integers(0, 4),
)


@given(LABELS, st.integers(5, 300), st.sampled_from(["int64", "float64", "bool"]))
def test_one_hot_is_a_row_of_the_identity(labels, n, dtype):
    rows = mg.one_hot(labels, n, dtype)
    assert rows.dtype == dtype and rows.shape == (*labels.shape, n)
    np.testing.assert_array_equal(rows.numpy(), np.eye(n)[labels].astype(dtype))
    assert not rows.requires_grad


def test_the_number_of_classes_follows_from_the_labels(backend):
    with mg.use_backend(backend):
        for none in (None, -1):
            assert mg.one_hot(mg.tensor([1, 3]), none).shape == (2, 4)
        assert mg.one_hot(2).tolist() == [0, 0, 1]
        picked = mg.one_hot(mg.tensor([1, 0]), 2, mg.float32) @ mg.tensor([[1.0], [5.0]])
        assert picked.backend.name == backend and picked.tolist() == [[5.0], [1.0]]


def test_wrong_labels():
    with pytest.raises(ValueError, match="without labels, give the number of classes"):
        mg.one_hot(mg.zeros(0, dtype="int64"))
    with pytest.raises(TypeError, match="one_hot: positions must be integers; got float32"):
        mg.one_hot(mg.ones(2), 3)
    with pytest.raises(TypeError, match="one_hot: num_classes must be an integer"):
        mg.one_hot([1], 2.5)


@pytest.mark.parametrize("wrong", [3, -2])
def test_a_label_that_is_no_class(wrong, backend):
    with mg.use_backend(backend), pytest.raises(IndexError, match=r"one_hot: .*positions 0\.\.2"):
        mg.one_hot(mg.tensor([0, wrong]), 3).numpy()
