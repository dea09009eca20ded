"""The program `minigrad`: the commands, or what to install to have them."""

import io
import sys

# What the commands are made with.
_EXTRA = ("click", "platformdirs", "rich", "safetensors")


def main() -> None:
    """Run the command line; ends by SystemExit with 0 fine, 1 failed, 2 wrong use."""
    for stream in (sys.stdout, sys.stderr):
        # A review may have letters that the terminal hasn't: no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from .commands import main as commands

        commands(prog_name="minigrad")
    except ImportError as error:
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        missing = (cause.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        from minigrad.utils.install import install_line

        sys.exit(f"minigrad needs {missing} for this; {install_line('learn')}")
