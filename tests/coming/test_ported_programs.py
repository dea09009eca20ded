"""Eight programs that PyTorch's users write: what changes for minigrad, and errors that say so."""

import re

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


# What Python itself says, and minigrad's errors don't.
OF_PYTHON = re.compile("object has no attribute|unexpected keyword|not callable|positional arg")


@programs
@pytest.mark.usefixtures("on_numpy")
def test_each_change_is_what_an_error_says(program):
    """From the program with other imports alone, error by error, to the one that runs."""
    steps = dict.fromkeys(program.changes, 0)
    while any(steps[n] < len(program.changes[n]) for n in steps if n not in program.follows):
        with pytest.raises(Exception) as caught:
            program.run(program.text(steps))
        place, text = program.place(caught.value), str(caught.value)
        assert place in steps and steps[place] < len(program.changes[place]), (place, text)
        assert not OF_PYTHON.search(text), (place, text)
        for number in [place, *(n for n, before in program.follows.items() if before == place)]:
            missing = {w for w in program.new_words(number, steps[number]) if w not in text}
            assert not missing, (number, missing, text)
            steps[number] += 1
    program.run(program.text(steps))


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
