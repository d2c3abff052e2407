"""Averaged weights of a training; Keras only."""

from __future__ import annotations

import keras
from keras import ops

from attention_nmt import backend
from attention_nmt.types import Tensor

AVERAGE_EVERY = 10
"""Steps between updates of averaged weights; the decay is adjusted to it."""


class Averages:
    """The averaged weights of a model that trains.

    Args:
        model: the model.
        decay: the share of themselves that they keep at each step.

    Attributes:
        values: one tensor for each of the model's trainable variables.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.values = self._weights()

    def _weights(self) -> list[Tensor]:
        return [ops.copy(variable) for variable in self.model.trainable_variables]

    def update(self, step: int) -> None:
        """Updates the averages with the weights after a step, of every `AVERAGE_EVERY`-th step.

        Args:
            step: the step's number, from 1 on.
        """
        if step % AVERAGE_EVERY:
            return

        backend.synchronize(self.model)

        # A young average takes more of the weights, so that the initial ones do not linger.
        keep = min(self.decay**AVERAGE_EVERY, step / (step + 10 * AVERAGE_EVERY))
        pairs = zip(self.values, self.model.trainable_variables, strict=True)
        self.values = [
            average + (1 - keep) * (ops.convert_to_tensor(variable) - average)
            for average, variable in pairs
        ]

    def swap(self) -> None:
        """Exchanges the weights and the averaged weights."""
        weights = self._weights()
        for variable, average in zip(self.model.trainable_variables, self.values, strict=True):
            variable.assign(average)
        self.values = weights
