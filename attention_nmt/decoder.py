"""The decoder: one step of it, and teacher forcing over whole targets."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from attention_nmt.attention import BahdanauAttention, Memory
from attention_nmt.config import require
from attention_nmt.encoder import recurrent_initializer
from attention_nmt.recurrence import AttendingOutputs, GRUWeights, attending, attending_gru, gru_step
from attention_nmt.types import Tensor


class DecoderState(NamedTuple):
    """What one step hands to the next; every field is `[B, Q, ...]`, `Q` hypotheses of a sentence."""

    hidden: Tensor  # [B, Q, H]: s_{i-1}


class DecoderStep(NamedTuple):
    """What one step gives."""

    state: DecoderState
    products: Tensor  # [B Q, 2l]: V_o y_{i-1} + C_o c_i, which the readout adds to U_o s_i
    alignment: Tensor | None  # [B, Q, S]: alpha_ij


@keras.saving.register_keras_serializable("attention_nmt")
class AttendingGRU(keras.layers.Layer):
    """The decoder's recurrence: attend with the previous state, then one GRU step on the word and the context.

        c_i = attention(s_{i-1}, h)      s_i = GRU(s_{i-1}, [y_{i-1}; c_i])

    Weights: `kernel` `[E, 3H]` for the previous word, `context_kernel` `[D, 3H]`, `input_bias` `[3H]`,
    `recurrent_kernel` `[H, 3H]`, `recurrent_bias` `[3H]`, and the attention's.

    Args:
        units: `H`.
        attention: a layer with `prepare(annotations, mask) -> Memory` and
            `call(query, memory) -> (context, alignment or None)`.
        reset_after: see `encoder.GRU`.

    Source: Bahdanau et al. (2015), section 3.1 and appendix A.2.2.
    """

    def __init__(self, units: int, attention: keras.layers.Layer, reset_after: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        self.units, self.attention, self.reset_after = units, attention, reset_after

    def build(self, embedded_shape: tuple, state_shape: DecoderState, memory_shape: Memory) -> None:
        """Makes the weights for embedded words `[B, Q, E]` and annotations `[B, S, D]`."""
        columns, depth = 3 * self.units, memory_shape.values[-1]
        self.kernel = self.add_weight((embedded_shape[-1], columns), name="kernel")
        self.context_kernel = self.add_weight((depth, columns), name="context_kernel")
        self.input_bias = self.add_weight((columns,), initializer="zeros", name="input_bias")
        self.recurrent_kernel = self.add_weight(
            (self.units, columns), initializer=recurrent_initializer(), name="recurrent_kernel"
        )
        self.recurrent_bias = self.add_weight((columns,), initializer="zeros", name="recurrent_bias")
        if not self.attention.built:
            self.attention.build(state_shape.hidden, memory_shape)

    def call(self, words: Tensor, state: DecoderState, memory: Memory) -> DecoderStep:
        """One step for `Q` hypotheses of each sentence.

        Args:
            words: products of the previous words `[B, Q, 3H + 2l]`, from `Decoder.project_words`.
            memory: products of the annotations, from `Decoder.project`.
        """
        sums, alignment = self.attention(state.hidden, memory)
        columns = 3 * self.units
        # In rows: products and slices of three axes take more operations on TensorFlow.
        products = ops.reshape(words + sums, (-1, words.shape[-1]))
        hidden = ops.reshape(state.hidden, (-1, self.units))
        hidden = gru_step(products[:, :columns], hidden, self._weights(), self.reset_after)
        hidden = ops.reshape(hidden, (-1, ops.shape(words)[1], self.units))
        return DecoderStep(DecoderState(hidden), products[:, columns:], alignment)

    def unroll(self, embedded: Tensor, state: DecoderState, memory: Memory) -> AttendingOutputs:
        """All steps of given targets, time-major: from embedded previous words `[T, B, E]`, with `Q = 1`.

        To be called within a layer's `call`, whose dtype policy then holds here.
        """
        inputs, initial = ops.matmul(embedded, self.kernel) + self.input_bias, state.hidden[:, 0]
        if self.reset_after and isinstance(self.attention, BahdanauAttention):
            kernel, weights = ops.copy(self.context_kernel), self.attention.recurrence_weights(memory)
            return attending_gru(inputs, initial, kernel, self._weights(), weights)

        def step(x: Tensor, state: Tensor) -> AttendingOutputs:
            context, alignment = self.attention(state[:, None], memory)
            # Without attention a column that is thrown away: not every backend writes rows of no width.
            alignment = state[:, :1] if alignment is None else alignment[:, 0]
            x = x + ops.matmul(context[:, 0], self.context_kernel)
            return AttendingOutputs(gru_step(x, state, self._weights(), self.reset_after), context[:, 0], alignment)

        return attending(step, inputs, initial)

    def _weights(self) -> GRUWeights:
        return GRUWeights(*map(ops.copy, (self.recurrent_kernel, self.recurrent_bias)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        attention = keras.saving.serialize_keras_object(self.attention)
        own = {"units": self.units, "attention": attention, "reset_after": self.reset_after}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AttendingGRU:
        """The layer that `get_config` described."""
        return cls(**{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])})


@keras.saving.register_keras_serializable("attention_nmt")
class Readout(keras.layers.Layer):
    """The deep output with one maxout layer.

        t_i = maxout(U_o s_i + V_o y_{i-1} + C_o c_i)

    Weights: `kernel`, U_o, V_o and C_o one above the other `[H + E + D, 2l]`, and `bias` `[2l]`.

    Args:
        units: `l`, the units after the maxout.
        dropout: rate on `t`, one mask per sentence for all of its positions.

    Source: Bahdanau et al. (2015), appendix A.2.2.
    Departures from the paper: `s_i`, as its Eq. 4 has it, where the appendix prints `s_{i-1}`; the maxout pairs column
    `k` with `l + k` and not with `k + 1`, a matter of naming; a bias.
    """

    def __init__(self, units: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        self.units, self.rate = units, dropout
        self.dropout = keras.layers.Dropout(dropout, (None, 1, None), dtype=self.dtype_policy, name="dropout")

    def build(self, hidden_shape: tuple, embedded_shape: tuple, context_shape: tuple) -> None:
        """Makes the weights for states `[B, T, H]`, embedded words `[B, T, E]` and contexts `[B, T, D]`."""
        rows = hidden_shape[-1] + embedded_shape[-1] + context_shape[-1]
        self.kernel = self.add_weight((rows, 2 * self.units), name="kernel")
        self.bias = self.add_weight((2 * self.units,), initializer="zeros", name="bias")

    def call(self, hidden: Tensor, embedded: Tensor, context: Tensor, training: bool = False) -> Tensor:
        """`t` `[B, T, l]`."""
        rows = ops.concatenate([hidden, embedded, context], axis=-1)
        sums = ops.matmul(ops.reshape(rows, (-1, rows.shape[-1])), self.kernel) + self.bias
        return self.dropout(self._maxout(sums, ops.shape(rows)[1]), training=training)

    def step(self, hidden: Tensor, products: Tensor) -> Tensor:
        """`t` `[B, Q, l]` of states and of the products V_o y + C_o c with the bias `[B Q, 2l]`, without dropout."""
        depth = hidden.shape[-1]
        kernel = ops.cast(self.kernel[:depth], self.compute_dtype)
        sums = ops.matmul(ops.reshape(hidden, (-1, depth)), kernel) + products
        return self._maxout(sums, ops.shape(hidden)[1])

    def _maxout(self, sums: Tensor, positions: Tensor) -> Tensor:
        """The higher one of each pair of columns of `[B T, 2l]`, as `[B, T, l]`."""
        maxout = ops.maximum(sums[:, : self.units], sums[:, self.units :])
        return ops.reshape(maxout, (-1, positions, self.units))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units, "dropout": self.rate}


@keras.saving.register_keras_serializable("attention_nmt")
class Decoder(keras.layers.Layer):
    """First state, recurrence and readout. `call` is teacher forcing; `step` is what a search calls.

        s_0 = tanh(W_s summary)      s_i, c_i = AttendingGRU      t_i = Readout(s_i, y_{i-1}, c_i)

    Args:
        units: `H`.
        readout_units: `l`.
        attention: `BahdanauAttention` or `FixedContext`.
        reset_after: see `encoder.GRU`.
        readout_dropout: see `Readout`.

    Source: Bahdanau et al. (2015), section 3.1 and appendix A.2.2.
    """

    def __init__(
        self,
        units: int,
        readout_units: int,
        attention: keras.layers.Layer,
        reset_after: bool = True,
        readout_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.initial = keras.layers.Dense(units, activation="tanh", dtype=dtype, name="initial")
        self.recurrence = AttendingGRU(units, attention, reset_after, dtype=dtype, name="recurrence")
        self.readout = Readout(readout_units, readout_dropout, dtype=dtype, name="readout")
        self.own_config = {
            "units": units,
            "readout_units": readout_units,
            "reset_after": reset_after,
            "readout_dropout": readout_dropout,
        }

    @property
    def attention(self) -> keras.layers.Layer:
        """The attention layer."""
        return self.recurrence.attention

    def build(self, embedded_shape: tuple, summary_shape: tuple, memory_shape: Memory) -> None:
        """Makes the weights for embedded words `[B, T, E]`, summaries `[B, N]` and annotations `[B, S, D]`."""
        units = self.recurrence.units
        self.initial.build(summary_shape)
        hidden_shape, context_shape = (None, None, units), memory_shape.values
        self.recurrence.build(embedded_shape, DecoderState(hidden_shape), memory_shape)
        self.readout.build(hidden_shape, embedded_shape, context_shape)

    def initial_state(self, summary: Tensor) -> DecoderState:
        """`s_0` of one hypothesis per sentence `[B, 1, H]`, from the encoder's summary `[B, N]`."""
        return DecoderState(self.initial(summary)[:, None])

    def project(self, memory: Memory) -> Memory:
        """The memory that `step` reads: for annotations `h_j` what the recurrence and the readout make of them.

            c_i C = sum_j alpha_ij (h_j C)      c_i C_o = sum_j alpha_ij (h_j C_o)

        That is two products for each word of a sentence, instead of two for each hypothesis at each position.

        Returns:
            Values `[B, S, 3H + 2l]`, the rest as it was.
        """
        depth = memory.values.shape[-1]
        return memory._replace(
            values=self._products(memory.values, self.recurrence.context_kernel, slice(-depth, None))
        )

    def project_words(self, embedded: Tensor) -> Tensor:
        """What `step` reads of a previous word: what the recurrence and the readout make of it, biases included.

        Args:
            embedded: embedded words `[..., E]`; of a whole vocabulary, for a search that then looks words up.

        Returns:
            `[..., 3H + 2l]`.
        """
        units = self.recurrence.units
        rows = slice(units, units + embedded.shape[-1])
        bias = ops.concatenate([self.recurrence.input_bias, self.readout.bias])
        return self._products(embedded, self.recurrence.kernel, rows) + ops.cast(bias, self.compute_dtype)

    def _products(self, inputs: Tensor, kernel: Tensor, readout_rows: slice) -> Tensor:
        """Inputs `[..., N]` by a kernel of the recurrence `[N, 3H]` and by rows of the readout's: `[..., 3H + 2l]`."""
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
        kernels = (kernel, self.readout.kernel[readout_rows])
        products = [ops.matmul(rows, ops.cast(kernel, self.compute_dtype)) for kernel in kernels]
        columns = sum(product.shape[-1] for product in products)
        return ops.reshape(ops.concatenate(products, axis=-1), (-1, *ops.shape(inputs)[1:-1], columns))

    def step(self, words: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, DecoderStep]:
        """The readout `[B, Q, l]` after one step.

        Args:
            words: the previous words `[B, Q, 3H + 2l]`, from `project_words`.
            memory: from `project`.
        """
        step = self.recurrence(words, state, memory)
        return self.readout.step(step.state.hidden, step.products), step

    def call(
        self, embedded: Tensor, summary: Tensor, memory: Memory, training: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing.

        Args:
            embedded: the embedded previous words `[B, T, E]`; the first is that of the start symbol.
            summary: from the encoder `[B, N]`.

        Returns:
            The readout `[B, T, l]` and the alignment `[B, T, S]`, None without attention.
        """
        outputs = self.recurrence.unroll(ops.transpose(embedded, (1, 0, 2)), self.initial_state(summary), memory)
        states, contexts, alignments = (ops.transpose(x, (1, 0, 2)) for x in outputs)
        readout = self.readout(states, embedded, contexts, training=training)
        return readout, None if memory.keys is None else alignments

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        attention = keras.saving.serialize_keras_object(self.attention)
        return {**super().get_config(), **self.own_config, "attention": attention}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Decoder:
        """The layer that `get_config` described."""
        return cls(**{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])})
