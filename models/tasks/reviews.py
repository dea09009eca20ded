"""Movie and product reviews with their ratings: parsed, and split for training and test.

The texts are users' sentences: of movies, collected by Pang and Lee (2004), and of products, by
Hu and Liu (2004). The ratings, from -4 to 4 and each the mean of some twenty people's, are by
Hutto and Gilbert: "VADER: A parsimonious rule-based model for sentiment analysis of social media
text", ICWSM 2014.
"""

import csv
import hashlib
import html
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..training.text import tokenize
from .packages import PackageFile, unpack

VADER = PackageFile(
    name="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",  # the wheels lack the data
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_TABLES = {
    "movie": "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    "product": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
}


@dataclass(frozen=True)
class Review:
    """A review of one or a few sentences: its id, its rating from -4 to 4, its text."""

    id: str
    rating: float
    text: str

    @property
    def label(self) -> int:
        """1 for a positive rating, 0 for a negative one."""
        return int(self.rating > 0)


def load_reviews(subject: Literal["movie", "product"] = "movie") -> list[Review]:
    """All reviews of movies (10,605) or of products (3,708), in the order of their file.

    Raises `DataError` if the data can't be fetched.
    """
    tables = unpack(VADER.files()[_ARCHIVE])
    return parse_reviews(tables[_TABLES[subject]])


def parse_reviews(table: bytes) -> list[Review]:
    r"""The reviews in a UTF-8 table of lines `id, tab, mean rating, tab, text`.

    >>> parse_reviews(b"7\t-2.6\tToo long &amp; too loud.\r\n")
    [Review(id='7', rating=-2.6, text='Too long & too loud.')]
    """
    lines = io.StringIO(table.decode("utf-8"))
    rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return [Review(key, float(rating), html.unescape(text)) for key, rating, text in rows]


class Splits(NamedTuple):
    """Reviews for training, validation and test; `left_out` counts the others by reason."""

    train: list[Review]
    validation: list[Review]
    test: list[Review]
    left_out: Counter[str]


def split_reviews(reviews: Iterable[Review], seed: int = 0) -> Splits:
    """Split reviews about 80 : 10 : 10, by a hash of `seed` and of each review's id.

    The part of a review depends on nothing else: not on the seed of the training, the other
    reviews, their order, or the release of a library. Reviews rated 0 are left out, since they have
    no label; so are reviews without words, and those with the same words as an earlier one, so that
    no tested review was trained on. The sentences of one product review, whose ids begin alike
    (`31_5`, `31_6`), go to the same part.

    >>> splits = split_reviews(Review(str(i), i % 5 - 2, f"Part {i}") for i in range(1000))
    >>> [len(part) for part in splits[:3]], splits.left_out
    ([649, 77, 74], Counter({'neutral': 200}))
    """
    splits = Splits([], [], [], Counter())
    parts = splits[:3]
    seen = set()
    for review in reviews:
        words = tuple(word for word in tokenize(review.text) if word not in "!?")
        if review.rating == 0:
            splits.left_out["neutral"] += 1
        elif not words:
            splits.left_out["wordless"] += 1
        elif words in seen:
            splits.left_out["repeated"] += 1
        else:
            seen.add(words)
            group = review.id.partition("_")[0]
            digest = hashlib.sha256(f"{seed} {group}".encode()).digest()
            tenth = int.from_bytes(digest[:8]) * 10 >> 64  # 0..9, equally likely
            parts[max(0, tenth - 7)].append(review)
    return splits
