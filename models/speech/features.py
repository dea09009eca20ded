"""What a network hears: the logarithm of the energy in bands of frequencies, over time.

Mel filter banks are those of Davis and Mermelstein: "Comparison of parametric representations for
monosyllabic word recognition in continuously spoken sentences", IEEE Transactions on Acoustics,
Speech, and Signal Processing 28, 1980. The mel scale is that of the Hidden Markov Model Toolkit.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

__all__ = [
    *("hertz", "log_mel", "mel", "mel_filters", "normalize", "stack_frames"),
    "stretch_bands",
]

_PRE_EMPHASIS = 0.97
_FLOOR = 1e-10  # of the energy in a band: silence has a logarithm, too


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """Pitch on the mel scale, 2595 log10(1 + f / 700): as it is heard, for f in hertz.

    >>> float(mel(1000.0).round())
    1000.0
    """
    return 2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700)


def hertz(mel: np.ndarray | float) -> np.ndarray:
    """The frequency of a pitch on the mel scale: `mel`, the other way.

    >>> float(hertz(mel(440.0)).round(6))
    440.0
    """
    return 700 * (10 ** (np.asarray(mel, np.float64) / 2595) - 1)


@cache
def mel_filters(bands: int, size: int, rate: int, low: float, high: float) -> np.ndarray:
    """Triangles over the frequencies of a Fourier transform of `size` samples: (bands, size/2 + 1).

    Their corners are equally far apart on the mel scale, from `low` to `high` hertz; each triangle
    goes from 0 at the corner before over 1 to 0 at the corner after. The array is read-only.

    >>> mel_filters(2, 16, 16, 0.0, 8.0).round(2)[:, :5]
    array([[0.  , 0.38, 0.75, 0.87, 0.5 ],
           [0.  , 0.  , 0.  , 0.13, 0.5 ]])
    """
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"mel_filters: bands go from 0 or more to {rate / 2:g} hertz, half the rate, at most; "
            f"got {low:g} to {high:g}"
        )
    corners = hertz(np.linspace(mel(low), mel(high), bands + 2))[:, None]
    frequencies = np.arange(size // 2 + 1) * rate / size
    up = (frequencies - corners[:-2]) / (corners[1:-1] - corners[:-2])
    down = (corners[2:] - frequencies) / (corners[2:] - corners[1:-1])
    filters = np.maximum(np.minimum(up, down), 0)
    filters.flags.writeable = False
    return filters


def log_mel(
    samples: np.ndarray,
    rate: int,
    bands: int = 26,
    window: float = 0.025,
    hop: float = 0.010,
    low: float = 60.0,
    high: float = 8000.0,
) -> np.ndarray:
    """The log energies of a sound in mel bands: (T, bands), float32, a frame every `hop` seconds.

    Each frame: `window` seconds after pre-emphasis (x[t] - 0.97 x[t-1]), a Hamming window, the
    power of the Fourier transform, the sums under the triangles of `mel_filters`, the logarithm.
    Samples (S,) shorter than a window give one frame; those after the last whole window, none.

    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)  # a second of 1,000 hertz
    >>> energies = log_mel(tone, 16000)
    >>> energies.shape, int(energies[50].argmax())  # the band around 1,000 mel
    ((98, 26), 8)
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1:
        raise ValueError(f"log_mel: samples of one channel, (S,); got {samples.shape}")
    width, step = round(window * rate), round(hop * rate)
    samples = np.pad(samples, (0, max(0, width - len(samples))))
    emphasised = np.append(samples[:1], samples[1:] - _PRE_EMPHASIS * samples[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, width)[::step]  # (T, width)
    size = 1 << math.ceil(math.log2(width))
    power = np.abs(np.fft.rfft(frames * np.hamming(width), size)) ** 2  # (T, size/2 + 1)
    filters = mel_filters(bands, size, rate, low, min(high, rate / 2))
    return np.log(np.maximum(power @ filters.T, _FLOOR)).astype(np.float32)


def normalize(features: np.ndarray) -> np.ndarray:
    """Features (T, F) less the mean of each over time, divided by the deviation of all of them.

    So neither the loudness of a recording nor the colour of its microphone remains.

    >>> import numpy as np
    >>> normalize(np.array([[1.0, 5.0], [3.0, 9.0]])).round(2)
    array([[-0.63, -1.26],
           [ 0.63,  1.26]])
    """
    centred = features - features.mean(axis=0)
    result: np.ndarray = centred / (centred.std() + 1e-3)
    return result


def stack_frames(features: np.ndarray, count: int) -> np.ndarray:
    """Every `count` frames as one: (T, F) becomes (ceil(T / count), count * F).

    The last one is filled up with copies of the last frame.

    >>> import numpy as np
    >>> stack_frames(np.array([[1, 2], [3, 4], [5, 6]]), 2)
    array([[1, 2, 3, 4],
           [5, 6, 5, 6]])
    """
    T, F = features.shape
    filled = np.pad(features, ((0, -T % count), (0, 0)), mode="edge")
    return filled.reshape(-1, count * F)


def stretch_bands(features: np.ndarray, factor: float, stacked: int = 1) -> np.ndarray:
    """Features (T, stacked * F) as of a vocal tract of another length.

    Band b of F has what b * factor had. What lies between bands is interpolated; what lies past the
    last has its energy. Jaitly and Hinton, "Vocal tract length perturbation (VTLP) improves speech
    recognition", ICML workshop 2013, stretch the spectrum; here it is the mel scale.

    >>> import numpy as np
    >>> stretch_bands(np.array([[0.0, 10.0, 20.0, 30.0]]), 0.9)
    array([[ 0.,  9., 18., 27.]])
    """
    frames = features.reshape(-1, features.shape[1] // stacked)  # (T * stacked, F)
    last = frames.shape[1] - 1
    places = np.minimum(np.arange(last + 1) * factor, last)
    below = np.minimum(places.astype(int), max(last - 1, 0))
    share = (places - below).astype(features.dtype)
    above = np.minimum(below + 1, last)
    stretched = frames[:, below] * (1 - share) + frames[:, above] * share
    return stretched.reshape(features.shape)
