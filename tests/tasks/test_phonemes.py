"""Pronunciations: the dictionary, how errors are counted, and a language that a model learns."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.speech.arpabet import PHONEMES
from minigrad.models.tasks.phonemes import (
    Phonemes,
    PhonemesSettings,
    error_rate,
    per_letter,
    words_of,
)
from minigrad.models.tasks.pronunciations import LABELS, LETTERS, Word, parse_words, split_words
from minigrad.models.training.edit_distance import edit_distance
from minigrad.models.training.loop import evaluate, fit

LINES = """\
'bout B AW1 T
a AH0
a(2) EY1
a's EY1 Z
a. EY1
aalborg AO1 L B AO0 R G # place, danish
aalborg(2) AA1 L B AO0 R G
co-op K OW1 AA2 P
3d TH R IY2 D IY2
cat K AE1 T
cat's K AE1 T S
"""


# --- the dictionary -------------------------------------------------------------------------


def test_lines():
    words = dict(parse_words(LINES))
    assert [*words] == ["'bout", "a", "a's", "aalborg", "cat", "cat's"]
    assert words["a"] == [["AH0"], ["EY1"]]
    rest = ["L", "B", "AO0", "R", "G"]
    assert words["aalborg"] == [["AO1", *rest], ["AA1", *rest]]
    assert {p for rows in words.values() for row in rows for p in row} <= {*LABELS}
    assert {letter for word in words for letter in word} <= {*LETTERS}
    assert sorted(LABELS.values()) == [*range(1, 70)]
    assert sorted(LETTERS.values()) == [*range(1, 28)]


@given(st.lists(st.text("abc'", min_size=1, max_size=8), unique=True, max_size=40))
def test_a_word_is_in_one_part_whatever_the_others(spellings):
    words = [Word(spelling, [["AH0"]]) for spelling in spellings]
    parts = split_words(words)
    assert sorted(word for part in parts.values() for word in part) == sorted(words)
    for word in words:
        (part,) = [name for name, group in split_words([word]).items() if group]
        assert word in parts[part]
        (same,) = [
            name for name, group in split_words([Word(word.spelling + "'s", [])]).items() if group
        ]
        assert same == part


# --- counting errors ------------------------------------------------------------------------


@cache
def recursive(a, b):
    """The distance by its definition."""
    if not a or not b:
        return len(a) + len(b)
    change = recursive(a[1:], b[1:]) + (a[0] != b[0])
    return min(change, recursive(a[1:], b) + 1, recursive(a, b[1:]) + 1)


@given(st.text("ab", max_size=6), st.text("abc", max_size=6))
def test_edit_distance(a, b):
    assert edit_distance(a, b) == edit_distance(b, a) == recursive(a, b)


def test_errors_count_against_the_nearest_pronunciation():
    wanted = [[["IY", "DH", "ER"], ["AY", "DH", "ER"]], [["K", "AE", "T"]]]
    assert error_rate([["AY", "DH", "ER"], ["K", "AE", "T"]], wanted) == 0
    assert error_rate([["AY", "ER"], ["K", "AE", "T", "S"]], wanted) == pytest.approx(2 / 6)


def test_stress_counts_apart():
    task = Phonemes()
    task.use_words(parse_words(LINES))
    examples = [e for part in ("train", "validation", "test") for e in task.parts[part]]
    right = [e.readings[-1] for e in examples]
    assert task.figures(right, examples) == {"phoneme_errors": 0, "with_stress": 0, "words": 1}
    other = [[LABELS[PHONEMES[x - 1].replace("1", "2")] for x in row] for row in right]
    figures = task.figures(other, examples)
    total = sum(map(len, right))
    stressed = sum(a != b for a, b in zip(right, other, strict=True))
    assert figures["phoneme_errors"] == 0 and figures["words"] == 1
    assert figures["with_stress"] == pytest.approx(stressed / total)
    assert task.figures([[]] * len(right), examples)["words"] == 0


def test_a_phoneme_per_letter():
    words = [Word("bat", [["B", "AE1", "T"]]), Word("tab", [["T", "AE1", "B"]])]
    words += [Word("at", [["EY1", "T"]]), Word("box", [["B", "AA1", "K", "S"]])]
    sounds = per_letter(words)
    assert (sounds["b"], sounds["a"], sounds["t"]) == ("B", "AE1", "T")
    assert sounds["x"] == "AH0"  # never in a word with as many phonemes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", ["hello", "world"]),
        ("Don’t 'quote' it's", ["don't", "quote", "it's"]),
        ("1, 2, 3", []),
        ("naïve", ["na", "ve"]),
    ],
)
def test_words_of_a_text(text, words):
    assert words_of(text) == words


# --- the task -------------------------------------------------------------------------------

SOUNDS = {"b": "B", "d": "D", "k": "K", "m": "M", "s": "S", "t": "T", "a": "AE1", "o": "AA1"}


def pronounced(spelling):
    """A regular language: a letter is a sound, but for sh, x, and a silent e that makes a long."""
    found, i = [], 0
    while i < len(spelling):
        letter, rest = spelling[i], spelling[i + 1 :]
        if letter == "s" and rest[:1] == "h":
            found, i = [*found, "SH"], i + 1
        elif letter == "x":
            found += ["K", "S"]
        elif letter == "a" and rest[1:] == "e":
            return [*found, "EY1", SOUNDS.get(rest[0], "T")]
        else:
            found += [SOUNDS[letter]]
        i += 1
    return found


def language(count):
    rng = np.random.default_rng(0)
    words = {}
    while len(words) < count:
        syllables = [
            rng.choice(["b", "d", "k", "m", "s", "sh", "t"])
            + rng.choice(["a", "o"])
            + rng.choice(["", "x", "t", "m"])
            for _ in range(rng.integers(1, 3))
        ]
        spelling = "".join(syllables) + ("ke" if syllables[-1][-1] == "a" else "")
        words[spelling] = Word(spelling, [pronounced(spelling)])
    return [*words.values()]


class Regular(Phonemes):
    """The task on that language."""

    def load(self):
        self.use_words(language(400))


def test_a_language_is_learnt_and_held_out_words_are_read():
    task = Regular(PhonemesSettings(cell="gru", hidden=24, embedding=16, epochs=8, batch_size=16))
    training = fit(task)
    figures = evaluate(task, training.model, "test")
    assert figures["phoneme_errors"] < 0.1 < task.baselines()["a phoneme per letter"]
    assert figures["words"] > 0.7
    for word in ("shot", "box", "mat"):
        assert task.spell_out(training.model, word) == pronounced(word)
    assert len(task.show(training.model).splitlines()) >= 4
    with pytest.raises(ValueError, match=r"letters from a to z; 'b4' has 4"):
        task.spell_out(training.model, "b4")


@pytest.mark.parametrize(
    ("phonemes", "fits"),
    [
        (["S", "T", "S", "T"], True),
        (["S", "T", "S", "T", "S"], False),
        (["S", "S", "T"], True),  # with a blank between the equal ones
        (["S", "S", "T", "T"], False),
    ],
)
def test_words_with_too_many_phonemes_are_tested_but_not_trained_on(phonemes, fits):
    spellings = [a + b for a in "abcdefghij" for b in "abcdefghij"]
    task = Phonemes()
    task.use_words(Word(spelling, [phonemes]) for spelling in spellings)
    train, test = (len(task.words[part]) for part in ("train", "test"))
    assert train > 80 and test > 0
    assert len(task.parts["train"]) == (train if fits else 0) and len(task.parts["test"]) == test


def test_a_model_needs_no_data():
    task = Phonemes()
    task.use(Phonemes().extras())
    mg.manual_seed(0)
    said = task.spell_out(task.model(), "seven")
    assert {*said} <= {*PHONEMES}
