"""Arguments of commands: a folder with a trained model, a text, `module:name`."""

import importlib
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from minigrad.utils.files import replace_file

from ..training.text import tokenize

Command = TypeVar("Command", bound=Callable[..., Any])


class Folder(click.Path):
    """A folder that `minigrad train` has written a model to; an error names `task` to train one."""

    def __init__(self, task: str = "reviews") -> None:
        super().__init__()
        self._task = task

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path of a folder that is there."""
        if not str(value).strip():
            self.fail("the name of a folder can't be empty", param, ctx)
        _refuse_no_path(self, value, param, ctx)
        if os.path.lexists(value) and not os.path.isdir(value):
            self.fail(
                f"{value} is no folder; name one that minigrad train has written a model to",
                param,
                ctx,
            )
        if not os.path.isdir(value):
            self.fail(
                f"there is no folder {value}; to train a model and save it there: "
                f"minigrad train {self._task} --out {shlex.quote(str(value))}",
                param,
                ctx,
            )
        return Path(value)


class OldFile(click.Path):
    """A file that exists and that the command reads."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, readable=True)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path of the file."""
        if not str(value).strip():
            self.fail("the name of a file can't be empty", param, ctx)
        _refuse_no_path(self, value, param, ctx)
        return Path(str(super().convert(value, param, ctx)))


class NewFolder(click.Path):
    """A folder that the command writes to at its end."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path, which isn't empty."""
        if not str(value).strip():
            self.fail("the name of a folder can't be empty", param, ctx)
        _refuse_no_path(self, value, param, ctx)
        return Path(str(super().convert(value, param, ctx)))


class NewFile(click.Path):
    """A file that the command writes at its end; it checks at the start whether that is possible.

    An existing file is replaced. `suffix` is the required ending of its name, if any.
    """

    def __init__(self, suffix: str = "") -> None:
        super().__init__(dir_okay=False, writable=True)
        self._suffix = suffix

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path, in a folder that exists and can be written to."""
        if not str(value).strip():
            self.fail("the name of a file can't be empty", param, ctx)
        _refuse_no_path(self, value, param, ctx)
        path = Path(str(super().convert(value, param, ctx)))
        if self._suffix and path.suffix.lower() != self._suffix:
            better = path.with_suffix(self._suffix)
            self.fail(f"the file will be {self._suffix[1:].upper()}; name it {better}", param, ctx)
        parent = Path(os.path.realpath(path)).parent
        if not parent.is_dir():
            self.fail(f"there is no folder {path.parent}", param, ctx)
        if (path.is_file() or not path.exists()) and not os.access(parent, os.W_OK | os.X_OK):
            self.fail(f"nothing can be written to the folder {path.parent}", param, ctx)
        return path


def write(path: Path, content: str | bytes) -> None:
    """Write a text or bytes to a `NewFile`: completely, or not at all."""
    try:
        replace_file(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise click.ClickException(f"{path} can't be written: {error.strerror or error}") from error


def refuse_equal(**paths: Path | None) -> None:
    """Raise if two options name the same file, as one of them would be lost."""
    seen: dict[str, str] = {}
    for option, path in paths.items():
        if path is None:
            continue
        other = seen.setdefault(os.path.realpath(path), option)
        if other != option and not path.is_char_device():
            raise click.UsageError(f"--{other} and --{option} are the same file, {path}")


def _refuse_no_path(kind: click.Path, value: Any, param: Any, ctx: Any) -> None:
    """Refuse what the system takes for no path at all."""
    try:
        if b"\0" not in os.fsencode(value):
            return
    except UnicodeEncodeError:
        pass
    kind.fail(f"{value!r} is no path: it has a character that paths can't have", param, ctx)


class Finite(click.FloatRange):
    """A number in a range, and neither inf nor nan."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class Names(click.ParamType):
    """Some of several names, each once, with commas between them: a tuple."""

    name = "names"

    def __init__(self, names: Iterable[str]) -> None:
        self._one = click.Choice([*names])

    def get_metavar(self, param: Any, ctx: Any = None) -> str:
        """As `--help` shows it."""
        return f"[{'|'.join(self._one.choices)}][,...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """The names."""
        if isinstance(value, tuple):
            return value
        found = [self._one.convert(part.strip(), param, ctx) for part in str(value).split(",")]
        if len(set(found)) < len(found):
            self.fail(f"{value} has a name twice", param, ctx)
        return tuple(found)


def _with_words(ctx: Any, param: Any, text: str) -> str:
    if not tokenize(text):
        raise click.BadParameter(f"there are no words in {text!r}")
    return text


def folder_of(task: str) -> Callable[[Command], Command]:
    """The argument DIR, as `folder`: where `minigrad train TASK` has written a model to."""
    return click.argument("folder", metavar="DIR", type=Folder(task))


def folder_and_text(command: Command) -> Command:
    """Give a command the arguments DIR and TEXT, as `folder` and `text`."""
    for argument in (
        click.argument("text", callback=_with_words),
        folder_of("reviews"),
    ):
        command = argument(command)
    return command


def named(target: str) -> Any:
    """What `package.module:name` stands for, in an installed package or the current folder."""
    path, _, name = target.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does
    try:
        return getattr(importlib.import_module(path), name)
    except (Exception, SystemExit) as error:  # an import that ends the program checks nothing
        absent = isinstance(error, ModuleNotFoundError) and path.startswith(error.name or " ")
        if absent or isinstance(error, (AttributeError, ValueError)):
            said = f"{target} can't be found: {error}"
        else:  # the module is there, and can't be run
            said = f"{path} can't be imported: {type(error).__name__}: {error}"
        raise click.BadParameter(said, param_hint="TARGET") from error
