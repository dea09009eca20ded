"""CUDA kernels of scans, as text: what is in them, and that no size is. No GPU, no CuPy."""

import re

import numpy as np
import pytest
from cuda_texts import Listing, loops, texts
from fused_layers import LAYERS
from odd_cells import SCANS
from processes import printed_by_seed
from scans import fusing, run

import minigrad as mg
from minigrad.backends.cupy_kernels.codegen import Product
from minigrad.backends.cupy_kernels.dialect import cast, literal
from minigrad.compiler import FusionError
from minigrad.models import LSTM

pytestmark = pytest.mark.cupy


def stages(loop):
    return ["product" if isinstance(stage, Product) else "kernel" for stage in loop.stages]


# --- what a step does --------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [None, [3, 1]])
@pytest.mark.parametrize("name", ["RNN", "RNN relu", "LSTM", "GRU", "PeepholeLSTM"])
def test_one_product_and_one_kernel_forwards_and_at_most_two_backwards(name, lengths):
    forward, backward = loops(LAYERS[name], 3, 2, 2, 5, lengths)
    assert stages(forward) == ["product", "kernel"]
    assert stages(backward) in (["kernel", "product"], ["kernel", "product", "kernel"])


def test_work_that_no_product_needs_waits_for_the_next_kernel():
    """The norm of the input's part, which is there before the step's product."""
    forward, backward = loops(LAYERS["LayerNormLSTM"], 3, 2, 2, 5)
    assert stages(forward) == ["product", "kernel"] and forward.stages[1].by_rows
    assert stages(backward) == ["kernel", "product"]


def test_a_cell_without_products_is_one_kernel():
    assert [stages(loop) for loop in loops(LAYERS["IndRNN"], 3, 2, 2, 5)] == [["kernel"]] * 2


def test_a_state_that_is_only_passed_on_is_copied():
    backend = Listing()
    run(SCANS["a_delay"], backend, "require")
    assert "new0[j] = x0[j];" in backend.loops[0].text


# --- one text for all sizes --------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_no_size_is_baked_in(name):
    sizes = [(3, 4, 2, 5), (2, 5, 5, 5), (2, 1, 1, 1), (4, 1, 3, 4), (3, 2, 1, 2), (3, 20, 5, 1)]
    if "Norm" in name:  # the norm of a single feature is another thing
        sizes = [each for each in sizes if each[-1] > 1]
    if name == "SRU":  # with equal sizes the input needs no weights on its way around
        sizes = [each for each in sizes if each[-1] != each[-2]]
    assert len({tuple(texts(LAYERS[name], 1, *each)) for _, *each in sizes[:3]}) == 1
    found = {tuple(texts(LAYERS[name], *each)) for each in sizes}
    assert len(found) == 1  # for one step it may be another, as nothing is carried
    masked = {tuple(texts(LAYERS[name], *each, lengths=[1] * each[1])) for each in sizes[:3]}
    assert len(masked) == 1 and masked != found


def test_the_text_is_the_same_in_every_process():
    program = """
from cuda_texts import texts
from fused_layers import LAYERS
print(*texts(LAYERS["LayerNormLSTM"], 4, 3, 2, 5, [4, 1, 0]))
"""
    found = printed_by_seed(program)
    assert found[0] == found[1] and found[0].count("__global__") >= 2


# --- the text ----------------------------------------------------------------------------------


def test_each_argument_is_described():
    forward, _ = texts(LSTM, 3, 2, 2, 5)
    described = dict(re.findall(r"__restrict__ (\w+), +// (.*)", forward))
    assert described["x0"] == "matmul in lstm_cell (N, 4*H)"
    assert described["old1"] == "state.1 (N, H)" and "new1" in described
    arguments = forward.partition("(")[2].count("__restrict__")
    assert arguments == len(described)
    assert "const Index N, const Index H, const Index W" in forward


def test_what_a_kernel_only_reads_is_constant():
    forward, _ = texts(LSTM, 3, 2, 2, 5)
    for line in forward.splitlines():
        if "__restrict__" in line:
            name = line.split("__restrict__ ")[1].partition(",")[0]
            is_written = re.search(rf"\b{name}\[[^\]]*\] = ", forward) is not None
            assert is_written != line.strip().startswith("const "), line


@pytest.mark.parametrize("name", SCANS)
def test_kernels_that_move_numbers_between_columns_wait(name):
    """A thread may read what another one has written only behind a barrier."""
    backend = Listing()
    run(SCANS[name], backend, "require")
    for loop in backend.loops:
        for region in (stage for stage in loop.stages if not isinstance(stage, Product)):
            written = {p.name for p in region.places if f"{p.name}[" in region.text}
            body = region.text.partition(") {")[2]
            for phase in re.split(r"__syncthreads\(\);|block_\w+\(", body):
                assigned = set(re.findall(r"(\w+)\[[^\]]*\] = ", phase)) & written
                for place in assigned:
                    columns = set(re.findall(rf"\b{place}\[([^\]]*)\](?! =)", phase))
                    assert columns <= {"j"}, (place, phase)


@pytest.mark.parametrize(
    ("x", "dtype", "text"),
    [
        (0.1, "float32", "0.1f"),
        (1e-12, "float32", "1e-12f"),
        (2, "float64", "2.0"),
        (-2.5, "float64", "(-2.5)"),
        (np.inf, "float32", "(1.0f / 0.0f)"),
        (-np.inf, "float64", "(-1.0 / 0.0)"),
        (np.nan, "float64", "(0.0 / 0.0)"),
        (3, "int32", "3"),
        (-3, "int64", "(-3LL)"),
        (1, "bool", "true"),
    ],
)
def test_numbers_are_literals_of_their_dtype(x, dtype, text):
    assert literal(x, np.dtype(dtype)) == text


def test_casts():
    assert cast("x0[j]", np.dtype("float32")) == "(float)x0[j]"
    assert cast("v3", np.dtype("bool")) == "(v3 != 0)"
    assert cast("(a + b)", np.dtype("int64")) == "(long long)(a + b)"


def test_sizes_whose_names_are_too_much_alike_are_refused():
    def cell(p, x, s):
        parts = [mg.tanh(s @ w).sum(axis=1, keepdims=True) for w in (p["a"]["b"], p["a_b"])]
        return s, x + parts[0] + parts[1] + s @ p["c"]["b"]

    with mg.use_backend(Listing()), fusing("require"):
        p = {"a": {"b": mg.ones((1, 2))}, "a_b": mg.ones((1, 3)), "c": {"b": mg.ones((1, 1))}}
        with pytest.raises(FusionError, match=r"too much alike: .*a\.b.*a_b"):
            mg.scan(cell, p, mg.ones((3, 2, 1)), mg.ones((2, 1)))
