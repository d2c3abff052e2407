"""The readout: what the softmax over the vocabulary is given."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attention_nmt.backend import rows_by
from attention_nmt.checks import require
from attention_nmt.types import Tensor


@keras.saving.register_keras_serializable("attention_nmt")
class Readout(keras.layers.Layer):
    """The deep output with one maxout layer.

        t_i = maxout(U_o s_i + V_o y_{i-1} + C_o c_i)

    Weights: `kernel`, U_o, V_o and C_o one above the other `[H + E + D, 2l]`, and `bias` `[2l]`.

    Args:
        units: `l`, the units after the maxout.
        dropout: rate on `t`, one mask per sentence for all of its positions.

    Source: Bahdanau et al. (2015), appendix A.2.2.
    Departures from the paper: `s_i`, as its Eq. 4 has it, where the appendix prints `s_{i-1}`; the
    maxout pairs column `k` with `l + k` and not with `k + 1`, a matter of naming; a bias.
    """

    def __init__(self, units: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        self.units = units
        self.rate = dropout
        self.dropout = keras.layers.Dropout(
            dropout, (None, 1, None), dtype=self.dtype_policy, name="dropout"
        )

    def build(self, hidden_shape: tuple, embedded_shape: tuple, context_shape: tuple) -> None:
        """Makes the weights.

        Args:
            hidden_shape: of states `[B, T, H]`.
            embedded_shape: of embedded words `[B, T, E]`.
            context_shape: of contexts `[B, T, D]`.
        """
        rows = hidden_shape[-1] + embedded_shape[-1] + context_shape[-1]
        self.kernel = self.add_weight((rows, 2 * self.units), name="kernel")
        self.bias = self.add_weight((2 * self.units,), initializer="zeros", name="bias")

    def call(
        self, hidden: Tensor, embedded: Tensor, context: Tensor, training: bool = False
    ) -> Tensor:
        """`t` `[B, T, l]` of states, embedded words and contexts."""
        read = ops.concatenate([hidden, embedded, context], axis=-1)
        sums = rows_by(read, self.kernel) + self.bias
        return self.dropout(self._maxout(sums, ops.shape(read)[1]), training=training)

    def step(self, hidden: Tensor, products: Tensor) -> Tensor:
        """`t` `[B, Q, l]`, without dropout.

        Args:
            hidden: states `[B, Q, H]`.
            products: V_o y + C_o c with the bias `[B Q, 2l]`.
        """
        kernel = ops.cast(self.kernel[: hidden.shape[-1]], self.compute_dtype)
        sums = rows_by(hidden, kernel) + products
        return self._maxout(sums, ops.shape(hidden)[1])

    def _maxout(self, sums: Tensor, positions: Tensor) -> Tensor:
        """The higher one of each pair of columns of `[B T, 2l]`, as `[B, T, l]`."""
        maxout = ops.maximum(sums[:, : self.units], sums[:, self.units :])
        return ops.reshape(maxout, (-1, positions, self.units))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units, "dropout": self.rate}
