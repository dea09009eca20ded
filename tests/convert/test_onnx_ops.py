"""Ops as ONNX nodes: run by onnxruntime, and read again, at other sizes than at the export."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.models.convert import ConversionError, certify_from_onnx, certify_to_onnx, to_onnx
from minigrad.ops.standardizing import inverse_deviation
from minigrad.utils.install import install_line

pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
from minigrad.models.convert.onnx_files.export_elementwise import ROWS


class Function(mg.nn.Module):
    """A function of x (n, 4), positive, of lengths and of positions (n,)."""

    def __init__(self, function):
        self.function = function
        self.weight = mg.nn.Parameter(np.linspace(-1, 1, 4, dtype="float32"))

    def forward(self, x, at):
        return self.function(x * 1, at, self.weight)


def strange():
    return mg.tensor([0, np.nan, np.inf, -np.inf])


def sized(x, at, w):
    """Sizes of the input within the function: a mean, a reshape, a range, a pad."""
    n = x.shape[0]
    y = mg.sum(x, axis=0) / n + mg.arange(n, dtype="float32").reshape(n, 1)
    return mg.pad(y.reshape(2 * n, 2), ((0, 1), (0, 0))) + mg.zeros((2 * n + 1, 1))


def masked(x, at, w):
    """A mean over valid steps, and entries at the last ones, with NumPy's part in both."""
    steps = mg.tensor(np.arange(4)[:, None] < at.numpy(), backend=x.backend)
    last = x[np.arange(len(at.numpy())), at.numpy()]
    return mg.mean(x, axis=1, where=steps.T) + last


