"""Right answers to the exercises, and typical wrong ones with what must be said of them."""

import re

_BLANK = re.compile(r'blank\(\s*"[^"]*"\s*\)')

# What stands in place of each blank, in the order of the file.
SOLUTIONS = {
    "polynomial": ["3 * x**2 - 2"],
    "tanh-slope": ["g * (1 - y**2)"],
    "sigmoid-slope": ["g * y * (1 - y)"],
    "chain-rule": ["g * (1 - y**2)", "g_sum * w", "g_sum * x", "g_sum"],
    "linear-backward": ["g @ w", "g.T @ x", "g.sum(axis=0)"],
    "broadcast-backward": ["g * s", "(g * x).sum(axis=0)", "g.sum(axis=0)"],
    "softmax-loss": [
        "-np.log(p[np.arange(len(labels)), labels]).mean()",
        "(p - np.eye(p.shape[1])[labels]) / len(labels)",
    ],
    "embedding-backward": ["np.add.at(gradient, words, g)"],
    "measured-slope": [
        "(f(x + epsilon * np.eye(len(x))[i]) - f(x - epsilon * np.eye(len(x))[i])) / (2 * epsilon)"
    ],
    "vanishing": ["left * w * (1 - h**2)"],
    "rnn-step": ["x @ w_ih.T + h @ w_hh.T + bias", "np.tanh(combined)"],
    "rnn-loop": ["np.tanh(x_t @ w_ih.T + h @ w_hh.T + bias)", "states.append(h)"],
    "rnn-backward": [
        "g[t] + g_h",
        "g_y * (1 - states[t + 1] ** 2)",
        "g_ih += g_sum.T @ x[t]; g_hh += g_sum.T @ states[t]; g_bias += g_sum.sum(axis=0)",
        "g_sum @ w_hh",
    ],
    "lstm-step": [
        "x @ w_ih.T + h @ w_hh.T + bias",
        "sigmoid(f)",
        "np.tanh(g)",
        "sigmoid(i)",
        "forget * c + input * candidate",
        "sigmoid(o)",
        "output * np.tanh(cell)",
    ],
    "lstm-backward": [
        "g_hidden * np.tanh(cell)",
        "g_cell + g_hidden * gates['output'] * (1 - np.tanh(cell) ** 2)",
        "g_c * old_cell",
        "g_c * gates['candidate']",
        "g_c * gates['input']",
        "g_c * gates['forget']",
    ],
    "gru-step": [
        "sigmoid(x_r + h_r)",
        "sigmoid(x_z + h_z)",
        "np.tanh(x_n + reset * h_n)",
        "(1 - update) * candidate + update * h",
    ],
    "gru-backward": ["g * (old_state - candidate)", "g * (1 - update)", "g * update"],
    "padding": ["np.where((t < lengths)[:, None], new, h)"],
    "count-parameters": ["{'RNN': 1, 'GRU': 3, 'LSTM': 4}[cell] * H * (I + H + 2)"],
    "open-gates": ["bias.__setitem__(slice(len(bias) // 4, len(bias) // 2), value)"],
    "momentum": ["momentum * velocity + g", "w - lr * velocity"],
    "adam": [
        "beta1 * m + (1 - beta1) * g",
        "beta2 * v + (1 - beta2) * g**2",
        "m / (1 - beta1**t)",
        "v / (1 - beta2**t)",
        "w - lr * m_hat / (np.sqrt(v_hat) + epsilon)",
    ],
    "clipping": [
        "[g * min(1.0, limit / np.sqrt(sum((g * g).sum() for g in gradients))) for g in gradients]"
    ],
    "temperature": [
        "(lambda e: e / e.sum())(np.exp(np.where(np.argsort(np.argsort(scores)) >= len(scores) - k,"
        " scores, -np.inf) / temperature))"
    ],
    "attention": [
        "np.where(np.arange(len(states))[:, None] < lengths, (states * query).sum(2), -np.inf)",
        "np.exp(scores) / np.exp(scores).sum(axis=0)",
        "(weights[:, :, None] * states).sum(axis=0)",
    ],
    "half-life": ["np.log(0.5) / np.log(f)", "0.5 ** (1 / t)", "np.log(f / (1 - f))"],
    "lstm-loops": [
        "sums[n, H + j]",
        "sums[n, 2 * H + j]",
        "sums[n, 3 * H + j]",
        "f * c[n, j] + i * g",
        "o * math.tanh(c_new[n, j])",
    ],
    "ctc-collapse": ["symbol != before and symbol != 0"],
    "ctc-forward": [
        "alpha[i] + (alpha[i - 1] if i else 0)",
        "symbol and symbol != places[i - 2]",
        "arrives * p[t, symbol]",
        "alpha[-1] + alpha[-2]",
    ],
    "invent-a-gate": [
        "mg.sigmoid(mg.linear(x, p.w_ih, p.b_ih) + mg.linear(h, p.w_hh))",
        "mg.tanh(mg.linear(x, p.w_in))",
        "gate * h + (1 - gate) * candidate",
    ],
}

# Further edits of a file, besides its blanks.
EDITS = {
    "invent-a-gate": [
        ('"w_hh": (H, H)}', '"w_hh": (H, H), "w_in": (H, I)}'),
        (".initial(name, shape)", ".initial(name, shape) + 3.0 * (name == 'b_ih')"),
    ]
}

