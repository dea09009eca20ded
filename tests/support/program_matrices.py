"""How functions of `mg.linalg` are called in random programs; see `program_steps.py`.

Their matrices are far from singular, and of no special numbers: where a NaN goes is up to the
library that does the work.
"""

from program_author import Unfit
from program_order import STEPS, step

__all__ = ["STEPS"]


def matrices(a, n, leading=()):
    """Square matrices with large entries on the diagonal, as text."""
    v = a.of_shape((*a.pick([(), leading, (2,)]), n, n))
    if a.special or v.array.dtype == "float16":
        raise Unfit
    return f"({n + 1} * mg.eye({n}) + mg.tanh({v.name}))"


def few(v):
    return max(v.shape[-2:]) <= 5 and v.array.dtype != "float16"


@step("solve")
def solve(a):
    v = a.real(1, filled=True, fits=few)
    if v.ndim == 1:
        return f"mg.linalg.solve({matrices(a, v.shape[0])}, {v.name})"
    if v.ndim > 2 and v.shape[0] not in (1, 2):
        raise Unfit
    return f"mg.linalg.solve({matrices(a, v.shape[-2], v.shape[:-2])}, {v.name})"


@step("inv", "cholesky", "det")
def of_matrices(a, name):
    return f"mg.linalg.{name.rpartition('.')[2]}({matrices(a, a.pick([2, 3, 1]), (2,))})"


@step("slogdet")
def slogdet(a):
    return f"mg.linalg.slogdet({matrices(a, a.pick([2, 3, 1]), (2,))})", 2


@step("linalg.trace")
def trace(a):
    v = a.real(2)
    return f"mg.linalg.trace({v.name}, offset={a.pick([0, 1, -1, 5])})"


@step("linalg.norm")
def norm(a):
    keepdims = a.pick(["", ", keepdims=True"])
    if a.chance(3):  # of singular values that are far apart
        n, ord = a.pick([2, 3]), a.pick(["2", "-2", "'nuc'"])
        x = f"{matrices(a, n)} + 9.0 * mg.eye({n}) * mg.arange({n})"
        return f"mg.linalg.norm({x}, {ord}, axis=(-2, -1){keepdims})"
    v = a.real(filled=True)
    if v.ndim < 2 or a.below(2):
        ord = a.pick(["None", "3", "2", "2.5"]) if v.ndim else "None"
        axis = a.pick([-1, 0]) if v.ndim else None
        return f"mg.linalg.norm({v.name}, {ord}, axis={axis}{keepdims})"
    ord = a.pick(["None", "'fro'", "1", "-np.inf"])
    return f"mg.linalg.norm({v.name}, {ord}, axis={a.pick(['(0, 1)', '(-1, 0)'])}{keepdims})"
