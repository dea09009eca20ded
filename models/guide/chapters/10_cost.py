# %% [markdown]
# # What a cell costs, and what it is worth
#
# An RNN has one weighted sum in each step, a GRU three, an LSTM four. Does that hold for the time
# as well? And which of them is better?

# %%
import html
import re
import tempfile
import time
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

import minigrad as mg
from minigrad.doctor import report
from minigrad.models.guide import Frame, Frames, Picture, claim, fast_backend, quick
from minigrad.models.guide.chapter import chapters
from minigrad.models.reports.comparison import compare
from minigrad.models.tasks.registry import find_task
from minigrad.models.training.loop import fit
from minigrad.models.training.results import run_of

mg.manual_seed(10)
T, N, I, H = (20, 8, 16, 32) if quick() else (50, 32, 64, 128)
layers = {"RNN": mg.nn.RNN(I, H), "GRU": mg.nn.GRU(I, H), "LSTM": mg.nn.LSTM(I, H)}
x, g = mg.randn((T, N, I)), mg.randn((T, N, H))

# %% [markdown]
# ## Parameters and operations
#
# The products are nearly all of the work. What comes behind them is counted in the program of a
# step, which minigrad makes of the cell (chapter 14): so many numbers are computed in it by each
# function.

# %%
parameters = {name: sum(p.size for p in layer.parameters()) for name, layer in layers.items()}
products = {
    name: layer.weight_ih_l0.size + layer.weight_hh_l0.size for name, layer in layers.items()
}
squashed = {}
print(f"{'':5} {'parameters':>11} {'multiplications':>16}  behind the products")
for name, layer in layers.items():
    forward = str(layer.trace()).split("backward:")[0]
    found = re.findall(r"= (sigmoid|tanh|multiply|add|subtract)\(", forward)
    counts = {function: found.count(function) * H for function in dict.fromkeys(sorted(found))}
    squashed[name] = counts.get("sigmoid", 0) + counts["tanh"]
    behind = ", ".join(f"{count} {function}" for function, count in counts.items())
    print(f"{name:5} {parameters[name]:11,} {products[name]:16,}  {behind}")
claim(
    "RNN, GRU and LSTM cost as 1 : 3 : 4, in parameters and in multiplications.",
    [parameters[name] / parameters["RNN"] for name in layers] == [1, 3, 4]
    and [products[name] / products["RNN"] for name in layers] == [1, 3, 4],
    {
        **{f"parameters, {name}": value for name, value in parameters.items()},
        "numbers squashed in a step, RNN, GRU, LSTM": [*squashed.values()],
    },
)

# %% [markdown]
# ## Time
#
# A training step is a pass forwards and one back. The three take turns, and the quickest
# of all rounds counts, so that a busy moment of the computer hits none of them alone.


# %%
def training_step(layer):
    layer.zero_grad()
    y, _ = layer(x)
    (y * g).sum().backward()


backends = [row["name"] for row in report() if row["available"]]
rounds = 15 if quick() else 25
seconds = {}
for backend in backends:
    with mg.use_backend(backend):
        x, g = x.to(backend), g.to(backend)
        here = {name: layer.to(backend) for name, layer in layers.items()}
        times = {name: [] for name in here}
        for i in range(rounds + 1):
            for name, layer in here.items():
                start = time.perf_counter()
                training_step(layer)
                if i:  # the first round compiles
                    times[name].append(time.perf_counter() - start)
    seconds[backend] = {name: min(found) for name, found in times.items()}

figure = go.Figure()
for backend, found in seconds.items():
    figure.add_bar(x=list(found), y=[1000 * value for value in found.values()], name=backend)
figure.update_yaxes(title="milliseconds for a training step")
Picture(
    figure,
    f"A training step with {T} words of {N} texts, {H} units, on each backend that works here.",
)

# %%
ratios = {
    backend: [found[name] / found["RNN"] for name in ("RNN", "GRU", "LSTM")]
    for backend, found in seconds.items()
}
claim(
    "The time follows: 1 : 3 : 4, within a third.",
    all(
        wanted / 1.34 < ratio < wanted * 1.34
        for found in ratios.values()
        for ratio, wanted in zip(found, (1, 3, 4), strict=True)
    ),
    {f"time on {backend}, RNN : GRU : LSTM": found for backend, found in ratios.items()},
)

# %%
claim(
    "A GRU is a little faster than an LSTM.",
    all(found["GRU"] < found["LSTM"] for found in seconds.values()),
    {
        f"time of the GRU by the LSTM's on {backend}": found["GRU"] / found["LSTM"]
        for backend, found in seconds.items()
    },
)

