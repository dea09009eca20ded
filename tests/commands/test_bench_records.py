"""`minigrad bench compare`, `page` and `self-test`: records of runs, right, damaged and foreign."""

import getpass
import json
import platform
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from minigrad.models.commands import main
from minigrad.models.reports.bench import record as records
from minigrad.models.reports.bench import self_test as measuring
from minigrad.models.reports.bench.record import Line, Record, RecordError, read_record
from minigrad.models.reports.bench.significance import in_one_run
from minigrad.models.reports.bench.tables import BEGIN, END

pytestmark = pytest.mark.no_backend

STEADY = [1.0, 1.01, 1.0, 1.02, 1.0, 0.99]


def scaled(by, values=STEADY):
    return [by * value for value in values]


def line(own=1.0, peer=2.0, **others):
    values = {"minigrad numpy": scaled(own), "PyTorch": scaled(peer), "floor": scaled(0.5)}
    return Line("ops", "tanh", 1, "s", values, **{"floor": "floor", **others})


@pytest.fixture
def saved(tmp_path):
    """Write a record of these lines, and return its path."""

    def save(name, *lines, **settings):
        path = tmp_path / f"{name}.json"
        path.write_text(Record([*lines], settings).to_text())
        return str(path)

    return save


def run(*arguments):
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_a_record_comes_back_and_names_no_machine(saved):
    path = saved("a", line(), Line("gradcheck", "missed", 1, "count", {"minigrad": [0]}))
    found = read_record(Path(path))
    assert found.lines[0] == line() and found.lines[0].own == ["minigrad numpy"]
    assert found.versions["Python"] == platform.python_version() and found.machine["cores"] > 0
    text = json.dumps({"machine": found.machine, "versions": found.versions, "c": found.commit})
    assert platform.node() not in text and str(Path.home()) not in text
    assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", text)


def test_the_commit_is_that_of_the_checkout():
    found = records.commit()
    if not found:
        pytest.skip("not a checkout of git")
    assert re.fullmatch(r"[0-9a-f]{40}", found["id"]) and type(found["edited"]) is bool


def test_nothing_slower(saved):
    found = run("compare", saved("a", line()), saved("b", line(own=1.04)))
    assert found.exit_code == 0, found.output
    assert "no difference can be seen" in found.output and "0 of 1 got slower" in found.output


def test_slower_by_more_than_the_spread(saved):
    found = run("compare", saved("a", line()), saved("b", line(own=1.1)))
    assert found.exit_code == 1
    assert re.search(r"ops, tanh +1 +minigrad numpy +1\.10 +1\.08 to 1\.12 +slower", found.output)
    found = run("compare", saved("b", line(own=1.1)), saved("a", line()))
    assert found.exit_code == 0 and re.search(r"0\.91 .*faster", found.output)


def test_a_spread_that_is_larger_refuses(saved):
    wide = {"minigrad": [1.0, 1.1, 0.9, 1.2, 1.0, 1.3]}
    slower = {"minigrad": scaled(1.2, wide["minigrad"])}
    paths = (saved(name, Line("a", "b", 1, "s", v)) for name, v in (("a", wide), ("b", slower)))
    assert run("compare", *paths).exit_code == 0


def test_a_yardstick_takes_out_a_machine_that_is_slower(saved, monkeypatch):
    monkeypatch.setattr(records, "versions", lambda: {"PyTorch": "2", "Python": "3"})
    paths = saved("a", line()), saved("b", line(own=1.5, peer=3.0))
    assert run("compare", *paths, "--yardstick", "PyTorch").exit_code == 0
    paths = saved("a", line()), saved("b", line(own=1.5 * 1.15, peer=3.0))
    assert run("compare", *paths, "--yardstick", "PyTorch").exit_code == 1
    paths = saved("a", line()), saved("b", line(own=1.4, peer=3.0))
    found = run("compare", *paths)  # PyTorch takes half as long again, too
    assert found.exit_code == 0 and "0 of 1 got slower" in found.output
    assert re.search("beyond the spread and 4[0-9]%", found.output)
    found = run("compare", *paths, "--yardstick", "JAX")
    said = " ".join(found.output.split())
    assert found.exit_code == 2 and "no contender is called JAX; there are minigrad numpy" in said


def test_counts_need_no_spread(saved):
    def missed(count):
        return Line("gradcheck", "bugs missed", 1, "count", {"minigrad": [count]})

    assert run("compare", saved("a", missed(0)), saved("b", missed(1))).exit_code == 1
    assert run("compare", saved("a", missed(1)), saved("b", missed(0))).exit_code == 0


