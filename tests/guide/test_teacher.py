"""The teacher's plan: its minutes add up, and what it names is there."""

import re

import pytest
from places import ROOT

from minigrad.models.commands.guide import PORT
from minigrad.models.exercises import EXERCISES
from minigrad.models.guide.chapter import chapters, chosen
from minigrad.models.guide.live.gates_by_hand import CELLS
from minigrad.models.guide.pages import TEMPLATES

PLAN = (TEMPLATES / "teacher.txt").read_text("utf-8")
SOURCES = {chapter.number: chapter.source for chapter in chapters()}


def test_the_minutes_add_up():
    rows = re.findall(r"^\| (\d+)–(\d+) \| (.+?) \|", PLAN, re.MULTILINE)
    parts = re.findall(r"^### (\d+)–(\d+): (.+)$", PLAN, re.MULTILINE)
    assert rows == parts and len(parts) > 5
    ends = [0, *(int(end) for _, end, _ in parts)]
    assert [int(begin) for begin, _, _ in parts] == ends[:-1] and ends[-1] == 90
    for minute in re.findall(r"minutes? (\d+)", PLAN):
        assert int(minute) in ends, minute


def test_what_is_named_is_there():
    shown = re.findall(r"\*\*Show\*\* the frames \*(.+?)\* in \{\{ chapter\((\d+)\) \}\}", PLAN)
    assert len(shown) == 4
    for title, number in shown:
        assert f'"{title}"' in SOURCES[int(number)], title
    for number in re.findall(r"\{\{ chapter\((\d+)\) \}\}", PLAN):
        assert int(number) in SOURCES
    table = PLAN.partition("## Exercises")[2].partition("## What")[0]
    names = set(re.findall(r"`([a-z-]+)`", table)) | {"clipping"}
    assert len(names) > 9 and names <= EXERCISES.keys()
    assert {"fade", "add up", "keep it secret"} <= CELLS["LSTM"]["presets"].keys()
    assert f"port {PORT}" in PLAN
    (numbers,) = re.findall(r"guide --chapters (\S+)", (ROOT / "Makefile").read_text("utf-8"))
    assert {c.number for c in chosen(numbers)} == {
        int(number) for number in re.findall(r"chapter\((\d+)\)", PLAN)
    }
    live = (TEMPLATES / "live" / "live.html").read_text("utf-8")
    assert "One unit, gates by hand" in live


@pytest.mark.parametrize(
    "text, value",
    [
        ("0.9²⁰ = 0.12", 0.9**20 / 0.12),
        ("5 · 10⁴⁷", 3.0**100 / 5e47),
        ("one millionth", 0.25**10 / 1e-6),
        ("it is a millionth", 0.5**20 / 1e-6),
        ("1: 0.35; 0.00003", 0.9**10 / 0.35),
    ],
)
def test_its_numbers(text, value):
    assert text in PLAN and 0.9 < value < 1.1
