"""`minigrad convert FILE [OUT]`."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import minigrad as mg

from .arguments import NewFile, OldFile, refuse_equal, write

if TYPE_CHECKING:
    from ..convert import Certificate

TORCH = (".pt", ".pth", ".bin", ".ckpt")
KINDS = (".safetensors", *TORCH, ".keras")
EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2}


def _kind(ctx: Any, param: Any, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in KINDS:
        raise click.BadParameter(
            f"a file ends in .safetensors, .pt (PyTorch) or .keras; got {path.name!r}"
        )
    return path


def _settings(ctx: Any, param: Any, texts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Options by part, from texts like encoder.batch_first=true."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        part, _, option = name.strip().rpartition(".")
        if not equals or not option.isidentifier():
            raise click.BadParameter(
                f"it is an option and its value, as batch_first=true or words.layer=Embedding; got "
                f"{text!r}"
            )
        found.setdefault(part, {})[option] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    """JSON's true, false, null and numbers; anything else is a text."""
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false", "none") else text)
    except (ValueError, RecursionError):
        return None if text.lower() == "none" else text


@click.command()
@click.argument("file", type=OldFile(), callback=_kind)
@click.argument("out", type=NewFile(), required=False, callback=_kind)
@click.option(
    "--set",
    "settings",
    metavar="[PART.]OPTION=VALUE",
    multiple=True,
    callback=_settings,
    help="What a bare state dict doesn't say, for all layers or for one.",
)
@click.option(
    "--inference", is_flag=True, help="Of Keras's layers, leave out what acts in training only."
)
@click.option("--json", "path", type=NewFile(), help="Also write the certificates to this file.")
def convert(
    file: Path,
    out: Path | None,
    settings: dict[str, dict[str, Any]],
    inference: bool,
    path: Path | None,
) -> None:
    """Convert a model's file, and compare what it computes.

    The outputs and all gradients of both models are compared, on random inputs.

    FILE is one of

    \b
    model.safetensors   written by minigrad, or a state dict that PyTorch's users wrote
    model.pt            a state dict of PyTorch, which PyTorch must read
    model.keras         a layer or Sequential of Keras 3, which Keras must read

    and OUT, which is replaced if it exists, another one. Without OUT, the model is shown and
    compared. Keras runs on PyTorch, unless KERAS_BACKEND says else.

    Exits with 0 if all is equal, 1 if something differs (then OUT isn't written) or can't be
    converted, 2 if it could not be compared, or for wrong use.

    \b
    Examples:
      minigrad convert weights.safetensors --set batch_first=true
      minigrad convert weights.pt model.safetensors --set batch_first=true
      minigrad convert words.safetensors --set words.layer=Embedding
      minigrad convert model.keras model.safetensors --inference
      minigrad convert model.safetensors model.pt
    """
    from ..convert import ConversionError

    refuse_equal(out=out, json=path)
    for other in (out, path):
        if other is not None and os.path.realpath(other) == os.path.realpath(file):
            raise click.UsageError(f"{other} is the file that is read")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        module, theirs = _read(file, settings, inference)
        click.echo(module)
        count = sum(parameter.size for parameter in module.parameters())
        dtypes = sorted({str(parameter.dtype) for parameter in module.parameters()})
        click.echo(f"{count:,} parameters of {' and '.join(dtypes) or 'no dtype'}")
        certificates = _certificates(module, theirs, out)
        verdict = _worst([certificate.verdict for certificate in certificates])
        if out is not None and verdict != "FAIL":
            _write(module, out)
            click.echo(f"written: {out}")
    except ConversionError as error:
        raise click.ClickException(f"{error}{_hint(error.part, error.reason)}") from error
    except (ImportError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if path is not None:
        found = [certificate.to_dict() for certificate in certificates]
        write(path, json.dumps({"verdict": verdict, "certificates": found}, indent=1) + "\n")
    raise SystemExit(EXIT[verdict])


def _read(file: Path, settings: dict[str, dict[str, Any]], inference: bool) -> tuple[Any, Any]:
    """The module in a file, and what it is compared with: None if minigrad wrote it."""
    from ..convert import from_keras, from_pytorch, load_module
    from ..convert.files import KEY
    from ..convert.keras import keras_or_error

    suffix = file.suffix.lower()
    if suffix == ".keras":
        if settings:
            raise click.UsageError("--set is for a state dict; a file of Keras says all itself")
        keras = keras_or_error("minigrad convert")
        try:
            theirs = keras.saving.load_model(file, compile=False)
        except (ValueError, TypeError) as error:
            raise click.ClickException(f"Keras can't read {file}: {error}") from error
        return from_keras(theirs, inference=inference), theirs
    if inference:
        raise click.UsageError("--inference is for files of Keras")
    shared = settings.pop("", {})
    if suffix in TORCH:
        from ..convert.pytorch import state_in

        state: Any = state_in(file)
    else:
        state = mg.load(file)
        if KEY in state:
            if shared or settings:
                raise click.UsageError("--set is for a state dict; this file says all itself")
            return load_module(file), None
    try:
        return from_pytorch(state, settings, **shared), state
    except TypeError as error:  # options that no layer takes
        raise click.UsageError(str(error)) from error


def _hint(part: str, reason: str) -> str:
    """How an argument of Python's is given to the command."""
    if "inference=True" in reason:
        return " (here: --inference)"
    if "layers={" in reason or "give it, by name" in reason:
        return f" (here: --set {f'{part}.' if part else ''}OPTION=VALUE)"
    return ""


def _certificates(module: Any, theirs: Any, out: Path | None) -> list[Certificate]:
    """Compare, and print the results."""
    from ..convert import ConversionError, check

    peers = [] if theirs is None else [theirs]
    if out is not None and out.suffix.lower() != ".safetensors":
        target = "pytorch" if out.suffix.lower() in TORCH else "keras"
        if theirs is None or (target == "pytorch") != isinstance(theirs, Mapping):
            peers.append(target)  # else it is compared with that already
    found: list[Certificate] = []
    for peer in peers or ["pytorch"]:
        try:
            found.append(check(module, peer))
        except ConversionError as error:
            if peers:
                raise
            click.echo(f"not compared with PyTorch: {error}")
            return found
        except ValueError as error:
            raise click.ClickException(f"it can't be compared: {error}") from error
        click.echo(found[-1])
    return found


def _worst(verdicts: list[str]) -> str:
    return max(verdicts, key=["PASS", "INCONCLUSIVE", "FAIL"].index, default="PASS")


def _write(module: Any, out: Path) -> None:
    from ..convert import save_module, to_keras, to_pytorch

    if out.suffix.lower() == ".safetensors":
        save_module(out, module)
    elif out.suffix.lower() in TORCH:
        import torch

        content = io.BytesIO()
        torch.save(to_pytorch(module).state_dict(), content)
        write(out, content.getvalue())
    else:
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder, "model.keras")
            to_keras(module).save(draft)
            write(out, draft.read_bytes())
