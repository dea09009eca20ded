"""Which language a surname is from: a recurrent net of two linear layers reads its letters."""

import random
import string

import torch
from torch import nn

NAMES = {
    "Italian": "Rossi Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti".split(),
    "Polish": "Nowak Kowalski Wisniewski Wojcik Kaminski Lewandowski Zielinski Wozniak".split(),
    "Chinese": "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo".split(),
}
CATEGORIES = list(NAMES)
LETTERS = string.ascii_letters


def name_to_tensor(name):
    tensor = torch.zeros(len(name), 1, len(LETTERS))
    for i, letter in enumerate(name):
        tensor[i][0][LETTERS.index(letter)] = 1
        # minigrad: tensor[i, 0, LETTERS.index(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)
        # minigrad: self.softmax = nn.LogSoftmax(axis=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        # minigrad: combined = torch.concatenate((input, hidden), 1)
        hidden = torch.tanh(self.i2h(combined))
        return self.softmax(self.i2o(combined)), hidden

    def init_hidden(self):
        return torch.zeros(1, self.hidden_size)


model = RNN(len(LETTERS), 24, len(CATEGORIES))

# --- training ---

criterion = nn.NLLLoss()
learning_rate = 0.02
random.seed(0)
losses = []
right = 0
for step in range(90):
    category = random.choice(CATEGORIES)
    target = torch.tensor([CATEGORIES.index(category)], dtype=torch.long)
    # minigrad: target = torch.tensor([CATEGORIES.index(category)], dtype=torch.int64)
    letters = name_to_tensor(random.choice(NAMES[category]))
    hidden = model.init_hidden()
    model.zero_grad()
    for letter in letters:
        output, hidden = model(letter, hidden)
    loss = criterion(output, target)
    loss.backward()
    for p in model.parameters():
        p.data.add_(p.grad.data, alpha=-learning_rate)
        # minigrad: p.data -= learning_rate * p.grad.data
    values, indices = output.topk(1)
    right += indices[0].item() == target.item()
    losses.append(loss.item())
