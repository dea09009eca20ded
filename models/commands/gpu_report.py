"""`minigrad gpu-report`."""

from pathlib import Path
from typing import Any

import click

import minigrad as mg

from .arguments import NewFile, refuse_equal, write


class _CannotStart(click.ClickException):
    exit_code = 2


@click.command("gpu-report")
@click.option("--backend", "name", metavar="NAME", default="cupy", help="The backend to report on.")
@click.option(
    "--json",
    "json_path",
    type=NewFile(),
    default="gpu-report.json",
    help="The file for all results.",
)
@click.option(
    "--text",
    "text_path",
    type=NewFile(),
    default="gpu-report.txt",
    help="The file for the printed text.",
)
@click.option("--quick", is_flag=True, help="Do a little of each part; takes seconds.")
def gpu_report(name: str, json_path: Path, text_path: Path, quick: bool) -> None:
    """Check and time minigrad on a GPU, and write a report to send.

    \b
    - conformance: every function of the backend against NumPy,
    - gradients: ops, layers and models against finite differences,
    - fused: values and gradients of all cells by generated kernels, against
      the same cells composed of ops,
    - launches: matrix products and kernels per time step,
    - benchmark: training steps, beside those of torch.nn (cuDNN) on the same
      device where PyTorch is installed for it.

    A part that fails doesn't stop the others. The report names versions and the device, and no
    users or folders.

    Exits with 0 if all is well, 1 if something is wrong, 2 if the backend can't start, or for wrong
    use.

    \b
    Examples:
      minigrad gpu-report
      minigrad gpu-report --backend cupy:1 --json second.json --text second.txt
    """
    refuse_equal(json=json_path, text=text_path)
    from ..reports.gpu_report import gpu_report as report_on
    from .progress import PartsProgress

    try:
        backend = mg.get_backend(name)
    except mg.BackendError as error:
        raise _CannotStart(f"no report: {error}") from error
    with PartsProgress() as progress:
        found: Any = report_on(backend, quick, progress)
    write(json_path, found.to_json())
    write(text_path, f"{found}\n")
    click.echo(found)
    click.echo(f"\nwritten to {json_path} and {text_path}", err=True)
    raise SystemExit(0 if found.ok else 1)
