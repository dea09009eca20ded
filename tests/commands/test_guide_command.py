"""`minigrad guide` from a terminal: what it prints, and how it ends when one stops it."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("nbclient", reason="needs the extra guide")

# A shell that runs the tests in the background ignores the signal; the program shouldn't.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from minigrad.models.cli import main
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("seconds", [0, 0.4, 2])
def test_ctrl_c_ends_it_in_a_sentence(tmp_path, seconds):
    arguments = ["guide", "--out", str(tmp_path / "site"), "--chapters", "8"]
    guide = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stderr=subprocess.PIPE, text=True
    )
    assert guide.stderr is not None and guide.stderr.readline() == "chapter 8 ...\n"
    time.sleep(seconds)  # the kernel starts, or runs the chapter
    guide.send_signal(signal.SIGINT)
    _, printed = guide.communicate(timeout=60)
    assert re.fullmatch(r"stopped; .* the same command goes on\n", printed)
    assert guide.returncode == 130
    assert not list((tmp_path / "site").rglob("*.html"))
