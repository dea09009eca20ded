# %% [markdown]
# # The review: which words stay
#
# One reads a review and remembers "amazing" and "will buy again", not "this" and "all". A network
# with gates should do likewise. Three cells learn to separate good reviews of products from bad
# ones; then look at what they kept.

# %%
import re

import numpy as np
import plotly.graph_objects as go

import minigrad as mg
from minigrad.data.padding import pad_sequence
from minigrad.models.guide import Frame, Frames, Picture, claim, coloured, fast_backend, quick
from minigrad.models.reports.explain import agreement, explain, log_odds
from minigrad.models.tasks.review_task import ProductReviews
from minigrad.models.training.loop import fit

print(fast_backend())

# %% [markdown]
# ## Three cells
#
# The reviews are sentences about products, by their users, with ratings (Hu and Liu 2004; Hutto
# and Gilbert 2014). A tenth of them is held out. Three in four are good, so the answer "good" is
# right three times in four without reading. That is why the two kinds count alike here: the
# measure is the mean of the share of good ones that are recognised and the share of bad ones.

# %%
epochs = 3 if quick() else 8
trained = {}
for cell in ("rnn", "lstm", "gru"):
    task = ProductReviews(ProductReviews.Settings(cell=cell, epochs=epochs))
    trained[cell] = task, fit(task).model.eval()

texts = task.sequences["test"]
numbers, lengths = pad_sequence(texts), [len(text) for text in texts]
labels = np.array(task.labels["test"])


def recognised(model):
    """The mean over both kinds of reviews of the share that is recognised; always one: a half."""
    good = log_odds(model, numbers, lengths) > 0
    return float((good[labels == 1].mean() + (~good)[labels == 0].mean()) / 2)


shares = {cell: recognised(model) for cell, (_, model) in trained.items()}
kinds = [int((labels == kind).sum()) for kind in (0, 1)]
error = float(np.sqrt(sum(0.25 / count for count in kinds)) / 2)  # standard, at most
claim(
    "A recurrent network can separate good reviews from bad ones.",
    min(shares.values()) > 0.5 + 2 * error,
    {
        **{f"recognised, {cell}": share for cell, share in shares.items()},
        "by always the same answer": 0.5,
        "standard error of a share": error,
        "bad and good reviews": kinds,
    },
)

# %% [markdown]
# Training has moved the words' vectors (chapter 1). Which lie in the same direction as those of
# some words, by the cosine of the angle between them? What these words do in the task is the
# same: not what they mean.

# %%
task, model = trained["lstm"]
vectors = model.embedding.weight.numpy()
vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
for word in ("great", "easy", "not", "problem", "camera"):
    if word in task.vocabulary.words:
        alike = vectors @ vectors[task.vocabulary.words.index(word)]
        nearest = [task.vocabulary.words[i] for i in np.argsort(-alike)[1:6]]
        print(f"{word:8}", *nearest, sep="  ")

# %% [markdown]
# ## Word by word
#
# Each word's part in the answer, computed in three ways. By the gates: what the word put into the
# state, and what the forget gates left of it at the end. By the gradient: gradient times input.
# By trying: what the answer loses without the word. Orange speaks for a good review, blue for a
# bad one; words in brackets are unknown to the model. The first line of each shows only how much
# of a word the gates let in and kept until the end, whatever it says.

# %%
examples = [
    "I love this camera, the pictures are great and it is so easy to use!",
    "The battery died after two weeks and the support was no help at all.",
    # The example of M. Phi's article of 2018, "Illustrated Guide to LSTM's and GRU's".
    "Amazing! This box of cereal gave me a perfectly balanced breakfast, as all things should be. "
    "I only ate half of it but will definitely be buying again!",
]
frames, cereal = [], {}
for cell in ("lstm", "gru"):
    task, model = trained[cell]
    for text in examples:
        found = explain(model, task.vocabulary, text)
        unknown = [not known for known in found.known]
        ways = {
            "kept until the end": found.memory.kept,
            "by the gates": found.memory.part,
            "by the gradient": found.gradient_times_input,
            "by trying": found.occlusion,
        }
        picture = "".join(
            f"<p><b>{way}</b><br>{coloured(found.words, values, unknown=unknown)}</p>"
            for way, values in ways.items()
        )
        chance = 1 / (1 + np.exp(-found.log_odds))
        said = f"The {cell.upper()} says: good, with probability {chance:.2f}."
        frames.append(Frame(f"{cell.upper()}: {text[:40]}…", picture, said))
        if text is examples[-1]:
            cereal[cell] = found, chance
Frames("What each word did for the answer", frames)

# %% [markdown]
# ## Do the gates say what matters?
#
# If they do, the words that they rank highest are those without which the answer changes.
# Spearman's rank correlation says how alike two rankings are; here is its mean over reviews that
# no cell was trained on.

# %%
some = 40 if quick() else 200
agreements = {cell: agreement(model, texts[:some]) for cell, (_, model) in trained.items()}
pairs = sorted({pair for found in agreements.values() for pair in found})
figure = go.Figure()
for cell, found in agreements.items():
    figure.add_bar(x=pairs, y=[found.get(pair) for pair in pairs], name=cell)
