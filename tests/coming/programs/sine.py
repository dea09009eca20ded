"""Sine waves: two LSTM cells in a loop predict the next value, then go on from what they said."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

x = np.arange(60)[None, :] + np.random.default_rng(0).integers(-20, 20, (12, 1))
data = np.sin(x / 5.0)


class Sequence(nn.Module):
    def __init__(self, hidden_size):
        super(Sequence, self).__init__()
        self.hidden_size = hidden_size
        self.lstm1 = nn.LSTMCell(1, hidden_size)
        self.lstm2 = nn.LSTMCell(hidden_size, hidden_size)
        self.linear = nn.Linear(hidden_size, 1)

    def init_hidden(self, batch_size):
        return torch.zeros(batch_size, self.hidden_size, dtype=torch.double)
        # minigrad: return torch.zeros(batch_size, self.hidden_size, dtype=torch.float64)

    def forward(self, input, future=0):
        h1, c1 = self.init_hidden(len(input)), self.init_hidden(len(input))
        h2, c2 = self.init_hidden(len(input)), self.init_hidden(len(input))
        outputs = []
        for input_t in input.split(1, dim=1):
            # minigrad: for input_t in torch.split(input, input.shape[1], axis=1):
            h1, c1 = self.lstm1(input_t, (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            output = self.linear(h2)
            outputs += [output]
        for _ in range(future):
            h1, c1 = self.lstm1(output, (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            output = self.linear(h2)
            outputs += [output]
        return torch.cat(outputs, dim=1)
        # minigrad: return torch.concatenate(outputs, axis=1)


model = Sequence(16).double()

# --- training ---

waves = torch.from_numpy(data)
# minigrad: waves = torch.tensor(data)
input, target, test_input = waves[3:, :-1], waves[3:, 1:], waves[:3, :-1]
criterion = nn.MSELoss()
optimizer = optim.LBFGS(model.parameters(), lr=0.8, max_iter=10)
losses = []
for step in range(2):

    def closure():
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        losses.append(loss.item())
        loss.backward()
        return loss

    optimizer.step(closure)

with torch.no_grad():
    continued = model(test_input, future=20).detach().numpy()
