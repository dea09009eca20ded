"""Every example in a docstring or in a document of the project runs and prints what it says."""

import doctest
import importlib
import pkgutil
import re

import numpy as np
import pytest
from places import ROOT

import minigrad as mg
import minigrad.models.convert
import minigrad.models.zoo
import minigrad.nn.cells
import minigrad.testing.strategies
from minigrad.engine.registry import backend_loaders, loaded_backends, process_default
from minigrad.utils.install import install_line

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    """Names of all modules, in the mapped folders too (they lie outside minigrad/ on disk)."""
    found = set()
    for package in ("minigrad", "minigrad.backends", "minigrad.models"):
        paths = importlib.import_module(package).__path__
        found |= {package, *(m.name for m in pkgutil.walk_packages(paths, f"{package}."))}
    return sorted(found)


def in_module(name):
    """All its docstrings with examples."""
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    # An example may leave these two imports to its reader.
    scope = {"mg": mg, "np": np, **vars(module)}
    yield from finder.find(module, globs=scope)


def in_document(path):
    """Its code blocks as one text: they share their names, as a reader who types them expects."""
    text = path.read_text(encoding="utf-8")
    # Everything but the code is blanked out, not cut, so that failures name the right line.
    code = [""] * text.count("\n")
    for block in re.finditer(r"^```(?:python|pycon)\n(.*?)^```$", text, re.M | re.S):
        first = text.count("\n", 0, block.start(1))
        code[first : first + block[1].count("\n")] = block[1].splitlines()
    return doctest.DocTestParser().get_doctest("\n".join(code), {}, path.name, str(path), 0)


def check(*examples):
    """Run examples; what one declares, registers or chooses is gone afterwards."""
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    before = [
        (kept, kept.copy()) for kept in (mg.OPS, backend_loaders, loaded_backends, process_default)
    ]
    with pytest.MonkeyPatch.context() as patch:
        # Its debugger, which is not used, would look at all files that ever were in a traceback.
        patch.setattr("linecache.checkcache", lambda filename=None: None)
        for example in examples:
            runner.run(example)
    for kept, content in before:
        kept.clear()
        kept.extend(content) if isinstance(kept, list) else kept.update(content)
    assert runner.failures == 0


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("name", modules())
def test_docstrings(name):
    if name.startswith("minigrad.models.convert.onnx_files"):
        pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
    if name.startswith("minigrad.backends.numba_"):
        pytest.importorskip("numba", reason=f"no Numba; {install_line('numba')}")
    if name in ("minigrad.models.reference.build", "minigrad.models.reference.members"):
        pytest.importorskip("pdoc", reason=f"no pdoc; {install_line('docs')}")
    check(*in_module(name))


DOCUMENTS = sorted(ROOT.glob("*.md"))
DOCUMENTS += sorted(
    p for part in ("minigrad", "backends", "models") for p in ROOT.glob(f"{part}/**/*.md")
)


PUBLIC = (mg, mg.backend, mg.data, mg.errors, mg.functional, mg.nn, mg.nn.init, mg.optim)
PUBLIC += (minigrad.models, minigrad.models.convert, minigrad.models.zoo, minigrad.nn.cells)
PUBLIC += (minigrad.testing, minigrad.testing.strategies)


def ours(values):
    """Functions, ops and classes of minigrad, by name."""
    return {
        name: value
        for name, value in values.items()
        if callable(value) and getattr(value, "__module__", "").startswith("minigrad")
    }


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_all_public_names_are_listed_once(module):
    listed = module.__all__
    assert len(set(listed)) == len(listed)
    assert set(listed) <= {*dir(module), "source", "trace"}  # loaded when they are asked for
    gathers = hasattr(module, "__path__")  # a file has what it imports besides its own
    public = {
        name
        for name, value in ours(vars(module)).items()
        if name[0] != "_" and (gathers or value.__module__ == module.__name__)
    }
    assert public <= set(listed)


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_every_public_name_has_an_example(module):
    """Every function, op and class; `test_docstrings` runs the examples."""
    documented = ours({name: getattr(module, name) for name in module.__all__})
    assert documented
    assert [name for name, value in documented.items() if ">>> " not in (value.__doc__ or "")] == []


def test_every_method_of_a_tensor_has_an_example_and_every_attribute_a_text():
    public = {name: value for name, value in vars(mg.Tensor).items() if name[0] != "_"}
    methods = {name: value for name, value in public.items() if callable(value)}
    assert [name for name, value in methods.items() if ">>> " not in (value.__doc__ or "")] == []
    properties = {name: value for name, value in public.items() if isinstance(value, property)}
    assert properties and all(value.__doc__ for value in properties.values())


def test_every_method_of_a_module_has_an_example():
    names = {name for kind in mg.nn.Module.__mro__ for name in vars(kind) if name[0] != "_"}
    methods = {name: getattr(mg.nn.Module, name, None) for name in names - {"training"}}
    methods = {name: method for name, method in methods.items() if method}  # not other names
    assert len(methods) > 20
    assert [name for name, value in methods.items() if ">>> " not in (value.__doc__ or "")] == []


def has_example(kind, name):
    """Whether a method has one, or what it overrides has."""
    texts = (
        getattr(base, name, None).__doc__ or "" for base in kind.__mro__ if hasattr(base, name)
    )
    return any(">>> " in text for text in texts)


def test_every_method_of_a_public_class_has_an_example():
    """Of other modules: a class says itself how it is called, and `Module` what all have."""
    for module in (
        *(mg, mg.data, mg.nn, mg.optim, minigrad.models, minigrad.models.convert),
        minigrad.testing,
    ):
        for kind in {value for value in vars(module).values() if isinstance(value, type)}:
            # `attach`, `vjp` and `vjp_all` of ops are below; backends are described by PROTOCOL.
            if kind in (mg.Tensor, mg.Op, mg.ArrayModuleBackend) or not ours({"": kind}):
                continue
            methods = [
                name
                for name, value in vars(kind).items()
                if name[0] != "_" and (callable(value) or isinstance(value, property))
                if getattr(value, "__qualname__", kind.__name__).startswith(kind.__name__)
            ]
            assert [name for name in methods if not has_example(kind, name)] == [], kind


@pytest.mark.parametrize("name", ["attach", "source", "vjp", "vjp_all"])
def test_what_declares_an_op_has_an_example(name):
    assert ">>> " in getattr(mg.Op, name).__doc__


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents(path):
    if path.parent.name == "onnx_files":
        pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
    check(in_document(path))


def test_the_pytorch_example_of_the_checker(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason=f"PyTorch is not installed here; {install_line('oracle')}")
    text = (ROOT / "minigrad/gradchecker/README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    (code,) = (block for block in blocks if "import torch" in block)
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(code, scope)
    assert scope["report"] and (tmp_path / "gelu.svg").exists()
