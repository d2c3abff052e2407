"""Lines as arrays of characters, and the kind of each: a letter of a script, a digit, ..."""

from __future__ import annotations

import enum
import functools
import sys
import unicodedata
from typing import NamedTuple

import numpy as np


class Kind(enum.IntEnum):
    """The kind of a character; a letter has `LETTER` plus its script's place in `SCRIPTS`."""

    OTHER = 0
    """Punctuation and symbols."""
    SPACE = 1
    CONTROL = 2
    """Control characters, those for private use, U+FEFF, and U+FFFD, which stands for damage."""
    MARK = 3
    """Accents and vowel signs, which belong to the letter before them."""
    DIGIT = 4
    LETTER = 5


SCRIPTS = (
    *("Latin", "Greek", "Cyrillic", "Armenian", "Georgian", "Hebrew", "Arabic", "Syriac", "Thaana"),
    *("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada"),
    *("Malayalam", "Sinhala", "Ethiopic", "Cherokee", "Mongolian", "Hangul"),
    *("Thai", "Lao", "Tibetan", "Myanmar", "Khmer", "Hiragana", "Katakana", "Han"),
)
"""The scripts that are told apart. Letters of others are of kind `OTHER`."""

UNSPACED = ("Thai", "Lao", "Tibetan", "Myanmar", "Khmer", "Hiragana", "Katakana", "Han")
"""The scripts of languages that write no spaces between words."""

_NAMES = {name.upper(): number for number, name in enumerate(SCRIPTS)} | {
    "CJK": SCRIPTS.index("Han")
}
"""The numbers of the scripts by the first word of their letters' names in Unicode."""

_WIDTHS = ("FULLWIDTH ", "HALFWIDTH ")

_BASIC_PLANE = 2**16
_HAN_PLANES = slice(0x20000, 0x32400)
_PRIVATE_PLANES = slice(0xF0000, 0x110000)

_CATEGORIES = {
    "Z": Kind.SPACE,
    "M": Kind.MARK,
    "N": Kind.DIGIT,
    "L": Kind.LETTER,
    "C": Kind.OTHER,
    "Cc": Kind.CONTROL,
    "Co": Kind.CONTROL,
    "Cs": Kind.CONTROL,
}
"""Kinds by Unicode's categories, or by their first letters."""

_EXCEPTIONS = {
    "\t": Kind.SPACE,
    "\n": Kind.SPACE,
    "\u200c": Kind.MARK,  # the zero-width non-joiner and joiner, which are spelling
    "\u200d": Kind.MARK,
    "\ufeff": Kind.CONTROL,
    "\ufffd": Kind.CONTROL,
}


_SPARSE = 20
"""Characters for each marked one, from which on it is quicker to look for the lines of these."""


def kind_of(script: str) -> int:
    """The kind of a script's letters."""
    return Kind.LETTER + SCRIPTS.index(script)


@functools.cache
def kinds() -> np.ndarray:
    """The kind of each character of Unicode, `[0x110000]` uint8."""
    table = np.full(sys.maxunicode + 1, Kind.OTHER, np.uint8)
    for code in range(_BASIC_PLANE):
        table[code] = _kind(chr(code))

    table[_HAN_PLANES] = kind_of("Han")
    table[_PRIVATE_PLANES] = Kind.CONTROL
    return table


def _kind(character: str) -> int:
    if character in _EXCEPTIONS:
        return _EXCEPTIONS[character]

    category = unicodedata.category(character)
    kind = _CATEGORIES.get(category, _CATEGORIES.get(category[0], Kind.OTHER))
    if kind != Kind.LETTER:
        return kind

    name = unicodedata.name(character, "")
    for width in _WIDTHS:
        name = name.removeprefix(width)
    script = _NAMES.get(name.replace("-", " ").partition(" ")[0])
    return Kind.OTHER if script is None else Kind.LETTER + script


@functools.cache
def letters_of(scripts: frozenset[str]) -> np.ndarray:
    """True for the kinds of some scripts' letters, `[256]` bool."""
    table = np.zeros(256, bool)
    table[[kind_of(script) for script in scripts]] = True
    return table


class Lines(NamedTuple):
    """The characters of `N` lines, one line after another, with a newline behind each."""

    codes: np.ndarray
    """`[C]` uint32: the code points."""
    kinds: np.ndarray
    """`[C]` uint8: their kinds."""
    starts: np.ndarray
    """`[N]` int64: the position of each line's first character, or of its newline."""

    @classmethod
    def of(cls, text: str) -> Lines:
        """Reads lines, each with a newline behind it."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        ends = np.flatnonzero(codes == ord("\n"))
        starts = np.concatenate([[0], ends[:-1] + 1])
        return cls(codes=codes, kinds=kinds()[codes], starts=starts)

    def totals(self, marked: np.ndarray) -> np.ndarray:
        """The number of marked characters of each line, `[N]` int64.

        Args:
            marked: `[C]` bool.
        """
        places = np.flatnonzero(marked)
        if len(places) * _SPARSE < len(marked):
            return self.of_lines(places, np.zeros(len(places), np.int64), 1)[:, 0]
        # A line has its newline at least: no segment is empty, which `reduceat` would not count.
        return np.add.reduceat(marked, self.starts, dtype=np.int64)

    def of_lines(self, places: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
        """The number of characters of each class in each line, `[N, count]` int64.

        Args:
            places: `[M]`: the positions of the characters.
            classes: `[M]` int64: the class of each, from 0 to `count - 1`.
            count: the number of classes.
        """
        lines = np.searchsorted(self.starts, places, side="right") - 1
        size = len(self.starts) * count
        return np.bincount(lines * count + classes, minlength=size).reshape(-1, count)

    def lengths(self) -> np.ndarray:
        """The number of characters of each line, `[N]` int64."""
        return np.diff(self.starts, append=len(self.codes)) - 1

    def kind_counts(self, wanted: np.ndarray) -> np.ndarray:
        """The number of characters of some kinds in each line, `[N]` int64.

        Args:
            wanted: `[256]` bool, true for these kinds.
        """
        return self.totals(wanted[self.kinds])
