"""The page of a run of benchmarks, in a browser; its tables and the lines on speed, as text."""

import pytest
from browser import Browser
from page_checks import check_page

from minigrad.models.reports.bench.page import page_of
from minigrad.models.reports.bench.record import Line, Record
from minigrad.models.reports.bench.summary import speed_lines, standings
from minigrad.models.reports.bench.tables import BEGIN, END, replaced, tables_of

pytestmark = pytest.mark.no_backend

STEADY = [1.0, 1.01, 1.0, 1.02, 1.0, 0.99]


def scaled(by):
    return [by * value for value in STEADY]


def layer(name, threads, own, peer=1.0):
    values = {"minigrad numpy": scaled(own), "PyTorch": scaled(peer), "floor": scaled(0.5)}
    return Line("recurrent", name, threads, "s", values, "floor")


def grown(name, power):
    return [
        Line(
            *("growth", name, 1, "s"),
            {"minigrad numpy": scaled(at**power), "floor": scaled(at)},
            *("floor", True, "T", at),
        )
        for at in (10, 100, 1000, 10_000)
    ]


@pytest.fixture
def record():
    lines = [layer("lstm", 1, 0.5), layer("gru", 1, 2.0), layer("rnn", 1, 1.0), layer("lstm", 2, 1)]
    lines += [*grown("even", 1), *grown("steep", 1.5)]
    lines.append(Line("gradcheck", "<missed>", 1, "count", {"minigrad": [0, 1, 0]}))
    return Record(lines, {"groups": ["recurrent"], "rounds": None})


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.mark.parametrize("width", [1100, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser(browser, record, tmp_path, width, dark):
    pytest.importorskip("plotly")
    path = tmp_path / "page.html"
    path.write_text(page_of(record), encoding="utf-8")
    with browser.page(path.as_uri(), width=width, dark=dark) as page:
        page.until("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 5")
        plots = page.run(
            "[...document.querySelectorAll('.js-plotly-plot')].map(p => "
            "[p.clientWidth, p.querySelector('.main-svg').getBoundingClientRect().width])"
        )
        assert plots and all(inner <= outer <= width for outer, inner in plots)
        floor = page.run(
            "getComputedStyle(document.querySelector('.js-plotly-plot .points path')).stroke"
        )
        assert floor
        check_page(page, width)
        assert page.fetched() == [path.as_uri()]


def test_how_it_stands_beside_pytorch(record):
    one, two = standings(record)
    assert (one.threads, one.contender, one.lines, one.unclear) == (1, "minigrad numpy", 3, 1)
    assert (one.mean, one.worst, one.best) == pytest.approx((1, 0.5, 2))
    assert (two.threads, two.lines, two.unclear) == (2, 1, 1)
    lines = speed_lines(record).splitlines()
    said = "numpy 1.00 on 1 thread (0.50 to 2.00); numpy 1.00 on 2 threads (1.00 to 1.00)"
    assert lines[2:] == [f"- training a recurrent layer: {said}"]


def test_how_it_was_run():
    pytest.importorskip("plotly")
    settings = {"groups": ["eager", "ops"], "rounds": None, "without result": [], "quick": False}
    page = page_of(Record([layer("a", 1, 2.0)], settings))
    said = "groups: eager ops, rounds: as usual, without result: none, quick: no"
    assert f"<td>{said}</td>" in page


def test_tables_have_standings_and_slopes(record):
    text = tables_of(record)
    assert "| recurrent | 1 | minigrad numpy | 1.00 | 0.50 to 2.00 | 3, 1 unclear |" in text
    assert "| steep, time by T | 1.50 (1.50 to 1.50) | 1.00 (1.00 to 1.00) |" in text
    assert "Verdict: missed: these grow faster than their products: steep with T on" in text
    assert "| <missed> | 1 in 3 rounds |" in text
    even = Record([line for line in record.lines if line.name != "steep"], {})
    assert "Verdict: no cell grows faster than its products." in tables_of(even)


def test_tables_go_between_their_marks():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replaced(page, "new") == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    assert replaced(replaced(page, "x"), "new") == replaced(page, "new")
    for wrong in ("", BEGIN, f"{END}\n{BEGIN}\n", page + page):
        with pytest.raises(ValueError, match="once each, in this order"):
            replaced(wrong, "new")
