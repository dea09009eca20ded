"""Functions whose derivative is declared by `custom_vjp`."""

import gc
import re
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

RNG = np.random.default_rng(0)


def leaf(*shape, scale=1.0):
    return mg.tensor(scale * RNG.standard_normal(shape), requires_grad=True)


@mg.custom_vjp
def layer(x, w):
    return mg.tanh(x @ w)


layer.vjp_all(lambda g, x, w, y: [g * (1 - y * y) @ w.T, x.T @ (g * (1 - y * y))])


def plain_layer(x, w):
    return mg.tanh(x @ w)


@mg.custom_vjp
def power(x, *, n):
    return x**n


power.vjp(x=lambda g, x, n: g * n * x ** (n - 1))


@mg.custom_vjp
def both(x, w):
    """Two results, and one of integers."""
    return x * w, mg.sin(x), mg.argmax(x)


both.vjp(x=lambda g, x, w: g[0] * w + g[1] * mg.cos(x), w=lambda g, x: g[0] * x)


@mg.custom_vjp(keeps="mask")
def kept_relu(x):
    mask = x > 0
    return x * mask, mask


kept_relu.vjp(x=lambda g, mask: g * mask)


@mg.custom_vjp(keeps="slope")
def kept_exp(x):
    y = mg.exp(x)
    return y, {"of": [y]}


kept_exp.vjp(x=lambda g, slope: g * slope["of"][0])


@mg.custom_vjp
def squares(*xs):
    return sum(x * x for x in xs)


squares.vjp_all(lambda g, xs: [2 * g * x for x in xs])


@mg.custom_vjp
def reverse(x):
    return x


reverse.vjp(x=lambda g: -g)


# --- gradients -----------------------------------------------------------------------------------


@given(seed=st.integers(0, 999))
def test_gradients_of_both_orders_are_those_of_the_composition(backend, seed):
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(1, 4, 3)
    x, w, g, u = (
        mg.tensor(rng.standard_normal(shape), requires_grad=True)
        for shape in ((n, k), (k, m), (n, m), (n, k))
    )
    found = []
    for f in (layer, plain_layer):
        y = f(x, w)
        first = mg.grad(y, [x, w], g, create_graph=True)
        second = mg.grad(first[0], [x, w, g], u)
        found.append([t.numpy() for t in (y, *mg.grad(f(x, w), [x, w], g), *first, *second)])
    for mine, right in zip(*found, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (layer, ((2, 3), (3, 2))),
        (lambda x: power(x, n=3), ((2, 3),)),
        (lambda x, w: both(x, w)[:2], ((4,), (4,))),
        (squares, ((2,), (2,), (2,))),
        (lambda x: kept_relu(x) ** 2, ((5,),)),
    ],
)
def test_the_gradient_checker_passes_what_is_right(f, inputs, backend):
    assert mg.gradcheck(f, tuple(leaf(*shape) for shape in inputs), order=2).verdict == "PASS"


def test_the_gradient_checker_finds_what_is_wrong():
    @mg.custom_vjp
    def wrong(x):
        return mg.exp(x)

    wrong.vjp(x=lambda g, y: 1.01 * g * y)
    assert mg.gradcheck(wrong, leaf(3), raise_exception=False).verdict == "FAIL"
    wrong.vjp(x=lambda g, y: g * y.detach())  # right at first order
    assert mg.gradcheck(wrong, leaf(3)).verdict == "PASS"
    assert mg.gradcheck(wrong, leaf(3), order=2, raise_exception=False).verdict == "FAIL"


def test_the_declared_derivative_is_what_counts(backend):
    x = leaf(3)
    (reverse(x) * 3).sum().backward()
    assert x.grad.tolist() == [-3.0] * 3
    assert reverse(x).tolist() == x.tolist()


@pytest.mark.usefixtures("on_numpy")
def test_a_function_may_calculate_with_numpy():
    @mg.custom_vjp
    def rounded(x):
        return mg.tensor(np.round(x.numpy()), backend=x.backend)

    rounded.vjp(x=lambda g: g)
    x = mg.tensor([0.4, 1.6], requires_grad=True)
    y = rounded(x)
    (y * y).sum().backward()
    assert y.tolist() == [0.0, 2.0] and x.grad.tolist() == [0.0, 4.0]


