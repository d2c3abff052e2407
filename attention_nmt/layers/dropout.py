"""Dropout for sentences: of units, one mask for all positions, and of pieces."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from attention_nmt.types import SPECIAL, Tensor


@keras.saving.register_keras_serializable("attention_nmt")
class SentenceDropout(keras.layers.Layer):
    """Dropout of time-major states `[T, B, N]`, one mask per sentence for all of its positions.

    The mask is drawn in parts: XLA puts masks of equal shape into one function, and computes a mask
    of a shape that no other has again for each of its uses, which took 15 to 24 ms a step of some
    400.

    Args:
        rate: the probability of each unit.
        parts: masks that are drawn side by side.

    Source: Gal and Ghahramani (2016), arXiv 1512.05287.
    """

    def __init__(self, rate: float, parts: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.parts = parts
        self.dropouts = [self._part(number) for number in range(parts)]

    def _part(self, number: int) -> keras.layers.Layer:
        name = f"part_{number}"
        shape = (1, None, None)
        return keras.layers.Dropout(self.rate, shape, dtype=self.dtype_policy, name=name)

    def call(self, states: Tensor, training: bool = False) -> Tensor:
        """States of the same shape."""
        if not training or self.rate == 0:
            return states

        parts = ops.split(states, self.parts, axis=-1)
        dropped = [
            dropout(part, training=True) for dropout, part in zip(self.dropouts, parts, strict=True)
        ]
        return ops.concatenate(dropped, axis=-1)

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

        drawn = keras.random.uniform(ops.shape(ids), seed=self.seed_generator)
        dropped = ops.logical_and(drawn < self.rate, ids > max(SPECIAL))
        return ops.where(dropped, ops.cast(SPECIAL.unknown, ids.dtype), ids)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}
