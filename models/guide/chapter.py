"""The chapters: plain Python scripts in percent format, and notebooks of them.

A script of this format has cells: `# %% [markdown]` begins one of text, in comments, and `# %%` one
of code. Editors that know the format run single cells; so does Jupyter, with jupytext.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minigrad as mg

from ...utils.install import install_line
from ..exercises import EXERCISES

__all__ = ["Chapter", "GuideError", "LeftOut", "chapters", "chosen", "fast_backend", "quick"]

FOLDER = Path(__file__).parent / "chapters"
QUICK = "MINIGRAD_GUIDE_QUICK"  # an environment variable; not empty: chapters use small sizes


class GuideError(Exception):
    """The guide can't be made; the text says why and what to do."""


class LeftOut(GuideError):
    """A chapter needs data or a program that isn't here; the other chapters do without."""


def quick() -> bool:
    """Whether chapters take small sizes and few seeds, for tests and first looks."""
    return bool(os.environ.get(QUICK))


def fast_backend() -> str:
    """Choose the backend Numba for long trainings, and say so; the sentence is returned, too.

    A quick run is short on any backend, and a backend that MINIGRAD_BACKEND names stays.
    """
    here = mg.current_backend().name
    if quick() or os.environ.get("MINIGRAD_BACKEND"):
        return f"Trained on the backend {here}."
    try:
        mg.set_backend("numba")
    except mg.BackendError as error:
        return f"Trained on the backend {here}; Numba would take a fraction of the time: {error}"
    return "Trained on the backend numba, which takes a fraction of NumPy's time for small layers."


@dataclass(frozen=True)
class Chapter:
    """One chapter: its number from 1, and its script.

    >>> chapters()[0].number, chapters()[0].slug, chapters()[0].title
    (1, '01-words', 'Words become vectors, and the hidden state is the memory')
    """

    number: int
    path: Path

    @property
    def slug(self) -> str:
        """Its name in addresses and file names."""
        return self.path.stem.replace("_", "-")

    @property
    def source(self) -> str:
        """The script."""
        return self.path.read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """The first heading."""
        found = re.search(r"^# # (.+)$", self.source, re.MULTILINE)
        if found is None:
            raise GuideError(f"{self.path.name} has no heading: write a cell with `# # Title`")
        return found.group(1)

    @property
    def summary(self) -> str:
        """The first paragraph below the heading."""
        found = re.search(r"^# # .+\n#\n((?:# .+\n)+)", self.source, re.MULTILINE)
        return " ".join(line[2:] for line in found.group(1).splitlines()) if found else ""

    def notebook(self) -> Any:
        """A notebook of the script, not run, with the kernel `python3`.

        Raises GuideError if jupytext, of the extra `guide`, is missing.
        """
        try:
            import jupytext
        except ImportError as error:
            line = install_line("guide")
            raise GuideError(f"notebooks are made by jupytext: {line}") from error
        notebook = jupytext.reads(self.source + self._exercises(), fmt="py:percent")
        notebook.metadata = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "title": self.title,
        }
        for i, cell in enumerate(notebook.cells):
            cell["id"] = f"{self.slug}-{i}"  # instead of random ones
        return notebook

    def _exercises(self) -> str:
        """A last cell with the exercises of the chapter."""
        lines = [
            f"# - {found.title} `minigrad exercise show {found.name}`"
            for found in EXERCISES.values()
            if found.chapter == self.number
        ]
        if not lines:
            return ""
        head = ["", "# %% [markdown]", "# ## Exercises", "#"]
        tail = [
            "#",
            "# `minigrad exercise check NAME FILE` says whether a file is right, or where not.",
        ]
        return "\n".join([*head, *lines, *tail, ""])


def chapters() -> list[Chapter]:
    """All chapters in order."""
    found = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    return [Chapter(int(path.name[:2]), path) for path in found]


def chosen(text: str | None) -> list[Chapter]:
    """The chapters of a list such as "3,5" or "1-4"; None: all.

    Raises ValueError for what is no such list, or for numbers without a chapter.

    >>> [chapter.number for chapter in chosen("1-2")]
    [1, 2]
    """
    everything = chapters()
    if text is None:
        return everything
    wanted: set[int] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*", part)
        if ends is None:
            raise ValueError(f"chapters are numbers such as 3,5 or 1-4; got {text!r:.40}")
        wanted.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    missing = wanted - {chapter.number for chapter in everything}
    if missing or not wanted:
        numbers = ", ".join(str(chapter.number) for chapter in everything)
        raise ValueError(f"there are the chapters {numbers}; got {text!r:.40}")
    return [chapter for chapter in everything if chapter.number in wanted]
