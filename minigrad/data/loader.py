"""`DataLoader`: examples in batches, in an order that a seed decides, from any place in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.rng import generator
from ..utils.arguments import check_flag, check_positive
from .examples import Columns, examples_of
from .order import batch_rows

__all__ = ["DataLoader"]


def seed_of(asked_by: str, seed: Any) -> int:
    """A seed that a user gave, or one that `mg.manual_seed` decides."""
    if seed is None:
        return int(generator().integers(2**63))
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"{asked_by}: seed is an integer of 0 or more; got {seed!r:.40}")
    return int(seed)


class DataLoader:
    """Batches of examples: each example once per epoch; each `for` over it is one epoch.

    Parameters
    ----------
    data : columns, as in `(inputs, labels)` or `{"x": inputs, "y": labels}`, or one column. An
        array or a tensor (examples, ...), or a list of numbers, gives a part (N, ...) of a batch.
        A list of sequences (lists, arrays or tensors) gives two parts: the sequences side by side,
        (T, N, ...), and their lengths, an array (N,), as layers take it; in a dict they are called
        "x" and "x_lengths". Data may also be a list of examples that are tuples or dicts, or an
        object with `len()` that gives them by position, such as a data set of PyTorch's; fields
        that are arrays are then stacked.
    batch_size : how many examples a batch has; the last one may have fewer.
    shuffle : each epoch in another order.
    drop_last : leave out the examples that do not fill a batch.
    seed : what the orders follow from, and nothing else does. Without it `mg.manual_seed` decides.
    bucket_width : batches of sequences of similar lengths, which need little padding: examples are
        shuffled among those whose lengths fall into the same span of this many, and the batches
        come in random order. With 1, batches are cut from all examples sorted by length. Without
        `shuffle` they come from short to long.
    batch_first : sequences are (N, T, ...).
    padding_value : what stands after the end of a shorter sequence: a number, or one for each
        column (a tuple, or a dict by name).
    sequences : which columns are sequences, by position or name, where it is not as said above.

    Attributes
    ----------
    epoch : how many epochs were begun before the one that the next batch belongs to.

    Tensors are on the current backend; columns that are tensors stay where they are.

    Raises TypeError or ValueError for data that are no numbers or do not fit together, for
    no examples, and for settings out of range.

    >>> import minigrad as mg
    >>> texts, labels = [[5, 6, 7], [8], [9, 2], [4]], [1, 0, 1, 0]
    >>> loader = mg.data.DataLoader((texts, labels), batch_size=2, bucket_width=1)
    >>> for x, lengths, y in loader:
    ...     print(x.tolist(), lengths, y.tolist())
    [[8, 4]] [1 1] [0, 0]
    [[9, 5], [2, 6], [0, 7]] [2 3] [1, 1]
    >>> len(loader), loader.epoch
    (2, 1)
    >>> loader
    <loader of 4 examples, 2 batches of 2, at epoch 1>
    """

    def __init__(
        self,
        data: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        *,
        seed: int | None = None,
        bucket_width: int | None = None,
        batch_first: bool = False,
        padding_value: Any = 0,
        sequences: Any = None,
    ) -> None:
        name = type(self).__name__
        self.batch_size = check_positive(name, "batch_size", batch_size)
        self.shuffle = check_flag(name, "shuffle", shuffle)
        self.drop_last = check_flag(name, "drop_last", drop_last)
        self.batch_first = check_flag(name, "batch_first", batch_first)
        self.bucket_width = None
        if bucket_width is not None:
            self.bucket_width = check_positive(name, "bucket_width", bucket_width)
        self._examples = examples_of(name, data, sequences, padding_value)
        if not self._examples.count:
            raise ValueError(f"{name}: there are no examples")
        if not len(self):
            raise ValueError(
                f"{name}: with drop_last there is no batch, since {self._examples.count} examples "
                f"are fewer than batch_size={self.batch_size}"
            )
        if self.bucket_width and not self._examples.lengths:
            raise ValueError(
                f"{name}: bucket_width goes by the lengths of sequences, and "
                + (
                    "there are none: sequences stand in a list, or are named in sequences=[...]"
                    if isinstance(self._examples, Columns)
                    else "a data set does not say them: give list(dataset)"
                )
            )
        self.seed = seed_of(name, seed) if self.shuffle or seed is not None else 0
        self._at = (0, 0)  # the epoch, and how many of its batches were given
        self._begun = 0  # how many epochs were
        self._newest: Any = None  # the epoch that `_at` is about

    def __repr__(self) -> str:
        count, size = len(self), min(self.batch_size, self._examples.count)
        batches = f"{count} batch{'es' * (count > 1)} of {size}"
        order = ", shuffled" * self.shuffle
        return (
            f"<loader of {self._examples.count} examples, {batches}{order}, at epoch {self.epoch}>"
        )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(self._examples.count, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    @property
    def epoch(self) -> int:
        """How many epochs were begun before the one that the next batch belongs to.

        >>> loader = mg.data.DataLoader(np.arange(4), batch_size=2)
        >>> while loader.epoch < 2:
        ...     print(loader.epoch, [batch.tolist() for batch in loader])
        0 [[0, 1], [2, 3]]
        1 [[0, 1], [2, 3]]
        """
        return self._at[0]

    def __iter__(self) -> Iterator[Any]:
        """The batches of the next epoch; after `load_state_dict` those that are left of one."""
        if self._newest is not None or not self._at[1]:  # else it was loaded
            self._at = (self._begun, 0)
        self._begun = self._at[0] + 1
        self._newest = epoch = object()
        return self._batches(epoch, *self._at)

    def _batches(self, epoch: Any, number: int, given: int) -> Iterator[Any]:
        rng = np.random.default_rng([self.seed, number]) if self.shuffle else None
        lengths = self._examples.lengths if self.bucket_width else ()
        rows = batch_rows(
            self._examples.count, self.batch_size, rng, lengths, self.bucket_width or 1,
            self.drop_last,
        )  # fmt: skip
        for i in range(given, len(rows)):
            batch = self._examples.take(rows[i], self.batch_first)
            if self._newest is epoch:
                self._at = (number, i + 1) if i + 1 < len(rows) else (number + 1, 0)
            yield batch

    # --- saving and resuming ---------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The place in the order of all batches, for `mg.save`; the data are not included.

        A batch that was given counts as done.

        >>> loader = mg.data.DataLoader(np.arange(6), batch_size=2, shuffle=True, seed=0)
        >>> batches = iter(loader)
        >>> first = next(batches)
        >>> state = loader.state_dict()
        >>> state["epoch"], state["batch"]
        (0, 1)
        """
        epoch, batch = self._at
        return {"epoch": epoch, "batch": batch, "seed": self.seed, **self._description()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict()` was taken: the next `for` gives the rest of that epoch.

        The seed is that of the state. Raises ValueError, and changes nothing, if the state is from
        a loader with other settings, or of other data as far as their number and lengths show it.

        >>> loader = mg.data.DataLoader(np.arange(6), batch_size=2, shuffle=True, seed=0)
        >>> batches = iter(loader)
        >>> first, state, rest = next(batches), loader.state_dict(), list(batches)
        >>> other = mg.data.DataLoader(np.arange(6), batch_size=2, shuffle=True, seed=1)
        >>> other.load_state_dict(state)
        >>> [batch.tolist() for batch in other] == [batch.tolist() for batch in rest]
        True
        """
        name, ours = type(self).__name__, self._description()
        if not isinstance(state, Mapping) or state.keys() != {"epoch", "batch", "seed", *ours}:
            raise ValueError(f"{name}.load_state_dict takes what its state_dict() returned")
        differ = [f"{key}: here {ours[key]}, in the state {state[key]}" for key in ours
                  if state[key] != ours[key]]  # fmt: skip
        if differ:
            raise ValueError(
                f"this state does not fit {name}; nothing was loaded\n  " + "\n  ".join(differ)
            )
        at, seed = (state["epoch"], state["batch"]), state["seed"]
        numbers = [*at, seed]
        if not all(type(n) is int and n >= 0 for n in numbers) or at[1] >= len(self):
            raise ValueError(
                f"{name}.load_state_dict: there is no batch {at[1]!r:.40} in epoch {at[0]!r:.40} "
                f"for the seed {seed!r:.40}; nothing was loaded"
            )
        self.seed, self._at = seed, at
        self._begun, self._newest = self._at[0], None

    def _description(self) -> dict[str, Any]:
        """What the order follows from, besides the seed."""
        lengths = b"".join(each.astype("<i8").tobytes() for each in self._examples.lengths)
        return {
            "examples": self._examples.count,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            "bucket_width": self.bucket_width,
            "lengths": zlib.crc32(lengths) if self.bucket_width else None,
        }
