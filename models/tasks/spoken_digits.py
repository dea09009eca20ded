"""Strings of digits, spoken by the voices of espeak-ng: made once, then kept with the other data.

The speakers are synthetic, all of one formant synthesiser: what is learned from them says little
about people. Voices whose names differ by a number are one family (`steph`, `steph2`, `steph3`),
and no family is in two parts. So the voices of the test are never heard before; their accents are.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad.utils.files import replace_file

from ..speech import espeak, features
from .packages import DataError, data_folder

__all__ = ["DIGITS", "INPUTS", "Utterance", "hear", "load_utterances", "part_of"]

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ACCENTS = [
    *("en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan"),
    *("en-gb-x-gbcwmd", "en-029"),
]
TEST = {"f", "steph", "victor", "hugo", "michel", "pablo", "caleb"}  # families of voices
VALIDATION = {"reed", "anika", "aunty", "boris", "rob", "belinda", "gustave"}
SIZES = {"train": 5000, "validation": 500, "test": 1000}  # strings
LONGEST = 5  # digits in a string

BANDS, STACKED = 26, 3  # frames of 10 milliseconds, by threes: a step is 30 milliseconds
INPUTS = BANDS * STACKED


class Utterance(NamedTuple):
    """A string of digits as a network hears it: features (T, `INPUTS`), the digits, the voice."""

    features: np.ndarray
    digits: list[int]
    voice: str


def hear(samples: np.ndarray) -> np.ndarray:
    """The features (T, `INPUTS`), float32, of a sound (S,) of `espeak.RATE` samples per second.

    >>> hear(np.zeros(espeak.RATE)).shape  # a second
    (33, 78)
    """
    energies = features.log_mel(samples, espeak.RATE, BANDS)
    return features.stack_frames(features.normalize(energies), STACKED)


def part_of(variant: str) -> str:
    """In which part a voice is heard: "train", "validation" or "test".

    >>> part_of("f3"), part_of("steph2"), part_of("m3")
    ('test', 'test', 'train')
    """
    family = re.sub(r"(\d+|robot)$", "", variant.lower())
    return "test" if family in TEST else "validation" if family in VALIDATION else "train"


def load_utterances() -> dict[str, list[Utterance]]:
    """The parts "train", "validation" and "test", made now or by an earlier call.

    What is kept has a name by a hash of all that makes it: this file, the features, the release of
    espeak-ng. So it is made again, in some twenty seconds, when one of them changes.

    Raises `SpeechError` if the extra `speech` is missing, `DataError` if nothing can be kept.
    """
    path = data_folder() / f"spoken-digits-{_key()}.npz"
    if path.exists():
        try:
            return _unpacked(path.read_bytes())
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            print(f"{path} is damaged, and is made again", file=sys.stderr)
    parts = _made()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, _packed(parts))
    except OSError as error:
        raise DataError(
            f"no data can be kept in {path.parent}: {error}. "
            "Set MINIGRAD_DATA to a folder that can be written to."
        ) from error
    return parts


def make_utterance(rng: np.random.Generator, variants: list[str]) -> tuple[np.ndarray, Utterance]:
    """A random string by one of the voices: the sound, and what a network hears.

    Accent, speed, pitch, pauses, loudness, noise and the silence around it are random, too.
    """
    digits = rng.integers(0, len(DIGITS), rng.integers(1, LONGEST + 1)).tolist()
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(variants)}"
    text = rng.choice([" ", " ", ", "]).join(DIGITS[digit] for digit in digits)
    speed, pitch = int(rng.integers(110, 240)), int(rng.integers(20, 80))
    samples = espeak.synthesize(text, voice, speed=speed, pitch=pitch)
    around = rng.integers(0, espeak.RATE // 4, 2)
    samples = np.pad(samples, around)
    loudness = np.sqrt(np.mean(samples**2)) + 1e-6
    noise = _noise(rng, len(samples)) * loudness * 10 ** (-rng.uniform(10, 40) / 20)
    samples = (samples + noise) * 10 ** (-rng.uniform(0, 20) / 20)
    return samples, Utterance(hear(samples), digits, voice)


def _noise(rng: np.random.Generator, count: int) -> np.ndarray:
    """Noise of a loudness of 1, between white (each frequency as loud) and brown (low ones)."""
    size = 1 << math.ceil(math.log2(count))  # transforms of other sizes take much longer
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum /= np.arange(1, len(spectrum) + 1) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, size)[:count]
    result: np.ndarray = noise / noise.std()
    return result


def _made() -> dict[str, list[Utterance]]:
    total, rng = sum(SIZES.values()), np.random.default_rng(0)
    print(f"{total:,} strings of digits are spoken, once ...", file=sys.stderr)
    parts = {}
    for part, size in SIZES.items():
        variants = [name for name in espeak.variants() if part_of(name) == part]
        parts[part] = [make_utterance(rng, variants)[1] for _ in range(size)]
    return parts


# --- what is kept ---------------------------------------------------------------------------


def _key() -> str:
    sources = [Path(file).read_bytes() for file in (__file__, features.__file__, espeak.__file__)]
    return hashlib.sha256(b"\0".join([*sources, espeak.release().encode()])).hexdigest()[:16]


def _packed(parts: dict[str, list[Utterance]]) -> bytes:
    """An archive of arrays: per part all steps as one, in half precision, and what they say."""
    arrays = {}
    for part, spoken in parts.items():
        arrays[f"{part}.steps"] = np.concatenate([u.features for u in spoken]).astype(np.float16)
        arrays[f"{part}.lengths"] = np.array([len(u.features) for u in spoken])
        arrays[f"{part}.digits"] = np.array(["".join(map(str, u.digits)) for u in spoken])
        arrays[f"{part}.voices"] = np.array([u.voice for u in spoken])
    np.savez(packed := io.BytesIO(), **arrays)  # type: ignore[arg-type]
    return packed.getvalue()


def _unpacked(data: bytes) -> dict[str, list[Utterance]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {part: _utterances(part, arrays) for part in SIZES}


def _utterances(part: str, arrays: np.lib.npyio.NpzFile) -> list[Utterance]:
    steps = arrays[f"{part}.steps"].astype(np.float32)
    ends = np.cumsum(arrays[f"{part}.lengths"])[:-1]
    rows = zip(
        np.split(steps, ends), arrays[f"{part}.digits"], arrays[f"{part}.voices"], strict=True
    )
    return [Utterance(steps, [*map(int, digits)], str(voice)) for steps, digits, voice in rows]
