"""The phonemes of American English: as CMUdict writes them, and as espeak-ng does.

CMUdict (the Carnegie Mellon Pronouncing Dictionary) has 39 phonemes in ARPAbet, the last letters of
which may be a digit: the stress of a vowel, 1 primary, 2 secondary, 0 none. The names on the right
are those of espeak-ng's American English; its documentation (docs/languages/gmw/en.md and
docs/phonemes.md) lists them with the words for which they stand.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["CONSONANTS", "PHONEMES", "VOWELS", "espeak_notation", "without_stress"]

CONSONANTS = {
    **{"B": "b", "CH": "tS", "D": "d", "DH": "D", "F": "f", "G": "g", "HH": "h", "JH": "dZ"},
    **{"K": "k", "L": "l", "M": "m", "N": "n", "NG": "N", "P": "p", "R": "r", "S": "s", "SH": "S"},
    **{"T": "t", "TH": "T", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "Z"},
}
VOWELS = {
    **{"AA": "A:", "AE": "a", "AH": "V", "AO": "O:", "AW": "aU", "AY": "aI", "EH": "E"},
    **{"ER": "3:", "EY": "eI", "IH": "I", "IY": "i:", "OW": "oU", "OY": "OI", "UH": "U"},
    **{"UW": "u:"},
}
_UNSTRESSED = VOWELS | {"AH": "@", "ER": "3", "IY": "i"}  # comma, letter, happy
_STRESS = {"1": "'", "2": ","}

# With stress: 24 consonants, and 15 vowels in 3 forms each.
PHONEMES = sorted([*CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012")])


def without_stress(phonemes: Iterable[str]) -> list[str]:
    """Phonemes without the digits of stress.

    >>> without_stress(["HH", "AH0", "L", "OW1"])
    ['HH', 'AH', 'L', 'OW']
    """
    return [phoneme.rstrip("012") for phoneme in phonemes]


def espeak_notation(words: Iterable[Iterable[str]]) -> str:
    """What `espeak.synthesize` takes for words, each a row of ARPAbet's phonemes.

    A vertical line keeps neighbours apart that together would be another phoneme.

    >>> espeak_notation([["HH", "AH0", "L", "OW1"], ["N", "AH1", "T", "SH", "EH2", "L"]])
    "[[h|@|l|'oU n|'V|t|S|,E|l]]"

    Raises ValueError for what is no phoneme of CMUdict.
    """
    return "[[" + " ".join("|".join(map(_name, word)) for word in words) + "]]"


def _name(phoneme: str) -> str:
    if phoneme in CONSONANTS:
        return CONSONANTS[phoneme]
    vowel, stress = (phoneme[:-1], phoneme[-1]) if phoneme[-1:] in {*"012"} else (phoneme, "1")
    if vowel not in VOWELS:
        raise ValueError(f"{phoneme!r} is no phoneme of CMUdict, such as HH, AH0 or OW1")
    return _STRESS[stress] + VOWELS[vowel] if stress in _STRESS else _UNSTRESSED[vowel]
