"""The one file that asks which backend runs Keras: loops, rows, compilation.

Everything else is written with `keras.ops` and with what stands here.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import keras
from keras import ops, tree

from attention_nmt.checks import require
from attention_nmt.types import Tensor

Carry = TypeVar("Carry")

_in_lists: contextvars.ContextVar[bool] = contextvars.ContextVar("in_lists", default=False)

BACKENDS = ("tensorflow", "jax")
"""The backends on which everything here is tested."""


def name() -> str:
    """The backend's name, as `KERAS_BACKEND` has it."""
    return keras.backend.backend()


def check() -> None:
    """Makes sure that models can be trained with the backend.

    Raises:
        ValueError: it is none of `BACKENDS`.
    """
    require(name() in BACKENDS, "KERAS_BACKEND", "'tensorflow' or 'jax'", name())


def check_tensorflow(what: str) -> None:
    """Makes sure that TensorFlow is the backend.

    Args:
        what: a part of the package that needs it, for the message.

    Raises:
        ValueError: it is not.
    """
    expected = f"'tensorflow' for {what}, which is a graph of TensorFlow"
    require(name() == "tensorflow", "KERAS_BACKEND", expected, name())


def compiled(function: Callable[..., Any], *, jit_compile: bool) -> Callable[..., Any]:
    """A function of tensors, compiled as the backend compiles a training step.

    Args:
        function: takes and gives structures of tensors.
        jit_compile: with TensorFlow, compile by XLA; JAX always does.
    """
    if name() == "jax":
        import jax

        return jax.jit(function)

    import tensorflow as tf

    return tf.function(function, jit_compile=jit_compile, autograph=False)


def compiles_always() -> bool:
    """Whether a training step is compiled by XLA whatever is asked for.

    Without it JAX has no graphs, and calls each operation of a step by itself.
    """
    return name() == "jax"


def synchronize(model: keras.Model) -> None:
    """Makes a model's variables those of its last training step.

    On JAX, `fit` holds the weights itself between its steps.
    """
    if name() == "jax":
        model.jax_state_sync()


def is_dataset(data: Any) -> bool:
    """Whether data is a `tf.data.Dataset`, which there can be on every backend."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(data, tensorflow.data.Dataset)


def replicas() -> int:
    """The number of replicas that share a step under a `tf.distribute.Strategy`; 1 without one."""
    if name() != "tensorflow":
        return 1

    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(x: Tensor) -> Tensor:
    """The sum of each replica's `x`, for all of them."""
    if replicas() == 1:
        return x

    import tensorflow as tf

    # Keras looks at the shapes of a model outside of any replica.
    replica = tf.distribute.get_replica_context()
    return x if replica is None else replica.all_reduce(tf.distribute.ReduceOp.SUM, x)


def current_value(model: keras.Model, variable: keras.Variable) -> Tensor:
    """A variable of a model's optimizer as its last training step left it.

    It is quicker than `synchronize`, for all that a callback asks for after every step.
    """
    state = getattr(model, "_jax_state", None)
    if state is None or model._jax_state_synced:
        return variable.value

    variables = [id(known) for known in model.optimizer.variables]
    return state["optimizer_variables"][variables.index(id(variable))]


