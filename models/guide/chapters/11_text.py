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
from minigrad.models.guide import (
    Coloured,
    Frame,
    Frames,
    Picture,
    claim,
    coloured,
    fast_backend,
    quick,
)
from minigrad.models.guide.chapter import chapters
from minigrad.models.networks.generation import probabilities
from minigrad.models.tasks.plays import load_plays
from minigrad.models.tasks.text_task import Text, Texts, TextSettings
from minigrad.models.training.loop import evaluate, fit

# %% [markdown]
# ## What it reads
#
# A part of Shakespeare's plays; in a quick run the scripts of this guide, which are shorter.
# `minigrad train text --out poet` reads all of the plays, with a larger state, and writes better.


# %%
class SomePlays(Text):
    """The task `text`, with a part of the plays."""

    def load(self):
        plays = load_plays()
        self.take(Texts(plays.train[:1_500_000], plays.validation[:100_000], plays.test[:100_000]))


print(fast_backend())
if quick():
    path = Path(tempfile.mkdtemp()) / "guide.txt"
    path.write_text("\n".join(chapter.source for chapter in chapters()), encoding="utf-8")
    small = {"hidden": 64, "embedding": 16, "epochs": 3, "batch_size": 16, "lr": 1e-2}
    task = Text(TextSettings(source=str(path), **small))
else:
    task = SomePlays(TextSettings(hidden=256, epochs=3, lr=5e-3))
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
    {
        f"bits of uncertainty, first character, at {temperature}": value
        for temperature, value in spread.items()
    },
)

# %% [markdown]
# ## What a unit watches
#
# Each unit of the state is a number after each character. Pick any of them, and look where it is
# high (orange) and where low (blue). Some follow something that one can name: the end of a line, a
# name in capitals, a quotation. Most don't.

# %%
passage = task.texts.test[:500]
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


units = range(states.shape[1])
named = {}
for mark, words in {"\n": "line ends", " ": "spaces", ",": "commas", ".": "full stops"}.items():
    unit = max(units, key=lambda unit: marks(unit, mark))
    named.setdefault(unit, f"unit {unit}, which marks {words} best")
names = {**named, **{unit: f"unit {unit}" for unit in units if unit not in named}}
Coloured(
    "The text, coloured by the unit that you pick",
    list(passage),
    {said: states[:, unit] for unit, said in names.items()},
    between="",
)

# %%
best = max(marks(unit, " ") for unit in units)
typical = float(np.median([marks(unit, " ") for unit in units]))
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
