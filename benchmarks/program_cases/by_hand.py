"""A GRU written by hand, with matrices for each gate, adds up the numbers that are marked."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim

BATCH, STEPS = 32, 30


class GRU(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        for gate in "rzn":
            w, u = torch.empty(input_size, hidden_size), torch.empty(hidden_size, hidden_size)
            self.register_parameter(f"w_{gate}", nn.Parameter(nn.init.xavier_uniform_(w)))
            self.register_parameter(f"u_{gate}", nn.Parameter(nn.init.orthogonal_(u)))
            self.register_parameter(f"b_{gate}", nn.Parameter(torch.zeros(hidden_size)))

    def forward(self, xs):
        h = torch.zeros(xs.shape[1], self.hidden_size)
        for x in xs:
            r = torch.sigmoid(x @ self.w_r + h @ self.u_r + self.b_r)
            z = torch.sigmoid(x @ self.w_z + h @ self.u_z + self.b_z)
            n = torch.tanh(x @ self.w_n + (r * h) @ self.u_n + self.b_n)
            h = z * h + (1 - z) * n
        return h


class Adder(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.gru = GRU(2, hidden_size)
        self.head = nn.Sequential(nn.Linear(hidden_size, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, xs):
        return self.head(self.gru(xs)).squeeze(1)


model = Adder(64)

# --- training ---

rng = np.random.default_rng(0)
optimizer = optim.Adam(model.parameters(), lr=0.002)


def step():
    numbers, marks = rng.random((STEPS, BATCH)), np.zeros((STEPS, BATCH))
    rows = np.arange(BATCH)
    marks[rng.integers(0, STEPS // 2, BATCH), rows] = 1
    marks[rng.integers(STEPS // 2, STEPS, BATCH), rows] = 1
    xs = torch.tensor(np.stack([numbers, marks], -1), dtype=torch.float32)
    sums = torch.tensor((numbers * marks).sum(0), dtype=torch.float32)
    loss = F.mse_loss(model(xs), sums)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
