"""Gradient checkers beside each other: what they cost, which bugs they catch, when they cry wolf.

    python benchmarks/gradcheck.py [--seeds 3] [--list] [--json FILE] [--mygrad CHECKOUT]

The set is `gradcheck_cases`: functions over NumPy arrays with right and wrong derivatives. Each
checker is that of its own framework, with its defaults, on a custom function of that framework
that calls the two: minigrad's `gradcheck_numpy`, PyTorch's `torch.autograd.gradcheck`, JAX's
`jax.test_util.check_grads` and HIPS autograd's `autograd.test_util.check_grads` (both in reverse
mode, to first order). MyGrad keeps its checker in its tests, which are not installed with it: it
takes part if `--mygrad` names a checkout of its repository. All that are installed are run.

A derivative is refused by a failed check, or by an error: a gradient of the wrong shape, say, may
not get as far as the check. What is left undecided (minigrad's INCONCLUSIVE; a function that
MyGrad's complex steps can't run) is counted apart. An evaluation is a call of a function or of
its derivative. Autograd's and MyGrad's custom functions have one output: several are joined.

Some bugs can't happen in some frameworks: PyTorch sums a gradient that was not summed over
broadcast axes, and JAX's arrays can't be edited.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gradcheck_cases import CASES, Case

from minigrad.models.reports.bench.contenders import installed
from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.utils.files import replace_file

Array = np.ndarray
PASSED, REFUSED, UNDECIDED = "passed", "refused", "undecided"


class Problem:
    """A case at some inputs, as a function of its float inputs alone; counts evaluations."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.seed = case, seed
        self.inputs = case.draw(np.random.default_rng(seed))
        self.positions = [i for i, x in enumerate(self.inputs) if x.dtype.kind == "f"]
        self.floats = [self.inputs[i] for i in self.positions]
        self.evaluations = 0

    def f(self, *arrays: Array) -> Any:
        """The case's function of all inputs, counted."""
        self.evaluations += 1
        return self.case.f(*arrays)

    def vjp(self, arrays: list[Array], cotangents: list[Array]) -> list[Any]:
        """The case's derivative by all inputs, counted."""
        self.evaluations += 1
        return self.case.vjp(arrays, cotangents)

    def outputs(self, *floats: Array) -> list[Array]:
        """The outputs at some float inputs."""
        y = self.f(*self._all(floats))
        return [np.asarray(part) for part in (y if isinstance(y, tuple) else (y,))]

    def gradients(self, floats: Any, cotangents: list[Array]) -> list[Array]:
        """The gradients of the float inputs; no gradient is a gradient of zeros."""
        found = self.vjp(self._all(floats), cotangents)
        picked = [found[i] for i in self.positions]
        return [
            np.zeros_like(x) if g is None else np.asarray(g)
            for x, g in zip(floats, picked, strict=True)
        ]

    def joined(self, *floats: Array) -> Array:
        """All outputs in one vector, or the only one as it is."""
        outputs = self.outputs(*floats)
        self.shapes = [y.shape for y in outputs]
        return outputs[0] if len(outputs) == 1 else np.concatenate([y.ravel() for y in outputs])

    def parted(self, g: Array) -> list[Array]:
        """The cotangents of all outputs, from that of the joined one."""
        if len(self.shapes) == 1:
            return [g]
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        return [p.reshape(s) for p, s in zip(np.split(g, ends), self.shapes, strict=True)]

    def _all(self, floats: Any) -> list[Array]:
        merged = list(self.inputs)
        for i, x in zip(self.positions, floats, strict=True):
            merged[i] = x
        return merged


Check = Callable[[Problem], str]


def minigrad() -> Check:
    """minigrad's own."""
    import minigrad as mg

    said = {"PASS": PASSED, "FAIL": REFUSED, "INCONCLUSIVE": UNDECIDED}

    def check(p: Problem) -> str:
        report = mg.gradcheck_numpy(p.f, p.vjp, p.inputs, seed=p.seed, raise_exception=False)
        return said[report.verdict]

    return check


