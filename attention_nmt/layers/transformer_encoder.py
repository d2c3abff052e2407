"""The encoder of a Transformer: words attend to one another."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attention_nmt.checks import require_axes
from attention_nmt.config import TransformerConfig
from attention_nmt.layers.encoder import Encoded
from attention_nmt.layers.heads import MultiHeadAttention, heads_bias
from attention_nmt.layers.transformer import (
    FeedForward,
    Residual,
    Stack,
    check_depth,
    placed,
    scaled,
)
from attention_nmt.types import Tensor


class EncoderLayer(keras.layers.Layer):
    """Words attend to one another, then each goes through a `FeedForward`."""

    def __init__(
        self, units: int, config: TransformerConfig, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.attention = MultiHeadAttention(
            units, config.heads, config.attention_dropout, dtype=dtype, name="attention"
        )
        self.residual = Residual(config.pre_norm, dropout, dtype=dtype, name="residual")
        self.feed_forward = FeedForward(units, config, dropout, dtype=dtype, name="feed_forward")

    def build(self, shape: tuple) -> None:
        """Makes the weights for `[B, S, E]`."""
        self.attention.build(shape, shape)
        self.residual.build(shape)
        self.feed_forward.build(shape)

    def call(self, x: Tensor, bias: Tensor, training: bool = False) -> Tensor:
        """`[B, S, E]`; `bias` of energies `[B, 1, 1, S]`."""
        read = self.residual.before(x)
        y, _ = self.attention(read, read, bias, training=training)
        return self.feed_forward(self.residual.after(x, y, training), training=training)


@keras.saving.register_keras_serializable("attention_nmt")
class TransformerEncoder(Stack):
    """Annotates words by layers in which they attend to one another.

    Args:
        units: `E`, of embedded words; and `D`.
        layers: how many.
        config: heads, feed-forward units, their dropout.
        layer_dropout: rate on what each sublayer adds.
        dropout: rate on the annotations, one mask per sentence for all of its positions.

    Raises:
        ValueError: `units` is odd, or no multiple of the heads; or as the config.

    Source: Vaswani et al. (2017), arXiv 1706.03762, section 3.1; normalization before sublayers:
    Wang et al. (2019), arXiv 1906.01787. The summary, for a recurrent decoder, is the mean of the
    annotations of words. Departure from the first: no dropout on the sums of words and positions,
    but on embedded words, by the model.
    """

    layer_class = EncoderLayer

    @property
    def depth(self) -> int:
        """`D`."""
        return self.units

    @property
    def summary_size(self) -> int:
        """`D`."""
        return self.units

    def build(self, embedded_shape: tuple, mask_shape: tuple | None = None) -> None:  # noqa: ARG002
        """Makes the weights for embedded words `[B, S, E]`."""
        check_depth(embedded_shape, self.units)
        for layer in self.layers:
            layer.build(embedded_shape)
        self.build_last(embedded_shape)

    def call(self, embedded: Tensor, mask: Tensor, training: bool = False) -> Encoded:
        """Annotates embedded words.

        Args:
            embedded: `[B, S, E]`, of length 1.
            mask: True on words `[B, S]`.
            training: whether dropout is on.

        Raises:
            ValueError: a tensor has more axes or fewer.
        """
        require_axes("embedded", embedded, "[B, S, E]")
        require_axes("mask", mask, "[B, S]")
        bias = heads_bias(mask, self.compute_dtype)
        x = placed(scaled(embedded), ops.arange(ops.shape(embedded)[1]))
        for layer in self.layers:
            x = layer(x, bias, training=training)
        x = self.last(x)
        return Encoded(self.dropout(x, training=training), mean_of_words(x, mask))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Hands no mask on: the caller gives one to whatever comes behind."""


def mean_of_words(annotations: Tensor, mask: Tensor) -> Tensor:
    """The mean `[B, D]` of the annotations of words; 0 where there are none."""
    words = ops.expand_dims(ops.cast(mask, "float32"), -1)
    total = ops.sum(ops.cast(annotations, "float32") * words, axis=1)
    mean = total / ops.maximum(ops.sum(words, axis=1), 1)
    return ops.cast(mean, annotations.dtype)
