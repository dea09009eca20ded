"""Settings of the whole test run: is minigrad installed, how many random cases, what backends."""

import gc
import os
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

import pytest

# Before NumPy is imported. Tests run side by side, and their products are small; see the Makefile.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch's, whose threads wait by turning

PROFILES = {
    # The same few cases each time: a run that fails fails again.
    "fast": {"max_examples": 12, "derandomize": True},
    # New cases each time; a failing one is kept and tried first in the next run.
    "deep": {"max_examples": 1000, "print_blob": True},
}


def pytest_configure(config):
    if not _installed():
        raise pytest.UsageError("minigrad is not installed: run pip install -e .[dev]")
    # Not at the top: without the installation there may be no hypothesis either.
    from hypothesis import HealthCheck, settings

    for name, values in PROFILES.items():
        # No time limits: a slow machine is not a wrong derivative.
        settings.register_profile(
            name,
            **values,
            deadline=None,
            # The fixture `backend` is the same for all random cases of a test, as it should be.
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        )
    if _profile() not in PROFILES:
        raise pytest.UsageError(
            f"MINIGRAD_PROFILE={_profile()} is unknown: take one of {', '.join(PROFILES)}"
        )
    settings.load_profile(_profile())

    # Kernels of this run and of later ones, apart from the user's own.
    if hasattr(config, "cache"):  # pytest can be told to have none
        os.environ.setdefault("MINIGRAD_CACHE", str(config.cache.mkdir("kernels")))

    from strict_backend import StrictBackend

    import minigrad as mg

    mg.register_backend("strict", StrictBackend)


def pytest_itemcollected(item):
    """What runs on NumPy whatever is chosen has its mark, as tests of `backend` have theirs."""
    if "on_numpy" in item.fixturenames:
        item.add_marker("numpy")


def pytest_collection_finish():
    """All that the imports made is left out of later collections, which tests ask for often.

    Those that Python starts are rarer than elsewhere: they took a tenth of the whole time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 20)


def pytest_generate_tests(metafunc):
    """Tests that take one of these fixtures run once per such backend that can start here."""
    marks = {line.partition(":")[0] for line in metafunc.config.getini("markers")}
    for fixture in KINDS.keys() & set(metafunc.fixturenames):
        names = [
            pytest.param(name, marks=[getattr(pytest.mark, name)] if name in marks else [])
            for name, reason in _backends().items()
            if reason is None and KINDS[fixture](name)
        ]
        metafunc.parametrize(fixture, names, indirect=True)


@pytest.fixture
def backend(request):
    """The name of the backend that new tensors of this test are on; "strict" is a device."""
    import minigrad as mg

    with mg.use_backend(request.param):
        yield request.param


compiling = backend  # the same, for the backends that make kernels
# In the fast profile NumPy alone: for what other tests compare with NumPy's on every backend.
numpy_unless_deep = backend


@pytest.fixture
def on_numpy():
    """For tests of what only NumPy's arrays do or say: MINIGRAD_BACKEND is left aside."""
    import minigrad as mg

    with mg.use_backend("numpy"):
        yield


@pytest.fixture
def register():
    """Registers backends that are gone after the test, with what was chosen meanwhile.

    A name without a loader stands for NumPy's arrays.
    """
    import numpy as np

    import minigrad as mg
    from minigrad.engine.backend import ArrayModuleBackend
    from minigrad.engine.registry import backend_loaders, loaded_backends, process_default

    names, chosen = [], list(process_default)

    def add(name, loader=None):
        names.append(name)
        mg.register_backend(name, loader or (lambda: ArrayModuleBackend(np, name, is_host=True)))

    yield add
    process_default[:] = chosen
    for name in names:
        backend_loaders.pop(name, None)
        loaded_backends.pop(name, None)


@pytest.fixture
def fast_ways():
    """Small inputs take the ways that are there for large ones; see `fast_ways.py`."""
    from fast_ways import forced_fast_ways

    with forced_fast_ways():
        yield


def pytest_report_header(config):
    lines = [f"minigrad {version('minigrad')}, profile: {_profile()}"]
    for name, reason in _backends().items():
        lines.append(f"backend {name}" + ("" if reason is None else f" IS NOT TESTED: {reason}"))
    return lines


@cache
def _backends():
    """The known backends; for those that can't start here, why."""
    import minigrad as mg

    reasons = {}
    for name in mg.available_backends():
        try:
            mg.get_backend(name)
            reasons[name] = None
        except mg.BackendError as reason:
            reasons[name] = str(reason)
    return reasons


def _installed():
    # In a bare checkout `minigrad` may be found, but never the packages mapped into it.
    try:
        return find_spec("minigrad.backends") is not None
    except ModuleNotFoundError as error:
        if error.name in ("minigrad", "numpy"):
            return False
        raise


def _profile():
    return os.environ.get("MINIGRAD_PROFILE", "fast")


def _compiles(name):
    import minigrad as mg

    return getattr(mg.get_backend(name), "compile_loop", None) is not None


# Which backends a test runs on that takes such a fixture.
KINDS = {
    "backend": lambda name: True,
    "compiling": _compiles,
    "numpy_unless_deep": lambda name: name == "numpy" or _profile() == "deep",
}
