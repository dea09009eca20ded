"""Ways that only large inputs take, for small ones: every constant that decides, lowered.

Within `forced_fast_ways()`, or in a test that takes the fixture `fast_ways`, small random programs
go through all that is there to make large ones fast: kernels, products of our own, chunks, threads
and the pool of arrays.
"""

import contextlib
from importlib import import_module

import pytest

# By module: what each constant is lowered (or raised) to, so that the smallest input is large.
LOWERED = {
    "minigrad.fusion": {"MIN_ELEMENTS_TO_FUSE": 0},
    "minigrad.ops.positions": {"_FEW": 0},
    "minigrad.utils.summation": {
        **{"FEW": 2, "BLOCK": 2, "SUMS": 2, "WIDTH": 4, "DEVICE_FEW": 3, "DEVICE_BLOCK": 2},
        **{"LONG": 3, "TERMS": 2, "SMALLER": 1},
    },
    "minigrad.compiler.fused_scan": {"_CHUNK": 2, "MIN_WORK_OF_A_STEP": 0},
    "minigrad.compiler.fused_function": {"_NARROW": 1, "_WIDE": 0},
    "minigrad.compiler.row_plan": {"_NARROWEST": 1, "_WIDEST": 4},
    "minigrad.compiler.fused_update": {"MIN_OPERATIONS_TO_FUSE": 0, "_NARROW": 0},
    "minigrad.backends.numba_kernels.array_pool": {"MIN_BYTES_TO_POOL": 1, "_LARGEST": 1 << 14},
    "minigrad.backends.numpy_backend": {"_FEW": 0, "_FEW_FOR_ERF": 2},
    "minigrad.backends.numpy_kernels.choices": {"_MANY": 0},
    "minigrad.backends.numba_backend": {
        **{"_NARROW": 1, "_SMALL": 0, "_TERMS": 1, "_FEW": 0},
        **{"_ROWS_IN_LOOP": 1, "_NUMBERS_IN_LOOP": 12},
    },
    "minigrad.backends.numba_kernels.gemm": {"_TERMS_PER_NUMBER": 1},
    "minigrad.backends.numba_kernels.scatter": {"_BLOCK": 1},
    "minigrad.backends.numba_kernels.tile_product": {"_TERMS": 1, "_NUMBERS": 1},
    "minigrad.backends.numba_kernels.threads": {"MIN_WORK_PER_THREAD": 1, "ROWS_PER_CUT": 1},
    "minigrad.backends.cupy_kernels.loop": {"_LARGE": 1},
}

