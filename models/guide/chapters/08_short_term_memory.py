# %% [markdown]
# # Short-term memory: the longest lag that each cell learns
#
# How long is short? The tasks here ask for one thing only: what was read some steps ago. The lag
# is doubled until a cell no longer learns it.

# %%
import plotly.graph_objects as go

from minigrad.models.guide import Picture, claim, fast_backend, moving, quick
from minigrad.models.reports.longest_lag import longest_lags
from minigrad.models.tasks.registry import find_task

print(fast_backend())
contenders = ["rnn", "lstm:usual", "lstm", "gru:usual", "gru"]
small = {"symbols": 2, "hidden": 16, "lr": 0.02, "epochs": 5, "batches": 60, "batch_size": 16}
if quick():
    seeds, sizes = [0], {"first": {"shortest": 15, "limit": 30, **small}}
else:
    seeds = [0, 1, 2]
    sizes = {
        "first": {"shortest": 10, "limit": 80},
        "adding": {"shortest": 10, "limit": 80, "epochs": 12},
        "copy": {"shortest": 5, "limit": 40, "epochs": 20, "length": 3, "symbols": 4},
    }

# %% [markdown]
# ## Three tasks
#
# `first`: which symbol came first? `adding`: the sum of the two numbers that were marked, among
# many that were not. `copy`: say some symbols again after a pause. Here is an example of each.

# %%
for name in ("first", "adding", "copy"):
    kind = find_task(name)
    task = kind(kind.Settings(lag=10))
    task.load()
    print(name, task.show(task.model()), sep="\n", end="\n\n")

# %% [markdown]
# A task is learned when the loss falls below a limit, and each training has the same number of
# steps. "usual" are the initial weights of most libraries. Without the word, the gates begin so
# that memories last as long as the task asks for.

# %%
results = {name: longest_lags(name, contenders, seeds, **size) for name, size in sizes.items()}
figures = {}
for name, result in results.items():
    medians = [result.median(contender) for contender in contenders]
    figure = go.Figure()
    figure.add_bar(x=contenders, y=medians, name="median", opacity=0.5)
    points = [(c, lag) for c in contenders for lag in result.longest(c)]
    figure.add_scatter(
        x=[c for c, _ in points], y=[lag for _, lag in points], mode="markers", name="a seed"
    )
    highest = max(max(result.lags) for result in results.values())
    figure.update_yaxes(title="longest lag that is learned", range=[-4, 1.1 * highest])
    figures[name] = figure
tried = "; ".join(f"{name} up to {max(result.lags)}" for name, result in results.items())
Picture(
    moving(figures, "task"),
    "The longest lag that each cell learns: a point for each seed, and their median as a bar; 0 "
    f"stands for less than the shortest lag. {tried}: a cell that gets there may remember longer.",
)

# %%
for name, result in results.items():
    for contender in contenders:
        print(f"{name:7} {contender:11} longest lag by seed: {result.longest(contender)}")

# %%
longest = {contender: results["first"].median(contender) for contender in contenders}
opened, usual = (min(longest[f"{c}{w}"] for c in ("lstm", "gru")) for w in ("", ":usual"))
claim(
    "RNNs have a short memory; LSTM and GRU remember longer.",
    usual > longest["rnn"]
    or "their gates begin open, which the usual initial weights don't do"
    * (opened > longest["rnn"])
    or False,
    {f"longest lag on first, {name}": value for name, value in longest.items()},
)

# %%
beaten = [
    name
    for name, result in results.items()
    if min(result.median("lstm"), result.median("gru")) > result.median("rnn")
]
claim(
    "With open gates, LSTM and GRU remember longer than the RNN, whatever the task asks for.",
    len(beaten) == len(results) or f"the task is {' or '.join(beaten)}" * bool(beaten) or False,
    {
        f"median on {name}, RNN, LSTM, GRU": [result.median(c) for c in ("rnn", "lstm", "gru")]
        for name, result in results.items()
    },
)

# %%
longer = {
    one: [n for n, result in results.items() if min(result.longest(one)) > max(result.longest(two))]
    for one, two in (("lstm", "gru"), ("gru", "lstm"))
}
claim(
    "Neither LSTM nor GRU remembers longer on every task.",
    max(map(len, longer.values())) < len(results),
    {
        **{
            f"each seed longer than all of the other's, {one}": ", ".join(found) or "on no task"
            for one, found in longer.items()
        },
        "seeds": len(seeds),
    },
)

# %% [markdown]
# What a cell learns within so many steps is not all that it could learn: with more steps, a larger
# state or another learning rate the lags grow. `minigrad bench memory` measures them for settings
# of yours, and for initial weights that help an RNN, too: `rnn:orthogonal`, `rnn:identity`.
