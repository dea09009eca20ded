"""What HIPS autograd and tinygrad have is here, or there is a line for it, or a reason in a README.

`pytest -s` prints how many there are of each.
"""

import re
from fnmatch import fnmatch

import pytest
from function_lists import AUTOGRAD, FOR_TINYGRAD, TINYGRAD
from places import ROOT
from table_lines import scope

import minigrad as mg
from minigrad.other_names.rows import rows_of
from minigrad.other_names.table import look_up

TEXT = (ROOT / "minigrad" / "ops" / "README.md").read_text(encoding="utf-8")
TABLE = re.search(r"\| not here.*?\n\n", TEXT, re.S)[0]
NOT_HERE = re.findall(r"`([\w.*]+)`", "".join(re.findall(r"^\|[^|]*\|", TABLE, re.M)))
ROWS = {name: row for row in rows_of(FOR_TINYGRAD) for name in row.names}
LISTS = {
    "HIPS autograd": (AUTOGRAD, ("np.", "torch.", "x."), {}),
    "tinygrad": (TINYGRAD, ("x.", "torch.", "F.", "nn.", "np.", "nn.init."), ROWS),
}


def is_here(name):
    if name.startswith("linalg."):
        return name.removeprefix("linalg.") in mg.linalg.__all__
    return name in mg.__all__ or hasattr(mg.Tensor, name)


def is_not_here(name):
    return any(fnmatch(name, pattern) for pattern in NOT_HERE)


def has_a_line(name, places, rows):
    found = look_up(places, name.split("."))
    row = rows.get(name) or (found and found[0])
    if not row or ".numpy()" in row.ours:  # what NumPy does has no gradient
        return False
    return bool(row.ours) or row.note.startswith("Leave it out")


@pytest.mark.parametrize("library", LISTS)
def test_each_name_is_here_or_there_is_a_reason(library):
    text, places, rows = LISTS[library]
    names = text.split()
    here = {name for name in names if is_here(name)}
    missing = {name for name in names if name not in here and is_not_here(name)}
    lines = {name for name in names if has_a_line(name, places, rows)} - here - missing
    counts = f"{len(here)} here, {len(lines)} under other names, {len(missing)} not here"
    print(f"{library}: {len(names)} names, {counts}")
    assert not (rest := set(names) - here - missing - lines), sorted(rest)
    assert not (both := here & set(rows)), sorted(both)


def test_the_readme_names_only_what_is_missing():
    assert not (there := [name for name in NOT_HERE if is_here(name)]), there
    names = AUTOGRAD.split() + TINYGRAD.split()
    unknown = [pattern for pattern in NOT_HERE if not any(fnmatch(n, pattern) for n in names)]
    assert not unknown, unknown


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("line", sorted({row.ours for row in ROWS.values()}))
def test_every_line_runs(line):
    exec(line, scope())
