"""Text pairs to padded batches of ids: one tf.data pipeline, whatever the corpus."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from attention_nmt.checks import require
from attention_nmt.config import END, START, BatchConfig
from attention_nmt.data.buckets import rectangles
from attention_nmt.data.joining import draw_groups, join
from attention_nmt.data.tokenizer import Tokenizer

CHUNK = 1024
"""Pairs that are tokenized together."""

_JOINING = 2
"""Tells the draws of joined pairs from those of segmentations, which are of side 0 or 1."""

_MATRIX = tf.TensorSpec([None, None], tf.int32)
SIGNATURE = (
    {"source": _MATRIX, "target": _MATRIX},
    _MATRIX,
    tf.TensorSpec([None, None], tf.float32),
)
"""The type of a batch."""


class Shape(NamedTuple):
    """The static shape of a bucket's batches."""

    rows: int  # B
    source: int  # S
    target: int  # T


class Statistics(NamedTuple):
    """What one pass over a corpus found."""

    histogram: (
        np.ndarray
    )  # [maximum_length + 1, maximum_length + 1]: rows of batches by source and target length
    kept: int  # pairs that are trained on
    empty: int
    too_long: int
    uneven: int  # over the ratio

    def __str__(self) -> str:
        rows = int(self.histogram.sum())
        joined = f", joined to {rows}" if rows < self.kept else ""
        dropped = (
            f"{self.empty} empty, {self.too_long} too long, {self.uneven} of too unequal lengths"
        )
        return f"{self.kept} pairs{joined}; dropped: {dropped}"


