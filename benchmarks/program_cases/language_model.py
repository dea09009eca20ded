"""A language model of words: two LSTM layers, one matrix for input and output, truncated backward.

The state is carried from chunk to chunk; gradients are clipped; updates are written by hand.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

WORDS, BATCH, BPTT = 2000, 20, 35


class LanguageModel(nn.Module):
    def __init__(self, n_words, size, n_layers):
        super().__init__()
        self.embedding = nn.Embedding(n_words, size)
        self.lstm = nn.LSTM(size, size, n_layers)
        self.out = nn.Linear(size, n_words)
        self.out.weight = self.embedding.weight

    def forward(self, words, state):
        read, state = self.lstm(self.embedding(words), state)
        return self.out(read), state


model = LanguageModel(WORDS, 200, 2)

# --- training ---

# A few words are frequent, most are rare, as in a text.
ranks = np.random.default_rng(0).zipf(1.3, (BPTT * 50 + 1, BATCH))
text = torch.tensor(np.minimum(ranks, WORDS) - 1)
lr, position, state = 1.0, 0, None


def step():
    global position, state
    words, targets = text[position : position + BPTT], text[position + 1 : position + 1 + BPTT]
    position = (position + BPTT) % (len(text) - 1)
    model.zero_grad()
    output, state = model(words, state)
    loss = F.cross_entropy(output.reshape(-1, WORDS), targets.reshape(-1))
    loss.backward()
    state = tuple(s.detach() for s in state)
    nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    # minigrad: torch.optim.clip_grad_norm_(model.parameters(), 0.25)
    for p in model.parameters():
        p.data.add_(p.grad, alpha=-lr)
        # minigrad: p.data -= lr * p.grad.data
    return loss.item()
