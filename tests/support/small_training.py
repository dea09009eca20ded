"""A training of a second: settings, examples and a model."""

import numpy as np

import minigrad as mg
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.training.train import Examples

SETTINGS = {"epochs": 3, "batch_size": 4, "lr": 1e-2, "max_norm": 1.0}


def some_examples(count=12, seed=0):
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(2, 9, size=rng.integers(1, 6)) for _ in range(count)]
    return Examples(sequences, [int(i % 3 == 0) for i in range(count)])


def some_model(seed=0):
    mg.manual_seed(seed)
    return SequenceClassifier("gru", 9, 4, 5, word_dropout=0.3)
