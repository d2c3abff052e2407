"""Rows of tensors by their numbers, in one operation where the backend has one.

On TensorFlow `ops.take` guards against negative numbers with three more operations, and a search takes rows some ten
times a step: of one sentence, whose products are small, the time goes by the number of operations.
"""

from __future__ import annotations

import keras
from keras import ops

from attention_nmt.types import Tensor


def take(table: Tensor, ids: Tensor) -> Tensor:
    """Rows of `table` `[N, ...]` by `ids` of any shape, none of them negative: `[*ids.shape, ...]`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(table, ids)
    return ops.take(table, ids, axis=0)


def select(x: Tensor, slots: Tensor) -> Tensor:
    """Rows of `x` `[B, K, ...]` by `slots` `[B, N]`, sentence by sentence: `[B, N, ...]`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(x, slots, axis=1, batch_dims=1)
    return ops.take_along_axis(x, ops.reshape(slots, (*slots.shape, *[1] * (len(x.shape) - 2))), axis=1)
