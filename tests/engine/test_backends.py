"""Choosing a backend: who is asked first, when it is loaded, and what is said when it can't be."""

import contextlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine.backend import ArrayModuleBackend
from minigrad.engine.registry import chosen_by, loaded_backends


def python(code, **variables):
    """What a new Python prints, with environment variables."""
    clean = {k: v for k, v in os.environ.items() if k != "MINIGRAD_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | variables, capture_output=True, text=True
    )


# --- the order -----------------------------------------------------------------------------------


def test_numpy_is_the_default():
    assert python("import minigrad as mg; print(mg.zeros(1).backend.name)").stdout == "numpy\n"


def test_a_tensors_own_backend_comes_first():
    x = mg.ones(2, backend="strict")
    with mg.use_backend("numpy"):
        assert (x * 2).backend.name == "strict"
        assert mg.tensor(x).backend.name == "strict"
        assert mg.zeros_like(x).backend.name == "strict"
        assert mg.tensor([1.0], backend="strict").backend.name == "strict"


def test_then_the_innermost_context(register):
    register("other")
    mg.set_backend("other")
    with mg.use_backend("strict"):
        with mg.use_backend("numpy"):
            assert mg.ones(1).backend.name == "numpy"
        assert mg.ones(1).backend.name == "strict" and chosen_by() == "use_backend"
    assert mg.ones(1).backend.name == "other" and chosen_by() == "set_backend"


def test_a_context_ends_after_an_error():
    before = mg.current_backend()
    with pytest.raises(ZeroDivisionError), mg.use_backend("strict"):
        raise ZeroDivisionError
    assert mg.current_backend() is before


def test_a_context_belongs_to_a_thread():
    outside, seen = mg.current_backend(), []
    with mg.use_backend("strict"):
        thread = threading.Thread(target=lambda: seen.append(mg.ones(1).backend))
        thread.start()
        thread.join()
    assert seen == [outside]


def test_set_backend_is_for_all_threads(register):
    register("other")
    mg.set_backend("other")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(mg.ones(1).backend.name))
    thread.start()
    thread.join()
    assert seen == ["other"]


def test_a_backend_object_is_as_good_as_its_name():
    backend = mg.get_backend("strict")
    assert mg.get_backend(backend) is backend
    assert mg.ones(1, backend=backend).backend is backend


# --- the environment variable --------------------------------------------------------------------


def test_the_variable_is_read_at_first_use_not_at_import():
    code = (
        "import os, minigrad as mg\n"
        "os.environ['MINIGRAD_BACKEND'] = 'other'\n"
        "import numpy\n"
        "mg.register_backend('other', lambda: mg.ArrayModuleBackend(numpy, 'other'))\n"
        "print(mg.zeros(1).backend.name)\n"
        "os.environ['MINIGRAD_BACKEND'] = 'numpy'\n"
        "print(mg.zeros(1).backend.name)"
    )
    done = python(code, MINIGRAD_BACKEND="nonsense")
    assert done.stdout == "other\nother\n", done.stderr


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, "'other'", "MINIGRAD_BACKEND was changed to 'other' after it had been read"),
        (
            None,
            "'nonsense'",
            "new tensors are still made on 'numpy'. Call mg.set_backend('nonsense')",
        ),
        ("numpy", "'other'", "Call mg.set_backend('other'), or set the variable before the first"),
        (
            "other",
            "''",
            "MINIGRAD_BACKEND was removed after it had been read: new tensors are still",
        ),
        (None, "'numpy'", None),
        ("numpy", "''", None),
    ],
)
def test_a_change_of_the_variable_that_comes_too_late_is_said_once(before, after, said):
    code = (
        "import os, warnings, numpy as np, minigrad as mg\n"
        "from minigrad.engine.backend import ArrayModuleBackend\n"
        "mg.register_backend('other', lambda: ArrayModuleBackend(np, 'other', is_host=True))\n"
        "first = mg.zeros(1).backend\n"
        f"os.environ['MINIGRAD_BACKEND'] = {after}\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(3): assert mg.zeros(1).backend is first\n"
        "assert all((w.filename, w.lineno) == ('<string>', 8) for w in caught)\n"
        "print(*[w.message for w in caught], sep='\\n', end='')\n"
        "from minigrad.engine.registry import chosen_by\n"
        f"assert chosen_by() == {'MINIGRAD_BACKEND' if before else 'default'!r}\n"
    )
    done = python(code, **({"MINIGRAD_BACKEND": before} if before else {}))
    assert done.returncode == 0, done.stderr
    if said is None:
        assert not done.stdout
    else:
        assert said in done.stdout and "\n" not in done.stdout


