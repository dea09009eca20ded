"""Tensors in containers: what one walk gives, the other puts back."""

from collections import namedtuple

from hypothesis import given
from hypothesis import strategies as st

from minigrad.nested import leaves_of, map_leaves, parts_of, rebuild

Pair = namedtuple("Pair", "h c")
NESTED = st.recursive(
    st.integers() | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
)


@given(NESTED)
def test_leaves_come_back_in_their_places(value):
    leaves = list(leaves_of(value))
    for path, leaf in leaves:
        found = value
        for key in path:
            found = found[key]
        assert found == leaf
    rest = iter([leaf for _, leaf in leaves])
    again = map_leaves(lambda _: next(rest), value)
    assert again == value and type(again) is type(value)
    assert [*rest] == []
    numbered = map_leaves(lambda leaf: (leaf,), value)  # a tuple is no leaf of what comes out
    assert [leaf for _, leaf in leaves_of(numbered)] == [leaf for _, leaf in leaves]


@given(st.lists(st.integers(), min_size=1, max_size=3))
def test_parts_come_back_in_their_structure(numbers):
    for value in (tuple(numbers), numbers[0], Pair(numbers[0], numbers[-1])):
        again = rebuild(value, parts_of(value))
        assert again == value and type(again) is type(value)
