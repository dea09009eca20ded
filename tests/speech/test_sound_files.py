"""WAV files of every width, and other rates."""

import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.speech.espeak import SpeechError
from minigrad.models.speech.sound_files import read_wav, resample, wav_bytes


def write(path, samples, rate, width):
    """A file of samples (S, channels) from -1 to 1, by Python's integers."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        top = 2 ** (8 * width - 1)
        numbers = [min(round(x * top), top - 1) for x in samples.reshape(-1).tolist()]
        if width == 1:
            file.writeframes(bytes(x + 128 for x in numbers))
        else:
            file.writeframes(b"".join(x.to_bytes(width, "little", signed=True) for x in numbers))


@given(st.integers(1, 300), st.integers(1, 3), st.sampled_from([1, 2, 3, 4]))
def test_read_as_written(tmp_path_factory, count, channels, width):
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    samples = np.random.default_rng(count).uniform(-1, 1, (count, channels))
    write(path, samples, 8000, width)
    found = read_wav(path, 8000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, samples.mean(axis=1), atol=2.0 ** (1 - 8 * width) + 1e-6)


def test_written_ones_are_read(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, 500)
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.append(samples, [1.0, 5.0, -5.0]), 22_050))
    found = read_wav(tmp_path / "a.wav", 22_050)
    np.testing.assert_allclose(found[:500], samples, atol=2e-5)
    np.testing.assert_allclose(found[500:], [1, 1, -1], atol=4e-5)


@pytest.mark.parametrize(("old", "new"), [(44_100, 22_050), (8000, 22_050), (48_000, 22_050)])
def test_a_tone_keeps_its_pitch(old, new):
    old_t, new_t = np.arange(old) / old, np.arange(new) / new
    swell = lambda t: np.sin(np.pi * t) ** 4  # noqa: E731  silent at both ends
    found = resample(swell(old_t) * np.sin(2 * np.pi * 440 * old_t), old, new)
    np.testing.assert_allclose(found, swell(new_t) * np.sin(2 * np.pi * 440 * new_t), atol=1e-6)


@given(st.integers(1, 500), st.integers(1, 60), st.integers(1, 60))
def test_lengths_and_ways_back(count, old, new):
    samples = np.random.default_rng(count).normal(size=count)
    there = resample(samples, old, new)
    assert len(there) == -(-count * new // old)
    if new > 2 * old:  # no frequency was left out
        back = resample(there, new, old)[:count]
        middle = slice(count // 4, -count // 4 or None)
        assert np.abs(back - samples)[middle].max(initial=0) < 0.5 * np.abs(samples).max()


def test_what_is_no_sound(tmp_path):
    with pytest.raises(SpeechError, match="there is no file"):
        read_wav(tmp_path / "none.wav", 8000)
    (tmp_path / "text.wav").write_text("seven")
    with pytest.raises(SpeechError, match=r"text.wav can't be read as a WAV file of integers"):
        read_wav(tmp_path / "text.wav", 8000)
    (tmp_path / "empty.wav").write_bytes(b"")
    with pytest.raises(SpeechError, match=r"\(PCM\): it ends too early"):
        read_wav(tmp_path / "empty.wav", 8000)
    (tmp_path / "silent.wav").write_bytes(wav_bytes(np.zeros(0), 8000))
    with pytest.raises(SpeechError, match="has no samples"):
        read_wav(tmp_path / "silent.wav", 8000)
    with pytest.raises(SpeechError, match="can't be read"):
        read_wav(tmp_path, 8000)
    floats = bytearray(wav_bytes(np.zeros(8), 8000))
    floats[20] = 3  # the format: floats
    (tmp_path / "floats.wav").write_bytes(floats)
    with pytest.raises(SpeechError, match="unknown format: 3"):
        read_wav(tmp_path / "floats.wav", 8000)
