"""Settings of the whole test run: is minigrad installed, and how many random cases to try."""

import os
from importlib.metadata import entry_points, version
from importlib.util import find_spec

import pytest

PROFILES = {
    # The same few cases each time: a run that fails fails again.
    "fast": {"max_examples": 15, "derandomize": True},
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
            name, **values, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
    if _profile() not in PROFILES:
        raise pytest.UsageError(
            f"MINIGRAD_PROFILE={_profile()} is unknown: take one of {', '.join(PROFILES)}"
        )
    settings.load_profile(_profile())


def pytest_report_header(config):
    backends = ", ".join(sorted(entry_points(group="minigrad.backends").names))
    return f"minigrad {version('minigrad')}, profile: {_profile()}, backends: {backends}"


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
