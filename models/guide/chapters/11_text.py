# %% [markdown]
# # Writing: text, character by character
#
# A network that predicts the next character can write: draw a character from what it predicts,
# let it read that, and so on. What it has learned shows in what it writes, and its units can be
# watched at it.

# %%
import math
import tempfile
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

import minigrad as mg
from minigrad.models.guide import Frame, Frames, Picture, claim, coloured, quick
from minigrad.models.guide.chapter import chapters
from minigrad.models.networks.generation import probabilities
from minigrad.models.tasks.text_task import Text, TextSettings
from minigrad.models.training.loop import evaluate, fit

# %% [markdown]
# ## What it reads
#
# All of Shakespeare's plays; in a quick run the scripts of this guide, which are shorter.

# %%
if quick():
    path = Path(tempfile.mkdtemp()) / "guide.txt"
    path.write_text("\n".join(chapter.source for chapter in chapters()), encoding="utf-8")
    small = {"hidden": 64, "embedding": 16, "epochs": 3, "batch_size": 16, "lr": 1e-2}
    settings = TextSettings(source=str(path), **small)
else:
    settings = TextSettings(hidden=256, epochs=1)
task = Text(settings)
training = fit(task)
model = training.model
print(task.about())

# %%
bits = evaluate(task, model, "test")["bits_per_character"]
rivals = task.baselines()
claim(
    "The network has learned more of the language than how frequent each character is.",
    bits < rivals["frequencies of characters"],
    {
        "bits per character": bits,
        **{f"bits per character, {name}": v for name, v in rivals.items()},
    },
)

# %% [markdown]
# ## Temperature
#
# The scores of the next character are divided by the temperature before they become
# probabilities. A low one makes the network repeat what is most likely, a high one makes it
# careless.

# %%
frames, lengths = [], {}
start = task.encode("\n")
for temperature in (0.3, 0.7, 1.0, 1.5):
    drawn = model.sample(start, 300, temperature=temperature, rng=np.random.default_rng(11))
    text = task.decode(drawn)
    lengths[temperature] = len(set(text.split()))
    frames.append(Frame(f"temperature {temperature}", coloured([text], [0.0])))
Frames("The same model, four temperatures", frames)

# %%
with mg.no_grad():
    log_probabilities, _ = model(start[:, None])
scores = log_probabilities.numpy()[-1, 0]
spread = {}
for temperature in (0.3, 0.7, 1.0, 1.5):
    p = probabilities(scores, temperature)
    p = p[p > 0]
    spread[temperature] = float(-(p * np.log2(p)).sum())
claim(
    "The higher the temperature, the less certain the next character.",
    sorted(spread.values()) == list(spread.values()),
    {f"bits of uncertainty at {temperature}": value for temperature, value in spread.items()},
)

# %% [markdown]
# ## What a unit watches
#
# Each unit of the state is a number after each character. Pick a unit, and look where it is high
# (orange) and where low (blue). Some follow something that one can name: the end of a line, a
# name in capitals, a quotation. Most don't.

# %%
passage = task.texts.test[:600]
known = task.vocabulary.encode(passage)
with mg.record() as trace, mg.no_grad():
    model(known[:, None])
name = next(name for name in trace if name.endswith("hidden"))
states = trace[name][:, 0]  # (T, H)


def marks(unit, mark):
    """How well a unit's value separates the characters before which `mark` stands."""
    where = np.array([c == mark for c in passage])
    value = states[:, unit]
    if not where.any() or where.all():
        return 0.0
    return float(abs(value[where].mean() - value[~where].mean()) / (value.std() + 1e-6))


picked = {}
for mark, words in {"\n": "line ends", " ": "spaces", ",": "commas", ".": "full stops"}.items():
    unit = max(range(states.shape[1]), key=lambda unit: marks(unit, mark))
    picked.setdefault(unit, f"unit {unit}, which marks {words}")
for unit in range(4):
    picked.setdefault(unit, f"unit {unit}")
frames = [
    Frame(said, coloured(list(passage), states[:, unit], between=""))
    for unit, said in sorted(picked.items(), key=lambda item: len(item[1]), reverse=True)
]
Frames("The text, coloured by one unit of the state", frames)

# %%
best = max(marks(unit, " ") for unit in range(states.shape[1]))
typical = float(np.median([marks(unit, " ") for unit in range(states.shape[1])]))
claim(
    "There are units that one can name.",
    "one looks for them: the best of all units marks spaces, a typical one doesn't",
    {"best unit, distance in standard deviations": best, "typical unit": typical},
)

# %% [markdown]
# ## How it got there

# %%
history = training.history
figure = go.Figure()
epochs = [record.epoch for record in history]
figure.add_scatter(
    x=epochs, y=[record.train_loss / math.log(2) for record in history], name="training"
)
figure.add_scatter(
    x=epochs, y=[record.validation["bits_per_character"] for record in history], name="validation"
)
figure.update_xaxes(title="epoch", dtick=1)
figure.update_yaxes(title="bits per character")
Picture(figure, "Bits per character by epoch: what the text costs if this model writes it down.")
