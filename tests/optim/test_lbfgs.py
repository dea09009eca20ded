"""L-BFGS: PyTorch's numbers, minima found, resuming, what a step leaves alone, wrong use."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.optim.line_search import Point, strong_wolfe
from minigrad.utils.install import install_line

STEPS = 50
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * RNG.normal(size=30)
SCALES = np.array([1.0, 1.5, 2.0, 3.0])

searches = pytest.mark.parametrize("search", [None, "strong_wolfe"])


# Losses in what minigrad and PyTorch have in common; `t` makes a tensor of either. They are tame:
# in a narrow valley a difference in the last bit grows tenfold every few iterations.


def valley(t, ps):
    x, a, b = ps[0], t(np.eye(4)[1:]), t(np.eye(4)[:-1])
    return ((1 - b @ x) ** 2).sum() + 0.5 * ((a @ x - (b @ x) ** 2) ** 2).sum()


def bowl(t, ps):
    return (t(SCALES) * (ps[0] - ps[1]) ** 2).sum() + ((ps[1] - 2) ** 2).sum()


def logistic(t, ps):
    z = t(X) @ ps[0] + ps[1]
    return ((1 + z.exp()).log() - z * t(1.0 * (Y > 0))).mean() + 0.01 * (ps[0] ** 2).sum()


def least_squares(t, ps):
    return ((t(X) @ ps[0] + ps[1] - t(Y)) ** 2).mean()


PROBLEMS = {
    "valley": (valley, [np.array([-1.2, 1.0, 0.5, -0.3])]),
    "bowl": (bowl, [np.zeros(4), np.array(5.0)]),
    "logistic": (logistic, [np.zeros(4), np.zeros(())]),
    "least squares": (least_squares, [np.zeros(4), np.zeros(())]),
}
OPTIONS = {
    "defaults": {},
    "short steps": {"lr": 0.3, "max_iter": 3, "history_size": 3},
    "few evaluations": {"max_eval": 4, "history_size": 5},
    "tolerances": {"tolerance_grad": 1e-3, "tolerance_change": 1e-4},
}


def leaf(values=(1.0, 1.0), dtype="float64"):
    return mg.tensor(np.array(values), dtype=dtype, requires_grad=True)


def closure_for(optimizer, loss_of):
    def closure():
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    return closure


@searches
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_fifty_steps_are_those_of_pytorch(problem, options, search, numpy_unless_deep):
    """On NumPy; the next test compares the other backends with it."""
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    loss_of, start = PROBLEMS[problem]
    ours = [leaf(x) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    optimizer = optim.LBFGS(ours, line_search_fn=search, **OPTIONS[options])
    reference = torch.optim.LBFGS(theirs, line_search_fn=search, **OPTIONS[options])
    closure = closure_for(optimizer, lambda: loss_of(mg.tensor, ours))
    expected = closure_for(reference, lambda: loss_of(torch.tensor, theirs))
    for _ in range(STEPS):
        loss, target = optimizer.step(closure), reference.step(expected)
        assert loss.item() == pytest.approx(target.item(), rel=1e-12, abs=1e-12)
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12, atol=1e-12)
    state, other = optimizer.state[ours[0]], reference.state[theirs[0]]
    assert state["n_iter"] == other["n_iter"] and state["func_evals"] == other["func_evals"]


@searches
@pytest.mark.parametrize("problem", PROBLEMS)
def test_fifty_steps_are_the_same_on_every_backend(problem, search, backend):
    loss_of, start = PROBLEMS[problem]

    def steps():
        params = [leaf(x) for x in start]
        optimizer = optim.LBFGS(params, lr=0.5, max_iter=3, line_search_fn=search)
        closure = closure_for(optimizer, lambda: loss_of(mg.tensor, params))
        for _ in range(STEPS):
            optimizer.step(closure)
            yield np.concatenate([p.numpy().ravel() for p in params])

    with mg.use_backend("numpy"):
        expected = list(steps())
    np.testing.assert_allclose(list(steps()), expected, rtol=1e-12, atol=1e-12)


def curves(rough):
    """Losses of one number that fall at 0, with their derivatives."""

    def curve(a, b, c, w):
        def loss(t):
            return a * t**4 / 4 + b * t**2 / 2 - c * t + rough * (math.sin(w * t) - w * t)

        def slope(t):
            return a * t**3 + b * t - c + rough * w * (math.cos(w * t) - 1)

        return loss, slope

    # With a curvature: where there is none, the last bit decides how far a cubic is continued.
    curved = st.floats(0.1, 3.0)
    return st.builds(curve, st.floats(0.0, 3.0), curved, curved, st.floats(0.5, 20.0))


@given(
    curve=curves(0.0) | curves(0.1),
    t=st.floats(1e-3, 20.0),
    most=st.integers(0, 25),
    tolerance=st.sampled_from([1e-9, 1e-3]),
)
def test_the_line_search_is_that_of_pytorch(curve, t, most, tolerance):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    from torch.optim.lbfgs import _strong_wolfe

    loss, slope = curve
    start = Point(0.0, loss(0.0), slope(0.0), None)
    found, count = strong_wolfe(
        lambda t: Point(t, loss(t), slope(t), None), start, t, 1.0, tolerance, most
    )
    one = torch.ones(1, dtype=torch.float64)
    wanted_loss, _, wanted, evaluations = _strong_wolfe(
        lambda x, t, d: (loss(float(t)), one * slope(float(t))),
        *(None, t, one, loss(0.0), one * slope(0.0), (one * slope(0.0)).dot(one)),
        tolerance_change=tolerance,
        max_ls=most,
    )
    assert count == evaluations
    assert found.t == pytest.approx(float(wanted), rel=1e-9)
    assert found.loss == pytest.approx(float(wanted_loss), rel=1e-9, abs=1e-12)


@searches
@given(seed=st.integers(0, 1000), size=st.integers(1, 6))
def test_the_minimum_of_a_quadratic_is_found(seed, size, search, backend):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    matrix, target = mg.tensor(root @ root.T / size + np.eye(size)), rng.normal(size=size)
    w, away = leaf(rng.normal(size=size)), mg.tensor(target)
    optimizer = optim.LBFGS([w], max_iter=100, line_search_fn=search, tolerance_change=0)
    optimizer.step(closure_for(optimizer, lambda: (w - away) @ matrix @ (w - away)))
    np.testing.assert_allclose(w.numpy(), target, atol=1e-6)
    assert optimizer.state[w]["n_iter"] < 60


@pytest.mark.parametrize("edge", [mg.log, lambda x: 1 / mg.relu(x)], ids=["NaN", "infinite"])
def test_the_line_search_turns_back_from_where_there_is_no_loss(edge, backend):
    w = leaf([30.0, 0.01])

    def loss():
        return (w * w).sum() * 0.5 + (edge(w) * (-1.0 if edge is mg.log else 1.0)).sum()

    optimizer = optim.LBFGS([w], lr=5.0, max_iter=60, line_search_fn="strong_wolfe")
    with mg.current_backend().quiet(), np.errstate(all="ignore"):
        optimizer.step(closure_for(optimizer, loss))
    np.testing.assert_allclose(w.numpy(), [1.0, 1.0], atol=1e-5)


# --- resuming --------------------------------------------------------------------------------


def training(search, dtype="float64", **options):
    mg.manual_seed(3)
    model = mg.nn.Sequential(mg.nn.Linear(4, 5), mg.tanh, mg.nn.Linear(5, 1)).astype(dtype)
    optimizer = optim.LBFGS(
        model.parameters(), max_iter=4, history_size=3, line_search_fn=search, **options
    )
    schedule = optim.ExponentialLR(optimizer, gamma=0.9)
    x, y = mg.tensor(X, dtype=dtype), mg.tensor(Y[:, None], dtype=dtype)
    closure = closure_for(optimizer, lambda: mg.mse_loss(model(x), y))

    def run(steps):
        for _ in range(steps):
            optimizer.step(closure)
            schedule.step()

    return {"model": model, "optimizer": optimizer, "schedule": schedule}, run


@searches
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_resumed_run_is_bit_identical(steps, search, backend, tmp_path):
    pytest.importorskip("safetensors", reason=f"no safetensors; {install_line('learn')}")
    parts, run = training(search)
    run(steps)
    mg.save(tmp_path / "run", {name: part.state_dict() for name, part in parts.items()})
    run(4)
    others, run_others = training(search, lr=0.125)
    state = mg.load(tmp_path / "run")
    for name, part in others.items():
        part.load_state_dict(state[name])
    run_others(4)
    for p, q in zip(parts["model"].parameters(), others["model"].parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert str(parts["optimizer"].state_dict()) == str(others["optimizer"].state_dict())


def test_a_state_of_other_shapes_is_refused_whole():
    parts, run = training(None)
    run(1)
    wide = mg.ones((5, 5), requires_grad=True)
    four = [leaf() for _ in range(4)]
    for params in ([wide], four):
        optimizer = optim.LBFGS(params)
        before = optimizer.state_dict()
        with pytest.raises(ValueError, match="does not fit LBFGS; nothing was loaded\n  param"):
            optimizer.load_state_dict(parts["optimizer"].state_dict())
        assert optimizer.state_dict() == before


# --- arrays ----------------------------------------------------------------------------------


@searches
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_narrow_parameters(dtype, search, backend):
    parts, run = training(search, dtype)
    run(6)
    values = parts["optimizer"].state[next(parts["model"].parameters())]
    assert all(p.dtype == dtype for p in parts["model"].parameters())
    assert values["d"].dtype == values["old_dirs"][0].dtype == np.float32
    assert len(values["old_dirs"]) == len(values["ro"]) == 3  # the history's size
    assert mg.mse_loss(parts["model"](mg.tensor(X, dtype=dtype)), mg.tensor(Y[:, None])) < 1.5


@searches
def test_arrays_that_others_hold_are_not_written_to(search, backend):
    w = leaf([1.0, -2.0, 3.0])
    optimizer = optim.LBFGS([w], max_iter=3, line_search_fn=search)
    loss = (w * w * w * w).sum()  # its graph keeps the first w
    first = w.detach().numpy()
    optimizer.step(closure_for(optimizer, lambda: (w * w * w * w).sum()))
    assert (w.numpy() != first).all()
    w.grad = None
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), 4 * first**3)


def test_parameters_of_no_elements_and_without_gradients_stay(backend):
    w, empty, unused = leaf([3.0]), mg.ones((0, 2), dtype="float64", requires_grad=True), leaf()
    optimizer = optim.LBFGS([empty, w, unused])
    optimizer.step(closure_for(optimizer, lambda: ((w - 1.0) ** 2).sum() + empty.sum()))
    assert (w.item(), empty.shape, unused.tolist()) == (1.0, (0, 2), [1.0, 1.0])


@searches
@pytest.mark.parametrize("calls", [1, 2, 4])
def test_an_error_in_the_closure_leaves_all_as_it_was(calls, search):
    parts, run = training(search)
    run(2)
    model, optimizer = parts["model"], parts["optimizer"]
    before = str(optimizer.state_dict()), [p.tolist() for p in model.parameters()]
    count = iter(range(calls))

    def closure():
        if next(count) == calls - 1:
            raise KeyboardInterrupt
        optimizer.zero_grad()
        loss = mg.mse_loss(model(mg.tensor(X)), mg.tensor(Y[:, None]))
        loss.backward()
        return loss

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert before == (str(optimizer.state_dict()), [p.tolist() for p in model.parameters()])


def test_gradients_are_on_in_the_closure_and_frozen_parameters_need_none():
    w = leaf()
    optimizer = optim.LBFGS([w])
    with mg.no_grad():
        assert optimizer.step(closure_for(optimizer, lambda: (w * w).sum())).item() == 2.0
    np.testing.assert_allclose(w.numpy(), [0, 0], atol=1e-9)
    frozen = mg.ones(2)
    assert optim.LBFGS([frozen]).step(lambda: 3.0) == 3.0


# --- wrong use -------------------------------------------------------------------------------

ONE = r"LBFGS: the closure must return the loss, one number; got "


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (None, "LBFGS: the closure returned None; end it with `return loss`"),
        (mg.ones(3), ONE + r"a tensor \(3,\) of float32. Return its sum or mean, as in loss.mean"),
        (mg.tensor(1), ONE + r"a tensor \(\) of int64"),
        ("loss", ONE + "str 'loss'"),
        (True, ONE + "bool True"),
    ],
)
def test_what_a_closure_must_return(returned, text):
    w = leaf()
    optimizer = optim.LBFGS([w])

    def closure():
        (w * w).sum().backward()
        return returned

    with pytest.raises(TypeError, match=text):
        optimizer.step(closure)
    assert w.tolist() == [1.0, 1.0] and not optimizer.state


def test_wrong_closures():
    w = leaf()
    optimizer = optim.LBFGS([w])
    with pytest.raises(TypeError, match=r"takes a function that does it:\n    def closure\(\):"):
        optimizer.step()
    with pytest.raises(TypeError, match=r"LBFGS.step\(closure\) takes a function .*; got Tensor"):
        optimizer.step((w * w).sum())
    with pytest.raises(RuntimeError, match=r"all gradients are None .* Call loss.backward"):
        optimizer.step(lambda: (w * w).sum())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_iter": 0}, ValueError, "LBFGS: max_iter is a positive integer; got 0"),
        ({"max_eval": 2.5}, ValueError, "LBFGS: max_eval is a positive integer; got 2.5"),
        ({"history_size": None}, ValueError, "LBFGS: history_size is a positive integer; got N"),
        ({"lr": -1}, ValueError, "LBFGS: lr must be a number of at least 0; got -1"),
        ({"tolerance_grad": "1"}, TypeError, "an option must be a number; got tolerance_grad='1'"),
        ({"line_search_fn": "wolfe"}, ValueError, "is None or 'strong_wolfe'; got 'wolfe'"),
    ],
)
def test_wrong_options(options, error, text):
    with pytest.raises(error, match=text):
        optim.LBFGS([leaf()], **options)


def test_one_group_of_one_dtype_on_one_backend():
    a, b, narrow = leaf(), leaf(), leaf(dtype="float32")
    text = r"LBFGS trains one group of parameters.* as in LBFGS\(\[\*body"
    with pytest.raises(ValueError, match=text):
        optim.LBFGS([{"params": [a]}, {"params": [b]}])
    optimizer = optim.LBFGS([{"params": [a], "max_iter": np.int64(3)}])
    with pytest.raises(ValueError, match=text):
        optimizer.add_param_group({"params": [b]})
    assert optimizer.state_dict()["param_groups"][0]["max_iter"] == 3
    mixed = optim.LBFGS([a, narrow])
    with pytest.raises(RuntimeError, match=r"are float32 on '\w+', float64 on '\w+'\. Convert"):
        mixed.step(closure_for(mixed, lambda: a.sum() + narrow.sum()))
    assert optim.LBFGS([a], max_iter=np.int64(8)).param_groups[0]["max_eval"] == 10
