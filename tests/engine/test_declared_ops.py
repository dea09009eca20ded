"""Ops of one's own: what they may leave out, and what they may return."""

import builtins
import inspect
import pydoc
import symtable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.errors import DeclarationError


@pytest.fixture(autouse=True)
def no_new_ops():
    before = dict(mg.OPS)
    yield
    mg.OPS.clear()
    mg.OPS.update(before)


def cube(xp, x):
    return x * x * x


def pair(xp, a, b):
    return a * b


def both(xp, x):
    return [x * 2, x * x]


def total(xp, *xs):
    return xs[0] + xs[-1]


def declared(forward, many=False, **derivatives):
    made = mg.op(many=many)(forward)
    return made.vjp(**derivatives) if derivatives else made


def leaf(values=(1.0, 2.0), dtype="float64"):
    return mg.tensor(np.array(values, dtype), requires_grad=True)


# --- no derivative -----------------------------------------------------------------------------

UNDECLARED = {
    "cube": lambda x: declared(cube)(x),
    "pair": lambda x: declared(pair)(2.0, x),
    "both": lambda x: declared(both, many=True)(x)[1],
    "total": lambda x: declared(total)([mg.ones(2), x]),
}


@pytest.mark.parametrize("name", UNDECLARED)
def test_an_op_without_a_derivative_is_no_silent_zero(name, backend):
    call = UNDECLARED[name]
    with pytest.raises(DeclarationError, match=f"^{name} has no derivative: declare {name}.vjp"):
        call(leaf())
    with pytest.raises(DeclarationError, match="has no derivative"):
        mg.jvp(call, mg.ones(2), mg.ones(2))
    with mg.no_grad():
        assert call(leaf()).shape == (2,)
    assert call(mg.ones(2)).shape == (2,)


def test_the_error_says_what_to_declare():
    said = r"cube.vjp\(x=...\) or say cube.vjp\(x=None\) if no gradient flows"
    with pytest.raises(DeclarationError, match=said):
        declared(cube)(leaf())
    with pytest.raises(DeclarationError, match=r"total.vjp_all\(...\) or say total.vjp_all\(None"):
        declared(total)([leaf()])


def test_none_says_that_no_gradient_flows():
    for y in (
        declared(cube, x=None)(leaf()),
        declared(pair, a=None, b=None)(leaf(), leaf()),
        mg.op(total).vjp_all(None)([leaf()]),
        declared(both, many=True, x=None)(leaf())[0],
        leaf() > 1,
        mg.argmax(leaf()),
    ):
        assert not y.requires_grad
    x = leaf()
    mg.sum(x + declared(cube, x=None)(x)).backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_at_second_order_a_derivative_needs_one_as_well():
    helper = declared(cube)
    square = mg.op(named("squared", lambda xp, x: x * x)).vjp(x=lambda g, x: g * helper(x))
    x = leaf()
    y = mg.sum(square(x))
    assert mg.grad(y, x, retain_graph=True).tolist() == [1.0, 8.0]
    with pytest.raises(DeclarationError, match="cube has no derivative"):
        mg.grad(y, x, create_graph=True)


def named(name, fn):
    fn.__name__ = name
    return fn


def test_in_scans_fused_functions_and_checkpoints(backend):
    op = declared(cube)

    def cell(p, x, h):
        h = h + op(x)
        return h, h

    xs = mg.tensor(np.ones((3, 2, 4), "float32"), requires_grad=True)
    with pytest.raises(DeclarationError, match="cube has no derivative"):
        mg.scan(cell, None, xs, mg.zeros((2, 4)))
    with pytest.raises(DeclarationError, match="cube has no derivative"):
        mg.fuse(lambda x: op(x) * 2)(xs)
    with pytest.raises(DeclarationError, match="cube has no derivative"):
        mg.checkpoint(op, xs).sum().backward()
    with mg.no_grad():
        ys, _ = mg.scan(cell, None, xs, mg.zeros((2, 4)))
    assert ys.numpy()[-1].tolist() == [[3.0] * 4] * 2


# --- declared again ----------------------------------------------------------------------------


