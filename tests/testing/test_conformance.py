"""The conformance kit: backends that are right pass it, and whatever is wrong in one is named."""

import ast
import re
import sys
import tomllib

import numpy as np
import pytest
from places import ROOT, TESTS

import minigrad as mg
from minigrad.engine.backend import OPTIONAL, PROTOCOL
from minigrad.testing import ConformanceError, check_backend
from minigrad.testing.conformance import Kit
from minigrad.testing.protocol_cases import EXAMPLES, REFERENCE

TOY = TESTS / "toy_backend"
SOURCES = [ROOT / name for name in ("minigrad", "backends", "models")]
NAMES = [name for group in PROTOCOL.values() for name in group]


def test_backend_conforms(backend):
    report = check_backend(backend)
    assert report.ok
    assert {line.name for line in report.lines} >= set(NAMES)
    assert "lines pass" in str(report)


def test_every_name_is_checked():
    unchecked = [n for n in NAMES if n not in EXAMPLES and not hasattr(Kit, f"check_{n}")]
    assert unchecked == []
    assert set(EXAMPLES) <= set(REFERENCE)
    assert set(EXAMPLES) <= set(NAMES)


def test_every_hook_that_minigrad_asks_for_is_listed():
    """Whatever is looked up on a backend by a name in quotes, and may be missing."""
    found = {}
    for path in [p for folder in SOURCES for p in folder.rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            match call:
                case ast.Call(ast.Name("getattr" | "hasattr"), [of, ast.Constant(name), *_]):
                    if ast.unparse(of).rpartition(".")[2] in ("backend", "xp"):
                        found.setdefault(name, path)
    assert len(found) > 8
    unknown = {name: path for name, path in found.items() if name not in {*NAMES, *OPTIONAL, "xp"}}
    assert not unknown


def test_every_listed_hook_is_asked_for():
    text = "".join(p.read_text("utf-8") for folder in SOURCES for p in folder.rglob("*.py"))
    assert not [name for name in OPTIONAL if not re.search(rf'(\.|, "){name}\b', text)]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("compileloop", "compile_loop"), ("finger_print", "fingerprint"), ("sum_row", "sum_rows")],
)
def test_a_misspelt_hook_is_named(name, meant):
    backend = broken("exp", lambda f: f)
    setattr(backend, name, lambda *args: None)
    lines = check_backend(backend, raise_exception=False).lines
    assert [line.failures for line in lines if line.failures] == [
        [f"{name!r} is no hook; {meant!r} is"]
    ]


# --- a backend that is wrong in one place ----------------------------------------------------


def broken(name, change):
    """A NumPy backend in which one name is changed by `change(function)`."""
    from minigrad.backends.numpy_backend import NumpyBackend

    backend = NumpyBackend()
    setattr(backend, name, change(getattr(backend, name)))
    return backend


def failing(backend):
    report = check_backend(backend, raise_exception=False)
    return {line.name for line in report.lines if line.failures}


def fails(name, backend):
    """Whether the checks of this one name find a fault."""
    kit = Kit(backend)
    kit.line(name, lambda: kit.protocol(name))
    return bool(kit.lines[0].failures)


FUNCTIONS = [name for name in NAMES if name not in PROTOCOL["identity"]]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_name_that_raises_is_found(name):
    def change(function):
        def refuse(*args, **kwargs):
            raise NotImplementedError("not on this device")

        return refuse

    assert fails(name, broken(name, change))


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in ("copy", "astype")])
def test_a_wrong_value_is_found(name):
    """The last element of every result is off."""

    def off(y):
        if isinstance(y, (list, tuple)):
            return [off(part) for part in y]
        y = np.array(y)
        if y.size:
            flat = y.reshape(-1)
            flat[-1] = ~flat[-1] if y.dtype.kind == "b" else flat[-1] * 2 + 1
        return y

    assert fails(name, broken(name, lambda f: lambda *args, **kw: off(f(*args, **kw))))


@pytest.mark.parametrize("name", ["add", "power", "sum", "mean", "where", "matmul", "sigmoid"])
def test_an_upcast_is_found(name):
    def wide(y):
        return np.asarray(y, np.float64) if np.asarray(y).dtype.kind == "f" else y

    assert fails(name, broken(name, lambda f: lambda *args, **kw: wide(f(*args, **kw))))


@pytest.mark.parametrize("name", ["relu", "exp", "flip", "scatter", "clip"])
def test_an_edited_input_is_found(name):
    def change(function):
        def edit(x, *args, **kwargs):
            y = function(x, *args, **kwargs)
            if x.size:
                x[...] = 0
            return y

        return edit

    assert fails(name, broken(name, change))


def lost_repeats(g, index, shape):
    out = np.zeros(shape, g.dtype)
    out[index] = g  # a later row replaces an earlier one
    return out


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("scatter", lost_repeats),
        ("from_host", np.asarray),
        ("to_host", np.asarray),
        ("index_array", np.asarray),
        ("copy", lambda x: x),
        ("relu", lambda x: np.where(x > 0, x, -0.0001)),
        ("tril", lambda x, k: np.tril(x)),
        ("sum", lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)),
        ("cumsum", lambda x, axis: np.cumsum(x, axis=0)),
        ("concatenate", lambda arrays, axis: np.concatenate(arrays)),
        ("argmax", lambda x, axis, keepdims: np.argmax(x, axis=axis)),
    ],
)
def test_a_subtle_fault_is_found(name, function):
    assert fails(name, broken(name, lambda _: function))


