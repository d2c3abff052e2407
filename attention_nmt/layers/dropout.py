"""Dropout for sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from attention_nmt.config import END, UNKNOWN
from attention_nmt.types import Tensor


@keras.saving.register_keras_serializable("attention_nmt")
class SentenceDropout(keras.layers.Layer):
    """Dropout of time-major states `[T, B, N]`, one mask per sentence for all of its positions.

    The mask is drawn in parts: XLA puts masks of equal shape into one function, and computes a
    mask of a shape that no other has again for each of its uses, which took 15 to 24 ms a step of
    some 400.

    Args:
        rate: the probability of each unit.
        parts: masks that are drawn side by side.

    Source: Gal and Ghahramani (2016), arXiv 1512.05287.
    """

    def __init__(self, rate: float, parts: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.parts = rate, parts
        self.dropouts = [
            keras.layers.Dropout(
                rate, (1, None, None), dtype=self.dtype_policy, name=f"part_{part}"
            )
            for part in range(parts)
        ]

    def call(self, states: Tensor, training: bool = False) -> Tensor:
        """States of the same shape."""
        if not training or self.rate == 0:
            return states
        parts: Sequence[Tensor] = ops.split(states, self.parts, axis=-1)
        return ops.concatenate(
            [d(x, training=True) for d, x in zip(self.dropouts, parts, strict=True)], axis=-1
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "parts": self.parts}


@keras.saving.register_keras_serializable("attention_nmt")
class WordDropout(keras.layers.Layer):
    """Reads pieces as unknown at random in training; padding, start and end stay.

    Args:
        rate: the probability of each piece.

    Source: Gal and Ghahramani (2016), arXiv 1512.05287, drop word types; here each occurrence by
    itself.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, ids: Tensor, training: bool = False) -> Tensor:
        """Ids of the same shape."""
        if not training or self.rate == 0:
            return ids
        dropped = keras.random.uniform(ops.shape(ids), seed=self.seed_generator) < self.rate
        return ops.where(ops.logical_and(dropped, ids > END), ops.cast(UNKNOWN, ids.dtype), ids)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}
