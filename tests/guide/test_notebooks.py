"""Notebooks run from their folder, top to bottom; a training in one shows how far it is."""

import os

import pytest

pytest.importorskip("nbclient", reason="needs the extra guide")
pytest.importorskip("jupytext", reason="needs the extra guide")

import nbformat

from minigrad.models.guide.build import write_notebooks
from minigrad.models.guide.chapter import chapters
from minigrad.models.guide.execute import claims_of, execute
from minigrad.models.guide.pages import write_site
from minigrad.models.training.notebook import PROGRESS, notebook_kernel

DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"
SOME = chapters() if DEEP else [chapters()[4]]


@pytest.mark.parametrize("chapter", SOME, ids=[chapter.slug for chapter in SOME])
def test_a_notebook_runs_in_its_folder(chapter, tmp_path):
    (path,) = write_notebooks(tmp_path, [chapter])
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import os; os.getcwd()"))
    execute(notebook, quick=True, folder=tmp_path)
    assert notebook.cells[-1].outputs[0].data["text/plain"] == repr(str(tmp_path))
    assert claims_of(notebook)
    streams = [o for cell in notebook.cells for o in cell.get("outputs", []) if "name" in o]
    assert all(stream.name != "stderr" for stream in streams), streams


SET_UP = """
from minigrad.models.training import notebook
from minigrad.models.training.example import FirstNumber, FirstNumberSettings
from minigrad.models.training.loop import fit
notebook.FIRST = notebook.EVERY = 0.0
shows = []
show = notebook.NotebookProgress._show
def note(self, training, done, state, below):
    shows.append((done, below.count("<svg")))
    show(self, training, done, state, below)
notebook.NotebookProgress._show = note
"""
TRAIN = "for cell in ('rnn', 'gru'): fit(FirstNumber(FirstNumberSettings(cell=cell)))"


def test_progress_of_trainings(tmp_path):
    cells = [SET_UP, TRAIN, "shows", TRAIN, "fit(FirstNumber(), progress=False); 1"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.cells.insert(0, nbformat.v4.new_markdown_cell("# Title"))
    execute(made, folder=tmp_path)
    outputs = [cell.get("outputs", []) for cell in made.cells]
    assert [len(found) for found in outputs] == [0, 0, 1, 1, 1, 1]
    for found in (outputs[2][0], outputs[4][0]):  # both trainings of a cell in one place
        assert found.data[PROGRESS] == {"done": 1.0}
        said = found.data["text/plain"]
        assert said.startswith("GRU on ") and "3 epochs in 0 s, best error" in said
        assert "<svg" not in found.data["text/html"]  # which it had meanwhile
    shows = eval(outputs[3][0].data["text/plain"])
    done = [share for share, _ in shows]
    assert len(done) > 50 and done[0] < 0.1 and done.count(1.0) >= 2
    assert {pictures for _, pictures in shows} == {0, 2}
    assert outputs[5][0].data["text/plain"] == "1"
    write_site(tmp_path, chapters(), {3: made}, [], {})
    page = (tmp_path / "03-squashing.html").read_text("utf-8")
    assert "<progress" not in page and "3 epochs" not in page


def test_no_progress_elsewhere():
    assert notebook_kernel() is None
