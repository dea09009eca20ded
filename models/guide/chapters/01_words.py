# %% [markdown]
# # Words become vectors, and the hidden state is the memory
#
# A network that reads a text meets one word after the other. Between two words it keeps a vector:
# the hidden state. It is all that the network knows of what it has read so far.

# %%
import numpy as np

import minigrad as mg
from minigrad.models.guide import Frame, Frames, boxes, claim

mg.manual_seed(1)
text = "the film was not good"
words = text.split()

# %% [markdown]
# ## A word is a number, and a number is a vector
#
# The vocabulary numbers the words. An **embedding** is a table with a row for each word: looking
# a word up means taking its row. The rows begin as random numbers; training moves them, so that
# words which do the same in the task come to lie close together.

# %%
vocabulary = {word: i for i, word in enumerate(sorted(set(words)))}
embedding = mg.nn.Embedding(len(vocabulary), 4)
numbers = [vocabulary[word] for word in words]
x = embedding(mg.tensor(numbers))  # (T, I): a row for each word
for word, number, vector in zip(words, numbers, x.numpy(), strict=True):
    print(f"{word:6} is number {number}, its vector is {np.round(vector, 2)}")

# %% [markdown]
# ## One step after the other
#
# The layer takes a word's vector and the hidden state, and makes the next hidden state of both.
# At first the state is all zeros. Here is each step of an RNN with six units: step through it.

# %%
layer = mg.nn.RNN(4, 6)
h = mg.zeros((1, 1, 6))
frames = []
for word, vector in zip(words, x, strict=True):
    before = h
    y, h = layer.step(vector.reshape(1, 4), h)
    rows = {f"x: {word}": vector, "h before": before, "h after": h}
    frames.append(Frame(word, boxes(rows, marked=["h after"]), f"The state after “{word}”."))
Frames("Reading word by word", frames)

# %% [markdown]
# A layer can read the whole text in one call, too. It does the same steps, and on a fast backend
# they run in one compiled loop.

# %%
outputs, last = layer(x.reshape(len(words), 1, 4))
difference = float(np.abs(last.numpy() - h.numpy()).max())
claim(
    "Reading word by word, handing on the hidden state, is all that a layer does with a text.",
    difference < 1e-6,  # in one loop the sums are rounded in another order
    {"difference between the last states of both ways": difference},
)

# %% [markdown]
# ## The state remembers
#
# Change the first word, and read the text again. If the state is a memory, the last one differs.
# How much each output depends on each word can be computed: it is the size of a derivative.

# %%
x = x.detach()
changed = x.numpy().copy()
changed[0] = changed[1]  # "film film was not good"
_, other = layer(mg.tensor(changed).reshape(len(words), 1, 4))
moved = float(np.abs(other.numpy() - last.numpy()).max())

reach = np.asarray(mg.connectivity(layer, x.reshape(len(words), 1, 4)))
reach = reach.reshape(len(words), len(words), -1)[:, :, 0]
rows = {word: row[: i + 1] for i, (word, row) in enumerate(zip(words, reach, strict=True))}
Frames(
    "How much the state after a word depends on each word so far",
    [Frame("all words", boxes(rows, largest=float(reach.max())), "A row for each state.")],
)

# %%
claim(
    "The hidden state carries what was read before: it depends on every earlier word.",
    bool(moved > 0 and (reach[-1] > 0).all()),
    {
        "change of the last state by another first word": moved,
        "the last state's dependence on each word": [float(v) for v in reach[-1]],
    },
)

# %% [markdown]
# The last row falls off towards the first word. This layer is untrained, and yet it already
# forgets: why is the subject of chapter 4.
