"""The decoder: one step of it, and teacher forcing over whole targets."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from attention_nmt.backend import scan
from attention_nmt.checks import require
from attention_nmt.config import CellConfig
from attention_nmt.layers.attention import FixedContext, Memory
from attention_nmt.layers.decoder_recurrence import (
    AttendingRecurrence,
    DecoderState,
    DecoderStep,
    Query,
)
from attention_nmt.layers.readout import Readout
from attention_nmt.types import Tensor


@keras.saving.register_keras_serializable("attention_nmt")
class Decoder(keras.layers.Layer):
    """First state, recurrence and readout. `call` is teacher forcing; `step` is what a search
    calls.

        s_0 = tanh(W_s summary)      s_i, c_i = AttendingRecurrence      t_i = Readout(s_i,
        y_{i-1}, c_i)

    Args:
        units: `H`.
        readout_units: `l`.
        attention: `BahdanauAttention`, `LuongAttention` or `FixedContext`.
        cell, layers, query, layer_dropout, word_query: see `AttendingRecurrence`.
        input_feeding: the first layer reads the previous readout, zeros before the first.
        readout_dropout: see `Readout`.

    Source: Bahdanau et al. (2015), section 3.1 and appendix A.2.2; Luong et al. (2015), arXiv
    1508.04025, section 3.3. Departures from the latter: what is fed is the maxout readout, which
    reads the previous word, too, without dropout; the first state is made from the encoder's
    summary.
    """

    def __init__(
        self,
        units: int,
        readout_units: int,
        attention: keras.layers.Layer,
        cell: CellConfig | dict[str, Any] | None = None,
        layers: int = 1,
        query: Query = "previous",
        input_feeding: bool = False,
        readout_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        word_query: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        attends = not isinstance(attention, FixedContext)
        require(
            attends or not input_feeding,
            "attention",
            "one that aligns, with input feeding",
            type(attention).__name__,
        )
        dtype, feed_units = self.dtype_policy, readout_units if input_feeding else 0
        self.recurrence = AttendingRecurrence(
            units,
            attention,
            cell,
            layers,
            query,
            feed_units,
            layer_dropout,
            word_query,
            dtype=dtype,
            name="recurrence",
        )
        self.state_units = units * self.recurrence.cell.states
        self.initial = keras.layers.Dense(
            self.state_units * layers, activation="tanh", dtype=dtype, name="initial"
        )
        self.readout = Readout(readout_units, readout_dropout, dtype=dtype, name="readout")
        self.own_config = {
            "units": units,
            "readout_units": readout_units,
            "cell": dataclasses.asdict(self.recurrence.cell),
            "layers": layers,
            "query": query,
            "input_feeding": input_feeding,
            "readout_dropout": readout_dropout,
            "layer_dropout": layer_dropout,
            "word_query": word_query,
        }

    @property
    def attention(self) -> keras.layers.Layer:
        """The attention layer."""
        return self.recurrence.attention

    def build(self, embedded_shape: tuple, summary_shape: tuple, memory_shape: Memory) -> None:
        """Makes the weights for embedded words `[B, T, E]`, summaries `[B, N]` and annotations
        `[B, S, D]`."""
        self.initial.build(summary_shape)
        hidden_shape, context_shape = (
            (None, None, self.recurrence.units),
            Memory(*memory_shape).values,
        )
        self.recurrence.build(embedded_shape, DecoderState((hidden_shape,), ()), memory_shape)
        self.readout.build(hidden_shape, embedded_shape, context_shape)

    def initial_state(self, summary: Tensor) -> DecoderState:
        """The state of one hypothesis per sentence, from the encoder's summary `[B, N]`."""
        states, width = self.initial(summary)[:, None], self.state_units
        count = states.shape[-1] // width
        layers = (
            [states[..., k * width : (k + 1) * width] for k in range(count)]
            if count > 1
            else [states]
        )
        fed = []
        if self.recurrence.feed_units:
            fed = [ops.zeros((ops.shape(summary)[0], 1, self.recurrence.feed_units), states.dtype)]
        return DecoderState(tuple(layers), tuple(fed))

    def project(self, memory: Memory) -> Memory:
        """The memory that `step` reads: for annotations `h_j` what the recurrence and the readout
        make of them.

            c_i C = sum_j alpha_ij (h_j C)      c_i C_o = sum_j alpha_ij (h_j C_o)

        That is two products for each word of a sentence, instead of two for each hypothesis at
        each position.

        Returns:
            Values `[B, S, GH + 2l]`, or `[B, S, 2l]` where the recurrence reads no context; the
            rest as it was.
        """
        recurrence, rows = self.recurrence, slice(-memory.values.shape[-1], None)
        kernels = [recurrence.context_kernel] if recurrence.query == "previous" else []
        return memory._replace(
            values=self._products(memory.values, [*kernels, self.readout.kernel[rows]])
        )

    def project_words(self, embedded: Tensor) -> Tensor:
        """What `step` reads of a previous word: what recurrence, readout and attention make of it,
        biases included.

        Args:
            embedded: embedded words `[..., E]`; of a whole vocabulary, for a search that then
            looks words up.

        Returns:
            `[..., GH + 2l]` or, with `word_query`, `[..., GH + 2l + A]`.
        """
        recurrence, units = self.recurrence, self.recurrence.units
        kernels = [recurrence.kernel, self.readout.kernel[units : units + embedded.shape[-1]]]
        biases = [recurrence.input_bias, self.readout.bias]
        if recurrence.word_query:
            kernels.append(recurrence.query_kernel)
            biases.append(ops.zeros((recurrence.attention.units,), self.readout.bias.dtype))
        return self._products(embedded, kernels) + ops.cast(
            ops.concatenate(biases), self.compute_dtype
        )

    def _products(self, inputs: Tensor, kernels: list[Tensor]) -> Tensor:
        """Inputs `[..., N]` by kernels `[N, C]`, their columns side by side."""
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
        products = [ops.matmul(rows, ops.cast(kernel, self.compute_dtype)) for kernel in kernels]
        columns = sum(product.shape[-1] for product in products)
        return ops.reshape(
            ops.concatenate(products, axis=-1), (-1, *ops.shape(inputs)[1:-1], columns)
        )

    @property
    def word_columns(self) -> int:
        """The columns of `project_words`."""
        read = self.recurrence.attention.units if self.recurrence.word_query else 0
        return self.recurrence.columns + 2 * self.readout.units + read

    def step(
        self, words: Tensor, state: DecoderState, memory: Memory, masks: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """The readout `[B, Q, l]` after one step, the next state, and the alignment `[B, Q, S]` or
        None.

        Args:
            words: the previous words `[B, Q, N]`, from `project_words`.
            memory: from `project`.
            masks: see `AttendingRecurrence`.
        """
        step: DecoderStep = self.recurrence(words, state, memory, masks)
        readout = self.readout.step(step.top, step.products)
        return readout, DecoderState(step.layers, (readout,) if state.fed else ()), step.alignment

    def call(
        self, embedded: Tensor, summary: Tensor, memory: Memory, training: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing.

        Args:
            embedded: the embedded previous words `[B, T, E]`; the first is that of the start
            symbol. summary: from the encoder `[B, N]`.

        Returns:
            The readout `[B, T, l]` and the alignment `[B, T, S]`, None without attention.
        """
        state = self.initial_state(summary)
        if state.fed:
            return self._feed(embedded, state, memory, training)
        outputs = self.recurrence.unroll(embedded, state, memory, training)
        readout = self.readout(outputs.tops, embedded, outputs.contexts, training=training)
        return readout, outputs.alignments

    def _feed(
        self, embedded: Tensor, state: DecoderState, memory: Memory, training: bool
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing where each step reads the readout of the one before: the steps of a
        search."""
        words, memory = ops.transpose(self.project_words(embedded), (1, 0, 2)), self.project(memory)
        masks = self.recurrence.masks(ops.shape(embedded)[0]) if training else ()

        def body(state: DecoderState, word: Tensor) -> tuple[DecoderState, tuple[Tensor, Tensor]]:
            readout, state, alignment = self.step(word[:, None], state, memory, masks)
            assert alignment is not None, "input feeding goes with attention"
            return state, (readout[:, 0], alignment[:, 0])

        readouts, alignments = (ops.transpose(x, (1, 0, 2)) for x in scan(body, state, words)[1])
        return self.readout.dropout(readouts, training=training), alignments

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        attention = keras.saving.serialize_keras_object(self.attention)
        return {**super().get_config(), **self.own_config, "attention": attention}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Decoder:
        """The layer that `get_config` described."""
        return cls(
            **{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])}
        )
