"""`minigrad export`."""

from pathlib import Path

import click

from ..tasks.registry import load_run
from ..training.loop import quiet
from .arguments import Folder, NewFile


@click.command()
@click.argument("folder", metavar="DIR", type=Folder())
@click.argument("path", metavar="FILE", type=NewFile(".onnx"))
def export(folder: Path, path: Path) -> None:
    """Write a trained model as an ONNX file, which other programs run.

    DIR is a folder that `minigrad train` has written a model to, and FILE ends in .onnx. The file
    takes batches of any size and sequences of any length, and has the vocabulary in its metadata.
    What onnxruntime computes of it is compared with the model here, and shown; and so is a program
    that runs it.

    \b
    Example:
      minigrad export reviews-lstm reviews.onnx
    """
    from ..convert import ConversionError
    from ..reports.onnx_export import export_run

    run = load_run(folder)
    try:
        with quiet():
            written = export_run(run.task, run.model, path)
    except (ConversionError, ImportError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{written.path}: {written.title}, {written.size:,} bytes")
    named = [("input", *row) for row in written.inputs] + [
        ("output", *row) for row in written.outputs
    ]
    for row in named:
        widths = [max(len(other[k]) for other in named) for k in range(4)]
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(f"  {'  '.join(cells)}".rstrip())
    click.echo(f"  metadata: {', '.join(written.kept)}\n")
    click.echo(f"{written.certificate}\n\nThis runs it:\n\n{written.program}")
