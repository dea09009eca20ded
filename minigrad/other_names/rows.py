"""Rows of the table: what PyTorch or NumPy call something, and the line that minigrad has for it.

They are written as text, one row after the other; a line that is indented goes on with the row:

    torch.cat np.hstack -> mg.concatenate([a, b], axis=1)  # a note

The names stand first. They begin with where they are found: `torch.`, `F.`, `nn.`, `optim.`, `np.`
and so on, or with an object that has them: `x.` a tensor, `model.`, `optimizer.`. `*.` means a
function and a method of tensors. A row without a line has a note that says what to do. `~>` for the
arrow means that minigrad has no such thing, and the line is what comes nearest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Row(NamedTuple):
    """Some names of one thing, the line as it would be written, and where its meaning differs."""

    names: list[str]
    ours: str
    note: str
    is_near: bool

    def text(self, asked: str) -> str:
        """What an error says if this name was asked for.

        >>> (row,) = rows_of("torch.cat -> mg.concatenate([a, b], axis=1)")
        >>> row.text("cat")
        'minigrad calls it concatenate: mg.concatenate([a, b], axis=1)'
        """
        if not self.ours:
            return self.note
        called = _CALL.match(self.ours)
        if self.is_near:
            said = f"minigrad has none; the nearest is {self.ours}"
        elif called and called[1] != asked.rpartition(".")[2]:
            said = f"minigrad calls it {called[1]}: {self.ours}"
        else:
            said = f"write {self.ours}"
        return f"{said}. {self.note}" if self.note else said


# A line that calls a function or a method, and does nothing else.
_INSIDE = r"[^()]*(?:\([^()]*\)[^()]*)*"
_CALL = re.compile(rf"(?:\w+ = )?(?:mg|x|model|optimizer|loss)(?:\.\w+)*\.(\w+)\({_INSIDE}\)$")


def rows_of(text: str) -> Iterator[Row]:
    """The rows of a text."""
    for line in re.sub(r"\n +", " ", text.strip()).splitlines():
        names, arrow, rest = re.split(r" ([-~]>)", line, maxsplit=1)
        ours, _, note = rest.partition("# ")
        yield Row(names.split(), ours.strip(), note.strip(), arrow == "~>")
