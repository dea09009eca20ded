"""Translation: a GRU reads a sentence; another, with additive attention, writes it word by word."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim

WORDS, START, BATCH, LENGTH = 500, 0, 32, 10


class Encoder(nn.Module):
    def __init__(self, n_words, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(n_words, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)

    def forward(self, source):
        return self.gru(self.embedding(source))


class Attention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size)
        self.keys = nn.Linear(hidden_size, hidden_size)
        self.score = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.score(torch.tanh(self.query(query) + self.keys(keys)))
        weights = F.softmax(scores.squeeze(2).unsqueeze(1), dim=-1)
        # minigrad: weights = F.softmax(torch.expand_dims(scores.squeeze(2), 1), axis=-1)
        return torch.bmm(weights, keys)
        # minigrad: return weights @ keys


class Decoder(nn.Module):
    def __init__(self, n_words, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(n_words, hidden_size)
        self.attention = Attention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, n_words)

    def forward(self, read, hidden, target):
        word = torch.full((len(target), 1), START)
        outputs = []
        for i in range(LENGTH):
            context = self.attention(hidden.permute(1, 0, 2), read)
            # minigrad: context = self.attention(hidden.transpose(1, 0, 2), read)
            x = torch.cat((self.embedding(word), context), dim=2)
            # minigrad: x = torch.concatenate((self.embedding(word), context), axis=2)
            output, hidden = self.gru(x, hidden)
            outputs.append(self.out(output))
            word = target[:, i : i + 1]  # the right one, as a teacher gives it
        return torch.cat(outputs, dim=1)
        # minigrad: return torch.concatenate(outputs, axis=1)


class Translator(nn.Module):
    def __init__(self, n_words, hidden_size):
        super().__init__()
        self.encoder = Encoder(n_words, hidden_size)
        self.decoder = Decoder(n_words, hidden_size)

    def forward(self, source, target):
        read, hidden = self.encoder(source)
        return self.decoder(read, hidden, target)


model = Translator(WORDS, 128)

# --- training ---

rng = np.random.default_rng(0)
optimizer = optim.Adam(model.parameters(), lr=0.001)


def step():
    sentences = rng.integers(1, WORDS, (BATCH, LENGTH))
    source, target = torch.tensor(sentences), torch.tensor(sentences[:, ::-1].copy())
    outputs = model(source, target)
    loss = F.cross_entropy(outputs.reshape(-1, WORDS), target.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
