"""Sine waves: two LSTM cells in a loop of Python predict the next value; LBFGS in float64."""

import numpy as np
import torch
from torch import nn, optim


class Waves(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.cell1 = nn.LSTMCell(1, hidden_size)
        self.cell2 = nn.LSTMCell(hidden_size, hidden_size)
        self.linear = nn.Linear(hidden_size, 1)

    def forward(self, waves):
        zeros = torch.zeros(len(waves), self.hidden_size, dtype=waves.dtype)
        h1 = c1 = h2 = c2 = zeros
        outputs = []
        for x in waves.split(1, dim=1):
            # minigrad: for x in torch.split(waves, waves.shape[1], axis=1):
            h1, c1 = self.cell1(x, (h1, c1))
            h2, c2 = self.cell2(h1, (h2, c2))
            outputs.append(self.linear(h2))
        return torch.cat(outputs, dim=1)
        # minigrad: return torch.concatenate(outputs, axis=1)


model = Waves(51).double()

# --- training ---

phases = np.random.default_rng(0).integers(-80, 80, (97, 1))
data = torch.tensor(np.sin((np.arange(100) + phases) / 20.0))
criterion = nn.MSELoss()
optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=3)


def step():
    def closure():
        optimizer.zero_grad()
        loss = criterion(model(data[:, :-1]), data[:, 1:])
        loss.backward()
        return loss

    return optimizer.step(closure).item()
