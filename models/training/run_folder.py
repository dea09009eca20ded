"""Runs on disk: folders with a trained model, what its task needs besides, and its figures.

A folder is a run if it has a `metrics.json`. This holds the figures, and names the files of the
weights and of the task's extras with their sizes and hashes, which are part of those files' names.
So a new run is written beside the old one, and replaces it in the moment in which `metrics.json` is
replaced. A process that is killed at any time leaves the old run or the new one.

The folder may also hold a checkpoint, from which an unfinished training goes on: see
`checkpoint.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.saving import as_bytes, safetensors_or_error
from minigrad.utils.files import is_draft, locked_folder, remove_drafts, replace_file

from .task import Task

__all__ = ["CHECKPOINT", "METRICS", "Run", "SavedRunError", "load_run", "prepare", "save_run"]

METRICS = "metrics.json"
CHECKPOINT = "checkpoint.safetensors"
_CONTENT = re.compile(r"(model-[0-9a-f]{16}\.safetensors|extras-[0-9a-f]{16}\.json)")
_SEAL = ("files", "sha256")  # of METRICS: what it has besides the figures
LARGEST = 2**26  # bytes of a METRICS that is read: some hundred thousand epochs


class Run(NamedTuple):
    """A trained model (a `Module`), its `Task`, and the figures of its training."""

    task: Any
    model: Any
    metrics: dict[str, Any]


class SavedRunError(Exception):
    """A folder holds no run, or a damaged one; the text says what is wrong and what to do."""


# --- before a training -----------------------------------------------------------------------


def prepare(folder: str | os.PathLike[str]) -> bool:
    """Check before a long training that a run can be written to a folder.

    Returns whether a run of minigrad is there already, which `save_run` replaces. Nothing is
    written.

    Raises SavedRunError if the folder can't be written to, if it holds anything else than a run,
    or if it is the current or the home folder.
    """
    safetensors_or_error()
    if not os.fspath(folder):
        raise SavedRunError("the folder for the run has an empty name; take one like reviews-lstm")
    try:
        target = Path(os.path.realpath(folder))
        for place, what in ((os.getcwd(), "the current folder"), (_home(), "the home folder")):
            if place is not None and target == Path(os.path.realpath(place)):
                raise SavedRunError(
                    f"a run has a folder of its own, and {folder} is {what}; name a new one, for "
                    f"example {Path(folder, 'reviews-lstm')}"
                )
        held = os.listdir(target) if target.is_dir() else []
        _probe(target)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SavedRunError(f"nothing can be written to {folder}: {why}") from error
    if METRICS in held and (_is_run(target / METRICS) or any(map(_CONTENT.fullmatch, held))):
        if not os.access(target / METRICS, os.W_OK):
            raise SavedRunError(f"the run in {folder} is write-protected, see {METRICS} there")
        return True
    strangers = sorted(name for name in held if not _is_ours(name))
    if strangers:
        named = ", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else "")
        raise SavedRunError(
            f"{folder} holds files that are no run of minigrad's ({named}); name a new folder, or "
            "one with an older run"
        )
    return False


def _is_ours(name: str) -> bool:
    return name == CHECKPOINT or is_draft(name) or _CONTENT.fullmatch(name) is not None


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # the system knows of none
        return None


def _probe(folder: Path) -> None:
    """Write a file to a folder, or to the nearest above it that exists; it is gone at once."""
    while not os.path.lexists(folder):
        folder = folder.parent
    tempfile.TemporaryFile(dir=folder).close()


def _is_run(path: Path) -> bool:
    """Whether minigrad has written these metrics, be they damaged since or not."""
    try:
        found = json.loads(_read(path, LARGEST))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= {"minigrad", "task", *_SEAL}


# --- writing ---------------------------------------------------------------------------------


def save_run(folder: str | os.PathLike[str], run: Run) -> None:
    """Write a run to a folder that `prepare` has checked; a run that is there is replaced.

    Until all of the new run is on the disk, the old one stays whole. Raises OSError if the new run
    can't be written; the old one is unchanged.
    """
    folder = Path(os.path.realpath(folder))
    folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder):  # of two trainings, the second waits
        remove_drafts(folder)
        weights = as_bytes(run.model.state_dict())
        extras = f"{json.dumps(run.task.extras(), ensure_ascii=False, indent=0)}\n".encode()
        files = {}
        for kind, ending, content in (
            ("model", "safetensors", weights),
            ("extras", "json", extras),
        ):
            digest = hashlib.sha256(content).hexdigest()
            name = f"{kind}-{digest[:16]}.{ending}"
            files[kind] = {"name": name, "bytes": len(content), "sha256": digest}
            replace_file(folder / name, content)
        replace_file(folder / METRICS, _sealed(run.metrics, files))
        in_use = {file["name"] for file in files.values()}
        for name in os.listdir(folder):
            if _CONTENT.fullmatch(name) and name not in in_use:
                (folder / name).unlink(missing_ok=True)


def _sealed(metrics: dict[str, Any], files: Any) -> bytes:
    """The content of METRICS: the figures, the files that belong to them, a hash of both."""
    whole = {**metrics, "files": files}
    digest = hashlib.sha256(json.dumps(whole, indent=2).encode()).hexdigest()
    return f"{json.dumps({**whole, 'sha256': digest}, indent=2)}\n".encode()


# --- reading ---------------------------------------------------------------------------------


def load_run(folder: str | os.PathLike[str], find: Callable[[str], type[Task]]) -> Run:
    """Read what `save_run` wrote; the model is in evaluation mode, and its task has no examples.

    `find` gives the class of a task by its name, or raises KeyError.

    Raises SavedRunError if a file is missing, damaged or can't be read, if the files don't belong
    together, if weights are NaN or infinite, if `find` knows no such task, or if a later release
    of minigrad wrote it.
    """
    folder = Path(folder)
    while True:
        sealed = _content(folder, METRICS, LARGEST)
        try:
            return _load(folder, sealed, find)
        except SavedRunError:
            if _content(folder, METRICS, LARGEST) == sealed:
                raise  # else it was replaced meanwhile, and is read again


def figures_of(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The figures of the run in a folder, without its model; raises SavedRunError as `load_run`."""
    folder = Path(folder)
    metrics, _ = _parsed(folder / METRICS, _content(folder, METRICS, LARGEST), _opened)
    return metrics