# Constants that stay as they are, and why.
AS_THEY_ARE = {
    "minigrad.compiler.value_key": {"MOST_BYTES": "a refusal beyond it, and no other way"},
    "minigrad.compiler.plan_cache": {"MOST": "forgets plans, which are then made again"},
    "minigrad.engine.deferred": {
        "_MOST": "how long answers may wait, whatever the sizes; test_late lowers it"
    },
    "minigrad.engine.inplace": {
        "MOST_KEPT": "how many contents are kept, whatever the sizes; test_guard lowers it",
        "MOST_LOANS": "how many loans may wait, whatever the sizes; test_guard lowers it",
    },
    "minigrad.checkpoint": {"_OURS": "counts references, and no numbers"},
    "minigrad.functional": {
        "_LOWEST": "changes no result: what is computed there is 0",
        "_SATURATED": "changes no result: what is computed there is 1",
    },
    "minigrad.ops.exponentials": {"_FLAT": "changes no result: a slope is 0 from there on"},
    "minigrad.recording.record": {"_FEW_NAMES": "how many pictures a notebook shows unfolded"},
    "minigrad.utils.rich": {
        "_ROWS": "how much of an array a picture shows; test_notebook has larger ones",
        "_COLUMNS": "how much of an array a picture shows; test_notebook has larger ones",
        "_FEW": "how wide the columns of a picture are",
    },
    "minigrad.utils.error_function": {"_AT_ONE": "a coefficient of a formula"},
    "minigrad.ctc": {"_LOW": "stands for the logarithm of 0"},
    "minigrad.losses": {"_LEAST": "what the logarithm of 0 counts as, as in PyTorch"},
    "minigrad.optim.lbfgs": {"SMALLEST": "as in PyTorch, whose steps test_lbfgs compares"},
    "minigrad.optim.line_search": {
        "LESS": "as in PyTorch, whose line search test_lbfgs compares",
        "FLATTER": "as in PyTorch, whose line search test_lbfgs compares",
    },
    "minigrad.engine.graph": {"ALL_STEPS": "stands for no number"},
    "minigrad.engine.creation": {"_HOST_KINDS": "DLPack's numbers of devices"},
    "minigrad.backends.numba_kernels.gemm": {
        "_BLOCKS": "in compiled code; test_numba_gemm has sizes on both sides",
        "_TERMS": "in compiled code; test_numba_gemm has sizes on both sides",
        "_COLUMN_BLOCKS": "in compiled code; test_numba_gemm has sizes on both sides",
        "_COLUMNS": "in compiled code; test_numba_gemm has sizes on both sides",
    },
    "minigrad.backends.numba_kernels.register_block": {
        "MR": "rows of a block, in compiled code; test_numba_gemm has sizes on both sides",
        "VECTORS": "of the processor's registers; test_numba_gemm has the other size, too",
        "_AHEAD": "says what is asked for early, and changes no result",
    },
    "minigrad.backends.numba_kernels.array_pool": {"_LINE": "bytes of a cache line"},
    "minigrad.backends.numba_kernels.vectors": {
        "BYTES": "of the processor's registers; test_numba_gemm has the other size, too"
    },
    "minigrad.backends.numba_kernels.packing": {
        "_FEW_TERMS": "in compiled code; test_numba_gemm has sizes on both sides"
    },
    "minigrad.backends.numba_kernels.tile_product": {
        "HEADER": "bytes that three numbers have room in",
        "_STEP": "in compiled code; test_products_in_parts has sizes on both sides",
    },
    "minigrad.backends.numba_kernels.split": {
        "LEFT": "what parts do for; test_products_in_parts has numbers on both sides",
        "RIGHT": "what parts do for; test_products_in_parts has numbers on both sides",
        "MAGNITUDES": "bytes that the largest of some numbers have room in",
    },
    "minigrad.backends.numba_kernels.tiles": {
        "SIDE": "of the processor's tiles",
        "TILE": "of the processor's tiles",
        "CONFIG": "of the processor's tiles",
        "UNIT": "room for the emulated tiles",
    },
    "minigrad.backends.numba_kernels.codegen": {
        "SUM_BLOCK": "in compiled code; longer rows are tested",
        "ROWS_PER_SUM": "in compiled code; more rows are tested",
    },
    "minigrad.backends.numpy_kernels.freed_memory": {
        "_KEPT": "where arrays lie, and not what is in them; test_freed_memory has steps with and "
        "without it",
        "_IN_HEAP": "as the one before",
        "_TRIM_THRESHOLD": "the C library's number for an option",
        "_MMAP_THRESHOLD": "the C library's number for an option",
    },
    "minigrad.backends.numpy_kernels.codegen": {"LINE_WIDTH": "of a text, for its reader"},
    "minigrad.backends.cupy_kernels.codegen": {
        "MOST_THREADS": "in compiled code; rows wider are tested"
    },
    "minigrad.backends.cupy_kernels.loop": {"_THREADS": "of a block, whatever the sizes"},
    "minigrad.backends.cupy_kernels.row_sums": {
        "_THREADS": "in compiled code; more rows are tested",
        "_COLUMNS": "of a block; more columns are tested",
    },
}


@contextlib.contextmanager
def forced_fast_ways():
    """Lower all of `LOWERED` for a while; three threads share what there is to do."""
    with pytest.MonkeyPatch.context() as patch:
        for name, values in LOWERED.items():
            for constant, value in values.items():
                if (module := _module(name)) is not None:
                    patch.setattr(module, constant, value)
        patch.setenv("MINIGRAD_THREADS", "3")
        _forget()
        try:
            yield
        finally:
            _forget()


def _module(name):
    """A module; None if what it is built on is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] == "minigrad":
            raise
        return None


def _forget():
    """Plans remember how rows were cut, and what their loops compute."""
    function = import_module("minigrad.compiler.fused_function")
    update = import_module("minigrad.compiler.fused_update")
    scan = import_module("minigrad.compiler.fused_scan")
    calls = function.FunctionCall, update.UpdateCall, scan.ScanCall
    for plans in (*(call.plans for call in calls), function.row_plans):
        plans.clear()
