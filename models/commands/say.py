"""`minigrad say`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np

from ..speech import arpabet, espeak
from ..speech.sound_files import wav_bytes
from ..tasks.phonemes import Phonemes, words_of
from ..tasks.registry import load_run
from ..training.loop import quiet
from .arguments import NewFile, folder_of, write

_PLAYERS = (
    ["aplay", "-q"],
    ["paplay"],
    ["pw-play"],
    ["afplay"],
    ["ffplay", "-nodisp", "-autoexit"],
)


def _with_words(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> list[str]:
    words = words_of(" ".join(texts))
    if not words:
        raise click.BadParameter(f"there are no words in {' '.join(texts)!r}")
    return words


@click.command()
@folder_of(Phonemes.name)
@click.argument("words", metavar="WORD...", nargs=-1, required=True, callback=_with_words)
@click.option("--out", type=NewFile(".wav"), help="The WAV file to write, in place of playing it.")
@click.option("--voice", default="en-us", help="A language, alone or with a variant: en-us+f3.")
@click.option("--speed", type=click.IntRange(*espeak.SPEEDS), default=150, help="Words a minute.")
@click.option("--pitch", type=click.IntRange(*espeak.PITCHES), default=50, help="How high it is.")
def say(
    folder: Path, words: list[str], out: Path | None, voice: str, speed: int, pitch: int
) -> None:
    """Pronounce words: print their phonemes, and speak them.

    DIR is a folder that `minigrad train phonemes` has written a model to. The model reads letters
    alone, with no dictionary; espeak-ng (extra `speech`) makes its phonemes sound. Digits and signs
    in a text are passed over.

    \b
    Examples:
      minigrad say phonemes-lstm hello world
      minigrad say phonemes-lstm "Neural networks can speak." --voice en-us+f3 --out speech.wav
    """
    run = load_run(folder, Phonemes)
    with quiet():
        said = [run.task.spell_out(run.model, word) for word in words]
    for word, phonemes in zip(words, said, strict=True):
        click.echo(f"{word:14} {' '.join(phonemes)}")
    if not any(said):
        raise espeak.SpeechError(f"the model gives no phoneme for {' '.join(words)}")
    sound = espeak.synthesize(arpabet.espeak_notation(said), voice, speed=speed, pitch=pitch)
    if out is None:
        _play(sound)
    else:
        write(out, wav_bytes(sound, espeak.RATE))
        click.echo(f"written to     {out}, {len(sound) / espeak.RATE:.1f} s")


def _play(sound: np.ndarray) -> None:
    """Play a sound by Windows, or by the first program that is there."""
    packed = wav_bytes(sound, espeak.RATE)
    if sys.platform == "win32":
        import winsound

        winsound.PlaySound(packed, winsound.SND_MEMORY)
        return
    player = next((words for words in _PLAYERS if shutil.which(words[0])), None)
    if player is None:
        names = ", ".join(words[0] for words in _PLAYERS)
        raise espeak.SpeechError(
            f"no program to play sound is there ({names}); --out FILE.wav writes it to a file"
        )
    with tempfile.TemporaryDirectory(prefix="minigrad-") as folder:
        file = Path(folder, "speech.wav")
        file.write_bytes(packed)
        done = subprocess.run(
            [*player, str(file)], capture_output=True, text=True, errors="replace"
        )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise espeak.SpeechError(
            f"{player[0]} can't play the sound: {reason[0]}; --out FILE.wav writes it to a file"
        )
