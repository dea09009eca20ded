"""The processor's tile unit: whether it may be used, and the code that is compiled for it.

Nothing here executes an instruction of it.
"""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed")

from numba import njit

from minigrad.backends.numba_kernels import amx, tile_product, tiles

ON_LINUX = sys.platform == "linux" and platform.machine() == "x86_64"
linux_only = pytest.mark.skipif(not ON_LINUX, reason="AMX needs Linux on an x86-64 processor")

WITH_AMX = "+amx-tile,+amx-bf16,+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx2,+fma"
COUNT = """
import collections, json, re
from minigrad.backends.numba_kernels.tile_product import tile_gemm
code = tile_gemm(True)._library.get_asm_str()
names = "ldtilecfg|tilerelease|tilezero|tileloadd|tilestored|tdpbf16ps|prefetcht0"
print(json.dumps(collections.Counter(re.findall(rf"\\b({names})\\b", code))))
"""


@pytest.mark.skipif(not ON_LINUX, reason="the instructions are those of x86-64")
def test_the_product_compiles_to_instructions_of_the_unit(tmp_path):
    """For a processor that has them, on any."""
    environment = os.environ | {
        "MINIGRAD_CACHE": str(tmp_path),
        "NUMBA_CPU_NAME": "sapphirerapids",
        "NUMBA_CPU_FEATURES": WITH_AMX,
    }
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    counts = json.loads(done.stdout)
    assert counts.pop("ldtilecfg") == counts.pop("tilerelease") == 1
    assert counts.pop("tdpbf16ps") >= 6 and counts.pop("tileloadd") >= 8
    assert counts.pop("tilezero") >= 4 and counts.pop("tilestored") >= 4
    assert counts.pop("prefetcht0") >= 1
    assert not counts


# --- whether it may be used --------------------------------------------------------------------


def answer(monkeypatch, flags, compiled_for, permitted):
    class Codegen:
        _tm_features = compiled_for

    target = amx.cpu_target.target_context
    monkeypatch.setattr(amx, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(target, "codegen", Codegen)
    monkeypatch.setattr(amx, "permitted", lambda: permitted)
    return amx._why_not.__wrapped__()


BOTH, FEATURES = ("amx_tile", "amx_bf16"), "+avx,+amx-bf16,-amx-int8,+amx-tile"


@linux_only
def test_each_reason(monkeypatch):
    lacking = "no AMX: the processor lacks amx_bf16"
    assert answer(monkeypatch, ["avx2", "amx_tile"], FEATURES, True) == lacking
    assert "lacks amx_tile and amx_bf16" in answer(monkeypatch, [], FEATURES, True)
    assert "NUMBA_CPU_NAME" in answer(monkeypatch, BOTH, "+avx,-amx-bf16,+amx-tile", True)
    assert "does not permit" in answer(monkeypatch, BOTH, FEATURES, False)
    assert answer(monkeypatch, BOTH, FEATURES, True) is None


def test_elsewhere(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert amx._why_not.__wrapped__() == "no AMX: it needs Linux on an x86-64 processor"


@linux_only
def test_the_systems_own_answers(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nflags\t\t: fpu amx_tile amx_bf16\nflags : none\n")
    assert amx.processor_flags(str(file)) == {"fpu", "amx_tile", "amx_bf16"}
    assert amx.processor_flags(str(tmp_path / "missing")) == frozenset()
    assert "fpu" in amx.processor_flags()
    if "amx_tile" not in amx.processor_flags():
        assert not amx.permitted()


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_which_sizes_pay(parts):
    """Few rows at a time, or in all, or a small right operand, don't."""
    rows, uses = tile_product._ROWS[parts], tile_product._USES[parts]
    assert tile_product.pays(parts, rows, uses)
    assert not tile_product.pays(parts, rows - 1, uses)
    assert not tile_product.pays(parts, rows, uses - 1)
    header = tile_product.HEADER
    assert tile_product.room(parts, 64, 256) == header + parts * 2 * 64 * 256
    assert tile_product.room(parts, 64, 255) == tile_product.room(parts, 31, 1000) == header


# --- what the emulation does -------------------------------------------------------------------


@njit
def _one_product(unit, config, a, b, c):
    tiles.load_config(False, unit, config)
    tiles.load(False, unit, 0, c, 64)
    tiles.load(False, unit, 4, a, 64)
    tiles.load(False, unit, 6, b, 64)
    tiles.multiply_add(False, unit, 0, 4, 6)
    tiles.store(False, unit, 0, c, 64)
    tiles.release(False, unit)


def test_the_emulated_unit_multiplies_pairs():
    """Rows beyond those of the description stay, and numbers below the normal ones count as 0."""
    rng = np.random.default_rng(0)
    a, b = ((rng.standard_normal((16, 32)) * 8).astype(np.float32) for _ in range(2))
    a, b = (x.view(np.uint32) & 0xFFFF0000 for x in (a, b))
    a[1, 2], a[2, :] = np.array([1e-40, 1e-39], np.float32).view(np.uint32) & 0xFFFF0000
    c = np.ones((16, 16), np.float32)
    config = np.zeros(64, np.uint8)
    config[0] = 1
    config[16:32].view(np.uint16)[:] = 64
    config[48:56] = 5, 5, 5, 5, 5, 5, 16, 16
    unit = np.empty(tiles.UNIT, np.uint8)
    left, right = ((x >> 16).astype(np.uint16) for x in (a, b))
    _one_product(*(x.ctypes.data for x in (unit, config, left, right, c)))
    x, y = (z.view(np.float32).astype(float) for z in (a, b))
    x[abs(x) < 1e-38] = 0
    terms = y.reshape(16, 16, 2).transpose(0, 2, 1).reshape(32, 16)  # two of a pair, then columns
    np.testing.assert_allclose(c[:5], (1 + x @ terms)[:5], rtol=1e-5, atol=1e-4)
    assert (c[5:] == 1).all() and (c[2] == 1).all()
