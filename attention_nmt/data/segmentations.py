"""Random segmentations of words into pieces: subword regularization.

Source: Kudo (2018), arXiv 1804.10959, section 3.
"""

from __future__ import annotations

import functools
import itertools
from array import array
from bisect import bisect
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sentencepiece

from attention_nmt.data.normalization import SPACE

SEGMENTATIONS = 32
"""The number of segmentations of a word that sampling chooses from."""

REMEMBERED_WORDS = 50_000
"""Words whose segmentations are kept, those that were drawn last; 1 to 2 KB each."""

LONGEST_REMEMBERED = 50
"""The longest word that is kept, in characters.

A longer one is likely a sentence of a language without spaces, and rare.
"""


SEPARATOR = "\x01"
"""A character that every normalization with rules drops."""


class Segmentations(NamedTuple):
    """The likeliest segmentations of a word, and how likely each is drawn."""

    ids: array[int]
    """The pieces of all segmentations, one after another."""
    bounds: array[int]
    """Segmentation `n` is `ids[bounds[n] : bounds[n + 1]]`."""
    cumulative: array[float]
    """The cumulative probabilities of all segmentations but the last."""

    def at(self, number: float) -> list[int]:
        """The pieces of the segmentation that a number from 0 to 1 falls on."""
        drawn = bisect(self.cumulative, number)

        return self.ids[self.bounds[drawn] : self.bounds[drawn + 1]].tolist()


class SegmentationSampler:
    """Draws segmentations of words.

    Args:
        processor: the SentencePiece model.
    """

    def __init__(self, processor: sentencepiece.SentencePieceProcessor) -> None:
        self._processor = processor
        self.remembered = functools.lru_cache(maxsize=REMEMBERED_WORDS)(self.segmentations)

    def sample(
        self, lines: Sequence[Sequence[str]], seed: Sequence[int], alpha: float
    ) -> list[list[int]]:
        """Draws a segmentation of each word; gives the pieces of each line.

        Args:
            lines: the words of each line.
            seed: integers; the same ones give the same segmentations in any process.
            alpha: a word's segmentation is drawn with probability proportional to `p ** alpha`.
        """
        count = sum(len(words) for words in lines)
        draws = iter(np.random.default_rng(list(seed)).random(count).tolist())
        sampled = []

        for words in lines:
            pieces: list[int] = []
            for word in words:
                pieces += self._known(word, alpha).at(next(draws))
            sampled.append(pieces)

        return sampled

    def _known(self, word: str, alpha: float) -> Segmentations:
        if len(word) <= LONGEST_REMEMBERED:
            return self.remembered(word, alpha)

        return self.segmentations(word, alpha)

    def segmentations(self, word: str, alpha: float) -> Segmentations:
        """The likeliest segmentations of a normalized word, drawn by `p ** alpha`."""
        # SentencePiece normalizes it again. Where that would compose a letter with a mark that a
        # dropped character stood between, something has to stand between them.
        if self._processor.normalize(word).lstrip(SPACE) != word:
            word = SEPARATOR.join(word)
        found = self._processor.nbest_encode_as_ids(word, SEGMENTATIONS)

        scores = np.array([sum(map(self._processor.get_score, ids)) for ids in found])
        weights = np.exp(alpha * (scores - scores.max()))
        cumulative = np.cumsum(weights) / weights.sum()

        return Segmentations(
            ids=array("i", itertools.chain(*found)),
            bounds=array("i", itertools.accumulate(map(len, found), initial=0)),
            cumulative=array("d", cumulative[:-1]),
        )
