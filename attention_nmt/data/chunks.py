"""Text pairs to ids, a thousand at a time: tokenized, filtered, joined, with an end symbol."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from attention_nmt.config import BatchConfig
from attention_nmt.data.capitals import recased_pairs
from attention_nmt.data.examples import framed
from attention_nmt.data.joining import draw_groups, join
from attention_nmt.data.pipeline import as_written, untuned
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import MAXIMUM_CHARACTERS, Tokenizer

CHUNK = 1024
"""The pairs that are tokenized together."""

Epoch = Callable[[], int]
"""Gives the number of the epoch that is read."""


class Draw(enum.IntEnum):
    """What is drawn at random; each has a seed of its own."""

    SOURCE_SEGMENTATION = 0
    TARGET_SEGMENTATION = 1
    JOINING = 2
    CAPITALS = 3


class Outcome(enum.IntEnum):
    """What becomes of a pair: it is kept, or dropped for a reason.

    Of several reasons the first one counts.
    """

    KEPT = 0
    EMPTY = 1
    TOO_LONG = 2
    UNEVEN = 3


class Statistics(NamedTuple):
    """The findings of one pass over a corpus."""

    histogram: np.ndarray
    """Rows of batches by source and target length, `[maximum_length + 1, maximum_length + 1]`."""
    kept: int
    """Pairs that are trained on."""
    empty: int
    """Pairs that were dropped because a side is empty."""
    too_long: int
    """Pairs that were dropped because a side has too many pieces, words or characters."""
    uneven: int
    """Pairs that were dropped because one side is too many times as long as the other."""

    def __str__(self) -> str:
        rows = int(self.histogram.sum())
        joined = f", joined to {rows}" if rows < self.kept else ""
        too_long = f"{self.too_long} too long"
        uneven = f"{self.uneven} of too unequal lengths"

        return f"{self.kept} pairs{joined}; dropped: {self.empty} empty, {too_long}, {uneven}"


class Chunk(NamedTuple):
    """Pairs of ids, end symbols included."""

    source: tf.RaggedTensor  # [M, (S)]
    target: tf.RaggedTensor  # [M, (T)]
    outcomes: tf.Tensor  # [N] int32: the `Outcome` of each pair that was read


class ChunkTokenizer:
    """Turns text pairs into chunks of ids.

    Args:
        source_tokenizer: the tokenizer of the sources.
        target_tokenizer: the tokenizer of the targets.
        config: lengths, sampling and joining.
        seed: decides, with the epoch, what is drawn.
    """

    def __init__(
        self,
        source_tokenizer: SourceTokenizer,
        target_tokenizer: Tokenizer,
        config: BatchConfig,
        seed: int,
    ) -> None:
        self._source_tokenizer = source_tokenizer
        self._target_tokenizer = target_tokenizer
        self._config = config
        self._seed = seed
        self._prefix = len(source_tokenizer.source_prefix)

    def chunks(self, pairs: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        """A dataset of `Chunk`s, in the order of the pairs.

        Args:
            pairs: batches of `(source, target)` strings, of any size.
            epoch: gives the number of the epoch; called when a chunk is made.
        """

        @as_written
        def make(index: tf.Tensor, texts: tuple[tf.Tensor, tf.Tensor]) -> Chunk:
            overlong = _overlong(texts)
            # A line of megabytes would take minutes to be tokenized.
            texts = (tf.where(overlong, "", texts[0]), tf.where(overlong, "", texts[1]))
            if self._config.capitals:
                texts = self._recased(texts, index, epoch)
            source = self._source_pieces(texts[0], index, epoch)
            target = self._target_pieces(texts[1], index, epoch)

            outcomes = self._outcomes(source, target, texts)
            outcomes = tf.where(overlong, Outcome.TOO_LONG.value, outcomes)
            kept = outcomes == Outcome.KEPT.value
            source = tf.ragged.boolean_mask(source, kept)
            target = tf.ragged.boolean_mask(target, kept)

            if self._config.joined_pairs > 1:
                groups = self._groups(source, target, index, epoch)
                source = join(source, groups)
                target = join(target, groups)

            source_end = self._source_tokenizer.special.end
            return Chunk(
                framed(source, self._source_tokenizer.source_prefix, source_end),
                framed(target, (), self._target_tokenizer.special.end),
                outcomes,
            )

        return pairs.rebatch(CHUNK).enumerate().map(make)

    def statistics(self, pairs: tf.data.Dataset) -> Statistics:
        """Counts in one pass over a corpus, in its own order; what each epoch draws is drawn once.

        Args:
            pairs: dataset of `(source, target)` strings, scalars.
        """
        size = self._config.maximum_length + 1
        histogram = np.zeros((size, size), np.int64)
        counts = np.zeros(len(Outcome), np.int64)

        @as_written
        def lengths(chunk: Chunk) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            return chunk.source.row_lengths(), chunk.target.row_lengths(), chunk.outcomes

        measured = self.chunks(pairs.batch(CHUNK), lambda: 0).map(lengths)
        for source, target, outcomes in untuned(measured).as_numpy_iterator():
            np.add.at(histogram, (source, target), 1)
            counts += np.bincount(outcomes, minlength=len(Outcome))

        return Statistics(
            histogram=histogram,
            kept=int(counts[Outcome.KEPT]),
            empty=int(counts[Outcome.EMPTY]),
            too_long=int(counts[Outcome.TOO_LONG]),
            uneven=int(counts[Outcome.UNEVEN]),
        )

    def _recased(
        self, texts: tuple[tf.Tensor, tf.Tensor], index: tf.Tensor, epoch: Epoch
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The texts `[N]` of both sides, some of them in capitals or in title case."""

        def draw(index: np.ndarray, *sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            decoded = [[text.decode(errors="replace") for text in side.tolist()] for side in sides]
            seed = (self._seed, epoch(), int(index), Draw.CAPITALS.value)
            pairs = recased_pairs(list(zip(*decoded, strict=True)), self._config.capitals, seed)
            source = np.array([text.encode() for text, _ in pairs], object)

            return source, np.array([text.encode() for _, text in pairs], object)

        source, target = tf.numpy_function(draw, [index, *texts], [tf.string, tf.string])

        return tf.ensure_shape(source, [None]), tf.ensure_shape(target, [None])

    def _source_pieces(self, texts: tf.Tensor, index: tf.Tensor, epoch: Epoch) -> tf.RaggedTensor:
        drawn = self._config.sampling_alpha and self._source_tokenizer.draws
        if not drawn:
            return self._source_tokenizer.graph.tokenize(texts)

        def seed(index: int) -> tuple[int, ...]:
            return self._seed, epoch(), index, Draw.SOURCE_SEGMENTATION.value

        return self._sampled(self._source_tokenizer, texts, index, seed)

    def _target_pieces(self, texts: tf.Tensor, index: tf.Tensor, epoch: Epoch) -> tf.RaggedTensor:
        if not self._config.sampling_alpha or self._config.sampled_sides == "source":
            return self._target_tokenizer.tokenize(texts)

        def seed(index: int) -> tuple[int, ...]:
            return self._seed, epoch(), index, Draw.TARGET_SEGMENTATION.value

        return self._sampled(self._target_tokenizer, texts, index, seed)

    def _sampled(
        self,
        tokenizer: SourceTokenizer,
        texts: tf.Tensor,
        index: tf.Tensor,
        seed: Callable[[int], tuple[int, ...]],
    ) -> tf.RaggedTensor:
        """Random segmentations `[N, (L)]` of texts `[N]`."""

        def draw(index: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            alpha = self._config.sampling_alpha
            lines = tokenizer.sample(texts.tolist(), seed(int(index)), alpha)
            flat = np.fromiter((piece for line in lines for piece in line), np.int32)

            return flat, np.array([len(line) for line in lines], np.int64)

        flat, lengths = tf.numpy_function(draw, [index, texts], [tf.int32, tf.int64])
        flat = tf.ensure_shape(flat, [None])
        lengths = tf.ensure_shape(lengths, [None])

        return tf.RaggedTensor.from_row_lengths(flat, lengths)

    def _outcomes(
        self,
        source: tf.RaggedTensor,
        target: tf.RaggedTensor,
        texts: tuple[tf.Tensor, tf.Tensor],
    ) -> tf.Tensor:
        """The `Outcome` of each pair `[N]`, of pieces without prefixes and end symbols."""
        # With those, as limits count lengths.
        pieces = tf.stack([source.row_lengths(), target.row_lengths()])
        lengths = 1 + pieces + tf.constant([[self._prefix], [0]], tf.int64)
        shorter = tf.reduce_min(lengths, axis=0)
        longer = tf.reduce_max(lengths, axis=0)

        most = self._config.maximum_ratio * tf.cast(shorter, tf.float32)
        uneven = tf.cast(longer, tf.float32) > most
        too_long = self._too_many_words(texts) | (longer > self._config.maximum_length)
        empty = tf.reduce_min(pieces, axis=0) == 0

        outcomes = tf.where(uneven, Outcome.UNEVEN.value, Outcome.KEPT.value)
        outcomes = tf.where(too_long, Outcome.TOO_LONG.value, outcomes)

        return tf.where(empty, Outcome.EMPTY.value, outcomes)

    def _too_many_words(self, texts: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Which pairs `[N]` have more than `maximum_words` on a side."""
        if not self._config.maximum_words:
            return tf.fill(tf.shape(texts[0]), False)

        words = tf.stack([tf.strings.split(text).row_lengths() for text in texts])

        return tf.reduce_max(words, axis=0) > self._config.maximum_words

    def _groups(
        self, source: tf.RaggedTensor, target: tf.RaggedTensor, index: tf.Tensor, epoch: Epoch
    ) -> tf.Tensor:
        """The number of the group of each pair `[M]`: pairs of one group become one."""

        def draw(index: np.ndarray, lengths: np.ndarray) -> np.ndarray:
            longest = self._config.maximum_length - 1 - self._prefix
            seed = (self._seed, epoch(), int(index), Draw.JOINING.value)

            return draw_groups(lengths, self._config.joined_pairs, longest, seed)

        lengths = tf.stack([source.row_lengths(), target.row_lengths()], axis=-1)
        groups = tf.numpy_function(draw, [index, lengths], tf.int64)

        return tf.ensure_shape(groups, [None])


def _overlong(texts: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """The pairs `[N]` with more than `MAXIMUM_CHARACTERS` on a side."""
    lengths = tf.stack([tf.strings.length(text, unit="UTF8_CHAR") for text in texts])

    return tf.reduce_max(lengths, axis=0) > MAXIMUM_CHARACTERS
