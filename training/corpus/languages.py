"""Languages: the scripts that they are written in, their commonest words, and whose a line is."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from ..scoring.languages import base_language
from .characters import SCRIPTS
from .sides import Pairs, Side
from .tokens import Tokens, word_hash

_LATIN = (
    "af bs ca cs cy da de en es et eu fi fr ga gl hr hu id is it la lb lt lv ms mt nb nl nn no pl "
    "pt ro sk sl sq sv sw tl tr vi"
)

_SCRIPTS = {
    "Latin": _LATIN,
    "Cyrillic": "be bg ky mk mn ru tg uk",
    "Greek": "el",
    "Armenian": "hy",
    "Georgian": "ka",
    "Hebrew": "he iw yi",
    "Arabic": "ar fa ps ur",
    "Devanagari": "hi mr ne sa",
    "Bengali": "as bn",
    "Gurmukhi": "pa",
    "Gujarati": "gu",
    "Oriya": "or",
    "Tamil": "ta",
    "Telugu": "te",
    "Kannada": "kn",
    "Malayalam": "ml",
    "Sinhala": "si",
    "Ethiopic": "am ti",
    "Thai": "th",
    "Lao": "lo",
    "Tibetan": "bo dz",
    "Myanmar": "my",
    "Khmer": "km",
    "Han": "zh yue lzh",
}
"""The languages of each script (ISO 639) that are written in no other one."""

_SEVERAL = {"ja": ("Han", "Hiragana", "Katakana"), "ko": ("Hangul", "Han")}

_MAIN_SHARE = 0.2
"""The share of the letters from which on a script is one of a side's, its language unknown."""

_WORDS = {
    "bg": "и на да не се в че за от е са това",
    "cs": "a se na je to že v s do jsem není ale jak",
    "da": "og at det er en af på ikke til med jeg som der har",
    "de": "der die das und ein eine ist nicht mit den von zu auf sich ich",
    "en": "the of and to in is that it for was with are this you not have",
    "es": "el la los las de que y un una es no por para con del se",
    "fi": "ja on ei se että hän oli mutta en ovat kun niin mitä",
    "fr": "le la les de des et un une du est que qui pour dans pas vous",
    "hu": "a az és nem hogy egy is ez van de meg volt csak",
    "id": "yang dan di tidak ini itu untuk dengan saya dari",
    "it": "il di che la un una per non sono con della gli nel le si",
    "nb": "og at det er en på ikke til med jeg som av har",
    "nl": "de het een en van ik niet dat is te zijn op voor met",
    "no": "og at det er en på ikke til med jeg som av har",
    "pl": "i w nie na się to jest z że do jak co ale od",
    "pt": "o os as de que e um uma não do da em para com se",
    "ro": "și de în nu la este un o cu pe să că din care",
    "ru": "и в не на что я с он как это по но",
    "sv": "och att det är en som på inte för med jag av den har",
    "tr": "bir ve bu da de için ne çok o ben var değil mi",
    "uk": "і в не на що я з він як це та",
    "vi": "là và của không có được cho một tôi người",
}
"""Some of the commonest words of languages, for those that share a script with another one here."""

_BUCKETS = 2**16
"""Counters of words, by their hashes; few common words share one."""

_SWAPPED_SHARE = 0.03
_SWAPPED_FACTOR = 3.0
_COMMON_SHARE = 0.001
_COMMON_WORDS = 4
"""The words of a language's list that a side is to have for it, each with this share of all."""


def expected_scripts(language: str, side: Sequence[int]) -> frozenset[str]:
    """The scripts that a side is to be written in.

    Args:
        language: the side's language code.
        side: its letters, by the number of their script; what most of them are of is expected of a
            language that is not known.
    """
    known = known_scripts(language)
    if known:
        return known

    total = max(1, sum(side))
    return frozenset(
        name for name, count in zip(SCRIPTS, side, strict=True) if count >= _MAIN_SHARE * total
    )


def known_scripts(language: str) -> frozenset[str]:
    """The scripts of a language; none for one that is not known, or is written in several ways."""
    code = base_language(language)
    several = _SEVERAL.get(code, ())
    return frozenset(several) | {
        script for script, codes in _SCRIPTS.items() if code in codes.split()
    }


class Vocabulary:
    """The words of the sources and the targets, counted in buckets.

    Attributes:
        counts: `[2, buckets]`: of the sources, of the targets.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((2, _BUCKETS))

    def add(self, pairs: Pairs) -> None:
        """Counts the words of some pairs."""
        for row, side in zip(self.counts, pairs.sides, strict=True):
            row += np.bincount(_buckets(side.tokens.hashes), minlength=_BUCKETS)

    def evidence(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """The logarithm of how much likelier each line is on its own side, two arrays `[N]`.

        The pairs are among those that were counted; a line's own words are not counted for it.
        """
        balance = np.log(self.counts.sum(axis=1) + _BUCKETS)
        sources, targets = self.counts
        return (
            _line_evidence(pairs.source.tokens, sources, targets, balance[1] - balance[0]),
            _line_evidence(pairs.target.tokens, targets, sources, balance[0] - balance[1]),
        )

    def likeness(self, other: Vocabulary) -> tuple[float, float]:
        """How alike two splits are, side by side and crosswise, from 0 to 2.

        Source: the Bhattacharyya coefficient of distributions, of both sides together.
        """
        own = np.sqrt(self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1))
        others = np.sqrt(other.counts / np.maximum(other.counts.sum(axis=1, keepdims=True), 1))
        return float((own * others).sum()), float((own * others[::-1]).sum())

    def other_language(self, side: int, language: str) -> str | None:
        """The language that a side has the commonest words of, if it is surely not its own.

        Args:
            side: 0 for the sources, 1 for the targets.
            language: the side's own; of one without a list of words nothing is known.
        """
        own = base_language(language)
        if own not in _WORDS:
            return None

        shares = self.counts[side] / max(self.counts[side].sum(), 1)
        found = None
        most = _SWAPPED_SHARE
        for other in _WORDS:
            here, there = _word_buckets(own, other)
            common = shares[list(there)]
            share = float(common.sum())
            # A single word may be a common one of many languages, as "a" is.
            if np.sum(common >= _COMMON_SHARE) < _COMMON_WORDS:
                continue
            if share > most and share > _SWAPPED_FACTOR * float(shares[list(here)].sum()):
                found = other
                most = share
        return found


def _line_evidence(
    tokens: Tokens, own: np.ndarray, other: np.ndarray, balance: float
) -> np.ndarray:
    weights = np.log(np.maximum(own - 1, 0) + 1) - np.log(other + 1) + balance
    return np.bincount(
        tokens.lines, weights=weights[_buckets(tokens.hashes)], minlength=len(tokens.counts)
    )


def _buckets(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(48)).astype(np.int64)


@functools.cache
def _word_buckets(first: str, second: str) -> tuple[frozenset[int], frozenset[int]]:
    """The buckets of the words that only the one or only the other language has in its list."""
    one = {word_hash(word) >> 48 for word in _WORDS[first].split()}
    other = {word_hash(word) >> 48 for word in _WORDS[second].split()}
    return frozenset(one - other), frozenset(other - one)


def script_totals(side: Side) -> np.ndarray:
    """The letters of a side by the number of their script, `[scripts]`."""
    totals = np.zeros(len(SCRIPTS), np.int64)
    for script, count in zip(side.scripts, side.letters.sum(axis=0), strict=True):
        totals[SCRIPTS.index(script)] += count
    return totals
