"""Steps of tf.data pipelines that know nothing of translation: order, and no tuning."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf

as_written = tf.autograph.experimental.do_not_convert
"""Decorates functions that tf.data calls, which have no loop or branch over tensors.

Without it AutoGraph would rewrite them, and debuggers and coverage would not see their lines.
"""


def end_iterators() -> None:
    """Ends the iterators that an exception has left, at the end of the process.

    A thread of one that asks Python for its next element would otherwise wait for an interpreter
    that has ended, and the interpreter for that thread. References to it are in the frames of the
    exception, which refer to each other, and to which the traceback that was printed refers.
    """
    for name in ("last_traceback", "last_value", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
    gc.collect()


atexit.register(end_iterators)


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same dataset without tuning.

    There is nothing to tune here, and a dataset that is tuned takes up to a minute to end. In
    TensorFlow 2.21 an iterator that has been read to its end after more than some ten seconds waits
    for the next time at which its tuning would look at it; that is after as long again, at most a
    minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False

    return dataset.with_options(options)


def shuffle(
    pairs: tf.data.Dataset, size: int, seed: Callable[[], tuple[int, int]]
) -> tf.data.Dataset:
    """Batches of consecutive elements, each in random order.

    Unlike the order of `tf.data.Dataset.shuffle`, which follows the global seed too, this one
    depends on `seed` alone.

    Args:
        pairs: a dataset of tuples.
        size: the elements of a batch.
        seed: gives the seed; called when a batch is drawn.
    """

    def state() -> np.ndarray:
        return np.random.SeedSequence(seed()).generate_state(2).astype(np.int32)

    @as_written
    def permute(index: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        drawn = tf.ensure_shape(tf.numpy_function(state, [], tf.int32), [2])
        batch_seed = drawn + tf.cast(index, tf.int32)

        positions = tf.range(tf.shape(batch[0])[0])
        order = tf.random.experimental.stateless_shuffle(positions, seed=batch_seed)

        return tuple(tf.gather(part, order) for part in batch)

    return pairs.batch(size).enumerate().map(permute)