def test_a_result_that_nothing_uses_gives_zeros():
    x, w = leaf(4), leaf(4)
    _, sine, place = both(x, w)
    assert not place.requires_grad and place.dtype == np.int64
    gx, gw = mg.grad(sine, [x, w], np.ones(4))
    np.testing.assert_allclose(gx.numpy(), np.cos(x.numpy()))
    assert gw.tolist() == [0.0] * 4


def test_named_tuples_stay_what_they_are():
    from collections import namedtuple

    Pair = namedtuple("Pair", "a b")

    @mg.custom_vjp
    def pair(x):
        return Pair(x * 2, x * 3)

    pair.vjp(x=lambda g: 2 * g.a + 3 * g.b)
    x = leaf()
    found = pair(x)
    assert isinstance(found, Pair) and mg.grad(found.a + found.b * 10, x).item() == 32.0


def test_no_gradient_flows_to_an_input_declared_none():
    @mg.custom_vjp
    def scaled(x, factor):
        return x * factor

    scaled.vjp(x=lambda g, factor: g * factor, factor=None)
    x, factor = leaf(2), leaf(2)
    assert mg.grad(scaled(x, factor).sum(), [x, factor], allow_unused=True)[1] is None
    assert not scaled(x.detach(), factor).requires_grad
    assert scaled(x, 2.0).requires_grad and mg.grad(scaled(x, 2.0).sum(), x).tolist() == [2.0, 2.0]


def test_gradients_are_fitted_to_their_inputs():
    """As an op's: a broadcast axis is summed, float32 stays float32."""

    @mg.custom_vjp
    def add(x, b):
        return x + b

    add.vjp(x=lambda g: g, b=lambda g: g)
    x = mg.ones((4, 3), dtype="float64", requires_grad=True)
    b = mg.ones(3, requires_grad=True)
    add(x, b).sum().backward()
    assert b.grad.dtype == np.float32 and b.grad.tolist() == [4.0] * 3


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("graph", [False, True])
def test_gradients_share_no_memory(graph):
    constant = mg.ones(3, dtype="float64")

    @mg.custom_vjp
    def f(x, w):
        return x + w

    f.vjp_all(lambda g: [g, g])
    x, w, g = leaf(3), leaf(3), mg.ones(3, dtype="float64")
    f(x, w).backward(g, create_graph=graph)
    arrays = [x.grad._data, w.grad._data, g._data]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    f.vjp_all(lambda g: [constant, constant])
    x.grad = w.grad = None
    f(x, w).backward(g)
    arrays = [x.grad._data, w.grad._data, constant._data]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_a_derivative_edits_nothing():
    @mg.custom_vjp
    def f(x):
        return x * 2

    def derivative(g):
        g[0] = 5.0
        return g

    f.vjp(x=derivative)
    with pytest.raises(RuntimeError, match="x alone would change"):
        f(leaf(2)).sum().backward()


# --- where it runs -------------------------------------------------------------------------------


def test_within_no_grad_it_is_the_function():
    x = leaf(3)
    with mg.no_grad():
        y = power(x, n=2)
    assert not y.requires_grad
    np.testing.assert_allclose(y.numpy(), x.numpy() ** 2)
    assert not power(x.detach(), n=2).requires_grad


def test_a_result_is_no_alias_of_the_input():
    x = mg.ones(2)
    with mg.no_grad():
        y = reverse(x)
        x += 1
    assert y.tolist() == [1.0, 1.0]


def test_in_a_checkpoint(backend):
    x, w = leaf(2, 3), leaf(3, 3)
    plain = mg.grad((layer(layer(x, w), w) ** 2).sum(), [x, w])
    again = mg.checkpoint(lambda x, w: layer(layer(x, w), w), x, w)
    for a, b in zip(plain, mg.grad((again**2).sum(), [x, w], create_graph=True), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy())


def test_in_a_scan_it_is_composed_and_counted(backend):
    def cell(w, x, h):
        h = layer(x + h, w)
        return h, h

    def plain(w, x, h):
        h = plain_layer(x + h, w)
        return h, h

    w, xs, h = leaf(3, 3), leaf(4, 2, 3), leaf(2, 3)
    mg.reset_dispatch_counts()
    ys, _ = mg.scan(cell, w, xs, h)
    ((name, _, way, reason),) = mg.dispatch_counts()
    assert (name, way) == ("cell", "composed")
    if backend in ("numba", "cupy"):
        assert reason == "it calls layer, whose derivative custom_vjp declares"
    right, _ = mg.scan(plain, w, xs, h)
    g = mg.tensor(RNG.standard_normal(ys.shape))
    for a, b in zip(mg.grad(ys, [w, xs, h], g), mg.grad(right, [w, xs, h], g), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)


