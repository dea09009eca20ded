"""Right answers pass; wrong ones fail at the right place, with the reason if it is a usual one."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solved_exercises import SOLUTIONS, WRONG, filled

from minigrad.models.exercises import EXERCISES, Mistake, check, compare
from minigrad.models.exercises.compare import suspects
from minigrad.models.exercises.exercise import blanks_of
from minigrad.models.guide.chapter import chapters

HERE = Path("answer.py")


def test_every_exercise_is_solved_here():
    assert EXERCISES.keys() == SOLUTIONS.keys()
    assert len(EXERCISES) >= 20
    assert {name for name, *_ in WRONG} == EXERCISES.keys()


def test_every_chapter_has_one_to_three():
    counts = Counter(exercise.chapter for exercise in EXERCISES.values())
    assert counts.keys() == {chapter.number for chapter in chapters()}
    assert max(counts.values()) <= 3


@pytest.mark.parametrize("name", SOLUTIONS)
def test_a_right_answer_passes(name):
    blank = EXERCISES[name].blank
    assert blanks_of(blank) == len(SOLUTIONS[name])
    check(name, HERE, filled(name, blank, SOLUTIONS[name]))


@pytest.mark.parametrize("name", SOLUTIONS)
def test_a_file_with_blanks_says_which_is_left(name):
    with pytest.raises(Mistake, match=r"blank left|can't be called"):
        check(name, HERE, EXERCISES[name].blank)


@pytest.mark.parametrize(("name", "place", "answer", "said"), WRONG)
def test_a_wrong_answer(name, place, answer, said):
    answers = [*SOLUTIONS[name]]
    answers[place] = answer
    with pytest.raises(Mistake) as caught:
        check(name, HERE, filled(name, EXERCISES[name].blank, answers))
    assert said in str(caught.value)


def test_files_that_are_no_answers():
    name = "tanh-slope"
    for source, said in {
        "": "no function backward",
        "def backward(g, y): return None": "returns nothing",
        "def backward(g, y): return 'a'": "must be numbers",
        "def backward(g, y): return g[7]": "line 1",
        "def backward(g, y) return g": "line 1: SyntaxError",
        "import nothing_there": "No module named",
        "raise SystemExit": "can't be run",
        "def backward(g, y): return np.tanh(g)": "NameError",
        "def backward(g, y): return g * float('nan')": "isn't finite",
        "def backward(g): return g": "takes 1 positional argument",
    }.items():
        with pytest.raises(Mistake, match=said):
            check(name, HERE, source)
    with pytest.raises(Mistake, match="can't be read"):
        check(name, Path("not there.py"))


@given(st.data())
def test_what_is_done_to_an_array_is_suspected(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = data.draw(st.sampled_from([(5,), (3, 5), (5, 5), (2, 3, 5)]))
    wanted, factor = rng.normal(size=(2, *shape))
    done, said = data.draw(
        st.sampled_from(
            [
                (-wanted, "sign"),
                (2 * wanted, "factor of 2"),
                (wanted / 2, "factor of 1/2"),
                (5 * wanted, "sum in place of a mean over 5"),
                (wanted / 5, "mean in place of a sum over 5"),
                (wanted / factor, "f is missing as a factor"),
                (wanted * factor, "f is one factor too many"),
                (wanted - factor, "f is missing in a sum"),
                (0 * wanted, "all of it is 0"),
                (np.flip(wanted, 0), "axis 0 runs backwards"),
            ]
        )
    )
    assert any(said in hint for hint in suspects(done, wanted, {"f": factor}, {}))
    with pytest.raises(Mistake, match="first difference"):
        compare("x", done, wanted)
    compare("x", wanted * (1 + 1e-9), wanted)


def test_the_command(tmp_path):
    pytest.importorskip("click")
    from click.testing import CliRunner

    from minigrad.models.commands import main

    def call(*words):
        result = CliRunner().invoke(main, ["exercise", *words], catch_exceptions=False)
        return result.exit_code, result.output

    code, listed = call("list")
    assert code == 0 and all(name in listed for name in EXERCISES)
    path = tmp_path / "answer.py"
    code, shown = call("show", "lstm-step")
    assert code == 0 and shown == EXERCISES["lstm-step"].blank
    assert call("show", "lstm-step", "--out", str(path))[0] == 0
    code, said = call("show", "lstm-step", "--out", str(path))
    assert code == 1 and "there already" in said
    code, said = call("check", "lstm-step", str(path))
    assert code == 1 and "blank left" in said and "line " in said
    path.write_text(filled("lstm-step", shown, SOLUTIONS["lstm-step"]), "utf-8")
    assert call("check", "lstm-step", str(path)) == (0, "lstm-step: right\n")
    code, said = call("check", "lstm-stp", str(path))
    assert code == 2 and "did you mean lstm-step" in said
    assert call("check", "lstm-step", str(tmp_path / "none.py"))[0] == 2