def _release(version: Any) -> tuple[int, ...]:
    """The numbers of a version such as 0.1.0."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _load(folder: Path, sealed: bytes, find: Callable[[str], type[Task]]) -> Run:
    metrics, files = _parsed(folder / METRICS, sealed, _opened)
    if _release(metrics["minigrad"]) > _release(mg.__version__):
        raise SavedRunError(
            f"the model in {folder} was written by minigrad {metrics['minigrad']}, and this is "
            f"{mg.__version__}: install that release to read it"
        )
    try:
        kind = find(metrics["task"])
    except KeyError as error:
        raise SavedRunError(
            f"the model in {folder} was trained for {metrics['task']!r:.40}: {error.args[0]}"
        ) from error
    extras = _parsed(
        folder / files["extras"]["name"], _checked(folder, files["extras"]), json.loads
    )
    _checked(folder, files["model"])
    state = _weights(folder, folder / files["model"]["name"])
    try:
        task = kind(kind.Settings(**metrics["settings"]))  # of allowed sizes: memory is bounded
        task.use(extras)
        model = task.model()
        model.load_state_dict(state)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SavedRunError(f"the files in {folder} don't belong together: {error}") from error
    return Run(task, model.eval(), metrics)


def _weights(folder: Path, path: Path) -> dict[str, np.ndarray]:
    """The weights in a file, all of them arrays of finite numbers."""
    try:
        state = mg.load(path)
    except (ValueError, OSError) as error:
        raise SavedRunError(str(error).removeprefix("load: ")) from error
    strange = [name for name, array in state.items() if not isinstance(array, np.ndarray)]
    if strange:
        raise SavedRunError(
            f"{path} is no model: {', '.join(strange)} is no array. {_anew(folder)}"
        )
    broken = [name for name, array in state.items() if not np.isfinite(array).all()]
    if broken:
        raise SavedRunError(
            f"the model in {folder} is broken: {', '.join(broken)} has weights that are no finite "
            f"numbers. {_anew(folder)}"
        )
    return state


def _checked(folder: Path, file: dict[str, Any]) -> bytes:
    """The content of one of a run's files, which is what was written."""
    content = _content(folder, file["name"], file["bytes"])
    if hashlib.sha256(content).hexdigest() != file["sha256"]:
        raise SavedRunError(
            f"{folder / file['name']} is damaged: it is not what was written. {_anew(folder)}"
        )
    return content


