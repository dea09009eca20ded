"""The page of `minigrad guide --serve`: its models, loaded or trained, and the server."""

from collections.abc import Sequence
from pathlib import Path

import click

import minigrad as mg

from ..tasks.packages import data_folder
from ..tasks.registry import load_run
from ..tasks.review_task import ProductReviews, Reviews
from ..training.run_folder import Run, SavedRunError
from .training import train_into

CELLS = ("lstm", "gru")


def own_runs() -> list[Run]:
    """An LSTM and a GRU that read product reviews: trained once, kept in the cache folder."""
    runs = []
    for cell in CELLS:
        folder = data_folder() / "guide" / cell
        with mg.use_backend("numpy"):  # texts come one at a time: no kernel pays
            try:
                run = load_run(folder, Reviews)
                if run.metrics["minigrad"] != mg.__version__ or not run.metrics["finished"]:
                    raise SavedRunError("another version's, or not finished")
            except SavedRunError:
                task = ProductReviews(ProductReviews.Settings(cell=cell))
                run = train_into(folder, task, anew=True)
        runs.append(run)
    return runs


def loaded_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in folders of `minigrad train reviews` or `products`."""
    with mg.use_backend("numpy"):
        return [load_run(folder, Reviews) for folder in folders]


def serve(folders: Sequence[Path], port: int) -> None:
    """Serve the page until Ctrl-C."""
    from ..guide.chapter import GuideError
    from ..guide.live import Reader, serving
    from ..guide.pages import templates

    try:
        templates()  # before anything is trained
    except GuideError as error:
        raise click.ClickException(str(error)) from error
    readers = [Reader(run) for run in (loaded_runs(folders) if folders else own_runs())]
    try:
        server = serving(port, readers)
    except OSError as error:
        raise click.ClickException(
            f"port {port} can't be used ({error.strerror or error}): stop the program that has "
            "it, or name another port, such as --port 0 for any free one"
        ) from error
    with server:
        try:
            click.echo(f"open {server.address}  (Ctrl-C ends it)")
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("\nended")
