"""Is a gradient right? A check with three answers, for minigrad's ops and those of other libraries.

    report = mg.gradcheck(f, (x, w))        # a function of tensors, at x and w
    report = mg.gradcheck(module, (x,))     # all parameters of a module, and its inputs
    report = mg.gradcheck_numpy(f, vjp, (x, w))    # a function and vjp over NumPy arrays

The outputs are weighted with a random cotangent v, all of them at once, and one backward pass
gives the analytic slope of that weighted sum in every entry of every input. Each is compared
with a numeric slope that has an error bar (`finite_difference.py` describes how).

**FAIL** needs proof: the two differ by far more than the error bars of both sides allow, the
entry is no kink, and no other scale of the finite differences agrees with the gradient. The
rounding error of the gradient is measured as well: by how much the gradient scatters among inputs
next to these. The inputs themselves don't count in that, so a gradient that is wrong at a single
point fails, too. Faults other than slopes also fail: another answer at the second call, an input
or a cotangent that was edited, a gradient of the wrong shape or dtype, a backward pass that isn't
linear in its cotangent.

**PASS** needs proof as well: every entry agrees, and the error bars are so small that a wrong
factor of 1.001 would have been noticed in every entry that matters (1.012 where the function
calculates in single precision).

**INCONCLUSIVE** is the verdict in all other cases, with its reason: entries on kinks (each is
named), slopes that drown in the noise of the function or of the gradient, or a gradient that is
zero everywhere and so proves nothing.

With many entries, random directions (each a combination of all entries) are checked first, and
then as many single entries, in random order, as the budget of evaluations allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.graph import is_grad_enabled
from .array_function import ArrayFunction
from .checked_function import describe
from .checker import LEAST, check
from .flattened import random_weights
from .report import FAIL, INCONCLUSIVE, PASS, GradcheckError, Report, place
from .tensor_function import SecondOrder, TensorFunction

__all__ = ["GradcheckError", "Report", "gradcheck", "gradcheck_numpy", "gradgradcheck"]


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 1,
    backend: Any = None,
    seed: int = 0,
    budget: int | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check the gradient of a function or module at `inputs` against finite differences.

    Parameters
    ----------
    f : a function of tensors that returns a tensor, or (nested) tuples, lists or dicts of them;
        or a module, whose parameters are then checked, too.
    inputs : a tensor, a NumPy array, or a tuple of them, which may be nested. Those of a float
        dtype are checked, in float64; everything else is passed to `f` unchanged.
    order : 2 checks the gradient of the gradient as well.
    backend : name of the backend to check on; that of the inputs if None. Parameters and buffers
        are moved there for the check, and restored afterwards.
    seed : of the random cotangent, directions, and the choice of entries; and of the random
        numbers of `f`, which are the same at every call. The program's random numbers go on as
        before.
    budget : how many evaluations may be spent. Default: 4000 if that suffices for every entry,
        otherwise 1000.
    raise_exception : whether FAIL raises a `GradcheckError` that carries the report.

    Returns
    -------
    A `Report`, true only if its verdict is PASS. Its text gives, besides the verdict:

    worst : the slope that disagrees most: analytic from the backward pass, numeric from finite
        differences with its error bar, and the ratio of the two.
    noise floor : the rounding error of the outputs; differences below it mean nothing.
    slope of the Taylor remainder : how f(x + t d) - f(x) - t * (gradient along d) falls with t in
        a doubly logarithmic diagram: 2 for a right gradient, 1 for a wrong one.

    Raises
    ------
    GradcheckError : the gradient is wrong.
    TypeError : there is no input to differentiate with respect to, or the function returns
        something else than tensors.
    ValueError : an output is NaN or infinite at the inputs; or an order, seed or budget is out of
        range.

    Examples
    --------
    >>> import minigrad as mg
    >>> x = mg.tensor([[0.5, -1.0], [2.0, 0.25]])
    >>> mg.gradcheck(mg.tanh, x).verdict
    'PASS'
    >>> report = mg.gradcheck(mg.relu, mg.tensor([0.0, 1.0, -1.0]))
    >>> report.verdict, report.kinks
    ('INCONCLUSIVE', [(0, (0,))])
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; got {order!r}")
    _checked("gradcheck", f, seed, budget)
    target = TensorFunction(f, inputs, backend, seed)
    report = check(target, seed, budget, order=1)
    if order == 2 and report.verdict != FAIL:
        report = _merged(report, _second(target, seed, budget))
    return _finish(report, raise_exception)


def gradgradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    backend: Any = None,
    seed: int = 0,
    budget: int | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check only the second order: the gradient of the gradient; see `gradcheck`.

    The gradient is itself a function, of the inputs and of the cotangents; this checks its own
    gradient, which comes from `create_graph`.

    >>> import minigrad as mg
    >>> mg.gradgradcheck(lambda x: x * mg.sin(x), mg.tensor([0.5, -1.0])).verdict
    'PASS'
    """
    _checked("gradgradcheck", f, seed, budget)
    report = _second(TensorFunction(f, inputs, backend, seed), seed, budget)
    return _finish(report, raise_exception)


