"""Mel features, against their definition written with loops and a matrix of cosines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.speech.features import (
    hertz,
    log_mel,
    mel,
    mel_filters,
    normalize,
    stack_frames,
)


def defined(samples, rate, bands, window, hop, low, high):
    """The energies, frame by frame and band by band."""
    width, step = round(window * rate), round(hop * rate)
    size = 1
    while size < width:
        size *= 2
    x = np.concatenate([samples, np.zeros(max(0, width - len(samples)))])
    y = [x[0], *(x[t] - 0.97 * x[t - 1] for t in range(1, len(x)))]
    corners = [mel(low) + k * (mel(high) - mel(low)) / (bands + 1) for k in range(bands + 2)]
    corners = [float(hertz(corner)) for corner in corners]
    rows = []
    for start in range(0, len(y) - width + 1, step):
        window_ = [0.54 - 0.46 * np.cos(2 * np.pi * t / (width - 1)) for t in range(width)]
        frame = np.array([y[start + t] * window_[t] for t in range(width)])
        row = np.zeros(bands)
        for k in range(size // 2 + 1):
            turns = 2 * np.pi * k * np.arange(width) / size
            power = (frame @ np.cos(turns)) ** 2 + (frame @ np.sin(turns)) ** 2
            f = k * rate / size
            for band in range(bands):
                before, top, after = corners[band : band + 3]
                if before < f <= top:
                    row[band] += power * (f - before) / (top - before)
                elif top < f < after:
                    row[band] += power * (after - f) / (after - top)
        rows.append(np.log(np.maximum(row, 1e-10)))
    return np.array(rows)


@given(st.integers(1, 900), st.sampled_from([4000, 8000, 11025]), st.integers(1, 8))
def test_as_defined(count, rate, bands):
    samples = np.random.default_rng(count).normal(size=count)
    options = {"window": 0.025, "hop": 0.010, "low": 60.0, "high": rate / 2}
    found = log_mel(samples, rate, bands, **options)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, defined(samples, rate, bands, **options), rtol=1e-4, atol=1e-4
    )


def test_a_tone_is_loudest_in_its_band():
    t = np.arange(22_050) / 22_050
    centres = hertz(np.linspace(mel(60.0), mel(8000.0), 28)[1:-1])
    for band in (3, 11, 20, 25):
        energies = log_mel(np.sin(2 * np.pi * centres[band] * t), 22_050)
        assert (energies.argmax(axis=1) == band).all()


@given(st.integers(1, 30), st.sampled_from([256, 512, 1024]))
def test_filters_cover_each_frequency_between_the_outer_centres_once(bands, size):
    filters = mel_filters(bands, size, 16_000, 0.0, 8000.0)
    frequencies = np.arange(size // 2 + 1) * 16_000 / size
    centres = hertz(np.linspace(mel(0.0), mel(8000.0), bands + 2)[1:-1])
    inside = (frequencies >= centres[0]) & (frequencies <= centres[-1])
    np.testing.assert_allclose(filters[:, inside].sum(axis=0), 1)
    assert (filters >= 0).all() and not filters.flags.writeable


def test_silence_and_loudness():
    assert np.isfinite(log_mel(np.zeros(1000), 8000)).all()
    sound = np.random.default_rng(0).normal(size=4000)
    quiet, loud = (normalize(log_mel(gain * sound, 8000)) for gain in (0.1, 3))
    np.testing.assert_allclose(quiet, loud, atol=1e-4)


@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 7))
def test_stacked_frames(T, F, count):
    x = np.random.default_rng(T).normal(size=(T, F))
    stacked = stack_frames(x, count)
    assert stacked.shape == (-(-T // count), count * F)
    for row, given_ in enumerate(stacked.reshape(-1, F)):
        assert (given_ == x[min(row, T - 1)]).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"one channel, \(S,\); got \(3, 2\)"):
        log_mel(np.zeros((3, 2)), 8000)
    with pytest.raises(ValueError, match="go from 0 or more to 4000 hertz"):
        mel_filters(8, 256, 8000, 100.0, 5000.0)
