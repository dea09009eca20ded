"""Pages in a browser: their controls, by mouse, finger and keyboard; colours, widths, paper."""

import os

import pytest
from page_checks import check_page, tab_stops

pytest.importorskip("nbclient", reason="needs the extra guide")
pytest.importorskip("plotly", reason="needs the extra guide")

import nbformat.v4 as notebook_format
import plotly.graph_objects as go
import plotly.io

from minigrad.models.guide.boxes import boxes
from minigrad.models.guide.build import build
from minigrad.models.guide.chapter import chapters
from minigrad.models.guide.claims import claim
from minigrad.models.guide.coloured import Coloured, coloured
from minigrad.models.guide.pages import write_site
from minigrad.models.guide.pictures import Frame, Frames, Picture

SIZES = [(1100, False), (1100, True), (390, False), (390, True)]
BOTH = pytest.mark.parametrize("width, dark", SIZES, ids=["light", "dark", "phone", "dark phone"])
FORMULA = (
    "$$" + " + ".join(rf"\frac{{\partial c_{{{i}}}}}{{\partial c_t}}" for i in range(12)) + "$$"
)


def figure():
    """Lines with long names, frames with a slider, a menu, a button."""
    found = go.Figure()
    for i in range(7):
        found.add_scatter(x=[0, 1, 2], y=[i, 2 * i, i], name=f"LSTM, forget gate biased by {i}")
    found.frames = [
        go.Frame(name=str(i), data=[go.Scatter(x=[0, 1, 2], y=[0, 0, i])]) for i in range(4)
    ]
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}
    steps = [
        {"label": f"epoch {i}", "method": "animate", "args": [[str(i)], at_once]} for i in range(4)
    ]
    play = {"label": "play", "method": "animate", "args": [None]}
    menus = [
        {"type": "buttons", "buttons": [play]},
        {"buttons": [scale("linear"), scale("log")]},
        {"type": "buttons", "buttons": [scale("linear") | {"label": "plain"}]},
    ]
    prefix = {"prefix": "after "}
    found.update_layout(sliders=[{"steps": steps, "currentvalue": prefix}], updatemenus=menus)
    found.update_xaxes(title="steps before the one that the loss reads")
    found.update_yaxes(title="norm of the gradient")
    return found


def bars():
    """Long names below the axis."""
    pairs = ["gates, gradient", "gates, occlusion", "gates, position", "gradient, occlusion"]
    return go.Figure([go.Bar(x=pairs, y=[0.1, 0.5, -0.2, 1], name=name) for name in "abc"])


def scale(kind):
    return {"label": kind, "method": "relayout", "args": [{"yaxis.type": kind}]}


def gallery():
    """A notebook with everything that a chapter shows."""
    words = [f"word{i}" for i in range(30)]
    colours = coloured(words, [i / 29 for i in range(-29, 30, 2)], unknown=[True] * 30)
    rows = {"x": [-1.0, -0.5, 0.0, 0.5, 1.0], "new h": [1.0] * 8}
    shown = [
        Picture(figure(), "Seven lines that rise and fall."),
        Picture(bars(), "Bars with long names."),
        Frames("Three", [Frame(n, boxes(rows, marked=["x"]), f"text {n}") for n in "abc"]),
        Frames("One", [Frame("only", colours)]),
        Coloured("Pick", words, {"up": range(30), "down": range(0, -30, -1)}),
        claim("This holds.", True, {"value": 1e-6}),
        claim("This may.", "it is so", {"a rather long name of a number": [1.5, 2.5, "text"]}),
        claim("This doesn't.", False, {"value": "a"}),
    ]
    cells = [notebook_format.new_markdown_cell(f"# Title\n\nText with `code`.\n\n{FORMULA}")]
    code = 'for i in range(10):  # a remark\n    print(f"{i}", 1.5, None)'
    for one in shown:
        plain = not hasattr(one, "_repr_mimebundle_")
        rich = {"text/html": one._repr_html_()} if plain else one._repr_mimebundle_()
        output = notebook_format.new_output("display_data", rich)
        cells.append(notebook_format.new_code_cell(code, outputs=[output]))
    stream = notebook_format.new_output("stream", text="x" * 200 + "\n" + "columns  " * 40)
    cells.append(notebook_format.new_code_cell(code, outputs=[stream]))
    return notebook_format.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plotly.io.renderers, "default", "plotly_mimetype")
        some = {chapter.number: gallery() for chapter in chapters()[:3]}
    claims = [
        {"chapter": 3, "claim": f"claim {kind}", "verdict": kind, "condition": "", "evidence": {}}
        for kind in ("holds", "holds only if", "does not hold")
    ]
    write_site(folder, chapters(), some, claims, {12: "no voices"})
    return folder


