"""Saving and loading state: nested dicts of arrays and numbers as one safetensors file.

The arrays lie in the file under their names, nested ones joined by dots, so that any reader of
safetensors finds them. The dicts, lists, numbers and strings around them are JSON in the file's
metadata, with a hash of everything. Such a file contains no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .engine.tensor import Tensor
from .utils.files import replace_file
from .utils.install import install_line

__all__ = ["load", "save"]

# In the metadata: the JSON, in which {_ARRAY: name} stands for an array, and the hash.
_KEY, _HASH = "minigrad", "minigrad.sha256"
_ARRAY = "$array"
_INTEGER_BITS = 8192  # Python reads no integers of more than 4300 digits from a text


def save(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a state dict to a file: completely, or not at all.

    Parameters
    ----------
    path : the file, in a folder that exists. An existing file is replaced at the end and keeps its
        permissions; if the path is a link, the file that it points to is replaced.
    state : a dict of arrays, tensors, numbers, strings, None, and dicts and lists of them, such
        as `model.state_dict()` or `{"model": ..., "optimizer": ..., "epoch": 3}`.

    Raises
    ------
    TypeError, ValueError : the state holds something else; the error says where.
    OSError : the file can't be written; an existing one is unchanged.
    ImportError : safetensors is missing; the error says how to install it.

    Examples
    --------
    >>> import tempfile, minigrad as mg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mg.save(f"{folder}/model.safetensors", {"w": mg.ones(2), "epoch": 3})
    ...     mg.load(f"{folder}/model.safetensors")
    {'w': array([1., 1.], dtype=float32), 'epoch': 3}
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"save: the path comes first, as in mg.save('model.safetensors', state); got "
            f"{type(path).__name__}{_hint(path)}"
        )
    content = as_bytes(state)
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"save: the folder {target.parent} does not exist")
    replace_file(target, content)


def as_bytes(state: Mapping[str, Any]) -> bytes:
    """What `save` writes to its file."""
    _, library = safetensors_or_error()
    if not isinstance(state, Mapping):
        raise TypeError(f"save: the state must be a dict; got {type(state).__name__}{_hint(state)}")
    arrays: dict[str, np.ndarray] = {}
    try:
        tree = json.dumps(_take_apart(state, "", arrays))
    except RecursionError as error:
        raise ValueError("save: the state is nested too deep, or holds itself") from error
    return _in_order(library.save(arrays, {_KEY: tree, _HASH: _digest(tree, arrays)}))


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the same state gives the same bytes."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the arrays begin at a multiple of eight
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(content)[start:]])


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save` wrote; arrays come back as NumPy arrays, tuples as lists.

    A safetensors file of another program gives a flat dict of its arrays.

    Raises
    ------
    FileNotFoundError : there is no such file.
    OSError : it can't be read.
    ValueError : it is no safetensors file, or damaged, or has arrays of a dtype that NumPy lacks.
    ImportError : safetensors is missing; the error says how to install it.

    >>> import os, tempfile, minigrad as mg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "state.safetensors")
    ...     mg.save(path, {"w": mg.ones(2), "epoch": 3})
    ...     mg.load(path)
    {'w': array([1., 1.], dtype=float32), 'epoch': 3}
    """
    safetensors, _ = safetensors_or_error()
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"load takes the path of a file; got {type(path).__name__} {path!r:.40}")
    name = os.fspath(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    if not stat.S_ISREG(mode):
        raise FileNotFoundError(f"load: there is no file {name}")
    with open(path, "rb") as file:  # what can't be read is an OSError that says why
        start = file.read(9)
    arrays = {}
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            for array in file.keys():  # noqa: SIM118 - older releases can't be iterated over
                arrays[array] = _readable(file, array)
    except safetensors.SafetensorError as error:
        raise ValueError(f"load: {name} {_diagnosis(start, str(error))}") from error
    except _NotNumPys as error:
        raise ValueError(f"load: {array} in {name} can't be read: {error}") from error
    if not metadata.keys() & {_KEY, _HASH}:
        return arrays
    try:
        if metadata[_HASH] != _digest(metadata[_KEY], arrays):
            raise ValueError("its content is not what was written")
        return dict(_put_together(json.loads(metadata[_KEY]), arrays))
    except RecursionError as error:
        raise ValueError(f"load: {name} is damaged: it is nested too deep") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"load: {name} is damaged: {_short(repr(error))}") from error