def test_in_a_fused_function_it_is_composed(compiling, monkeypatch):
    @mg.fuse
    def f(x):
        return mg.exp(kept_relu(x))

    x = leaf(2, 3)
    assert f(x).requires_grad
    monkeypatch.setenv("MINIGRAD_FUSED", "require")
    with pytest.raises(mg.errors.FusionError, match="it calls kept_relu, whose derivative"):
        f(x)


def test_in_the_derivative_of_an_op():
    @mg.op
    def cube(xp, x):
        return x * x * x

    try:
        cube.vjp(x=lambda g, x: 3 * g * power(x, n=2))
        assert mg.gradcheck(cube, leaf(3), order=2).verdict == "PASS"
        x = leaf(3)
        np.testing.assert_allclose(mg.grad(cube(x).sum(), x).numpy(), 3 * x.numpy() ** 2)
    finally:
        del mg.OPS["cube"]


def test_anomaly_mode_names_it():
    @mg.custom_vjp
    def broken(x):
        return x * 2

    broken.vjp(x=lambda g: g * float("nan"))
    with mg.detect_anomaly():
        y = broken(leaf(2)).sum()
        with pytest.raises(FloatingPointError, match="backward pass of broken"):
            y.backward()


def test_it_is_drawn_by_its_name(tmp_path):
    pytest.importorskip("grandalf", reason="pictures need the extra learn")
    picture = mg.draw(layer(leaf(2, 2), leaf(2, 2)).sum())
    assert "layer" in str(getattr(picture, "svg", picture))


@pytest.mark.usefixtures("on_numpy")
def test_an_edited_input_is_an_error():
    x = leaf(3)
    y = power(x, n=2)
    x.data[0] = 7.0
    with pytest.raises(RuntimeError, match=r"after power saved it .*: its input x, shape \(3,\)"):
        y.sum().backward()


def test_a_second_backward_is_an_error():
    y = power(leaf(3), n=2).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second backward"):
        y.backward()


def test_graphs_are_freed_at_once():
    gc.collect()
    gc.disable()
    try:
        for make in (
            lambda: layer(leaf(2, 2), leaf(2, 2)),
            lambda: both(leaf(2), leaf(2))[0],
            lambda: kept_exp(leaf(2)),
        ):
            y = make()
            node, array = weakref.ref(y._node), weakref.ref(y._data)
            mg.grad(y.sum(), y, retain_graph=True)
            del y
            assert node() is None and array() is None
    finally:
        gc.enable()


# --- what is kept --------------------------------------------------------------------------------


def test_kept_floats_have_no_second_order():
    x = leaf(3)
    np.testing.assert_allclose(mg.grad(kept_exp(x).sum(), x).numpy(), np.exp(x.numpy()))
    with pytest.raises(
        RuntimeError,
        match="kept_exp: its derivative uses 'slope', which doesn't know how it was computed",
    ):
        mg.grad(kept_exp(x).sum(), x, create_graph=True)


@pytest.mark.parametrize("kept", [2.0, np.ones(2), [1, 0.5], object(), np.float32(1)])
def test_other_kept_floats(kept):
    @mg.custom_vjp(keeps="kept")
    def f(x):
        return x * 2, kept

    f.vjp(x=lambda g, kept: g * 2)
    x = leaf(2)
    assert mg.grad(f(x).sum(), x).tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match=r"can't be differentiated again \(create_graph\)"):
        mg.grad(f(x).sum(), x, create_graph=True)


@pytest.mark.parametrize("kept", [2, True, None, "text", np.arange(2), [1, {"a": False}]])
def test_kept_constants_have(kept):
    @mg.custom_vjp(keeps="kept")
    def f(x):
        return x * x, kept

    f.vjp(x=lambda g, x, kept: 2 * g * x)
    assert mg.gradcheck(f, leaf(2), order=2).verdict == "PASS"


# --- wrong use -----------------------------------------------------------------------------------


def fresh(derivative=None, keeps=None):
    @mg.custom_vjp(keeps=keeps)
    def f(x, w):
        return x * w

    return f if derivative is None else f.vjp_all(derivative)


def no_inputs(*, n):
    return n


def any_keywords(x, **kw):
    return x


def a_mixture(x, *rest):
    return x


def taken(g):
    return g