# The exercise, which blank is answered how, and what must be said.
WRONG = [
    ("polynomial", 0, "3 * x**2", "-2 is missing in a sum"),
    ("polynomial", 0, "2 - 3 * x**2", "sign is turned round"),
    ("tanh-slope", 0, "1 - y**2", "g is missing as a factor"),
    ("tanh-slope", 0, "g", "slope 1 - y² is missing as a factor"),
    ("tanh-slope", 0, "-g * (1 - y**2)", "sign is turned round"),
    ("sigmoid-slope", 0, "g * (1 - y)", "y is missing as a factor"),
    ("sigmoid-slope", 0, "2 * g * y * (1 - y)", "a factor of 2 too much"),
    ("chain-rule", 0, "g", "slope of tanh is missing"),
    ("chain-rule", 1, "g_sum * x", "right for the gradient of w"),
    ("linear-backward", 1, "x.T @ g", "transposed"),
    ("linear-backward", 2, "g", "a sum over axis 0 is missing"),
    ("linear-backward", 0, "g @ w / len(g)", "a mean in place of a sum over 6"),
    ("broadcast-backward", 1, "g * x", "a sum over axis 0 is missing"),
    ("broadcast-backward", 0, "g", "s is missing as a factor"),
    ("softmax-loss", 1, "p - np.eye(p.shape[1])[labels]", "a sum in place of a mean over 6"),
    ("softmax-loss", 1, "p / len(labels)", "-1/N at the right class is missing in a sum"),
    ("embedding-backward", 0, "gradient[words] = g", "each word occurs once"),
    (
        "measured-slope",
        0,
        "(f(x + epsilon * np.eye(len(x))[i]) - f(x)) / epsilon",
        "a difference to one side",
    ),
    ("vanishing", 0, "left * (1 - h**2)", "factor w of each step is missing"),
    ("vanishing", 0, "left * w", "slope of tanh at each step is missing"),
    ("rnn-step", 1, "combined", "the sum before tanh"),
    ("rnn-step", 0, "x @ w_ih.T + h @ w_hh + bias", "not with w_hh.T"),
    ("rnn-step", 0, "x @ w_ih.T + h @ w_hh.T", "a step without the bias"),
    ("rnn-loop", 0, "np.tanh(x_t @ w_ih.T + bias)", "step 1"),
    ("rnn-backward", 0, "g[t]", "one step back only"),
    ("lstm-step", 1, "sigmoid(i)", "right for input"),
    ("lstm-step", 2, "g", "candidate before its squashing"),
    ("lstm-step", 6, "output * cell", "hidden is wrong"),
    ("lstm-backward", 1, "g_hidden * gates['output'] * (1 - np.tanh(cell) ** 2)", "next step, g_c"),
    ("lstm-backward", 1, "g_cell + g_hidden * gates['output']", "slope of tanh(cell)"),
    ("lstm-backward", 1, "g_cell", "through h"),
    ("gru-step", 3, "update * candidate + (1 - update) * h", "update keeps the old state"),
    ("gru-step", 2, "np.tanh(x_n + h_n)", "candidate is wrong"),
    ("gru-backward", 0, "g * (candidate - old_state)", "sign is turned round"),
    ("padding", 0, "new", "isn't padded"),
    ("count-parameters", 0, "{'RNN': 1, 'GRU': 3, 'LSTM': 4}[cell] * H * (I + H + 1)", "biases"),
    ("open-gates", 0, "bias.__setitem__(slice(0, len(bias) // 4), value)", "the input part"),
    ("momentum", 1, "w - lr * g", "without momentum"),
    ("adam", 2, "m", "weight after step 1 is wrong"),
    ("clipping", 0, "[np.clip(g, -limit, limit) for g in gradients]", "entry by entry"),
    ("temperature", 0, "np.exp(scores / temperature)", "probabilities for temperature 1, top 8"),
    ("attention", 0, "(states * query).sum(axis=2)", "reach into the padding"),
    ("attention", 1, "np.exp(scores)", "weights is wrong"),
    ("half-life", 0, "1 / (1 - f)", "after which 1/e is left"),
    ("half-life", 2, "f", "the gate, not its bias"),
    ("half-life", 2, "np.log((1 - f) / f)", "sign is turned round"),
    ("lstm-loops", 0, "sums[n, j]", "new cell state is wrong"),
    ("lstm-loops", 3, "i * g", "without forget times old cell"),
    ("lstm-loops", 4, "o * c_new[n, j]", "without tanh"),
    ("ctc-collapse", 0, "symbol != 0", "repetitions are not"),
    ("ctc-collapse", 0, "symbol != before", "blanks are not"),
    ("ctc-collapse", 0, "symbol and symbol not in labels[-1:]", "blanks are left out first"),
    ("ctc-forward", 0, "alpha[i]", "probability of [2] is wrong"),
    ("ctc-forward", 1, "False", "one place at most"),
    ("ctc-forward", 1, "symbol", "between two equal labels"),
    ("ctc-forward", 2, "arrives", "probability of [2] is wrong"),
    ("ctc-forward", 3, "alpha[-1]", "end in a blank only"),
    ("ctc-forward", 3, "alpha.sum()", "end anywhere"),
    ("invent-a-gate", 0, "mg.linear(x, p.w_ih, p.b_ih)", "lies between 0 and 1"),
    ("invent-a-gate", 2, "candidate", "doesn't remember"),
]


def filled(name: str, blank: str, answers: list[str]) -> str:
    """The file of an exercise with answers in place of its blanks."""
    rest = iter(answers)
    source = _BLANK.sub(lambda found: next(rest), blank)
    assert next(rest, None) is None, f"{name} has fewer blanks than answers"
    for old, new in EDITS.get(name, []):
        assert old in source
        source = source.replace(old, new)
    return source
