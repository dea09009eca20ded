"""What commands are given: a folder with a trained model, a text, something of the user's own."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..tasks.reviews import tokenize

Command = TypeVar("Command", bound=Callable[..., Any])


class _Folder(click.Path):
    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not Path(value).is_dir():
            self.fail(
                f"there is no folder {value}; this trains a model and keeps it there: "
                f"minigrad train reviews --out {value}",
                param,
                ctx,
            )
        return Path(value)


class NewFile(click.Path):
    """A file to be written in the end; whether that can be is seen before the work begins."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path, in a folder that exists."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"there is no folder {path.parent}", param, ctx)
        return path


def _with_words(ctx: Any, param: Any, text: str) -> str:
    if not tokenize(text):
        raise click.BadParameter(f"there are no words in {text!r}")
    return text


def folder_and_text(command: Command) -> Command:
    """Give a command the arguments DIR and TEXT, as `folder` and `text`."""
    for argument in (
        click.argument("text", callback=_with_words),
        click.argument("folder", metavar="DIR", type=_Folder()),
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
    except Exception as error:
        absent = isinstance(error, ModuleNotFoundError) and path.startswith(error.name or " ")
        if absent or isinstance(error, (AttributeError, ValueError)):
            said = f"{target} can't be found: {error}"
        else:  # the module is there, and can't be run
            said = f"{path} can't be imported: {type(error).__name__}: {error}"
        raise click.BadParameter(said, param_hint="TARGET") from error
