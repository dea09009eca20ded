"""The commands, one file each.

A new command is a file here and a name at the end of this file. Rich and safetensors are
imported when a command needs them, so that `minigrad --help` is quick.
"""

from typing import Any

import click

import minigrad
from minigrad.utils.settings import SettingError

from ..speech.espeak import SpeechError
from ..tasks.packages import DataError
from ..training.run_folder import SavedRunError
from .bench import bench
from .convert import convert
from .demo import demo
from .doctor import doctor
from .exercise import exercise
from .explain import explain
from .export import export
from .gpu_report import gpu_report
from .gradcheck import gradcheck
from .guide import guide
from .mutate import mutate
from .predict import predict
from .sample import sample
from .say import say
from .stopping import exit_code
from .train import train
from .transcribe import transcribe

_EXPECTED = (
    *(DataError, SavedRunError, SpeechError, minigrad.BackendError, SettingError),
    *(FloatingPointError, OSError),
)


class _Group(click.Group):
    """Shows expected errors as one line, and exits with 1, or 130 for Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `minigrad ... | head`: click ends without a word
        except _EXPECTED as error:
            raise click.ClickException(str(error)) from error
        except MemoryError as error:
            raise click.ClickException(f"there is not enough memory: {error}") from error
        except KeyboardInterrupt as error:
            click.echo("stopped", err=True)
            raise SystemExit(exit_code(error)) from error


@click.group(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(minigrad.__version__, message="minigrad %(version)s")
def main() -> None:
    """Train small recurrent networks on real data, compare them, and see what they go by.

    \b
    Examples:
      minigrad demo
      minigrad train reviews --cell gru --out my-gru
      minigrad explain my-gru "A funny and moving film, beautifully acted."
      minigrad train digits --cell rnn,lstm,gru --seeds 3

    Exit codes: 0 fine, 1 failed, 2 wrong use, 130 stopped by Ctrl-C.
    """


_MODELS = (demo, train, predict, explain, convert, export, sample, say, transcribe)
_LEARN = (guide, exercise)
for command in (*_MODELS, *_LEARN, doctor, gradcheck, mutate, bench, gpu_report):
    main.add_command(command)
