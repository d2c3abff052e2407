"""The encoder: embedded source words to annotations."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import keras
from keras import ops

from attention_nmt.checks import require, require_axes
from attention_nmt.config import CellConfig
from attention_nmt.layers.dropout import SentenceDropout
from attention_nmt.layers.recurrent import Recurrent
from attention_nmt.types import Tensor


class Encoded(NamedTuple):
    """A batch of sentences as the encoder gives it."""

    annotations: Tensor  # [B, S, D]
    summary: Tensor  # [B, N], what the first decoder state is made from


@keras.saving.register_keras_serializable("attention_nmt")
class Encoder(keras.layers.Layer):
    """Bidirectional recurrences: a word's annotation is the forward and the backward state at it.

        h_j = [forward_j ; backward_j]
        h_j = h_j of the layer below + its own      from the second layer on

    Args:
        units: units of each direction.
        layers: how many of them, one above the other.
        bidirectional: False reads forward only, as the RNN encoder-decoder does; then `D = units`.
        cell: which cell; a GRU, if none is given.
        dropout: rate on the annotations, one mask per sentence for all of its positions.
        layer_dropout: likewise on what each layer hands to the next one.

    Source: Bahdanau et al. (2015), section 3.2 and appendix A.2.1; the summary is the last layer's
    backward state at the first word, from which appendix A.2.2 makes `s_0`; forward only, its end
    state. Residual connections: Wu et al. (2016), arXiv 1609.08144, section 3.1.
    """

    def __init__(
        self,
        units: int,
        *,
        layers: int = 1,
        bidirectional: bool = True,
        cell: CellConfig | dict[str, Any] | None = None,
        dropout: float = 0.0,
        layer_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(layers >= 1, "layers", "at least 1", layers)
        self.units = units
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.layer_dropout = layer_dropout

        dtype = self.dtype_policy
        self.forward = [
            Recurrent(units, cell, dtype=dtype, name=f"forward_{number}")
            for number in range(layers)
        ]
        self.backward = [
            Recurrent(units, cell, reverse=True, dtype=dtype, name=f"backward_{number}")
            for number in range(layers if bidirectional else 0)
        ]

        rates = [layer_dropout] * (layers - 1) + [dropout]
        parts = 2 if bidirectional else 1
        self.dropouts = [
            SentenceDropout(rate, parts, dtype=dtype, name=f"dropout_{number}")
            for number, rate in enumerate(rates)
        ]

    @property
    def depth(self) -> int:
        """`D`."""
        return self.units * (2 if self.bidirectional else 1)

    @property
    def summary_size(self) -> int:
        """The units of one direction."""
        return self.units

    def build(self, embedded_shape: tuple, mask_shape: tuple | None = None) -> None:  # noqa: ARG002
        """Makes the weights for embedded words `[B, S, E]`."""
        above_shape = (None, None, self.depth)
        for layers in (self.forward, self.backward):
            for number, layer in enumerate(layers):
                layer.build(embedded_shape if number == 0 else above_shape)

    def call(self, embedded: Tensor, mask: Tensor, training: bool = False) -> Encoded:
        """Annotates embedded words.

        Args:
            embedded: `[B, S, E]`.
            mask: True on words `[B, S]`. What is computed on words does not depend on padding
                behind them; the annotations of padding are those of the state that passes through
                it.
            training: whether dropout is on and a gradient will be asked for.

        Returns:
            Annotations `[B, S, D]` and a summary `[B, units]`.

        Raises:
            ValueError: a tensor has more axes or fewer.
        """
        require_axes("embedded", embedded, "[B, S, E]")
        require_axes("mask", mask, "[B, S]")
        inputs = ops.transpose(embedded, (1, 0, 2))
        mask = ops.transpose(mask)
        for number, dropout in enumerate(self.dropouts):
            states, summary = self._read(number, inputs, mask, training)
            if number > 0:
                states = inputs + states
            inputs = dropout(states, training=training)
        return Encoded(ops.transpose(inputs, (1, 0, 2)), summary)

    def _read(
        self, number: int, inputs: Tensor, mask: Tensor, training: bool
    ) -> tuple[Tensor, Tensor]:
        """The states of one layer at each position `[S, B, D]`, and its summary `[B, units]`."""
        forward = self.forward[number](inputs, mask, training=training)
        if not self.bidirectional:
            return forward, forward[-1]

        backward = self.backward[number](inputs, mask, training=training)
        return ops.concatenate([forward, backward], axis=-1), backward[0]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Hands no mask on: what comes behind is given one by its caller."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "units": self.units,
            "layers": len(self.forward),
            "bidirectional": self.bidirectional,
            "cell": dataclasses.asdict(self.forward[0].cell.config),
            "dropout": self.dropout,
            "layer_dropout": self.layer_dropout,
        }
        return {**super().get_config(), **own}
