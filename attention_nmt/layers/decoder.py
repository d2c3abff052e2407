"""The decoder: one step of it, and teacher forcing over whole targets."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from attention_nmt.backend import flat_rows, scan
from attention_nmt.checks import require, require_axes
from attention_nmt.config import CellConfig
from attention_nmt.layers.attention import (
    Attention,
    Memory,
    StepMemory,
    annotations_shape,
)
from attention_nmt.layers.decoder_recurrence import DecoderRecurrence, DecoderState, Query
from attention_nmt.layers.readout import Readout
from attention_nmt.types import Tensor


@keras.saving.register_keras_serializable("attention_nmt")
class Decoder(keras.layers.Layer):
    """First state, recurrence and readout. `call` is teacher forcing; a search calls `step`.

        s_0 = tanh(W_s summary)    s_i, c_i = DecoderRecurrence    t_i = Readout(s_i, y_{i-1}, c_i)

    Args:
        units: `H`.
        readout_units: `l`.
        attention: `BahdanauAttention`, `LuongAttention`, `FixedContext` or one of your own.
        cell: see `DecoderRecurrence`.
        layers: see `DecoderRecurrence`.
        query: see `DecoderRecurrence`.
        input_feeding: the first layer reads the previous readout, zeros before the first.
        readout_dropout: see `Readout`.
        layer_dropout: see `DecoderRecurrence`.
        word_query: see `DecoderRecurrence`.

    Raises:
        ValueError: input feeding without an attention that aligns, or as `DecoderRecurrence`.

    Source: Bahdanau et al. (2015), section 3.1 and appendix A.2.2; Luong et al. (2015), arXiv
    1508.04025, section 3.3. Departures from the latter: what is fed is the maxout readout, which
    reads the previous word, too, without dropout; the first state is made from the encoder's
    summary.
    """

    def __init__(
        self,
        units: int,
        readout_units: int,
        attention: Attention,
        *,
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
        possible = attention.aligns or not input_feeding
        expected = "one that aligns, with input feeding"
        require(possible, "attention", expected, type(attention).__name__)

        dtype = self.dtype_policy
        self.recurrence = DecoderRecurrence(
            units,
            attention,
            cell,
            layers=layers,
            query=query,
            feed_units=readout_units if input_feeding else 0,
            layer_dropout=layer_dropout,
            word_query=word_query,
            dtype=dtype,
            name="recurrence",
        )
        self.initial = keras.layers.Dense(
            self.recurrence.state_units * layers, activation="tanh", dtype=dtype, name="initial"
        )
        self.readout = Readout(readout_units, readout_dropout, dtype=dtype, name="readout")
        self.own_config = {
            "units": units,
            "readout_units": readout_units,
            "cell": dataclasses.asdict(self.recurrence.cell.config),
            "layers": layers,
            "query": query,
            "input_feeding": input_feeding,
            "readout_dropout": readout_dropout,
            "layer_dropout": layer_dropout,
            "word_query": word_query,
        }

    @property
    def attention(self) -> Attention:
        """The attention layer."""
        return self.recurrence.attention

    @property
    def aligns(self) -> bool:
        """Whether the attention does."""
        return self.attention.aligns

    @property
    def output_size(self) -> int:
        """`l`."""
        return self.readout.units

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """The attention's memory of annotations `[B, S, D]`; `mask` `[B, S]` is True on words."""
        return self.attention.prepare(annotations, mask)

    def build(self, embedded_shape: tuple, summary_shape: tuple, memory_shape: Memory) -> None:
        """Makes the weights.

        Args:
            embedded_shape: of embedded words `[B, T, E]`.
            summary_shape: of summaries `[B, N]`.
            memory_shape: of the memory, annotations `[B, S, D]`.
        """
        self.initial.build(summary_shape)
        hidden_shape = (None, None, self.recurrence.units)
        state_shape = DecoderState((hidden_shape,), ())
        self.recurrence.build(embedded_shape, state_shape, memory_shape)
        context_shape = annotations_shape(memory_shape)
        self.readout.build(hidden_shape, embedded_shape, context_shape)

    def initial_state(
        self,
        summary: Tensor,
        maximum_length: Tensor | int = 0,  # noqa: ARG002 - there is no cache
    ) -> DecoderState:
        """The state of one hypothesis per sentence, from the encoder's summary `[B, N]`."""
        states = self.initial(summary)[:, None]
        width = self.recurrence.state_units
        count = states.shape[-1] // width
        layers = [states]
        if count > 1:  # a slice of all of a state is still an operation
            layers = [states[..., k * width : (k + 1) * width] for k in range(count)]

        readouts = []
        if self.recurrence.feed_units:
            shape = (ops.shape(summary)[0], 1, self.recurrence.feed_units)
            readouts = [ops.zeros(shape, states.dtype)]
        return DecoderState(tuple(layers), tuple(readouts))

    def project(self, memory: Memory) -> StepMemory:
        """The memory that `step` reads: what recurrence and readout make of the annotations.

            c_i C = sum_j alpha_ij (h_j C)      c_i C_o = sum_j alpha_ij (h_j C_o)

        That is two products for each word of a sentence, instead of two for each hypothesis at each
        position.

        Returns:
            Products `[B, S, GH + 2l]`, or `[B, S, 2l]` where the recurrence reads no context.
        """
        recurrence = self.recurrence
        depth = memory.annotations.shape[-1]
        kernels = [recurrence.context_kernel] if recurrence.query == "previous" else []
        kernels.append(self.readout.kernel[-depth:])
        products = self._products(memory.annotations, kernels)
        return StepMemory(products, memory.keys, memory.bias)

    def project_words(self, embedded: Tensor) -> Tensor:
        """The products of previous words that `step` reads, with the biases.

        Args:
            embedded: embedded words `[..., E]`; of a whole vocabulary, for a search that then looks
                words up.

        Returns:
            What recurrence, readout and attention make of them, `[..., GH + 2l]` or, with
            `word_query`, `[..., GH + 2l + A]`.
        """
        recurrence = self.recurrence
        units = recurrence.units
        readout_rows = slice(units, units + embedded.shape[-1])
        kernels = [recurrence.kernel, self.readout.kernel[readout_rows]]
        biases = [recurrence.input_bias, self.readout.bias]
        if recurrence.word_query:
            kernels.append(recurrence.query_kernel)
            biases.append(ops.zeros((recurrence.attention.units,), self.readout.bias.dtype))

        bias = ops.cast(ops.concatenate(biases), self.compute_dtype)
        return self._products(embedded, kernels) + bias

    def _products(self, inputs: Tensor, kernels: list[Tensor]) -> Tensor:
        """Inputs `[..., N]` by kernels `[N, C]`, their columns side by side."""
        rows = flat_rows(inputs)
        products = [ops.matmul(rows, ops.cast(kernel, self.compute_dtype)) for kernel in kernels]
        columns = sum(product.shape[-1] for product in products)
        middle = ops.shape(inputs)[1:-1]
        return ops.reshape(ops.concatenate(products, axis=-1), (-1, *middle, columns))

    @property
    def word_columns(self) -> int:
        """The columns of `project_words`."""
        columns = self.recurrence.columns + 2 * self.readout.units
        if self.recurrence.word_query:
            columns += self.recurrence.attention.units
        return columns

    def step(
        self,
        word_products: Tensor,
        state: DecoderState,
        memory: StepMemory,
        masks: tuple[Tensor, ...] = (),
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """One step for `Q` hypotheses of each sentence.

        Args:
            word_products: of the previous words `[B, Q, N]`, from `project_words`.
            state: from the step before, or `initial_state`.
            memory: from `project`.
            masks: see `DecoderRecurrence`.

        Returns:
            The readout `[B, Q, l]`, the next state, and the alignment `[B, Q, S]` or None.
        """
        step = self.recurrence(word_products, state, memory, masks)
        readout = self.readout.step(step.top, step.products)
        readouts = (readout,) if state.readouts else ()
        return readout, DecoderState(step.layers, readouts), step.alignment

    def call(
        self, embedded: Tensor, summary: Tensor, memory: Memory, training: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing.

        Args:
            embedded: the embedded previous words `[B, T, E]`; the first is the start symbol's.
            summary: from the encoder `[B, N]`.
            memory: from the attention's `prepare`.
            training: whether dropout is on and a gradient will be asked for.

        Returns:
            The readout `[B, T, l]` and the alignment `[B, T, S]`, None without attention.

        Raises:
            TypeError: the memory is not what `prepare` gives.
            ValueError: a tensor has more axes or fewer.
        """
        require_axes("embedded", embedded, "[B, T, E]")
        require_axes("summary", summary, "[B, N]")
        prepared: Any = self.attention.prepared(memory)
        state = self.initial_state(summary)
        if state.readouts:
            return self._force_step_by_step(embedded, state, prepared, training)

        outputs = self.recurrence.unroll(embedded, state, prepared, training)
        readout = self.readout(outputs.tops, embedded, outputs.contexts, training=training)
        return readout, outputs.alignments

    def _force_step_by_step(
        self, embedded: Tensor, state: DecoderState, memory: Memory, training: bool
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing where each step reads the readout before it: the steps of a search."""
        word_products = ops.transpose(self.project_words(embedded), (1, 0, 2))
        step_memory = self.project(memory)
        masks = self.recurrence.masks(ops.shape(embedded)[0]) if training else ()

        def body(state: DecoderState, products: Tensor) -> tuple:
            readout, state, alignment = self.step(products[:, None], state, step_memory, masks)
            return state, (readout[:, 0], alignment[:, 0])

        _, (readouts, alignments) = scan(body, state, word_products)
        readouts = ops.transpose(readouts, (1, 0, 2))
        alignments = ops.transpose(alignments, (1, 0, 2))
        return self.readout.dropout(readouts, training=training), alignments

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        attention = keras.saving.serialize_keras_object(self.attention)
        return {**super().get_config(), **self.own_config, "attention": attention}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Decoder:
        """The layer that `get_config` described."""
        attention = keras.saving.deserialize_keras_object(config["attention"])
        return cls(**{**config, "attention": attention})
