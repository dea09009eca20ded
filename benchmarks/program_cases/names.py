"""Names: a recurrent net of two linear layers reads a name letter by letter, and says its language.

One name at a time, negative log likelihood, updates written by hand.
"""

import string

import numpy as np
import torch
from torch import nn

LETTERS = string.ascii_lowercase
LANGUAGES = {
    "Czech": "novotny dvorak cerny prochazka kucera benes fiala sedlacek dolezal zeman kolar",
    "Dutch": "bakker visser smit meijer mulder bos vos peters hendriks dekker brouwer",
    "Greek": "pappas nikolaidis vlahos georgiou samaras makris kostas angelis lambros",
    "Italian": "rossi ferrari esposito bianchi romano colombo ricci marino greco gallo",
    "Japanese": "sato suzuki takahashi tanaka watanabe ito yamamoto nakamura kobayashi",
    "Korean": "kim lee park choi jung kang cho yoon jang lim han shin seo kwon hwang",
    "Scottish": "campbell stewart robertson thomson anderson reid murray ross graham",
    "Spanish": "garcia fernandez gonzalez rodriguez lopez martinez sanchez perez gomez",
}
PAIRS = [(name, i) for i, names in enumerate(LANGUAGES.values()) for name in names.split()]


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.to_hidden = nn.Linear(input_size + hidden_size, hidden_size)
        self.to_output = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)
        # minigrad: self.softmax = nn.LogSoftmax(axis=1)

    def forward(self, letter, hidden):
        both = torch.cat((letter, hidden), dim=1)
        # minigrad: both = torch.concatenate((letter, hidden), axis=1)
        return self.softmax(self.to_output(both)), torch.tanh(self.to_hidden(both))


model = RNN(len(LETTERS), 128, len(LANGUAGES))

# --- training ---

rng = np.random.default_rng(0)
criterion = nn.NLLLoss()
lr = 0.005


def step():
    name, language = PAIRS[rng.integers(len(PAIRS))]
    letters = torch.zeros(len(name), 1, len(LETTERS))
    for i, letter in enumerate(name):
        letters[i, 0, LETTERS.index(letter)] = 1
    hidden = torch.zeros(1, model.hidden_size)
    for letter in letters:
        output, hidden = model(letter, hidden)
    loss = criterion(output, torch.tensor([language]))
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data.add_(p.grad.data, alpha=-lr)
        # minigrad: p.data -= lr * p.grad.data
    return loss.item()
