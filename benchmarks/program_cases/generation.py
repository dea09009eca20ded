"""Text generation: a GRU is called once per letter of a chunk, and predicts the next letter."""

import numpy as np
import torch
from torch import nn, optim

TEXT = "once upon a time there was a miller who had three sons, a mill, a donkey and a cat. " * 20
LETTERS = sorted(set(TEXT))
CHUNK = 40


class Generator(nn.Module):
    def __init__(self, n_letters, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.encoder = nn.Embedding(n_letters, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size)
        self.decoder = nn.Linear(hidden_size, n_letters)

    def forward(self, letter, hidden):
        x = self.encoder(letter.view(1, 1))
        # minigrad: x = self.encoder(letter.reshape(1, 1))
        output, hidden = self.gru(x, hidden)
        return self.decoder(output.view(1, -1)), hidden
        # minigrad: return self.decoder(output.reshape(1, -1)), hidden


model = Generator(len(LETTERS), 100)

# --- training ---

rng = np.random.default_rng(0)
numbers = torch.tensor([LETTERS.index(letter) for letter in TEXT])
optimizer = optim.Adam(model.parameters(), lr=0.005)
criterion = nn.CrossEntropyLoss()


def step():
    start = int(rng.integers(len(TEXT) - CHUNK - 1))
    chunk = numbers[start : start + CHUNK + 1]
    hidden = torch.zeros(1, 1, model.hidden_size)
    loss = 0
    for i in range(CHUNK):
        output, hidden = model(chunk[i], hidden)
        loss += criterion(output, chunk[i + 1 : i + 2])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item() / CHUNK
