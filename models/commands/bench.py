"""`minigrad bench`, and `minigrad bench cell TARGET`."""

import contextlib
import inspect
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import minigrad as mg
from minigrad.engine.registry import chosen_by
from minigrad.nn import Recurrent

from .arguments import NewFile, named, write
from .bench_all import COMMANDS
from .bench_memory import memory
from .bench_records import compare, page, self_test, tables
from .gradcheck import EXIT

if TYPE_CHECKING:
    from ..reports.cell_bench import CellBench


@click.group()
def bench() -> None:
    """Measure cells, and minigrad beside its peers.

    \b
    Examples:
      minigrad bench cell minigrad.models.zoo:MGU
      minigrad bench memory first
      minigrad bench self-test
      minigrad bench all --json before.json --page bench.html
      minigrad bench compare before.json after.json
    """


for command in (memory, *COMMANDS, compare, page, tables, self_test):
    bench.add_command(command)


@bench.command()
@click.argument("target")
@click.option("--trace", is_flag=True, help="List the program of one step, too.")
@click.option("--backend", metavar="NAME", help="[default: the current one; numba if none is set]")
@click.option(
    "--shape",
    type=click.IntRange(min=1),
    nargs=4,
    default=(50, 32, 64, 128),
    metavar="T N I H",
    help="Steps, sequences, features and units of what is timed.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=15, help="How many rounds; medians count."
)
@click.option(
    "--json",
    "path",
    type=NewFile(),
    help="Also write all results to this file.",
)
def cell(
    target: str,
    trace: bool,
    backend: str | None,
    shape: tuple[int, int, int, int],
    rounds: int,
    path: Path | None,
) -> None:
    """Check a recurrent cell: its gradients, whether it is fused, its speed.

    TARGET is package.module:Name, in an installed package or the current folder: a cell that is
    declared as a layer, like those in minigrad.models.zoo. It reports

    \b
    - what one step computes, forwards and backwards (with --trace),
    - whether the gradients are right, of first and second order,
    - whether it runs as fused kernels, and where to read them, or why not,
    - how long a training step takes (outputs, and gradients of the input and
      the weights, in float32), beside the same cell composed of NumPy's ops,
      the built-in LSTM and, where PyTorch is installed, that of torch.nn.

    Exits with 0 if all is well, 1 if gradients are wrong, 2 if that is inconclusive, if the
    cell fails, or for wrong use.

    \b
    Examples:
      minigrad bench cell minigrad.models.zoo:MGU --trace
      minigrad bench cell my_cells:Leaky --shape 100 64 128 256
    """
    from ..reports.cell_bench import bench_cell

    with _blaming(target):
        layer = _layer(target)
    on = _backend(backend)
    with _blaming(target):
        found = bench_cell(layer, on, shape, rounds)
    if trace:
        click.echo(f"{found.program}\n")
    _show(found)
    if path is not None:
        text = json.dumps({"target": target, **found.to_dict()}, indent=1, allow_nan=False)
        write(path, f"{text}\n")
    raise SystemExit(EXIT[found.gradients.verdict] if found.agrees else 1)


# --- what is asked for ---------------------------------------------------------------------------


def _layer(target: str) -> type[Recurrent]:
    """The layer that a target names, or the one whose cell it names."""
    if ":" not in target:
        raise click.BadParameter(
            f"a cell is package.module:Name, as minigrad.models.zoo:MGU; got {target!r}",
            param_hint="TARGET",
        )
    value = named(target)
    if _is_layer(value):
        return value
    for other in vars(sys.modules[target.partition(":")[0]]).values():
        if _is_layer(other) and getattr(other, "cell", None) is value:
            return other
    raise click.BadParameter(
        f"{target} must be a layer, a subclass of minigrad.models.Recurrent with "
        "`cell` and `shapes`, like those in minigrad.models.zoo; "
        f"it is {_kind(value)}",
        param_hint="TARGET",
    )


def _is_layer(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Recurrent) and value is not Recurrent


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, Recurrent):
        return f"a layer already made; name its class, {type(value).__name__}"
    return "a function" if inspect.isfunction(value) else f"of type {type(value).__name__}"


def _backend(name: str | None) -> Any:
    """The backend asked for; if none was chosen, the one that has kernels, if it works."""
    try:
        if name is not None:
            return mg.get_backend(name)
        if chosen_by() != "default":
            return mg.current_backend()
    except mg.BackendError as error:
        raise click.UsageError(str(error)) from error
    try:
        return mg.get_backend("numba")
    except mg.BackendError as error:
        click.echo(f"on numpy, as numba can't start: {error}", err=True)
        return mg.get_backend("numpy")


@contextlib.contextmanager
def _blaming(target: str) -> Iterator[None]:
    """An error within is the target's, and is shown in a few lines."""
    try:
        yield
    except click.ClickException:
        raise
    except (Exception, SystemExit) as error:  # sys.exit() in it is no success
        notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
        said = f"{type(error).__name__}: {error}{notes}{_place(error, target)}"
        raise click.UsageError(f"{target} fails. {said}") from error


def _place(error: BaseException, target: str) -> str:
    """The last line of the target's own module that the error came through."""
    module = target.partition(":")[0]
    frames = traceback.walk_tb(error.__traceback__)
    lines = [(f, line) for f, line in frames if f.f_globals.get("__name__") == module]
    if not lines:
        return ""
    frame, line = lines[-1]
    return f"\n  {frame.f_code.co_filename}, line {line}, in {frame.f_code.co_name}"


# --- what is said --------------------------------------------------------------------------------


def _show(found: "CellBench") -> None:
    from rich.console import Console
    from rich.table import Table

    report = found.gradients
    click.echo(f"gradients  {report.verdict}: first and second order, in float64")
    if not report:
        click.echo(str(report))
    if not found.agrees:
        click.echo(
            f"           FAIL: in float32 they differ from the composition's by "
            f"{found.disagreement:.1g} of the largest"
        )
    if found.refusal:
        click.echo(f"kernels    none: {found.refusal}")
    else:
        where = "their text is in" if found.kernels else "print(layer.source()) shows their text"
        click.echo(f"kernels    fused; {where}")
        for kernel in found.kernels:
            click.echo(f"           {kernel}")
    T, N, I, H = found.shape
    click.echo(f"\ntraining step in float32, T={T} N={N} I={I} H={H}")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    table.add_column("")
    for name in ("ms", "times as long"):
        table.add_column(name, justify="right")
    for name, ratio in found.ratios.items():
        table.add_row(name, f"{found.seconds[name] * 1e3:.2f}", f"{ratio:.2f}")
    Console(highlight=False).print(table)
