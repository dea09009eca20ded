"""The guide's pages, made with progress: what `minigrad guide` and `minigrad demo` share."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..guide.build import build
from ..guide.chapter import Chapter, GuideError


def make_pages(folder: Path, wanted: Sequence[Chapter], *, quick: bool) -> list[dict[str, Any]]:
    """Run chapters, and write their pages to a folder; returns their claims.

    Chapters that can't run here are left out; it says which, and why.

    Raises click.ClickException if a chapter fails or a package is missing; SystemExit after
    Ctrl-C, with a sentence.
    """
    from .progress import PartsProgress
    from .stopping import exit_code

    left_out: list[str] = []
    try:
        with PartsProgress() as progress:
            claims = build(
                folder,
                wanted,
                quick=quick,
                progress=lambda chapter, done, total: progress(
                    f"chapter {chapter.number}", done, total
                ),
                left_out=left_out.append,
            )
    except GuideError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt as error:
        click.echo(
            "stopped; the chapters that have run don't run again when the same command goes on",
            err=True,
        )
        raise SystemExit(exit_code(error)) from error
    for why in left_out:
        click.echo(f"\n{why[0].upper()}{why[1:]}", err=True)
    return claims


def outcome(claims: Sequence[dict[str, Any]], start: float, folder: Path) -> str:
    """What came of it since `start`: verdicts, seconds, and where the pages are."""
    verdicts = Counter(judged["verdict"] for judged in claims)
    chapters = len({judged["chapter"] for judged in claims})
    said = ", ".join(f"{verdict}: {count}" for verdict, count in verdicts.most_common())
    seconds = time.perf_counter() - start
    return (
        f"{chapters} chapters in {seconds:.0f} s; {len(claims)} claims ({said})\n"
        f"open {folder / 'index.html'}"
    )
