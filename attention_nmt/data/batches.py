"""Text pairs to padded batches of ids: one tf.data pipeline, whatever the corpus.

pairs of strings                          the corpus
  -> shuffled                             `pipeline.shuffle`
  -> chunks of ids                        `chunks.ChunkTokenizer`: tokenized, filtered, joined
  -> rows with the number of their bucket `_with_buckets`
  -> rows of one bucket together          `group_by_window`
  -> padded batches for `fit`             `_padded`, `examples.example`

For `evaluate` and `predict` nothing is shuffled or drawn, and no row is padding: `evaluation`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from attention_nmt.checks import require, require_type
from attention_nmt.config import BatchConfig
from attention_nmt.data.buckets import rectangles
from attention_nmt.data.chunks import CHUNK, Chunk, ChunkTokenizer, Epoch, Statistics
from attention_nmt.data.examples import example
from attention_nmt.data.pipeline import as_written, shuffle, untuned
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import Tokenizer

_IDS = tf.TensorSpec([None, None], tf.int32)

SIGNATURE = (
    {"source": _IDS, "target": _IDS},
    _IDS,
    tf.TensorSpec([None, None], tf.float32),
)
"""The type of a batch."""


class Shape(NamedTuple):
    """The static shape of a bucket's batches."""

    rows: int  # B
    source: int  # S
    target: int  # T


