"""Chapters are run by nbclient, each in a process of its own; finished ones are kept."""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import importlib.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import minigrad as mg

from ...utils.files import replace_file
from ...utils.install import install_line
from ..speech.espeak import SpeechError
from ..tasks.packages import DataError
from .chapter import QUICK, Chapter, GuideError, LeftOut
from .claims import CLAIM

__all__ = ["check_installed", "claims_of", "execute", "key_of", "kept_notebook", "run"]

# What runs chapters and writes pages; these bring the rest.
PACKAGES = (
    *("ipykernel", "jinja2", "jupytext", "latex2mathml", "markdown_it", "mdit_py_plugins"),
    *("nbclient", "plotly", "pygments"),
)
LONGEST = 1200  # seconds that one cell may take
_ABSENT = {SpeechError.__name__, DataError.__name__}  # errors that say what to install or to fetch


def key_of(chapter: Chapter, quick: bool) -> str:
    """What a chapter's results depend on, as a short text: its script, the size, the backend."""
    parts = [
        *(mg.__version__, mg.current_backend().name, sys.version, str(quick)),
        *(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))),
        chapter.source,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def check_installed() -> None:
    """Raise GuideError if a package that runs chapters or writes pages is missing."""
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise GuideError(f"the guide needs the package {name}: {install_line('guide')}")


def run(
    chapter: Chapter,
    kept: Path,
    *,
    quick: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Any:
    """The notebook of a chapter with the outputs of its cells.

    `kept` is the folder of finished chapters: one that is there, of the same script and size, is
    read and not run again. `progress` is called with the number of cells done and their total.

    Raises LeftOut if the chapter needs data or a program that isn't here; GuideError if a cell
    fails, with its code and its error, and if a package of the extra `guide` is missing.
    """
    check_installed()
    from nbclient.exceptions import CellExecutionError, CellTimeoutError
    from nbformat import writes

    if (done := kept_notebook(chapter, kept, quick)) is not None:
        return done
    notebook = chapter.notebook()
    total = len(notebook.cells)
    progress(0, total)
    try:
        execute(notebook, quick=quick, progress=lambda done: progress(done, total))
    except CellExecutionError as error:
        if error.ename in _ABSENT:
            raise LeftOut(f"chapter {chapter.number} is left out: {error.evalue}") from error
        raise GuideError(
            f"chapter {chapter.number}, {chapter.path.name}, fails:\n{error.traceback}"
        ) from error
    except CellTimeoutError as error:
        raise GuideError(
            f"chapter {chapter.number}, {chapter.path.name}: a cell took more than {LONGEST} s"
        ) from error
    progress(total, total)  # behind the last cell with code there may be text
    kept.mkdir(parents=True, exist_ok=True)
    for older in kept.glob(f"{chapter.slug}-*.ipynb"):
        older.unlink()
    replace_file(_path(chapter, kept, quick), writes(notebook).encode())
    return notebook


def execute(
    notebook: Any,
    *,
    quick: bool = False,
    folder: str | os.PathLike[str] = "",
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Run all cells of a notebook, with this Python, and put the outputs into it.

    `folder` is where it runs, by default here; `progress` is called with the number of cells done.
    Raises nbclient's errors if a cell fails or takes too long.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class ThisPython(AsyncKernelManager):  # one that a user has installed may be another
        def __init__(self, **options: Any) -> None:
            if os.name == "posix":  # sockets in a folder that others can't read
                options |= {"transport": "ipc", "ip": f"{sockets}/kernel"}
            super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)

    client = NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        kernel_name="python3",
        timeout=LONGEST,
        resources={"metadata": {"path": str(folder or os.getcwd())}},
        on_cell_complete=lambda cell, cell_index: progress(cell_index + 1),
    )
    environment = {
        "PLOTLY_RENDERER": "plotly_mimetype",
        QUICK: "1" if quick else "",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    with tempfile.TemporaryDirectory(prefix="minigrad-") as sockets:
        _execute(client, {**os.environ, **environment})


def _execute(client: Any, environment: dict[str, str]) -> None:
    """Run all cells; Ctrl-C ends the kernel and raises KeyboardInterrupt.

    The client has handlers of its own for signals, after which it fails at what they closed. It
    sets them in the main thread only, so it runs in another one.
    """

    interrupted = False

    async def execute() -> None:
        try:
            await client.async_execute(env=environment)
        finally:
            if client.km is not None:  # it was starting
                await client._async_cleanup_kernel()

    def cancel() -> None:
        client.shutdown_kernel = "immediate"
        for task in asyncio.all_tasks(loop):
            task.cancel()

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            loop.call_soon_threadsafe(cancel)
        interrupted = True

    before = signal.getsignal(signal.SIGINT)
    takes_signals = threading.current_thread() is threading.main_thread() and callable(before)
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as pool:
        loop = runner.get_loop()
        if takes_signals:
            signal.signal(signal.SIGINT, interrupt)
        try:
            pool.submit(runner.run, execute()).result()
        finally:
            if takes_signals:
                signal.signal(signal.SIGINT, before)
            atexit.unregister(client._cleanup_kernel)  # it stays if the kernel's start failed
            if interrupted:  # whatever that led to
                raise KeyboardInterrupt from None


def kept_notebook(chapter: Chapter, kept: Path, quick: bool) -> Any:
    """The notebook of a chapter that has run, if it is there and of this script and size."""
    import nbformat

    path = _path(chapter, kept, quick)
    return nbformat.read(path, as_version=4) if path.is_file() else None


def _path(chapter: Chapter, kept: Path, quick: bool) -> Path:
    return kept / f"{chapter.slug}-{key_of(chapter, quick)}.ipynb"


def claims_of(notebook: Any) -> list[dict[str, Any]]:
    """The claims among the outputs of a notebook that has run."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [dict(output["data"][CLAIM]) for output in outputs if CLAIM in output.get("data", {})]