def gradcheck_numpy(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    inputs: Any,
    seed: int = 0,
    raise_exception: bool = True,
    *,
    budget: int | None = None,
) -> Report:
    """Check the gradient of any framework's function, through NumPy arrays.

    Parameters
    ----------
    f : `f(*arrays)` returns an array or a tuple of arrays, of a float dtype.
    vjp : `vjp(arrays, cotangents)` returns a list with one gradient per input; `cotangents` is a
        list with one array per output. The gradient of an integer input is ignored.
    inputs : arrays. Float inputs are promoted to float64; a function that refuses those, or
        that returns float32, is judged by the precision that it calculates in.
    seed, raise_exception, budget : as for `gradcheck`.

    Examples
    --------
    >>> import numpy as np
    >>> import minigrad as mg
    >>> def vjp(arrays, cotangents):
    ...     (x,), (g,) = arrays, cotangents
    ...     return [g * np.cos(x)]
    >>> mg.gradcheck_numpy(np.sin, vjp, [np.array([0.1, 2.0])]).verdict
    'PASS'

    A function of PyTorch is checked like this:

        def f(*arrays):
            return torch.special.expit(torch.tensor(arrays[0])).numpy()

        def vjp(arrays, cotangents):
            x = torch.tensor(arrays[0], requires_grad=True)
            torch.special.expit(x).backward(torch.tensor(cotangents[0]))
            return [x.grad.numpy()]

        mg.gradcheck_numpy(f, vjp, [np.linspace(-3, 3, 7)])
    """
    _checked("gradcheck_numpy", f, seed, budget)
    _checked("gradcheck_numpy", vjp, seed, budget)
    report = check(ArrayFunction(f, vjp, inputs), seed, budget, order=1)
    return _finish(report, raise_exception)


def _checked(name: str, f: Any, seed: Any, budget: Any) -> None:
    """Raise an error if arguments make no sense."""
    if not callable(f):
        raise TypeError(f"{name} needs a function to call; got {describe(f)}")
    if name != "gradcheck_numpy" and not is_grad_enabled():
        raise RuntimeError(
            f"{name} was called inside no_grad(), where no tensor has a gradient to check; call it "
            "outside of the block, or within mg.enable_grad()"
        )
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"{name}: seed is a whole number of at least 0; got {seed!r}")
    if budget is not None and budget < LEAST:
        raise ValueError(
            f"{name}: measuring the noise takes {LEAST} evaluations; got budget={budget!r}"
        )


def _second(target: TensorFunction, seed: int, budget: int | None) -> Report:
    rng = np.random.default_rng([seed, 0])
    with target.session():
        shapes = [y.shape for y in target.outputs(target.arrays)]
    cotangents = [random_weights(rng, math.prod(shape)).reshape(shape) for shape in shapes]
    return check(SecondOrder(target, cotangents), seed, budget, order=2)


def _merged(first: Report, second: Report) -> Report:
    """One report for both orders."""
    worse = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}
    main = second if worse[second.verdict] > worse[first.verdict] else first
    severe = [r.worst for r in (first, second) if r.worst is not None]
    resolutions = [r.resolution for r in (first, second) if r.resolution is not None]
    return Report(
        verdict=main.verdict,
        order=2,
        seed=first.seed,
        reasons=first.reasons + [f"second order: {reason}" for reason in second.reasons],
        kinks=list(dict.fromkeys(first.kinks + second.kinks)),
        worst=max(severe, key=lambda entry: entry.severity, default=None),
        entries=first.entries + second.entries,
        evaluations=first.evaluations + second.evaluations,
        budget=first.budget + second.budget,
        covered={
            **first.covered,
            **{f"second order: {place(k, ())}": n for k, n in second.covered.items()},
        },
        directions=first.directions + second.directions,
        noise_floor=max(first.noise_floor, second.noise_floor),
        resolution=max(resolutions, default=None),
        taylor_slope=first.taylor_slope,
        notes=list(dict.fromkeys(first.notes + second.notes)),
    )


def _finish(report: Report, raise_exception: bool) -> Report:
    if raise_exception and report.verdict == FAIL:
        raise GradcheckError(report)
    return report
