# %% [markdown]
# # The review: which words stay
#
# One reads a review and remembers "amazing" and "will buy again", not "this" and "all". A network
# with gates should do likewise. Three cells learn to separate good reviews of products from bad
# ones; then look at what they kept.

# %%
import numpy as np

from minigrad.models.guide import Frame, Frames, claim, coloured, quick
from minigrad.models.reports.explain import agreement, explain
from minigrad.models.tasks.review_task import ProductReviews
from minigrad.models.training.loop import evaluate, fit

# %% [markdown]
# ## Three cells
#
# The reviews are sentences about products, by their users, with ratings (Hu and Liu 2004; Hutto
# and Gilbert 2014). A tenth of them is held out.

# %%
epochs = 3 if quick() else 8
trained, accuracy = {}, {}
for cell in ("rnn", "lstm", "gru"):
    task = ProductReviews(ProductReviews.Settings(cell=cell, epochs=epochs))
    trained[cell] = task, fit(task).model
    accuracy[cell] = evaluate(task, trained[cell][1], "test")["accuracy"]
rivals = task.baselines()
for name, value in {**accuracy, **rivals}.items():
    print(f"{name:24} {value:.3f}")
claim(
    "A recurrent network can separate good reviews from bad ones.",
    min(accuracy.values()) > rivals["always the same answer"] + 0.05,
    {**{f"right answers, {cell}": value for cell, value in accuracy.items()}, **rivals},
)

# %% [markdown]
# ## Word by word
#
# Each word's part in the answer, computed in three ways. By the gates: what the word put into the
# state, and what the forget gates left of it at the end. By the gradient: gradient times input.
# By trying: what the answer loses without the word. Orange speaks for a good review, blue for a
# bad one; words in brackets are unknown to the model.

# %%
texts = [
    "I love this camera, the pictures are great and it is so easy to use!",
    "The battery died after two weeks and the support was no help at all.",
    # The example of M. Phi's article of 2018, "Illustrated Guide to LSTM's and GRU's".
    "Amazing! This box of cereal gave me a perfectly balanced breakfast, as all things should be. "
    "I only ate half of it but will definitely be buying again!",
]
frames, cereal = [], {}
for cell in ("lstm", "gru"):
    task, model = trained[cell]
    for text in texts:
        found = explain(model, task.vocabulary, text)
        unknown = [not known for known in found.known]
        ways = {
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
        if text is texts[-1]:
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
agreements = {}
for cell, (task, model) in trained.items():
    agreements[cell] = agreement(model, task.sequences["test"][:some])
    for pair, value in agreements[cell].items():
        print(f"{cell:5} {pair:22} {value:5.2f}")
gates = {cell: agreements[cell]["gates, occlusion"] for cell in ("lstm", "gru")}
claim(
    "The gates keep the words that matter for the answer.",
    "one asks what they let in and left, and not only what is left at the end"
    if min(gates.values()) > 0.4
    else False,
    {
        **{f"gates and trying agree, {cell}": value for cell, value in gates.items()},
        **{
            f"size by the gates and place in the text, {cell}": agreements[cell]["gates, position"]
            for cell in gates
        },
    },
)

# %% [markdown]
# ## The article's review

# %%
evidence = {}
for cell, (found, chance) in cereal.items():
    order = np.argsort(-np.abs(found.memory.part))
    evidence[f"probability of good, {cell}"] = float(chance)
    evidence[f"the five words that count most, {cell}"] = [found.words[i] for i in order[:5]]
evidence["unknown words"] = [
    word for word, known in zip(found.words, found.known, strict=True) if not known
]
right = all(chance > 0.5 for _, chance in cereal.values())
claim("The review about the cereal is recognised as a good one.", right, evidence)

# %% [markdown]
# Look at the unknown words before you believe the picture: what the model has never met, it can't
# keep. The words that it does rank high are often those that the article names; but a single text
# proves little, and the numbers over all reviews above say more.