def take(table: Tensor, ids: Tensor) -> Tensor:
    """Rows of a table by their numbers, in one operation where the backend has one.

    On TensorFlow `ops.take` guards against negative numbers with three more operations, and a
    search takes rows some ten times in a step: of one sentence, whose products are small, the time
    goes by the number of operations.

    Args:
        table: `[N, ...]`.
        ids: of any shape, none of them negative.

    Returns:
        `[*ids.shape, ...]`.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        return tf.gather(table, ids)
    return ops.take(table, ids, axis=0)


def select(x: Tensor, slots: Tensor) -> Tensor:
    """Rows of `x` `[B, K, ...]` by `slots` `[B, N]`, sentence by sentence: `[B, N, ...]`."""
    if name() == "tensorflow":
        import tensorflow as tf

        return tf.gather(x, slots, axis=1, batch_dims=1)

    inner = [1] * (len(x.shape) - 2)
    return ops.take_along_axis(x, ops.reshape(slots, (*slots.shape, *inner)), axis=1)


def rows_by(x: Tensor, kernel: Tensor) -> Tensor:
    """The product of the last axis of `x` `[..., N]` with a kernel `[N, M]`, in rows `[R, M]`.

    A product of three axes with a matrix takes ten more operations on TensorFlow.
    """
    return ops.matmul(flat_rows(x), kernel)


def flat_rows(x: Tensor) -> Tensor:
    """`[..., N]` as rows `[R, N]`."""
    return ops.reshape(x, (-1, x.shape[-1]))


def sum_rows(x: Tensor) -> Tensor:
    """The sum of `[..., N]` over all but the columns, `[N]`.

    It is a product with ones: XLA takes ten times as long for a reduction.
    """
    rows = flat_rows(x)
    ones = ops.ones((1, ops.shape(rows)[0]), x.dtype)
    return ops.matmul(ones, rows)[0]


def shift_right(numbers: Tensor, bits: int) -> Tensor:
    """`numbers >> bits` of int32, the sign bit shifted like the others.

    The low bits are taken by a remainder: LiteRT has no bitwise and.
    """
    return ops.mod(ops.bitwise_right_shift(numbers, bits), 2 ** (32 - bits))


def scan(
    step: Callable[[Carry, Any], tuple[Carry, Any]],
    carry: Carry,
    inputs: Any,
    *,
    reverse: bool = False,
) -> tuple[Carry, Any]:
    """Runs `carry, output = step(carry, inputs[t])` for every `t`.

    Args:
        step: one position.
        carry: what the first step is given, any structure of tensors.
        inputs: a structure of tensors `[T, ...]` with `T >= 1`.
        reverse: run from the last position to the first.

    Returns:
        The last carry and the outputs, stacked in the order of the inputs: `[T, ...]`.
    """
    if name() == "tensorflow":
        return _scan_tensorflow(step, carry, inputs, reverse)
    return ops.scan(step, carry, inputs, reverse=reverse)


@contextlib.contextmanager
def in_lists(wanted: bool) -> Iterator[None]:
    """Where `wanted`, `scan` on TensorFlow keeps the outputs of its steps in lists.

    A step then copies none of those before it. Neither XLA nor LiteRT takes such lists.
    """
    token = _in_lists.set(wanted)
    try:
        yield
    finally:
        _in_lists.reset(token)


def _scan_tensorflow(step: Callable, carry: Any, inputs: Any, reverse: bool) -> tuple[Any, Any]:
    """`scan` by `tf.while_loop`."""
    import tensorflow as tf

    length = ops.shape(tree.flatten(inputs)[0])[0]

    # The values of this step are never used, so the graph drops it: only the outputs' structure
    # is needed.
    first = tree.map_structure(lambda x: x[0], inputs)
    _, like = step(carry, first)
    buffers = [_no_outputs(length, x) for x in tree.flatten(like)]

    def body(index: Any, carry: Any, buffers: list) -> tuple:
        position = length - 1 - index if reverse else index
        here = tree.map_structure(lambda x: tf.gather(x, position), inputs)
        carry, outputs = step(carry, here)
        written = [
            _written(buffer, position, output)
            for buffer, output in zip(buffers, tree.flatten(outputs), strict=True)
        ]
        return index + 1, carry, written

    _, carry, buffers = tf.while_loop(
        lambda index, *_: index < length,
        body,
        (0, carry, buffers),
        maximum_iterations=length,
    )
    return carry, tree.pack_sequence_as(like, [_stacked(buffer) for buffer in buffers])


def _no_outputs(length: Any, like: Any) -> Any:
    """A list of tensors, or one tensor `[T, ...]`, which each step writes anew."""
    import tensorflow as tf

    if _in_lists.get():
        return tf.TensorArray(like.dtype, length, element_shape=like.shape)
    return tf.zeros(tf.concat([[length], tf.shape(like)], 0), like.dtype)


def _written(outputs: Any, position: Any, output: Any) -> Any:
    import tensorflow as tf

    if isinstance(outputs, tf.TensorArray):
        return outputs.write(position, output)
    return tf.tensor_scatter_nd_update(outputs, [[position]], output[None])


def _stacked(outputs: Any) -> Any:
    import tensorflow as tf

    return outputs.stack() if isinstance(outputs, tf.TensorArray) else outputs


def while_loop(condition: Callable[[Any], Tensor], body: Callable[[Any], Any], state: Any) -> Any:
    """`ops.while_loop` over one structure, in which None stays None.

    Args:
        condition: takes the state, gives a bool scalar.
        body: takes the state and gives the next one, of the same structure.
        state: any structure of tensors and None.

    Returns:
        The state for which the condition is false.
    """
    flat = tree.flatten(state)
    present = [index for index, x in enumerate(flat) if x is not None]

    def rebuild(*values: Any) -> Any:
        filled: list[Any] = [None] * len(flat)
        for index, value in zip(present, values, strict=True):
            filled[index] = value
        return tree.pack_sequence_as(state, filled)

    def step(*values: Any) -> tuple:
        new = tree.flatten(body(rebuild(*values)))
        return tuple(new[index] for index in present)

    initial = tuple(flat[index] for index in present)
    return rebuild(*ops.while_loop(lambda *values: condition(rebuild(*values)), step, initial))
