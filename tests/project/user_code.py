"""A program as type checkers see it: `make lint` checks this file, and nothing runs it.

A line with an ignored error is wrong use that must be noticed: mypy reports ignores without cause.
"""

from typing import assert_type

import minigrad as mg
from minigrad import nn, optim

x = mg.tensor([[1.0, 2.0]], requires_grad=True)
assert_type(x, mg.Tensor)
assert_type(x + 1, mg.Tensor)
assert_type(2 / x, mg.Tensor)
assert_type(x @ x.T, mg.Tensor)
assert_type(x[0] > 1, mg.Tensor)
assert_type(x.sum(axis=0, keepdims=True), mg.Tensor)
assert_type(x.reshape(2, 1).tanh().mean(), mg.Tensor)
assert_type(x.shape, tuple[int, ...])
for row in x:
    assert_type(row, mg.Tensor)
x.sum().backward(retain_graph=True)
x.no_such_method()  # type: ignore[attr-defined]
x.sum(dim=0)  # type: ignore[call-arg]
x.backward(keep_graph=True)  # type: ignore[call-arg]


class Model(nn.Module):
    """A model as a user writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """The last output through a linear layer."""
        y, _ = self.lstm(x)
        out: mg.Tensor = self.head(y[-1])
        return out


model = Model()
optimizer = optim.Adam(model.parameters(), lr=1e-3)
optimizer.step()

layers = nn.Sequential(nn.Linear(1, 2), nn.LeakyReLU(negative_slope=0.1)).append(nn.Tanh())
assert_type(layers, nn.Sequential)
heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Identity()})
for module in heads.modules():
    assert_type(module, nn.Module)
loss = nn.CrossEntropyLoss(label_smoothing=0.1)
loss(layers(x), [1]).backward()
nn.ModuleList([3])  # type: ignore[list-item]
layers.register_buffer(mg.ones(2), "mean")  # type: ignore[arg-type]

loader = mg.data.DataLoader(([[1, 2], [3]], [0, 1]), batch_size=2, shuffle=True, seed=0)
for tokens, lengths, _ in loader:
    assert_type(mg.data.unpad_sequence(tokens, lengths), list[mg.Tensor])
second_order = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")


def closure() -> mg.Tensor:
    """What LBFGS evaluates."""
    second_order.zero_grad()
    value = model(x).sum()
    value.backward()
    return value


second_order.step(closure)
second_order.step(x)  # type: ignore[arg-type]
mg.data.DataLoader([1, 2], num_workers=2)  # type: ignore[call-arg]
