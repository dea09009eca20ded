"""The language model: streams, tied weights, bits, and how it goes on after a prompt."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.networks.language_model import LanguageModel
from minigrad.models.networks.streams import IGNORED, count_parts, parts_of_streams
from minigrad.models.registry import CELLS

V = 7


def made(cell="gru", E=4, H=4, **options):
    mg.manual_seed(3)
    model = LanguageModel(cell, V, E, H, **options).double()
    state = model.state_dict()
    wide = {name: 3 * array for name, array in state.items()}
    if options.get("tied"):
        wide["head.weight"] = wide["embedding.weight"]
    model.load_state_dict(wide)
    return model.eval()


OPTIONS = st.fixed_dictionaries(
    {"tied": st.booleans(), "projection": st.booleans(), "num_layers": st.integers(1, 2)}
)
TEXTS = st.lists(st.integers(0, V - 1), min_size=2, max_size=20).map(np.array)


# --- streams ---------------------------------------------------------------------------------


@given(
    length=st.integers(2, 30),
    streams=st.integers(1, 5),
    steps=st.integers(1, 6),
    seed=st.none() | st.integers(0, 99),
)
def test_streams_have_each_target_once_and_go_on(length, streams, steps, seed):
    text = np.arange(length)  # each symbol says where it is
    rng = None if seed is None else np.random.default_rng(seed)
    parts = list(parts_of_streams(text, streams, steps, rng))
    assert len(parts) == count_parts(length, streams, steps)
    assert [part.begins.tolist() for part in parts] == [
        [i == 0] * streams for i in range(len(parts))
    ]
    assert all(len(part.symbols) <= steps for part in parts)
    symbols = np.concatenate([part.symbols for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    valid = targets != IGNORED
    assert sorted(targets[valid]) == [*range(1, len(text))]
    np.testing.assert_array_equal(symbols[valid] + 1, targets[valid])
    np.testing.assert_array_equal(  # within a stream, each symbol is the last one's target
        symbols[1:][valid[1:]], targets[:-1][valid[1:]]
    )


@pytest.mark.parametrize(
    ("text", "streams", "steps", "why"),
    [([1], 1, 1, "at least 2 integers"), ([0.5, 1], 1, 1, "float64"), ([1, 2], 0, 1, "streams")],
)
def test_streams_of_nothing(text, streams, steps, why):
    with pytest.raises(ValueError, match=why):
        list(parts_of_streams(text, streams, steps))


# --- the model -------------------------------------------------------------------------------


@given(cell=st.sampled_from([*CELLS]), options=OPTIONS, text=TEXTS, cut=st.integers(1, 19))
def test_a_text_in_parts_and_in_steps_is_the_whole(backend, cell, options, text, cut):
    model = made(cell, **options)
    symbols = np.stack([text, text[::-1]], axis=1)  # (T, 2)
    whole, last = model(symbols)
    first, state = model(symbols[:cut])
    if cut < len(symbols):
        second, state = model(symbols[cut:], state)
        first = mg.concatenate([first, second])
    np.testing.assert_allclose(first.numpy(), whole.numpy(), rtol=0, atol=1e-10)
    state = None
    for t, now in enumerate(symbols):
        scores, state = model.step(now, state)
        np.testing.assert_allclose(scores, whole.numpy()[t], rtol=0, atol=1e-10)
    ends = [state, last] if cell != "lstm" else [state[0], last[0]]
    np.testing.assert_allclose(ends[0].numpy(), ends[1].numpy(), rtol=0, atol=1e-10)


@given(options=OPTIONS, text=TEXTS, streams=st.integers(1, 3), steps=st.integers(1, 5))
def test_bits_are_the_mean_over_the_text(backend, options, text, streams, steps):
    model = made("rnn", **options)
    logs = []
    length = -(-(len(text) - 1) // streams)
    for start in range(0, len(text) - 1, length):
        piece = text[start : start + length + 1]
        rows = mg.log_softmax(model(piece[:-1, None])[0]).numpy()[:, 0]
        logs += [*rows[np.arange(len(piece) - 1), piece[1:]]]
    assert len(logs) == len(text) - 1
    bits = -np.mean(logs) / np.log(2)
    np.testing.assert_allclose(model.bits_per_symbol(text, streams, steps), bits, atol=1e-9)
    np.testing.assert_allclose(model.perplexity(text, streams, steps), 2**bits, rtol=1e-9)


def test_lengths_keep_the_state_of_the_last_step_that_counts():
    model = made("gru")
    symbols = np.array([[1, 2], [3, 4], [5, 6]])
    _, state = model(symbols, lengths=[3, 1])
    _, short = model(symbols[:1, 1:])
    np.testing.assert_allclose(state.numpy()[:, 1], short.numpy()[:, 0], atol=1e-12)


class Loss(mg.nn.Module):
    def __init__(self, model, part, state):
        self.model, self.part, self.state = model, part, state

    def forward(self):
        loss, _, after = self.model.loss(self.part, self.state)
        return loss, after


def some_part():
    *_, part = parts_of_streams(np.array([1, 5, 2, 2, 6, 3, 0, 4, 1]), 2, 3)
    return part


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_at_both_orders(tied):
    model = made("rnn", E=3, H=4, tied=tied, projection=tied)
    *_, part = parts_of_streams(np.array([1, 5, 2, 2, 6, 3, 1, 1]), 2, 2)
    _, state = model(part.symbols[::-1])
    loss = Loss(model, part, mg.nn.Buffer(state.detach()))
    report = mg.gradcheck(loss, (), order=2, backend="numpy", budget=200)
    assert report, str(report)


def functional(model, part, weights):
    """The loss by the definition: an RNN's steps, with the given weights."""
    w = weights
    h = mg.zeros((part.symbols.shape[1], 4), dtype="float64")
    total = 0.0
    for symbols, targets in zip(part.symbols, part.targets, strict=True):
        x = mg.embedding(symbols, w["embedding.weight"])
        a = mg.linear(x, w["recurrent.weight_ih_l0"], w["recurrent.bias_ih_l0"])
        b = mg.linear(h, w["recurrent.weight_hh_l0"], w["recurrent.bias_hh_l0"])
        h = mg.tanh(a + b)
        y = mg.linear(h, w["projection.weight"]) if model.tied else h
        head = w["embedding.weight"] if model.tied else w["head.weight"]
        logits = mg.linear(y, head, w["head.bias"])
        total = total + mg.cross_entropy(logits, targets, reduction="sum", ignore_index=IGNORED)
    return total / int((part.targets != IGNORED).sum())


