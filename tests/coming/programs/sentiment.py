"""Whether a review is a good one: sentences of any length, padded, in both directions."""

import random

import torch
import torch.nn as nn

GOOD = "good great moving funny fine wonderful".split()
BAD = "bad dull awful boring weak terrible".split()
OTHERS = "the a film plot actor scene was and with very it of".split()
VOCABULARY = ["<pad>", *GOOD, *BAD, *OTHERS]


def review(rng):
    label = rng.randrange(2)
    sentence = [rng.choice(OTHERS) for _ in range(rng.randrange(2, 12))]
    sentence.insert(rng.randrange(len(sentence)), rng.choice(GOOD if label else BAD))
    return torch.tensor([VOCABULARY.index(word) for word in sentence]), label


class BiLSTMClassifier(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_dim):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        self.lstm = nn.LSTM(embed_dim, hidden_dim, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(hidden_dim * 2, 1)

    def forward(self, text, lengths):
        x = self.embedding(text)
        x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        # minigrad:
        output, (hidden, cell) = self.lstm(x)
        # minigrad, too: output, (hidden, cell) = self.lstm(x, lengths=lengths)
        return self.fc(torch.cat((hidden[-2], hidden[-1]), dim=1)).squeeze(1)
        # minigrad: return self.fc(torch.concatenate((hidden[-2], hidden[-1]), axis=1)).squeeze(1)


model = BiLSTMClassifier(len(VOCABULARY), 12, 16)

# --- training ---

rng = random.Random(0)
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
criterion = nn.BCEWithLogitsLoss()
losses = []
correct = total = 0
for step in range(40):
    sentences, labels = zip(*[review(rng) for _ in range(12)])
    lengths = [len(sentence) for sentence in sentences]
    text = nn.utils.rnn.pad_sequence(sentences, batch_first=True)
    # minigrad: text = torch.data.pad_sequence(sentences, batch_first=True)
    target = torch.tensor([float(label) for label in labels])
    optimizer.zero_grad()
    logits = model(text, lengths)
    loss = criterion(logits, target)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    correct += ((torch.sigmoid(logits) > 0.5) == (target > 0.5)).sum().item()
    total += len(labels)
