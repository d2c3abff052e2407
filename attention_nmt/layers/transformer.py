"""The parts that the encoder and the decoder of a Transformer share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from attention_nmt.backend import flat_rows
from attention_nmt.checks import require
from attention_nmt.config import TransformerConfig, from_dict
from attention_nmt.types import Tensor

Config = TransformerConfig | dict[str, Any] | None


def positions(places: Tensor, size: int, dtype: str) -> Tensor:
    """Sines and cosines of places `[T]`, `[T, E]`: of `E / 2` wavelengths from `2 pi` to 20000 pi.

    Source: Vaswani et al. (2017), section 3.5. Departure from it: all sines come before all
    cosines, a matter of naming.
    """
    exponents = ops.arange(size // 2, dtype="float32") / (size // 2)
    rates = ops.exp(-math.log(10000.0) * exponents)
    angles = ops.cast(places, "float32")[:, None] * rates
    return ops.cast(ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1), dtype)


def scaled(embedded: Tensor) -> Tensor:
    """Embedded words `[..., E]` of length 1 by the root of `E`, which gives numbers of size 1."""
    return embedded * embedded.shape[-1] ** 0.5


def placed(words: Tensor, places: Tensor) -> Tensor:
    """Scaled words `[B, T, E]` with their positions.

    Args:
        words: from `scaled`.
        places: `[T]`, or one place `[1]` for all of them.
    """
    return words + positions(places, words.shape[-1], words.dtype)


def transformer_config(config: Config) -> TransformerConfig:
    """The config that a layer was given, or that a file describes.

    Raises:
        ValueError: a field that there is not, or a value that is refused.
    """
    if isinstance(config, TransformerConfig):
        return config
    return from_dict(TransformerConfig, config or {})


class Residual(keras.layers.Layer):
    """The frame of each sublayer `f`: a sum with what it reads, and a normalization.

        x + dropout(f(normalize(x)))      or, with `pre_norm=False`, normalize(x + dropout(f(x)))

    Args:
        pre_norm: which of both.
        dropout: rate on what the sublayer gives, each number by itself.
    """

    def __init__(self, pre_norm: bool, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pre_norm = pre_norm
        self.normalization = keras.layers.LayerNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="normalization"
        )
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, shape: tuple) -> None:
        """Makes the weights for `[B, T, E]`."""
        self.normalization.build(shape)

    def before(self, x: Tensor) -> Tensor:
        """The sublayer's input for `x`."""
        return self.normalization(x) if self.pre_norm else x

    def after(self, x: Tensor, y: Tensor, training: bool = False) -> Tensor:
        """The sum of `x` and the sublayer's `y`."""
        x = x + self.dropout(y, training=training)
        return x if self.pre_norm else self.normalization(x)


class FeedForward(keras.layers.Layer):
    """Two dense layers at each position, `relu` between them, around them a `Residual`.

    Args:
        units: between both.
        config: of the Transformer.
        dropout: see `Residual`.
    """

    def __init__(
        self, units: int, config: TransformerConfig, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.hidden = keras.layers.Dense(
            config.feed_forward_units, activation="relu", dtype=dtype, name="hidden"
        )
        self.dropout = keras.layers.Dropout(
            config.feed_forward_dropout, dtype=dtype, name="dropout"
        )
        self.output_layer = keras.layers.Dense(units, dtype=dtype, name="output")
        self.residual = Residual(config.pre_norm, dropout, dtype=dtype, name="residual")

    def build(self, shape: tuple) -> None:
        """Makes the weights for `[B, T, E]`."""
        self.hidden.build((None, shape[-1]))
        self.output_layer.build((None, self.hidden.units))
        self.residual.build(shape)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """`[B, T, E]`."""
        # In rows: Keras' product of three axes takes ten more operations on TensorFlow.
        hidden = self.hidden(flat_rows(self.residual.before(x)))
        y = self.output_layer(self.dropout(hidden, training=training))
        return self.residual.after(x, ops.reshape(y, ops.shape(x)), training)


class Stack(keras.layers.Layer):
    """Layers of one kind, one above the other, and the normalization behind the last one.

    Args:
        units: `E`, of embedded words.
        layers: how many.
        config: see `TransformerConfig`.
        layer_dropout: of each layer.
        dropout: rate on what comes out, one mask per sentence for all of its positions.

    Raises:
        ValueError: `units` is odd, or no multiple of the heads; no layer; or as the config.
    """

    layer_class: ClassVar[Callable[..., keras.layers.Layer]]

    def __init__(
        self,
        units: int,
        *,
        layers: int = 6,
        config: Config = None,
        layer_dropout: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(layers >= 1, "layers", "at least 1", layers)
        self.units = units
        self.config = transformer_config(config)
        heads = self.config.heads
        shares = units % heads == 0 and units % 2 == 0
        require(shares, "units", f"an even multiple of heads={heads}", units)

        dtype = self.dtype_policy
        make = type(self).layer_class
        self.layers = [
            make(units, self.config, layer_dropout, dtype=dtype, name=f"layer_{number}")
            for number in range(layers)
        ]
        # Of post-norm layers the last one has normalized its sum.
        self.normalization = None
        if self.config.pre_norm:
            self.normalization = keras.layers.LayerNormalization(
                epsilon=1e-6, dtype=dtype, name="normalization"
            )
        self.dropout = keras.layers.Dropout(dropout, (None, 1, None), dtype=dtype, name="dropout")
        self.own_config = {
            "units": units,
            "layers": layers,
            "config": dataclasses.asdict(self.config),
            "layer_dropout": layer_dropout,
            "dropout": dropout,
        }

    def build_last(self, shape: tuple) -> None:
        """Makes the weights behind the last layer, for `[B, T, E]`."""
        if self.normalization is not None:
            self.normalization.build(shape)

    def last(self, x: Tensor) -> Tensor:
        """The output of the last layer, normalized `[B, T, E]`."""
        return x if self.normalization is None else self.normalization(x)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), **self.own_config}


def check_depth(embedded_shape: tuple, units: int) -> None:
    """Makes sure that embedded words are as deep as the layers.

    Raises:
        ValueError: they are not.
    """
    depth = embedded_shape[-1]
    require(depth == units, "embedded", f"of the depth {units} of the layers", depth)