# By the op that is meant; a name may have a second part.
CASES = {
    "negative": lambda x, at, w: -x,
    "sqrt": lambda x, at, w: mg.sqrt(x),
    "abs": lambda x, at, w: mg.abs(x - 2),
    "sign": lambda x, at, w: mg.sign(x - 2),
    "exp": lambda x, at, w: mg.exp(x),
    "log": lambda x, at, w: mg.log(x),
    "erf": lambda x, at, w: mg.erf(x - 1),
    "sigmoid": lambda x, at, w: mg.sigmoid(w * x),
    "softplus": lambda x, at, w: mg.softplus(w * x),
    "relu": lambda x, at, w: mg.relu(w * x),
    "tanh": lambda x, at, w: mg.tanh(w * x),
    "floor": lambda x, at, w: mg.floor(2 * w * x),
    "ceil": lambda x, at, w: mg.ceil(2 * w * x),
    "trunc": lambda x, at, w: mg.trunc(3 * w * x),
    "round": lambda x, at, w: mg.round(3 * w * x),
    "sin": lambda x, at, w: mg.sin(x),
    "cos": lambda x, at, w: mg.cos(x),
    "tan": lambda x, at, w: mg.tan(x / 4),
    "arcsin": lambda x, at, w: mg.arcsin(mg.tanh(x)),
    "arccos": lambda x, at, w: mg.arccos(mg.tanh(x)),
    "arctan": lambda x, at, w: mg.arctan(x),
    "sinh": lambda x, at, w: mg.sinh(x / 2),
    "cosh": lambda x, at, w: mg.cosh(x / 2),
    "arcsinh": lambda x, at, w: mg.arcsinh(x),
    "arccosh": lambda x, at, w: mg.arccosh(1 + x),
    "arctanh": lambda x, at, w: mg.arctanh(mg.tanh(x / 2)),
    "square": lambda x, at, w: mg.square(x),
    "expm1": lambda x, at, w: mg.expm1(w * x) + mg.expm1(w * 1e-6),
    "log1p": lambda x, at, w: mg.log1p(x) + mg.log1p(x * 1e-6),
    "log2": lambda x, at, w: mg.log2(x),
    "log10": lambda x, at, w: mg.log10(x),
    "isnan": lambda x, at, w: mg.where(mg.isnan(w + strange()), x, 2 * x),
    "isinf": lambda x, at, w: mg.where(mg.isinf(w + strange()), x, 2 * x),
    "isfinite": lambda x, at, w: mg.where(mg.isfinite(w + strange()), x, 2 * x),
    "logical_not": lambda x, at, w: mg.where(mg.logical_not(x > 1), x, 0),
    "logical_and": lambda x, at, w: mg.where(mg.logical_and(x > 1, w > 0), x, 0),
    "logical_or": lambda x, at, w: mg.where(mg.logical_or(x > 1, w > 0), x, 0),
    "bitwise_not": lambda x, at, w: ~at + 0 * x[:, 0],
    "bitwise_and": lambda x, at, w: mg.where((x > 1) & (w > 0), x, at.reshape(-1, 1) & 1),
    "bitwise_or": lambda x, at, w: (at | 4) + x[:, 0],
    "bitwise_xor": lambda x, at, w: (at ^ 3) + x[:, 0],
    "cast": lambda x, at, w: at.astype("float32").reshape(-1, 1) * x,
    "discretize": lambda x, at, w: (3 * x).astype("int64") + 0.5,
    "clip": lambda x, at, w: mg.clip(x, 0.5, 1.5) + mg.clip(x, max=1),
    "add": lambda x, at, w: x + w + at.reshape(-1, 1),
    "subtract": lambda x, at, w: 1 - x - w,
    "multiply": lambda x, at, w: x * w * 3,
    "divide": lambda x, at, w: w / x + at.reshape(-1, 1) / 2,
    "power": lambda x, at, w: x**w + x**2 + x**-0.5,
    "maximum": lambda x, at, w: mg.maximum(x, 1.0) + mg.maximum(x, x.T[0].reshape(-1, 1)),
    "minimum": lambda x, at, w: mg.minimum(x, w),
    "equal": lambda x, at, w: mg.where(at.reshape(-1, 1) == 2, x, w),
    "not_equal": lambda x, at, w: mg.where(at.reshape(-1, 1) != 2, x, w),
    "less": lambda x, at, w: mg.where(at.reshape(-1, 1) < 1.5, x, w),
    "less_equal": lambda x, at, w: mg.where(x <= 1, x, w),
    "greater": lambda x, at, w: mg.where(x > w, x, w),
    "greater_equal": lambda x, at, w: mg.where(x >= at.reshape(-1, 1), x, w),
    "mod": lambda x, at, w: (3 * w * x) % 2 + (at % 2).reshape(-1, 1) + ((-at) % 3).reshape(-1, 1),
    "floor_divide": lambda x, at, w: (5 * w * x) // 2 + (-at // 2).reshape(-1, 1),
    "where": lambda x, at, w: mg.where(x > 1, x, 1.0),
    "matmul": lambda x, at, w: x @ w + (x @ mg.tile(mg.reshape(w, (2, 2)), (2, 1))).sum(axis=1),
    "affine": lambda x, at, w: mg.linear(x, mg.reshape(w, (1, 4)) * x[:1], w[:1]),
    "contract": lambda x, at, w: mg.einsum("ni,i,mi->nm", x, w, x),
    "sum": lambda x, at, w: (
        mg.sum(x) + mg.sum(x, axis=0, keepdims=True) + mg.sum(x > 1, axis=-1, keepdims=True)
    ),
    "mean": lambda x, at, w: mg.mean(x, axis=(0, 1)) + mg.mean(x, axis=1),
    "max": lambda x, at, w: mg.max(x, axis=0) + mg.max(x),
    "min": lambda x, at, w: mg.min(x, axis=1, keepdims=True),
    "logsumexp": lambda x, at, w: mg.logsumexp(x * 40, axis=0),
    "any": lambda x, at, w: mg.where(mg.any(x > 2, axis=1), 1.0, 0.0) + x[:, 0],
    "all": lambda x, at, w: mg.where(mg.all(x > 0.1, axis=0), 1.0, w),
    "argmax": lambda x, at, w: mg.argmax(x, axis=1) + 0 * x[:, 0] + mg.argmax(w),
    "argmin": lambda x, at, w: mg.argmin(x, axis=1, keepdims=True) + 0 * x,
    "cumsum_along": lambda x, at, w: mg.cumsum(x, axis=0) + mg.cumsum(x, axis=-1),
    "softmax_along": lambda x, at, w: mg.softmax(x) + mg.softmax(x, axis=0),
    "log_softmax_along": lambda x, at, w: mg.log_softmax(x * 50),
    "standardize": lambda x, at, w: mg.layer_norm(x, 4, w, eps=0.1),
    "inverse_deviation": lambda x, at, w: inverse_deviation(x, eps=0.1) * x,
    "det": lambda x, at, w: mg.linalg.det(x.reshape(-1, 2, 2)),
    "reshape": lambda x, at, w: x.reshape(-1, 2).reshape(x.shape[0], 2, 2, 1),
    "reshape flat": lambda x, at, w: x.reshape(-1) + mg.reshape(x.T, (4 * x.shape[0],)),
    "transpose": lambda x, at, w: x.T + mg.swapaxes(x.reshape(-1, 2, 2), 0, 2).sum(axis=1).sum(),
    "broadcast_to": lambda x, at, w: (
        mg.broadcast_to(w, x.shape) * x + mg.broadcast_to(x[:, :1], x.shape)
    ),
    "concatenate": lambda x, at, w: mg.concatenate(
        [x, x[:, :2], mg.ones((x.shape[0], 1))], axis=-1
    ),
    "stack": lambda x, at, w: mg.stack([x, 2 * x], axis=1),
    "split": lambda x, at, w: mg.split(x, 2, axis=1)[1] * mg.split(x, [1], axis=-1)[0],
    "unstack": lambda x, at, w: mg.unstack(x, axis=1)[2] * sum(w),
    "flip": lambda x, at, w: mg.flip(x) + mg.flip(x, axis=1),
    "tril": lambda x, at, w: mg.tril(x, k=1),
    "triu": lambda x, at, w: mg.triu(x),
    "pad_with": lambda x, at, w: mg.pad(x, ((1, 0), (0, 2)), 3.0),
    "getitem": lambda x, at, w: x[1:-1, ::2],
    "getitem int": lambda x, at, w: x[-1] + x[0, 1] + x[..., -1].sum(),
    "getitem new": lambda x, at, w: x[:, None, 1:][::-1],
    "getitem rows": lambda x, at, w: x[at] + x[[1, 0]].sum() + w[at].reshape(-1, 1),
    "getitem places": lambda x, at, w: x[mg.arange(x.shape[0]), at],
    "getitem inner": lambda x, at, w: x.reshape(-1, 2, 2)[:, [0, 1, 1], [1, 0, 0]],
    "getitem apart": lambda x, at, w: x.reshape(-1, 2, 2)[at, :, 1],
    "take": lambda x, at, w: mg.take_along_axis(w, at, axis=0),
    "add in place": lambda x, at, w: x.__iadd__(w) * 2,
    "sizes": sized,
    "masks": masked,
}
EXAMPLE = {
    "x": np.abs(np.random.default_rng(0).normal(size=(5, 4))).astype("float32"),
    "at": mg.tensor([1, 2, 3, 0, 3], backend="numpy"),
}
AXES = {"x": ("n", None), "at": ("n",)}


