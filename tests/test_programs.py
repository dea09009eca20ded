"""Random programs: whatever ops are strung together, in whatever graph, the gradient is right."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

MASK = np.array([[True, False], [False, True]])

# From one or two (2, 2) matrices to one; values stay small.
STEPS = {
    "tanh": lambda a, b: mg.tanh(a),
    "sine of a product": lambda a, b: mg.sin(a * b),
    "matmul": lambda a, b: mg.tanh(a @ b),
    "softmax": lambda a, b: mg.softmax(a + b, axis=0),
    "difference": lambda a, b: a - 0.5 * b,
    "quotient": lambda a, b: a / (1 + b * b),
    "transposed": lambda a, b: a.T + b,
    "broadcast sum": lambda a, b: mg.tanh(a.sum(axis=0) + b.mean(axis=1, keepdims=True)),
    "split and joined": lambda a, b: mg.concatenate([mg.split(a, 2)[1], mg.split(b, 2)[0]]),
    "unstacked and stacked": lambda a, b: mg.stack([mg.unstack(a, axis=1)[0], mg.unstack(b)[1]]),
    "repeated rows": lambda a, b: a[[1, 1]] * b,
    "chosen": lambda a, b: mg.where(mg.tensor(MASK), a, b),
    "scattered": lambda a, b: mg.scatter_add(a, [0, 0], b),
    "flattened": lambda a, b: mg.cumsum(a.flatten()).reshape(2, 2) * mg.sigmoid(b),
    "einsum": lambda a, b: mg.tanh(mg.einsum("ij,ik->jk", a, b)),
    "itself": lambda a, b: a,
}


@st.composite
def programs(draw):
    """A list of steps; each names its operands among what was computed so far."""
    steps = []
    for i in range(draw(st.integers(1, 10))):
        place = st.integers(0, i + 1)
        steps.append((draw(st.sampled_from(sorted(STEPS))), draw(place), draw(place)))
    return steps


def run(steps, *inputs):
    """Two outputs: the last result, and a number that hangs on one in the middle."""
    found = list(inputs)
    for name, i, j in steps:
        found.append(STEPS[name](found[i], found[j]))
    return found[-1], (found[len(found) // 2] ** 2).sum()


def inputs(backend="numpy"):
    rng = np.random.default_rng(0)
    return [
        mg.tensor(rng.uniform(-1, 1, (2, 2)), requires_grad=True, backend=backend) for _ in "ab"
    ]


def gradients(f, backend="numpy", create_graph=False):
    """Those of both outputs, weighted at random; with create_graph those of their squares, too."""
    with mg.use_backend(backend):
        xs = inputs(backend)
        ys = f(*xs)
        rng = np.random.default_rng(1)
        pairs = [(y, mg.tensor(rng.standard_normal(y.shape))) for y in ys]
        ys, gs = zip(*((y, g) for y, g in pairs if y.requires_grad), strict=True)
        first = mg.grad(ys, xs, gs, create_graph=create_graph, allow_unused=True)
        found = list(first)
        if create_graph:
            smooth = [g for g in first if g is not None and g.requires_grad]
            if smooth:
                found += mg.grad(sum((g * g).sum() for g in smooth), xs, allow_unused=True)
        return [None if g is None else g.numpy() for g in found]


def assert_same(found, right):
    for a, b in zip(found, right, strict=True):
        assert (a is None) == (b is None)
        assert a is None or np.allclose(a, b, rtol=1e-10, atol=1e-12)


@given(programs())
def test_gradients_are_those_of_finite_differences(steps):
    report = mg.gradcheck(lambda *xs: run(steps, *xs), inputs(), order=2, raise_exception=False)
    assert report.verdict != "FAIL", str(report)


@given(programs())
def test_every_way_gives_the_same_gradients(backend, steps):
    def program(*xs):
        return run(steps, *xs)

    plain = gradients(program)
    with_graph = gradients(program, create_graph=True)
    assert_same(with_graph[:2], plain)
    assert_same(gradients(program, backend), plain)
    assert_same(gradients(program, backend, create_graph=True), with_graph)
    again = gradients(lambda *xs: mg.checkpoint(program, *xs), backend, create_graph=True)
    for a, b in zip(again, with_graph, strict=False):
        assert a is None or b is None or np.allclose(a, b, rtol=1e-10, atol=1e-12)


@given(programs())
def test_backward_is_grad(steps):
    with mg.use_backend("numpy"):
        xs = inputs()
        y, z = run(steps, *xs)
    total = (y * y).sum() + z
    right = mg.grad(total, xs, allow_unused=True, retain_graph=True)
    total.backward()
    for x, g in zip(xs, right, strict=True):
        assert (x.grad is None) == (g is None)
        assert g is None or np.array_equal(x.grad.numpy(), g.numpy())