@pytest.mark.parametrize("tied", [True, False])
def test_loss_and_gradients_are_those_of_the_definition(backend, tied):
    model = made("rnn", E=3, H=4, tied=tied, projection=tied)
    (part,) = parts_of_streams(np.array([1, 5, 2, 2, 6, 3]), 2, 9)
    weights = dict(model.named_parameters())
    loss, count, _ = model.loss(part)
    right = functional(model, part, weights)
    assert count == 5
    np.testing.assert_allclose(loss.item(), right.item(), atol=1e-12)
    found = mg.grad(loss, [*weights.values()])
    for name, a, b in zip(weights, found, mg.grad(right, [*weights.values()]), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_backends_agree_at_both_orders(backend, cell):
    def found(where):
        with mg.use_backend(where):
            model = made(cell, tied=True)
            loss, _, _ = model.loss(some_part())
            weights = list(model.parameters())
            first = mg.grad(loss, weights, create_graph=True)
            rng = np.random.default_rng(0)
            cotangents = [mg.tensor(rng.normal(size=g.shape)) for g in first]
            second = mg.grad(first, weights, cotangents)
            return [loss.item(), *(g.numpy() for g in (*first, *second))]

    for a, b in zip(found(backend), found("numpy"), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_streams_begin_anew_with_their_share():
    rng = np.random.default_rng(0)
    parts = list(parts_of_streams(np.arange(2001), 4, 1, rng, anew=0.2))
    share = np.mean([part.begins for part in parts[1:]])
    assert abs(share - 0.2) < 5 * np.sqrt(0.16 / 1996)


def test_a_stream_that_begins_anew_knows_nothing_of_before(backend):
    model = made("lstm")
    first, second = parts_of_streams(np.array([1, 5, 2, 2, 6, 3, 0, 4, 1]), 2, 2)
    _, _, state = model.loss(first)
    mixed = second._replace(begins=np.array([True, False]))
    loss, _, _ = model.loss(mixed, state)
    halves = []
    for n, begins in enumerate(mixed.begins):
        column = [array[:, n : n + 1] for array in second[:2]]
        part = second._replace(symbols=column[0], targets=column[1], begins=np.array([begins]))
        one = tuple(h[:, n : n + 1] for h in state)
        halves.append(model.loss(part, one)[0].item())
    assert halves[0] != halves[1]
    np.testing.assert_allclose(loss.item(), np.mean(halves), atol=1e-12)


def test_the_state_is_kept_and_gradients_end_at_parts():
    model = made("gru")
    parts = list(parts_of_streams(np.array([1, 5, 2, 2, 6, 3, 0, 4, 1]), 2, 2))
    _, _, state = model.loss(parts[0])
    assert state.requires_grad
    with_state, _, _ = model.loss(parts[1], state)
    detached, _, _ = model.loss(parts[1], state.detach())
    without, _, _ = model.loss(parts[1])
    assert with_state.item() == detached.item() != without.item()
    for a, b in zip(
        mg.grad(with_state, [*model.parameters()]),
        mg.grad(detached, [*model.parameters()]),
        strict=True,
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    again, _, _ = model.loss(parts[0], state)  # where streams begin there is no state
    np.testing.assert_array_equal(again.item(), model.loss(parts[0])[0].item())


def test_tied_weights_are_one():
    model = made(tied=True)
    assert model.head.weight is model.embedding.weight
    assert "head.weight" not in dict(model.named_parameters())
    with pytest.raises(ValueError, match=r"embedding_dim must be hidden_size; .* projection=True"):
        made(E=3, tied=True)
    assert made(E=3, tied=True, projection=True).head.weight.shape == (V, 3)


# --- going on after a prompt -----------------------------------------------------------------


@given(cell=st.sampled_from([*CELLS]), prompt=TEXTS, seed=st.integers(0, 99))
def test_samples_are_reproducible_and_greedy_at_temperature_0(cell, prompt, seed):
    model = made(cell).train()
    first = list(model.sample(prompt, 6, top_k=3, rng=np.random.default_rng(seed)))
    mg.manual_seed(seed)
    again = list(model.sample(prompt, 6, top_k=3))  # from minigrad's own generator: the same
    assert first == again and len(first) == 6 and model.training
    greedy = list(model.sample(prompt, 6, temperature=0))
    for i, symbol in enumerate(greedy):
        so_far = np.array([*prompt, *greedy[:i]])[:, None]
        assert symbol == int(mg.argmax(model.eval()(so_far)[0][-1, 0]))
    (best,) = model.beam(prompt, 6, width=1)
    assert [*best.symbols] == greedy


def test_a_wide_beam_is_exhaustive(backend):
    model = made("lstm", num_layers=2)
    found = model.beam([1, 2], 2, width=V**2)
    whole = {}
    for symbols in itertools.product(range(V), repeat=2):
        rows = mg.log_softmax(model(np.array([1, 2, *symbols[:-1]])[:, None])[0]).numpy()[1:, 0]
        whole[symbols] = rows[np.arange(2), symbols].sum()
    assert len(found) == V**2
    by_symbols = {tuple(one.symbols): one.log_probability for one in found}
    for symbols, right in whole.items():
        np.testing.assert_allclose(by_symbols[symbols], right, atol=1e-9)
    np.testing.assert_allclose(sum(np.exp(one.log_probability) for one in found), 1)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_an_empty_prompt():
    with pytest.raises(ValueError, match="at least one symbol"):
        made().sample([], 3)