class TrainingBatches:
    """The batches of a corpus, epoch by epoch.

    Their content and their order are a function of `seed` and the epoch.

    Args:
        pairs: dataset of `(source, target)` strings, scalars.
        source_tokenizer: the tokenizer of the sources.
        target_tokenizer: the tokenizer of the targets; the same one where the vocabulary is shared.
        config: lengths, buckets, batch size.
        seed: decides the order, sampled segmentations and joined pairs.
        copies: the number of times that a batch holds each of its pairs; 2 is for `CrossEntropy`
            with a consistency.
        parts: the number of equal parts, one behind another, into which a batch can be cut. All
            copies of a pair are in one part, `B / parts / copies` rows apart. The pairs of a batch
            are those of one without parts; where they leave a part short, it has rows of padding.

    Attributes:
        shapes: the shapes of the batches, a bucket each, from the cheapest to the dearest.
        statistics: the findings of the pass over the corpus that determined them.

    Raises:
        ValueError: no pair is left after filtering, the message says what was dropped; or a batch
            cannot hold `copies` of one pair; or `parts` is below 1.
        TypeError: an argument is something else, or the pairs are no scalar strings.

    Example:

    ```python
    config = BatchConfig(batch_size=64)
    batches = TrainingBatches(pairs, tokenizer, tokenizer, config)
    dev = TrainingBatches(dev_pairs, tokenizer, tokenizer, config)
    model.fit(batches.dataset(), epochs=3, validation_data=dev.evaluation())
    ```
    """

    def __init__(
        self,
        pairs: tf.data.Dataset,
        source_tokenizer: SourceTokenizer,
        target_tokenizer: Tokenizer,
        config: BatchConfig,
        *,
        seed: int = 1,
        copies: int = 1,
        parts: int = 1,
    ) -> None:
        _check_pairs(pairs)
        _check_tokenizer("source_tokenizer", source_tokenizer)
        _check_tokenizer("target_tokenizer", target_tokenizer)
        require_type(isinstance(config, BatchConfig), "config", "a BatchConfig", config)

        self.pairs = pairs
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.config = config
        self.seed = seed
        self.copies = copies
        self.parts = parts

        require(parts >= 1, "parts", "at least 1", parts)
        most = max(1, self._whole_rows(config.maximum_length))
        allowed = f"from 1 to the {most} rows of a batch"
        require(1 <= copies <= most, "copies", allowed, copies)

        self._tokenizer = ChunkTokenizer(source_tokenizer, target_tokenizer, config, seed)
        self.statistics = self._counted(self._tokenizer)

        sides = rectangles(self.statistics.histogram, config.buckets)
        self.shapes = [
            Shape(self._rows(self._pairs(target)), source, target) for source, target in sides
        ]

    def epoch(self, number: int) -> tf.data.Dataset:
        """The batches `({"source" [B, S], "target" [B, T]}, labels [B, T], weights [B, T])`."""
        return self._declared(self._epochs()(number))

    def stream(self, epoch: int, skip: int, began: Callable[[int], None]) -> tf.data.Dataset:
        """The batches from a position on, without end.

        Args:
            epoch: the epoch of the position.
            skip: the number of its batches to leave out.
            began: called with the number of batches before each later epoch, counted from the
                position, when the last batch before it has been taken.
        """

        def generate() -> Iterator[Any]:
            epochs = self._epochs()
            position = 0
            left_out = skip

            for number in itertools.count(epoch):
                batches = epochs(number)
                if left_out:
                    batches = batches.skip(left_out)
                    left_out = 0

                for batch in batches.as_numpy_iterator():
                    yield batch
                    position += 1

                began(position)

        batches = tf.data.Dataset.from_generator(generate, output_signature=SIGNATURE)

        return self._declared(untuned(batches.prefetch(4)))

    def dataset(self, first_epoch: int = 0) -> tf.data.Dataset:
        """One dataset for `fit`: each time that it is iterated over, it gives the next epoch.

        One that was left before its last batch is given again: Keras looks at the first batch
        before it trains. Only once one is over may the next one begin. All have `batches_per_epoch`
        batches, as the dataset's cardinality says. Where segmentations, joined pairs or capitals
        are drawn, epochs differ by some batches: of a longer one the last are left out, of a
        shorter one the first come again. `stream` with `steps_per_epoch` leaves out none.

        Args:
            first_epoch: the epoch to begin with: of a training that goes on, the number of epochs
                behind it, which is its `initial_epoch`.

        Raises:
            ValueError: `first_epoch` is below 0.
        """
        require(first_epoch >= 0, "first_epoch", "at least 0", first_epoch)
        number = first_epoch
        epochs = self._epochs()
        count = self.batches_per_epoch

        def generate() -> Iterator[Any]:
            nonlocal number
            twice = itertools.repeat(epochs(number), 2)
            batches = itertools.chain.from_iterable(map(tf.data.Dataset.as_numpy_iterator, twice))

            for index, batch in enumerate(itertools.islice(batches, count), 1):
                # Who takes the last batch may not ask for the end.
                if index == count:
                    number += 1
                yield batch

        # Nothing is made before it is asked for: the epoch is over when its last batch is taken.
        batches = tf.data.Dataset.from_generator(generate, output_signature=SIGNATURE)
        batches = batches.apply(tf.data.experimental.assert_cardinality(count))

        return self._declared(untuned(batches))

    def evaluation(self) -> tf.data.Dataset:
        """The pairs for `evaluate` and `predict`: each once, in the order of the corpus.

        Nothing is drawn, and no row is padding, so that the last batch may have fewer rows: row `i`
        of a prediction is that of pair `i` of those that the config keeps. All batches are as wide
        as the longest pair, so that a prediction is one array `[N, T, V]`. Each time that the
        dataset is iterated over it gives the same.

        Pairs that the config drops are not in it; `statistics` says how many, if nothing is drawn.
        """
        config = dataclasses.replace(self.config, sampling_alpha=0.0, joined_pairs=1, capitals=0.0)
        tokenizer = ChunkTokenizer(self.source_tokenizer, self.target_tokenizer, config, self.seed)
        drawn = config != self.config
        statistics = self._counted(tokenizer) if drawn else self.statistics
        source, target = (int(axis.max()) for axis in np.nonzero(statistics.histogram))
        rows = max(1, self._whole_rows(target))

        @as_written
        def padded(chunk: Chunk) -> tuple[tf.Tensor, tf.Tensor]:
            return self._dense(chunk, source, target)

        @as_written
        def batch(source: tf.Tensor, labels: tf.Tensor) -> tuple:
            return example(source, labels, self.target_tokenizer.special)

        chunks = tokenizer.chunks(self.pairs.batch(CHUNK), lambda: 0)
        batches = chunks.map(padded).unbatch().batch(rows).map(batch)
        count = -(-statistics.kept // rows)

        batches = batches.apply(tf.data.experimental.assert_cardinality(count))

        return self._declared(untuned(batches.prefetch(4)))

    @property
    def batches_per_epoch(self) -> int:
        """The batches of an epoch; where lengths are drawn, those of the lengths drawn first."""
        counts = [0] * len(self.shapes)
        for source, target in np.argwhere(self.statistics.histogram):
            fits = (source <= shape.source and target <= shape.target for shape in self.shapes)
            bucket = next(index for index, holds in enumerate(fits) if holds)
            counts[bucket] += int(self.statistics.histogram[source, target])

        pairs = [self._pairs(shape.target) for shape in self.shapes]

        return sum(-(-count // each) for count, each in zip(counts, pairs, strict=True))

    def _counted(self, tokenizer: ChunkTokenizer) -> Statistics:
        """The findings of a pass over the corpus, of which something must be left.

        Raises:
            ValueError: nothing is.
        """
        statistics = tokenizer.statistics(self.pairs)
        some = statistics.kept > 0
        require(some, "pairs", "a corpus with pairs to train on", str(statistics))

        return statistics

    def _declared(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """The dataset with the sizes of its vocabularies, which models compare with their own."""
        dataset.source_vocabulary_size = self.source_tokenizer.vocabulary_size
        dataset.target_vocabulary_size = self.target_tokenizer.vocabulary_size

        return dataset

    def _whole_rows(self, target_length: int) -> int:
        """The rows of a batch with targets of a length, copies or not."""
        if self.config.batch_unit == "sentences":
            return self.config.batch_size

        return self.config.batch_size // target_length

    def _pairs(self, target_length: int) -> int:
        """The pairs of a batch with targets of a length."""
        return max(1, self._whole_rows(target_length)) // self.copies

    def _rows(self, pairs: int) -> int:
        """The rows of a batch of some pairs: equally many in each of its parts."""
        return -(-pairs // self.parts) * self.parts * self.copies

    def _epochs(self) -> _Epochs:
        return _Epochs(self._batches)

    def _batches(self, epoch: Epoch) -> tf.data.Dataset:
        """The batches of the epoch whose number `epoch` gives."""
        pairs = shuffle(self.pairs, self.config.shuffle_pairs, lambda: (self.seed, epoch()))
        chunks = self._tokenizer.chunks(pairs, epoch)
        rows = chunks.map(self._with_buckets).unbatch()

        batches = rows.group_by_window(
            key_func=as_written(lambda bucket, source, labels: bucket),  # noqa: ARG005
            reduce_func=self._padded,
            window_size_func=self._window_size,
        )

        return untuned(batches.prefetch(16))

    @as_written
    def _with_buckets(self, chunk: Chunk) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The bucket of each pair `[M]` and both sides, `[M, maximum_length]`.

        All that depends on lengths is done here, a chunk at a time: functions that tf.data called
        for each pair took ten times as long as tokenizing it.
        """
        lengths = tf.stack([chunk.source.row_lengths(), chunk.target.row_lengths()], axis=-1)
        sides = [[shape.source, shape.target] for shape in self.shapes]
        fits = tf.reduce_all(lengths[:, None] <= sides, axis=-1)
        buckets = tf.argmax(tf.cast(fits, tf.int32), axis=-1)

        longest = self.config.maximum_length

        return buckets, *self._dense(chunk, longest, longest)

    def _dense(self, chunk: Chunk, source: int, target: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Both sides of the pairs, padded: `[M, source]` and `[M, target]`."""
        source_pad = self.source_tokenizer.special.pad
        target_pad = self.target_tokenizer.special.pad

        return (
            chunk.source.to_tensor(source_pad, shape=[None, source]),
            chunk.target.to_tensor(target_pad, shape=[None, target]),
        )

    @as_written
    def _window_size(self, bucket: tf.Tensor) -> tf.Tensor:
        """The number of pairs in a batch of a bucket."""
        sizes = [self._pairs(shape.target) for shape in self.shapes]

        return tf.constant(sizes, tf.int64)[bucket]

    @as_written
    def _padded(self, bucket: tf.Tensor, window: tf.data.Dataset) -> tf.data.Dataset:
        """The one batch that the rows of a window make."""
        shape = Shape(*tf.unstack(tf.constant(self.shapes, tf.int32)[bucket]))
        count = shape.rows // self.copies

        @as_written
        def batch(_: tf.Tensor, source: tf.Tensor, labels: tf.Tensor) -> tuple:
            source_pad = self.source_tokenizer.special.pad
            target = self.target_tokenizer.special

            return example(
                self._whole(source[:, : shape.source], count, source_pad),
                self._whole(labels[:, : shape.target], count, target.pad),
                target,
            )

        return window.batch(tf.cast(count, tf.int64)).map(batch)

    def _whole(self, ids: tf.Tensor, count: int, pad: int) -> tf.Tensor:
        """Ids of `count` rows, in each of the parts `copies` times.

        The last batch of a bucket gets rows of padding, to have the shape of the others.
        """
        missing = count - tf.shape(ids)[0]
        rows = tf.pad(ids, [[0, missing], [0, 0]], constant_values=pad)
        length = tf.shape(rows)[1]
        copied = tf.tile(tf.reshape(rows, [self.parts, -1, length]), [1, self.copies, 1])

        return tf.reshape(copied, [-1, length])


class _Epochs:
    """The batches of one epoch after another, from a single dataset.

    The dataset asks for the epoch's number when it is iterated over: making one takes half a second
    or more, whatever the corpus.

    Args:
        make: makes the dataset, which asks for the number by the function that `make` is given.
    """

    def __init__(self, make: Callable[[Epoch], tf.data.Dataset]) -> None:
        self._number = 0
        self._dataset = make(lambda: self._number)

    def __call__(self, number: int) -> tf.data.Dataset:
        """The batches of an epoch, to be read before the next call."""
        self._number = number

        return self._dataset


def _check_pairs(pairs: Any) -> None:
    """Makes sure that pairs are a dataset of scalar strings, two at a time.

    Raises:
        TypeError: they are not.
    """
    expected = (
        "a tf.data.Dataset of (source, target) strings, such as "
        "tf.data.Dataset.from_tensor_slices((sources, targets))"
    )
    require_type(isinstance(pairs, tf.data.Dataset), "pairs", expected, pairs)

    spec = pairs.element_spec
    sides = spec if isinstance(spec, tuple) and len(spec) == 2 else ()
    texts = [
        isinstance(side, tf.TensorSpec) and side.dtype == tf.string and side.shape.rank in (0, None)
        for side in sides
    ]
    require_type(bool(texts) and all(texts), "pairs", expected, spec)


def _check_tokenizer(name: str, tokenizer: Any) -> None:
    """Makes sure that a tokenizer is one.

    Raises:
        TypeError: it is not.
    """
    known = hasattr(tokenizer, "vocabulary_size")
    require_type(known, name, "a Tokenizer, as `Tokenizer.load` gives it", tokenizer)
