# %% [markdown]
# # Squashing: why tanh, and what it costs
#
# A state goes through the same matrix at each step. Without a squashing function it would grow or
# shrink without end. tanh holds it between -1 and 1, and its slope is the price.

# %%
import numpy as np
import plotly.graph_objects as go

import minigrad as mg
from minigrad.models.guide import Picture, claim, moving

# %% [markdown]
# ## Times three, again and again
#
# Let the matrix be the number 3 and the state begin at 1, once without tanh and once with it. Then
# try other numbers in place of 3.

# %%
steps = 100


def repeated(factor):
    """The value after each step, without tanh and with it, in float32."""
    free, held = [np.float32(1)], [np.float32(1)]
    with np.errstate(over="ignore"):
        for _ in range(steps):
            free.append(np.float32(factor) * free[-1])
            held.append(np.tanh(np.float32(factor) * held[-1]))
    return free, held


free, held = repeated(3)
overflow = next(t for t, value in enumerate(free) if np.isinf(value))
figures = {}
for factor in (0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0):
    figure = go.Figure()
    for name, values in zip(("without tanh", "with tanh"), repeated(factor), strict=True):
        figure.add_scatter(y=[float(v) if np.isfinite(v) else None for v in values], name=name)
    figure.update_yaxes(type="log", title="value", exponentformat="power", range=[-31, 39])
    figure.update_xaxes(title="step", range=[0, steps])
    figures[factor] = figure
Picture(
    moving(figures, "times", start=-1),
    "Times 3, the value without tanh is a straight line on this logarithmic axis, up to the "
    f"largest number of float32 at step {overflow - 1}; with tanh it stays just below 1. Below 1, "
    "both fade away: tanh holds what grows, and brings nothing back that shrinks.",
)

# %%
claim(
    "Multiplied again and again, numbers explode; tanh keeps them between -1 and 1.",
    bool(np.isinf(free[-1]) and max(held) <= 1),
    {
        "first step that float32 can't hold": overflow,
        "with tanh after 100 steps": float(held[-1]),
        "times 0.9 after 100 steps, without tanh": 0.9**100,
    },
)

# %% [markdown]
# ## What is left of the slope
#
# Learning goes backwards through the same functions, and each one multiplies the gradient by its
# slope. The slopes are derivatives, so minigrad computes them: $\tanh' = 1 - \tanh^2$ and
# $\sigma' = \sigma (1 - \sigma)$.

# %%
x = mg.tensor(np.linspace(-6, 6, 241), requires_grad=True)
curves = {"tanh": mg.tanh, "sigmoid": mg.sigmoid}
values, slopes = {}, {}
for name, function in curves.items():
    y = function(x)
    values[name] = y.numpy()
    slopes[name] = mg.grad(y.sum(), x).numpy()

figure = go.Figure()
for name in curves:
    figure.add_scatter(x=x.numpy(), y=values[name], name=name)
    figure.add_scatter(x=x.numpy(), y=slopes[name], name=f"slope of {name}", line_dash="dot")
figure.update_xaxes(title="x")
Picture(
    figure,
    "tanh goes from -1 to 1 and sigmoid from 0 to 1. Their slopes, dotted, are hills around 0: "
    "1 high for tanh, a quarter for sigmoid, and next to nothing beyond 4.",
)

# %%
position = x.numpy()
flat = {name: position[(slopes[name] < 0.01) & (position > 0)][0] for name in curves}
claim(
    "A squashing function lets gradients through only while it isn't saturated.",
    bool(slopes["tanh"].max() > 0.999 and slopes["tanh"][-1] < 1e-4),
    {
        "largest slope of tanh": float(slopes["tanh"].max()),
        "largest slope of sigmoid": float(slopes["sigmoid"].max()),
        "tanh's slope is below 0.01 from x =": float(flat["tanh"]),
        "sigmoid's slope is below 0.01 from x =": float(flat["sigmoid"]),
    },
)

# %% [markdown]
# ## A gate is a number between 0 and 1
#
# sigmoid's values are good for something else: as factors. What is multiplied by 0 is gone, and
# what is multiplied by 1 stays. The cells from chapter 5 on are built of such gates.

# %%
memory = mg.tensor([0.8, -0.5, 0.3])
gate = mg.sigmoid(mg.tensor([8.0, 0.0, -8.0]))
kept = memory * gate
for name, values in {"memory": memory, "gate": gate, "product": kept}.items():
    print(f"{name:8}", *(f"{value:8.4f}" for value in values.tolist()))
claim(
    "Times 0 is forgotten, times 1 is kept.",
    bool(abs(kept.numpy()[0] - 0.8) < 1e-3 and abs(kept.numpy()[2]) < 1e-3),
    {"gates": [float(v) for v in gate.numpy()], "kept": [float(v) for v in kept.numpy()]},
)
