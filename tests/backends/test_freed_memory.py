"""Freed memory is used again, unless the user has decided otherwise."""

import os
import subprocess
import sys

import pytest

STEPS = """
import resource
import numpy as np
import minigrad as mg
mg.get_backend("numpy")

def step():
    return [np.ones(1 << 18, np.float32) for _ in range(8)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    step()
before = faults()
for _ in range(10):
    step()
print((faults() - before) // 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
@pytest.mark.parametrize("decides", [False, True])
def test_arrays_of_the_next_step_are_where_the_last_ones_were(decides):
    """A step of 8 MB, of 2,048 pages: none of them is new, or all are."""
    if os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("the C library isn't glibc")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    if decides:
        variables["MALLOC_MMAP_THRESHOLD_"] = str(1 << 17)
    said = subprocess.check_output([sys.executable, "-c", STEPS], env=variables, text=True)
    assert int(said) > 1000 if decides else int(said) < 100
