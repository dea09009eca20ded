"""Lines of everyday PyTorch programs, with minigrad imported in its place.

A line of `lines/*.txt` runs, or fails with an error that has what stands behind its arrow in it:
what to write.
"""

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

LINES = [
    line.partition(" -> ")[::2]
    for path in sorted(Path(__file__).with_name("lines").glob("*.txt"))
    for line in path.read_text(encoding="utf-8").splitlines()
]


def scope():
    """What programs call things; each module of PyTorch's is minigrad's."""
    x = mg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    model = nn.Linear(3, 4)
    found = {"torch": mg, "nn": nn, "optim": optim, "F": mg, "np": np, "x": x, "v": mg.ones(3)}
    found |= {"b": mg.ones((2, 2, 2)), "xs": [x], "i": mg.tensor([0, 1]), "a": np.ones(3)}
    found |= {
        "m": model,
        "p": nn.Parameter([1.0]),
        "o": optim.SGD(model.parameters()),
        "f": lambda y: y,
    }
    return found | {"loss": (model(x) ** 2).sum(), "lengths": [1], "PATH": "m.pt"}


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize(("line", "text"), LINES, ids=[line for line, _ in LINES])
def test_a_line_runs_or_its_error_says_what_to_write(line, text):
    found = scope()
    if not text:
        eval(line, found)
        return
    with pytest.raises((AttributeError, TypeError, ValueError, mg.BackendError)) as raised:
        eval(line, found)
    assert text in str(raised.value)


def test_there_are_many():
    assert len(LINES) > 900 and sum(not text for _, text in LINES) > 300


@pytest.mark.parametrize(
    ("line", "text"),
    {
        "import minigrad.nn.functional as F": "import minigrad as F",
        "from minigrad.nn.functional import relu": "mg.relu(x)",
        "from minigrad.nn.utils.rnn import pad_sequence": "write mg.data.pad_sequence(",
        "from minigrad.nn.utils import clip_grad_norm_": "mg.optim.clip_grad_norm_(",
        "from minigrad.optim.lr_scheduler import StepLR": "mg.optim.StepLR(optimizer, step_size)",
        "from minigrad.optim import lr_scheduler": "mg.optim.StepLR(optimizer, step_size=10)",
        "from minigrad.utils.data import DataLoader, Dataset": "write mg.data.DataLoader((x, ",
        "from minigrad.autograd import Variable": "mg.tensor([1.0, 2.0], requires_grad=True)",
        "import minigrad.cuda": "mg.set_backend('numpy')",
        "from minigrad import cat, stack": "mg.concatenate([a, b], axis=1)",
        "from minigrad import conactenate": "Did you mean mg.concatenate?",
        "import minigrad.nosuchthing": "No module named 'minigrad.nosuchthing'",
    }.items(),
)
def test_imports(line, text):
    with pytest.raises(ImportError) as raised:
        exec(line, {})
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("line", "text"),
    {
        "mg.conactenate": "Did you mean mg.concatenate?",
        "mg.unsqueze": "Did you mean unsqueeze? minigrad calls it expand_dims",
        "mg.nn.Liner(3, 4)": "Did you mean mg.nn.Linear?",
        "mg.optim.AdmW": "Did you mean mg.optim.AdamW?",
        "mg.sum(x, axsi=0)": "axsi: did you mean axis? Write mg.sum(x, axis=0)",
        "mg.std(x, keepdim=True, ddf=1)": "keepdim keepdims: mg.std(x, keepdims=True, ddof=1)",
        "mg.nn.Linear(3, out_featurs=4)": "Write mg.nn.Linear(3, 4)",
        "mg.exp_(x)": "no function edits its argument: x = mg.exp(x)",
        "x.exp_()": "no function edits its argument: x = mg.exp(x)",
        "mg.vander(x)": "NumPy has np.vander, of arrays: x.detach().numpy() is one",
        "mg.linalg.cond(x)": "NumPy has np.linalg.cond, of arrays",
        "mg.Linear(3, 4)": "minigrad has it in mg.nn: mg.nn.Linear(in_features, out_features)",
        "mg.qwertyuiop": "mg has no attribute 'qwertyuiop'",
        "mg.sum(x, qwertyuiop=1)": "mg.sum got an unexpected keyword argument 'qwertyuiop'",
        "mg.std(x, qwertyuiop=1)": "std() got an unexpected keyword argument 'qwertyuiop'",
        "mg.zeros(2, 3, device='cpu')": "write mg.zeros(2, 3). device:",
    }.items(),
)
def test_near_misses(line, text):
    with pytest.raises((AttributeError, TypeError)) as raised:
        eval(line, {"mg": mg, "x": mg.ones((2, 3))})
    assert text in str(raised.value)


def test_near_misses_of_methods_are_pythons_own():
    """A look-up of an attribute that fails costs tensors nothing more than other objects."""
    line = "import minigrad as mg; mg.ones(2).sigmiod()"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True)
    assert "Did you mean: 'sigmoid'?" in done.stderr


def test_names_that_are_missing_stay_missing():
    """For `hasattr` and `getattr` with a default, as other libraries ask."""
    x = mg.ones(2)
    assert not hasattr(x, "unsqueeze") and getattr(mg, "cat", None) is None
    assert not hasattr(nn.Linear(1, 1), "cuda") and not hasattr(nn, "Conv2d")
    layer = nn.Linear(1, 1)
    assert "unsqueeze" not in dir(x) and "reshape" in dir(x) and "cuda" not in dir(layer)
    layer.cuda = lambda: "its own"
    assert "cuda" in dir(layer)
    assert layer.cuda() == "its own"


def test_an_import_loads_no_compiler():
    line = "import minigrad, sys; print('minigrad.compiler.trace' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_signatures_and_identity_stay():
    assert str(inspect.signature(mg.std)).startswith("(x: 'Any', axis: 'Any' = None")
    assert str(inspect.signature(mg.sum)) == "(x, axis=None, keepdims=False, where=None)"
    assert str(inspect.signature(mg.Tensor.sum)) == "(x, axis=None, keepdims=False, where=None)"
    assert pickle.loads(pickle.dumps(mg.std)) is mg.std
    assert mg.Tensor.std is mg.std
