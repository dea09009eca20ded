"""Loaders: each example once per epoch, the same batches for a seed, resuming, bounded padding."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import fusing

import minigrad as mg
from minigrad.data import DataLoader
from minigrad.utils.install import install_line

SETTINGS = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 7),
        "shuffle": st.booleans(),
        "drop_last": st.booleans(),
        "bucket_width": st.none() | st.integers(1, 5),
        "seed": st.integers(0, 3),
    }
)


def sequences_of(count, seed=0, longest=9):
    """Sequences of different lengths, of which each number says which example it is from."""
    lengths = np.random.default_rng(seed).integers(0, longest + 1, size=count)
    return [[i + 1] * int(n) for i, n in enumerate(lengths)]


def loader_of(count, **settings):
    settings["batch_size"] = min(settings["batch_size"], count)
    return DataLoader((sequences_of(count), np.arange(count)), **settings)


def shown(batches):
    """Batches as what can be compared."""
    return [(x.tolist(), lengths.tolist(), y.tolist()) for x, lengths, y in batches]


# --- what is in the batches ------------------------------------------------------------------


@given(count=st.integers(1, 30), settings=SETTINGS, batch_first=st.booleans())
def test_every_example_comes_once_per_epoch_with_its_parts(count, settings, batch_first, backend):
    loader = loader_of(count, **settings, batch_first=batch_first)
    sequences, size = sequences_of(count), loader.batch_size
    for epoch in range(3):
        assert loader.epoch == epoch
        seen, sizes = [], []
        for x, lengths, y in loader:
            assert x.backend is y.backend is mg.current_backend()
            assert x.dtype == y.dtype == lengths.dtype == np.int64
            rows = (x if batch_first else mg.swapaxes(x, 0, 1)).tolist()
            assert x.shape == ((len(y), lengths.max()) if batch_first else (lengths.max(), len(y)))
            for row, n, i in zip(rows, lengths, y.tolist(), strict=True):
                assert row == sequences[i] + [0] * (len(row) - n)
                seen.append(i)
            sizes.append(len(y))
        assert len(sizes) == len(loader)
        kept = count - count % size if loader.drop_last else count
        assert len(seen) == len(set(seen)) == kept
        assert all(n == size for n in (sizes if loader.drop_last else sorted(sizes)[1:]))
        if not loader.shuffle and loader.bucket_width is None:
            assert seen == list(range(kept))


@given(count=st.integers(1, 60), seed=st.integers(0, 9), width=st.integers(1, 6))
def test_buckets_bound_the_padding(count, seed, width):
    sequences, size = sequences_of(count, seed), 4
    longest, shortest = max(map(len, sequences)), min(map(len, sequences))
    for shuffle in (True, False):
        loader = DataLoader(sequences, size, shuffle, seed=seed, bucket_width=width)
        spans = sorted((lengths.min() // width, lengths.max() // width) for _, lengths in loader)
        # In order of length no two batches overlap by more than the span where they meet.
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        padding = sum(int((lengths.max() - lengths).sum()) for _, lengths in loader)
        most = (size - 1) * (longest - shortest) + (width - 1) * count
        assert padding <= most
        if not shuffle:
            assert spans == [
                (lengths.min() // width, lengths.max() // width) for _, lengths in loader
            ]


def test_what_buckets_shuffle():
    sequences = [[0] * n for n in range(1, 41)]

    def epochs(width, count=20):
        loader = DataLoader((sequences, np.arange(40)), 4, shuffle=True, seed=0, bucket_width=width)
        return [[tuple(sorted(y.tolist())) for *_, y in loader] for _ in range(count)]

    sorted_ones, mixed, free = epochs(1), epochs(20), epochs(None)
    for order in (sorted_ones, mixed, free):  # over the buckets
        assert len({tuple(batches) for batches in order}) == 20
    assert len({batch for batches in sorted_ones for batch in batches}) == 10
    assert len({batch for batches in mixed for batch in batches}) > 190  # within them
    assert any(max(batch) - min(batch) > 25 for batch in free[0])
    # Also the example that drop_last leaves out is another one each time, and not the longest.
    loader = DataLoader((sequences[:9], np.arange(9)), 4, True, True, seed=0, bucket_width=1)
    absent = [set(range(9)) - {i for *_, y in loader for i in y.tolist()} for _ in range(60)]
    assert set.union(*absent) == set(range(9))
    plain = DataLoader(np.arange(9), 4, True, True, seed=0)
    absent = [set(range(9)) - {i for y in plain for i in y.tolist()} for _ in range(60)]
    assert set.union(*absent) == set(range(9))


def test_several_columns_of_sequences_are_sorted_by_the_first_one_first():
    source = [[1], [2, 2], [3], [4, 4], [5], [6, 6]]
    target = [[1, 1, 1], [2], [3], [4, 4, 4], [5, 5], [6, 6]]
    loader = DataLoader((source, target), 2, bucket_width=1)
    found = [(x[0].tolist(), n.tolist(), m.tolist()) for x, n, _, m in loader]
    assert found == [([3, 5], [1, 1], [1, 2]), ([1, 2], [1, 2], [3, 1]), ([6, 4], [2, 2], [2, 3])]


# --- seeds -----------------------------------------------------------------------------------


@given(settings=SETTINGS)
def test_a_seed_decides_the_batches_and_nothing_else_does(settings, backend):
    count = 17
    loader = loader_of(count, **settings)
    mg.manual_seed(5)
    first = [shown(loader) for _ in range(3)]
    after = mg.rand(1).item()
    mg.manual_seed(5)
    assert after == mg.rand(1).item()  # nothing was drawn
    np.random.default_rng(0).random()
    with mg.use_backend("numpy"):
        other = loader_of(count, **settings)
        for epoch in first:
            mg.rand(3)
            assert shown(other) == epoch
    if settings["shuffle"] and count > settings["batch_size"]:
        assert len({str(epoch) for epoch in first}) == 3
        settings["seed"] += 1
        assert shown(loader_of(count, **settings)) != first[0]


def test_these_batches_stay():
    """Runs that are resumed later, on other machines, need them."""
    loader = DataLoader(np.arange(10), 4, shuffle=True, seed=7)
    assert [x.tolist() for x in loader] == [[8, 0, 7, 1], [3, 6, 2, 4], [5, 9]]
    loader = DataLoader((sequences_of(8), np.arange(8)), 3, shuffle=True, seed=7, bucket_width=3)
    assert [y.tolist() for *_, y in loader] == [[6, 3, 7], [5, 4, 2], [0, 1]]


def test_without_a_seed_manual_seed_decides():
    def batches(seed):
        mg.manual_seed(seed)
        loader = DataLoader(np.arange(20), 4, shuffle=True)
        mg.manual_seed(0)  # of no importance any more
        return [x.tolist() for x in loader]

    assert batches(1) == batches(1) != batches(2)


# --- epochs and resuming ---------------------------------------------------------------------


@given(settings=SETTINGS, taken=st.integers(0, 40), loaded_after=st.integers(0, 5))
def test_resuming_at_any_point_gives_the_rest(settings, taken, loaded_after):
    count, epochs = 11, 4

    def batches(loader):
        while loader.epoch < epochs:
            yield from loader

    loader = loader_of(count, **settings)
    everything = shown(batches(loader))
    assert len(everything) == epochs * len(loader)
    taken = min(taken, len(everything) - 1)
    loader = loader_of(count, **settings)
    begun = shown(itertools.islice(batches(loader), taken))
    state = loader.state_dict()
    other = loader_of(count, **{**settings, "seed": 9})
    for _ in itertools.islice(other, loaded_after):  # it may be used already
        pass
    other.load_state_dict(state)
    assert other.state_dict() == {**state, "seed": state["seed"]}
    assert begun + shown(batches(other)) == everything
    assert other.state_dict() == {**state, "epoch": epochs, "batch": 0}


def test_a_state_is_saved_to_a_file(tmp_path):
    pytest.importorskip("safetensors", reason=f"no safetensors; {install_line('learn')}")
    loader = loader_of(9, batch_size=2, shuffle=True, seed=2**62, bucket_width=2)
    batches = iter(loader)
    next(batches)
    mg.save(tmp_path / "run", {"loader": loader.state_dict()})
    rest = shown(batches)
    other = loader_of(9, batch_size=2, shuffle=True, bucket_width=2)
    other.load_state_dict(mg.load(tmp_path / "run")["loader"])
    assert shown(other) == rest


def test_an_epoch_that_is_left_early_is_over():
    loader = DataLoader(np.arange(12), 2, shuffle=True, seed=0)
    looks = []
    for _ in range(3):
        for batch in itertools.islice(loader, 2):
            looks.append(batch.tolist())
    assert len(set(map(tuple, looks))) == 6 and loader.state_dict()["epoch"] == 2
    fresh = DataLoader(np.arange(12), 2, shuffle=True, seed=0)
    assert looks[2] == [x.tolist() for x in [*fresh, *fresh]][6]


def test_two_loops_over_one_loader_are_two_epochs():
    loader = DataLoader(np.arange(6), 2, shuffle=True, seed=3)
    alone = DataLoader(np.arange(6), 2, shuffle=True, seed=3)
    pairs = [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)]
    epochs = [[x.tolist() for x in alone] for _ in range(3)]
    assert pairs == list(zip(*epochs[:2], strict=True))
    assert [x.tolist() for x in loader] == epochs[2]


def test_states_that_do_not_fit_are_refused_whole():
    loader = loader_of(9, batch_size=2, shuffle=True, seed=0, bucket_width=2)
    next(iter(loader))
    before = loader.state_dict()
    others = {
        "batch_size: here 2, in the state 3": {"batch_size": 3},
        "shuffle: here True, in the state False": {"shuffle": False},
        "drop_last: here False, in the state True": {"drop_last": True},
        "bucket_width: here 2, in the state None": {"bucket_width": None},
    }
    kept = {"batch_size": 2, "shuffle": True, "seed": 0, "bucket_width": 2}
    for text, settings in others.items():
        state = loader_of(9, **{**kept, **settings}).state_dict()
        with pytest.raises(ValueError, match=f"does not fit DataLoader; nothing.*\n  {text}"):
            loader.load_state_dict(state)
    data = [*sequences_of(8), [1] * 30]
    for text, longer in (("lengths", data), ("examples", sequences_of(10))):
        state = DataLoader((longer, np.arange(len(longer))), **kept).state_dict()
        with pytest.raises(ValueError, match=f"nothing was loaded(.|\n)*  {text}: here"):
            loader.load_state_dict(state)
    for wrong in (
        {},
        None,
        {**before, "epoch": -1},
        {**before, "batch": 5},
        {**before, "seed": 1.5},
    ):
        with pytest.raises(ValueError, match=r"DataLoader.load_state_dict"):
            loader.load_state_dict(wrong)
    assert loader.state_dict() == before


# --- layers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [False, True])
def test_layers_take_the_batches(batch_first, backend):
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 3)).astype("float32") for n in rng.integers(1, 6, size=9)]
    lstm = mg.nn.LSTM(3, 4, batch_first=batch_first)
    loader = DataLoader(
        (sequences, np.arange(9)), 4, True, seed=0, bucket_width=2, batch_first=batch_first
    )
    for x, lengths, y in loader:
        _, (h, _) = lstm(x, lengths=lengths)
        for n, i in enumerate(y.tolist()):
            with fusing("0"):
                _, (alone, _) = lstm(mg.tensor(sequences[i]))
            np.testing.assert_allclose(h[0, n].numpy(), alone[0].numpy(), rtol=1e-5, atol=1e-6)
        h.sum().backward()


def test_a_run_that_is_stopped_anywhere_goes_on_to_the_bit(backend):
    texts = [[1 + (i * k) % 7 for k in range(1 + i % 5)] for i in range(13)]
    labels = [i % 2 for i in range(13)]

    def training():
        mg.manual_seed(1)
        model = mg.nn.ModuleList([mg.nn.Embedding(8, 4), mg.nn.GRU(4, 5), mg.nn.Linear(5, 2)])
        return {
            "model": model,
            "optimizer": mg.optim.Adam(model.parameters(), lr=0.05),
            "loader": DataLoader((texts, labels), 4, shuffle=True, seed=0, bucket_width=2),
        }

    def run(model, optimizer, loader, stop_at=None):
        while loader.epoch < 3:
            for x, lengths, y in loader:
                _, h = model[1](model[0](x), lengths=lengths)
                optimizer.zero_grad()
                mg.cross_entropy(model[2](h[0]), y).backward()
                optimizer.step()
                if stop_at is not None and next(stop_at, None) is None:
                    return

    whole = training()
    run(**whole)
    for steps in (0, 3, 6):
        first, second = training(), training()
        run(**first, stop_at=iter(range(steps)))
        for name, part in second.items():
            part.load_state_dict(first[name].state_dict())
        run(**second)
        pairs = zip(whole["model"].parameters(), second["model"].parameters(), strict=True)
        for p, q in pairs:
            np.testing.assert_array_equal(p.numpy(), q.numpy())


# --- wrong use -------------------------------------------------------------------------------

X, Y, TEXTS = np.ones((4, 2)), np.arange(4), [[1], [2, 3], [4], [5]]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: DataLoader((X, Y[:3])), ValueError, "column 0 has 4, column 1 has 3"),
        (lambda: DataLoader({"x": X, "y": Y[:3]}), ValueError, "column 'x' has 4, column 'y' has"),
        (lambda: DataLoader(()), ValueError, "there are no columns"),
        (lambda: DataLoader([]), ValueError, "there are no examples"),
        (lambda: DataLoader((X[:0], Y[:0])), ValueError, "there are no examples"),
        (lambda: DataLoader(X, 5, drop_last=True), ValueError, "4 examples are fewer than batch_s"),
        (lambda: DataLoader(X, 0), ValueError, "batch_size is a positive integer; got 0"),
        (lambda: DataLoader(X, 2, "yes"), TypeError, "shuffle is True or False; got 'yes'"),
        (lambda: DataLoader(X, 2, True, seed=-1), ValueError, "seed is an integer of 0 or more"),
        (lambda: DataLoader(X, 2, True, seed=True), ValueError, "seed is an integer of 0 or more"),
        (lambda: DataLoader(X, bucket_width=2), ValueError, "there are none: sequences stand in a"),
        (lambda: DataLoader(range(3), bucket_width=2), ValueError, r"give list\(dataset\)"),
        (lambda: DataLoader(TEXTS, bucket_width=0), ValueError, "bucket_width is a positive int"),
        (lambda: DataLoader(x for x in X), TypeError, "a list of examples, or .* got generator"),
        (lambda: DataLoader("text"), TypeError, "got str 'text'"),
        (lambda: DataLoader(3), TypeError, "got int 3"),
        (lambda: DataLoader(np.array(3)), TypeError, "got a single number"),
        (lambda: DataLoader((X, 3)), TypeError, "column 1 must be an array.*; got int 3"),
        (lambda: DataLoader((X, mg.tensor(3))), TypeError, "column 1 is a single number"),
        (lambda: DataLoader((["a", "b"], Y[:2])), TypeError, "column 0: sequence 0: can't make"),
        (lambda: DataLoader([1, [2]]), TypeError, r"number 0 is 1, number 1 is \[2\]"),
        (lambda: DataLoader([[1, None]]), TypeError, "column 0: sequence 0: can't make a tensor"),
        (lambda: DataLoader([X, Y]), ValueError, r"number 0 has steps of shape \(2,\), number 1"),
        (lambda: DataLoader(TEXTS, sequences=[1]), ValueError, "no column 1; there are 0"),
        (
            lambda: DataLoader({"x": TEXTS}, sequences="y"),
            ValueError,
            "no column 'y'; there are 'x'",
        ),
        (lambda: DataLoader(TEXTS, padding_value=0.5), ValueError, "padding_value=0.5 is no int64"),
        (lambda: DataLoader(TEXTS, padding_value="0"), TypeError, "padding_value is a number"),
        (lambda: DataLoader((TEXTS, Y), padding_value=(1,)), ValueError, "1 entries for 2 columns"),
        (lambda: DataLoader({"x": TEXTS}, padding_value={"z": 1}), ValueError, "no column 'z'"),
        (
            lambda: DataLoader(TEXTS, sequences=[]),
            ValueError,
            r"number 1 \(2,\). Sequences are padd",
        ),
        (lambda: DataLoader({"x": TEXTS, "x_lengths": Y}), ValueError, "give it another name"),
        (
            lambda: DataLoader([(1, 2), (3,)]),
            ValueError,
            "A sequence is a list, an array or a tens",
        ),
        (lambda: DataLoader([{"x": 1}, {"y": 1}]), ValueError, "number 1 is {'y': 1}"),
        (lambda: DataLoader([(1, 2), [3, 4]]), ValueError, "examples have the same fields"),
    ],
)
def test_wrong_use(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make()
    assert re.match(r"DataLoader[: ]", str(caught.value))
