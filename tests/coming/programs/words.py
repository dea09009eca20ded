"""A language model of words: one embedding for input and output, and a state that is carried on."""

import math

import torch
import torch.nn as nn

TEXT = "the cat sat on the mat and the dog sat on the rug but the cat saw the dog run away . " * 10
WORDS = TEXT.split()
VOCABULARY = sorted(set(WORDS))
BATCH_SIZE, BPTT = 4, 6


def batchify(ids, batch_size):
    n = ids.size(0) // batch_size
    # minigrad: n = ids.shape[0] // batch_size
    return ids[: n * batch_size].view(batch_size, -1).t().contiguous()
    # minigrad: return ids[: n * batch_size].reshape(batch_size, -1).t().contiguous()
    # minigrad: return ids[: n * batch_size].reshape(batch_size, -1).T.contiguous()
    # minigrad: return ids[: n * batch_size].reshape(batch_size, -1).T


def get_batch(source, i):
    length = min(BPTT, len(source) - 1 - i)
    return source[i : i + length], source[i + 1 : i + 1 + length].reshape(-1)


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


class RNNModel(nn.Module):
    def __init__(self, n_tokens, size, n_layers):
        super().__init__()
        self.n_tokens, self.size, self.n_layers = n_tokens, size, n_layers
        self.encoder = nn.Embedding(n_tokens, size)
        self.rnn = nn.LSTM(size, size, n_layers)
        self.decoder = nn.Linear(size, n_tokens)
        self.decoder.weight = self.encoder.weight
        self.init_weights()

    def init_weights(self):
        nn.init.uniform_(self.encoder.weight, -0.3, 0.3)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        return self.decoder(output).reshape(-1, self.n_tokens), hidden

    def init_hidden(self, batch_size):
        weight = next(self.parameters())
        shape = (self.n_layers, batch_size, self.size)
        return weight.new_zeros(shape), weight.new_zeros(shape)
        # minigrad: return torch.zeros(shape), torch.zeros(shape)


model = RNNModel(len(VOCABULARY), 20, 2)

# --- training ---

ids = torch.tensor([VOCABULARY.index(word) for word in WORDS], dtype=torch.int64)
train_data = batchify(ids, BATCH_SIZE)
criterion = nn.CrossEntropyLoss()
lr = 4.0
losses = []
for epoch in range(6):
    model.train()
    hidden = model.init_hidden(BATCH_SIZE)
    for i in range(0, len(train_data) - 1, BPTT):
        data, targets = get_batch(train_data, i)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        # minigrad: torch.optim.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
            # minigrad: p.data -= lr * p.grad.data
        losses.append(loss.item())
perplexity = math.exp(losses[-1])