def opened(page):
    """Everything unfolded, all frames on show, figures drawn."""
    page.until(
        "[...document.querySelectorAll('.plot-area')].every(e => e.querySelector('.main-svg'))"
    )
    page.run("document.querySelectorAll('details').forEach((e) => { e.open = true })")
    page.run(
        "document.querySelectorAll('.frames-away').forEach(e => e.classList.remove('frames-away'))"
    )


# Texts of axes that lie below the legend of their figure, or outside of it.
_COVERED = """
[...document.querySelectorAll('.plot-area')].flatMap((area) => {
  const box = (e) => e.getBoundingClientRect();
  const legend = box(area.querySelector('.legend')), all = box(area);
  return [...area.querySelectorAll('.xtick text, .ytick text, .xtitle, .ytitle')].filter((e) =>
    box(e).right > all.right + 1 || box(e).left < all.left - 1 || box(e).bottom > all.bottom + 1 ||
    (box(e).bottom > legend.top + 1 && box(e).right > legend.left && box(e).left < legend.right &&
      box(e).top < legend.bottom)
  ).map((e) => e.textContent)
})
"""


@BOTH
def test_every_kind_of_picture(browser, site, width, dark):
    with browser.page((site / "03-squashing.html").as_uri(), width=width, dark=dark) as page:
        opened(page)
        scheme = page.run("getComputedStyle(document.body).backgroundColor")
        assert (scheme == "rgb(21, 23, 27)") == dark
        ink = page.run("getComputedStyle(document.querySelector('.xtick text')).fill")
        assert (ink == "rgb(228, 229, 232)") == dark
        check_page(page, width)
        assert all(address.startswith(("file:", "data:")) for address in page.fetched())
        assert page.run(_COVERED) == []
        assert (
            page.run(
                "document.querySelector('.plot .xy .plot, .plot .cartesianlayer')"
                ".getBoundingClientRect().height"
            )
            > 120
        )


@pytest.mark.parametrize("name", ["index", "teacher"])
def test_other_pages(browser, site, name):
    for width, dark in SIZES:
        with browser.page((site / f"{name}.html").as_uri(), width=width, dark=dark) as page:
            opened(page)
            check_page(page, width)


SHOWN = (
    "[...document.querySelector('.frames').querySelectorAll('figure')]"
    ".map((f) => getComputedStyle(f).display !== 'none' ? 1 : 0).join('')"
)
LAST = "document.querySelector('.plot-area').data[0].y.join()"


def texts(selector):
    return f"[...document.querySelectorAll('{selector}')].map((e) => e.textContent).join()"


