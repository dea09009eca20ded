"""Every op, composite, activation and loss, by its line in the op table.

A line that is missing is a failure, and so is a check that could not fail.
"""

import math
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.engine.graph import on_call
from minigrad.testing import checks, references, strategies
from minigrad.testing.cases import Case, away, distinct, positive, real
from minigrad.testing.conventions import CONVENTIONS
from minigrad.testing.op_cases import OP_CASES

LINES = pytest.mark.parametrize("name", OP_CASES)


def each(name, check, *args):
    """Run a check on all cases of a line; a failure says which case it was."""
    for case in OP_CASES[name]:
        try:
            check(case, *args)
        except Exception as error:
            error.add_note(f"in the case {name} {case}")
            raise


@LINES
def test_forward_is_numpys(name, backend):
    each(name, checks.forward, backend)


@LINES
def test_derivatives_of_both_orders(name, numpy_unless_deep):
    """By finite differences; that other backends have NumPy's gradients, `agreement` checks."""
    each(name, checks.derivatives, numpy_unless_deep)


@LINES
def test_hygiene(name, backend):
    each(name, checks.hygiene, backend)


@LINES
def test_backends_agree(name, backend):
    each(name, checks.agreement, backend)


# --- no op without a line --------------------------------------------------------------------


def own_ops():
    return {name for name, op in mg.OPS.items() if op.__module__.startswith("minigrad.")}


def public():
    families = [m for m in vars(mg.ops).values() if isinstance(m, types.ModuleType)]
    names = {name for m in (*families, mg.functional) for name in getattr(m, "__all__", ())}
    functions = {name for name in mg.linalg.__all__ if name.islower()}
    return names | {name if name in mg.OPS else f"linalg.{name}" for name in functions}


def test_every_op_has_a_line():
    assert own_ops() - set(OP_CASES) == set()


def test_every_public_function_has_a_line():
    assert public() - set(OP_CASES) == set()


COMPOSITIONS = ("minigrad.functional", "minigrad.losses", "minigrad.class_losses", "minigrad.ctc")


def test_a_composition_that_is_no_helper_is_public():
    """A function of these files without an underscore belongs to __all__: it needs a line."""
    made = {
        name
        for name, value in vars(mg.functional).items()
        if getattr(value, "__module__", None) in COMPOSITIONS
    }
    assert {name for name in made if name[0] != "_"} == set(mg.functional.__all__)


def test_no_line_is_left_over():
    assert set(OP_CASES) - own_ops() - public() == set()


@pytest.mark.parametrize("name", sorted(own_ops()))
def test_a_line_runs_its_op(name):
    """The first case calls the op itself, not something that gives the same."""
    called = set()

    def observe(op, *_):
        called.add(op.name)

    with on_call.within(observe):
        for case in OP_CASES[name]:
            case(*(mg.tensor(array) for array in case.draw()))
    assert name in called


# --- the checks can fail -------------------------------------------------------------------------


WRONG = {
    "a factor": {"x": lambda g, y: 1.001 * g * (1 - y * y)},
    "a sign": {"x": lambda g, y: -g * (1 - y * y)},
    "a dropped term": {"x": lambda g, y: g},
    "zero": {"x": lambda g, y: 0 * g},
    "the cotangent ignored": {"x": lambda g, y: 1 - y * y},
}


@pytest.fixture
def bent():
    """tanh with another derivative, which is right again after the test."""
    right = dict(mg.tanh.derivatives)

    def bend(**derivatives):
        mg.tanh.vjp(**derivatives)

    yield bend
    mg.tanh.vjp(**right)


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_derivative_is_found(bent, fault):
    bent(**WRONG[fault])
    with pytest.raises(AssertionError):
        each("tanh", checks.derivatives)


def test_a_derivative_that_is_wrong_at_second_order_only(bent):
    captured = {}

    def from_outside(g, y):
        raw = y._data if isinstance(y, mg.Tensor) else y
        captured["y"] = raw
        return g * (1 - raw * raw)

    bent(x=from_outside)
    for case in OP_CASES["tanh"]:
        checks.derivatives(case, order=1)
    with pytest.raises(AssertionError):
        each("tanh", checks.derivatives)


@pytest.mark.parametrize("graph", [False, True], ids=["plain", "create_graph"])
def test_a_derivative_that_is_wrong_on_one_backend_only(bent, graph):
    def elsewhere_zero(g, y):
        at_home = y.backend.name == "numpy" if isinstance(y, mg.Tensor) else type(y) is np.ndarray
        return g * (1 - y * y) * (1 if at_home or isinstance(y, mg.Tensor) != graph else 0)

    bent(x=elsewhere_zero)
    for check in (checks.forward, checks.derivatives):
        each("tanh", check)
    with pytest.raises(AssertionError, match="create_graph's" if graph else "^(?!create_graph)"):
        each("tanh", checks.agreement, "strict")


def test_an_edited_cotangent_is_found(bent):
    def edit(g, y):
        g *= 1 - y * y
        return g

    bent(x=edit)
    with pytest.raises(Exception, match=r"cotangent|in-place|__i"):
        each("tanh", checks.hygiene)


def test_a_wrong_forward_is_found():
    case = Case(lambda x: mg.tanh(x) * (1 + 1e-6), np.tanh, (real(2, 3),))
    with pytest.raises(AssertionError, match="Not equal"):
        checks.forward(case)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda x: mg.tanh(x).astype("float64"), "dtype float64, not float32"),
        (lambda x: mg.tanh(x).reshape(3, 2), "shape"),
        (lambda x: [mg.tanh(x), x], "2 outputs, not 1"),
        (lambda x: np.tanh(x.numpy()), "gives ndarray, not a tensor"),
    ],
)
def test_a_forward_of_another_kind_is_found(f, reason):
    with pytest.raises(AssertionError, match=reason):
        checks.hygiene(Case(f, np.tanh, (real(2, 3),)))


