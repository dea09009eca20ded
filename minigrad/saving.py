"""Saving and loading state: nested dicts of arrays and numbers as one safetensors file.

The arrays lie in the file under their names, nested ones joined by dots, so that any reader of
safetensors finds them. What the arrays hang on (the dicts, lists, numbers and strings) is JSON
in the file's metadata. Nothing in such a file can run.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .install import install_line
from .tensor import Tensor

__all__ = ["load", "save"]

_KEY = "minigrad"  # of the JSON in the metadata, in which {_ARRAY: name} stands for an array
_ARRAY = "$array"


def save(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a state dict to a file, wholly or not at all.

    Parameters
    ----------
    path : the file, in a folder that exists; one that is there is replaced, at the end.
    state : a dict of arrays, tensors, numbers, strings, None, and dicts and lists of them, such
        as `model.state_dict()` or `{"model": ..., "optimizer": ..., "epoch": 3}`.

    Raises
    ------
    TypeError, ValueError : the state holds something else; the error says where.
    OSError : the file can't be written; one that was there is as it was.
    ImportError : safetensors is missing; the error says how to install it.

    Examples
    --------
    >>> import tempfile, minigrad as mg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mg.save(f"{folder}/model.safetensors", {"w": mg.ones(2), "epoch": 3})
    ...     mg.load(f"{folder}/model.safetensors")
    {'w': array([1., 1.], dtype=float32), 'epoch': 3}
    """
    _, library = _library()
    if not isinstance(state, Mapping):
        raise TypeError(f"save: the state must be a dict; got {type(state).__name__}{_hint(state)}")
    arrays: dict[str, np.ndarray] = {}
    tree = _take_apart(state, "", arrays)
    content = library.save(arrays, {_KEY: json.dumps(tree)})
    target = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
    if not target.parent.is_dir():
        raise FileNotFoundError(f"save: the folder {target.parent} does not exist")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(draft, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a crash could leave the new name with old bytes
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save` wrote; arrays come back as NumPy arrays, tuples as lists.

    A safetensors file of another program gives a flat dict of its arrays.

    Raises
    ------
    FileNotFoundError : there is no such file.
    ValueError : it is no safetensors file, or damaged; nothing in it was run.
    ImportError : safetensors is missing; the error says how to install it.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "state.safetensors")
    ...     mg.save(path, {"w": mg.ones(2), "epoch": 3})
    ...     mg.load(path)
    {'w': array([1., 1.], dtype=float32), 'epoch': 3}
    """
    safetensors, _ = _library()
    if not os.path.isfile(path):
        raise FileNotFoundError(f"load: there is no file {os.fspath(path)}")
    arrays = {}
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            names = file.keys()
            for name in names:
                arrays[name] = file.get_tensor(name)
                if arrays[name].dtype.kind not in "fiubc":  # ml_dtypes has been imported
                    raise TypeError(f"NumPy itself has no {arrays[name].dtype}")
    except safetensors.SafetensorError as error:
        raise ValueError(f"load: {os.fspath(path)} {_diagnosis(path)} ({error})") from error
    except TypeError as error:  # NumPy knows no bfloat16 or float8
        raise ValueError(f"load: {name} in {os.fspath(path)} can't be read: {error}") from error
    if _KEY not in metadata:
        return arrays
    try:
        return dict(_put_together(json.loads(metadata[_KEY]), arrays))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"load: {os.fspath(path)} is damaged: {error!r}") from error


def _library() -> tuple[Any, Any]:
    """safetensors, and its side for NumPy arrays."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f"mg.save and mg.load need safetensors; {install_line('learn')}"
        ) from error
    return safetensors, safetensors.numpy


def _diagnosis(path: str | os.PathLike[str]) -> str:
    """What is wrong with a file that safetensors refused."""
    with open(path, "rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # eight bytes of length, then JSON
        return "is damaged; was it cut short?"
    if len(start) == 9 and (start[:4] == b"PK\x03\x04" or start[:1] == b"\x80"):
        return (
            "is a pickle or a zip file, as torch.save and np.savez write them, and no safetensors "
            "file; loading a pickle could run any code, so minigrad doesn't"
        )
    return "is no safetensors file"


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
        arrays[path] = np.asarray(value, order="C")  # safetensors takes the memory as it lies
        return {_ARRAY: path}
    if isinstance(value, np.generic):
        value = value.item()
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


def _join(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)


def _hint(value: Any) -> str:
    return ". Save its state_dict()" if hasattr(value, "state_dict") else ""
