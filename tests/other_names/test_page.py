"""The page "Coming from PyTorch" is the table's."""

from places import ROOT

from minigrad.other_names import page
from minigrad.other_names.differences import DIFFERENCES


def test_the_page_is_what_the_table_gives():
    said = (ROOT / "minigrad" / "coming_from_pytorch.md").read_text(encoding="utf-8")
    assert said == page.page(), "write it anew: python -m minigrad.other_names"


def test_differences_of_meaning_come_first():
    said = page.page()
    titles = [said.index(title[:20]) for title, *_ in DIFFERENCES]
    assert titles == sorted(titles) and titles[-1] < said.index("## What has another name")


def test_readers_find_it():
    for name in ("README.md", "minigrad/README.md"):
        assert "coming_from_pytorch.md" in (ROOT / name).read_text(encoding="utf-8")
