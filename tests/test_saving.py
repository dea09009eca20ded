"""mg.save and mg.load: what comes back, what is refused, and what a failure leaves behind."""

import json
import os
import pickle
import stat
import struct
import sys

import numpy as np
import pytest
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import saving
from minigrad.utils import files

safetensors = pytest.importorskip("safetensors.numpy")
safe_open = pytest.importorskip("safetensors").safe_open


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.safetensors"


def test_nested_state_comes_back(path, backend):
    state = {
        "model": {"layers.0.weight": np.arange(6.0).reshape(2, 3), "bias": np.zeros((0, 4))},
        "scalar": np.array(3, dtype="int32"),
        "tensor": mg.tensor([1.5, 2.5]),
        "flags": np.array([True, False]),
        "transposed": np.arange(6, dtype="float16").reshape(2, 3).T,
        "strided": np.arange(10)[::3],
        "swapped": np.arange(3, dtype=">f8"),
        "history": [{"loss": 0.1 + 0.2, "at": None}, [np.float32(0.5), np.int64(2**62)], []],
        "betas": (0.9, 0.999),
        "name": "Ünï\n",
        "big": 2**80,
        "limits": [float("inf"), -0.0],
        "true": True,
        "": {"": 1},
    }
    mg.save(path, state)
    loaded = mg.load(str(path))
    assert list(loaded) == list(state)
    assert list(loaded["model"]) == ["layers.0.weight", "bias"]
    for part, want in (
        (loaded["model"]["layers.0.weight"], state["model"]["layers.0.weight"]),
        (loaded["model"]["bias"], state["model"]["bias"]),
        (loaded["tensor"], np.array([1.5, 2.5], "float32")),
        (loaded["swapped"], np.arange(3.0)),
        *((loaded[key], state[key]) for key in ("scalar", "flags", "transposed", "strided")),
    ):
        assert type(part) is np.ndarray and part.dtype == want.dtype
        np.testing.assert_array_equal(part, want)
        part[...] = 0  # the caller's own
    assert loaded["history"] == [{"loss": 0.1 + 0.2, "at": None}, [0.5, 2**62], []]
    assert loaded["betas"] == [0.9, 0.999]
    for key in ("name", "big", "limits", "true", ""):
        assert loaded[key] == state[key]
    assert loaded["true"] is True
    assert np.signbit(loaded["limits"][1])
    np.testing.assert_array_equal(mg.load(path)["model"]["layers.0.weight"][1], [3, 4, 5])


def test_a_model_comes_back(path, backend):
    mg.manual_seed(0)
    model = mg.nn.Sequential(mg.nn.Embedding(5, 3), mg.nn.Linear(3, 2))
    mg.save(path, model.state_dict())
    other = mg.nn.Sequential(mg.nn.Embedding(5, 3), mg.nn.Linear(3, 2))
    other.load_state_dict(mg.load(path))
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_other_programs_read_and_write_the_same_files(path):
    mg.save(path, {"model": {"a.b": np.arange(3.0)}, "epoch": 3})
    read = safetensors.load_file(path)
    assert list(read) == ["model.a.b"]
    np.testing.assert_array_equal(read["model.a.b"], np.arange(3.0))

    safetensors.save_file({"x.y": np.arange(4, dtype="float32")}, path, metadata={"by": "me"})
    loaded = mg.load(path)
    assert list(loaded) == ["x.y"]
    np.testing.assert_array_equal(loaded["x.y"], np.arange(4, dtype="float32"))


HOLDS_ITSELF: dict = {}
HOLDS_ITSELF["a"] = HOLDS_ITSELF


