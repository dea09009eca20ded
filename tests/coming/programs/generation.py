"""A text, letter by letter: an LSTM learns it, and then writes on its own."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

TEXT = "the quick brown fox jumps over the lazy dog and runs away from the angry old bear. " * 8
CHARS = sorted(set(TEXT))
STEPS = 25

device = torch.device("cpu")
# minigrad: device = "cpu"


class CharLSTM(nn.Module):
    def __init__(self, n_chars, hidden_size, n_layers):
        super(CharLSTM, self).__init__()
        self.embed = nn.Embedding(n_chars, 16)
        self.lstm = nn.LSTM(16, hidden_size, n_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, n_chars)

    def forward(self, x, state=None):
        out, state = self.lstm(self.embed(x), state)
        return self.fc(out), state


model = CharLSTM(len(CHARS), 32, 2).to(device)

# --- training ---

data = torch.tensor([CHARS.index(c) for c in TEXT])
optimizer = optim.Adam(model.parameters(), lr=0.02)
criterion = nn.CrossEntropyLoss()
losses = []
state = None
model.train()
for start in range(0, len(data) - STEPS - 1, STEPS):
    inputs = data[start : start + STEPS].unsqueeze(0).to(device)
    # minigrad: inputs = torch.expand_dims(data[start : start + STEPS], 0).to(device)
    targets = data[start + 1 : start + STEPS + 1].to(device)
    optimizer.zero_grad(set_to_none=True)
    output, state = model(inputs, state)
    state = tuple(s.detach() for s in state)
    loss = criterion(output.view(-1, len(CHARS)), targets)
    # minigrad: loss = criterion(output.reshape(-1, len(CHARS)), targets)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    # minigrad: optim.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    losses.append(loss.item())

model.eval()
written = "t"
with torch.no_grad():
    state = None
    for _ in range(20):
        x = torch.tensor([[CHARS.index(written[-1])]]).to(device)
        output, state = model(x, state)
        p = F.softmax(output[0, -1] / 0.8, -1)
        written += CHARS[p.argmax().item()]