# %% [markdown]
# ## Which one is better?
#
# Train all three on several tasks, each with several seeds: of the weights and of the order of the
# examples. A difference counts only if it is larger than what another seed makes. The sizes are
# small, so that it is done in minutes; `minigrad train TASK --cell rnn,lstm,gru --seeds 5` makes
# the same table for any task and size.

# %%
print(fast_backend())
tasks = {
    "adding": {"lag": 20, "epochs": 8},
    "copy": {"lag": 10, "length": 3, "symbols": 4, "epochs": 8},
    "text": {"hidden": 128, "embedding": 32, "epochs": 3, "batch_size": 16, "lr": 1e-2},
    "digits": {"epochs": 20},
    "products": {},
}
if quick():
    small = {"hidden": 16, "lr": 0.02, "epochs": 1, "batches": 50, "batch_size": 16}
    text = {"hidden": 16, "embedding": 8, "epochs": 1, "lr": 0.02}
    tasks = {"adding": {"lag": 10, **small}, "copy": {"lag": 5, "length": 2, **small}}
    tasks |= {"first": {"lag": 10, "symbols": 2, **small}, "text": text}
script = Path(tempfile.mkdtemp()) / "guide.txt"  # the text is that of this guide
some = chapters()[: 2 if quick() else None]
script.write_text("\n".join(chapter.source for chapter in some), encoding="utf-8")
seeds = range(2 if quick() else 3)
compared = {}
for name, settings in tasks.items():
    kind, runs = find_task(name), []
    if name == "text":
        settings = {**settings, "source": str(script)}
    for cell in ("rnn", "lstm", "gru"):
        for seed in seeds:
            training = fit(kind(kind.Settings(cell=cell, seed=seed, **settings)))
            runs.append(run_of(training).metrics)
    compared[name] = compare(kind.metric, runs)


def table(found):
    """The mean of the seeds of each cell with the spread, and what is to beat, as HTML."""
    lines = [["", found.metric.name, "from – to", "parameters"]]
    for row in found.rows:
        mean, low, high = map(found.metric.print, (row.mean, row.lowest, row.highest))
        lines.append([row.cell, mean, f"{low} – {high}", f"{row.parameters:,}"])
    lines += [[name, found.metric.print(value)] for name, value in found.baselines.items()]
    cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in lines)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in cells)}</table>"


frames = [Frame(name, table(found), " ".join(found.judgements)) for name, found in compared.items()]
Frames(f"Means over {len(seeds)} seeds, the best first", frames)

# %%
cells = ("rnn", "lstm", "gru")
titles = [
    f"{name}: {found.metric.name}, {found.metric.better} is better"
    for name, found in compared.items()
]
figure = make_subplots(rows=len(tasks), cols=1, subplot_titles=titles, vertical_spacing=0.07)
for row, found in enumerate(compared.values(), 1):
    points = [(run["settings"]["cell"], run["test"][found.metric.name]) for run in found.runs]
    figure.add_scatter(
        x=[value for _, value in points],
        y=[cell for cell, _ in points],
        mode="markers",
        marker={"size": 10, "opacity": 0.6},
        row=row,
        col=1,
    )
    figure.update_yaxes(categoryarray=cells[::-1], categoryorder="array", row=row, col=1)
figure.update_layout(showlegend=False, height=150 * len(tasks) + 40, margin={"t": 40})
Picture(figure, "A point for each seed. Where the points of two cells lie apart, one is better.")


# %%
def better(found, one, two):
    """Whether one cell is better than another by more than their seeds differ, each seed."""
    values = {
        cell: [
            run["test"][found.metric.name] for run in found.runs if run["settings"]["cell"] == cell
        ]
        for cell in (one, two)
    }
    if found.metric.better == "higher":
        return min(values[one]) > max(values[two])
    return max(values[one]) < min(values[two])


won = {
    f"{one} better than {two}": [n for n, found in compared.items() if better(found, one, two)]
    for one, two in (("lstm", "gru"), ("gru", "lstm"), ("lstm", "rnn"), ("gru", "rnn"))
}
evidence = {pair: ", ".join(names) or "on no task" for pair, names in won.items()}
claim(
    "Between LSTM and GRU there is no clear winner.",
    max(len(won["lstm better than gru"]), len(won["gru better than lstm"])) < len(tasks),
    {"tasks": ", ".join(tasks), "seeds": len(seeds), **evidence},
)

# %%
both = [n for n in tasks if n in won["lstm better than rnn"] and n in won["gru better than rnn"]]
claim(
    "LSTM and GRU are better than an RNN.",
    len(both) == len(tasks) or f"the task is {' or '.join(both)}" * bool(both) or False,
    {name: value for name, value in evidence.items() if "rnn" in name},
)