def test_all_failures_are_listed():
    backend = broken("exp", lambda f: np.cos)
    backend.sin = np.cos
    with pytest.raises(ConformanceError) as error:
        check_backend(backend)
    assert "does not conform" in str(error.value)
    assert "exp" in str(error.value) and "sin" in str(error.value)
    assert "gives" in str(error.value) and "not" in str(error.value)
    assert not error.value.report.ok


def test_only_the_broken_names_are_named():
    assert failing(broken("pad", lambda f: lambda *a, **k: f(*a, **k) + 1)) == {"pad"}


def test_a_missing_name_is_named():
    backend = broken("exp", lambda f: f)
    del backend.exp
    lines = check_backend(backend, raise_exception=False).lines
    assert next(line.failures for line in lines if line.name == "exp") == ["is missing"]


def test_a_device_that_answers_asarray_is_named():
    backend = broken("exp", lambda f: f)
    backend.is_host = False
    assert "is_host" in failing(backend)


def test_a_hidden_transfer_is_named():
    backend = broken("exp", lambda f: f)
    backend.tanh = lambda x: backend.from_host(np.tanh(backend.to_host(x)))
    assert failing(backend) == {"no hidden transfers"}


# --- a backend from another package ------------------------------------------------------------


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The toy backend, visible as an installed distribution is."""
    project = tomllib.loads((TOY / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"minigrad_toy-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["minigrad.backends"].items()
    lines = "\n".join(f"{name} = {target}" for name, target in points)
    (info / "entry_points.txt").write_text(f"[minigrad.backends]\n{lines}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(TOY)
    yield "toy"
    from minigrad.engine.registry import loaded_backends

    loaded_backends.pop("toy", None)
    sys.modules.pop("minigrad_toy", None)


def test_toy_is_short():
    lines = sum(
        len((TOY / name).read_text().splitlines()) for name in ("minigrad_toy.py", "pyproject.toml")
    )
    assert lines <= 80


def test_toy_is_listed_without_being_imported(toy):
    assert "toy" in mg.available_backends()
    assert "minigrad_toy" not in sys.modules


def test_toy_conforms(toy):
    assert check_backend(toy).ok


def test_toy_is_used(toy):
    with mg.use_backend(toy) as backend:
        x = mg.tensor([1.0, 2.0], requires_grad=True)
        mg.tanh(x).sum().backward()
    assert backend.calls["tanh"] == 1
    assert x.backend.name == "toy"
    assert np.allclose(x.grad.numpy(), 1 / np.cosh([1.0, 2.0]) ** 2)


def test_toy_is_gone_with_its_package():
    assert "toy" not in mg.available_backends()


# --- the strict device --------------------------------------------------------------------------


@pytest.fixture
def strict():
    return mg.get_backend("strict").from_host(np.arange(3.0))


@pytest.mark.parametrize(
    "use",
    [
        *(np.asarray, float, int, bool, len, list, iter, np.sum, np.from_dlpack),
        *(lambda x: x[0], lambda x: x + np.ones(3), lambda x: np.ones(3) * x),
        *(lambda x: x + np.float64(1), lambda x: np.float64(1) * x, lambda x: 1.0 in x),
        *(lambda x: x == np.ones(3), lambda x: range(3)[x], hash),
        lambda x: mg.get_backend("strict").exp(np.ones(3)),
        lambda x: mg.get_backend("strict").add(x, np.float32(1)),
    ],
)
def test_strict_arrays_refuse_what_a_device_refuses(strict, use):
    with pytest.raises(TypeError):
        use(strict)


def test_strict_arrays_calculate_with_python_numbers(strict):
    backend = mg.get_backend("strict")
    assert backend.to_host(2 * strict + 1).tolist() == [1.0, 3.0, 5.0]
    assert (2 * backend.astype(strict, "float32")).dtype == np.float32


def test_strict_views_know_their_base(strict):
    backend = mg.get_backend("strict")
    assert backend.reshape(strict, (3, 1)).base is strict
    assert strict.base is None


# --- functions of matrices, which a backend may offer --------------------------------------------

WRONG_MATRICES = {
    "solve": (lambda solve: lambda a, b: solve(a, b) * 1.001, "gives"),
    "cholesky": (lambda factor: lambda a: factor(a).swapaxes(-1, -2), "gives"),
    "slogdet": (lambda slogdet: lambda a: slogdet(a)[::-1], "gives"),
    "svd": (lambda svd: lambda a: (svd(a)[0], svd(a)[1] * 1.01, svd(a)[2]), "gives"),
}


@pytest.mark.parametrize("name", WRONG_MATRICES)
def test_a_wrong_function_of_matrices_is_named(name):
    change, text = WRONG_MATRICES[name]
    report = check_backend(broken(name, change), raise_exception=False)
    assert [line.name for line in report.lines if line.failures] == [name]
    assert text in str(report)


def test_what_has_no_solution_has_to_be_refused():
    def silent(solve):
        def call(a, b):
            try:
                return solve(a, b)
            except np.linalg.LinAlgError:
                return np.full_like(b, np.nan)

        return call

    report = check_backend(broken("solve", silent), raise_exception=False)
    assert "solve" in str(report) and "raises no LinAlgError" in str(report)


def test_a_backend_may_offer_no_functions_of_matrices():
    backend = broken("exp", lambda f: f)
    backend.solve = backend.cholesky = backend.slogdet = backend.svd = None
    report = check_backend(backend)
    assert not {"solve", "cholesky"} & {line.name for line in report.lines}
