"""Arrays of any layout in memory, in the middle of what must neither be read nor written."""

import math

import numpy as np
from hypothesis import strategies as st

STEPS = (1, 1, 1, -1, 2, -2, 3, 0)  # 0: the same numbers again and again
AROUND = {"f": np.nan, "i": 99, "u": 99, "b": True}


def laid_out(x, steps, transposed=False, margin=0, odd_address=False):
    """The numbers of x, its axes so many items apart each; an axis of step 0 repeats its first.

    Around (a margin wide) and between them lie NaNs, so that a number read from outside shows.
    With `odd_address` the memory begins where no number of this dtype does.
    """
    numbers = x[tuple(slice(0, 1) if step == 0 else slice(None) for step in steps)]
    if transposed:
        numbers, steps = numbers.T, steps[::-1]
    apart = [abs(step) or 1 for step in steps]
    ends = [margin + max(n - 1, 0) * step + 1 for n, step in zip(numbers.shape, apart, strict=True)]
    room = [end + margin for end in ends]
    size = math.prod(room) * x.itemsize
    memory = np.empty(size + 1, np.uint8)[int(odd_address) :][:size]
    whole = memory.view(x.dtype).reshape(room)
    whole[...] = AROUND[x.dtype.kind]
    cuts = [
        slice(margin, end if n else margin, step)
        for n, end, step in zip(numbers.shape, ends, apart, strict=True)
    ]
    view = whole[tuple(cuts)][tuple(slice(None, None, -1 if step < 0 else 1) for step in steps)]
    view[...] = numbers
    return np.broadcast_to(view.T if transposed else view, x.shape)


def layouts(ndim=2):
    """The keywords of `laid_out`, at random; an array as NumPy makes it is the simplest."""
    return st.fixed_dictionaries(
        {
            "steps": st.tuples(*[st.sampled_from(STEPS)] * ndim),
            "transposed": st.booleans(),
            "margin": st.sampled_from([0, 3]),
            "odd_address": st.sampled_from([False, False, False, True]),
        }
    )