def test_the_same_state_gives_the_same_bytes(path):
    state = {"Ünï": np.ones(3), "a": {"b": np.zeros((2, 0)), "epoch": 3}}
    assert len({saving.as_bytes(state) for _ in range(20)}) == 1


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ([np.ones(2)], TypeError, "the state must be a dict; got list"),
        (mg.nn.Linear(1, 1), TypeError, r"must be a dict; got Linear. Save its state_dict\(\)"),
        ({"m": mg.nn.Linear(1, 1)}, TypeError, r"save: m is Linear; .* Save its state_dict\(\)"),
        ({"a": {"b": [1, {2}]}}, TypeError, "save: a.b.1 is set; a file holds arrays, numbers"),
        ({"a": 1 + 2j}, TypeError, "save: a is complex;"),
        ({"a": np.array([1j])}, TypeError, "save: a is an array of complex128"),
        ({"a": np.array(["x"])}, TypeError, "save: a is an array of <U1"),
        ({"a": np.array([None])}, TypeError, "save: a is an array of object"),
        ({"a": {0: 1}}, TypeError, "save: keys are strings; a has 0"),
        ({0: 1}, TypeError, "save: keys are strings; the state has 0"),
        ({"a": {"$array": "x"}}, TypeError, r"save: keys .*; a has '\$array'"),
        ({"a.b": np.ones(1), "a": {"b": np.ones(1)}}, ValueError, "the name a.b is taken already"),
        ({"\ud800": np.ones(1)}, ValueError, "the name .* is no text that a file can hold"),
        ({"a": {"n": 2**9000}}, ValueError, "save: a.n is an integer of more than 8192 bits"),
        (HOLDS_ITSELF, ValueError, "nested too deep, or holds itself"),
        ({"__metadata__": np.ones(1)}, ValueError, "the name __metadata__ is taken already"),
    ],
)
def test_what_a_file_cannot_hold_is_told_and_nothing_is_written(state, error, text, path):
    with pytest.raises(error, match=text):
        mg.save(path, state)
    assert os.listdir(path.parent) == []


@pytest.mark.skipif(np.longdouble(0).itemsize <= 8, reason="long double is double here")
def test_long_doubles_are_told(path):
    with pytest.raises(TypeError, match="save: a is an array of float"):
        mg.save(path, {"a": np.ones(1, np.longdouble)})


# --- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_draft(call, path, monkeypatch):
    mg.save(path, {"a": np.ones(3)})

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            mg.save(path, {"a": np.zeros(3)})
    assert os.listdir(path.parent) == [path.name]
    np.testing.assert_array_equal(mg.load(path)["a"], np.ones(3))


def test_the_new_file_appears_only_when_it_is_whole(path, monkeypatch):
    mg.save(path, {"a": np.ones(3)})
    seen = []

    def look(draft, target):
        assert os.path.dirname(draft) == os.path.dirname(target)  # else a move is no rename
        seen.append((mg.load(target)["a"].tolist(), mg.load(draft)["a"].tolist()))
        rename(draft, target)

    rename = os.replace
    monkeypatch.setattr(os, "replace", look)
    mg.save(path, {"a": np.zeros(3)})
    assert seen == [([1, 1, 1], [0, 0, 0])]
    assert mg.load(path)["a"].tolist() == [0, 0, 0]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links are POSIX's here")
def test_permissions_that_a_file_has_stay(path, monkeypatch):
    mg.save(path, {"a": 1})
    path.chmod(0o606)
    mg.save(path, {"a": 2})
    assert stat.S_IMODE(path.stat().st_mode) == 0o606
    path.chmod(0o444)
    monkeypatch.setattr(files.os, "access", lambda *args: False)  # root may write to any file
    with pytest.raises(PermissionError, match="write-protected"):
        mg.save(path, {"a": 3})
    assert mg.load(path) == {"a": 2}


@pytest.mark.skipif(os.name != "posix", reason="permissions and links are POSIX's here")
def test_permissions_and_links_are_as_for_any_file(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    mask = os.umask(0o027)
    try:
        mg.save(link, {"a": np.ones(3)})
    finally:
        os.umask(mask)
    assert link.is_symlink() and path.is_file()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"save: the folder .*nowhere does not exist"):
        mg.save(tmp_path / "nowhere" / "a", {"a": 1})


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load: there is no file .*nothing"):
        mg.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="load: there is no file"):
        mg.load(tmp_path)


