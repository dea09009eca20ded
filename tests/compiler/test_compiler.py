"""The compiler: what it makes of cells, run as the Python text that kernels are."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import Phase, find, given, note, settings
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from kernel_texts import kernels, lstm_program
from odd_cells import SCANS
from processes import printed_by_seed
from random_cells import cases
from scans import Scan, assert_fused_as_composed, run

import minigrad as mg
from minigrad.models import GRU, LSTM, RNN, zoo

many = settings(
    max_examples=200 if settings.default.max_examples < 100 else 5000, report_multiple_bugs=False
)
LAYERS = [RNN, LSTM, GRU, *(getattr(zoo, name) for name in zoo.__all__ if name[0].isupper())]


# --- fused is composed -----------------------------------------------------------------------


@many
@given(scan=cases(), data=st.data())
def test_any_cell(scan, data):
    places = range(len(scan.arrays))
    some = st.lists(st.sampled_from(places), unique=True)
    wanted = data.draw(st.one_of(st.just(list(places)), some), "wanted")
    second = data.draw(st.sampled_from([False, False, False, True]), "second order")
    note(scan.script)
    assert_fused_as_composed(scan, InterpretedBackend(), 1e-8, wanted, second=second)


quick = settings(database=None, phases=[Phase.generate])


def test_the_script_of_a_cell_runs_as_it_is():
    scan = find(cases(), lambda scan: "p0" in scan.text, settings=quick)
    text = scan.script.replace('"numba"', '"numpy"').replace('"require"', '"0"')
    told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    lines = told.stdout.splitlines()
    assert len(lines) > 2 and all(line.endswith(" off by 0.0") for line in lines)


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]], ids=["full", "padded"])
@pytest.mark.parametrize("name", SCANS)
def test_odd_cells(name, lengths):
    for reverse in (False, True):
        scan = SCANS[name]._replace(lengths=lengths, reverse=reverse)
        assert_fused_as_composed(scan, InterpretedBackend(), 1e-9)
        assert_fused_as_composed(scan, InterpretedBackend(), 1e-9, wanted=[])


# --- the listing -----------------------------------------------------------------------------


def test_a_listing_names_sizes_and_lines():
    lines = str(lstm_program()).splitlines()
    assert lines[0] == "forward:" and "backward:" in lines
    product = next(line for line in lines if "matmul(xs" in line)
    name, line = product.split()[-1].split(":")
    assert "(N, 4*H)" in product and name == "lstm_cell"
    cell = LSTM.cell.__code__
    assert cell.co_firstlineno < int(line) < cell.co_firstlineno + 60
    gate = next(line for line in lines if "sigmoid" in line)
    assert "(N, H)" in gate
    part = next(line for line in lines if "part(" in line)
    assert "start=3*H" in part and "size=H" in part
    assert sum(line.startswith("  -> d ") for line in lines) == 7  # 4 parameters, x, h, c


def test_listing_and_kernels_are_the_same_in_every_process():
    program = """
from interpreted_backend import InterpretedBackend
from kernel_texts import kernels, lstm_program
from minigrad.models import LSTM
print(lstm_program())
print(*kernels(LSTM, 4, 3, 2, 5, [4, 1, 0]))
"""
    texts = printed_by_seed(program)
    assert texts[0] == texts[1] and texts[0].count("def kernel(") == 2


# --- one kernel for all sizes ----------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_no_size_is_baked_in(layer):
    sizes = [(3, 4, 2, 5), (2, 5, 5, 5), (2, 1, 1, 1), (4, 1, 3, 4), (3, 2, 1, 2), (3, 20, 5, 1)]
    if layer is zoo.LayerNormLSTM:  # the norm of a single feature is another thing
        sizes = [each for each in sizes if each[-1] > 1]
    if layer is zoo.SRU:  # with equal sizes the input needs no weights on its way around
        sizes = [each for each in sizes if each[-1] != each[-2]]
    texts = {tuple(kernels(layer, 1, *each)) for _, *each in sizes[:3]}
    assert len(texts) == 1  # and for one step another, as nothing is carried
    texts = {tuple(kernels(layer, *each)) for each in sizes}
    assert len(texts) == 1
    (forward, backward) = texts.pop()
    assert forward != backward
    masked = {tuple(kernels(layer, *each, lengths=[1] * each[1])) for each in sizes[:3]}
    assert len(masked) == 1 and masked != texts


def shifted(p, x, s):
    half = (s.shape[1] + 1) // 2
    s = mg.concatenate([s[:, half:], mg.tanh(s[:, :half] * p["w"] + x)], axis=1)
    return s[:, : s.shape[1] - 1], s


@pytest.mark.parametrize("H", [2, 3, 5])
def test_sizes_are_calculated_with(H):
    rng = np.random.default_rng(H)
    xs, state = rng.normal(size=(3, 2, 1)), rng.normal(size=(2, H))
    scan = Scan(shifted, {"w": rng.normal()}, xs, state)
    assert_fused_as_composed(scan, InterpretedBackend(), 1e-9)
    text = run_texts(scan)[0]
    assert (", (H + 1)//2,)" in text) == (H % 2 == 1)  # else the half of it was a plain number


def run_texts(scan):
    backend = InterpretedBackend()
    run(scan, backend, "require")
    return backend.texts
