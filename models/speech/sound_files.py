"""WAV files, and other rates of samples."""

from __future__ import annotations

import io
import math
import wave
from pathlib import Path

import numpy as np

from .espeak import SpeechError

__all__ = ["read_wav", "resample", "wav_bytes"]


def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of 16 bits and one channel, of samples (S,) from -1 to 1; louder ones are cut off.

    >>> import numpy as np
    >>> len(wav_bytes(np.zeros(100), 8000))  # two bytes each, and a header
    244
    """
    scaled = np.clip(np.round(np.asarray(samples, np.float64) * 32768), -32768, 32767)
    with wave.open(packed := io.BytesIO(), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(scaled.astype("<i2").tobytes())
    return packed.getvalue()


def read_wav(path: str | Path, rate: int) -> np.ndarray:
    """The sound in a WAV file: samples (S,), float32 from -1 to 1, `rate` of them per second.

    The file has integers of 8 to 32 bits (PCM). Channels are averaged, other rates resampled.
    Raises SpeechError for other files, and for a sound without samples.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width = file.getnchannels(), file.getsampwidth()
            own_rate, packed = file.getframerate(), file.readframes(file.getnframes())
    except FileNotFoundError:
        raise SpeechError(f"there is no file {path}") from None
    except (OSError, EOFError, wave.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise SpeechError(
            f"{path} can't be read as a WAV file of integers (PCM): {reason}"
        ) from error
    packed = packed[: len(packed) // (channels * width) * channels * width]  # of a cut-off file
    if not packed or own_rate < 1:
        raise SpeechError(f"{path} has no samples")
    samples = _integers(packed, width).reshape(-1, channels).mean(axis=1)
    return resample(samples, own_rate, rate).astype(np.float32)


def _integers(packed: bytes, width: int) -> np.ndarray:
    """Samples from -1 to 1 of the bytes in a WAV file, which are unsigned if they are single."""
    if width == 1:
        return np.frombuffer(packed, np.uint8) / 128 - 1
    parts = np.frombuffer(packed, np.uint8).reshape(-1, width)
    wide = np.zeros((len(parts), 4), np.uint8)
    wide[:, 4 - width :] = parts  # little-endian: the most significant ones are last
    return wide.reshape(-1).view("<i4") / 2**31


def resample(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """A sound of `old` samples per second as one of `new`, by way of its Fourier transform.

    Frequencies above half the lower rate are left out. The sound is taken to be silent outside of
    samples (S,); ceil(S * new / old) samples come back.

    >>> import numpy as np
    >>> slow = np.sin(2 * np.pi * 5 * np.arange(100) / 100)
    >>> fast = resample(slow, 100, 300)
    >>> float(abs(fast - np.sin(2 * np.pi * 5 * np.arange(300) / 300)).max()) < 1e-9
    True
    """
    if old == new:
        return samples
    common = math.gcd(old, new)
    block = old // common  # of old samples, as long as new // common of the new ones
    blocks = -(-len(samples) // block)
    spectrum = np.fft.rfft(samples, blocks * block)
    size = blocks * (new // common)
    kept = np.zeros(size // 2 + 1, complex)
    count = min(len(kept), len(spectrum))
    kept[:count] = spectrum[:count]
    wanted = -(-len(samples) * new // old)
    return np.fft.irfft(kept, size)[:wanted] * (new / old)
