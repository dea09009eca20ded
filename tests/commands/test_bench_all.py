"""`minigrad bench all` and the groups: the scripts are run, and their figures kept."""

import pytest
from click.testing import CliRunner
from places import ROOT

from minigrad.models.commands import bench_all, main
from minigrad.models.reports.bench import groups
from minigrad.models.reports.bench.groups import GROUPS, BenchmarkError, Group, run_group
from minigrad.models.reports.bench.record import read_record


def run(*arguments):
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_products_for_real(tmp_path, capfd):
    path = tmp_path / "run.json"
    found = run("products", "--quick", "--rounds", 5, "--threads", 1, "--json", path)
    assert found.exit_code == 0, found.output
    assert "1 thread: microseconds, medians" in capfd.readouterr().out
    record = read_record(path)
    assert record.settings == {"groups": ["products"], "rounds": 5, "threads": [1], "quick": True}
    for line in record.lines:
        assert line.floor == "products alone" and "minigrad numpy" in line.own
        assert {len(rounds) for rounds in line.values.values()} == {5} and line.paired
    assert run("compare", path, path).exit_code == 0


def script(folder, text):
    (folder / "recurrent.py").touch()  # by which the folder is known
    (folder / "small.py").write_text(f"import json, os, pathlib, sys\n{text}")


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    """A folder in the place of benchmarks/, with one script that the group "ops" runs."""
    monkeypatch.setattr(groups, "scripts_folder", lambda: tmp_path)
    group = Group("small.py", "What is small.", lambda found: iter(found), threads=True)
    monkeypatch.setitem(GROUPS, "ops", group)
    return tmp_path


def test_a_script_has_its_threads_before_it_imports_anything(benchmarks):
    script(benchmarks, "to = pathlib.Path(sys.argv[-1])\nto.write_text(json.dumps([")
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MINIGRAD_THREADS")
    with (benchmarks / "small.py").open("a") as file:
        file.write(f"*(os.environ[name] for name in {names!r}), sys.argv[1:-1]]))")
    found = run_group("ops", (1, 2), 7)
    assert found == [*"1111", ["--rounds", "7", "--threads", "1", "2", "--json"]]


def test_a_failure_is_said_and_the_others_are_kept(benchmarks, monkeypatch, tmp_path):
    script(benchmarks, "sys.exit(3)")
    with pytest.raises(BenchmarkError, match=r"benchmarks/small\.py failed, with exit code 3"):
        run_group("ops", (1,))
    other = Group("other.py", "Other.", GROUPS["eager"].lines)
    monkeypatch.setitem(GROUPS, "eager", other)
    (benchmarks / "other.py").write_text(
        "import json, pathlib, sys\n"
        'found = {"seconds_per_op": {"minigrad": [1.0] * 5, "NumPy by hand": [0.5] * 5}}\n'
        "pathlib.Path(sys.argv[-1]).write_text(json.dumps(found))\n"
    )
    path = tmp_path / "run.json"
    found = run("all", "--only", "ops,eager", "--json", path)
    assert found.exit_code == 1 and "without result: ops" in found.output
    (line,) = read_record(path).lines
    assert (line.group, line.floor) == ("eager", "NumPy by hand")


def test_what_a_group_needs(monkeypatch):
    monkeypatch.setattr(groups, "find_spec", lambda name: None)
    with pytest.raises(BenchmarkError, match=r"programs needs torch and numba; in the checkout: "):
        run_group("programs", (1,))


def test_without_a_checkout(monkeypatch, tmp_path):
    """As where minigrad is installed from a wheel: beside it there is no benchmarks/."""
    place = tmp_path / "a" / "b" / "c" / "groups.py"
    place.parent.mkdir(parents=True)
    monkeypatch.setattr(groups, "__file__", str(place))
    for arguments in (("all",), ("eager",)):
        found = run(*arguments)
        assert found.exit_code == 2, found.output
        assert "folder benchmarks/ of a checkout, which isn't installed" in found.output
        assert "Traceback" not in found.output


def test_wrong_use(tmp_path):
    for arguments, said in (
        (("all", "--only", "speed"), "'speed' is not one of 'ops'"),
        (("eager", "--rounds", 4), "4 is not in the range x>=5"),
        (("eager", "--page", tmp_path / "x.txt"), "the file will be HTML"),
    ):
        found = run(*arguments)
        assert found.exit_code == 2 and said in found.output, found.output


def test_each_group_has_its_command_and_script():
    names = {command.name for command in bench_all.COMMANDS}
    assert names == {"all", *GROUPS}
    assert all((ROOT / "benchmarks" / group.script).is_file() for group in GROUPS.values())
    assert "memory" in main.commands["bench"].commands  # the longest lag, as before


def test_verdicts_of_checkers_become_counts_and_times():
    kinds = [("bug", "refused"), ("bug", "passed"), ("right", "refused"), ("hard", "passed")]
    outcomes = [
        {"kind": kind, "verdict": verdict, "seed": seed, "seconds": 1.0 + seed}
        for seed in range(5)
        for kind, verdict in kinds
    ]
    missed, right, hard, seconds = GROUPS["gradcheck"].lines({"minigrad": outcomes})
    counts = [line.values["minigrad"] for line in (missed, right, hard)]
    assert counts == [[5], [5], [0]] and missed.unit == "count"
    assert seconds.values == {"minigrad": [1.0, 2.0, 3.0, 4.0, 5.0]} and not seconds.paired