# --- points where only one answer is right -------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(p, id=f"{name} {i}")
        for name in CONVENTIONS
        for i, p in enumerate(CONVENTIONS[name])
    ],
)
def test_gradients_at_special_points(point, backend):
    point.check()


def test_points_belong_to_lines():
    assert set(CONVENTIONS) - set(OP_CASES) == set()


def test_second_derivatives_of_prod_at_zeros():
    x = mg.tensor([0.0, 0.0, 3.0], requires_grad=True, dtype="float64")
    assert mg.hessian(mg.prod, x).tolist() == [[0, 3, 0], [3, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_are_accurate_at_extreme_logits(dtype):
    logits = mg.tensor([[1e4, 0.0], [0.0, -1e4]], requires_grad=True, dtype=dtype)
    loss = mg.cross_entropy(logits, [0, 1])
    assert loss.item() == pytest.approx(5e3)
    loss.backward()
    assert logits.grad.tolist() == [[0.0, 0.0], [0.5, -0.5]]
    x = mg.tensor([1e4, -1e4], requires_grad=True, dtype=dtype)
    assert mg.binary_cross_entropy_with_logits(x, [1.0, 1.0], reduction="sum").item() == 1e4


def test_an_embedding_adds_up_repeated_rows(backend):
    table = mg.tensor(np.ones((4, 2)), requires_grad=True)
    g = np.arange(10.0).reshape(5, 2)
    mg.embedding([1, 3, 1, 0, 1], table, padding_idx=3).backward(mg.tensor(g))
    expected = references.scatter(g, np.array([1, 3, 1, 0, 1]), (4, 2))
    expected[3] = 0
    assert table.grad.tolist() == expected.tolist()


# --- any shape, axis, dtype and layout -----------------------------------------------------------

NAMES = ["exp", "sin", "cos", "tanh", "sigmoid", "square", "negative", "abs"]
UNARY = {name: getattr(mg, name) for name in NAMES}
BINARY = {
    **dict.fromkeys(["add", "subtract", "multiply"], (real, real)),
    "divide": (real, away(0, gap=0.5)),
    "power": (positive, real),
    "maximum": (distinct(), distinct(0.15)),
}
REDUCTIONS = {
    **dict.fromkeys(("sum", "mean", "var", "prod", "logsumexp"), real),
    **{name: distinct() for name in ("max", "min")},
}
REFERENCES = {"sigmoid": references.sigmoid, "logsumexp": references.logsumexp}


def reference(name):
    return REFERENCES.get(name) or getattr(np, name)


@pytest.mark.parametrize("name", UNARY)
@given(st.data())
def test_functions_of_any_array(name, backend, data):
    dtype = data.draw(strategies.dtypes())
    array = data.draw(strategies.arrays(data.draw(strategies.shapes()), dtype, kinks=(0,)))
    x = mg.tensor(array, requires_grad=True)
    y = UNARY[name](x)
    assert y.shape == array.shape and y.dtype == dtype
    assert np.allclose(y.numpy(), reference(name)(array), rtol=1e-5)
    y.sum().backward()
    assert x.grad.shape == array.shape and x.grad.dtype == dtype


@pytest.mark.parametrize("name", BINARY)
@given(st.data())
def test_binary_ops_broadcast_anything(name, data):
    a, b = data.draw(strategies.broadcastable())
    kinds = BINARY[name]
    case = Case(getattr(mg, name), reference(name), (kinds[0](*a), kinds[1](*b)))
    checks.forward(case)
    checks.hygiene(case)
    if math.prod(a) + math.prod(b) <= 12:
        checks.derivatives(case)


@pytest.mark.parametrize("name", REDUCTIONS)
@given(st.data())
def test_reductions_over_any_axes(name, data):
    empty_is_defined = name in ("sum", "prod", "logsumexp")
    shape = data.draw(strategies.shapes(min_side=0 if empty_is_defined else 1, max_side=3))
    settings = {
        "axis": data.draw(strategies.axes(len(shape), empty=True)),
        "keepdims": data.draw(st.booleans()),
    }
    case = Case(getattr(mg, name), reference(name), (REDUCTIONS[name](*shape),), settings)
    checks.forward(case)
    checks.hygiene(case)


@given(st.data())
def test_layouts_do_not_matter(backend, data):
    shape = data.draw(strategies.shapes(min_dims=1, min_side=1))
    array = data.draw(strategies.arrays(shape))
    target = mg.get_backend(backend)
    for layout in strategies.LAYOUTS:
        x = mg.tensor(strategies.relaid(array, layout), requires_grad=True)
        y = (mg.tanh(x).T @ mg.ones(shape[0], dtype="float64")).sum()
        assert np.allclose(mg.grad(y, x).numpy(), 1 - np.tanh(array) ** 2)
        assert x.backend is target


@given(st.data())
def test_getitem_and_scatter_are_each_others_transpose(data):
    """<x[index], g> is <x, scatter(g)> for any index, repeated ones included."""
    from hypothesis.extra.numpy import basic_indices, integer_array_indices

    shape = data.draw(strategies.shapes(min_dims=1, min_side=1))
    index = data.draw(
        st.one_of(basic_indices(shape, allow_newaxis=True), integer_array_indices(shape))
    )
    rng = np.random.default_rng(0)
    array = rng.standard_normal(shape)
    x = mg.tensor(array, requires_grad=True)
    y = x[index]
    g = rng.standard_normal(y.shape)
    assert np.array_equal(y.numpy(), array[index])
    y.backward(g)
    assert np.allclose(x.grad.numpy(), references.scatter(g, index, shape))
