"""BLAS's threads while a model trains: one, unless the user says else, and as before afterwards."""

import sys
import threading

import numpy as np
import pytest
from small_training import first_number

from minigrad.models.training import threads
from minigrad.models.training.callbacks import Callback
from minigrad.models.training.loop import fit
from minigrad.models.training.threads import one_blas_thread


@pytest.fixture
def unset(monkeypatch):
    for name in threads._SET_BY:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def blas(unset):
    """How many threads NumPy's BLAS uses, more than one at first."""
    control = pytest.importorskip(
        "threadpoolctl", reason="threadpoolctl is not installed: it comes with the extra learn"
    )
    np.ones((2, 2)) @ np.ones((2, 2))
    chosen = control.ThreadpoolController().select(user_api="blas")
    if not chosen.lib_controllers:
        pytest.skip("threadpoolctl knows no BLAS library here")
    with chosen.limit(limits=3):
        counts = {library.num_threads for library in chosen.lib_controllers}
        if 1 in counts:
            pytest.skip("BLAS has no threads here")
        yield lambda: {library.num_threads for library in chosen.lib_controllers}


def test_one_within_and_as_before_afterwards(blas):
    before = blas()
    with one_blas_thread() as said:
        assert blas() == {1}
        assert said.startswith("BLAS uses 1 thread; set ")
        with one_blas_thread() as again:
            assert again == "" and blas() == {1}
        assert blas() == {1}
    assert blas() == before
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas() == before


def test_trainings_side_by_side_leave_it_as_it_was(blas):
    before, begun, end = blas(), threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            begun.set()
            end.wait()

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        begun.wait()
    end.set()
    thread.join()
    assert blas() == before


@pytest.mark.parametrize("name", threads._SET_BY)
def test_what_the_user_says_counts(blas, name, monkeypatch):
    before = blas()
    monkeypatch.setenv(name, "2")
    with one_blas_thread() as said:
        assert said == "" and blas() == before


def test_a_training_uses_one_and_says_so(blas):
    before, seen = blas(), []

    class Look(Callback):
        def begin(self, training):
            seen.append(training.notice)

        def step(self, training):
            seen.append(blas())

    fit(first_number(epochs=1), callbacks=[Look()])
    assert seen[0].startswith("BLAS uses 1 thread") and len(seen) == 31
    assert all(counts == {1} for counts in seen[1:])
    assert blas() == before


def test_without_threadpoolctl_it_is_said_what_to_do(unset, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with one_blas_thread() as said:
        assert "set OPENBLAS_NUM_THREADS=1, or install threadpoolctl (" in said


@pytest.mark.parametrize(
    ("api", "count", "said"),
    [
        ("openblas", 4, "OPENBLAS_NUM_THREADS"),
        ("mkl", 2, "MKL_NUM_THREADS"),
        ("blis", 2, "BLIS_NUM_THREADS"),
        ("flexiblas", 2, "OMP_NUM_THREADS"),
        ("openblas", 1, ""),
        ("openblas", None, ""),
    ],
)
def test_the_variable_of_the_library_is_named(api, count, said):
    libraries = [
        {"user_api": "openmp", "internal_api": "openmp", "num_threads": 8},
        {"user_api": "blas", "internal_api": api, "num_threads": count},
    ]
    sentence = threads._said(libraries)
    assert sentence == (f"BLAS uses 1 thread; set {said} to use more" if said else "")
