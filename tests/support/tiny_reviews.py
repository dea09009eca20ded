"""Reviews that are made up, few, and easy: one word tells."""

import random

from minigrad.models.tasks.review_task import Reviews, ReviewSettings
from minigrad.models.tasks.reviews import Review, split_reviews
from minigrad.models.training.loop import fit
from minigrad.models.training.results import run_of

GOOD = ["lovely", "moving", "funny", "great", "charming"]
BAD = ["dull", "boring", "awful", "messy", "bland"]
OTHER = ["film", "plot", "the", "a", "of", "it", "with", "scene", "actor", "and", "was", "is"]


def tiny_reviews(count=300):
    """The same each time: 2 to 8 words, one of them good or bad."""
    rng = random.Random(5)
    reviews = []
    for i in range(count):
        good = rng.random() < 0.5
        words = rng.choices(OTHER, k=rng.randint(1, 7))
        words.insert(rng.randint(0, len(words)), rng.choice(GOOD if good else BAD))
        # The number at the end makes each review another one: equal ones are left out.
        reviews.append(Review(str(i), 2.0 if good else -2.0, " ".join([*words, f"no{i}"])))
    return reviews


def tiny_splits(count=300):
    return split_reviews(tiny_reviews(count))


class TinyReviews(Reviews):
    """The task `reviews` with reviews that are made up."""

    count = 300

    def load(self):
        self.take(tiny_reviews(self.count))


def tiny_task(count=300, **settings):
    task = TinyReviews(ReviewSettings(**settings))
    task.count = count
    return task


def tiny_run(count=300, callbacks=(), **settings):
    """A training on such reviews, as it is saved."""
    return run_of(fit(tiny_task(count, **settings), callbacks=callbacks))
