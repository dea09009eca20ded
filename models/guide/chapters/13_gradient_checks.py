# %% [markdown]
# # How do we know that the gradients are right?
#
# A wrong gradient seldom stops a program. The loss falls a little slower, and one looks for the
# cause everywhere else. So compare gradients with what they are: slopes, which can be measured.

# %%
import numpy as np
import plotly.graph_objects as go

import minigrad as mg
from minigrad.models.guide import Picture, claim, quick

mg.manual_seed(13)

# %% [markdown]
# ## A slope can be measured
#
# Move one weight of an LSTM a little up and a little down, and see how much the loss changes:
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \epsilon) - L(w - \epsilon)}{2 \epsilon}$$
# How little is a little? Try all sizes.

# %%
lstm = mg.nn.LSTM(3, 4).double()
x = mg.randn((6, 2, 3), dtype=np.float64)
g = mg.randn((6, 2, 4), dtype=np.float64)  # random weights of the outputs, so that none cancel


def loss():
    y, _ = lstm(x)
    return (y * g).sum()


loss().backward()
weight = lstm.weight_hh_l0
exact = float(weight.grad.numpy()[5, 2])
epsilons = 10.0 ** np.arange(-13, 0.1, 0.5)
errors = []
for epsilon in epsilons:
    ends = []
    for move in (epsilon, -epsilon):
        with mg.no_grad():
            weight[5, 2] += move
            ends.append(loss().item())
            weight[5, 2] -= move
    errors.append(abs((ends[0] - ends[1]) / (2 * epsilon) - exact) / abs(exact))

figure = go.Figure()
figure.add_scatter(x=epsilons, y=errors, mode="lines+markers", name="error")
figure.update_xaxes(type="log", title="epsilon", exponentformat="power")
figure.update_yaxes(type="log", title="relative error of the slope", exponentformat="power")
Picture(
    figure,
    "A valley: for large steps the curve's bend is in the way, for small ones the rounding of the "
    "loss. The bottom lies near the cube root of the precision of float64: between 1e-6 and 1e-3.",
)

# %%
best = int(np.argmin(errors))
claim(
    "The smaller the step, the better the measured slope.",
    "the step is larger than about 1e-5; below, rounding takes over",
    {
        "best epsilon": float(epsilons[best]),
        "error there": errors[best],
        "error at 1e-13": errors[0],
        "error at 1": errors[-1],
    },
)

# %% [markdown]
# ## All weights of all three cells
#
# `mg.gradcheck` does this for all inputs and weights, with a step and an error bar for each, and
# for the second derivative as well.

# %%
verdicts = {}
for layer in (mg.nn.RNN(3, 4), mg.nn.LSTM(3, 4), mg.nn.GRU(3, 4)):
    report = mg.gradcheck(layer, mg.randn((4, 2, 3)), order=1 if quick() else 2)
    verdicts[type(layer).__name__] = report.verdict
    print(type(layer).__name__, report, sep="\n", end="\n\n")
claim(
    "The gradients of RNN, LSTM and GRU are right.",
    all(verdict == "PASS" for verdict in verdicts.values()),
    verdicts,
)

# %% [markdown]
# ## A planted bug
#
# Now a check that never fails would be worth nothing. Here is tanh with a derivative that has
# lost its square: $1 - y$ in place of $1 - y^2$.


# %%
@mg.op
def slightly_wrong_tanh(xp, x):
    """tanh, with a mistake in its derivative."""
    return xp.tanh(x)


slightly_wrong_tanh.vjp(x=lambda g, y: g * (1 - y))

report = mg.gradcheck(slightly_wrong_tanh, mg.randn((3,)), raise_exception=False)
print(report)

# %%
losses = {}
for name, squash in {"right": mg.tanh, "wrong": slightly_wrong_tanh}.items():
    mg.manual_seed(0)
    w = mg.randn((4, 1), requires_grad=True)
    inputs, target = mg.randn((64, 4)), mg.randn((64, 1)) * 0.3
    optimizer = mg.optim.SGD([w], lr=0.1)
    for _ in range(200):
        cost = mg.mse_loss(squash(inputs @ w), target)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    losses[name] = cost.item()
claim(
    "A wrong gradient shows itself: training fails.",
    losses["wrong"] > 2 * losses["right"],
    {
        "verdict of the check": report.verdict,
        "loss after 200 steps, right derivative": losses["right"],
        "loss after 200 steps, wrong derivative": losses["wrong"],
    },
)

# %% [markdown]
# ## In which gate is it?
#
# Plant another one: an LSTM whose forget gate has lost the factor $1 - f$ of sigmoid's derivative.
# Over several steps the mistake comes into everything, as each gradient comes through the forget
# gates of later steps. In a single step it has nowhere else to go, and the check, which knows the
# gates by their rows in the weights, names the place.


# %%
@mg.op
def slightly_wrong_sigmoid(xp, x):
    """sigmoid, with a mistake in its derivative."""
    return 1 / (1 + xp.exp(-x))


slightly_wrong_sigmoid.vjp(x=lambda g, y: g * y)


def wrong_cell(p, x, state):
    """An LSTM's cell, with the mistake in its forget gate."""
    h, c = state
    sums = mg.linear(x, p.w_ih, p.b_ih) + mg.linear(h, p.w_hh, p.b_hh)
    i, f, g, o = mg.split(sums, 4, axis=-1)
    c = slightly_wrong_sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
    h = mg.sigmoid(o) * mg.tanh(c)
    return h, (h, c)


class WrongLSTM(mg.nn.LSTM):
    """An LSTM with that cell."""

    cell = wrong_cell


layer = WrongLSTM(3, 4).double()
state = tuple(mg.randn((1, 2, 4), dtype=np.float64) for _ in range(2))
gates, wrong = {}, {}
for steps in (1, 4):
    x = mg.randn((steps, 2, 3), dtype=np.float64)
    report = mg.gradcheck(layer, (x, state), raise_exception=False)
    places = [
        entry for entry in report.entries if entry.status == "wrong" and "gate" in entry.where
    ]
    gates[steps] = sorted({entry.where.split("gate ")[1][0] for entry in places})
    wrong[steps] = len([entry for entry in report.entries if entry.status == "wrong"])
    print(
        f"steps: {steps}; {wrong[steps]} slopes are wrong, of weights of the gates {gates[steps]}"
    )
    print("  the worst:", report.worst)
claim(
    "A gradient check says in which gate the mistake is.",
    "it looks at a single step: over several, the mistake spreads to the other gates"
    if gates[1] == ["f"] and len(gates[4]) == 4
    else gates[1] == ["f"],
    {
        **{f"gates with wrong slopes, steps: {n}": found for n, found in gates.items()},
        **{f"wrong slopes, steps: {n}": found for n, found in wrong.items()},
    },
)
