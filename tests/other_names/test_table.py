"""Every row of the table: its line runs as it stands, and is there for names that are missing."""

import re

import numpy as np
import pytest
from table_lines import scope

import minigrad as mg
from minigrad.other_names.arguments import ARGUMENTS
from minigrad.other_names.table import GROUPS, ROWS

LINES = sorted({row.ours for rows in GROUPS.values() for row in rows if row.ours})


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("line", LINES)
def test_every_line_runs(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "mg.save(" in line:
        pytest.importorskip("safetensors")
    if line.startswith("@"):
        line += "\ndef f(x):\n    return x, lambda g: g"
    if (setting := re.search(r"(mg|np)\.(set_\w+)\(", line)) is not None:  # not to be set here
        assert callable(getattr({"mg": mg, "np": np}[setting[1]], setting[2]))
        return
    found = scope()
    found["x"].requires_grad = "_hook" in line
    exec(line, found)


# What minigrad has under these names is something else; a wrong call says so.
DIFFERENT = {
    "add",
    "equal",
    "scatter_add",
    "max",
    "min",
    "trace",
    "transpose",
    "Tensor",
    "split",
    "meshgrid",
}


def test_rows_are_for_names_that_minigrad_lacks():
    there = {name[6:] for name in ROWS if name.startswith("torch.") and name[6:] in mg.__all__}
    assert there <= DIFFERENT, there - DIFFERENT


def test_no_two_rows_have_one_name():
    names = [name for rows in GROUPS.values() for row in rows for name in row.names]
    assert sorted(names) == sorted(set(names))


def test_arguments_have_a_name_here_or_a_note():
    assert all(row.ours or row.note for row in ARGUMENTS.values())