def test_what_is_not_compared_is_said(saved):
    few = Line("first use", "LSTM", 1, "s", {"minigrad": [1.0]})
    grown = line(axis="T", at=100)
    found = run("compare", saved("a", line(), few, grown, x=1), saved("b", line(), few, x=2))
    assert found.exit_code == 0
    assert "first use, LSTM, minigrad: fewer than 5 rounds have no spread" in found.output
    assert "ops, tanh, T = 100: only in the first" in found.output
    assert "settings: x is 1 and 2" in found.output
    found = run("compare", saved("a", few), saved("b", line()))
    assert found.exit_code == 2 and "nothing in common" in found.output


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda text: "", "is no JSON, or is damaged"),
        (lambda text: text[:-9], "is no JSON, or is damaged"),
        (lambda text: "[" * 100_000, "is no JSON, or is damaged"),
        (lambda text: "[1]", "is no record of minigrad bench; minigrad bench all --json makes"),
        (lambda text: '{"format": "other"}', "is no record of minigrad bench"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "has version 2 of the format"),
        (lambda text: text.replace('"lines"', '"rows"'), "is damaged: 'lines'"),
        (lambda text: text.replace("0.99", "NaN"), "minigrad numpy has a value that is no measure"),
        (lambda text: text.replace("0.99", "-1"), "has a value that is no measure"),
        (lambda text: text.replace("0.99", '"1"'), "has a value that is no measure"),
        (lambda text: text.replace('"unit": "s"', '"unit": "m"'), "unit 'm', not s, bytes, count"),
        (lambda text: text.replace('"floor": "floor"', '"floor": "f"'), "floor 'f'"),
        (lambda text: text.replace('"name"', '"title"'), "unexpected keyword argument 'title'"),
        (lambda text: text.replace('"threads": 1', '"threads": true'), "threads True"),
        (lambda text: text.replace(",\n     0.99", "", 1), "contenders have different rounds"),
    ],
)
def test_damaged_and_foreign_files(saved, edit, said):
    whole, path = saved("a", line()), Path(saved("b", line()))
    text = path.read_text()
    path.write_text(edit(text))
    assert path.read_text() != text
    with pytest.raises(RecordError):
        read_record(path)
    found = run("compare", whole, path)
    assert found.exit_code == 2 and said in " ".join(found.output.split()), found.output
    assert "Traceback" not in found.output


def test_a_line_twice_is_damaged(saved):
    found = run("compare", saved("a", line(), line()), saved("b", line()))
    assert found.exit_code == 2 and "a line stands there twice" in found.output


def test_a_page_has_all_in_it(saved, tmp_path):
    pytest.importorskip("plotly")
    lines = [line(), *(line(axis="T", at=at, own=at) for at in (10, 100, 1000))]
    lines.append(Line("gradcheck", "<missed>", 2, "count", {"minigrad": [0]}, paired=False))
    path = tmp_path / "page.html"
    found = run("page", saved("a", *lines), path)
    assert found.exit_code == 0, found.output
    text = path.read_text(encoding="utf-8")
    assert text.count("Plotly.newPlot(") == 3
    assert "floor &lt; minigrad numpy &lt; PyTorch" in text
    assert "Verdict: missed: these grow faster than their products: tanh with T on" in text
    assert "floor (floor)" in text and r"\u003cmissed\u003e" in text
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=(?!\"data:)", text)  # no other file
    assert run("page", saved("a", line()), tmp_path / "page.txt").exit_code == 2


def test_tables(saved, tmp_path):
    peak = Line("peak-memory", "a|b", 1, "bytes", {"minigrad": [3 << 20], "PyTorch": [9 << 10]})
    missed = Line("gradcheck", "missed", 1, "count", {"minigrad": [0]})
    path = saved("a", line(), peak, missed)
    found = run("tables", path)
    assert found.exit_code == 0, found.output
    rows = found.output.splitlines()
    assert rows[0].startswith("commit ") and f"Python {platform.python_version()}" in rows[0]
    assert "### ops: time, 1 thread" in rows and "| a\\|b | 3 MB | 9 kB |" in rows
    assert "| missed | 0 |" in rows and "| tanh | 1 s (0.99 to 1.02) | 2 s (1.98 to 2.04) |" in (
        " ".join(row.split()).replace(" | 500 ms (495 to 510)", "") for row in rows
    )
    page = tmp_path / "README.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    assert run("tables", path, "--into", page).exit_code == 0
    assert "### ops: time, 1 thread" in page.read_text()
    page.write_text("no marks\n")
    found = run("tables", path, "--into", page)
    assert found.exit_code == 2 and "once each, in this order" in " ".join(found.output.split())
    assert page.read_text() == "no marks\n"
    assert (
        "small things in a loop: numpy 2.00 on 1 thread" in run("tables", path, "--summary").output
    )


@pytest.mark.parametrize(("planted", "exit_code"), [(1.1, 0), (1.0, 1)])
def test_the_self_test(monkeypatch, planted, exit_code):
    def times(turns, rounds, *_, turn):
        assert [*turns] == ["plain", "again", "slowed"]
        return {"plain": STEADY, "again": STEADY, "slowed": scaled(planted)}

    monkeypatch.setattr(measuring, "times_in_turns", times)
    found = run("self-test")
    assert found.exit_code == exit_code and ("can't be seen: " in found.output) == exit_code


def test_the_slowdown_is_planted_in_the_work(monkeypatch):
    counts = []

    def times(turns, rounds, pause, clock, turn):
        counts.extend(sum(1 for _ in taken(turn)) for turn in turns.values())
        return dict.fromkeys(turns, STEADY)

    def taken(turn):
        steps.clear()
        turn()
        return steps

    steps = []
    monkeypatch.setattr(measuring, "layer_step", lambda *_: lambda: steps.append(1))
    monkeypatch.setattr(measuring, "times_in_turns", times)
    monkeypatch.setattr(measuring, "TURN", 1e-9)
    found = measuring.self_test(8)
    plain, again, slowed = counts
    assert plain == again and slowed == pytest.approx(1.1 * plain)
    assert found.equal == in_one_run(STEADY, STEADY)
