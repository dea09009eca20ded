"""Speech by espeak-ng, a formant synthesiser of many languages and voices, through ctypes.

The library comes with the package `espeakng-loader`, the extra `speech`. It is loaded when the
first word is spoken, once per process, and it speaks one text at a time: calls from other threads
wait. https://github.com/espeak-ng/espeak-ng has its documentation.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.utils.install import install_line
from minigrad.utils.spelling import nearest

__all__ = ["RATE", "SpeechError", "languages", "release", "synthesize", "variants"]

RATE = 22_050  # samples per second, of every voice
PITCHES, SPEEDS = (0, 99), (80, 450)  # what espeak-ng takes

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000  # samples go to the callback; errors end no process
_SPEED, _PITCH = 1, 3
_UTF8, _PHONEMES = 1, 0x100
_SILENT = RATE // 50  # an empty text gives some 150 samples, the shortest sound thousands


class SpeechError(Exception):
    """Speech that can't be made, or a file that can't be heard; the text says what to do."""


def synthesize(text: str, voice: str = "en-us", *, speed: int = 175, pitch: int = 50) -> np.ndarray:
    """The sound of a text: samples (S,), float32 from -1 to 1, `RATE` of them per second.

    What stands between [[ and ]] is espeak-ng's names of phonemes in place of text, as in
    "[[h@l'oU]]"; an apostrophe stresses the vowel that follows. The library adds some noise of its
    own: later calls give slightly different samples; another process with the same calls gives the
    same ones.

    Parameters
    ----------
    text : what to say.
    voice : a language such as "en-us", alone or with a variant, as in "en-us+f3"; `languages()`
        and `variants()` list them.
    speed : words per minute, from 80 to 450.
    pitch : how high the voice is, from 0 to 99; its own pitch is 50.

    Raises
    ------
    SpeechError : the extra is missing, or there is no such voice, or nothing to say.
    ValueError : a speed or pitch out of range.

    >>> synthesize("seven", speed=20)
    Traceback (most recent call last):
    ...
    ValueError: synthesize: speed is a number from 80 to 450; got 20
    """
    for name, value, (low, high) in [("speed", speed, SPEEDS), ("pitch", pitch, PITCHES)]:
        if not low <= value <= high:
            raise ValueError(f"synthesize: {name} is a number from {low} to {high}; got {value}")
    if "\0" in text:
        raise SpeechError("a text to speak can't have the character NUL")
    encoded = text.encode()
    with _LOCK:
        library = _library()
        _check(voice)
        library.espeak_SetVoiceByName(voice.encode())
        library.espeak_SetParameter(_SPEED, int(speed), 0)
        library.espeak_SetParameter(_PITCH, int(pitch), 0)
        _HEARD.clear()
        size = ctypes.c_size_t(len(encoded) + 1)
        failed = library.espeak_Synth(encoded, size, 0, 1, 0, _UTF8 | _PHONEMES, None, None)
        failed = failed or library.espeak_Synchronize()
        samples = np.concatenate([*_HEARD, np.zeros(0, np.int16)])
        _HEARD.clear()
    if failed:
        raise SpeechError(f"espeak-ng can't say {text!r:.60}: its error is number {failed}")
    if len(samples) < _SILENT:
        raise SpeechError(f"there is nothing to say in {text!r:.60}")
    return samples.astype(np.float32) / 32768


def languages() -> list[str]:
    """The languages and accents of the library, such as "en-us", in alphabetical order."""
    with _LOCK:
        return sorted(_languages())


def variants() -> list[str]:
    """The voices that any language can be spoken with, as in "en-us+f3", in alphabetical order."""
    with _LOCK:
        return sorted(_variants())


def release() -> str:
    """The library's version, such as "1.52.0"."""
    with _LOCK:
        library = _library()
        library.espeak_Info.restype = ctypes.c_char_p
        return str(library.espeak_Info(None).decode())


# --- the library, all under the lock -----------------------------------------------------------

_LOCK = threading.Lock()
_HEARD: list[np.ndarray] = []  # what the library has said of the present text


class _Voice(ctypes.Structure):
    """The beginning of `espeak_VOICE` in espeak-ng's speak_lib.h."""

    _fields_ = (("name", ctypes.c_char_p), ("languages", ctypes.c_void_p))


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
def _hear(samples: Any, count: int, events: Any) -> int:
    if samples and count > 0:
        _HEARD.append(np.ctypeslib.as_array(samples, (count,)).copy())
    return 0  # go on


@cache
def _library() -> ctypes.CDLL:
    try:
        import espeakng_loader as loader
    except ImportError as error:
        raise SpeechError(
            "speech is made by espeak-ng, which is not installed. The extra `speech` brings it; "
            + install_line("speech")
        ) from error
    try:
        library = ctypes.CDLL(loader.get_library_path())
        data = loader.get_data_path()
    except (OSError, RuntimeError) as error:
        raise SpeechError(f"espeak-ng is installed and can't be loaded: {error}") from error
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), _DONT_EXIT)
    if rate != RATE:
        raise SpeechError(f"espeak-ng can't start with its data in {data}: it answered {rate}")
    library.espeak_SetSynthCallback(_hear)
    return library


@cache
def _languages() -> frozenset[str]:
    library = _library()
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    found = library.espeak_ListVoices(None)
    return frozenset(name for voice in _until_null(found) for name in _spoken(voice.languages))


def _until_null(pointers: Any) -> Iterator[_Voice]:
    index = 0
    while pointers[index]:
        yield pointers[index].contents
        index += 1


def _spoken(address: int) -> Iterator[str]:
    """The languages of a voice: each a byte of priority and a string, until a priority of 0."""
    while ctypes.string_at(address, 1) != b"\0":
        entry = ctypes.string_at(address)
        yield entry[1:].decode()
        address += len(entry) + 1


@cache
def _variants() -> frozenset[str]:
    _library()
    import espeakng_loader as loader

    return frozenset(os.listdir(Path(loader.get_data_path(), "voices", "!v")))


def _check(voice: str) -> None:
    """Raise for a voice that is not there: the library would go on with the one before."""
    language, plus, variant = voice.partition("+")
    if language not in _languages():
        alike = [name for name in sorted(_languages()) if name[:2] == language[:2]]
        close = ", ".join(alike[:12]) or "de, en-gb, en-us, es, fr-fr, it"
        raise SpeechError(f"there is no language {language!r} for speech; there are {close}, ...")
    if plus and variant not in _variants():
        some = ", ".join([name for name in sorted(_variants()) if name.islower()][::8])
        close = nearest(variant, _variants()) or some
        raise SpeechError(f"there is no voice {variant!r}; there are {close}, ...")
