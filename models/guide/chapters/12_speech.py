# %% [markdown]
# # Speech: from a sound to digits, without knowing when
#
# A recording is thousands of numbers in each second, and what is said in it a handful of digits.
# No file says which moment holds which digit. A network can learn it all the same, from sounds
# and their digits alone.

# %%
import itertools
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

import minigrad as mg
from minigrad.models.guide import Frame, Frames, Picture, boxes, claim, coloured, moving, quick
from minigrad.models.speech import espeak
from minigrad.models.tasks.speech import Speech, SpeechSettings
from minigrad.models.tasks.spoken_digits import ACCENTS, DIGITS, STACKED, hear, part_of
from minigrad.models.tasks.transcription import Example
from minigrad.models.training.callbacks import Callback
from minigrad.models.training.loop import fit

STEP = 0.010 * STACKED  # seconds from one vector that the network reads to the next
print("spoken by espeak-ng", espeak.release())

# %% [markdown]
# ## What it hears
#
# A synthesiser speaks the digits, each after the other with a pause between, and some noise is
# added. So the beginning and the end of each digit are known here: the network never sees them,
# but we can judge by them. Its voices are artificial, and what is learned from them says little
# about people.


# %%
class Spoken(NamedTuple):
    """A string of digits: its sound, and when each of them is said, in seconds."""

    digits: list[int]
    voice: str
    sound: np.ndarray
    times: list[tuple[float, float]]


def speak(seed, variants, digits=None):
    """Digits, by default random ones, in a random voice, accent, speed and pitch, in noise."""
    rng = np.random.default_rng(seed)  # one for each: the synthesiser is not quite repeatable
    if digits is None:
        digits = rng.integers(0, 10, rng.integers(1, longest + 1)).tolist()
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(variants)}"
    how = {"speed": int(rng.integers(130, 220)), "pitch": int(rng.integers(25, 75))}
    sound, times = [], []
    for digit in digits:
        sound.append(np.zeros(int(rng.integers(0.03 * espeak.RATE, 0.25 * espeak.RATE))))
        word = espeak.synthesize(DIGITS[digit], voice, **how)
        loud = np.flatnonzero(np.abs(word) > 0.02 * np.abs(word).max())
        start = sum(map(len, sound)) / espeak.RATE
        sound.append(word[loud[0] : loud[-1]])
        times.append((start, start + len(sound[-1]) / espeak.RATE))
    sound.append(np.zeros(int(rng.integers(0.03 * espeak.RATE, 0.25 * espeak.RATE))))
    samples = np.concatenate(sound)
    noise = rng.standard_normal(len(samples)) * samples.std() * 10 ** -rng.uniform(0.5, 2)
    return Spoken(digits, voice, samples + noise, times)


# %% [markdown]
# Whole families of voices are for the test only. From the sound come the energies in 26 bands of
# frequencies, from low to high, a hundred times in a second; three of these vectors at once are a
# step of the network.

# %%
voices = {
    part: [name for name in espeak.variants() if part_of(name) == part]
    for part in ("train", "validation", "test")
}
sizes = {"train": 1500, "validation": 150, "test": 400}
if quick():
    sizes = {"train": 240, "validation": 30, "test": 50}
longest = 2 if quick() else 4  # digits in a string
spoken = {
    part: [speak((12, place, i), voices[part]) for i in range(sizes[part])]
    for place, part in enumerate(sizes)
}
# New strings, by voices of the training.
known = [speak((12, 3, i), voices["train"]) for i in range(sizes["test"])]
shown = speak(12, voices["test"], [4, 1] if quick() else [4, 1, 7])
features = hear(shown.sound)
print({part: len(group) for part, group in spoken.items()}, "strings;", *map(len, voices.values()))

# %%
bands = features.reshape(-1, features.shape[1] // STACKED)  # (T * 3, 26), every 10 milliseconds
chunk = len(shown.sound) // 500
edges = shown.sound[: 500 * chunk].reshape(500, chunk)
time = (np.arange(500) + 0.5) * chunk / espeak.RATE
figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.04)
outline = np.ravel([edges.min(axis=1), edges.max(axis=1)], order="F")
figure.add_scatter(x=np.repeat(time, 2), y=outline, line_width=1, name="sound", row=1, col=1)
energy = go.Heatmap(z=bands.T.round(2), x=np.arange(len(bands)) * 0.010, colorscale="Viridis")
figure.add_trace(energy.update(showscale=False), row=2, col=1)
for digit, (start, end) in zip(shown.digits, shown.times, strict=True):
    figure.add_vrect(start, end, fillcolor="orange", opacity=0.2, line_width=0, row=1, col=1)
    middle = (start + end) / 2
    figure.add_annotation(x=middle, y=outline.max(), text=str(digit), showarrow=False, row=1, col=1)
