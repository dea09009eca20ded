"""`minigrad mutate`."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

import minigrad as mg
from minigrad.utils.spelling import nearest

from .arguments import NewFile, write

if TYPE_CHECKING:
    from minigrad.mutation.score import Line

SAMPLE = 200  # mutants: at least one of every line


@click.command()
@click.option("--op", "name", metavar="NAME", help="Only this line of the table.")
@click.option("--sample", is_flag=True, help=f"Only {SAMPLE} mutants, drawn evenly from all lines.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the sample.")
@click.option(
    "--json",
    "path",
    type=NewFile(),
    help="Also write every mutant and its verdict to this file.",
)
def mutate(name: str | None, sample: bool, seed: int, path: Path | None) -> None:
    """Score the project's checks: break every derivative, and count what the checks notice.

    Each derivative of each op is broken in many ways, one at a time, and so are the steps of
    recurrent layers, and the text of generated kernels. The checks of the tests run again on
    each. The table has the share killed per op. Below it are all survivors, and all mutants
    that are no mistake, as they give the same gradients on all inputs tried.

    Exits with 0 if at least 95% of every line and 98% over all are killed, else with 1.

    \b
    Examples:
      minigrad mutate
      minigrad mutate --op matmul
      minigrad mutate --sample --seed 3 --json mutants.json
    """
    from minigrad.mutation.score import MutationError, mutation_score, sampled

    known = lines()
    if name is not None and name not in known:
        near = nearest(name, known)
        hint = f"; did you mean {near}?" if near else ""
        raise click.BadParameter(f"no line is called {name!r}{hint}", param_hint="--op")
    chosen = [make() for make in known.values()] if name is None else [known[name]()]
    if sample:
        chosen = sampled(chosen, SAMPLE, seed)
    total = sum(len(line.mutants) for line in chosen)
    bar = click.progressbar(length=total, label="mutants", file=sys.stderr)
    try:
        with bar:
            report = mutation_score(chosen, lambda outcome: bar.update(1))
    except MutationError as error:
        raise click.ClickException(str(error)) from error
    click.echo(report)
    click.echo(f"{total} mutants in {report.seconds:.0f} s", err=True)
    if path is not None:
        write(path, report.to_json())
    raise SystemExit(0 if report else 1)


def lines() -> "dict[str, Callable[[], Line]]":
    """What can be broken, by name: ops, compositions, recurrent layers, and their kernels."""
    from minigrad.mutation.score import kernel_line, op_lines, recurrent_line

    from ..reports.layer_cases import RECURRENT, as_case

    found: dict[str, Callable[[], Line]] = {line.name: partial(_self, line) for line in op_lines()}
    cases = {name: as_case(name) for name in RECURRENT}
    found |= {name: partial(recurrent_line, name, [case]) for name, case in cases.items()}
    backend = "numba"  # its kernels are Python, and can be run uncompiled; CuPy's are C++
    try:
        mg.get_backend(backend)
    except mg.BackendError as error:
        click.echo(f"{backend} is skipped: {error}", err=True)
    else:
        for name, case in cases.items():
            found[f"{name} on {backend}"] = partial(kernel_line, name, case, backend)
    return found


def _self(line: "Line") -> "Line":
    return line
