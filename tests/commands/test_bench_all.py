"""`minigrad bench all` and the groups: the scripts are run, and their figures kept."""

import json
import os
import time

import click
import pytest
from click.testing import CliRunner
from places import ROOT

from minigrad.models.commands import bench_all, main
from minigrad.models.reports.bench import contenders, groups, pace
from minigrad.models.reports.bench import record as records
from minigrad.models.reports.bench.groups import (
    GROUPS,
    Asked,
    BenchmarkError,
    Group,
    run_group,
)
from minigrad.models.reports.bench.record import Line, read_record
from minigrad.models.reports.bench.self_test import judged


def run(*arguments):
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_products_for_real(tmp_path, capfd):
    path = tmp_path / "run.json"
    found = run("products", "--quick", "--rounds", 5, "--threads", 1, "--json", path)
    assert found.exit_code == 0, found.output
    assert "1 thread: microseconds, medians" in capfd.readouterr().out
    record = read_record(path)
    assert record.settings == {
        **{"groups": ["products"], "rounds": 5, "threads": [1], "backends": None},
        **{"quick": True, "without result": []},
    }
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
    names += ("VECLIB_MAXIMUM_THREADS", "NPROC")
    with (benchmarks / "small.py").open("a") as file:
        file.write(f"*(os.environ[name] for name in {names!r}), sys.argv[1:-1]]))")
    found = run_group("ops", Asked((1, 2), 7), 30)
    assert found == [*"111111", ["--rounds", "7", "--threads", "1", "2", "--json"]]
    found = run_group("ops", Asked((1,), backends=("numba",)), 30)
    options = ["--rounds", "101", "--seconds", "30.0", "--threads", "1", "--backends", "numba"]
    assert found[-1] == [*options, "--json"]


def test_a_failure_is_said_and_the_others_are_kept(benchmarks, monkeypatch, tmp_path):
    script(benchmarks, "sys.exit(3)")
    with pytest.raises(BenchmarkError, match=r"benchmarks/small\.py failed, with exit code 3"):
        run_group("ops", Asked((1,)))
    other = Group("other.py", "Other.", GROUPS["eager"].lines)
    monkeypatch.setitem(GROUPS, "eager", other)
    (benchmarks / "other.py").write_text(
        "import json, pathlib, sys\n"
        'found = {"minigrad": [1.0] * 5, "NumPy by hand": [0.5] * 5}\n'
        "pathlib.Path(sys.argv[-1]).write_text(json.dumps(found))\n"
    )
    path = tmp_path / "run.json"
    steady = dict.fromkeys(("plain", "again"), [1.0] * 9) | {"slowed": [1.1] * 9}
    monkeypatch.setattr(bench_all, "self_test", lambda rounds: judged(steady))
    found = run("all", "--only", "ops,eager", "--json", path)
    assert found.exit_code == 1 and "without result: ops" in found.output
    (line,) = read_record(path).lines
    assert "a slowdown of 10% is seen, and none" in read_record(path).settings["self-test"]
    assert (line.group, line.floor) == ("eager", "NumPy by hand")


def test_what_a_group_needs(monkeypatch):
    monkeypatch.setattr(groups, "find_spec", lambda name: None)
    with pytest.raises(BenchmarkError, match=r"first-use needs numba; in the checkout: "):
        run_group("first-use", Asked())


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
        (("eager", "--backend", "numpy"), "eager can't be measured on another backend"),
        (("eager", "--rounds", 5, "--minutes", 1), "--minutes how long: name one of them"),
        (("eager", "--resume"), "the file of --json, which is missing"),
        (("eager", "--page", tmp_path / "x.txt"), "the file will be HTML"),
    ):
        found = run(*arguments)
        assert found.exit_code == 2 and said in found.output, found.output


def test_each_group_has_its_command_and_script():
    names = {command.name for command in bench_all.COMMANDS}
    assert names == {"all", *GROUPS}
    assert all((ROOT / "benchmarks" / group.script).is_file() for group in GROUPS.values())
    assert "memory" in main.commands["bench"].commands  # the longest lag, as before


def test_verdicts_of_checkers_become_counts_and_times_by_seed():
    kinds = [("bug", "refused"), ("bug", "passed"), ("right", "refused"), ("hard", "passed")]
    outcomes = [
        {"kind": kind, "verdict": verdict, "seed": seed, "seconds": 1.0 + seed}
        for seed in range(5)
        for kind, verdict in kinds
    ]
    missed, right, hard, seconds = GROUPS["gradcheck"].lines({"minigrad": outcomes})
    counts = [line.values["minigrad"] for line in (missed, right, hard)]
    assert counts == [[1] * 5, [1] * 5, [0] * 5] and missed.unit == "count"
    assert seconds.values == {"minigrad": [1.0, 2.0, 3.0, 4.0, 5.0]}


# --- time, interruption, going on ----------------------------------------------------------------


@pytest.fixture
def three(benchmarks, monkeypatch):
    """Three groups, of which the second fails as long as the file "broken" is there."""
    monkeypatch.setattr(bench_all, "GROUPS", {})
    text = (
        "import json, pathlib, sys\n"
        "here = pathlib.Path(__file__)\n"
        "calls = here.with_name('calls')\n"
        "calls.write_text((calls.read_text() if calls.exists() else '') + here.stem + ' ')\n"
        "if here.stem == 'b' and here.with_name('broken').exists():\n    sys.exit(3)\n"
        "pathlib.Path(sys.argv[-1]).write_text(json.dumps({'minigrad': [1.0] * 5}))\n"
    )

    def lines(name):
        return lambda found: [Line(name, "one", 1, "s", found)]

    for name in "abc":
        (benchmarks / f"{name}.py").write_text(text)
        group = Group(f"{name}.py", f"{name.upper()}.", lines(name), seconds=60)
        monkeypatch.setitem(GROUPS, name, group)
        monkeypatch.setitem(bench_all.GROUPS, name, group)
    monkeypatch.setattr(bench_all, "scripts_folder", lambda: benchmarks)
    monkeypatch.setattr(records, "commit", lambda: {"id": "0" * 40, "edited": False})
    return benchmarks


