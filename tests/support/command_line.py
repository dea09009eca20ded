"""The command line in a test: in this process, or in one of its own."""

import os
import subprocess
import sys

from click.testing import CliRunner

from minigrad.models.commands import main
from minigrad.models.tasks.registry import load_run

QUICK = ["--hidden", "8", "--epochs", "2", "--lr", "0.05"]


def minigrad(*arguments, code=0, **env):
    """Run a command in this process; returns what it printed, on both streams or one of them."""
    # No colours unless asked for, whatever the terminal of the test run says.
    env = {"FORCE_COLOR": None, "NO_COLOR": None, "TTY_COMPATIBLE": None, **env}
    result = CliRunner().invoke(main, [*map(str, arguments)], prog_name="minigrad", env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert code in (None, result.exit_code), result.output
    return result


def program(*arguments, before="pass", **env):
    """Run the installed program's function in a process of its own."""
    code = f"import sys; {before}; from minigrad.models.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )


def without_times(metrics):
    """The figures of a run, or its saved text, that are the same each time."""
    times = ("seconds", "step_seconds")
    history = [{k: v for k, v in epoch.items() if k not in times} for epoch in metrics["history"]]
    kept = {k: v for k, v in metrics.items() if k not in times}
    return {**kept, "history": history}


def same_runs(a, b):
    weights = [load_run(folder).model.state_dict() for folder in (a, b)]
    return without_times(load_run(a).metrics) == without_times(load_run(b).metrics) and all(
        weights[0][name].tobytes() == weights[1][name].tobytes() for name in weights[0]
    )
