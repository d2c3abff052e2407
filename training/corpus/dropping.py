"""What a training would drop of a corpus, found by a vocabulary that is trained on a sample."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..presets import TrainConfig
from .reading import Chunk
from .report import DroppedReport

if TYPE_CHECKING:
    from attention_nmt.data.tokenizer import Tokenizer

SAMPLE = 2**21
"""The most characters of a sample, of both sides."""


_LEAST_VOCABULARY = 300


class Sample:
    """Some pairs of a split, the same ones each time.

    Args:
        most: the most characters.

    Attributes:
        seen: the pairs that it was drawn from.
    """

    def __init__(self, most: int = SAMPLE) -> None:
        self.seen = 0
        self._most = most
        self._level = 0
        self._characters = 0
        self._pairs: list[tuple[int, str, str]] = []

    def add(self, chunk: Chunk) -> None:
        """Draws from a chunk."""
        for source, target in chunk.pairs():
            self.seen += 1
            self._add(zlib.crc32(f"{self.seen} {source}".encode()), source, target)

        while self._characters > self._most:
            self._level += 1
            pairs = self._pairs
            self._pairs = []
            self._characters = 0
            for pair in pairs:
                self._add(*pair)

    def _add(self, number: int, source: str, target: str) -> None:
        """Adds a pair, if the number that it has drawn is small enough."""
        if not number >> (32 - self._level):
            self._pairs.append((number, source, target))
            self._characters += len(source) + len(target)

    def pairs(self) -> list[tuple[str, str]]:
        """The pairs, in the order of the split."""
        return [(source, target) for _, source, target in self._pairs]


def dropped(sample: Sample, config: TrainConfig) -> DroppedReport:
    """Counts what a training with these settings drops of a sample.

    Its vocabulary is trained on the sample alone, so that lengths in pieces are not quite those of
    a training.
    """
    import tensorflow as tf

    from attention_nmt.data.chunks import ChunkTokenizer

    pairs = sample.pairs()
    whole = len(pairs) == sample.seen
    sources = [source for source, _ in pairs]
    targets = [target for _, target in pairs]
    sides = [sources + targets] if config.shared_vocabulary else [sources, targets]

    try:
        tokenizers = [_tokenizer(side, config, whole) for side in sides]
    except ValueError as error:
        return _unknown(len(pairs), whole, str(error))

    counter = ChunkTokenizer(tokenizers[0], tokenizers[-1], config.batches, config.seed)
    found = counter.statistics(tf.data.Dataset.from_tensor_slices((sources, targets)))
    return DroppedReport(
        pairs=len(pairs),
        whole=whole,
        kept=found.kept,
        empty=found.empty,
        too_long=found.too_long,
        uneven=found.uneven,
        note="",
    )


def _tokenizer(texts: Sequence[str], config: TrainConfig, whole: bool) -> Tokenizer:
    """A tokenizer of the size of the training's, or of a smaller one that a sample supports."""
    from attention_nmt.data.tokenizer import Tokenizer

    size = config.vocabulary_size
    while True:
        try:
            with warnings.catch_warnings():
                # Lines that are left out are warned of with their numbers.
                warnings.simplefilter("ignore")
                return Tokenizer.train(texts, size, config.character_coverage, config.normalization)
        except ValueError:
            if whole or size < _LEAST_VOCABULARY:
                raise
        size = size * 3 // 4


def _unknown(pairs: int, whole: bool, note: str) -> DroppedReport:
    return DroppedReport(pairs=pairs, whole=whole, kept=0, empty=0, too_long=0, uneven=0, note=note)
