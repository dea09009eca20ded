"""Integers, truth values, orders and choices by chance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

DRAWS = {
    "randint": lambda: mg.randint(-3, 9, size=(4, 5)),
    "one integer": lambda: mg.randint(7),
    "bernoulli": lambda: mg.bernoulli(0.3, size=(4, 5)),
    "bernoulli of a tensor": lambda: mg.bernoulli(mg.tensor([0.1, 0.5, 0.9]), size=(6, 3)),
    "permutation": lambda: mg.permutation(9),
    "permuted rows": lambda: mg.permutation(mg.arange(12).reshape(3, 4), axis=1),
    "choice": lambda: mg.choice(5, size=(2, 4)),
    "choice by probabilities": lambda: mg.choice(3, size=20, p=mg.tensor([0.2, 0.0, 0.8])),
    "choice without repeats": lambda: mg.choice(9, size=5, replace=False),
    "chosen rows": lambda: mg.choice(mg.arange(12).reshape(3, 4), size=(2, 2), axis=-1),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_seed_gives_the_same_on_every_backend(draw, backend):
    mg.manual_seed(5)
    first, then = draw(), draw()
    with mg.use_backend("numpy"):
        mg.manual_seed(5)
        right = draw()
        assert draw().tolist() == then.tolist()
    assert first.backend.name == backend
    assert first.tolist() == right.tolist() and first.dtype == right.dtype


def test_dtypes_and_shapes(backend):
    assert mg.randint(3).shape == () and mg.randint(3).dtype == "int64"
    assert mg.randint(0, 3, 4).shape == (4,) and mg.randint(0, 3, (2, 0)).shape == (2, 0)
    assert mg.randint(3, size=2, dtype="uint8").dtype == "uint8"
    assert mg.permutation(0).shape == (0,) and mg.permutation(4).dtype == "int64"
    assert mg.choice(4).shape == () and mg.choice(4).dtype == "int64"
    assert mg.choice(mg.ones((3, 4)), size=(2, 5), axis=1).shape == (3, 2, 5)
    assert mg.choice(mg.ones((3, 4))).shape == (4,)
    assert mg.choice(0, size=0).shape == (0,)
    assert mg.bernoulli(0.5).dtype == "float32" and mg.bernoulli(0.5).shape == ()
    assert mg.bernoulli(mg.ones(2, dtype="float64")).dtype == "float64"
    assert mg.bernoulli(mg.ones(2), dtype="bool").dtype == "bool"
    assert mg.bernoulli(mg.tensor([0, 1, 1])).tolist() == [0, 1, 1]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**40), st.integers(0, 99))
def test_integers_keep_within_bounds(low, width, seed):
    mg.manual_seed(seed)
    high = min(low + width, 2**63)
    x = mg.randint(low, high, size=20, backend="numpy").tolist()
    assert all(low <= one < high for one in x)


def test_numbers_of_one_seed_are_those_of_another_dtype():
    drawn = []
    for dtype in ("int64", "int32", "uint8", "uint64"):
        mg.manual_seed(1)
        drawn.append(mg.randint(0, 100, size=9, dtype=dtype).tolist())
    assert drawn[0] == drawn[1] == drawn[2] == drawn[3]


def test_the_whole_range(on_numpy):
    assert mg.randint(-(2**63), 2**63, size=2).dtype == "int64"
    assert max(mg.randint(2**63, 2**64, size=9, dtype="uint64").tolist()) >= 2**63
    mg.manual_seed(0)
    assert set(mg.randint(2, 5, size=200).tolist()) == {2, 3, 4}


def share(draw, *values):
    x = draw.numpy()
    return [float((x == v).mean()) for v in values]


def test_shares_are_as_asked_for(on_numpy):
    mg.manual_seed(0)
    n = 100_000
    assert share(mg.randint(3, size=n), 0, 1, 2) == pytest.approx([1 / 3] * 3, abs=0.01)
    assert share(mg.bernoulli(0.2, size=n), 0, 1) == pytest.approx([0.8, 0.2], abs=0.01)
    drawn = mg.choice(3, size=n, p=[0.1, 0.0, 0.9])
    assert share(drawn, 0, 1, 2) == pytest.approx([0.1, 0.0, 0.9], abs=0.01)
    firsts = mg.stack([mg.permutation(4)[0] for _ in range(4000)])
    assert share(firsts, 0, 1, 2, 3) == pytest.approx([0.25] * 4, abs=0.05)
    assert mg.bernoulli(0, size=n).sum().item() == 0
    assert mg.bernoulli(1, size=n).sum().item() == n


@given(st.integers(0, 20), st.integers(0, 99))
def test_a_permutation_holds_each_once(n, seed):
    mg.manual_seed(seed)
    assert sorted(mg.permutation(n).tolist()) == list(range(n))
    x = mg.randn(n, 2)
    assert sorted(mg.permutation(x).tolist()) == sorted(x.tolist())
    assert sorted(mg.choice(n, size=n, replace=False).tolist()) == list(range(n))


def test_no_gradient_to_probabilities_but_to_what_is_read(backend):
    p = mg.tensor([0.25, 0.75], requires_grad=True)
    assert not mg.bernoulli(p).requires_grad and not mg.choice(2, p=p).requires_grad
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    mg.manual_seed(0)
    order = mg.permutation(3)
    mg.manual_seed(0)
    y = mg.permutation(x)
    assert y.tolist() == x[order].tolist()
    assert mg.grad((y * mg.arange(3)).sum(), x).tolist() == mg.argsort(order).tolist()
    chosen = mg.choice(x, size=50)
    assert mg.grad(chosen.sum(), x).tolist() == [chosen.tolist().count(v) for v in (1, 2, 3)]


def test_a_cell_that_draws_runs_op_by_op():
    draws = {
        "randint": lambda x: x * mg.randint(3).astype("float32"),
        "bernoulli": lambda x: x * mg.bernoulli(0.5),
        "bernoulli of x": lambda x: x * mg.bernoulli(mg.sigmoid(x)),
        "permutation": lambda x: x + mg.permutation(3)[0].astype("float32"),
        "choice": lambda x: x * mg.choice(3).astype("float32"),
    }
    x, h = mg.ones((4, 3)), mg.ones((4, 3))
    for name, draw in draws.items():
        with pytest.raises(mg.errors.Untraceable, match="it draws random numbers"):
            mg.trace(lambda p, x, h, draw=draw: (h, mg.tanh(h + draw(x))), [], x, h)
        mg.manual_seed(0)
        ys, _ = mg.scan(
            lambda p, x, h, draw=draw: (h, mg.tanh(h + draw(x))), [], mg.ones((5, 4, 3)), h
        )
        assert ys.shape == (5, 4, 3), name


WRONG = {
    "randint: there are no integers from 3 to below 3; high is excluded": lambda: mg.randint(3, 3),
    "randint: there are no integers from 0 to below -2": lambda: mg.randint(-2),
    "then comes the size, as in mg.randint(0, 10, size=(2, 3)); got tuple (2,)": lambda: mg.randint(
        5, (2,)
    ),
    "got float 2.5": lambda: mg.randint(2.5),
    "the dtype is one of integers, such as 'int64'; got float32": lambda: mg.randint(
        3, dtype="float32"
    ),
    "uint8 holds integers from 0 to 255; asked for are some from -1 to 9": lambda: mg.randint(
        -1, 10, dtype="uint8"
    ),
    "as in mg.randint(0, 10, (2, 3)); got float 2.5": lambda: mg.randint(3, size=2.5),
    "bernoulli: probabilities are from 0 to 1": lambda: mg.bernoulli(1.5).numpy(),
    "bernoulli: probabilities are from 0 to": lambda: mg.bernoulli(mg.tensor([0.5, -0.1])).numpy(),
    "are from 0 to 1": lambda: mg.bernoulli(float("nan")).numpy(),
    "p of shape (3,) doesn't broadcast to the size (2,)": lambda: mg.bernoulli(mg.ones(3), size=2),
    "permutation: a number of integers is 0 or more; got -1": lambda: mg.permutation(-1),
    "permutation: takes a number of integers or a tensor; got 2.5": lambda: mg.permutation(2.5),
    "permutation: the tensor has no axis": lambda: mg.permutation(mg.tensor(3)),
    "permutation: axis 1 is out of range": lambda: mg.permutation(mg.ones(3), axis=1),
    "choice: the probabilities sum to 0.9, not to 1; write p / p.sum()": lambda: mg.choice(
        2, p=[0.3, 0.6]
    ),
    "choice: the probabilities sum to 0, not to 1": lambda: mg.choice(2, p=[0.0, 0.0]),
    "probabilities are 0 or more; got -0.5 at 0": lambda: mg.choice(2, p=[-0.5, 1.5]),
    "probabilities are 0 or more; got nan at 1": lambda: mg.choice(2, p=[0.5, float("nan")]),
    "there are 3 to choose from, so p has shape (3,); got (2,)": lambda: mg.choice(3, p=[0.5, 0.5]),
    "choice: 4 of 3 can't be chosen without repeats; write replace=True": lambda: mg.choice(
        3, size=4, replace=False
    ),
    "2 of 1 can't be chosen without repeats, of which the others have probability 0": (
        lambda: mg.choice(2, size=2, replace=False, p=[0.0, 1.0])
    ),
    "choice: there is nothing to choose from": lambda: mg.choice(0),
}


@pytest.mark.parametrize("text", WRONG)
def test_errors_say_what_to_write(text, backend):
    with pytest.raises((ValueError, TypeError)) as error:
        WRONG[text]()
    assert text in str(error.value)


def test_float32_probabilities_may_sum_to_almost_one(on_numpy):
    p = mg.softmax(mg.randn(1000))
    assert mg.choice(1000, size=5, p=p).shape == (5,)


def test_a_checkpoint_draws_the_same_again(on_numpy):
    def f(x):
        kept = mg.bernoulli(0.5, size=x.shape, dtype=x.dtype)
        return (mg.permutation(x) * kept * mg.choice(mg.arange(1, 9), size=8).astype(x.dtype)).sum()

    found = []
    for call in (f, lambda x: mg.checkpoint(f, x)):
        mg.manual_seed(4)
        x = mg.tensor(range(8), dtype="float64", requires_grad=True)
        y = call(x)
        drawn = mg.randint(1000).item()  # others draw on as if nothing was drawn again
        (g,) = mg.grad(y, [x])
        found.append((y.item(), g.tolist(), drawn, mg.randint(1000).item()))
    assert found[0] == found[1]
