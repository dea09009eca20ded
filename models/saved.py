"""Runs on disk: a folder with a trained model, its vocabulary, and the figures of its training."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minigrad as mg

from .classifier import SequenceClassifier
from .tasks.reviews import Vocabulary
from .train import Run

__all__ = ["SavedRunError", "load_run", "prepare", "save_run"]

MODEL, WORDS, METRICS = "model.safetensors", "vocabulary.json", "metrics.json"


class SavedRunError(Exception):
    """A folder holds no run, or a damaged one; the text says what is wrong and what to do."""


def prepare(folder: str | os.PathLike[str]) -> None:
    """Make a folder for a run, if need be, and see that it can be written to.

    Raises SavedRunError if not: better before a long training than after it.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        probe = Path(folder, f".{secrets.token_hex(4)}.tmp")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SavedRunError(f"nothing can be written to {folder}: {error.strerror}") from error


def save_run(folder: str | os.PathLike[str], run: Run) -> None:
    """Write a run to a folder that `prepare` has seen; one that is there is replaced.

    Each file is written wholly or not at all, and the metrics last: a folder that has them has
    all the rest.
    """
    Path(folder, METRICS).unlink(missing_ok=True)
    mg.save(Path(folder, MODEL), run.model.state_dict())
    _write(Path(folder, WORDS), run.vocabulary.to_json())
    _write(Path(folder, METRICS), json.dumps(run.metrics, indent=2))


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        draft.write_text(text + "\n", encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Read what `save_run` wrote; the model is in evaluation mode.

    Raises SavedRunError if a file is missing or damaged, or if they don't belong together.
    """
    folder = Path(folder)
    missing = [name for name in (METRICS, MODEL, WORDS) if not (folder / name).is_file()]
    if missing:
        raise SavedRunError(
            f"{folder} holds no trained model: {', '.join(missing)} missing. "
            f"This makes one there: minigrad train reviews --out {folder}"
        )
    metrics = _parsed(folder / METRICS, _metrics)
    vocabulary = _parsed(folder / WORDS, Vocabulary.from_json)
    try:
        state = mg.load(folder / MODEL)
    except ValueError as error:
        raise SavedRunError(str(error).removeprefix("load: ")) from error
    try:
        model = SequenceClassifier(
            metrics["cell"], len(vocabulary), metrics["embedding"], metrics["hidden"]
        )
        model.load_state_dict(state)
    except (ValueError, TypeError) as error:
        raise SavedRunError(f"the files in {folder} don't belong together: {error}") from error
    return Run(model.eval(), vocabulary, metrics)


def _parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SavedRunError(f"{path} is damaged: {error}") from error


def _metrics(text: str) -> dict[str, Any]:
    metrics = json.loads(text)
    wanted = ("cell", "embedding", "hidden")
    if not isinstance(metrics, dict) or not metrics.keys() >= {*wanted}:
        raise ValueError(f"it must be a JSON object with {', '.join(wanted)}")
    return metrics
