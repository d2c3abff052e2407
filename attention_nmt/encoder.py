"""The encoder: embedded source words to annotations."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from attention_nmt.config import require
from attention_nmt.recurrence import GRUWeights, gru
from attention_nmt.types import Tensor


class Encoded(NamedTuple):
    """What the encoder knows of a batch of sentences."""

    annotations: Tensor  # [B, S, D]
    summary: Tensor  # [B, units], what the first decoder state is made from


@keras.saving.register_keras_serializable("attention_nmt")
class GRU(keras.layers.Layer):
    """A gated recurrent unit over time-major sequences; `recurrence.gru_step` holds its equations.

    Weights: `kernel` `[E, 3H]`, `input_bias` `[3H]`, `recurrent_kernel` `[H, 3H]`, `recurrent_bias` `[3H]`; columns in
    the order update gate, reset gate, candidate (`keras.layers.GRU` has the same order).

    Args:
        units: `H`.
        reset_after: False resets the state before the recurrent product, as the paper does.
        reverse: read from the last position to the first.
    """

    def __init__(self, units: int, reset_after: bool = True, reverse: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        self.units, self.reset_after, self.reverse = units, reset_after, reverse

    def build(self, inputs_shape: tuple, mask_shape: tuple | None = None) -> None:  # noqa: ARG002 - Keras' contract
        """Makes the weights for inputs `[S, B, E]`."""
        columns = 3 * self.units
        self.kernel = self.add_weight((inputs_shape[-1], columns), name="kernel")
        self.input_bias = self.add_weight((columns,), initializer="zeros", name="input_bias")
        self.recurrent_kernel = self.add_weight(
            (self.units, columns), initializer=recurrent_initializer(), name="recurrent_kernel"
        )
        self.recurrent_bias = self.add_weight((columns,), initializer="zeros", name="recurrent_bias")

    def call(self, inputs: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """The state after each position `[S, B, H]`, from inputs `[S, B, E]` and a mask `[S, B]`, True on words."""
        projected = ops.matmul(inputs, self.kernel) + self.input_bias
        mask = ops.expand_dims(ops.cast(mask, projected.dtype), -1)
        initial = ops.zeros((ops.shape(projected)[1], self.units), projected.dtype)
        # Copies, because a gradient of one's own takes tensors: to an eager tape a variable is none.
        weights = GRUWeights(*map(ops.copy, (self.recurrent_kernel, self.recurrent_bias)))
        return gru(projected, mask, initial, weights, self.reset_after, self.reverse, keep_tape=training)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"units": self.units, "reset_after": self.reset_after, "reverse": self.reverse}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("attention_nmt")
class StackedOrthogonal(keras.initializers.Initializer):
    """Orthogonal blocks side by side: each gate's recurrent kernel `[H, H]` is orthogonal by itself.

    Source: Bahdanau et al. (2015), appendix B.1.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, int], dtype: str | None = None) -> Tensor:
        """A kernel `[H, n * H]`."""
        # One generator for all blocks: the same integer seed for each would make equal gates.
        generator = keras.random.SeedGenerator(self.seed)
        block = keras.initializers.Orthogonal(seed=generator)
        return ops.concatenate([block((shape[0], shape[0]), dtype) for _ in range(shape[1] // shape[0])], axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"seed": self.seed}


def recurrent_initializer() -> StackedOrthogonal:
    """The initializer of recurrent kernels."""
    return StackedOrthogonal()


@keras.saving.register_keras_serializable("attention_nmt")
class Encoder(keras.layers.Layer):
    """A bidirectional GRU: the annotation of a word is the forward and the backward state at it.

        h_j = [forward GRU_j ; backward GRU_j]

    Args:
        units: units of each direction.
        bidirectional: False reads forward only, as the RNN encoder-decoder does; then `D = units`.
        reset_after: see `GRU`.
        dropout: rate on the annotations, one mask per sentence for all of its positions.

    Source: Bahdanau et al. (2015), section 3.2 and appendix A.2.1; the summary is the backward annotation of the first
    word, from which appendix A.2.2 makes `s_0`; forward only, it is the end state.
    """

    def __init__(
        self,
        units: int,
        bidirectional: bool = True,
        reset_after: bool = True,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.bidirectional, self.reset_after, self.dropout = units, bidirectional, reset_after, dropout
        dtype = self.dtype_policy
        self.forward = GRU(units, reset_after, dtype=dtype, name="forward")
        self.backward = GRU(units, reset_after, reverse=True, dtype=dtype, name="backward") if bidirectional else None
        # One for each direction: XLA puts masks of equal shape into one function, and computes a mask of a shape that
        # no other has again for each of its uses, which took 15 to 24 ms a step.
        self.forward_dropout = keras.layers.Dropout(dropout, (1, None, None), dtype=dtype, name="forward_dropout")
        if bidirectional:
            self.backward_dropout = keras.layers.Dropout(dropout, (1, None, None), dtype=dtype, name="backward_dropout")

    def build(self, embedded_shape: tuple, mask_shape: tuple | None = None) -> None:  # noqa: ARG002 - Keras' contract
        """Makes the weights for embedded words `[B, S, E]`."""
        for layer in filter(None, (self.forward, self.backward)):
            layer.build(embedded_shape)

    def call(self, embedded: Tensor, mask: Tensor, training: bool = False) -> Encoded:
        """Annotates embedded words.

        Args:
            embedded: `[B, S, E]`.
            mask: True on words `[B, S]`. What is computed on words does not depend on padding behind them; the
                annotations of padding are those of the state that passes through it.

        Returns:
            Annotations `[B, S, D]` and a summary `[B, units]`.
        """
        inputs, mask = ops.transpose(embedded, (1, 0, 2)), ops.transpose(mask)
        forward = self.forward(inputs, mask, training=training)
        summary, states = forward[-1], self.forward_dropout(forward, training=training)
        if self.backward is not None:
            backward = self.backward(inputs, mask, training=training)
            summary = backward[0]
            states = ops.concatenate([states, self.backward_dropout(backward, training=training)], axis=-1)
        return Encoded(ops.transpose(states, (1, 0, 2)), summary)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"units": self.units, "bidirectional": self.bidirectional, "reset_after": self.reset_after}
        return {**super().get_config(), **own, "dropout": self.dropout}