def measured(*names, path, **options):
    chosen = {"minutes": None, "rounds": None, "quick": False, "threads": (1,), "backends": None}
    chosen |= {"path": path, "resume": True, "page": None} | options
    bench_all._run(names, **chosen)


def test_a_run_goes_on_with_what_failed(three, tmp_path, capfd):
    path, broken = tmp_path / "run.json", three / "broken"
    broken.touch()
    with pytest.raises(click.ClickException, match="without result: b"):
        measured(*"abc", path=path)
    assert len(read_record(path).lines) == 2
    broken.unlink()
    measured(*"abc", path=path)
    found = read_record(path)
    assert len(found.lines) == 3 and found.settings["without result"] == []
    assert f"{path} has a, c; the run goes on" in capfd.readouterr().err
    measured(*"abc", path=path)
    assert "is complete; a new one begins" in capfd.readouterr().err
    assert (three / "calls").read_text() == "a b c b a b c "


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found["commit"].update(id="1" * 40), "has other commit"),
        (lambda found: found["machine"].update(cores=99), "has other machine"),
        (lambda found: found["versions"].update(NumPy="0"), "has other versions"),
        (lambda found: found["settings"].update(threads=[4]), "has other options"),
        (lambda found: found["commit"].clear(), "has other commit"),
    ],
)
def test_a_run_of_other_things_begins_anew(three, tmp_path, capfd, change, said):
    path = tmp_path / "run.json"
    (three / "broken").touch()
    with pytest.raises(click.ClickException):
        measured(*"ab", path=path)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    (three / "broken").unlink()
    measured(*"ab", path=path)
    assert said in capfd.readouterr().err
    assert (three / "calls").read_text() == "a b a b "


def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(three, tmp_path):
    path, pid = tmp_path / "run.json", three / "pid"
    (three / "b.py").write_text(
        "import os, pathlib, signal, subprocess, sys, time\n"
        "code = 'import time; time.sleep(600)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(SystemExit) as stop:
        measured(*"abc", path=path)
    assert stop.value.code == 130
    assert read_record(path).settings["without result"] == ["b", "c"]
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(int(pid.read_text()), 0)
            time.sleep(0.05)


def test_what_takes_far_too_long_is_ended(benchmarks, monkeypatch):
    script(benchmarks, "import time\ntime.sleep(600)")
    monkeypatch.setattr(groups, "GRACE", 0.5)
    with pytest.raises(BenchmarkError, match=r"small\.py was ended: it took more than 1 s"):
        run_group("ops", Asked(), 0.1)


def test_parts_of_the_time(three, monkeypatch, tmp_path):
    """What one group leaves or takes is the others'."""
    now, parts = [0.0], []

    def taken(name, asked, seconds):
        parts.append(seconds)
        now[0] += {"a": 20, "b": 5, "c": 1}[name]
        return []

    monkeypatch.setattr(bench_all, "run_group", taken)
    monkeypatch.setattr(bench_all.time, "monotonic", lambda: now[0])
    measured(*"abc", path=None, resume=False, minutes=0.5)
    assert parts == [10, 5, 5]
    parts.clear()
    measured(*"ca", path=None, resume=False, minutes=0.1)
    assert parts == [3, 5]
    parts.clear()
    measured(*"ac", path=None, resume=False, minutes=0.1)
    assert parts == [3, 0.75]  # not nothing


def test_a_script_says_which_case_runs_and_stops_in_time(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    run = pace.Pace(100, cases=2, seconds=20)
    rounds = {"a": [1.0, 2.0] * 3}
    for label in ("one", "two"):
        enough = run.case(label)
        assert not enough(rounds)
        now[0] += 9.9
        assert not enough(rounds)
        now[0] += 0.1
        assert enough(rounds) and not enough({"a": [1.0] * 4})
    said = capsys.readouterr().err
    assert said == "  1 of 2: one, 1 thread; 20 s left\n  2 of 2: two, 1 thread; 10 s left\n"


def test_a_narrow_spread_is_enough_only_where_time_counts():
    times = {"a": [1.0] * 12, "b": [9.0, 1.0] + [2.0, 2.01] * 5}
    assert pace.Pace(100, seconds=60).case("x")(times)
    assert not pace.Pace(100).case("x")(times)
    times["b"] = [9.0, 1.0] + [2.0, 2.1] * 5
    assert not pace.Pace(100, seconds=60).case("x")(times)


def test_peers_that_cannot_run_are_left_out_in_one_line(capsys):
    def missing():
        raise ModuleNotFoundError("No module named 'nope'", name="nope")

    def failing():
        return lambda: [][0]

    makers = {"minigrad numpy": lambda: list, "A": missing, "B": failing}
    steps, results = contenders.ready(makers)
    assert steps.keys() == results.keys() == {"minigrad numpy"}
    assert capsys.readouterr().err.splitlines() == [
        "A is left out: nope is not installed",
        "B is left out: IndexError: list index out of range",
    ]
    with pytest.raises(IndexError):
        contenders.ready({"minigrad numba": failing})
