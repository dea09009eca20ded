"""`minigrad gradcheck TARGET`."""

import inspect
import json
import math
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

import minigrad as mg
from minigrad.utils.spelling import nearest

from ..reports.gradient_checks import Checks, layer_checks, op_checks
from .arguments import NewFile, named, refuse_equal, write

LARGEST = 10**7  # numbers in a random input
EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2}


@dataclass
class Result:
    """The result for a target on a backend: a report per case."""

    target: str
    backend: str
    reports: list[mg.Report]

    @property
    def verdict(self) -> str:
        """The worst of the reports' verdicts."""
        return worst(report.verdict for report in self.reports)

    @property
    def severest(self) -> mg.Report:
        """The report with the worst verdict and, among those, the greatest disagreement."""
        return max(self.reports, key=_severity)

    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        counts = [n for report in self.reports for n in report.covered.values()]
        resolved = max((r.resolution for r in self.reports if r.resolution), default=None)
        return (
            self.target,
            self.backend,
            self.verdict,
            str(len(self.reports)),
            f"{sum(done for done, _ in counts)}/{sum(total for _, total in counts)}",
            str(sum(report.evaluations for report in self.reports)),
            "-" if resolved is None else f"{resolved:.0e}",
        )


def worst(verdicts: Any) -> str:
    """FAIL if there is one, else INCONCLUSIVE if there is one, else PASS."""
    found = set(verdicts)
    return next((v for v in ("FAIL", "INCONCLUSIVE") if v in found), "PASS")


def _severity(report: mg.Report) -> tuple[int, float]:
    rank = ("PASS", "INCONCLUSIVE", "FAIL").index(report.verdict)
    return rank, 0.0 if report.worst is None else report.worst.severity


def _shape(ctx: Any, param: Any, texts: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    try:
        shapes = tuple(tuple(int(n) for n in text.split(",") if n) for text in texts)
    except ValueError as error:
        raise click.BadParameter(
            f"a shape is numbers between commas, as 3,4; got {' and '.join(map(repr, texts))}"
        ) from error
    if any(n < 0 for shape in shapes for n in shape):
        raise click.BadParameter("a shape is numbers of at least 0 between commas, as 3,4")
    if any(len(shape) > 32 or math.prod(n or 1 for n in shape) > LARGEST for shape in shapes):
        raise click.BadParameter(f"a shape has at most 32 numbers, and a product up to {LARGEST:,}")
    return shapes


@click.command()
@click.argument("target")
@click.option("--backend", metavar="NAME", help="A backend, or all.  [default: the current one]")
@click.option(
    "--order", type=click.IntRange(1, 2), default=1, help="2 also checks second derivatives."
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    callback=_shape,
    metavar="N,M,...",
    help="Check your own function at a random array of this shape; once per input.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of all random numbers.")
@click.option(
    "--plot",
    type=NewFile(".svg"),
    help="Draw the error against the step, and the Taylor remainder, of the target with the "
    "greatest disagreement (SVG).",
)
@click.option(
    "--json",
    "path",
    type=NewFile(),
    help="Also write all results to this file; the same seed gives the same text.",
)
def gradcheck(
    target: str,
    backend: str | None,
    order: int,
    shapes: tuple[tuple[int, ...], ...],
    seed: int,
    plot: Path | None,
    path: Path | None,
) -> None:
    """Check gradients against finite differences.

    TARGET is one of

    \b
    ops               every op, composition and loss
    models            every layer and model
    NAME              one of those, as matmul, cross_entropy or LSTM
    package.module:f  a function of yours

    Your function takes tensors, whose shapes --shape gives; or it takes nothing and returns a pair
    (f, inputs): the function or module to check, and its inputs, as in

    \b
      def model():
          return mg.nn.Linear(3, 2), (mg.randn((4, 3)),)

    Exits with 0 if all pass, 1 if a gradient is wrong, 2 if a check is inconclusive, or for wrong
    use.

    \b
    Examples:
      minigrad gradcheck ops --order 2
      minigrad gradcheck LSTM --backend all --json lstm.json
      minigrad gradcheck mine:loss --shape 4,3 --shape 4
      minigrad gradcheck mine:model --plot model.svg
    """
    refuse_equal(plot=plot, json=path)
    found = dict(_targets(target, shapes, seed))
    results = []
    for name, checks in found.items():
        for where in _backends(backend):
            result = Result(name, where, checks(where, order, seed))
            if result.reports:
                results.append(result)
    if not results:
        raise click.BadParameter(f"{target} has no gradient to check", param_hint="TARGET")
    verdict = worst(result.verdict for result in results)
    _print(results)
    click.echo(f"{verdict}: order {order}, seed {seed}")
    if plot is not None:
        max((result.severest for result in results), key=_severity).plot(plot)
    if path is not None:
        write(path, _as_json(target, order, seed, verdict, results))
    raise SystemExit(EXIT[verdict])


# --- what is checked -----------------------------------------------------------------------------


def _targets(target: str, shapes: Any, seed: int) -> Iterator[tuple[str, Checks]]:
    """The names that a target stands for, each with how it is checked."""
    if ":" in target:
        yield target, _own(target, shapes, seed)
        return
    if shapes:
        raise click.UsageError("--shape is for a function of yours, package.module:f")
    ops, models = op_checks(), layer_checks()
    known = ops | models
    if target in ("ops", "models"):
        yield from (ops if target == "ops" else models).items()
    elif target in known:
        yield target, known[target]
    else:
        near = nearest(target, [*known, "ops", "models"])
        hint = f"did you mean {near}?" if near else "a function is package.module:function"
        raise click.BadParameter(f"unknown: {target!r}; {hint}", param_hint="TARGET")


def _own(target: str, shapes: Any, seed: int) -> Checks:
    """A function of the user's, at random inputs of the given shapes or at its own inputs."""
    function = _function(target)

    def checks(backend: str, order: int, seed: int) -> list[mg.Report]:
        mg.manual_seed(seed)
        with mg.use_backend(backend):
            try:
                f, inputs = function, _random(shapes, seed)
                if not shapes:
                    f, inputs = _pair(target, function)
                return [
                    mg.gradcheck(
                        f, inputs, order=order, seed=seed, backend=backend, raise_exception=False
                    )
                ]
            except click.ClickException:
                raise
            except (TypeError, ValueError) as error:
                raise click.UsageError(f"{target}: {error}") from error
            except SystemExit as error:  # its code could be that of PASS
                raise click.UsageError(f"{target} ends the program: {error!r}") from error
            except Exception:
                traceback.print_exc()  # an error of the function itself
                raise SystemExit(EXIT["INCONCLUSIVE"]) from None

    return checks


def _pair(target: str, function: Callable[..., Any]) -> tuple[Any, Any]:
    """The pair that the function returns: what to check, and at which inputs."""
    parameters = inspect.signature(function).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    pair = None if required else function()
    if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[0])):
        raise click.BadParameter(
            f"{target} must take nothing and return a pair (f, inputs), or take tensors: then say "
            "of what shapes, for example --shape 3,4",
            param_hint="TARGET",
        )
    return pair


