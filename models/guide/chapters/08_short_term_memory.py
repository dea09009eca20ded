# %% [markdown]
# # Short-term memory: the longest lag that each cell learns
#
# How long is short? The tasks here ask for one thing only: what was read some steps ago. The lag
# is doubled until a cell no longer learns it.

# %%
import plotly.graph_objects as go

from minigrad.models.guide import Picture, claim, quick
from minigrad.models.reports.longest_lag import longest_lags

small = {"symbols": 2, "hidden": 16, "lr": 0.02, "epochs": 5, "batches": 60, "batch_size": 16}
sizes = small if quick() else {}
tasks = {"first": 30} if quick() else {"first": 160, "adding": 160, "copy": 80}
seeds = [0] if quick() else [0, 1, 2]
contenders = ["rnn", "lstm:usual", "lstm", "gru:usual", "gru"]

# %% [markdown]
# ## Three tasks
#
# `first`: which symbol came first? `adding`: the sum of the two numbers that were marked, among
# many that were not. `copy`: say ten symbols again after a pause. Each task is learned when the
# loss falls below a limit, and each training has the same number of steps.
#
# "usual" are the initial weights of most libraries. Without the word, the gates begin so that
# memories last as long as the task asks for.

# %%
results = {
    name: longest_lags(
        name, contenders, seeds, shortest=15 if quick() else 10, limit=limit, **sizes
    )
    for name, limit in tasks.items()
}
figure = go.Figure()
for name, result in results.items():
    medians = [result.median(contender) for contender in contenders]
    spread = [result.longest(contender) for contender in contenders]
    high = [max(found) - middle for found, middle in zip(spread, medians, strict=True)]
    low = [middle - min(found) for found, middle in zip(spread, medians, strict=True)]
    bars = {"type": "data", "symmetric": False, "array": high, "arrayminus": low}
    figure.add_bar(x=contenders, y=medians, error_y=bars, name=name)
figure.update_yaxes(title="longest lag that is learned")
Picture(
    figure,
    "For each cell and task the median over the seeds, with lowest and highest; 0 stands for less "
    "than the shortest. "
    + "; ".join(f"{name} was tried up to {limit}" for name, limit in tasks.items())
    + ".",
)

# %%
for name, result in results.items():
    for contender in contenders:
        print(f"{name:7} {contender:11} longest lag by seed: {result.longest(contender)}")

# %%
first = results["first"]
longest = {contender: first.median(contender) for contender in contenders}
claim(
    "RNNs have a short memory; LSTM and GRU remember longer.",
    "the gates of LSTM and GRU begin open: with the usual initial weights they are no better"
    if min(longest["lstm"], longest["gru"]) > longest["rnn"]
    else False,
    {f"longest lag on first, {name}": value for name, value in longest.items()},
)
