# %% [markdown]
# # The program behind it
#
# The cell of an LSTM is ten lines of Python. What runs, forwards and backwards, follows from
# them: as a graph of ops, as a program of one step, and as compiled code.

# %%
import inspect

import numpy as np

import minigrad as mg
from minigrad.models.guide import claim
from minigrad.mutation.kernel_mutants import collecting
from minigrad.nn.cells import lstm_cell

mg.manual_seed(14)

# %% [markdown]
# ## What is written

# %%
lines = inspect.getsource(lstm_cell).split('"""')[2].strip().splitlines()
print("\n".join(line.removeprefix("    ") for line in lines))

# %% [markdown]
# ## What a step does, forwards and backwards
#
# The cell is called once with stand-ins for arrays, which note each op. The way back follows from
# the derivative of each op.

# %%
layer = mg.nn.LSTM(3, 4)
listing = str(layer.trace())
forward, backward = listing.split("backward:")
print(listing)

# %% [markdown]
# ## Is it the same function?
#
# The layer runs the program of a step in a loop, the compiled one on a backend that has
# compilers. Compare it with the plain function, called step by step, in its values and in its
# gradients.

# %%
layer = layer.double()
x = mg.randn((8, 2, 3), dtype=np.float64, requires_grad=True)
g = mg.randn((8, 2, 4), dtype=np.float64)
y, _ = layer(x)
by_layer = [y, *mg.grad((y * g).sum(), [x, layer.weight_hh_l0])]


class Weights:
    w_ih, w_hh = layer.weight_ih_l0, layer.weight_hh_l0
    b_ih, b_hh = layer.bias_ih_l0, layer.bias_hh_l0


state = mg.zeros((2, 4), dtype=np.float64), mg.zeros((2, 4), dtype=np.float64)
outputs = []
for x_t in x:
    h, state = lstm_cell(Weights, x_t, state)
    outputs.append(h)
y = mg.stack(outputs)
by_hand = [y, *mg.grad((y * g).sum(), [x, layer.weight_hh_l0])]
differences = [
    float(np.abs(a.numpy() - b.numpy()).max()) for a, b in zip(by_layer, by_hand, strict=True)
]
claim(
    "What runs is what is written.",
    max(differences) < 1e-12,
    dict(zip(["outputs", "gradient of x", "gradient of the weights"], differences, strict=True)),
)

# %%
count = {name: text.count(" = ") for name, text in {"fwd": forward, "back": backward}.items()}
claim(
    "The way back takes about as many ops as the way there, twice at most.",
    count["back"] <= 2 * count["fwd"],
    {"ops forwards": count["fwd"], "ops backwards": count["back"]},
)

# %% [markdown]
# ## The kernel
#
# On the backend Numba that program becomes a Python file with loops, which Numba compiles to
# machine code: one forwards, one backwards. Here are the loops over the steps of both. What
# doesn't need the state is done before and after, for all steps at once: the products with the
# input, and the sums of the weights' gradients.

# %%
kernels = {}
try:
    numba = mg.get_backend("numba")
except mg.BackendError as error:
    print(f"No kernel is shown: {error}")
else:
    mg.manual_seed(14)
    layer, x = mg.nn.LSTM(3, 4), mg.randn((8, 2, 3))
    g = mg.randn((8, 2, 4))
    y, _ = layer(x)
    composed = [y, *mg.grad((y * g).sum(), [layer.weight_ih_l0, layer.weight_hh_l0])]
    layer = layer.to("numba")
    mg.reset_dispatch_counts()
    with collecting(numba, kernels):
        y, _ = layer(x.to("numba"))
        weights = [layer.weight_ih_l0, layer.weight_hh_l0]
        fused = [y, *mg.grad((y * g.to("numba")).sum(), weights)]
    ran = [way for _, _, way, _ in mg.dispatch_counts()]
    for way, text in zip(("forwards", "backwards"), kernels, strict=True):
        loop = text[text.index("    for step in") :].splitlines()
        print(f"{way}:", *(line.removeprefix("    ") for line in loop), "", sep="\n")

# %% [markdown]
# `product_onto` is the product of the old hidden state with the weights, added to what the input
# gave; `row` is a row of an array; `kept` is what the way back reads again. The loops over `j` are
# the cell's lines. `minigrad bench cell minigrad.nn:LSTM` names the whole files.

# %%
found = None
if kernels:
    apart = max(
        float(np.abs(a.numpy() - b.numpy()).max()) for a, b in zip(composed, fused, strict=True)
    )
    largest = max(float(np.abs(a.numpy()).max()) for a in composed)
    found = claim(
        "The kernels compute what the ops compute, one by one.",
        apart < 1e-5 * largest and ran == ["fused"],
        {
            "largest difference, float32": apart,
            "largest number": largest,
            "kernels": len(kernels),
            "lines of the loops": sum(text.count("\n") for text in kernels),
        },
    )
found
