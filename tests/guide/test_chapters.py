"""Each chapter runs, and comes to these verdicts."""

import re
import warnings
from importlib.util import find_spec

import pytest
from tiny_reviews import tiny_reviews

from minigrad.models.guide.chapter import QUICK, chapters, chosen
from minigrad.models.guide.claims import collect
from minigrad.models.tasks import review_task

pytest.importorskip("plotly", reason="needs the extra guide")

NUMBA = find_spec("numba") is not None
NEEDS = {"12_speech": "espeakng_loader"}

# H: holds, I: holds only if, N: does not hold; in the order of the chapter. ?: what small trainings
# come to hangs on rounding.
VERDICTS = {
    "01_words": "HH",
    "02_rnn_cell": "HHH",
    "03_squashing": "HHH",
    "04_vanishing_gradients": "HII?",
    "05_lstm_cell": "HH",
    "06_highway": "II",
    "07_gru": "HHINH",
    "08_short_term_memory": "???",
    "09_review": None,  # with reviews that are made up
    "10_cost": None,  # times: judged where they are measured
    "11_text": "HHI",
    "12_speech": "HHH?HI",
    "13_gradient_checks": "IHNI",
    "14_program": "HHH" if NUMBA else "HH",
    "15_own_cell": "HHH" if NUMBA else "HH",
}
LETTERS = {"holds": "H", "holds only if": "I", "does not hold": "N"}
ALL = {chapter.path.stem: chapter for chapter in chapters()}


def test_every_chapter_is_here():
    assert list(ALL) == list(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_a_chapter_runs_to_its_verdicts(name, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason="needs the extra speech")
    monkeypatch.setenv(QUICK, "1")
    monkeypatch.setattr(review_task, "load_reviews", lambda subject: tiny_reviews())
    code = compile(ALL[name].source, str(ALL[name].path), "exec")
    with collect() as claims, warnings.catch_warnings():
        exec(code, {"__name__": name})
    assert claims and all(judged.evidence for judged in claims)
    if VERDICTS[name] is not None:
        found = "".join(LETTERS[judged.verdict] for judged in claims)
        wanted = VERDICTS[name].replace("?", ".")
        assert re.fullmatch(wanted, found), claims


@pytest.mark.parametrize("chapter", ALL.values(), ids=ALL)
def test_the_source_is_a_script_of_cells(chapter):
    assert chapter.summary and chapter.title
    assert len(chapter.title) <= 80
    cells = re.split(r"^# %%", chapter.source, flags=re.MULTILINE)[1:]
    for cell in cells:
        kind, _, text = cell.partition("\n")
        assert kind.strip() in ("", "[markdown]", 'tags=["open"]')
        if kind.strip() == "[markdown]":
            assert all(not line or line.startswith("#") for line in text.splitlines()), text


def test_numbers_choose_chapters():
    assert [chapter.number for chapter in chosen("3, 5-6")] == [3, 5, 6]
    assert chosen(None) == chapters()
    for wrong in ("", "0", "99", "3-2", "a", "3;5", "1" * 9):
        with pytest.raises(ValueError, match="chapters"):
            chosen(wrong)
