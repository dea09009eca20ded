"""A small run, and a folder that it is saved in."""

import pytest
from tiny_reviews import tiny_run

from minigrad.models.training.run_folder import prepare, save_run


@pytest.fixture(scope="module")
def run():
    return tiny_run(100, embedding=4, hidden=6, epochs=1)


@pytest.fixture
def folder(tmp_path, run):
    prepare(tmp_path / "run")
    save_run(tmp_path / "run", run)
    return tmp_path / "run"