figure.update_xaxes(range=[0, len(shown.sound) / espeak.RATE])
figure.update_xaxes(title="seconds", row=2, col=1)
figure.update_yaxes(showticklabels=False, title="sound", row=1, col=1)
figure.update_yaxes(title="band", row=2, col=1)
figure.update_layout(showlegend=False)
Picture(
    figure,
    f"Above the sound of “{' '.join(DIGITS[digit] for digit in shown.digits)}” by {shown.voice}, "
    "with the digits where they are said. Below what the network gets of it: the energy in each "
    "band, low frequencies at the bottom, bright where it is loud.",
)

# %% [markdown]
# ## A blank, and what is left after collapsing
#
# At each step the network gives a probability to each digit, and to a **blank**: “nothing new”.
# A row of such symbols is read in two moves: what is said at several steps in a row counts once,
# and blanks are left out. So `4 4 - - 1 1` is 41, and so is `- 4 - 1 - -`.
#
# Connectionist temporal classification (CTC) asks for nothing but that the digits come out. The
# probability of 41 is the sum over *all* rows of symbols which collapse to it. Here they are for
# four steps of three symbols, by trying all rows.


# %%
def collapse(row):
    """The labels that a row of symbols says; 0 is the blank."""
    return [symbol for symbol, _ in itertools.groupby(row) if symbol]


scores = mg.tensor(np.random.default_rng(0).normal(size=(4, 3)), requires_grad=True)
log_probs = mg.log_softmax(scores, -1)  # (T, C)
p = np.exp(log_probs.numpy())
rows = [row for row in itertools.product(range(3), repeat=4) if collapse(row) == [1, 2]]
chances = [float(np.prod([p[t, symbol] for t, symbol in enumerate(row)])) for row in rows]
for row, chance in zip(rows, chances, strict=True):
    print(" ".join("-12"[symbol] for symbol in row), f"  probability {chance:.5f}")
print(f"{len(rows)} of {3**4} rows say 12; together {sum(chances):.5f}")

# %% [markdown]
# Longer recordings have too many rows to try. The **forward algorithm** goes through the steps
# once. The labels, with blanks around them, are places in a line: blank, 1, blank, 2, blank. A row
# starts at the first or second place. At each step it stays, goes on by one, or by two from a
# label to another one. What arrives at a place is added up, and multiplied by the probability of
# the place's symbol.

# %%
places = [0, 1, 0, 2, 0]
names = ["-", "1", "-", "2", "-"]
alpha = np.array([1.0, 0, 0, 0, 0])
frames, done = [], {}
for t in range(4):
    before = alpha
    for place, symbol in enumerate(places):
        arrives = before[place] + (before[place - 1] if place else 0)
        if place > 1 and symbol and symbol != places[place - 2]:
            arrives += before[place - 2]
        alpha = np.where(np.arange(5) == place, arrives * p[t, symbol], alpha)
    done[f"after step {t + 1}"] = alpha
    text = f"The probability of all rows of {t + 1} symbols that end at each of: {' '.join(names)}."
    picture = boxes(done, marked=[f"after step {t + 1}"], largest=0.3)
    frames.append(Frame(f"step {t + 1}", picture, text))
Frames("The forward algorithm adds up rows as it goes", frames)

# %%
by_loss = float(np.exp(-mg.ctc_loss(log_probs, [1, 2], None, None, reduction="sum").item()))
claim(
    "One pass over the steps adds up all rows that say the same.",
    abs(sum(chances) - by_loss) < 1e-12 and abs(alpha[-1] + alpha[-2] - by_loss) < 1e-12,
    {
        "rows": len(rows),
        "sum over all rows": sum(chances),
        "the last two places": float(alpha[-1] + alpha[-2]),
        "mg.ctc_loss": by_loss,
        "the most probable row alone": max(chances),
    },
)

