"""The examples that `fit` takes: what a decoder reads, and what it is to write."""

from __future__ import annotations

import tensorflow as tf

from attention_nmt.types import SpecialIds


def decoder_inputs(labels: tf.Tensor, special: SpecialIds) -> tf.Tensor:
    """The ids that the decoder reads to write labels, both `[B, T]`.

    They are the start symbol and all labels but the last; where there is no label there is padding.
    The end symbol is never read.
    """
    start = tf.fill([tf.shape(labels)[0], 1], special.start)
    previous = tf.where(labels[:, 1:] == special.pad, special.pad, labels[:, :-1])

    return tf.concat([start, previous], axis=1)


def example(
    source: tf.Tensor, labels: tf.Tensor, special: SpecialIds
) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    """A batch for `fit`; `training.recording` builds the same one without TensorFlow.

    Args:
        source: ids `[B, S]`, the end symbol included, padded.
        labels: ids `[B, T]`, likewise.
        special: the ids of the special pieces of the target.

    Returns:
        The inputs `{"source" [B, S], "target" [B, T]}`, the labels `[B, T]` and their weights
        `[B, T]`, 0 on padding.
    """
    inputs = {"source": source, "target": decoder_inputs(labels, special)}
    weights = tf.cast(labels != special.pad, tf.float32)

    return inputs, labels, weights


def framed(pieces: tf.RaggedTensor, prefix: tuple[int, ...], end: int) -> tf.RaggedTensor:
    """Pieces `[M, (L)]` with a prefix before each row and the end symbol behind it."""
    rows = pieces.nrows()
    parts = [pieces, tf.fill([rows, 1], end)]
    if prefix:
        parts.insert(0, tf.tile(tf.constant([prefix], tf.int32), [rows, 1]))

    return tf.concat(parts, axis=1)
