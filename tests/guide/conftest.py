"""A browser for the tests of pages; the page with a review, served."""

import threading

import pytest
from browser import Browser
from tiny_reviews import tiny_run


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def runs():
    return [tiny_run(cell=cell, hidden=8, epochs=2, lr=0.05) for cell in ("lstm", "gru", "rnn")]


@pytest.fixture(scope="package")
def server(runs):
    pytest.importorskip("jinja2", reason="needs the extra guide")
    from minigrad.models.guide.live import Reader, serving

    with serving(0, [Reader(run) for run in [*runs, runs[0]]]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