def test_a_derivative_may_come_after_a_call():
    op = declared(cube)
    with pytest.raises(DeclarationError):
        op(leaf())
    op.vjp(x=lambda g, x: 3 * g * x * x)
    x = leaf()
    assert mg.grad(mg.sum(op(x)), x).tolist() == [3.0, 12.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_graph_from_before_a_new_declaration_is_not_read_by_it(create_graph):
    op = declared(cube, x=lambda g, x: 3 * g * x * x)
    x = leaf()
    before = mg.sum(op(x))
    op.vjp(x=lambda g, y: g * y)  # the slot that held x holds y from now on
    assert mg.grad(mg.sum(op(x)), x).tolist() == [1.0, 8.0]
    with pytest.raises(RuntimeError, match="derivative of cube was declared again after this"):
        mg.grad(before, x, create_graph=create_graph)


def test_a_kernel_is_not_that_of_an_older_declaration(backend):
    op = declared(cube, x=lambda g, x: 3 * g * x * x)

    def cell(p, x, h):
        h = h + op(x)
        return h, h

    xs = mg.tensor(np.full((2, 2, 3), 2.0, "float32"), requires_grad=True)

    def slope():
        return mg.grad(mg.scan(cell, None, xs, mg.zeros((2, 3)))[1].sum(), xs).numpy()

    assert (slope() == 12).all()
    op.vjp(x=lambda g, x: 100 * g)
    assert (slope() == 100).all()


# --- what a forward returns ----------------------------------------------------------------------

RETURNS = {
    "it returned a list of 2. An op of several outputs is declared by @mg.op": lambda xp, x: [x, x],
    "it returned None": lambda xp, x: None,
    "it returned float 3.0": lambda xp, x: 3.0,
    "it returned str 'x'": lambda xp, x: "x",
    "must return floats, integers or truth values; it returned complex": lambda xp, x: x * 1j,
}


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("said", RETURNS)
def test_a_forward_returns_an_array(said):
    op = declared(named("odd", RETURNS[said]), x=None)
    with pytest.raises(TypeError, match=f"op odd: .*{said}"):
        op(mg.ones(2))


def test_a_forward_of_several_outputs_returns_a_list():
    op = declared(named("odd", lambda xp, x: x), many=True, x=None)
    with pytest.raises(TypeError, match=r"op odd: .* must return a list of arrays; it returned"):
        op(mg.ones(2))
    op = declared(named("odd", lambda xp, x: [x, None]), many=True, x=None)
    with pytest.raises(TypeError, match=r"op odd: .* output 1 returned None"):
        op(mg.ones(2))


def test_scalars_and_tensors_are_arrays_enough(backend):
    mean = declared(named("middle", lambda xp, x: xp.mean(x)), x=None)
    assert mean(mg.ones(3)).item() == 1
    written = declared(named("written", lambda xp, x: mg.tensor(x) * 2), x=None)
    assert written(mg.ones(3)).tolist() == [2, 2, 2]


def test_gradients_flow_to_the_float_outputs_only():
    def ranked(xp, x):
        return [xp.argmax(x), xp.max(x)]

    op = declared(ranked, many=True, x=lambda g, x: where_is(g[1], x))

    def where_is(g, x):
        return g * (x == mg.max(x))

    x = leaf([1.0, 5.0])
    place, best = op(x)
    assert not place.requires_grad and best.requires_grad and place.item() == 1
    assert mg.grad(best, x, create_graph=True).tolist() == [0.0, 1.0]
    rounded = declared(named("rounded", lambda xp, x: xp.astype(x, "int64")), x=lambda g: g)
    assert not rounded(x).requires_grad


# --- what a derivative returns -------------------------------------------------------------------

WRONG = {
    "returned None in place of a gradient of shape (2, 3); return 0 * g": lambda g: None,
    "returned int 0": lambda g: 0,
    "returned a list of 2": lambda g: [g, g],
    "returned shape (3,), and x has shape (2, 3)": lambda g: mg.sum(g, axis=0),
    "returned shape (2, 1), and x has": lambda g: mg.sum(g, axis=1, keepdims=True),
    "returned shape (), and x has shape (2, 3)": lambda g: mg.sum(g),
    "returned shape (3, 2), and x has shape (2, 3)": lambda g: mg.transpose(g),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("said", WRONG)
def test_a_derivative_returns_a_gradient_of_its_input(said, create_graph, backend):
    one = declared(cube, x=WRONG[said])
    two = declared(named("pair", lambda xp, x, b: x * b), x=WRONG[said], b=None)
    shared = mg.op(named("shared", lambda xp, x, b: x * b))
    shared.vjp_all(lambda g: [WRONG[said](g), g])
    x = leaf(np.ones((2, 3)))
    for y in (one(x), two(x, 2.0), shared(x, 2.0)):
        with pytest.raises((TypeError, ValueError)) as error:
            mg.grad(y.sum(), x, create_graph=create_graph)
        assert f"op {y._node.op.name}: its derivative for x {said}" in str(error.value)


@pytest.mark.usefixtures("on_numpy")
def test_at_second_order_a_numpy_array_is_no_gradient():
    op = declared(cube, x=lambda g, x: np.ones(2))
    x = leaf()
    assert mg.grad(mg.sum(op(x)), x).tolist() == [1, 1]
    with pytest.raises(TypeError, match=r"for x returned a NumPy array .* written in operators"):
        mg.grad(mg.sum(op(x)), x, create_graph=True)


def test_a_shared_derivative_returns_one_gradient_per_input():
    op = mg.op(total)
    op.vjp_all(lambda g: [g])
    x = leaf()
    with pytest.raises(TypeError, match=r"op total: .* must return a list of 2 gradients, one per"):
        op([x, x]).sum().backward()
    op = mg.op(total)
    op.vjp_all(lambda g: g)
    with pytest.raises(TypeError, match="one per input; it returned "):
        op([x, x]).sum().backward()
    op = mg.op(total)
    op.vjp_all(lambda g: [g, None])
    with pytest.raises(TypeError, match=r"its derivative for xs\[1\] returned None"):
        op([x, x]).sum().backward()


@given(st.sampled_from([(), (3,), (1, 3), (2, 1), (2, 3)]), st.booleans(), st.integers(0, 99))
def test_broadcasting_is_undone_and_dtypes_fit(shape, create_graph, seed):
    op = declared(pair, a=lambda g, b: g * b, b=lambda g, a: g * a)
    rng = np.random.default_rng(seed)
    a = mg.tensor(rng.normal(size=shape).astype("float32"), requires_grad=True)
    b = mg.tensor(rng.normal(size=(2, 3)), requires_grad=True)
    g = mg.tensor(rng.normal(size=(2, 3)))
    found = mg.grad(op(a, b), [a, b], g, create_graph=create_graph)
    for mine, right in zip(found, mg.grad(a * b, [a, b], g), strict=True):
        assert mine.shape == right.shape and mine.dtype == right.dtype
        np.testing.assert_allclose(mine.numpy(), right.numpy(), rtol=1e-6)


# --- names and text ------------------------------------------------------------------------------


def test_names_that_the_text_uses_are_refused():
    with pytest.raises(DeclarationError, match="op tick: the text of ops uses this name"):
        declared(named("tick", lambda xp, x: x))
    with pytest.raises(DeclarationError, match="can't be called 'Node'"):
        declared(named("odd", lambda xp, Node: Node))


def free_names(source):
    """The names that the functions of a text take from outside."""
    found, tables = set(), [symtable.symtable(source, "op", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        if table.get_type() == "function":
            found |= {s.get_name() for s in table.get_symbols() if s.is_global()}
    return found


@pytest.mark.parametrize(
    "slope",
    [lambda g, y, times: 0.5 * g * times**2 / y, lambda g, y, root_of: 0.5 * g * y / root_of],
    ids=["of its output", "of its input, too"],
)
def test_what_a_forward_keeps_is_what_another_op_gives(backend, slope):
    """It has the inputs and the settings of the call."""

    def square_root(xp, root_of, *, plus=0.0, times=5.0):
        return times * xp.sqrt(root_of + plus)

    square_root = mg.op(square_root)
    square_root.vjp(root_of=slope)

    def to_1_5(xp, x, *, times):
        root = times * xp.sqrt(x)
        return x * root, root

    made = mg.op(keeps=("root", square_root, {"plus": 0.0}))(to_1_5)
    made.vjp(x=lambda g, root: 1.5 * g * root)
    x = mg.tensor([4.0, 9.0], dtype="float64", backend=backend, requires_grad=True)
    np.testing.assert_allclose(made(x, times=2.0).numpy(), [16, 54])
    y = made(x, times=2.0)
    for expected in ([6, 9], [0.75, 0.5], [-0.75 / 8, -0.5 / 18]):
        y = mg.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.numpy(), expected)
    assert mg.gradgradcheck(lambda x: made(x, times=2.0), x)

    # Within a derivative it is a function of arrays, like any op.
    outer = declared(named("outer", lambda xp, x: x * x))
    outer.vjp(x=lambda g, x: g * made(x, times=1.0))
    np.testing.assert_allclose(mg.grad(outer(x).sum(), x).numpy(), [8, 27])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"many": True, "keeps": ("root", mg.sqrt, {})}, "must have one output"),
        ({"keeps": ("root", mg.add, {})}, "one output and as many inputs as add, 2"),
        ({"keeps": ("root", mg.OPS["label_loss"], {})}, "the output of label_loss, .* keep"),
        ({"keeps": ("root", mg.exp, {"axis": 0})}, "settings are none"),
        ({"keeps": ("y", mg.exp, {})}, "can't be called 'y'"),
    ],
)
def test_what_cannot_be_kept_is_refused(settings, message):
    with pytest.raises(DeclarationError, match=message):
        mg.op(**settings)(cube)