def _content(folder: Path, name: str, most: int) -> bytes:
    """The bytes of one of a run's files."""
    try:
        return _read(folder / name, most)
    except (FileNotFoundError, NotADirectoryError) as error:
        if name == METRICS and (folder / CHECKPOINT).is_file():
            raise SavedRunError(
                f"the training in {folder} is not finished, so there is no model yet; go on with "
                f"it by `minigrad train` with --out {shlex.quote(str(folder))} --resume"
            ) from error
        raise SavedRunError(
            f"{folder} holds no trained model: {name} missing. {_anew(folder, 'makes one there')}"
        ) from error
    except OSError as error:
        raise SavedRunError(f"{folder / name} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise SavedRunError(f"{folder / name} is damaged: {error}. {_anew(folder)}") from error


def _read(path: Path, most: int) -> bytes:
    """The bytes of a file of a size that is looked at first."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no file")
    if found.st_size > most:
        raise ValueError(f"it has {found.st_size:,} bytes, and at most {most:,} were expected")
    return path.read_bytes()


def _anew(folder: Path, what: str = "trains it anew") -> str:
    """The line that trains a model: in this folder, or beside it if this can't take a run."""
    task = _task_of(folder)
    if not _can_hold(folder):
        whole = Path(os.path.realpath(folder))
        beside = whole.parent / f"{whole.name}-new"
        folder, what = beside if _can_hold(beside) else Path(f"{task}-new"), "trains a new one"
    return f"This {what}: minigrad train {task} --out {shlex.quote(str(folder))}"


def _task_of(folder: Path) -> str:
    """The task of a run, as far as it can still be read; else the first one."""
    try:
        name = json.loads(_read(folder / METRICS, LARGEST))["task"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        name = ""
    return name if isinstance(name, str) and re.fullmatch(r"[a-z-]{1,40}", name) else "reviews"


def _can_hold(folder: Path) -> bool:
    try:
        prepare(folder)
    except SavedRunError:
        return False
    return True


def _parsed(path: Path, content: bytes, parse: Callable[[str], Any]) -> Any:
    if not content.strip():
        raise SavedRunError(f"{path} is damaged: it is empty. {_anew(path.parent)}")
    try:
        return parse(content.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise SavedRunError(
            f"{path} is damaged: line {error.lineno} is where it stops being JSON. "
            f"{_anew(path.parent)}"
        ) from error
    except RecursionError as error:
        raise SavedRunError(f"{path} is damaged: it is nested too deep") from error
    except ValueError as error:
        raise SavedRunError(f"{path} is damaged: {error}. {_anew(path.parent)}") from error


def _opened(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures in METRICS, and the files that belong to them, by kind."""
    found = json.loads(text)
    wanted = ("minigrad", "task", "settings")
    if not isinstance(found, dict) or not found.keys() >= {*wanted, *_SEAL}:
        raise ValueError(f"it must be a JSON object with {', '.join((*wanted, *_SEAL))}")
    metrics = {name: value for name, value in found.items() if name not in _SEAL}
    files = found["files"]
    if _sealed(metrics, files) != text.encode():
        raise ValueError("it is not what was written")
    for kind in ("model", "extras"):
        file = files.get(kind) if isinstance(files, dict) else None
        if (
            not isinstance(file, dict)
            or not (isinstance(file.get("name"), str) and _CONTENT.fullmatch(file["name"]))
            or not isinstance(file.get("bytes"), int)
        ):
            raise ValueError(f"it names no file of the {kind}")
    if not isinstance(metrics["minigrad"], str) or not _release(metrics["minigrad"]):
        raise ValueError(f"minigrad is a version such as 0.1.0; got {metrics['minigrad']!r:.40}")
    if not isinstance(metrics["settings"], dict):
        raise ValueError(f"settings is a JSON object; got {metrics['settings']!r:.40}")
    return metrics, files
