"""Rows of tensors by their numbers, in one operation where the backend has one.

On TensorFlow `ops.take` guards against negative numbers with three more operations, and a search
takes rows some ten times a step: of one sentence, whose products are small, the time goes by the
number of operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import keras
from keras import ops, tree

from attention_nmt.types import Tensor

Carry = TypeVar("Carry")


def take(table: Tensor, ids: Tensor) -> Tensor:
    """Rows of `table` `[N, ...]` by `ids` of any shape, none of them negative: `[*ids.shape,
    ...]`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(table, ids)
    return ops.take(table, ids, axis=0)


def select(x: Tensor, slots: Tensor) -> Tensor:
    """Rows of `x` `[B, K, ...]` by `slots` `[B, N]`, sentence by sentence: `[B, N, ...]`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(x, slots, axis=1, batch_dims=1)
    return ops.take_along_axis(
        x, ops.reshape(slots, (*slots.shape, *[1] * (len(x.shape) - 2))), axis=1
    )


def scan(
    step: Callable[[Carry, Any], tuple[Carry, Any]],
    carry: Carry,
    inputs: Any,
    reverse: bool = False,
) -> tuple[Carry, Any]:
    """Runs `carry, output = step(carry, inputs[t])` for every `t`, from the last one if `reverse`.

    Args:
        inputs: a structure of tensors `[T, ...]` with `T >= 1`.

    Returns:
        The last carry and the outputs, stacked in the order of the inputs: `[T, ...]`.
    """
    if keras.backend.backend() == "tensorflow":
        return _scan_tensorflow(step, carry, inputs, reverse)
    return ops.scan(step, carry, inputs, reverse=reverse)


def _scan_tensorflow(step: Callable, carry: Any, inputs: Any, reverse: bool) -> tuple[Any, Any]:
    """`tf.while_loop` over dense buffers, which XLA compiles and LiteRT converts; tensor arrays it
    does not."""
    import tensorflow as tf

    length = ops.shape(tree.flatten(inputs)[0])[0]
    # The values of this step are never used, so the graph drops it: only the outputs' structure is
    # needed.
    _, like = step(carry, tree.map_structure(lambda x: x[0], inputs))
    buffers = [tf.zeros(tf.concat([[length], tf.shape(x)], 0), x.dtype) for x in tree.flatten(like)]

    def body(index: Any, carry: Any, buffers: list) -> tuple:
        position = length - 1 - index if reverse else index
        carry, outputs = step(carry, tree.map_structure(lambda x: tf.gather(x, position), inputs))
        rows = zip(buffers, tree.flatten(outputs), strict=True)
        return (
            index + 1,
            carry,
            [tf.tensor_scatter_nd_update(b, [[position]], x[None]) for b, x in rows],
        )

    _, carry, buffers = tf.while_loop(
        lambda i, *_: i < length, body, (0, carry, buffers), maximum_iterations=length
    )
    return carry, tree.pack_sequence_as(like, buffers)