# %%
twice = {
    steps: mg.ctc_loss(mg.log_softmax(mg.zeros((steps, 3)), -1), [1, 1], None, None).item()
    for steps in (2, 3)
}
claim(
    "A digit that is said twice needs a blank between.",
    np.isinf(twice[2]) and np.isfinite(twice[3]) and mg.ctc_greedy(mg.eye(3)[[1, 1]]) == [[1]],
    {
        "loss of 1 1 in two steps": str(twice[2]),
        "loss of 1 1 in three steps": twice[3],
        "what 1 1 without a blank says": str(mg.ctc_greedy(mg.eye(3)[[1, 1]])[0]),
        "what 1 - 1 says": str(mg.ctc_greedy(mg.eye(3)[[1, 0, 1]])[0]),
    },
)

# %% [markdown]
# ## The network learns to listen
#
# An LSTM reads the steps in both directions, so that what it says at a step may depend on what
# comes later. After each epoch it is asked for the recording above, which is not among those that
# it learns from.


# %%
class Digits(Speech):
    """The task `speech`, with the strings of this chapter."""

    def load(self):
        self.parts = {
            part: [Example(hear(s.sound), [[d + 1 for d in s.digits]]) for s in group]
            for part, group in [*spoken.items(), ("known", known)]
        }
        self.voices = {part: [s.voice for s in group] for part, group in spoken.items()}


def listen(model, features):
    """The probability of each symbol at each step, (T, 11): the blank, then the digits."""
    model.eval()
    with mg.no_grad():
        return np.exp(task.read(model, [features])[0].numpy()[:, 0])


class Snapshots(Callback):
    """Keeps what the network says of the recording, after each epoch."""

    def __init__(self):
        self.kept = {}

    def begin(self, training):
        self.kept[0] = listen(training.model, features)
        training.model.train()

    def epoch(self, training, record):
        self.kept[record.epoch] = listen(training.model, features)
        training.model.train()


small = {"hidden": 32, "epochs": 7, "batch_size": 8, "lr": 0.01} if quick() else {}
task = Digits(SpeechSettings(**{"hidden": 48, "epochs": 8, "batch_size": 24, "lr": 8e-3, **small}))
snapshots = Snapshots()
model = fit(task, callbacks=[snapshots]).model

SYMBOLS = ["-", *map(str, range(10))]
seconds = (np.arange(len(features)) + 0.5) * STEP
figures = {}
for epoch, said in snapshots.kept.items():
    figure = go.Figure()
    for symbol, name in enumerate(SYMBOLS):
        line = {"color": "gray", "dash": "dot"} if not symbol else {}
        label = name if symbol else "blank"
        figure.add_scatter(x=seconds, y=said[:, symbol].round(4), name=label, line=line)
    best = [SYMBOLS[symbol] if symbol else "·" for symbol in said.argmax(axis=1)]
    row = {"y": [1.06] * len(best), "text": best, "mode": "text", "textfont_size": 10}
    figure.add_scatter(x=seconds, **row, showlegend=False)
    for digit, (start, end) in zip(shown.digits, shown.times, strict=True):
        figure.add_vrect(start, end, fillcolor="orange", opacity=0.15, line_width=0)
        figure.add_annotation(x=(start + end) / 2, y=-0.06, text=f"“{digit}”", showarrow=False)
    figure.update_yaxes(range=[-0.12, 1.12], title="probability")
    figure.update_xaxes(title="seconds")
    figures[epoch] = figure
Picture(
    moving(figures, "epoch", start=-1),
    "Each line is a symbol's probability over time; the row above has the most probable one of "
    "each step. Orange is where a digit is said. At first all symbols are alike, then the blank "
    "is everywhere, and then digits rise out of it as spikes. Play it from the beginning.",
)

# %% [markdown]
# ## What the collapse makes of it

# %%
said = snapshots.kept[max(snapshots.kept)]
best = said.argmax(axis=1)
once = [symbol for symbol, _ in itertools.groupby(best)]
frames = [
    Frame(name, coloured([SYMBOLS[s] for s in row], [float(s > 0) for s in row]), text)
    for name, row, text in [
        ("1 most probable", best, f"The best symbol of each step of {1000 * STEP:.0f} ms."),
        ("2 once each", once, "The same symbol at several steps in a row counts once."),
        ("3 without blanks", [s for s in once if s], "What the network has heard."),
    ]
]
Frames("From steps to digits", frames)

# %% [markdown]
# ## Voices that it never heard
#
# `exact` is the share of strings that are right from beginning to end.

