"""What a program prints in processes that order their sets differently."""

import os
import subprocess
import sys

from places import SUPPORT


def printed_by_seed(program):
    """What a text prints with each of two seeds of hashing; it finds the helpers of tests."""
    return [
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"import sys\nsys.path.insert(0, sys.argv[1])\n{program}",
                SUPPORT,
            ],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