def pytorch() -> Check:
    """torch.autograd.gradcheck: every entry of the Jacobian."""
    import torch

    def check(p: Problem) -> str:
        class Custom(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *xs: Any) -> Any:
                ctx.arrays = [x.detach().numpy() for x in xs]
                outputs = [torch.from_numpy(y.copy()) for y in p.outputs(*ctx.arrays)]
                return outputs[0] if len(outputs) == 1 else tuple(outputs)

            @staticmethod
            def backward(ctx: Any, *gs: Any) -> Any:
                found = p.gradients(ctx.arrays, [g.numpy() for g in gs])
                return tuple(torch.from_numpy(np.array(g)) for g in found)

        torch.manual_seed(p.seed)
        xs = [torch.tensor(x, requires_grad=True) for x in p.floats]
        return PASSED if torch.autograd.gradcheck(Custom.apply, xs) else REFUSED

    return check


def jax_() -> Check:
    """jax.test_util.check_grads: one random direction."""
    import jax
    import jax.test_util

    jax.config.update("jax_enable_x64", True)

    def shaped(arrays: Any) -> tuple[Any, ...]:
        return tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays)

    def check(p: Problem) -> str:
        shapes = shaped(p.outputs(*p.floats))

        @jax.custom_vjp
        def custom(*xs: Any) -> Any:
            ys = jax.pure_callback(
                lambda *given: tuple(p.outputs(*map(np.asarray, given))), shapes, *xs
            )
            return ys[0] if len(ys) == 1 else ys

        def forward(*xs: Any) -> Any:
            return custom(*xs), xs

        def backward(xs: Any, g: Any) -> Any:
            gs = g if isinstance(g, tuple) else (g,)
            return jax.pure_callback(
                lambda xs, gs: tuple(p.gradients([*map(np.asarray, xs)], [*map(np.asarray, gs)])),
                shaped(xs),
                xs,
                gs,
            )

        custom.defvjp(forward, backward)
        jax.test_util.check_grads(custom, p.floats, order=1, modes=["rev"])
        return PASSED

    return check


def hips_autograd() -> Check:
    """autograd.test_util.check_grads: one random direction."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    def check(p: Problem) -> str:
        custom = primitive(p.joined)

        def by(i: int) -> Any:
            return lambda y, *xs: lambda g: p.gradients(xs, p.parted(g))[i]

        count = len(p.floats)
        defvjp(custom, *map(by, range(count)))
        np.random.seed(p.seed)  # noqa: NPY002 - it is what autograd draws from
        check_grads(custom, tuple(range(count)), modes=["rev"], order=1)(*p.floats)
        return PASSED

    return check


def mygrad(checkout: Path) -> Check:
    """The method of MyGrad's tests: complex steps, entry by entry."""
    from mygrad import Tensor, execute_op
    from mygrad.operation_base import Operation

    path = checkout / "tests" / "utils" / "numerical_gradient.py"
    spec = importlib.util.spec_from_file_location("mygrad_numerical_gradient", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"{checkout} is no checkout of MyGrad: there is no {path}")
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)

    def check(p: Problem) -> str:
        class Custom(Operation):
            def __call__(self, *xs: Any) -> Array:
                self.variables = xs
                return p.joined(*(x.data for x in xs))

            def backward_var(self, grad: Array, index: int, **_: Any) -> Array:
                return p.gradients([x.data for x in self.variables], p.parted(grad))[index]

        xs = [Tensor(x) for x in p.floats]
        y = execute_op(Custom, *xs)
        g = np.random.default_rng(p.seed).uniform(-10, 10, y.shape)
        y.backward(g)
        try:
            numeric = theirs.numerical_gradient_full(p.joined, *p.floats, back_grad=g)
        except (TypeError, ValueError):
            return UNDECIDED  # no such thing for complex numbers
        for x, right in zip(xs, numeric, strict=True):
            np.testing.assert_allclose(x.grad, right, rtol=1e-8, atol=1e-8)
        return PASSED

    return check


PEERS = {
    "minigrad": ("minigrad", minigrad),
    "PyTorch": ("torch", pytorch),
    "JAX": ("jax", jax_),
    "HIPS autograd": ("autograd", hips_autograd),
}


@dataclass
class Outcome:
    """What a checker said of a case."""

    case: str
    kind: str
    seed: int
    verdict: str
    evaluations: int
    seconds: float


