"""Reviews, padded: an LSTM reads sentences of any length in both directions; good or bad?"""

import numpy as np
import torch
from torch import nn, optim

WORDS, BATCH, LONGEST = 1000, 32, 60
GOOD, BAD = range(1, 21), range(21, 41)  # the words that decide


class BiLSTM(nn.Module):
    def __init__(self, n_words, embedding_size, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(n_words, embedding_size, padding_idx=0)
        self.lstm = nn.LSTM(embedding_size, hidden_size, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden_size, 1)

    def forward(self, words, lengths):
        x = self.embedding(words)
        x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        # minigrad:
        _, (hidden, _) = self.lstm(x)
        # minigrad, too: _, (hidden, _) = self.lstm(x, lengths=lengths)
        return self.fc(torch.cat((hidden[-2], hidden[-1]), dim=1)).squeeze(1)
        # minigrad: return self.fc(torch.concatenate((hidden[-2], hidden[-1]), axis=1)).squeeze(1)


model = BiLSTM(WORDS, 100, 128)

# --- training ---

rng = np.random.default_rng(0)
optimizer = optim.Adam(model.parameters(), lr=0.001)
criterion = nn.BCEWithLogitsLoss()


def review():
    """A sentence of words that say nothing, with some of one kind among them."""
    good = int(rng.integers(2))
    words = rng.integers(41, WORDS, int(rng.integers(5, LONGEST + 1)))
    words[rng.integers(0, len(words), 3)] = rng.choice(GOOD if good else BAD, 3)
    return torch.tensor(words), good


def step():
    sentences, kinds = zip(*[review() for _ in range(BATCH)])
    lengths = [len(sentence) for sentence in sentences]
    words = nn.utils.rnn.pad_sequence(sentences, batch_first=True)
    # minigrad: words = torch.data.pad_sequence(sentences, batch_first=True)
    loss = criterion(model(words, lengths), torch.tensor(kinds, dtype=torch.float32))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
