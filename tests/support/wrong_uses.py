"""Tables of wrong uses, and what the error of each must say."""

import pytest

import minigrad as mg


def ones(*shape):
    return mg.ones(shape, requires_grad=True)


def check(use, kind, text):
    with pytest.raises(kind) as error:
        use()
    assert text in str(error.value), str(error.value)


def table(cases):
    """A test per case of a table: what the text must contain, the error's kind, the use."""
    return pytest.mark.parametrize(
        ("text", "kind", "use"), [(text, *case) for text, case in cases.items()], ids=[*cases]
    )
