"""What a training would drop of a corpus, found by a vocabulary that is trained on a sample."""

from __future__ import annotations

import zlib

from ..presets import TrainConfig
from .reading import Chunk
from .report import DroppedReport

SAMPLE = 20_000
"""The most pairs of a sample."""


class Sample:
    """Some pairs of a split, drawn by their texts: the same ones each time.

    Args:
        most: the most pairs.

    Attributes:
        seen: the pairs that it was drawn from.
    """

    def __init__(self, most: int = SAMPLE) -> None:
        self.seen = 0
        self._most = most
        self._level = 0
        self._pairs: list[tuple[int, str, str]] = []

    def add(self, chunk: Chunk) -> None:
        """Draws from a chunk."""
        for source, target in chunk.pairs():
            self.seen += 1
            # The number is drawn along, so that copies of a pair are drawn one by one.
            number = zlib.crc32(f"{self.seen} {source}".encode())
            if not number >> (32 - self._level):
                self._pairs.append((number, source, target))

        while len(self._pairs) > self._most:
            self._level += 1
            self._pairs = [pair for pair in self._pairs if not pair[0] >> (32 - self._level)]

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
    from attention_nmt.data.tokenizer import Tokenizer

    pairs = sample.pairs()
    whole = len(pairs) == sample.seen
    sources = [source for source, _ in pairs]
    targets = [target for _, target in pairs]
    sides = [sources + targets] if config.shared_vocabulary else [sources, targets]

    try:
        tokenizers = [
            Tokenizer.train(side, config.vocabulary_size, config.character_coverage)
            for side in sides
        ]
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


def _unknown(pairs: int, whole: bool, note: str) -> DroppedReport:
    return DroppedReport(pairs=pairs, whole=whole, kept=0, empty=0, too_long=0, uneven=0, note=note)
