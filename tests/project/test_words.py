"""Words: phrases that plain English does without, in all that users read."""

import re

from places import ROOT

# What to write instead: the subject that acts, and its verb.
PHRASES = [
    *("nobody", "somebody", "anybody", "no one", "whoever", "by itself", "of one's own"),
    *("in silence", "hands? on", "hand(s|ed)? (it|them) in", "(is|are|be) told", "tells"),
    *("(is|are) to be", "not so much as", "as long as nobody"),
]
PATTERN = re.compile(rf"\b({'|'.join(PHRASES)})\b", re.IGNORECASE)
FOLDERS = ("minigrad", "backends", "models", "benchmarks")


def texts():
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile"))
    for folder in FOLDERS:
        for kind in ("*.py", "*.md"):
            yield from sorted((ROOT / folder).rglob(kind))


def test_phrases_that_do_not_come_back():
    found = []
    for path in texts():
        text = path.read_text(encoding="utf-8")
        for hit in PATTERN.finditer(text):
            line = text.count("\n", 0, hit.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}: {hit[0]}")
    assert not found, "write who does what:\n" + "\n".join(found)


def test_the_pattern_finds_them():
    assert PATTERN.search("an error that Nobody sees") and PATTERN.search("it is to be said")
    assert not PATTERN.search("handsome telling of itself")