def _random(shapes: Any, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def _function(target: str) -> Callable[..., Any]:
    function = named(target)
    if isinstance(function, type):
        raise click.BadParameter(
            f"{target} is a class: name a function that makes an object of it and returns a pair "
            f"({function.__name__}(...), inputs)",
            param_hint="TARGET",
        )
    if not callable(function):
        raise click.BadParameter(f"{target} is not a function", param_hint="TARGET")
    return function


def _backends(asked: str | None) -> list[str]:
    """The backends to check on: those that work here, for "all"."""
    if asked != "all":
        try:
            return [(mg.current_backend() if asked is None else mg.get_backend(asked)).name]
        except mg.BackendError as error:
            raise click.UsageError(str(error)) from error
    working = []
    for name in mg.available_backends():
        try:
            working.append(mg.get_backend(name).name)
        except mg.BackendError as error:
            click.echo(f"{name} is skipped: {error}", err=True)
    return working


# --- what is said --------------------------------------------------------------------------------


def _print(results: list[Result]) -> None:
    """A table, and below it the reports that are no PASS."""
    head = ("target", "backend", "verdict", "cases", "entries", "evaluations", "would notice")
    rows = [head, *(result.row() for result in results)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    for row in rows:
        left = "  ".join(row[k].ljust(widths[k]) for k in range(3))
        click.echo("  ".join([left, *(row[k].rjust(widths[k]) for k in range(3, len(head)))]))
    for result in results:
        for report in result.reports:
            if not report:
                click.echo(f"\n{result.target} on {result.backend}: {report}")


def _as_json(target: str, order: int, seed: int, verdict: str, results: list[Result]) -> str:
    found = [
        {
            "target": result.target,
            "backend": result.backend,
            "verdict": result.verdict,
            "reports": [report.to_dict() for report in result.reports],
        }
        for result in results
    ]
    head = {"target": target, "order": order, "seed": seed, "verdict": verdict}
    return json.dumps({**head, "results": found}, indent=1, allow_nan=False) + "\n"
