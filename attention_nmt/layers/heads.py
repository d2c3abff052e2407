"""Attention of many heads."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from attention_nmt.backend import rows_by
from attention_nmt.checks import require
from attention_nmt.layers.attending_gru import softmax
from attention_nmt.layers.attention import mask_bias
from attention_nmt.types import Tensor


class Heads(NamedTuple):
    """Keys and values, head by head."""

    keys: Tensor  # [..., S, d]
    values: Tensor  # [..., S, d]


def heads_bias(mask: Tensor, dtype: str) -> Tensor:
    """The bias `[B, 1, 1, S]` of the energies of all heads and queries; see `mask_bias`."""
    # Not by an index with None, which LiteRT does not take of a length that is not known.
    return ops.expand_dims(mask_bias(mask, dtype), (1, 2))


def _in_blocks(shape: tuple[int, int], dtype: Any) -> Tensor:
    """A kernel `[N, 2 M]` of two, each initialized by itself."""
    block = (shape[0], shape[1] // 2)
    blocks = [keras.initializers.GlorotUniform()(block, dtype) for _ in range(2)]
    return ops.concatenate(blocks, axis=1)


@keras.saving.register_keras_serializable("attention_nmt")
class MultiHeadAttention(keras.layers.Layer):
    """Scaled products of queries and keys, in `h` heads of `d = units / h` columns.

        q = x W_q + b_q      [k ; v] = y W_m + b_m
        alpha = softmax(q k^T / sqrt(d)), head by head      z = [alpha v of every head] W_o + b_o

    Weights: `query_kernel` W_q `[E, units]`, `memory_kernel` W_m `[D, 2 units]`, `output_kernel`
    W_o `[units, units]`, and a bias of each.

    Keras' layer of this name has no step with a cache. With the same weights it gives the same
    numbers, without dropout.

    Args:
        units: of queries, keys, values and what is given.
        heads: `h`.
        dropout: rate on alignments, each number by itself.

    Raises:
        ValueError: `units` is no multiple of `heads`.

    Source: Vaswani et al. (2017), arXiv 1706.03762, section 3.2.
    """

    def __init__(self, units: int, heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        expected = f"a multiple of heads={heads}"
        require(heads >= 1 and units % heads == 0, "units", expected, units)
        self.units = units
        self.heads = heads
        self.rate = dropout
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, inputs_shape: tuple, attended_shape: tuple) -> None:
        """Makes the weights for inputs `[B, T, E]` that read `[B, S, D]`."""
        units = self.units
        self.query_kernel = self.add_weight((inputs_shape[-1], units), name="query_kernel")
        self.query_bias = self.add_weight((units,), initializer="zeros", name="query_bias")
        shape = (attended_shape[-1], 2 * units)
        self.memory_kernel = self.add_weight(shape, initializer=_in_blocks, name="memory_kernel")
        self.memory_bias = self.add_weight((2 * units,), initializer="zeros", name="memory_bias")
        self.output_kernel = self.add_weight((units, units), name="output_kernel")
        self.output_bias = self.add_weight((units,), initializer="zeros", name="output_bias")

    def queries(self, inputs: Tensor) -> Tensor:
        """Queries `[B, h, T, d]` of inputs `[B, T, E]`, already divided by the root of `d`."""
        return _heads_first(self._split(self._queries(inputs), ops.shape(inputs)[1]))

    def memory(self, inputs: Tensor) -> Heads:
        """Keys and values `[B, h, S, d]` of inputs `[B, S, D]`."""
        return Heads(*(_heads_first(heads) for heads in self._memory(inputs)))

    def step_queries(self, inputs: Tensor) -> Tensor:
        """Queries `[B Q, h, 1, d]` of inputs `[B, Q, E]`, each of which is a sentence to itself."""
        return ops.reshape(self._queries(inputs), (-1, self.heads, 1, self.units // self.heads))

    def step_memory(self, inputs: Tensor) -> Heads:
        """Keys and values `[B, Q, h, 1, d]` of inputs `[B, Q, E]`."""
        return Heads(*(ops.expand_dims(heads, 3) for heads in self._memory(inputs)))

    def _queries(self, inputs: Tensor) -> Tensor:
        rows = self._product(inputs, self.query_kernel, self.query_bias)
        return rows * (self.units // self.heads) ** -0.5

    def _memory(self, inputs: Tensor) -> list[Tensor]:
        """Keys and values `[B, S, h, d]`."""
        rows = self._product(inputs, self.memory_kernel, self.memory_bias)
        length = ops.shape(inputs)[1]
        return [
            self._split(rows[:, : self.units], length),
            self._split(rows[:, self.units :], length),
        ]

    def _product(self, inputs: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        """Rows `[B T, N]` of inputs; cast here, since no `call` of Keras is around every use."""
        dtype = self.compute_dtype
        return rows_by(inputs, ops.cast(kernel, dtype)) + ops.cast(bias, dtype)

    def _split(self, rows: Tensor, length: Tensor | int) -> Tensor:
        """Rows `[B T, units]` as heads `[B, T, h, d]`."""
        return ops.reshape(rows, (-1, length, self.heads, self.units // self.heads))

    def attend(
        self, queries: Tensor, memory: Heads, bias: Tensor | None, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Reads a memory.

        Args:
            queries: `[B, h, T, d]`, from `queries`.
            memory: from `memory`.
            bias: of the energies `[B, h, T, S]`, or what broadcasts to it; see `mask_bias`.
            training: whether dropout is on.

        Returns:
            `[B, T, units]`, and the alignments `[B, h, T, S]` without dropout, whose rows sum to 1.
        """
        energies = ops.matmul(queries, ops.transpose(memory.keys, (0, 1, 3, 2)))
        if bias is not None:
            energies = energies + bias
        alignments = softmax(energies)
        contexts = ops.matmul(self.dropout(alignments, training=training), memory.values)
        contexts = _heads_first(contexts)
        length = ops.shape(contexts)[1]
        contexts = ops.reshape(contexts, (-1, length, self.units))
        rows = self._product(contexts, self.output_kernel, self.output_bias)
        return ops.reshape(rows, (-1, length, self.units)), alignments

    def call(
        self, inputs: Tensor, attended: Tensor, bias: Tensor | None = None, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Queries of `[B, T, E]` read `[B, S, D]`; see `attend`."""
        return self.attend(self.queries(inputs), self.memory(attended), bias, training)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"units": self.units, "heads": self.heads, "dropout": self.rate}
        return {**super().get_config(), **own}


def _heads_first(heads: Tensor) -> Tensor:
    """`[B, T, h, d]` as `[B, h, T, d]`; and the other way round."""
    return ops.transpose(heads, (0, 2, 1, 3))
