"""What is measured of both sides of some pairs, an array with a number for each pair."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .characters import SCRIPTS, Kind, Lines, letters_of
from .reading import Chunk
from .tokens import Hasher, Tokens, line_keys, number_key, pair_keys, shared, word_sets, words

_PUNCTUATION = ("?？؟", "!！", ",，、،", ":;：；؛", "()[]（）", "0123456789")
"""Characters that translations often have in the same number."""

_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,15}(?:\s[^<>]{0,200})?/?>")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5});")
_MISREAD = re.compile("[ÂÃ][\u0080-\u00bf]|â€")
"""UTF-8 that was read as Latin-1 or Windows-1252: "Ã©" for "é", "â€™" for an apostrophe."""


class Side(NamedTuple):
    """What is measured of one side of `N` pairs."""

    characters: np.ndarray
    """`[N]` characters of each line."""
    spaced_words: np.ndarray
    """`[N]` words, being what spaces separate."""
    solid: np.ndarray
    """`[N]` characters that are no spaces."""
    nuls: np.ndarray
    """`[N]` NUL characters."""
    controls: np.ndarray
    """`[N]` characters of kind `CONTROL`."""
    letters: np.ndarray
    """`[N, scripts]` letters of each script that the chunk has."""
    scripts: tuple[str, ...]
    """Those scripts."""
    punctuation: np.ndarray
    """`[N, 6]` characters of each class of `_PUNCTUATION`."""
    keys: np.ndarray
    """`[N]` uint64: equal where the lines are."""
    tokens: Tokens
    word_sets: np.ndarray
    """`[N, 4]` uint64: see `tokens.word_sets`."""
    tags: np.ndarray
    """`[N]` bool: the line holds HTML tags."""
    entities: np.ndarray
    """`[N]` bool: the line holds HTML entities."""
    misread: np.ndarray
    """`[N]` bool: the line looks like UTF-8 that was read as something else."""

    @classmethod
    def of(cls, text: str, cut: Mapping[int, int]) -> Side:
        """Measures lines.

        Args:
            text: the lines, with a newline behind each.
            cut: the characters that a line had before it was cut, by its place.
        """
        lines = Lines.of(text)
        hasher = Hasher(lines.codes)
        tokens = words(lines, hasher)
        scripts, letters = _letters(lines)

        spaces = lines.kinds == Kind.SPACE
        begins = ~spaces
        begins[1:] &= spaces[:-1]

        characters = lines.lengths()
        keys = line_keys(lines, hasher)
        for place, length in cut.items():
            characters[place] = length
            keys[place] ^= number_key(length)

        return cls(
            characters=characters,
            spaced_words=lines.totals(begins),
            solid=lines.totals(~spaces),
            nuls=lines.totals(lines.codes == 0),
            controls=lines.totals(lines.kinds == Kind.CONTROL),
            letters=letters,
            scripts=scripts,
            punctuation=_punctuation(lines),
            keys=keys,
            tokens=tokens,
            word_sets=word_sets(tokens),
            tags=_matches(lines, text, "<", _TAG),
            entities=_matches(lines, text, "&", _ENTITY),
            misread=_matches(lines, text, "ÂÃâ", _MISREAD),
        )

    def letters_in(self, scripts: frozenset[str]) -> np.ndarray:
        """The letters of each line that are of some scripts, `[N]`."""
        columns = [script in scripts for script in self.scripts]
        return self.letters[:, columns].sum(axis=1)


class Pairs(NamedTuple):
    """What is measured of `N` pairs."""

    first: int
    """The number of the first pair in its split, from 1."""
    source: Side
    target: Side
    keys: np.ndarray
    """`[N]` uint64: equal where both lines are."""
    shared: np.ndarray
    """`[N]` words of the source that stand in the target, too."""

    @classmethod
    def of(cls, chunk: Chunk) -> Pairs:
        """Measures a chunk."""
        source = Side.of(chunk.source, chunk.cut[0])
        target = Side.of(chunk.target, chunk.cut[1])
        return cls(
            first=chunk.first,
            source=source,
            target=target,
            keys=pair_keys(source.keys, target.keys),
            shared=shared(source.tokens, target.tokens),
        )

    @property
    def sides(self) -> tuple[Side, Side]:
        """The sources and the targets."""
        return self.source, self.target

    @property
    def size(self) -> int:
        """The number of pairs, `N`."""
        return len(self.keys)

    @property
    def longer(self) -> np.ndarray:
        """The characters of the longer side of each pair, `[N]`."""
        return np.maximum(self.source.characters, self.target.characters)

    @property
    def empty(self) -> np.ndarray:
        """True where a side is empty, `[N]`."""
        return np.minimum(self.source.solid, self.target.solid) == 0

    @property
    def log_ratios(self) -> np.ndarray:
        """The logarithm of the target's characters over the source's, `[N]`.

        Ten characters are added to both, for short sentences.
        """
        return np.log((self.target.characters + 10) / (self.source.characters + 10))


def _letters(lines: Lines) -> tuple[tuple[str, ...], np.ndarray]:
    """The scripts of lines, and the letters `[N, scripts]` of each."""
    present = np.bincount(lines.kinds, minlength=256)[Kind.LETTER :]
    scripts = tuple(SCRIPTS[number] for number in np.flatnonzero(present))
    counts = [lines.kind_counts(letters_of(frozenset([script]))) for script in scripts]
    if not counts:
        return (), np.zeros((len(lines.starts), 0), np.int64)
    return scripts, np.stack(counts, axis=1)


@functools.cache
def _punctuation_classes() -> np.ndarray:
    """The class of each character of the Basic Multilingual Plane, 0 for none, uint8."""
    table = np.zeros(2**16, np.uint8)
    for number, characters in enumerate(_PUNCTUATION, 1):
        table[[ord(character) for character in characters]] = number
    return table


def _punctuation(lines: Lines) -> np.ndarray:
    places = np.flatnonzero((lines.kinds == Kind.OTHER) | (lines.kinds == Kind.DIGIT))
    codes = np.minimum(lines.codes[places], 2**16 - 1)
    classes = _punctuation_classes()[codes].astype(np.int64)
    return lines.of_lines(places, classes, len(_PUNCTUATION) + 1)[:, 1:]


def _matches(lines: Lines, text: str, needed: str, pattern: re.Pattern[str]) -> np.ndarray:
    """The lines that a pattern is found in, `[N]` bool.

    Args:
        lines: the lines.
        text: the same as a string.
        needed: characters of which every match has one.
        pattern: the pattern.
    """
    found = np.zeros(len(lines.starts), bool)
    if not any(character in text for character in needed):
        return found

    codes = [ord(character) for character in needed]
    ends = lines.starts + lines.lengths()
    for index in np.flatnonzero(lines.totals(np.isin(lines.codes, codes))):
        found[index] = pattern.search(text, lines.starts[index], ends[index]) is not None
    return found