figure.update_yaxes(title="rank correlation", range=[-1, 1])
Picture(
    figure,
    "How alike two ways rank the words of a review: 1 for the same order, 0 for none. “gates, "
    "position” is different: it compares the size by the gates with the place in the text. Near 1 "
    "the gates say no more than what came last. An RNN has no gates.",
)

# %%
gates = {cell: agreements[cell]["gates, occlusion"] for cell in ("lstm", "gru")}
agree = [cell.upper() for cell, value in gates.items() if value > 0.4]
asked = "one asks what they let in and left of each word, and not only what is left at the end"
claim(
    "The gates keep the words that matter for the answer.",
    asked + (f", and of {agree[0]}s only" if len(agree) == 1 else "") if agree else False,
    {
        **{f"gates and trying agree, {cell}": value for cell, value in gates.items()},
        **{
            f"size by the gates and place in the text, {cell}": agreements[cell]["gates, position"]
            for cell in gates
        },
    },
)

# %% [markdown]
# ## Each gate, switched off
#
# `mg.override` puts a number in a gate's place, at each step and for each unit: 1 leaves it open
# all the time, 0 shut. The network was not trained for that. What does it still recognise?

# %%
switched = {}
for cell, names in {"lstm": ("forget", "input", "output"), "gru": ("reset", "update")}.items():
    for name in names:
        for value in (1.0, 0.0):
            with mg.override({name: value}):
                switched[cell, name, value] = recognised(trained[cell][1])
figure = go.Figure()
for value, state in ((1.0, "always open"), (0.0, "always shut")):
    bars = {f"{cell} {name}": share for (cell, name, v), share in switched.items() if v == value}
    figure.add_bar(x=[*bars], y=[*bars.values()], name=state)
for cell in ("lstm", "gru"):
    figure.add_hline(
        y=shares[cell],
        line_dash="dot",
        annotation_text=f"{cell} as trained",
        annotation_position="top left" if cell == "lstm" else "bottom right",
    )
figure.update_yaxes(title="recognised", range=[0.4, 1])
Picture(
    figure,
    "The share of reviews that is recognised with one gate held open or shut. Always the same "
    "answer gives a half. Dotted: with all gates as they were trained.",
)

# %%
open_all = {f"{cell} {name}": share for (cell, name, v), share in switched.items() if v == 1.0}
harmless = [name for name, share in open_all.items() if share > shares[name.split()[0]] - 2 * error]
shut = {f"{cell} {name}": share for (cell, name, v), share in switched.items() if v == 0.0}
claim(
    "Each gate does its part: with one of them always open, less is recognised.",
    not harmless,
    {
        **{f"{name} always open": share for name, share in open_all.items()},
        **{f"{name} always shut": share for name, share in shut.items()},
        **{f"as trained, {cell}": shares[cell] for cell in ("lstm", "gru")},
        "two standard errors": 2 * error,
        "as good as before with it open": ", ".join(harmless) or "none",
    },
)

# %% [markdown]
# These reviews are short, and a state that has room for all of a review needs no forgetting. So a
# gate that pictures show at work may be one that the answer does without.
#
# ## The article's review
#
# The article says that these words of it stay in memory, and that the others fade: “amazing”,
# “perfectly balanced breakfast” and “will definitely be buying again”. Of two words, one of these
# and one of the others, how often does the network let the first one count more? By chance half
# the time.

# %%
marked = set(
    re.findall(r"\w+", "amazing perfectly balanced breakfast will definitely be buying again")
)
ranks, evidence = {}, {}
for cell, (found, chance) in cereal.items():
    chosen = np.array([word in marked for word in found.words])
    evidence[f"probability of good, {cell}"] = float(chance)
    for way, values in {
        "by the gates": found.memory.part,
        "by the gradient": found.gradient_times_input,
        "by trying": found.occlusion,
    }.items():
        size = np.abs(values)
        ranks[cell, way] = float((size[chosen][:, None] > size[~chosen]).mean())
        evidence[f"marked word counts more, {cell}, {way}"] = ranks[cell, way]
    order = np.argsort(-np.abs(found.occlusion))
    evidence[f"five words that count most by trying, {cell}"] = [found.words[i] for i in order[:5]]
known = cereal["lstm"][0].known
unknown = [word for word, here in zip(cereal["lstm"][0].words, known, strict=True) if not here]
evidence["unknown words"] = ", ".join(unknown) or "none"
claim(
    "The review about the cereal is recognised as a good one.",
    all(chance > 0.5 for _, chance in cereal.values()),
    {name: value for name, value in evidence.items() if "probability" in name},
)

# %%
claim(
    "The words that the article marks are those that count.",
    min(ranks.values()) > 0.7,
    {name: value for name, value in evidence.items() if "probability" not in name},
)

# %% [markdown]
# Look at the unknown words before you believe the picture: what the model has never met, it can't
# keep. A single text proves little, and so does a picture of it: the numbers over all reviews
# above say more.
