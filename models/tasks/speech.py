"""The task `speech`: strings of digits from the sound of voices that were never heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import minigrad as mg
from minigrad.nn import Module

from ..networks.transcriber import Transcriber
from ..speech.features import stretch_bands
from ..training.edit_distance import edit_distance
from ..training.task import Metric, Settings, setting
from .spoken_digits import INPUTS, STACKED, Utterance, hear, load_utterances
from .transcription import Example, Transcription

__all__ = ["Speech", "SpeechSettings", "in_a_line"]

_BLANK = 0  # the digit d is the class d + 1


@dataclass(frozen=True)
class SpeechSettings(Settings):
    """Those of every task, and how a training differs from what it learns from."""

    dropout: float = setting(0.3, "The share of the layer's outputs to drop.", least=0, most=0.9)
    stretch: float = setting(
        0.15, "How far the frequencies of a training example are stretched.", least=0, most=0.5
    )
    hidden: int = 64
    epochs: int = 15
    batch_size: int = 32
    lr: float = 5e-3


class Speech(Transcription):
    """Write down strings of one to five digits that synthetic voices speak.

    How they are made is in `spoken_digits.py`. `exact` is the share of strings that are right from
    beginning to end; `digit_errors` are the insertions, deletions and substitutions per digit.
    Whole families of voices are held out.
    """

    name, title = "speech", "spoken digit strings"
    metric = Metric("exact", "higher")
    Settings: ClassVar[type[Settings]] = SpeechSettings

    def load(self) -> None:
        """The strings, spoken now or by an earlier call."""
        spoken = load_utterances()
        self.parts = {part: [*map(_example, group)] for part, group in spoken.items()}
        self.voices = {part: [u.voice for u in group] for part, group in spoken.items()}

    def model(self) -> Module:
        """A transcriber of features to the ten digits and the blank."""
        options = self.settings
        return Transcriber(
            INPUTS,
            options.hidden,
            num_classes=11,
            cell=options.cell,
            num_layers=options.layers,
            dropout=options.dropout,
        )

    def batches(self, rng: np.random.Generator) -> Iterator[list[Example]]:
        """Examples of about the same length, in random order, each as by another vocal tract."""
        most = self.settings.stretch
        for batch in super().batches(rng):
            factors = np.exp(rng.uniform(-most, most, len(batch)))
            yield [
                example._replace(steps=stretch_bands(example.steps, factor, STACKED))
                for example, factor in zip(batch, factors, strict=True)
            ]

    def figures(self, said: Sequence[list[int]], examples: Sequence[Example]) -> dict[str, float]:
        """The share of strings that are right, and the errors per digit."""
        pairs = [(row, e.readings[0]) for row, e in zip(said, examples, strict=True)]
        errors = sum(edit_distance(row, wanted) for row, wanted in pairs)
        return {
            "exact": float(np.mean([row == wanted for row, wanted in pairs])),
            "digit_errors": errors / sum(len(wanted) for _, wanted in pairs),
        }

    def baselines(self) -> dict[str, float]:
        """How often the likeliest guess without listening is right: one digit."""
        strings = [tuple(example.readings[0]) for example in self.parts["test"]]
        return {"always the same string": max(map(strings.count, set(strings))) / len(strings)}

    def show(self, model: Module) -> str:
        """Some test strings: what was said, what was heard, and what each step says."""
        lines = []
        for example, voice in [*zip(self.parts["test"], self.voices["test"], strict=True)][:4]:
            (heard, steps), wanted = self.listen(model, example.steps), _digits(example.readings[0])
            lines.append(f"said {wanted:5}  heard {heard:5}  by {voice}\n  {in_a_line(steps)}")
        return "\n".join(lines)

    def listen(self, model: Module, features: np.ndarray) -> tuple[str, str]:
        """The digits in features (T, `INPUTS`), and per step of 30 ms a digit or a dot."""
        with mg.no_grad():
            log_probs, _ = self.read(model, [features])
        best = log_probs.numpy()[:, 0].argmax(axis=1)
        steps = "".join("." if label == _BLANK else str(label - 1) for label in best)
        return _digits(self.transcribe(model, features)), steps

    def hear(self, samples: np.ndarray) -> np.ndarray:
        """The features of a sound; see `spoken_digits.hear`."""
        return hear(samples)


def in_a_line(steps: str, width: int = 72) -> str:
    """Steps of `Speech.listen` in at most `width` characters, each of as many steps as needed.

    A character is the first digit of its steps, if they have one.

    >>> in_a_line("..44....3..", width=4)
    '443.'
    """
    count = max(1, -(-len(steps) // width))
    groups = [steps[i : i + count] for i in range(0, len(steps), count)]
    return "".join(group.lstrip(".")[:1] or "." for group in groups)


def _example(utterance: Utterance) -> Example:
    return Example(utterance.features, [[digit + 1 for digit in utterance.digits]])


def _digits(labels: Sequence[int]) -> str:
    return "".join(str(label - 1) for label in labels)