# %%
parts = {"unheard voices": "test", "voices of the training": "known"}
figures_of = {name: task.evaluate(model, part) for name, part in parts.items()}
rivals = task.baselines()
unheard, familiar = figures_of.values()
claim(
    "It has learned to write down digits of voices that it never heard, without any times.",
    unheard["exact"] > 3 * max(rivals.values()),
    {
        "right strings": unheard["exact"],
        "errors per digit": unheard["digit_errors"],
        **rivals,
        "strings": sizes["test"],
    },
)

# %%
count = sizes["test"]
variance = sum(f["exact"] * (1 - f["exact"]) / count for f in figures_of.values())
error = max(float(np.sqrt(variance)), 1 / count)
claim(
    "A voice that it never heard is as easy for it as one of the training.",
    abs(familiar["exact"] - unheard["exact"]) < 2 * error,
    {
        **{f"right strings, {name}": found["exact"] for name, found in figures_of.items()},
        "standard error of the difference": error,
    },
)

# %% [markdown]
# ## Who said when?
#
# If the digits are given, the gradient of the loss says where each is: the derivative with respect
# to the log-probability of a symbol at a step is minus the share of all rows, weighed by their
# probability, that have the symbol there.

# %%
log_probs = mg.tensor(np.log(np.maximum(said, 1e-30))[:, None], requires_grad=True)
loss = mg.ctc_loss(log_probs, [[d + 1 for d in shown.digits]], None, None, reduction="sum")
share = -mg.grad(loss, log_probs).numpy()[:, 0]  # (T, 11)
figure = go.Figure()
figure.add_heatmap(z=share.T.round(4), x=seconds, y=["blank", *SYMBOLS[1:]], colorscale="Blues")
for start, end in shown.times:
    figure.add_vrect(start, end, line={"color": "orange", "width": 2})
figure.update_xaxes(title="seconds")
figure.update_yaxes(title="symbol", type="category")
Picture(
    figure,
    "The alignment: at each step the share of the rows that say the right digits which have each "
    "symbol there. Orange lines are around the time in which a digit is said.",
)

# %%
small_x = mg.log_softmax(scores, -1).detach()
small_x.requires_grad = True
small_loss = mg.ctc_loss(small_x, [1, 2], None, None, reduction="sum")
by_rows = np.zeros((4, 3))
for row, chance in zip(rows, chances, strict=True):
    by_rows[np.arange(4), row] += chance / sum(chances)
apart = float(np.abs(-mg.grad(small_loss, small_x).numpy() - by_rows).max())
claim(
    "The gradient of the loss is the alignment.",
    apart < 1e-9 and float(np.abs(share.sum(axis=1) - 1).max()) < 1e-3,
    {
        "largest difference to the count over all rows of the small example": apart,
        "furthest sum over the symbols of a step from 1": float(np.abs(share.sum(1) - 1).max()),
    },
)

# %% [markdown]
# Now the same for all test strings that were heard right: does the spike of a digit lie where the
# digit is said, and how much of its time does it fill?

# %%
inside, filled, late = [], [], []
for string in spoken["test"]:
    best = listen(model, hear(string.sound)).argmax(axis=1)
    runs, t = [], 0
    for symbol, group in itertools.groupby(best):
        length = len([*group])
        if symbol:
            runs.append((symbol - 1, t, t + length))
        t += length
    if [digit for digit, _, _ in runs] != string.digits:
        continue
    for (_, first, last), (start, end) in zip(runs, string.times, strict=True):
        middle = (first + last) / 2 * STEP
        inside.append(start <= middle <= end)
        filled.append((last - first) * STEP / (end - start))
        late.append((middle - start) / (end - start))
claim(
    "The alignment says when a digit is spoken.",
    "one asks for a moment within it: its beginning and end are not in the spike"
    if np.mean(inside) > 0.75 and np.mean(filled) < 0.75
    else bool(np.mean(inside) > 0.75),
    {
        "digits": len(inside),
        "share of spikes whose middle is within the digit": float(np.mean(inside)),
        "part of the digit's time that its spike fills": float(np.mean(filled)),
        "where the middle is: 0 beginning, 1 end": float(np.median(late)),
        "spread of that, 5% and 95%": [float(v) for v in np.quantile(late, [0.05, 0.95])],
    },
)

# %% [markdown]
# Longer strings, spoken in one breath, and files of your own: `minigrad train speech --out
# listener` and `minigrad transcribe listener digits.wav`.
