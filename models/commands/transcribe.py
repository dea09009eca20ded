"""`minigrad transcribe`."""

from pathlib import Path

import click

from ..speech.espeak import RATE, SpeechError
from ..speech.sound_files import read_wav
from ..tasks.registry import load_run
from ..tasks.speech import Speech, in_a_line
from ..training.loop import quiet
from .arguments import OldFile, folder_of

LONGEST = 60  # seconds


@click.command()
@folder_of(Speech.name)
@click.argument("file", metavar="FILE.wav", type=OldFile())
def transcribe(folder: Path, file: Path) -> None:
    """Print the digits that are spoken in a WAV file.

    DIR is a folder that `minigrad train speech` has written a model to. The file may have any rate,
    and one channel or several. Below the digits is when the model hears them, from the beginning
    of the file to its end, a dot for no digit. It has learned from synthetic English voices,
    strings of one to five digits.

    \b
    Example:
      minigrad transcribe speech-lstm digits.wav
    """
    run = load_run(folder, Speech)
    samples = read_wav(file, RATE)
    seconds = len(samples) / RATE
    if seconds > LONGEST:
        raise SpeechError(f"{file} lasts {seconds:.0f} seconds; {LONGEST} at most are transcribed")
    with quiet():
        digits, steps = run.task.listen(run.model, run.task.hear(samples))
    click.echo(digits or "(no digit)")
    click.echo(in_a_line(steps))
