"""Lines and words as numbers that are equal where the texts are: polynomial hashes of 64 bits.

Source: Karp and Rabin (1987), modulo 2 ** 64, with characters that are mixed first.
"""

from __future__ import annotations

import functools
import sys
from typing import NamedTuple

import numpy as np

from .characters import UNSPACED, Kind, Lines, letters_of

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)

BLOOM_BITS = 256
"""The bits of a line's set of words."""

_BLOOM_PARTS = BLOOM_BITS // 64


class Tokens(NamedTuple):
    """The `W` words of `N` lines: runs of letters and digits, and each letter of scripts without
    spaces."""

    hashes: np.ndarray
    """`[W]` uint64."""
    lines: np.ndarray
    """`[W]` int64: the index of the line that a word stands in, in rising order."""
    counts: np.ndarray
    """`[N]` int64: the number of words of each line."""


def mix(values: np.ndarray) -> np.ndarray:
    """Spreads differences of numbers over all of their bits.

    Source: the finalizer of SplitMix64, Steele, Lea and Flood (2014).
    """
    mixed = values.astype(np.uint64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def word_hash(word: str) -> int:
    """The hash that `words` gives for a word."""
    lines = Lines.of(f"{word}\n")
    return int(line_keys(lines, Hasher(lines.codes))[0])


class Hasher:
    """Hashes of any parts of a text.

    Args:
        codes: `[C]` uint32, the text's code points.
    """

    def __init__(self, codes: np.ndarray) -> None:
        size = 1 << max(16, len(codes).bit_length())
        powers = _powers(_BASE, size)[: len(codes)]

        self._inverses = _powers(_INVERSE, size)
        self._sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(_mixed_codes()[codes] * powers, out=self._sums[1:])

    def hashes(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The hashes of the parts from `starts` to `ends`, `[P]` uint64."""
        sums = self._sums[ends] - self._sums[starts]
        return mix(sums * self._inverses[starts])


@functools.cache
def _mixed_codes() -> np.ndarray:
    return mix(np.arange(1, sys.maxunicode + 2))


@functools.lru_cache(maxsize=4)
def _powers(base: int, count: int) -> np.ndarray:
    """The powers of a number from 0 on, modulo 2 ** 64."""
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


def line_keys(lines: Lines, hasher: Hasher) -> np.ndarray:
    """The hash of each line, `[N]` uint64."""
    return hasher.hashes(lines.starts, lines.starts + lines.lengths())


def number_key(number: int) -> np.uint64:
    """The hash of a number, for what belongs to a line and is not in it."""
    return mix(np.array([number]))[0]


def pair_keys(source_keys: np.ndarray, target_keys: np.ndarray) -> np.ndarray:
    """The hash of each pair of lines, `[N]` uint64."""
    return mix(source_keys * np.uint64(_BASE) + target_keys)


def words(lines: Lines, hasher: Hasher) -> Tokens:
    """The words of lines."""
    letters = lines.kinds >= Kind.MARK
    single = letters_of(frozenset(UNSPACED))[lines.kinds]

    # Characters that go on with the word that the one before them is of.
    runs = letters & ~single
    goes_on = np.zeros(len(runs), bool)
    goes_on[1:] = runs[1:] & runs[:-1]

    begins = letters & ~goes_on
    ends = letters & ~np.append(goes_on[1:], False)
    counts = lines.totals(begins)

    return Tokens(
        hashes=hasher.hashes(np.flatnonzero(begins), np.flatnonzero(ends) + 1),
        lines=np.repeat(np.arange(len(counts)), counts),
        counts=counts,
    )


def shared(source: Tokens, target: Tokens) -> np.ndarray:
    """The number of words of each source that stand in its target, too, `[N]` int64."""
    if not len(target.hashes):
        return np.zeros(len(source.counts), np.int64)

    known = np.sort(_in_lines(target))
    wanted = _in_lines(source)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    found = known[places] == wanted
    return np.bincount(source.lines[found], minlength=len(source.counts))


def _in_lines(tokens: Tokens) -> np.ndarray:
    """Hashes that words of different lines do not share; their order is that of the lines."""
    return (tokens.lines.astype(np.uint64) << np.uint64(40)) | (tokens.hashes >> np.uint64(24))


def word_sets(tokens: Tokens) -> np.ndarray:
    """The set of each line's words as a Bloom filter, `[N, 4]` uint64."""
    sets = np.zeros(len(tokens.counts) * _BLOOM_PARTS, np.uint64)
    parts = (tokens.hashes >> np.uint64(56)).astype(np.int64) % _BLOOM_PARTS
    bits = np.uint64(1) << (tokens.hashes >> np.uint64(58))

    np.bitwise_or.at(sets, tokens.lines * _BLOOM_PARTS + parts, bits)
    return sets.reshape(-1, _BLOOM_PARTS)
