"""Notebooks and pages: made, complete, and without anything from elsewhere."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

pytest.importorskip("nbclient", reason="needs the extra guide")
pytest.importorskip("jupytext", reason="needs the extra guide")

from minigrad.models.exercises import EXERCISES
from minigrad.models.guide import execute
from minigrad.models.guide.build import KEPT, build, write_notebooks
from minigrad.models.guide.chapter import Chapter, GuideError, LeftOut, chapters, chosen
from minigrad.models.guide.claims import claim
from minigrad.models.guide.coloured import Coloured, coloured
from minigrad.models.guide.diagram import Box, diagram
from minigrad.models.guide.pages import write_site
from minigrad.models.guide.pictures import Frame, Frames, moving

PAGE = "15-own-cell.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    seen = []
    claims = build(folder, chosen("3"), quick=True, progress=lambda *moved: seen.append(moved[1:]))
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1] == len(chosen("3")[0].notebook().cells)
    return folder, claims


class Links(HTMLParser):
    """The addresses that a page refers to, and the names that it has."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def test_a_site(site):
    folder, claims = site
    assert json.loads((folder / "guide.json").read_text()) == claims
    assert all(judged["chapter"] == 3 and judged["evidence"] for judged in claims)
    for path in folder.glob("*.html"):
        text = path.read_text("utf-8")
        for link in Links(text).found:
            if link.startswith(("#", "data:")):
                continue
            assert (folder / link).is_file(), f"{path.name} refers to {link}"
        assert '<html lang="en">' in text and "viewport" in text
    page = (folder / "03-squashing.html").read_text("utf-8")
    assert page.count('class="shown judged"') + page.count("class='shown judged'") == len(claims)
    assert "<math" in page and "class='plot'" in page and "aria-label=" in page
    assert "minigrad exercise show tanh-slope" in page
    assert "Traceback" not in page


def test_a_quick_run_says_so_and_tagged_cells_are_open(tmp_path):
    chapter = chosen("15")[0]
    notebook = chapter.notebook()
    for quick in (True, False):
        write_site(tmp_path, chapters(), {15: notebook}, [], {}, quick=quick)
        texts = {name: (tmp_path / name).read_text("utf-8") for name in ("index.html", PAGE)}
        assert all(("Made by a quick run" in text) == quick for text in texts.values())
        assert texts[PAGE].count('<details class="source" open>') == 1
        assert texts[PAGE].count('<details class="source">') > 3


def test_what_is_done_is_not_run_again(site, monkeypatch):
    folder, claims = site
    kept = [path.stat().st_mtime_ns for path in (folder / KEPT).iterdir()]
    monkeypatch.setattr(Chapter, "notebook", lambda self: pytest.fail("it runs again"))
    assert build(folder, chosen("3"), quick=True) == claims
    assert [path.stat().st_mtime_ns for path in (folder / KEPT).iterdir()] == kept
    key = execute.key_of(chosen("3")[0], quick=True)
    assert key != execute.key_of(chosen("3")[0], quick=False)


def test_a_chapter_that_fails(tmp_path, monkeypatch):
    path = tmp_path / "16_wrong.py"
    path.write_text("# %% [markdown]\n# # Wrong\n\n# %%\n1 / 0\n", "utf-8")
    with pytest.raises(GuideError, match=r"chapter 16, 16_wrong.py, fails:[^$]*ZeroDivisionError"):
        execute.run(Chapter(16, path), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_chapter_that_needs_what_is_not_here(site, tmp_path):
    """The others are made, and their list says what to install."""
    path = tmp_path / "16_speech.py"
    path.write_text(
        "# %% [markdown]\n# # Speech\n\n# %%\n"
        "from minigrad.models.speech.espeak import SpeechError\n"
        "raise SpeechError('speech is made by espeak-ng; pip install ...')\n",
        "utf-8",
    )
    silent, said = Chapter(16, path), []
    folder = tmp_path / "site"
    shutil.copytree(site[0], folder)
    assert build(folder, [silent, *chosen("3")], quick=True, left_out=said.append) == site[1]
    assert said == ["chapter 16 is left out: speech is made by espeak-ng; pip install ..."]
    index = (folder / "index.html").read_text("utf-8")
    assert "Chapter 16 is left out: speech is made by espeak-ng; pip install" in index
    with pytest.raises(LeftOut, match="chapter 16 is left out"):
        build(folder, [silent], quick=True)


def test_notebooks(tmp_path):
    import nbformat

    paths = write_notebooks(tmp_path, chapters())
    assert [path.stem for path in paths] == [chapter.slug for chapter in chapters()]
    for path, chapter in zip(paths, chapters(), strict=True):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert all(line in chapter.source for cell in code for line in cell.splitlines())
        if any(found.chapter == chapter.number for found in EXERCISES.values()):
            assert "## Exercises" in notebook.cells[-1].source
    assert write_notebooks(tmp_path, chapters()) == paths  # the same again is no loss
    paths[2].write_text("work of a reader", "utf-8")
    with pytest.raises(GuideError, match=r"03-squashing\.ipynb"):
        write_notebooks(tmp_path, chapters())
    assert paths[2].read_text("utf-8") == "work of a reader"


def test_a_diagram():
    """A box is dashed and an arrow faint until there are numbers; arrows go round other boxes."""
    places = {"a": Box(0, 0), "b": Box(0, 1), "c": Box(0, 2)}
    arrows = [("a", "b"), ("b", "c"), ("a", "c")]
    before = diagram(places, arrows, {"a": [0.5], "b": None})
    after = diagram(places, arrows, {"a": [0.5], "b": None, "c": [-1.0]}, marked=["c"])
    assert before.count("stroke-dasharray") == 1 and "stroke-dasharray" not in after
    assert before.count('fill-opacity="0.25"') == 2 and 'fill-opacity="0.25"' not in after
    paths = re.findall(r' d="([^"]*)"', after)
    assert [path.count("L") for path in paths] == [1, 1, 3]
    assert 'aria-label="a: 0.50; c: -1.00"' in after


def test_what_is_shown_is_escaped():
    wild = "<script>alert('&')</script>"
    for shown in (
        claim(wild, wild, {wild: wild})._repr_html_(),
        coloured([wild], [1.0]),
        Coloured(wild, [wild], {wild: [1.0]})._repr_html_(),
        diagram({wild: Box(0, 0)}, [], {}),
        Frames(wild, [Frame(wild, "", wild)])._repr_html_(),
        Frames(wild, [Frame(wild, "", wild), Frame("b", "")])._repr_html_(),
    ):
        assert "<script>alert" not in shown and "&lt;script&gt;" in shown
    with pytest.raises(ValueError, match="1 words, but 2 values"):
        coloured(["a"], [1, 2])
    with pytest.raises(ValueError, match="each of 1 words"):
        Coloured("one", ["a"], {"first": [1], "second": [1, 2]})
    with pytest.raises(ValueError, match="no rows"):
        Coloured("none", ["a"], {})
    go = pytest.importorskip("plotly.graph_objects", reason="needs the extra guide")
    with pytest.raises(ValueError, match="2 sorts"):
        moving({1: go.Figure(go.Bar()), 2: go.Figure(go.Scatter())}, "number")
    with pytest.raises(ValueError, match="no frames"):
        Frames("none", [])
    for wrong in (1, None, 0.5):
        with pytest.raises(TypeError, match="holds"):
            claim("a", wrong, {"b": 1})
    with pytest.raises(ValueError, match="evidence"):
        claim("a", True, {})