def test_controls(browser, site):
    """Buttons, lists, sliders and arrow keys, on a phone."""
    with browser.page((site / "03-squashing.html").as_uri(), width=390) as page:
        page.until("document.querySelector('.plot-controls')")
        assert page.run(SHOWN) == "100"
        page.click(".frames button", 1)
        assert page.run(SHOWN) == "010"
        page.press("ArrowRight")  # the button has the focus
        page.press("ArrowRight")
        assert page.run(SHOWN) == "001"
        page.press("ArrowLeft")
        assert page.run(SHOWN) == "010"
        page.run("document.querySelector('.frames select').focus()")
        page.press("Home")
        page.until(f"{SHOWN} === '100'")
        # The slider of the figure.
        names = texts(".plot-controls button")
        assert page.run(names) == "play,plain"
        page.run("document.querySelector('.plot-controls input').focus()")
        page.press("End")
        page.until(f"{LAST} === '0,0,3'")
        text = "document.querySelector('.plot-controls output').textContent"
        assert page.run(text) == "epoch 3"
        page.click(".plot-controls button")
        page.until(f"{text} === 'epoch 0' && {LAST} === '0,0,0'")
        page.until(f"{text} === 'epoch 1' && {LAST} === '0,0,1'")
        page.click(".plot-controls button")
        assert page.run(names) == "play,plain"
        kind = "document.querySelector('.plot-area')._fullLayout.yaxis.type"
        page.run("document.querySelector('.plot-controls select').focus()")
        page.press("End")
        page.until(f"{kind} === 'log'")
        page.click(".plot-controls button", 1)
        page.until(f"{kind} === 'linear'")
        # The text that is coloured by what the reader picks.
        last = "document.querySelector('.coloured-text span span:last-child').style.background"
        assert page.run(last).startswith("rgba(232, 121, 43")
        page.run(
            "document.querySelector('.coloured-text').parentElement.querySelector('select').focus()"
        )
        page.press("End")
        page.until(f"{last}.startsWith('rgba(58, 123, 213')")
        # Dark from now on, and wide.
        page.prefer("prefers-color-scheme", "dark")
        page.until(
            "getComputedStyle(document.querySelector('.xtick text')).fill === 'rgb(228, 229, 232)'"
        )
        page.resize(1100, 900)
        page.until("document.querySelector('figure.plot').dataset.narrow === 'false'")
        assert page.complaints() == []


def test_keyboard(browser, site):
    with browser.page((site / "02-rnn-cell.html").as_uri()) as page:
        page.until("document.querySelector('.plot-controls')")
        stops = tab_stops(page)
        assert stops[0] == "to the text"
        assert {"Chapters", "The illustrated guide", "code", "back", "next", "play"} <= {*stops}
        assert [s for s in stops if s.startswith("←")] and stops[-1].endswith("→")
        page.run("document.querySelector('.skip').focus()")
        page.press("Enter")
        page.until("location.hash === '#text'")
        page.press("Tab")
        assert page.run("document.activeElement.closest('main') !== null")
        page.run("document.querySelector('details.source summary').focus()")
        page.press("Enter")
        assert page.run("document.querySelector('details.source').open")


def test_paper(browser, site):
    """All frames, black on white, nothing to press."""
    with browser.page((site / "03-squashing.html").as_uri(), dark=True) as page:
        page.until("document.querySelector('.plot-controls')")
        page.prefer("prefers-color-scheme", "light", media="print")
        assert page.run(SHOWN) == "111"
        for gone in (".frames-controls", ".plot-controls", "header", ".pager", ".source"):
            assert page.run(f"getComputedStyle(document.querySelector('{gone}')).display") == "none"
        for ink in ("body", ".xtick text", ".xtitle", ".legendtext"):
            style = f"getComputedStyle(document.querySelector('{ink}'))"
            assert page.run(f"{style}[{ink!r} === 'body' ? 'color' : 'fill']") == "rgb(0, 0, 0)"
        assert page.pdf().startswith(b"%PDF")


def test_without_scripts(site):
    page_text = (site / "03-squashing.html").read_text("utf-8")
    assert page_text.count("<figure") - page_text.count("class='plot'") == 4
    assert "Seven lines that rise and fall." in page_text


@pytest.mark.skipif(
    os.environ.get("MINIGRAD_PROFILE") != "deep", reason="all chapters: with MINIGRAD_PROFILE=deep"
)
def test_all_chapters(browser, tmp_path):
    build(tmp_path, chapters(), quick=True)
    for path in sorted(tmp_path.glob("*.html")):
        for width, dark in SIZES:
            with browser.page(path.as_uri(), width=width, dark=dark) as page:
                opened(page)
                check_page(page, width)
                assert all(address.startswith(("file:", "data:")) for address in page.fetched())
