# %% [markdown]
# # The cell state is a highway
#
# From one step to the next, a memory on the belt is multiplied by the forget gate, and something
# is added to it. Going backwards, the gradient is multiplied by the same gate. If the gate is
# open, it passes unharmed.

# %%
import numpy as np
import plotly.graph_objects as go

import minigrad as mg
from minigrad.models.guide import Picture, claim, moving, quick
from minigrad.models.plots import plot_flow

mg.manual_seed(6)
T, I, H = 30, 4, 8
layer = mg.nn.LSTM(I, H, forget_bias=2.0).double()
x = mg.randn((T, 1, I), dtype=np.float64)

# %% [markdown]
# ## Along the belt, the derivative is a product of gates
#
# $$c_t = f_t \odot c_{t-1} + i_t \odot g_t \qquad\Rightarrow\qquad
# \frac{\partial c_T}{\partial c_t} \approx f_T \odot f_{T-1} \odot \dots \odot f_{t+1}$$
#
# It is only about equal: the gates and the candidate read $h$, and $h$ reads $c$, so there are
# detours. minigrad can compute the whole derivative, with all detours. Compare both for a memory
# that was put on the belt at each step. The detours lead through the recurrent weights: make these
# larger with the slider, as training does, and the detours count.

# %%
lags = list(range(1, T, 4 if quick() else 2))
recurrent = layer.weight_hh_l0.numpy().copy()


def along_and_whole(factor):
    """By lag the product of the forget gates and the whole derivative, (H, H), of c at the end."""
    with mg.no_grad():
        layer.weight_hh_l0[:] = factor * recurrent
        with mg.record() as trace:
            layer(x)
    forget = trace["forget"][:, 0]  # (T, H)
    hidden, cell = trace["hidden"], trace["cell"]

    def last_cell(c, t):
        """The last cell state as a function of the one after step t."""
        state = mg.tensor(hidden[t]).reshape(1, 1, H), c.reshape(1, 1, H)
        _, (_, c_last) = layer(x[t + 1 :], state)
        return c_last.reshape(H)

    products, jacobians = [], []
    for lag in lags:
        t = T - 1 - lag
        products.append(np.diag(forget[t + 1 :].prod(axis=0)))
        full = mg.jacobian(lambda c, t=t: last_cell(c, t), mg.tensor(cell[t, 0]))
        jacobians.append(full.numpy())
    return np.array(products), np.array(jacobians)


figures, apart = {}, {}
for factor in (0, 0.1, 0.5, 1, 2):
    products, jacobians = along_and_whole(factor)
    norms = np.linalg.norm(jacobians, axis=(1, 2))
    # How far the product is from the whole derivative, as a share of that.
    apart[factor] = (np.linalg.norm(jacobians - products, axis=(1, 2)) / norms)[lags.index(9)]
    figure = go.Figure()
    for name, values in (("product of forget gates", products), ("whole derivative", jacobians)):
        size = np.linalg.norm(values, axis=(1, 2)) / np.sqrt(H)
        figure.add_scatter(x=lags, y=size, name=name, mode="lines+markers")
    figure.update_xaxes(title="steps back")
    figure.update_yaxes(title="size of the derivative", range=[0, 1.6])
    figures[factor] = figure
with mg.no_grad():
    layer.weight_hh_l0[:] = recurrent
Picture(
    moving(figures, "recurrent weights times", start=3),
    "The size of the derivative of c at the end with respect to c so many steps back, 1 if nothing "
    "is lost: by the gates alone, and whole. Without recurrent weights there are no detours, and "
    "both are the same; with larger ones they part.",
)

# %%
claim(
    "The gradient along the cell state is the product of the forget gates.",
    "the detours through the hidden state are small: the recurrent weights must not be large"
    if apart[0] < 1e-9 and apart[0.1] < 0.1 < apart[2]
    else False,
    {
        f"9 steps back, recurrent weights times {factor}: difference by the whole": float(value)
        for factor, value in apart.items()
    },
)

# %% [markdown]
# ## Open it, shut it
#
# `mg.override` puts a number in the gate's place. Open: nothing is forgotten, and the gradient
# doesn't fade. Shut: the LSTM knows no more than the step before.

# %%
flows = {}
for name, value in {"forget = 1": 1.0, "forget = 0.5": 0.5, "forget = 0": 0.0}.items():
    with mg.override(forget=value):
        flows[name] = mg.gradient_flow(layer, x, "cell")["l0.cell"]
flows["as the layer sets it"] = mg.gradient_flow(layer, x, "cell")["l0.cell"]
Picture(
    plot_flow(flows),
    "The size of the gradient with respect to the cell state, by how many steps back: level with "
    "the gate open, a straight fall with it half open, gone within a few steps with it shut.",
)

# %%
back = {name: float(flow[20, 0] / flow[0, 0]) for name, flow in flows.items()}
claim(
    "An LSTM carries a gradient over many steps.",
    "its forget gates are open",
    {f"left after 20 steps, {name}": value for name, value in back.items()},
)
