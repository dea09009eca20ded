"""Words spelt backwards: an encoder, a decoder, and attention between them."""

import random

import torch
import torch.nn.functional as F
from torch import nn

LETTERS = "abcdefgh"
START = len(LETTERS)
LENGTH = 6


class Encoder(nn.Module):
    def __init__(self, n_tokens, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)

    def forward(self, words):
        return self.gru(self.embedding(words))


class Attention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        weights = F.softmax(scores.permute(0, 2, 1), dim=-1)
        # minigrad: weights = F.softmax(scores.transpose(0, 2, 1), dim=-1)
        # minigrad: weights = F.softmax(scores.transpose(0, 2, 1), axis=-1)
        return torch.bmm(weights, keys), weights
        # minigrad: return weights @ keys, weights


class Decoder(nn.Module):
    def __init__(self, n_tokens, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, hidden_size)
        self.attention = Attention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, n_tokens)

    def forward(self, outputs, hidden, words):
        token = torch.full((len(words), 1), START)
        logits = []
        for i in range(LENGTH):
            query = hidden.permute(1, 0, 2)
            # minigrad: query = hidden.transpose(1, 0, 2)
            context, _ = self.attention(query, outputs)
            x = torch.cat((self.embedding(token), context), dim=2)
            # minigrad: x = torch.concatenate((self.embedding(token), context), axis=2)
            output, hidden = self.gru(x, hidden)
            logits.append(self.out(output))
            token = words[:, i : i + 1]  # the right one, as a teacher gives it
        return torch.cat(logits, dim=1)
        # minigrad: return torch.concatenate(logits, axis=1)


class Translator(nn.Module):
    def __init__(self, n_tokens, hidden_size):
        super().__init__()
        self.encoder = Encoder(n_tokens, hidden_size)
        self.decoder = Decoder(n_tokens, hidden_size)

    def forward(self, words, targets):
        outputs, hidden = self.encoder(words)
        return self.decoder(outputs, hidden, targets)


model = Translator(len(LETTERS) + 1, 24)

# --- training ---

random.seed(0)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()
losses = []
for step in range(25):
    rows = [[random.randrange(START) for _ in range(LENGTH)] for _ in range(16)]
    words, targets = torch.tensor(rows), torch.tensor([row[::-1] for row in rows])
    logits = model(words, targets)
    loss = criterion(logits.reshape(-1, START + 1), targets.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
