"""Speech by espeak-ng, where the extra is installed; what is said where it is not."""

import subprocess
import sys
import threading
from importlib.util import find_spec

import numpy as np
import pytest

from minigrad.models.speech import arpabet, espeak
from minigrad.models.speech.features import log_mel, normalize

installed = pytest.mark.skipif(
    find_spec("espeakng_loader") is None,
    reason='espeak-ng is missing: pip install -e ".[speech]"',
)


def heard(samples):
    return normalize(log_mel(samples, espeak.RATE))


def distance(a, b):
    """The mean distance of frames along the best path, by dynamic time warping."""
    costs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    best = np.full((len(a) + 1, len(b) + 1), np.inf)
    best[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            best[i + 1, j + 1] = costs[i, j] + min(best[i, j], best[i, j + 1], best[i + 1, j])
    return best[-1, -1] / (len(a) + len(b))


@installed
def test_samples():
    samples = espeak.synthesize("seven")
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert 0.2 < len(samples) / espeak.RATE < 2
    assert 0.1 < np.abs(samples).max() <= 1


@installed
def test_speed_pitch_and_voice_are_heard():
    slow, fast = (len(espeak.synthesize("one two", speed=speed)) for speed in (90, 300))
    assert slow > 1.5 * fast

    def pitch(samples):
        """Of the first half second, by the strongest repetition between 60 and 400 hertz."""
        part = samples[: espeak.RATE // 2]
        again = np.correlate(part, part, "full")[len(part) - 1 :]
        low, high = espeak.RATE // 400, espeak.RATE // 60
        return espeak.RATE / (low + again[low:high].argmax())

    deep, high = (pitch(espeak.synthesize("aaah oooh", pitch=p)) for p in (10, 90))
    assert high > 1.3 * deep
    voices = "en-us", "en-us", "en-us+f4"
    one, again, other = (heard(espeak.synthesize("nine", voice)) for voice in voices)
    assert distance(one, other) > 3 * distance(one, again)


@installed
def test_phonemes_sound_like_the_words_they_are_of():
    words = {
        "seven": ["S", "EH1", "V", "AH0", "N"],
        "nutshell": ["N", "AH1", "T", "SH", "EH2", "L"],
        "measure": ["M", "EH1", "ZH", "ER0"],
    }
    spoken = {word: heard(espeak.synthesize(word)) for word in words}
    for word, phonemes in words.items():
        sound = heard(espeak.synthesize(arpabet.espeak_notation([phonemes])))
        assert min(words, key=lambda other: distance(sound, spoken[other])) == word


@installed
@pytest.mark.parametrize("phoneme", arpabet.PHONEMES)
def test_every_phoneme_has_a_sound(phoneme):
    around = ["AH0"] if phoneme in arpabet.CONSONANTS else []
    alone, without = (
        espeak.synthesize(arpabet.espeak_notation([[*row, "T"]]))
        for row in ([*around, phoneme], around or ["T"])
    )
    assert len(alone) > len(without)


def test_every_phoneme_of_english_has_a_name():
    assert len(arpabet.PHONEMES) == 24 + 3 * 15
    names = arpabet.espeak_notation([arpabet.PHONEMES])[2:-2].split("|")
    assert all(names) and len(names) == len(arpabet.PHONEMES)
    with pytest.raises(ValueError, match="'XX' is no phoneme of CMUdict"):
        arpabet.espeak_notation([["XX"]])


@installed
def test_voices():
    assert {"de", "en-gb", "en-us", "es", "fr-fr", "it"} <= {*espeak.languages()}
    assert {"f1", "m3", "steph"} <= {*espeak.variants()}
    with pytest.raises(espeak.SpeechError, match=r"no language 'en-uk' .* are en, .*, en-us, "):
        espeak.synthesize("seven", "en-uk")
    with pytest.raises(espeak.SpeechError, match=r"there are de, en-gb, en-us, es, fr-fr, it"):
        espeak.synthesize("seven", "")
    with pytest.raises(espeak.SpeechError, match=r"no voice 'qqq'; there are adam, "):
        espeak.synthesize("seven", "en-us+qqq")
    with pytest.raises(espeak.SpeechError, match="no voice 'linde'; there are linda"):
        espeak.synthesize("seven", "en-us+linde")


@installed
@pytest.mark.parametrize("text", ["", "  ", "?!", "[[]]"])
def test_nothing_to_say(text):
    with pytest.raises(espeak.SpeechError, match="nothing to say"):
        espeak.synthesize(text)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="pitch is a number from 0 to 99; got 100"):
        espeak.synthesize("seven", pitch=100)
    with pytest.raises(espeak.SpeechError, match="NUL"):
        espeak.synthesize("se\0ven")


@installed
def test_threads_wait_for_each_other():
    texts = ["one", "two three four five", "six seven"] * 3
    found = {}

    def speak(i):
        found[i] = len(espeak.synthesize(texts[i]))

    threads = [threading.Thread(target=speak, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, text in enumerate(texts):
        assert found[i] == pytest.approx(len(espeak.synthesize(text)), rel=0.05)


def test_without_the_extra():
    """A process in which the package can't be imported."""
    code = (
        "import sys; sys.modules['espeakng_loader'] = None\n"
        "from minigrad.models.speech import espeak\n"
        "try: espeak.synthesize('seven')\n"
        "except espeak.SpeechError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith('in the checkout: pip install -e ".[speech]"')
    assert "espeak-ng, which is not installed" in done.stdout
