"""Reviews: parsed, split for good, tokenised, numbered, batched."""

import hashlib
import io
import json
import re
import tarfile
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.tasks import reviews
from minigrad.models.tasks.packages import DataError, PackageFile
from minigrad.models.tasks.reviews import Review, load_reviews, parse_reviews, split_reviews
from minigrad.models.training.text import Vocabulary, batches, pad, tokenize


def packed(name, data):
    with tarfile.open(fileobj=(archive := io.BytesIO()), mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def ids_hash(part):
    return hashlib.sha256(" ".join(review.id for review in part).encode()).hexdigest()[:16]


def made_up(count):
    return [Review(str(i), (-1.0) ** i, f"review {i}") for i in range(count)]


def real(subject):
    try:
        return load_reviews(subject)
    except DataError as error:
        if "pip could not bring" not in str(error):
            raise
        pytest.skip(f"the {subject} reviews can't be had here: {error}")


# Loading and parsing


def test_load_from_a_small_archive(tmp_path, monkeypatch):
    table = "1\t2.5\tA cliché, but I’m moved.\r\n2\t-0.5\tMeh.".encode()
    outer = packed(reviews._ARCHIVE, packed(reviews._TABLES["movie"], table))
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    release = PackageFile("small", "1", "small-1.tar.gz", hashlib.sha256(outer).hexdigest())
    monkeypatch.setattr(reviews, "VADER", release)
    release.path.write_bytes(outer)
    assert load_reviews("movie") == [
        Review("1", 2.5, "A cliché, but I’m moved."),
        Review("2", -0.5, "Meh."),
    ]


def test_parse_odd_characters():
    # Only line ends part reviews, not what else Unicode counts as one; quotes are but text.
    table = '1\t0.1\tLovely &amp; Amazing\x85\u2028½\r\n2\t1\t"Fun", they say\r\n'
    assert [review.text for review in parse_reviews(table.encode())] == [
        "Lovely & Amazing\x85\u2028½",
        '"Fun", they say',
    ]


def test_labels():
    assert [Review("", rating, "").label for rating in (-4, -0.05, 0.05, 4)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("subject", "count", "sizes", "positive", "left_out", "ids"),
    [
        (
            "movie",
            10_605,
            [8443, 1054, 1069],
            [4143, 532, 566],
            {"neutral": 37, "repeated": 2},
            ["7116c71e47a60ba3", "31e064421c9c4938", "11e5367b2db3419d"],
        ),
        (
            "product",
            3_708,
            [3013, 258, 319],
            [1719, 153, 241],
            {"neutral": 98, "repeated": 16, "wordless": 4},
            ["1506baebeee16ba0", "ed83e0f8e0bc0324", "ffa59f0731bb05e9"],
        ),
    ],
)
def test_real_reviews(subject, count, sizes, positive, left_out, ids):
    loaded = real(subject)
    assert len(loaded) == count
    splits = split_reviews(loaded)
    parts = splits[:3]
    assert [len(part) for part in parts] == sizes
    assert [sum(review.label for review in part) for part in parts] == positive
    assert splits.left_out == left_out
    assert [ids_hash(part) for part in parts] == ids


# Splitting


@pytest.mark.parametrize(
    ("seed", "ids"),
    [
        (0, ["eead9c15302bb99a", "2044f1a3fe3956aa", "d75690544c5bfa37"]),
        (1, ["41e8d580347abb5f", "bc9bcb23fabeba16", "4c94c952ba49ef57"]),
    ],
)
def test_split_is_for_good(seed, ids):
    assert [ids_hash(part) for part in split_reviews(made_up(1000), seed)[:3]] == ids


def test_split_shares():
    sizes = [len(part) for part in split_reviews(made_up(20_000))[:3]]
    assert sum(sizes) == 20_000
    # Binomial with a standard deviation of at most 57; five of them.
    assert abs(sizes[0] - 16_000) < 283
    assert abs(sizes[1] - 2_000) < 283


def test_split_depends_on_the_id_alone():
    many = made_up(500)
    whole = split_reviews(many)
    half = split_reviews(many[::-2])
    for part, part_of_half in zip(whole[:3], half[:3], strict=True):
        assert set(part_of_half) == set(part) & set(many[::-2])


def test_split_leaks_nothing():
    said = ["Loved it!", "loved  it ...", "Hated it", "", "...?!", "so so", "Loved them"]
    ratings = [3.0, 2.0, -3.0, 1.0, -1.0, 0.0, 1.0]
    given = [Review(str(i), *pair) for i, pair in enumerate(zip(ratings, said, strict=True))]
    splits = split_reviews(given)
    kept = {review.id for part in splits[:3] for review in part}
    assert kept == {"0", "2", "6"}
    assert splits.left_out == {"repeated": 1, "wordless": 2, "neutral": 1}


def test_split_keeps_a_review_together():
    sentences = [
        Review(f"{i}_{j}", 1.0, f"sentence {j} of {i}") for i in range(200) for j in range(5)
    ]
    groups = [{r.id.partition("_")[0] for r in part} for part in split_reviews(sentences)[:3]]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 200


# Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It ISN'T over.", ["it", "isn't", "over"]),
        ("''The Matrix's'' sequel", ["the", "matrix's", "sequel"]),
        ("I’ve seen", ["i've", "seen"]),
        ("cliché-ridden 1930s, 21st", ["cliché", "ridden", "1930s", "21st"]),
        ("Why?! No!!", ["why", "?", "!", "no", "!", "!"]),
        ("well... (so_so) & more; 'em", ["well", "so", "so", "more", "em"]),
        ("... \t\n", []),
    ],
)
def test_tokenize(text, words):
    assert tokenize(text) == words


