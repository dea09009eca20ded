"""What is asked of `x.data`, an array of the backend's own."""

import pickle

import pytest
from wrong_uses import check, ones, table

import minigrad as mg

WRONG = {
    "x.data.add_: write x.data -= 0.1 * y.data. x.data is the backend's own array": (
        AttributeError,
        lambda: ones(2).data.add_(ones(2), alpha=-0.1),
    ),
    "x.data.uniform_: write mg.nn.init.uniform_(x, -0.1, 0.1)": (
        AttributeError,
        lambda: mg.nn.Linear(2, 1).weight.data.uniform_(-0.1, 0.1),
    ),
    "x.data.zero_: write x.data[:] = 0.0": (
        AttributeError,
        lambda: mg.nn.Linear(2, 1).bias.data.zero_(),
    ),
}


@table(WRONG)
def test_methods_that_arrays_have_not(text, kind, use, backend):
    with mg.use_backend(backend):
        for _ in range(2):  # the code is looked at again, as it fails
            check(use, kind, text)


def test_the_array_is_what_it_was(backend):
    with mg.use_backend(backend):
        x = mg.tensor([1.0, -2.0])
        for total in (-1.0, -2.0):
            assert x.sum().item() == total
            x.data *= 2
        assert x.tolist() == [4.0, -8.0] and x.data.shape == (2,)
        x.data = x.data * 0
        assert x.tolist() == [0.0, 0.0]


def test_names_that_no_table_has_are_of_the_array():
    x = ones(2)
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        x.data.no_such_name  # noqa: B018
    assert mg.Tensor.data.__doc__
    assert pickle.loads(pickle.dumps(x.detach())).data.tolist() == [1.0, 1.0]