class _NotNumPys(TypeError):
    """An array's dtype is one that NumPy itself lacks; the text says which."""


def _readable(file: Any, name: str) -> np.ndarray:
    """An array of an open file, if NumPy itself has its dtype."""
    try:
        found = file.get_tensor(name)
    except (TypeError, AttributeError) as error:  # no bfloat16, no float8
        raise _NotNumPys(f"NumPy lacks its dtype ({error})") from error
    if found.dtype.kind not in "fiubc":  # ml_dtypes has been imported
        raise _NotNumPys(f"NumPy lacks its dtype ({found.dtype})")
    return found


def safetensors_or_error() -> tuple[Any, Any]:
    """The modules safetensors and safetensors.numpy; ImportError says how to install them."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f"mg.save and mg.load need safetensors; {install_line('learn')}"
        ) from error
    return safetensors, safetensors.numpy


def _diagnosis(start: bytes, said: str) -> str:
    """What is wrong with a file of these first nine bytes, of which safetensors said this."""
    if "Dtype not understood" in said or "unknown variant" in said:
        return f"has arrays of a dtype that can't be read ({_short(said)})"
    if start[8:] == b"{":  # eight bytes of length, then JSON
        return f"is damaged; was it cut short? ({_short(said)})"
    if len(start) == 9 and (start[:4] == b"PK\x03\x04" or start[:1] == b"\x80"):
        return (
            "is a pickle or a zip file, as torch.save and np.savez write them, and no safetensors "
            "file; loading a pickle could run any code, so minigrad doesn't"
        )
    return "is no safetensors file"


def _digest(tree: str, arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of a state's JSON and arrays, in hexadecimal."""
    digest = hashlib.sha256(tree.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\0{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.size:
            digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()


def _short(error: object) -> str:
    """What is said of a damaged file, without most of its content."""
    text = str(error)
    return text if len(text) <= 200 else f"{text[:200]}..."


# --- nested state as a flat dict of arrays and a tree of JSON --------------------------------


def _take_apart(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """The JSON tree of `value`, found at `path` in the state; its arrays go into `arrays`."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub" or value.itemsize > 8:
            raise TypeError(f"save: {path} is an array of {value.dtype}, which files don't hold")
        if path in arrays or path == "__metadata__":
            raise ValueError(f"save: the name {path} is taken already; rename an entry")
        if not _is_text(path):
            raise ValueError(f"save: the name {path!r} is no text that a file can hold")
        arrays[path] = np.asarray(value, order="C")  # safetensors takes the memory as it lies
        return {_ARRAY: path}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and abs(value) >> _INTEGER_BITS:
        raise ValueError(f"save: {path} is an integer of more than {_INTEGER_BITS} bits")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == _ARRAY:
                raise TypeError(f"save: keys are strings; {path or 'the state'} has {key!r}")
        return {key: _take_apart(part, _join(path, key), arrays) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_apart(part, _join(path, i), arrays) for i, part in enumerate(value)]
    raise TypeError(
        f"save: {path} is {type(value).__name__}; a file holds arrays, numbers, strings, None, and "
        f"dicts and lists of them{_hint(value)}"
    )


def _put_together(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The value that `_take_apart` made this tree of."""
    if isinstance(tree, dict):
        if _ARRAY in tree:
            return arrays[tree[_ARRAY]]
        return {key: _put_together(part, arrays) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_put_together(part, arrays) for part in tree]
    return tree


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _join(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)


def _hint(value: Any) -> str:
    return ". Save its state_dict()" if hasattr(value, "state_dict") else ""
