"""Batch normalisation, beside PyTorch's and by its definition."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wrong_uses import check, table

import minigrad as mg
from minigrad import nn
from minigrad.utils.install import install_line

SHAPES = st.sampled_from([(4, 3), (2, 3), (2, 3, 5), (1, 3, 4), (7, 3, 1)])
OPTIONS = st.fixed_dictionaries(
    {
        "eps": st.sampled_from([1e-5, 1e-3, 0.5]),
        "momentum": st.sampled_from([0.1, 0.7, 0.0, 1.0, None]),
        "affine": st.booleans(),
        "track_running_stats": st.booleans(),
    }
)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@given(shape=SHAPES, options=OPTIONS, seed=st.integers(0, 999))
def test_three_batches_and_evaluation_as_pytorch(shape, options, seed, backend):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    theirs = torch.nn.BatchNorm1d(3, **options).double()
    ours = nn.BatchNorm1d(3, **options).double()
    rng = np.random.default_rng(seed)
    if options["affine"]:
        torch.nn.init.normal_(theirs.weight)
        torch.nn.init.normal_(theirs.bias)
    ours.load_state_dict({name: a.numpy() for name, a in theirs.state_dict().items()})
    for mode in (True, True, False, True, False):
        x, g = rng.normal(2, 3, shape), rng.normal(size=shape)
        ours.train(mode)
        theirs.train(mode)
        u, v = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(u), theirs(v)
        close(y.numpy(), z.detach().numpy())
        first = mg.grad(y, [u, *ours.parameters()], mg.tensor(g), create_graph=True)
        want = torch.autograd.grad(z, [v, *theirs.parameters()], torch.tensor(g), create_graph=True)
        for a, b in zip(first, want, strict=True):
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-10)
        if mode or not options["track_running_stats"]:
            h = rng.normal(size=shape)
            second = mg.grad((first[0] * mg.tensor(h)).sum(), u).numpy()
            wanted = torch.autograd.grad((want[0] * torch.tensor(h)).sum(), v)[0].numpy()
            np.testing.assert_allclose(second, wanted, rtol=1e-7, atol=1e-7)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for name, array in theirs.state_dict().items():
            close(ours.state_dict()[name], array.numpy())
            assert ours.state_dict()[name].dtype == array.numpy().dtype
    theirs.load_state_dict({n: torch.tensor(a) for n, a in ours.state_dict().items()})


@pytest.mark.parametrize("shape", [(5, 2), (3, 2, 4)])
def test_gradients(shape, backend):
    layer = nn.BatchNorm1d(2).double()
    nn.init.normal_(layer.weight)
    x = mg.tensor(np.random.default_rng(0).normal(size=shape))
    assert mg.gradcheck(layer, x, order=2).verdict == "PASS"
    assert mg.gradcheck(layer.eval(), x, order=2).verdict == "PASS"


def test_running_values_are_state_of_their_dtype(backend):
    layer = nn.BatchNorm1d(2)
    held = list(layer.buffers())
    x = mg.tensor(np.random.default_rng(0).normal(size=(4, 2)))  # float64
    layer(x)
    layer(x.astype("float16"))
    assert all(a is b for a, b in zip(held, layer.buffers(), strict=True))
    assert [b.dtype for b in layer.buffers()] == [np.float32, np.float32, np.int64]
    assert layer.num_batches_tracked.item() == 2
    assert not any(b.requires_grad for b in layer.buffers())
    twin = copy.deepcopy(layer)
    layer(x)
    assert twin.num_batches_tracked.item() == 2 and layer.num_batches_tracked.item() == 3
    layer.reset_parameters()
    assert layer.state_dict()["running_mean"].tolist() == [0.0, 0.0]
    assert layer.state_dict()["running_var"].tolist() == [1.0, 1.0]
    assert layer.num_batches_tracked.item() == 0


def test_evaluation_with_a_graph_outlives_the_next_batch(backend):
    layer = nn.BatchNorm1d(2).double()
    x = mg.tensor(np.random.default_rng(0).normal(size=(4, 2)), requires_grad=True)
    y = layer.eval()(x)
    layer.train()(3 * x)
    mg.grad(y.sum(), x)
    close(
        mg.grad(layer.eval()(x).sum(), x).numpy()[0], 1 / np.sqrt(layer.running_var.numpy() + 1e-5)
    )


WRONG = {
    "BatchNorm1d: num_features is a positive integer; got 0": (
        ValueError,
        lambda: nn.BatchNorm1d(0),
    ),
    "BatchNorm1d: eps is a number; got str '1'": (TypeError, lambda: nn.BatchNorm1d(2, "1")),
    "BatchNorm1d: momentum is a number; got str 'x'": (
        TypeError,
        lambda: nn.BatchNorm1d(2, momentum="x"),
    ),
    "BatchNorm1d: affine is True or False; got None": (
        TypeError,
        lambda: nn.BatchNorm1d(2, affine=None),
    ),
    "BatchNorm1d(3): x must be floats (N, 3) or (N, 3, L); got (4, 2)": (
        ValueError,
        lambda: nn.BatchNorm1d(3)(mg.ones((4, 2))),
    ),
    "got (3,)": (ValueError, lambda: nn.BatchNorm1d(3)(mg.ones(3))),
    "got int64": (TypeError, lambda: nn.BatchNorm1d(3)(mg.ones((4, 3), dtype="int64"))),
    "got (4, 5, 3). The features are the second axis, as in PyTorch; write x.swapaxes(1, 2)": (
        ValueError,
        lambda: nn.BatchNorm1d(3)(mg.ones((4, 5, 3))),
    ),
    "a variance needs two values of each feature; got x (1, 3). For single examples call eval() "
    "first": (ValueError, lambda: nn.BatchNorm1d(3)(mg.ones((1, 3)))),
}


@table(WRONG)
def test_wrong_use(text, kind, use):
    check(use, kind, text)


def test_repr_is_pytorchs():
    text = "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"
    assert repr(nn.BatchNorm1d(3)) == text


def test_in_a_cell_that_would_be_compiled_it_runs_op_by_op(monkeypatch, backend):
    """A kernel could not take up running values."""
    layer = nn.BatchNorm1d(3)

    def cell(p, x, h):
        h = layer(x) + h * p["w"]
        return h, h

    def run():
        mg.manual_seed(0)
        w = {"w": mg.randn((3,), requires_grad=True)}
        return mg.scan(cell, w, mg.randn((5, 4, 3)), mg.zeros((4, 3)))[0]

    run()
    assert layer.num_batches_tracked.item() == 5
    assert not any(np.isnan(b.numpy()).any() for b in layer.buffers())
