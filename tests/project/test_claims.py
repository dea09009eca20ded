"""What the READMEs and CONTRIBUTING.md say is so: install lines, files, extras, counts.

Figures that take minutes are checked by `python benchmarks/claims.py`.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib

import pytest
from interpreted_backend import InterpretedBackend
from places import ROOT
from readmes import readmes

import minigrad as mg
from minigrad import class_losses, functional, losses
from minigrad.fuse import RowFunction
from minigrad.models import zoo


def page(folder):
    """The README of a folder."""
    return (ROOT / folder / "README.md").read_text(encoding="utf-8")


def in_one_line(text):
    return " ".join(text.split())


README = page("")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ALL = CONTRIBUTING + "".join(path.read_text(encoding="utf-8") for path in readmes())


def test_no_text_installs_a_package_of_that_name_from_an_index():
    """minigrad is on no index; another project of this name may be."""
    installs = re.compile(r"pip install (?!-e )\S*minigrad")
    paths = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    paths = [ROOT / path for path in paths] or [p for p in ROOT.rglob("*.*") if p.is_file()]
    texts = [path for path in paths if path.suffix in (".py", ".md", ".toml", ".sh", "")]
    assert len(texts) > 100
    found = [
        f"{path.name}: {line.strip()}"
        for path in texts
        if path.is_file()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if installs.search(line)
    ]
    assert found == []


# --- commands --------------------------------------------------------------------------------


def test_every_target_of_make_is_one():
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules += (ROOT / "tests" / "cupy_on_cpu" / "rules.mk").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", rules, re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", ALL, re.M))
    assert {"demo", "test", "help", "test-oracle", "test-cupy", "mutate"} <= named
    assert named <= targets


def test_every_benchmark_that_is_named_is_there():
    named = set(re.findall(r"benchmarks/(\w+\.py)", ALL))
    assert {"eager.py", "recurrent.py", "gradcheck.py", "fused_ops.py", "claims.py"} <= named
    assert all((ROOT / "benchmarks" / name).is_file() for name in named)


# --- files and names ---------------------------------------------------------------------------


def test_the_files_that_are_named_are_there():
    rows = dict(re.findall(r"^\| \[`(\w+)/`\]\(\1/README\.md\) \| (.*) \|$", README, re.M))
    assert rows.keys() == {"minigrad", "backends", "models", "tests", "benchmarks"}
    for folder, holds in rows.items():
        for name in re.findall(r"`([\w*]+(?:\.py|/))`", holds):
            assert list((ROOT / folder).glob(name.rstrip("/"))), f"{folder}/{name}"
    for name in re.findall(r"`((?:minigrad|models|backends|\.ci)/[\w./]+)`", ALL):
        assert (ROOT / name).exists(), name


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = README[README.index("Extras install the rest") : README.index("## Honest limits")]
    extras = set(project["optional-dependencies"])
    assert set(re.findall(r"`(\w+)`", said)) == extras
    used = re.findall(r"pip install -e \"\.\[(\w+)\]\"", README)
    assert used and set(used) <= extras


def test_the_zoo_is_what_the_readme_says():
    layers = {name for name in zoo.__all__ if name[0].isupper()}
    said = "".join(re.findall(r"^\| `\w+\.py` \|(.*)$", page("models/zoo"), re.M))
    assert layers == {*re.findall(r"`([A-Z]\w+)`", said)} - {"LSTM"}


def test_the_fused_functions_are_fused():
    text = in_one_line(page("minigrad/compiler"))
    names = re.search(r"(`gelu`.*?) and others are such functions", text)[1]
    names = re.findall(r"`(\w+)`", names)
    assert len(names) == 6
    for name in names:
        body = vars(functional)[name]
        files = functional, losses, class_losses
        inner = [value for file in files for value in vars(file).values()]
        inner = [f for f in inner if isinstance(f, RowFunction)]
        assert isinstance(body, RowFunction) or name in {f.name for f in inner}


# --- counts ------------------------------------------------------------------------------------


def code_lines(path):
    """Lines with code: not those that are blank, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    documented = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    documentation = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    no_code = tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in (*no_code, tokenize.ENDMARKER)
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - documentation)


def test_lines_are_counted_without_words(tmp_path):
    file = tmp_path / "a.py"
    file.write_text('"""Text.\n\nMore."""\n\n# a comment\nx = (\n    1  # one\n)\n\n\ndef f():\n'
                    '    """Text."""\n    return """\na\n"""\n')  # fmt: skip
    assert code_lines(file) == 7


def claimed(sentence, text):
    """The number of lines that a text claims; `sentence` is a pattern with one group for it."""
    return int(re.search(sentence, " ".join(text.split()))[1].replace(",", ""))


def is_about(said, lines):
    return abs(lines - said) <= 0.05 * lines