DECLARATIONS = [
    (lambda: mg.custom_vjp(no_inputs), "no_inputs: the function takes inputs by position and"),
    (lambda: mg.custom_vjp(any_keywords), r"got any_keywords\(x, \*\*kw\)"),
    (lambda: mg.custom_vjp(a_mixture), r"or any number of inputs, as in def a_mixture\(\*xs\)"),
    (lambda: mg.custom_vjp(taken), "'g' has a meaning of its own"),
    (lambda: fresh(keeps="x"), "'x' is the name of a parameter"),
    (lambda: fresh().vjp(x=lambda g: g), "no derivative is declared for w; declare w=None"),
    (lambda: fresh().vjp(z=lambda g: g), "declared for 'z', but its array inputs are x, w"),
    (lambda: fresh(lambda g, z: [g, z]), "asks for 'z'; it can have g, w, x, y"),
    (lambda: fresh(3), "must be a function of named parameters"),
    (lambda: squares.vjp(xs=lambda g: g), "one function gives all their gradients"),
    (lambda: fresh()(leaf(2), leaf(2)), r"f has no derivative: declare f.vjp\(x=..., w=...\)"),
]


@pytest.mark.parametrize(("use", "text"), DECLARATIONS)
def test_wrong_declarations(use, text):
    with pytest.raises(mg.DeclarationError, match=text):
        use()


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(
    ("derivative", "kind", "text"),
    [
        (lambda g: [g], TypeError, "must return a list of 2 gradients, one per input; it returned"),
        (lambda g: g, TypeError, "must return a list of 2 gradients"),
        (lambda g: None, TypeError, "must return a list of 2 gradients, .* it returned None"),
        (lambda g: [g, None], TypeError, r"for w returned None in place of .*; return 0 \* g"),
        (lambda g: [g, 1.0], TypeError, "for w returned float 1.0 in place of a gradient"),
        (lambda g: [g.sum(), g], ValueError, r"for x returned shape \(\), and x has shape \(3,\)"),
        (lambda g: [mg.ones(4), g], ValueError, r"returned shape \(4,\), and x has shape \(3,\)"),
        (lambda g: [g, g.numpy()], TypeError, "for w returned a NumPy array"),
    ],
)
def test_wrong_gradients(derivative, kind, text, graph):
    f = fresh(derivative)
    x, w = leaf(3), leaf(3)
    if not graph and "NumPy" in text and x.backend.array_type is np.ndarray:
        mg.grad(f(x, w).sum(), [x, w])  # an array is what a sweep calculates with
        return
    with pytest.raises(kind, match=text) as error:
        mg.grad(f(x, w).sum(), [x, w], create_graph=graph)
    assert "backward pass of f" in error.value.__notes__[0]


def test_a_tensor_that_is_no_input():
    w = leaf(2)

    @mg.custom_vjp
    def f(x, *, by=None):
        return x * (w if by is None else by)

    f.vjp(x=lambda g: g)
    text = r"f: the result depends on a tensor that requires a gradient and is no input.* \(x\)"
    for use in (lambda: f(leaf(2)), lambda: f(mg.ones(2)), lambda: f(leaf(2), by=w)):
        with pytest.raises(RuntimeError, match=text):
            use()
    assert f(leaf(2), by=w.detach()).requires_grad
    with mg.no_grad():
        f(leaf(2))


@pytest.mark.parametrize(
    ("use", "kind", "text"),
    [
        (lambda: layer(leaf(2, 2)), TypeError, "layer: missing a required argument: 'w'"),
        (lambda: power(leaf(2), 3), TypeError, "power: too many positional arguments"),
        (lambda: bad_result(leaf(2)), TypeError, "must return a tensor or a tuple of tensors; it"),
        (lambda: bad_pair(leaf(2)), TypeError, "with keeps='k' the function returns a pair"),
        (lambda: y_of_two(leaf(2)), mg.DeclarationError, "asks for 'y', and there are several"),
    ],
)
def test_wrong_calls(use, kind, text):
    with pytest.raises(kind, match=text):
        use()


bad_result = mg.custom_vjp(lambda x: x.numpy()).vjp(x=lambda g: g)
bad_pair = mg.custom_vjp(lambda x: x, keeps="k").vjp(x=lambda g: g)
y_of_two = mg.custom_vjp(lambda x: (x, x)).vjp(x=lambda g, y: g)


def test_it_keeps_name_and_text():
    assert layer.__name__ == "layer" and both.__doc__ == "Two results, and one of integers."
    assert re.match("<custom_vjp layer>", repr(layer))