class TrainingBatches:
    """The batches of a corpus, epoch by epoch. Which they are and their order is a function of
    `seed` and the epoch.

    Args:
        pairs: dataset of `(source, target)` strings, scalars.
        source_tokenizer, target_tokenizer: the same one twice where the vocabulary is shared.
        config: lengths, buckets, batch size.
        seed: of the order and of sampled segmentations.
        copies: how often a batch holds each of its pairs, copies `B / copies` rows apart; 2 is for
        `CrossEntropy` with
            a consistency.

    Raises:
        ValueError: no pair is left after filtering, the message says what was dropped; or a batch
        cannot hold `copies`
            of one pair.
    """

    def __init__(
        self,
        pairs: tf.data.Dataset,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        config: BatchConfig,
        seed: int = 1,
        copies: int = 1,
    ) -> None:
        self.pairs, self.config, self.seed, self.copies = pairs, config, seed, copies
        largest = (
            config.batch_size
            if config.batch_unit == "sentences"
            else config.batch_size // config.maximum_length
        )
        require(
            1 <= copies <= max(1, largest),
            "copies",
            f"from 1 to the {max(1, largest)} rows of a batch",
            copies,
        )
        self.source_tokenizer, self.target_tokenizer = source_tokenizer, target_tokenizer
        self.statistics = self._measure()
        require(
            self.statistics.kept > 0,
            "pairs",
            "a corpus with pairs to train on",
            str(self.statistics),
        )
        self.shapes = [
            Shape(self._rows(target), source, target)
            for source, target in rectangles(self.statistics.histogram, config.buckets)
        ]

    def _rows(self, target_length: int) -> int:
        config = self.config
        rows = (
            config.batch_size
            if config.batch_unit == "sentences"
            else max(1, config.batch_size // target_length)
        )
        return rows - rows % self.copies

    def epoch(self, number: int) -> tf.data.Dataset:
        """The batches `({"source" [B, S], "target" [B, T]}, labels [B, T], weights [B, T])` of one
        epoch."""
        return self._epochs()(number)

    def _epochs(self) -> Callable[[int], tf.data.Dataset]:
        """A function from an epoch's number to its batches, which are to be read before it is
        called again.

        It gives the same dataset each time, which asks for the number when it is iterated over:
        making one takes half a second or more, whatever the corpus.
        """
        current = [0]
        pairs = shuffle(self.pairs, self.config.shuffle_pairs, lambda: (self.seed, current[0]))
        rows = self._tokenize(pairs, lambda: current[0]).map(self._fit).unbatch()
        grouped = rows.group_by_window(
            lambda bucket, *_: bucket, self._pad, window_size_func=self._window
        )
        dataset = untuned(grouped.prefetch(16))

        def epoch(number: int) -> tf.data.Dataset:
            current[0] = number
            return dataset

        return epoch

    def stream(self, epoch: int, skip: int, began: Callable[[int], None]) -> tf.data.Dataset:
        """The batches from a position on, without end.

        Args:
            epoch, skip: the position: an epoch and how many of its batches to leave out.
            began: called with the number of batches before each later epoch, counted from the
            position, when the last
                batch before it has been taken.
        """

        def generate() -> Iterator[Any]:
            epochs, left_out, position = self._epochs(), skip, 0
            for number in itertools.count(epoch):
                batches = epochs(number)
                for batch in (batches.skip(left_out) if left_out else batches).as_numpy_iterator():
                    yield batch
                    position += 1
                left_out = 0
                began(position)

        return untuned(
            tf.data.Dataset.from_generator(generate, output_signature=SIGNATURE).prefetch(4)
        )

    def dataset(self) -> tf.data.Dataset:
        """One dataset for `fit`: each time that it is iterated over, it gives the next epoch.

        Only once one is over may the next one begin. Epochs with sampled segmentations or joined
        pairs differ by some batches; `fit` takes no more of any epoch than of its first, so that a
        few may be left out. `stream` with `steps_per_epoch` leaves out none.
        """
        numbers, epochs = itertools.count(), self._epochs()
        epoch = lambda: epochs(next(numbers)).as_numpy_iterator()  # noqa: E731
        return untuned(
            tf.data.Dataset.from_generator(epoch, output_signature=SIGNATURE).prefetch(4)
        )

    def _tokenize(self, pairs: tf.data.Dataset, epoch: Callable[[], int]) -> tf.data.Dataset:
        """Chunks: pairs of ids with the end symbol, ragged `[m, S]` and `[m, T]`, and the fate
        `[n]` of those read."""
        sides = (0,) if self.config.sampled_sides == "source" else (0, 1)
        sampled = sides if self.config.sampling_alpha else ()

        def tokenize(index: tf.Tensor, texts: tuple[tf.Tensor, tf.Tensor]) -> tuple:
            ids = [
                self._sample(epoch, index, texts[side], side)
                if side in sampled
                else tokenizer.tokenize(texts[side])
                for side, tokenizer in enumerate((self.source_tokenizer, self.target_tokenizer))
            ]
            fate = self._fate(ids[0], ids[1], self._wordy(texts))
            kept = [tf.ragged.boolean_mask(side, fate == 0) for side in ids]
            if self.config.joined_pairs > 1:
                kept = self._join(epoch, index, kept)
            return *map(_end, kept), fate

        return pairs.rebatch(CHUNK).enumerate().map(tokenize)

    def _join(
        self, epoch: Callable[[], int], index: tf.Tensor, sides: list[tf.RaggedTensor]
    ) -> list[tf.RaggedTensor]:
        most, longest = self.config.joined_pairs, self.config.maximum_length - 1

        def draw(index: np.ndarray, lengths: np.ndarray) -> np.ndarray:
            return draw_groups(lengths, most, longest, (self.seed, epoch(), int(index), _JOINING))

        lengths = tf.stack([side.row_lengths() for side in sides], axis=-1)
        groups = tf.ensure_shape(tf.numpy_function(draw, [index, lengths], tf.int64), [None])
        return [join(side, groups) for side in sides]

    def _sample(
        self, epoch: Callable[[], int], index: tf.Tensor, texts: tf.Tensor, side: int
    ) -> tf.RaggedTensor:
        tokenizer = (self.source_tokenizer, self.target_tokenizer)[side]

        def draw(index: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            seed = (self.seed, epoch(), int(index), side)
            lines = tokenizer.sample(texts.tolist(), seed, self.config.sampling_alpha)
            flat = np.fromiter((i for line in lines for i in line), np.int32)
            return flat, np.array([len(line) for line in lines], np.int64)

        flat, lengths = tf.numpy_function(draw, [index, texts], [tf.int32, tf.int64])
        return tf.RaggedTensor.from_row_lengths(
            tf.ensure_shape(flat, [None]), tf.ensure_shape(lengths, [None])
        )

    def _wordy(self, texts: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Which pairs have more than `maximum_words` on a side."""
        if not self.config.maximum_words:
            return tf.fill(tf.shape(texts[0]), False)
        words = tf.stack([tf.strings.split(text).row_lengths() for text in texts])
        return tf.reduce_max(words, axis=0) > self.config.maximum_words

    def _fate(
        self, source: tf.RaggedTensor, target: tf.RaggedTensor, wordy: tf.Tensor
    ) -> tf.Tensor:
        """Of each pair, without end symbols: 0 keep, 1 empty, 2 too long, 3 of too unequal
        lengths."""
        lengths = 1 + tf.stack([source.row_lengths(), target.row_lengths()])
        short, long = tf.reduce_min(lengths, axis=0), tf.reduce_max(lengths, axis=0)
        uneven = tf.cast(long, tf.float32) > self.config.maximum_ratio * tf.cast(short, tf.float32)
        fate = tf.where(uneven, 3, 0)
        fate = tf.where(wordy | (long > self.config.maximum_length), 2, fate)
        return tf.where(short == 1, 1, fate)

    def _fit(
        self, source: tf.RaggedTensor, target: tf.RaggedTensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """The bucket `[m]` and both sides `[m, maximum_length]` of a chunk.

        All that depends on lengths is done here: functions that tf.data called for each pair took
        ten times as long as tokenizing it.
        """
        lengths = tf.stack([source.row_lengths(), target.row_lengths()], axis=-1)
        fits = tf.reduce_all(lengths[:, None] <= [shape[1:] for shape in self.shapes], axis=-1)
        width = [None, self.config.maximum_length]
        return (
            tf.argmax(tf.cast(fits, tf.int32), axis=-1),
            source.to_tensor(shape=width),
            target.to_tensor(shape=width),
        )

    def _measure(self) -> Statistics:
        """One pass over the corpus, in its own order; what each epoch draws is drawn once."""
        size = self.config.maximum_length + 1
        histogram, fates = np.zeros((size, size), np.int64), np.zeros(4, np.int64)
        chunks = self._tokenize(self.pairs.batch(CHUNK), lambda: 0)
        lengths = chunks.map(
            lambda source, target, fate: (source.row_lengths(), target.row_lengths(), fate)
        )
        for source, target, fate in untuned(lengths).as_numpy_iterator():
            np.add.at(histogram, (source, target), 1)
            fates += np.bincount(fate, minlength=4)
        return Statistics(histogram, *map(int, fates))

    def _window(self, bucket: tf.Tensor) -> tf.Tensor:
        return tf.constant([shape.rows // self.copies for shape in self.shapes], tf.int64)[bucket]

    def _pad(self, bucket: tf.Tensor, window: tf.data.Dataset) -> tf.data.Dataset:
        shape = tf.constant(self.shapes, tf.int32)[bucket]
        count = shape[0] // self.copies

        def batch(_: tf.Tensor, source: tf.Tensor, labels: tf.Tensor) -> tuple:
            sides = (
                _rows(ids, count, self.copies)
                for ids in (source[:, : shape[1]], labels[:, : shape[2]])
            )
            return _batch(*sides)

        return window.batch(tf.cast(count, tf.int64)).map(batch)


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same dataset, not tuned: there is nothing to tune here, and what tunes takes up to a
    minute to end.

    In TensorFlow 2.21 an iterator that has been read to its end after more than some ten seconds
    waits for the next time at which its tuning would look at it, and that is after as long again,
    at most a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def shuffle(
    pairs: tf.data.Dataset, size: int, seed: Callable[[], tuple[int, int]]
) -> tf.data.Dataset:
    """Batches of `size` consecutive elements, each in random order.

    Unlike `tf.data.Dataset.shuffle`, whose order follows the global seed too, this depends on
    `seed` alone, which is called when a batch is drawn.
    """

    def words() -> np.ndarray:
        return np.random.SeedSequence(seed()).generate_state(2).astype(np.int32)

    def permute(index: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        positions = tf.range(tf.shape(batch[0])[0])
        drawn_words = tf.ensure_shape(tf.numpy_function(words, [], tf.int32), [2])
        drawn = tf.random.experimental.stateless_shuffle(
            positions, seed=drawn_words + tf.cast(index, tf.int32)
        )
        return tuple(tf.gather(part, drawn) for part in batch)

    return pairs.batch(size).enumerate().map(permute)


def _end(ids: tf.RaggedTensor) -> tf.RaggedTensor:
    """Appends the end symbol to each row."""
    return tf.concat([ids, tf.fill([ids.nrows(), 1], END)], axis=1)


def _rows(ids: tf.Tensor, count: int, copies: int) -> tf.Tensor:
    """Ids of `count` rows, `copies` times; the last batch of a bucket gets rows of padding, to
    have others' shape."""
    return tf.tile(tf.pad(ids, [[0, count - tf.shape(ids)[0]], [0, 0]]), [copies, 1])


def _batch(
    source: tf.Tensor, labels: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    """What `fit` takes."""
    shifted = tf.concat([tf.fill([tf.shape(labels)[0], 1], START), labels[:, :-1]], axis=1)
    target = tf.where((labels == 0) | (shifted == END), 0, shifted)
    target = tf.concat([shifted[:, :1], target[:, 1:]], axis=1)
    return {"source": source, "target": target}, labels, tf.cast(labels != 0, tf.float32)
