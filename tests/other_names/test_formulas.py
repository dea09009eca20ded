"""Lines that stand for a function of PyTorch's give its numbers."""

import numpy as np
import pytest
from table_lines import scope

import minigrad as mg
from minigrad.other_names.table import ROWS
from minigrad.utils.install import install_line

torch = pytest.importorskip(
    "torch", reason=f"PyTorch is not installed here; {install_line('oracle')}"
)
F = torch.nn.functional

# By a name of the row.
SAME = {
    "F.selu": lambda x, **_: F.selu(x),
    "F.mish": lambda x, **_: F.mish(x),
    "F.glu": lambda a, **_: F.glu(a),
    "F.logsigmoid": lambda x, **_: F.logsigmoid(x),
    "F.softsign": lambda x, **_: F.softsign(x),
    "F.tanhshrink": lambda x, **_: F.tanhshrink(x),
    "F.softmin": lambda x, **_: F.softmin(x, -1),
    "F.relu6": lambda x, **_: F.relu6(x),
    "F.hardsigmoid": lambda x, **_: F.hardsigmoid(x),
    "F.hardswish": lambda x, **_: F.hardswish(x),
    "F.hardshrink": lambda x, **_: F.hardshrink(x),
    "F.softshrink": lambda x, **_: F.softshrink(x),
    "F.threshold": lambda x, **_: F.threshold(x, 0.5, 0.0),
    "F.prelu": lambda x, **_: F.prelu(x, torch.tensor([0.25], dtype=x.dtype)),
    "F.normalize": lambda x, **_: F.normalize(x, dim=1),
    "F.cosine_similarity": lambda x, y, **_: F.cosine_similarity(x, y, dim=1),
    "torch.cdist": lambda x, y, **_: torch.cdist(x, y),
    "torch.cov": lambda x, **_: torch.cov(x),
    "torch.corrcoef": lambda x, **_: torch.corrcoef(x),
    "torch.block_diag": lambda a, b, **_: torch.block_diag(a, b),
    "torch.kron": lambda a, b, **_: torch.kron(a, b),
    "torch.rot90": lambda a, **_: torch.rot90(a),
    "torch.logcumsumexp": lambda v, **_: torch.logcumsumexp(v, 0),
    "torch.xlogy": lambda x, y, **_: torch.xlogy(x, y),
    "torch.rsqrt": lambda x, **_: torch.rsqrt(x),
    "torch.frac": lambda x, **_: torch.frac(x),
    "torch.logit": lambda v, **_: torch.logit(v),
    "torch.expit": lambda x, **_: torch.special.expit(x),
    "torch.erfc": lambda x, **_: torch.special.erfc(x),
    "torch.sinc": lambda v, **_: torch.sinc(v),
    "torch.fmod": lambda x, y, **_: torch.fmod(x, y),
    "torch.remainder": lambda x, y, **_: torch.remainder(x, y),
    "torch.deg2rad": lambda x, **_: torch.deg2rad(x),
    "torch.rad2deg": lambda x, **_: torch.rad2deg(x),
    "torch.heaviside": lambda x, **_: torch.heaviside(x, torch.zeros_like(x)),
    "torch.dist": lambda x, y, **_: torch.dist(x, y),
    "torch.trapezoid": lambda v, **_: torch.trapezoid(v),
    "torch.trace": lambda a, **_: torch.trace(a),
    "torch.median": lambda x, **_: torch.median(x, 1).values,
    "torch.kthvalue": lambda x, **_: torch.kthvalue(x, 1, 1).values,
    "torch.count_nonzero": lambda x, **_: torch.count_nonzero(x),
    "torch.addmm": lambda a, b, **_: torch.addmm(a, a, b),
    "torch.lerp": lambda x, y, **_: torch.lerp(x, y, 0.5),
    "torch.addcmul": lambda x, y, **_: torch.addcmul(x, y, y, value=0.5),
    "torch.addcdiv": lambda x, y, **_: torch.addcdiv(x, y, y, value=0.5),
    "torch.repeat_interleave": lambda x, **_: torch.repeat_interleave(x, 2, 0),
    "torch.fliplr": lambda x, **_: torch.fliplr(x),
    "torch.flipud": lambda x, **_: torch.flipud(x),
    "torch.hstack": lambda a, b, **_: torch.hstack([a, b]),
    "torch.vstack": lambda a, b, **_: torch.vstack([a, b]),
    "torch.dstack": lambda a, b, **_: torch.dstack([a, b]),
    "F.gaussian_nll_loss": lambda x, y, **_: F.gaussian_nll_loss(x, torch.zeros_like(x), y),
    "F.poisson_nll_loss": lambda x, y, **_: F.poisson_nll_loss(x, y),
    "F.soft_margin_loss": lambda x, y, **_: F.soft_margin_loss(x, y),
    "F.margin_ranking_loss": lambda x, y, **_: F.margin_ranking_loss(
        x, y, torch.ones_like(x), margin=0.5
    ),
    "F.hinge_embedding_loss": lambda x, m, **_: F.hinge_embedding_loss(x, 2.0 * m - 1),
    "F.triplet_margin_loss": lambda x, y, **_: F.triplet_margin_loss(x, y, 2 * y, eps=0.0),
    "F.cosine_embedding_loss": lambda x, y, **_: F.cosine_embedding_loss(
        x, y, torch.ones(2, dtype=x.dtype)
    ),
    "F.multilabel_soft_margin_loss": lambda x, **_: F.multilabel_soft_margin_loss(
        x, (x > 0).to(x.dtype)
    ),
    "F.scaled_dot_product_attention": lambda x, **_: F.scaled_dot_product_attention(x, x, x),
    "F.pad": lambda x, **_: F.pad(x, (1, 2)),
}


# Those of numbers below 0, too.
SIGNED = """selu mish glu logsigmoid softsign tanhshrink softmin relu6 hardsigmoid hardswish
hardshrink softshrink threshold prelu normalize cosine_similarity soft_margin_loss
poisson_nll_loss"""


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("name", SAME)
def test_the_line_gives_pytorchs_numbers(name):
    for shift in (0, -1) if name[2:] in SIGNED.split() else (0,):
        mg.set_default_dtype("float64")
        try:
            ours = scope()
            ours |= {"x": ours["x"] + shift, "a": ours["a"] + shift / 2}
            line = eval(ROWS[name].ours, ours).detach().numpy()
        finally:
            mg.set_default_dtype("float32")
        numbers = {key: value for key, value in ours.items() if isinstance(value, mg.Tensor)}
        theirs = {key: torch.tensor(value.detach().numpy()) for key, value in numbers.items()}
        wanted = SAME[name](**theirs).numpy()
        short = name == "F.selu"  # its constants, in the line
        np.testing.assert_allclose(line.astype(wanted.dtype), wanted, rtol=1e-5 if short else 1e-10)
