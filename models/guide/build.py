"""The guide, made: notebooks to work with, or pages to read."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...utils.files import replace_file
from .chapter import Chapter, GuideError, LeftOut, chapters
from .execute import check_installed, claims_of, kept_notebook, run
from .pages import write_site

__all__ = ["KEPT", "build", "write_notebooks"]

KEPT = ".chapters"  # the folder of finished chapters, within the site's


def build(
    folder: Path,
    wanted: Sequence[Chapter],
    *,
    quick: bool = False,
    progress: Callable[[Chapter, int, int], None] = lambda chapter, done, total: None,
    left_out: Callable[[str], None] = lambda why: None,
) -> list[dict[str, Any]]:
    """Run chapters, and write a site of them with guide.json to a folder; returns their claims.

    Each claim is a dict with chapter, claim, verdict, condition and evidence. Chapters that
    finished in an earlier call, with the same script and size, are not run again. Other chapters
    of the site stay. The pages are written after each chapter, so that an interruption leaves a
    site of those that are done. A chapter that needs data or a program which isn't here is left
    out: `left_out` is called with a sentence that says what is missing and how to get it, and the
    list of chapters has it, too.

    Raises GuideError if a chapter fails, a package of the extra `guide` is missing or no chapter is
    left; OSError if the folder can't be written to.
    """
    check_installed()
    notebooks: dict[int, Any] = {}
    for chapter in chapters():  # what an earlier call has left
        if (done := kept_notebook(chapter, folder / KEPT, quick)) is not None:
            notebooks[chapter.number] = done
    absent: dict[int, str] = {}
    for chapter in wanted:
        moved = functools.partial(progress, chapter)
        try:
            notebooks[chapter.number] = run(chapter, folder / KEPT, quick=quick, progress=moved)
        except LeftOut as error:
            absent[chapter.number] = str(error)
            left_out(str(error))
            if len(absent) == len(wanted):
                raise
        claims = [
            {"chapter": number, **judged}
            for number in sorted(notebooks)
            for judged in claims_of(notebooks[number])
        ]
        write_site(folder, chapters(), notebooks, claims, absent, quick=quick)
        replace_file(folder / "guide.json", f"{json.dumps(claims, indent=2)}\n".encode())
    numbers = {chapter.number for chapter in wanted}
    return [judged for judged in claims if judged["chapter"] in numbers]


def write_notebooks(folder: Path, wanted: Sequence[Chapter]) -> list[Path]:
    """Write chapters as notebooks, not run, to a folder; returns their paths.

    Raises GuideError if a notebook there was changed since, so that no work is lost.
    """
    import nbformat

    contents = {
        folder / f"{chapter.slug}.ipynb": nbformat.writes(chapter.notebook()).encode()
        for chapter in wanted
    }
    changed = [path for path, new in contents.items() if path.exists() and path.read_bytes() != new]
    if changed:
        names = ", ".join(path.name for path in changed)
        raise GuideError(
            f"{folder} has other notebooks of these names ({names}), perhaps with work of yours; "
            "name another folder, or move them away"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        replace_file(path, content)
    return list(contents)