def example():
    return {"x": mg.tensor(EXAMPLE["x"]), "at": mg.tensor(EXAMPLE["at"].numpy())}


class Positive(Function):
    """x drawn from a normal distribution, made positive."""

    def forward(self, x, at):
        return self.function(mg.abs(x) + 0.1, at, self.weight)


@pytest.mark.parametrize("name", CASES)
def test_an_op_gives_the_same_in_onnxruntime_and_read_again(name):
    module = Positive(CASES[name])
    certificate = certify_to_onnx(module, example(), axes=AXES)
    assert certificate, str(certificate)
    assert len(certificate.differences) >= 1


# Rounding to integers may fall to either side when another dtype rounds before it.
@pytest.mark.parametrize("name", CASES)
def test_an_op_has_the_same_gradient_when_it_is_read_again(name):
    certificate = certify_from_onnx(Positive(CASES[name]), example(), axes=AXES)
    assert certificate.verdict != "FAIL", str(certificate)


def test_equal_integers_that_may_follow_from_an_input_are_refused():
    module = Positive(lambda x, at, w: x + mg.tensor(at.numpy() - 1).reshape(-1, 1))
    assert certify_to_onnx(module, example(), axes=AXES)
    same = {"x": mg.tensor(EXAMPLE["x"]), "at": mg.tensor([1] * 5)}
    with pytest.raises(ConversionError, match="give an example with several"):
        to_onnx(module, same, axes=AXES)


def test_every_op_with_a_row_is_tested():
    assert {*ROWS} <= {name.partition(" ")[0] for name in CASES}


def edited(x, at, w):
    y = mg.zeros(x.shape)
    y[:, 0] = 1.0
    return x + y


@mg.op
def sqrt(xp, x):
    """Another op of this name."""
    return xp.sqrt(x) + 1


mg.OPS["sqrt"] = mg.sqrt

REFUSED = {
    "edit": (edited, "edited by x[...] = y"),
    "an op of yours": (lambda x, at, w: sqrt(x.detach()), "the op sqrt of test_onnx_ops"),
    "argsort": (
        lambda x, at, w: mg.sort(x, axis=1),
        "the op argsort can't be converted: the table",
    ),
    "loop": (lambda x, at, w: sum(x[i] for i in range(x.shape[0])), "a loop in Python"),
    "loss": (lambda x, at, w: mg.cross_entropy(x, at), "part of a loss"),
    "random": (lambda x, at, w: mg.randn(*x.shape) + x, "drawn at random"),
    "numbers": (lambda x, at, w: x * float(x.detach().numpy().sum()), "computed in Python"),
    "array": (
        lambda x, at, w: x * mg.tensor(x.detach().numpy() ** 2),
        "or computed by Python or NumPy",
    ),
    "mask": (lambda x, at, w: x[x > 1].sum(), "index of truth values"),
    "half": (lambda x, at, w: x[: x.shape[0] // 2], "number"),
    "none": (lambda x, at, w: None, "returns 0 tensors"),
    "number": (lambda x, at, w: 3.0, "returns a float"),
    "unstack": (lambda x, at, w: mg.unstack(x)[0], "for a loop in Python"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_with_the_reason(name):
    function, reason = REFUSED[name]
    with pytest.raises(ConversionError) as error:
        to_onnx(Positive(function), example(), axes=AXES)
    assert reason in str(error.value)
