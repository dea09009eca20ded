"""The number of threads of the BLAS library while a model trains: one, unless the user sets it.

The matrix products of small models are small. Several threads hardly make them faster, and where
another program uses a core as well, threads that wait for each other make a training take many
times as long.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from minigrad.utils.install import install_line

__all__ = ["one_blas_thread"]

# By which a user says how many threads a library is to have. Others read OMP_NUM_THREADS.
VARIABLES = {
    "openblas": "OPENBLAS_NUM_THREADS",
    "mkl": "MKL_NUM_THREADS",
    "blis": "BLIS_NUM_THREADS",
}
_SET_BY = (*VARIABLES.values(), "OMP_NUM_THREADS", "GOTO_NUM_THREADS")


@contextlib.contextmanager
def one_blas_thread() -> Iterator[str]:
    """Limit BLAS to one thread within the block, unless an environment variable says how many.

    Gives a sentence that says so, or why it is impossible; empty if nothing changes. Most libraries
    have one pool of threads per process; of several Python threads the first decides.

    >>> with one_blas_thread() as said:
    ...     assert not said or "thread" in said
    """
    if any(os.environ.get(name) for name in _SET_BY):
        yield ""
        return
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        yield (
            "BLAS may use all cores, which makes training slow where they are busy: set "
            f"OPENBLAS_NUM_THREADS=1, or install threadpoolctl ({install_line('learn')})"
        )
        return
    controller = ThreadpoolController()
    said = _said(controller.info())
    with controller.limit(limits=1, user_api="blas"):
        yield said


def _said(libraries: list[dict[str, Any]]) -> str:
    for library in libraries:
        if library["user_api"] == "blas" and (library["num_threads"] or 0) > 1:
            variable = VARIABLES.get(library["internal_api"], "OMP_NUM_THREADS")
            return f"BLAS uses 1 thread; set {variable} to use more"
    return ""
