"""Numbers of symbols with a meaning, the same in every vocabulary.

>>> PAD, UNKNOWN, BOS, EOS
(0, 1, 2, 3)
"""

from __future__ import annotations

__all__ = ["BOS", "EOS", "PAD", "UNKNOWN"]

PAD = 0  # fills up a batch; never read, as lengths say where a sequence ends
UNKNOWN = 1  # stands for every symbol that isn't in the vocabulary
BOS, EOS = 2, 3  # the begin and the end of a sequence, in vocabularies of sequences that are made