@given(st.text())
def test_tokens_come_from_the_text(text):
    rest = text.lower().replace("’", "'")
    for token in tokenize(text):
        assert token
        assert not re.search(r"\s", token)
        _, found, rest = rest.partition(token)
        assert found


def test_vocabulary_order_and_min_count():
    texts = [["b", "a", "c", "a"], ["b", "d", "d", "a"]]
    assert Vocabulary.build(texts, min_count=2).words == ["<pad>", "<unk>", "a", "b", "d"]
    assert Vocabulary.build(texts, min_count=1).words[2:] == ["a", "b", "d", "c"]
    assert len(Vocabulary.build(texts, min_count=4)) == 2


def test_encode():
    vocabulary = Vocabulary(["<pad>", "<unk>", "good", "film"])
    numbers = vocabulary.encode(["good", "grief", "film"])
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [2, Vocabulary.UNK, 3]
    assert vocabulary.encode([]).shape == (0,)


@given(st.lists(st.text(min_size=1), unique=True))
def test_vocabulary_round_trip(words):
    vocabulary = Vocabulary(["<pad>", "<unk>", *(w for w in words if w not in ("<pad>", "<unk>"))])
    again = Vocabulary(json.loads(json.dumps(vocabulary.words)))
    assert again.words == vocabulary.words
    assert again.encode(words).tolist() == vocabulary.encode(words).tolist()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["<pad>", "good"], "<pad>, <unk> and then words"),
        (["<pad>", "<unk>", "good", "good"], "got 4 of which 3 differ"),
        ({"<pad>": 0}, "a list of words, got {"),
        (["<pad>", "<unk>", 3], "a list of words, got"),
        ("<pad>", "a list of words, got '<pad>'"),
    ],
)
def test_damaged_vocabulary(words, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(words)


# Batches

SEQUENCES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9).map(np.array), max_size=20)


@given(SEQUENCES, st.integers(1, 6), st.none() | st.integers(0, 99))
def test_batches(sequences, size, seed):
    labels = [len(sequence) % 2 for sequence in sequences]
    rng = None if seed is None else np.random.default_rng(seed)
    found = list(batches(sequences, labels, size, rng))

    assert sorted(row for batch in found for row in batch.rows) == list(range(len(sequences)))
    assert len(found) == -(-len(sequences) // size)
    for tokens, lengths, found_labels, rows in found:
        assert all(array.dtype == np.int64 for array in (tokens, lengths, found_labels, rows))
        assert tokens.shape == (lengths.max(), len(rows))
        for column, row in enumerate(rows):
            assert tokens[: lengths[column], column].tolist() == sequences[row].tolist()
            assert not tokens[lengths[column] :, column].any()
            assert found_labels[column] == labels[row]
    # Close in length: in order of length, no two batches overlap.
    ends = sorted((batch.lengths.min(), batch.lengths.max()) for batch in found)
    assert all(high <= low for (_, high), (low, _) in pairwise(ends))


def test_batches_are_shuffled_by_the_generator():
    sequences = [np.ones(1 + i // 10, dtype=np.int64) for i in range(100)]

    def rows(rng):
        return [batch.rows.tolist() for batch in batches(sequences, [0] * 100, 5, rng)]

    rng = np.random.default_rng(1)
    first, second = rows(rng), rows(rng)
    assert first != second
    lengths = [batch[0] // 10 for batch in first]
    assert lengths != sorted(lengths)
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))
    assert first == rows(np.random.default_rng(1))
    assert rows(None) == rows(None) == [list(range(i, i + 5)) for i in range(0, 100, 5)]


def test_batches_refuse():
    one = [np.array([3])]
    with pytest.raises(ValueError, match="size=0: a batch holds at least one sequence"):
        next(batches(one, [1], 0))
    with pytest.raises(ValueError, match="1 sequences have 2 labels: give one to each"):
        next(batches(one, [1, 0], 1))
    with pytest.raises(ValueError, match="sequence 1 is empty: each needs at least one word"):
        pad([np.array([3]), np.array([], dtype=np.int64)])
