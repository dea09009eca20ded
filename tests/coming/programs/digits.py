"""Digits, read row by row: an LSTM classifies pictures of 8 times 8 points."""

import numpy as np
import torch
import torch.nn as nn

SHAPES = ["01110 10001 10001 10001 01110", "00100 01100 00100 00100 01110"]
SHAPES += ["11110 00001 01110 10000 11111", "11110 00001 00110 00001 11110"]
SHAPES += ["10010 10010 11111 00010 00010", "11111 10000 11110 00001 11110"]


def pictures(n, rng):
    """Noisy digits at random places, and what they are."""
    labels = rng.integers(0, len(SHAPES), n)
    images = rng.normal(0.0, 0.1, (n, 1, 8, 8))
    for image, label in zip(images, labels):
        top, left = rng.integers(0, 4, 2)
        rows = SHAPES[label].split()
        image[0, top : top + 5, left : left + 5] += [[int(c) for c in row] for row in rows]
    return images, labels


rng = np.random.default_rng(0)
train_images, train_labels = pictures(192, rng)
test_images, test_labels = pictures(48, rng)

device = "cuda" if torch.cuda.is_available() else "cpu"
# minigrad: device = "cpu"


class RowLSTM(nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, x):
        out, (h, c) = self.lstm(x)
        return self.fc(out[:, -1, :])


model = RowLSTM(8, 24, len(SHAPES)).to(device)

# --- training ---

x_train = torch.from_numpy(train_images).to(torch.get_default_dtype())
# minigrad: x_train = torch.tensor(train_images).to(torch.get_default_dtype())
# minigrad: x_train = torch.tensor(train_images).astype(torch.get_default_dtype())
y_train = torch.tensor(train_labels, dtype=torch.long)
# minigrad: y_train = torch.tensor(train_labels, dtype=torch.int64)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
# minigrad: scheduler = torch.optim.StepLR(optimizer, step_size=3, gamma=0.5)
criterion = nn.CrossEntropyLoss()
losses = []
for epoch in range(6):
    for i in range(0, len(x_train), 32):
        images = x_train[i : i + 32].reshape(-1, 8, 8).to(device)
        labels = y_train[i : i + 32].to(device)
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()

model.eval()
with torch.no_grad():
    x_test = torch.tensor(test_images, dtype=torch.get_default_dtype()).squeeze(1).to(device)
    predicted = model(x_test).argmax(dim=1)
    # minigrad: predicted = model(x_test).argmax(axis=1)
    correct = (predicted == torch.tensor(test_labels).to(device)).sum().item()
    accuracy = correct / len(test_labels)