def test_a_choice_in_code_counts_whatever_the_variable_says_later():
    code = (
        "import os, minigrad as mg; mg.zeros(1); mg.set_backend('numpy')\n"
        "os.environ['MINIGRAD_BACKEND'] = 'other'; mg.zeros(1)"
    )
    assert python(code).stderr == ""


def test_importing_with_a_wrong_variable_is_no_error():
    assert python("import minigrad", MINIGRAD_BACKEND="nonsense").returncode == 0


def test_a_wrong_variable_is_named_at_first_use():
    done = python("import minigrad as mg; mg.zeros(1)", MINIGRAD_BACKEND="nunpy")
    assert done.returncode == 1
    assert "MINIGRAD_BACKEND=nunpy: unknown backend 'nunpy'; known are" in done.stderr
    assert "Did you mean 'numpy'?" in done.stderr


def test_auto_says_what_it_chose():
    done = python("import minigrad as mg; print(mg.zeros(1).backend.name)", MINIGRAD_BACKEND="auto")
    assert f"MINIGRAD_BACKEND=auto chose {done.stdout.strip()!r}" in done.stderr


def test_a_choice_in_code_does_without_the_variable():
    code = "import minigrad as mg; mg.set_backend('numpy'); print(mg.zeros(1).backend.name)"
    assert python(code, MINIGRAD_BACKEND="nonsense").stdout == "numpy\n"


# --- loading -------------------------------------------------------------------------------------


def test_a_backend_is_loaded_once_at_its_first_use(register):
    loads = []

    def load():
        loads.append(1)
        return ArrayModuleBackend(np, "lazy", is_host=True)

    register("lazy", load)
    assert "lazy" in mg.available_backends() and loads == []
    assert mg.get_backend("lazy") is mg.get_backend("lazy")
    assert loads == [1]


def test_a_backend_that_failed_is_tried_again(register):
    attempts = []

    def load():
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("busy")
        return ArrayModuleBackend(np, "shy", is_host=True)

    register("shy", load)
    with pytest.raises(mg.BackendError, match="busy"):
        mg.get_backend("shy")
    assert mg.get_backend("shy").name == "shy"


@pytest.mark.parametrize(
    ("asked", "near"), [("nunpy", "numpy"), ("NumPy", "numpy"), ("stric", "strict"), ("q", None)]
)
def test_an_unknown_name(asked, near):
    with pytest.raises(mg.BackendError) as error:
        mg.ones(1, backend=asked)
    text = str(error.value)
    assert f"unknown backend {asked!r}; known are " in text and "numpy" in text
    assert text.endswith(f"Did you mean {near!r}?") if near else "Did you mean" not in text


def test_a_known_backend_that_cannot_start(register):
    def load():
        raise ImportError("No module named 'frobnicator'")

    register("frob", load)
    with pytest.raises(mg.BackendError) as error, mg.use_backend("frob"):
        pass
    assert str(error.value) == (
        "backend 'frob' is known but can't start here: No module named 'frobnicator'."
    )
    assert isinstance(error.value.__cause__, ImportError)


# --- devices -------------------------------------------------------------------------------------


class Several(ArrayModuleBackend):
    """A backend of several devices, of which one is current."""

    current = 0

    def __init__(self, index=None):
        super().__init__(np, "several" if index is None else f"several:{index}", is_host=True)
        self.index = index

    @contextlib.contextmanager
    def active(self):
        before, Several.current = Several.current, int(self.index or 0)
        yield
        Several.current = before


