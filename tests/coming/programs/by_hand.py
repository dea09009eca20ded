"""A GRU written by hand: each gate a pair of matrices; it learns to add up what is marked."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH_SIZE, STEPS = 16, 10


class GRU(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        for gate in "rzn":
            w = nn.Parameter(torch.empty(input_size + hidden_size, hidden_size))
            nn.init.xavier_uniform_(w)
            self.register_parameter(f"W_{gate}", w)
            self.register_parameter(f"b_{gate}", nn.Parameter(torch.zeros(hidden_size)))

    def forward(self, x, h=None):
        batch_size, steps, _ = x.size()
        # minigrad: batch_size, steps, _ = x.shape
        if h is None:
            h = torch.zeros(batch_size, self.hidden_size, device=x.device)
            # minigrad: h = torch.zeros(batch_size, self.hidden_size, backend=x.backend)
        outputs = []
        for t in range(steps):
            xh = torch.cat([x[:, t], h], dim=-1)
            # minigrad: xh = torch.concatenate([x[:, t], h], axis=-1)
            r = torch.sigmoid(xh @ self.W_r + self.b_r)
            z = torch.sigmoid(xh @ self.W_z + self.b_z)
            xh = torch.cat([x[:, t], r * h], dim=-1)
            # minigrad: xh = torch.concatenate([x[:, t], r * h], axis=-1)
            n = torch.tanh(xh @ self.W_n + self.b_n)
            h = (1 - z) * n + z * h
            outputs.append(h)
        return torch.stack(outputs, dim=1), h
        # minigrad: return torch.stack(outputs, axis=1), h


class Adder(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.gru = GRU(2, hidden_size)
        self.head = nn.Sequential(nn.Linear(hidden_size, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        outputs, _ = self.gru(x)
        return self.head(outputs[:, -1]).squeeze(-1)


model = Adder(16)

# --- training ---


def make_batch():
    """Two numbers of each row are marked by a 1; the target is their sum."""
    rows, sums = [], []
    for _ in range(BATCH_SIZE):
        numbers = [random.random() for _ in range(STEPS)]
        marked = random.sample(range(STEPS), 2)
        rows.append([[x, float(i in marked)] for i, x in enumerate(numbers)])
        sums.append(sum(numbers[i] for i in marked))
    return torch.tensor(rows), torch.tensor(sums)


random.seed(0)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
losses = []
for step in range(20):
    x, y = make_batch()
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
