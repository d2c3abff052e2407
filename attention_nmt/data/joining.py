"""Neighbouring pairs as one: sentences longer than those that a corpus has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def draw_groups(lengths: np.ndarray, most: int, longest: int, seed: Sequence[int]) -> np.ndarray:
    """Which pairs become one.

    Args:
        lengths: int, `[n, 2]`, pieces of source and target.
        most: 1 to so many neighbours are to become one, each number equally often.
        longest: where they would have more pieces on a side, each stays as it is.
        seed: of what is drawn.

    Returns:
        int64, `[n]`: the number of each pair's group, from 0 on and never falling.
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
    """The rows `[n, L]` of each group, one after another, in a row of their own; groups `[n]`, see
    `draw_groups`."""
    return tf.RaggedTensor.from_row_lengths(
        rows.flat_values, tf.math.segment_sum(rows.row_lengths(), groups)
    )
