"""Ways in which a file is damaged."""

from hypothesis import strategies as st


def damaged(content, data):
    """The bytes of a file with some of them changed, cut off, or put in."""
    at = data.draw(st.integers(0, max(len(content) - 1, 0)))
    kind = data.draw(st.sampled_from(["bit", "byte", "cut", "insert", "zeros", "swap"]))
    new = bytearray(content)
    if kind == "bit":
        new[at] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "byte":
        new[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del new[at:]
    elif kind == "insert":
        new[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    elif kind == "zeros":
        new[at:] = bytes(len(new) - at)
    else:
        new[at:], new[:at] = new[:at], new[at:]
    return bytes(new)