@pytest.fixture
def several(register):
    register("several", lambda device=None: Several(device))
    yield
    for name in ("several:0", "several:1"):
        loaded_backends.pop(name, None)
    Several.current = 0


def test_a_device_is_named_behind_a_colon(several):
    first, second = mg.get_backend("several"), mg.get_backend("several:1")
    assert (first.index, second.index) == (None, "1")
    assert mg.get_backend("several:1") is second is not first
    assert mg.ones(2, backend="several:1").backend is second
    assert "several:1" not in mg.available_backends()


def test_the_chosen_device_is_the_current_one(several):
    with mg.use_backend("several:1"):
        assert Several.current == 1
        with mg.use_backend("numpy"), mg.use_backend("several:0"):
            assert Several.current == 0
        assert Several.current == 1
    assert Several.current == 0
    mg.set_backend("several:1")
    assert Several.current == 1


def test_a_device_of_a_backend_registered_anew(several):
    first = mg.get_backend("several:1")
    mg.register_backend("several", lambda device=None: Several(device))
    assert mg.get_backend("several:1") is not first


@pytest.mark.parametrize("name", ["numpy:1", "numpy:", "strict:0"])
def test_a_backend_of_one_device(name):
    base = name.partition(":")[0]
    with pytest.raises(mg.BackendError) as error:
        mg.get_backend(name)
    assert (
        str(error.value)
        == f"backend {base!r} has one device only; take {base!r} instead of {name!r}"
    )


def test_a_device_of_an_unknown_backend():
    with pytest.raises(
        mg.BackendError, match=r"unknown backend 'nunpy:1'.*Did you mean 'numpy:1'\?"
    ):
        mg.get_backend("nunpy:1")


# --- what can't start, and what doesn't fit -------------------------------------------------------


def test_numba_is_missing():
    program = """
import sys
class Blocker:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "numba":
            raise ModuleNotFoundError("No module named 'numba'")
sys.meta_path.insert(0, Blocker)
import minigrad as mg
mg.ones(1)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MINIGRAD_BACKEND": "numba"},
        capture_output=True,
        text=True,
    )
    assert ran.stderr.splitlines()[-1] == (
        "minigrad.errors.BackendError: MINIGRAD_BACKEND=numba: backend 'numba' is known but can't "
        "start here: No module named 'numba'. Possible cure: in the checkout: "
        'pip install -e ".[numba]"'
    )


def test_a_cure_is_passed_on(register):
    class NoDriver(RuntimeError):
        hint = "install a driver of version 12 or newer"

    def load():
        raise NoDriver("the driver is too old")

    register("ghost", load)
    with pytest.raises(mg.BackendError, match=r"too old\. Possible cure: install a driver"):
        mg.get_backend("ghost")


def test_mixed_operands(backend):
    x, y = mg.ones(2, backend="numpy"), mg.ones(2, backend="strict")
    for f in (lambda a, b: a + b, mg.matmul, lambda a, b: mg.concatenate([a, b])):
        with pytest.raises(mg.BackendError, match=r"different backends, 'numpy' and 'strict'; "):
            f(x, y)
    with pytest.raises(mg.BackendError, match=r"convert one, for example with x.to\('strict'\)"):
        y * x


def test_a_cotangent_on_another_backend():
    x = mg.ones(2, requires_grad=True, backend="numpy")
    with pytest.raises(TypeError, match=r"cotangent is on backend 'strict' .* g.to\('numpy'\)"):
        (x * 2).backward(mg.ones(2, backend="strict"))


def test_an_op_that_a_backend_lacks_says_so():
    backend = ArrayModuleBackend(np, "small", is_host=True)
    del backend.tanh
    with pytest.raises(ValueError, match="tanh: backend 'small' has no 'tanh'; a backend needs"):
        mg.tanh(mg.Tensor(np.ones(2), backend))
    with pytest.raises(AttributeError, match="frobnicate"):
        _ = mg.get_backend("numpy").frobnicate
