"""Exercises: files with blanks, what checks them, and how a reader's file is run."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .compare import Mistake

__all__ = ["EXERCISES", "Exercise", "Student", "check", "exercise"]

BLANKS = Path(__file__).parent / "blanks"


@dataclass(frozen=True)
class Exercise:
    """One exercise: its name, the chapter that it belongs to, its task in a line, its check."""

    name: str
    chapter: int
    title: str
    checker: Callable[[Student], None]

    @property
    def blank(self) -> str:
        """The file with blanks."""
        path = BLANKS / f"{self.name.replace('-', '_')}.py"
        return path.read_text(encoding="utf-8")


EXERCISES: dict[str, Exercise] = {}


def exercise(name: str, chapter: int, title: str) -> Callable[[Callable[[Student], None]], Any]:
    """Declare a function of a `Student` as the check of an exercise."""

    def declare(checker: Callable[[Student], None]) -> Callable[[Student], None]:
        EXERCISES[name] = Exercise(name, chapter, title, checker)
        return checker

    return declare


class Student:
    """What a reader has written: the functions of a file, called with care.

    Raises Mistake if the file can't be run.
    """

    def __init__(self, path: Path, source: str | None = None) -> None:
        self.path = path
        self.names: dict[str, Any] = {"__name__": "exercise", "__file__": str(path)}
        try:
            source = path.read_text(encoding="utf-8") if source is None else source
            exec(compile(source, str(path), "exec"), self.names)
        except OSError as error:
            raise Mistake(f"{path} can't be read: {error.strerror or error}") from error
        except (Exception, SystemExit) as error:
            raise Mistake(f"{path} can't be run: {_line_of(error, path)}{_said(error)}") from error

    def __call__(self, name: str, *given: Any) -> Any:
        """What a function of the file returns. Raises Mistake if it isn't there, or fails.

        It gets copies, so that nothing it does to them changes what it is compared with.
        """
        function = self.names.get(name)
        if not callable(function):
            raise Mistake(f"{self.path} has no function {name}; leave its name as it was")
        try:
            result = function(*map(_copied, given))
        except NotImplementedError as error:
            line = _line_of(error, self.path)
            raise Mistake(f"{name} has a blank left: {line}{error}".rstrip(": ")) from error
        except (Exception, SystemExit) as error:
            line = _line_of(error, self.path)
            raise Mistake(f"{name} fails: {line}{_said(error)}") from error
        if result is None or result is ...:
            raise Mistake(f"{name} returns nothing: does it end with return?")
        return result

    def parts(self, name: str, count: int, *given: Any) -> tuple[Any, ...]:
        """As a call, for a function that returns a tuple of so many parts."""
        result = self(name, *given)
        if not isinstance(result, (tuple, list)) or len(result) != count:
            what = f"{len(result)} parts" if isinstance(result, (tuple, list)) else "one thing"
            raise Mistake(f"{name} must return {count} parts; it returns {what}")
        return tuple(result)

    def named(self, name: str, keys: list[str], *given: Any) -> dict[str, Any]:
        """As a call, for a function that returns a dict with these keys."""
        result = self(name, *given)
        if not isinstance(result, dict):
            raise Mistake(f"{name} must return a dict with {', '.join(keys)}")
        missing = [key for key in keys if key not in result]
        if missing:
            raise Mistake(f"{name} returns a dict without {', '.join(missing)}")
        return result


def check(name: str, path: Path, source: str | None = None) -> None:
    """Check a reader's file against an exercise.

    Raises Mistake, with the first thing that is wrong; KeyError for an exercise that there is not.
    """
    EXERCISES[name].checker(Student(path, source))


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _line_of(error: BaseException, path: Path) -> str:
    """Where in the file it happened: its line, with the number."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: "
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"line {frames[-1].lineno}, `{frames[-1].line}`: " if frames else ""


def blanks_of(source: str) -> int:
    """How many blanks a file has left.

    >>> blanks_of("x = blank('a')  # or\\ny = blank('b')")
    2
    """
    return source.count("blank(") - source.count("def blank(")
