"""Eight programs that PyTorch's users write: what changes for minigrad, and errors that say so."""

import pytest
from ported_programs import PROGRAMS, weights_of

import minigrad as mg
from minigrad.utils.install import install_line

MOST_CHANGES = 5

programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


@pytest.fixture
def in_float64():
    before = mg.get_default_dtype()
    mg.set_default_dtype("float64")
    yield
    mg.set_default_dtype(before)


def test_there_are_eight():
    assert len(PROGRAMS) == 8


@programs
def test_few_lines_change(program):
    assert 1 <= len(program.changes) <= MOST_CHANGES
    assert all("torch" in program.lines[n - 1] for n in program.imports())


@programs
def test_the_port_runs_and_learns(program, backend):
    with mg.use_backend(backend):
        mg.manual_seed(0)
        losses = program.ported()["losses"]
    tenth = max(1, len(losses) // 10)
    assert sum(losses[-tenth:]) < 0.95 * sum(losses[:tenth])


@programs
@pytest.mark.usefixtures("on_numpy", "in_float64")
def test_the_losses_are_those_of_pytorch(program):
    torch = pytest.importorskip(
        "torch", reason=f"PyTorch is not installed here; {install_line('oracle')}"
    )
    before, started = torch.get_default_dtype(), []
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        theirs = program.in_torch(lambda model: started.append(weights_of(model)))["losses"]
    finally:
        torch.set_default_dtype(before)
    ours = program.ported(started[0])["losses"]
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)
