"""Digits by rows: two LSTM layers read pictures of 28 rows of 28 points."""

import numpy as np
import torch
from torch import nn, optim

BATCH = 100
# The segments of a seven-segment display: top, upper left, upper right, middle, ...
SEGMENTS = ["1110111", "0010010", "1011101", "1011011", "0111010"]
SEGMENTS += ["1101011", "1101111", "1010010", "1111111", "1111011"]
PLACES = [(4, 5, 8, 20), (4, 14, 8, 10), (4, 14, 18, 20), (13, 15, 8, 20)]
PLACES += [(14, 24, 8, 10), (14, 24, 18, 20), (23, 24, 8, 20)]


class RowLSTM(nn.Module):
    def __init__(self, input_size, hidden_size, n_layers, n_classes):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, n_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, n_classes)

    def forward(self, images):
        out, _ = self.lstm(images)
        return self.fc(out[:, -1, :])


model = RowLSTM(28, 128, 2, 10)

# --- training ---

rng = np.random.default_rng(0)
optimizer = optim.Adam(model.parameters(), lr=0.001)
criterion = nn.CrossEntropyLoss()


def pictures(n):
    """Noisy digits, and what they are."""
    labels = rng.integers(0, 10, n)
    images = rng.normal(0.0, 0.2, (n, 28, 28)).astype(np.float32)
    for image, label in zip(images, labels):
        for lit, (top, bottom, left, right) in zip(SEGMENTS[label], PLACES):
            image[top:bottom, left:right] += float(lit)
    return images, labels


images, labels = (torch.tensor(array) for array in pictures(10 * BATCH))
start = 0


def step():
    global start
    x, y = images[start : start + BATCH], labels[start : start + BATCH]
    start = (start + BATCH) % len(images)
    loss = criterion(model(x.reshape(-1, 28, 28)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