def run(check: Check, seeds: Iterable[int]) -> list[Outcome]:
    """A checker on all cases, each at random inputs of each seed."""
    outcomes = []
    for seed in seeds:
        for case in CASES:
            problem = Problem(case, seed)
            start = time.perf_counter()
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                logging.disable()  # JAX reports each error of a callback
                try:
                    verdict = check(problem)
                except Exception:  # whatever a checker says no with
                    verdict = REFUSED
            seconds = time.perf_counter() - start
            outcomes.append(
                Outcome(case.label, case.kind, seed, verdict, problem.evaluations, seconds)
            )
    return outcomes


def row(name: str, package: str, outcomes: list[Outcome]) -> str:
    """A line of the table."""

    def share(kind: str, verdict: str) -> str:
        of_kind = [o for o in outcomes if o.kind == kind]
        return f"{sum(o.verdict == verdict for o in of_kind)}/{len(of_kind)}"

    undecided = sum(o.verdict == UNDECIDED for o in outcomes)
    evaluations = statistics.median(o.evaluations for o in outcomes)
    milliseconds = 1e3 * statistics.median(o.seconds for o in outcomes)
    return (
        f"{name:14}{version(package):>10}{share('bug', REFUSED):>14}"
        f"{share('right', REFUSED):>14}{share('hard', REFUSED):>12}{undecided:>11}"
        f"{evaluations:>13.0f}{milliseconds:>9.1f}"
    )


def listed(name: str, outcomes: list[Outcome]) -> str:
    """The bugs that a checker lets pass, and the right derivatives that it refuses."""
    missed = sorted({o.case for o in outcomes if o.kind == "bug" and o.verdict != REFUSED})
    refused = sorted({o.case for o in outcomes if o.kind != "bug" and o.verdict == REFUSED})
    lines = [f"\n{name}"]
    lines += [f"  missed: {case}" for case in missed]
    lines += [f"  refused, though right: {case}" for case in refused]
    return "\n".join(lines)


def main() -> None:
    """Run the comparison and print a table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_options(options, 1, fewest=1, name="--seeds")
    options.add_argument("--list", action="store_true", help="name what each gets wrong")
    options.add_argument("--mygrad", metavar="CHECKOUT", type=Path, help="MyGrad's repository")
    chosen = options.parse_args()

    here = installed({name: package for name, (package, _) in PEERS.items()})
    makers = {name: PEERS[name][1] for name in here}
    packages = {name: PEERS[name][0] for name in here}
    if chosen.mygrad is not None:
        makers["MyGrad's tests"] = partial(mygrad, chosen.mygrad)
        packages["MyGrad's tests"] = "mygrad"
    checks = {name: make() for name, make in makers.items()}
    if "JAX" in checks:
        checks["JAX"](Problem(CASES[0], 0))  # starting up is not a cost of checking
    found: dict[str, list[Outcome]] = {name: [] for name in checks}
    pace = Pace.of(chosen)
    for seed in range(chosen.rounds):
        if seed and not pace.left:
            break
        for name, check in checks.items():
            pace.case(f"{name}, seed {seed}")
            found[name] += run(check, [seed])
    pace.close()

    kinds = [case.kind for case in CASES]
    print(", ".join(f"{kinds.count(kind)} {kind}" for kind in ("bug", "right", "hard")), "cases")
    head = f"{'':14}{'version':>10}{'bugs caught':>14}{'right failed':>14}{'hard failed':>12}"
    print(f"{head}{'undecided':>11}{'evaluations':>13}{'ms':>9}")
    for name, outcomes in found.items():
        print(row(name, packages[name], outcomes))
    if "MyGrad's tests" not in found:
        print(f"{'MyGrad':14}has its checker in its tests: name a checkout by --mygrad")
    print("evaluations and ms: the median over the cases")
    if chosen.list:
        for name, outcomes in found.items():
            print(listed(name, outcomes))
    if chosen.json:
        plain = {name: [asdict(o) for o in outcomes] for name, outcomes in found.items()}
        replace_file(chosen.json, json.dumps(plain, indent=1).encode())


if __name__ == "__main__":
    main()