def fresh(op):
    """The op declared once more, before any call."""
    again = mg.op(many=op.multi_output, keeps=op.keeps)(op.keeping)
    again.declared, again.trusted = op.declared, op.trusted
    return again.declare(dict(op.derivatives), op.joint_vjp)


@pytest.mark.parametrize("name", sorted(mg.OPS))
def test_the_text_before_the_first_call_is_the_one_that_runs(name):
    op = fresh(mg.OPS[name])
    before = op.source
    assert free_names(before) <= {*op._scope(), *dir(builtins)}
    if mg.OPS[name].declared:
        assert before.count("part = ") >= sum(fn is not None for fn in op.derivatives.values())
    op._specialise()
    assert op.source == before
    import linecache

    assert "".join(linecache.cache[f"<minigrad op {name}>"][2]) == before


def test_the_text_of_an_untouched_op_is_whole():
    """In a process that has called nothing yet."""
    import subprocess
    import sys

    code = "import minigrad as mg; s = mg.multiply.source; mg.ones(1) * 2; "
    code += "assert s == mg.multiply.source and 'b, a, = saved' in s, s"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- help ----------------------------------------------------------------------------------------


def raised(xp, x, *, times=3):
    """x to a power.

    >>> mg.ones(1)
    """
    return x**times


@pytest.mark.parametrize("called", [False, True])
def test_help_and_tools_see_a_function(called):
    """Before the first call and after it, of the op and of the method that it is."""
    op = mg.op(raised)
    holder = type("Holder", (), {})
    op.attach(holder, "raised")
    if called:
        op(mg.ones(2))
    for f in (op, holder.raised):
        text = pydoc.render_doc(f, renderer=pydoc.plaintext)
        assert "raised(x, times=3)\n    x to a power.\n" in text and ">>> mg.ones(1)" in text
        assert "Method resolution" not in text and "vjp" not in text
        assert str(inspect.signature(f)) == "(x, times=3)"
        assert (f.__name__, f.__qualname__, f.__module__) == ("raised", "raised", __name__)
        assert inspect.getdoc(f) == inspect.getdoc(raised)
    assert inspect.getsource(op) == inspect.getsource(raised)


def test_an_op_in_a_class_is_no_method():
    """As a built-in function; a method is made by `attach`."""
    cell = type("Cell", (), {"activation": mg.op(cube)})()
    assert cell.activation(mg.tensor(2.0)).item() == 8


def test_second_derivatives_of_what_is_kept_follow_a_new_declaration(on_numpy):
    """cross_entropy keeps the output of log_softmax_along, and may be the only one to call it."""
    from minigrad.ops.softmaxes import log_softmax_along

    def second():
        x = mg.tensor([0.5, -1.0, 2.0], dtype="float64", requires_grad=True)
        g = mg.grad(mg.cross_entropy(x, 1), x, create_graph=True)
        return mg.grad((g * mg.arange(3)).sum(), x).tolist()

    right, derivatives = second(), dict(log_softmax_along.derivatives)
    try:
        log_softmax_along.vjp(x=lambda g, y, axis: 0 * g)
        assert second() != right
    finally:
        log_softmax_along.vjp(**derivatives)
    assert second() == right
