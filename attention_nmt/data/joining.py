"""Neighbouring pairs as one: sentences longer than those that a corpus has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def draw_groups(lengths: np.ndarray, most: int, longest: int, seed: Sequence[int]) -> np.ndarray:
    """Draws which neighbouring pairs become one.

    Args:
        lengths: pieces of source and target of each pair, int `[N, 2]`.
        most: the most neighbours that become one; each number from 1 to it is equally likely.
        longest: the most pieces of a side; neighbours that would have more stay apart.
        seed: integers that decide what is drawn.

    Returns:
        The number of each pair's group, int64 `[N]`, from 0 on and never falling.
    """
    count = len(lengths)
    sizes = np.random.default_rng(seed).integers(1, most + 1, count)
    wished = np.repeat(np.arange(count), sizes)[:count]

    together = np.zeros((count, 2), np.int64)
    np.add.at(together, wished, lengths)
    alone = np.max(together, axis=1)[wished] > longest

    begins = alone | (np.diff(wished, prepend=-1) > 0)

    return np.cumsum(begins) - 1


def join(rows: tf.RaggedTensor, groups: tf.Tensor) -> tf.RaggedTensor:
    """The rows of each group, one after another, as one row.

    Args:
        rows: `[N, (L)]`.
        groups: the number of each row's group, int64 `[N]`, as `draw_groups` gives it.
    """
    lengths = tf.math.segment_sum(rows.row_lengths(), groups)

    return tf.RaggedTensor.from_row_lengths(rows.flat_values, lengths)