def test_a_file_cut_short_anywhere_is_told(path):
    mg.save(path, {"a": np.ones(30), "b": 1})
    content = path.read_bytes()
    for size in (9, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"state.safetensors is damaged; was it cut short\?"):
            mg.load(path)
    for size in (0, 5, 8):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"state.safetensors is no safetensors file"):
            mg.load(path)
    path.write_bytes(content + b"more")
    with pytest.raises(ValueError, match="is damaged"):
        mg.load(path)


class Trap:
    """What a hostile pickle looks like."""

    def __reduce__(self):
        return exit, ("a pickle was run",)


def test_foreign_files_are_told_and_not_run(path):
    with open(path, "wb") as file:
        pickle.dump({"a": Trap()}, file)
    with pytest.raises(ValueError, match=r"is a pickle or a zip file.*could run any code"):
        mg.load(path)
    with open(path, "wb") as file:
        np.savez(file, a=np.ones(3))
    with pytest.raises(ValueError, match="is a pickle or a zip file"):
        mg.load(path)
    path.write_text("just a text of no meaning")
    with pytest.raises(ValueError, match="is no safetensors file"):
        mg.load(path)


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F128"])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "with ml_dtypes"])
def test_dtypes_that_numpy_lacks_are_told(path, dtype, known):
    if known:  # JAX brings this library, which teaches NumPy the name
        pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: pip install ml_dtypes")
    size = {"BF16": 8, "F6_E2M3": 3}.get(dtype, 4)
    entry = {"dtype": dtype, "shape": [4], "data_offsets": [0, size]}
    header = json.dumps({"w": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    text = r"load: w in .* can't be read: NumPy lacks its dtype|dtype that can't be read"
    with pytest.raises(ValueError, match=text):
        mg.load(path)


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ("{", "is damaged: JSONDecodeError"),
        ('{"a": {"$array": "gone"}}', "is damaged: KeyError"),
        ("3", "is damaged: TypeError"),
        ("[" * 100_000, "is damaged: it is nested too deep"),
        ("[" * 400 + "]" * 400, "is damaged: "),
        ("9" * 5000, "is damaged: ValueError"),
    ],
)
def test_a_damaged_tree_is_told(tree, text, path):
    arrays = {"a": np.ones(1)}
    metadata = {"minigrad": tree, "minigrad.sha256": saving._digest(tree, arrays)}
    safetensors.save_file(arrays, path, metadata=metadata)
    with pytest.raises(ValueError, match=text):
        mg.load(path)


def test_content_that_was_changed_is_told(path):
    mg.save(path, {"a": np.ones(3), "epoch": 1})
    arrays = safetensors.load_file(path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    changed = [
        ({"a": np.zeros(3)}, metadata),
        ({**arrays, "b": np.ones(1)}, metadata),
        ({"a": arrays["a"].view("int64")}, metadata),
        ({"a": arrays["a"].reshape(3, 1)}, metadata),
        (arrays, {**metadata, "minigrad": metadata["minigrad"].replace("1", "2")}),
        *((arrays, {key: metadata[key]}) for key in metadata),
    ]
    for content, text in changed:
        safetensors.save_file(content, path, metadata=text)
        with pytest.raises(ValueError, match="is damaged"):
            mg.load(path)


def same(a, b):
    """Whether two loaded states are alike to the bit."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@given(data=st.data())
def test_damage_anywhere_is_told_or_makes_no_difference(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "state.safetensors"
    state = {"a": {"w": np.arange(5, dtype="float32")}, "flags": np.array([True]), "epoch": 3}
    mg.save(path, state)
    before, content = mg.load(path), path.read_bytes()
    for _ in range(40):
        path.write_bytes(damaged(content, data))
        try:
            after = mg.load(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:
            assert same(after, before)


def test_a_file_that_cannot_be_read_is_an_os_error(path, monkeypatch):
    mg.save(path, {"a": 1})

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        mg.load(path)


def test_without_safetensors_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for use in (lambda: mg.save(path, {"a": 1}), lambda: mg.load(path)):
        with pytest.raises(ImportError, match=r'safetensors; .* pip install -e "\.\[learn\]"'):
            use()