def test_the_core_is_as_long_as_the_readme_says():
    """The files to read are the same in both READMEs, and so are the figures."""
    core = ROOT / "minigrad" / "engine"
    text = (core / "README.md").read_text(encoding="utf-8")
    path, rest = text.split("The folder has")
    files = re.findall(r"^\| `(\w+\.py)` \|", path, re.M)
    assert len(files) == 7
    lines = sum(code_lines(core / name) for name in files)
    assert is_about(claimed(r"seven files, about ([\d,]+) lines of code", path), lines), lines
    more = code_lines(ROOT / "backends" / "numpy_backend.py")
    more += code_lines(ROOT / "minigrad" / "scan.py")
    assert is_about(claimed(r"it has about ([\d,]+) lines; a test", path), lines + more), (
        lines + more
    )
    assert lines + more <= 1660  # what a student reads in an evening
    whole = sum(code_lines(file) for file in core.glob("*.py"))
    assert is_about(claimed(r"about ([\d,]+) lines of code", rest), whole), whole
    said = re.search(
        r"The core is about ([\d,]+) lines of code .*?: (.*?), all in", in_one_line(README)
    )
    assert re.findall(r"`(\w+\.py)`", said[2]) == files
    assert is_about(int(said[1].replace(",", "")), lines), lines


def test_the_table_of_ops_is_as_long_as_its_readme_says():
    folder = ROOT / "minigrad" / "ops"
    lines = sum(code_lines(file) for file in folder.glob("*.py"))
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert is_about(claimed(r"The folder has about ([\d,]+) lines of code", text), lines), lines


@pytest.mark.parametrize("folder", ["engine", "ops", "utils"])
def test_each_file_of_the_lower_floors_is_in_the_readme_of_its_folder(folder):
    folder = ROOT / "minigrad" / folder
    named = set(re.findall(r"`(\w+\.py)`", (folder / "README.md").read_text(encoding="utf-8")))
    assert named >= {file.name for file in folder.glob("*.py")} - {"__init__.py"}


def test_the_map_names_all_parts():
    folder = ROOT / "minigrad"
    text = (folder / "README.md").read_text(encoding="utf-8")
    parts = {path.parent.name + "/" for path in folder.glob("*/__init__.py")}
    parts |= {path.name for path in folder.glob("*.py")} - {"__main__.py", "backend.py"}
    assert not {part for part in parts if part not in text}


def test_the_cases_of_the_gradient_checkers_are_as_many_as_the_readme_says(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    try:
        from gradcheck_cases import CASES
    finally:
        monkeypatch.undo()
    kinds = [case.kind for case in CASES]
    counts = {kind: kinds.count(kind) for kind in ("bug", "right", "hard")}
    text = page("benchmarks")
    pattern = r"each: (\d+) with a bug, (\d+) right ones, and (\d+) right ones"
    said = re.search(pattern, in_one_line(text))
    assert tuple(map(int, said.groups())) == tuple(counts.values())
    assert f"# {counts['bug']} seeded bugs" in page("minigrad/gradchecker")
    table = re.search(r"^\| minigrad \| (\d+) of (\d+) \| 0 of (\d+) \| 0 of (\d+) ", text, re.M)
    assert [int(n) for n in table.groups()] == [
        20 * n for n in (counts["bug"], counts["bug"], counts["right"], counts["hard"])
    ]


def test_the_check_of_figures_finds_them_in_the_readme(monkeypatch, capsys):
    """The rows and sentences that `benchmarks/claims.py` reads are there; it computes elsewhere."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import claims

    try:
        assert list(claims.table_rows("accuracy")) == ["RNN", "LSTM", "GRU"]
        assert len(claims.table_rows("bugs")["minigrad"]) == 5
        with pytest.raises(SystemExit, match="no page says"):
            claims.stated(r"there is no (such) sentence")
        monkeypatch.setattr(claims, "reviews", lambda: iter([("a", "1", "1", True)]))
        monkeypatch.setattr(claims, "gradcheck", lambda: iter([("b", "1", "2", False)]))
        for arguments, status in {("reviews",): 0, ("gradcheck",): 1, (): 1}.items():
            monkeypatch.setattr(sys, "argv", ["claims.py", *arguments])
            with pytest.raises(SystemExit) as end:
                claims.main()
            assert end.value.code == status
            out = capsys.readouterr().out
            assert ("WRONG" in out) == bool(status) and "not checked:" in out
    finally:
        sys.modules.pop("claims", None)


def test_the_kernel_in_the_readme_is_the_one_that_is_written(monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", "require")
    backend = InterpretedBackend()
    with mg.use_backend(backend):
        zoo.MGU(3, 5, bias=False)(mg.ones((7, 2, 3)))
    blocks = re.findall(r"^```python\n(.*?)^```$", page("minigrad/compiler"), re.M | re.S)
    (block,) = (block for block in blocks if "product_onto" in block)
    parts = [plain(part) for part in block.partition("    ...\n")[2].split("        ...\n")]
    assert len(parts) == 2 and "product_onto" in parts[0] and "sigmoid" in parts[1]
    assert any(all(part in plain(text) for part in parts) for text in backend.texts)


def plain(text):
    """Code without comments, line breaks and spaces."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return "".join("".join(lines).split()).replace(",)", ")")
