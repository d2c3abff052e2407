"""The decoder's recurrence: its layers and its attention, one step or whole targets."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import keras
from keras import ops

from attention_nmt.backend import flat_rows, rows_by, scan
from attention_nmt.checks import require
from attention_nmt.config import CellConfig
from attention_nmt.layers.attending_gru import attending_gru
from attention_nmt.layers.attention import (
    Attention,
    Memory,
    StepMemory,
    annotations_shape,
)
from attention_nmt.layers.cells import hidden
from attention_nmt.layers.dropout import SentenceDropout
from attention_nmt.layers.recurrent import CellLayer, Recurrent
from attention_nmt.types import Tensor

Query = Literal["previous", "current"]


class DecoderState(NamedTuple):
    """The state that one step hands to the next; every field is `[B, Q, ...]`."""

    layers: tuple[Tensor, ...]  # [B, Q, H] each: s_{i-1}; of an LSTM with its memory [B, Q, 2H]
    readouts: tuple[Tensor, ...]  # with input feeding one, [B, Q, l]: t_{i-1}


class DecoderStep(NamedTuple):
    """The result of one step of the recurrence."""

    layers: tuple[Tensor, ...]  # [B, Q, H] or [B, Q, 2H] each: s_i
    top: Tensor  # [B, Q, H]: what the last layer hands to the readout
    products: Tensor  # [B Q, 2l]: V_o y_{i-1} + C_o c_i, which the readout adds to U_o s_i
    alignment: Tensor | None  # [B, Q, S]: alpha_ij


class Unrolled(NamedTuple):
    """The result of the recurrence for whole targets."""

    tops: Tensor  # [B, T, H]
    contexts: Tensor  # [B, T, D]
    alignments: Tensor | None  # [B, T, S]


class _Attended(NamedTuple):
    """The result of the first layer for whole targets, where it attends with its previous state."""

    states: Tensor  # [T, B, H]
    contexts: Tensor  # [T, B, D]
    alignments: Tensor | None  # [T, B, S]


# The name under which it was registered first: files keep it.
@keras.saving.register_keras_serializable("attention_nmt", "AttendingRecurrence")
class DecoderRecurrence(CellLayer):
    """The decoder's layers and its attention.

    With the previous state as the query, and with the current one:

        c_i = attention(s_{i-1}, h)    s_i = cell(s_{i-1}, [y_{i-1}; c_i])
        s_i = cell(s_{i-1}, [y_{i-1}; t_{i-1}])    c_i = attention(s_i, h)

    `t_{i-1}` is there with input feeding only. With `word_query` the energies of the first case are
    `v_a . tanh(W_a s_{i-1} + V_a y_{i-1} + U_a h_j)`: attention knows which word was chosen last,
    which the previous state has not read. In Sennrich et al. (2017), section 3, arXiv 1703.04357, a
    transition of its own reads that word before attention does.

    From the second layer on a layer adds what it makes to what it reads. The query is the first
    layer's state in the first case, what the last layer hands to the readout in the second.

    Weights: those that `CellLayer` names, for the previous word; `context_kernel` `[D, GH]` or,
    with input feeding, `feed_kernel` `[l, GH]`; `query_kernel` V_a `[E, A]`; those of the attention
    and of the other layers.

    Args:
        units: see `CellLayer`.
        attention: an attention layer.
        cell: see `CellLayer`.
        layers: how many of them.
        query: which state attends.
        feed_units: `l`, the units of the previous readout that the first layer reads; 0: no input
            feeding.
        layer_dropout: rate on what each layer hands to the next one.
        word_query: attention reads the previous word, too; for one that can, with the previous
            state.

    Raises:
        ValueError: a value outside its range, or options that do not go together.

    Source: Bahdanau et al. (2015), section 3.1 and appendix A.2.2; Luong et al. (2015), arXiv
    1508.04025, section 3, and its 3.3 for input feeding. Residual connections: Wu et al. (2016),
    arXiv 1609.08144, section 3.1.
    """

    def __init__(
        self,
        units: int,
        attention: Attention,
        cell: CellConfig | dict[str, Any] | None = None,
        *,
        layers: int = 1,
        query: Query = "previous",
        feed_units: int = 0,
        layer_dropout: float = 0.0,
        word_query: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, cell, **kwargs)
        require(layers >= 1, "layers", "at least 1", layers)
        known = query in ("previous", "current")
        require(known, "query", "'previous' or 'current'", query)
        possible = query == "current" or not feed_units
        require(possible, "query", "'current' with input feeding", query)
        possible = not word_query or (attention.reads_words and query == "previous")
        expected = "False without a BahdanauAttention by the previous state"
        require(possible, "word_query", expected, word_query)

        self.attention = attention
        self.query = query
        self.feed_units = feed_units
        self.word_query = word_query
        self.layer_dropout = layer_dropout

        dtype = self.dtype_policy
        config = self.cell.config
        numbers = range(1, layers)
        self.upper = [
            Recurrent(units, config, dtype=dtype, name=f"upper_{number}") for number in numbers
        ]
        self.dropouts = [
            SentenceDropout(layer_dropout, dtype=dtype, name=f"dropout_{number}")
            for number in numbers
        ]

    def build(self, embedded_shape: tuple, state_shape: DecoderState, memory_shape: Memory) -> None:
        """Makes the weights.

        Args:
            embedded_shape: of embedded words `[B, Q, E]`.
            state_shape: of the state.
            memory_shape: of the memory, annotations `[B, S, D]`.
        """
        size = embedded_shape[-1]
        self.add_cell(size)
        if self.query == "previous":
            depth = annotations_shape(memory_shape)[-1]
            self.context_kernel = self.add_weight((depth, self.columns), name="context_kernel")
        if self.word_query:
            shape = (size, self.attention.units)
            self.query_kernel = self.add_weight(shape, name="query_kernel")
        if self.feed_units:
            shape = (self.feed_units, self.columns)
            self.feed_kernel = self.add_weight(shape, name="feed_kernel")
        for layer in self.upper:
            layer.build((None, None, self.units))
        if not self.attention.built:
            query_shape = (*state_shape.layers[0][:-1], self.units)
            self.attention.build(query_shape, memory_shape)

    def call(
        self,
        word_products: Tensor,
        state: DecoderState,
        memory: StepMemory,
        masks: tuple[Tensor, ...] = (),
    ) -> DecoderStep:
        """One step for `Q` hypotheses of each sentence.

        Args:
            word_products: products of the previous words `[B, Q, GH + 2l]` or, with `word_query`,
                `[B, Q, GH + 2l + A]`, from `Decoder.project_words`.
            state: from the step before.
            memory: products of the annotations, from `Decoder.project`.
            masks: of dropout between layers, `[B Q, H]` each; none in a search.
        """
        positions = ops.shape(word_products)[1]
        alignment = None
        if self.query == "previous":
            word_products, added = self._split_added(word_products)
            query = hidden(state.layers[0], self.units)
            sums, alignment = self.attention(query, memory, *added)
            word_products = word_products + sums

        # In rows: products and slices of three axes take more operations on TensorFlow.
        products = flat_rows(word_products)
        inputs = products[:, : self.columns]
        products = products[:, self.columns :]
        if self.feed_units:
            inputs = inputs + rows_by(state.readouts[0], self.feed_kernel)
        layers, top = self._step_layers(inputs, state.layers, masks)

        states = tuple(ops.reshape(x, (-1, positions, x.shape[-1])) for x in layers)
        top = ops.reshape(top, (-1, positions, self.units))
        if self.query == "current":
            sums, alignment = self.attention(top, memory)
            products = products + flat_rows(sums)
        return DecoderStep(layers=states, top=top, products=products, alignment=alignment)

    def _step_layers(
        self, inputs: Tensor, states: tuple[Tensor, ...], masks: tuple[Tensor, ...]
    ) -> tuple[list[Tensor], Tensor]:
        """The states `[B Q, ...]` after one step and what the last layer hands on `[B Q, H]`.

        Args:
            inputs: projected inputs of the first layer `[B Q, GH]`.
            states: before the step, `[B, Q, ...]`.
            masks: of dropout between layers.
        """
        new = [self.cell.step(inputs, flat_rows(states[0]), self.cell_weights())]
        top = hidden(new[0], self.units)
        for number, layer in enumerate(self.upper):
            if masks:
                top = top * masks[number]
            inputs = ops.matmul(top, layer.kernel) + layer.input_bias
            state = flat_rows(states[number + 1])
            new.append(self.cell.step(inputs, state, layer.cell_weights()))
            top = top + hidden(new[-1], self.units)
        return new, top

    def masks(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Masks of dropout between layers for `call`, `[rows, H]` each.

        They are drawn before a loop, never within it.
        """
        ones = ops.ones((1, rows, self.units), self.compute_dtype)
        return tuple(dropout(ones, training=True)[0] for dropout in self.dropouts)

    def unroll(
        self, embedded: Tensor, state: DecoderState, memory: Memory, training: bool
    ) -> Unrolled:
        """All steps of given targets, without input feeding.

        To be called within a layer's `call`, whose dtype policy then holds here.

        Args:
            embedded: embedded previous words `[B, T, E]`.
            state: the first state, with `Q = 1`.
            memory: from the attention's `prepare`.
            training: whether dropout is on and a gradient will be asked for.
        """
        embedded = ops.transpose(embedded, (1, 0, 2))
        initial = [x[:, 0] for x in state.layers]
        attended = None
        if self.query == "previous":
            attended = self._attend(embedded, initial[0], memory)
            states = attended.states
        else:
            states = self.read(embedded, initial=initial[0], keep_tape=training)

        layers = zip(self.upper, self.dropouts, initial[1:], strict=True)
        for layer, dropout, first in layers:
            states = dropout(states, training=training)
            states = states + layer(states, initial=first, training=training)
        tops = ops.transpose(states, (1, 0, 2))

        if attended is None:
            contexts, alignments = self.attention(tops, memory)
            return Unrolled(tops, contexts, alignments)
        contexts = ops.transpose(attended.contexts, (1, 0, 2))
        alignments = attended.alignments
        if alignments is not None:
            alignments = ops.transpose(alignments, (1, 0, 2))
        return Unrolled(tops, contexts, alignments)

    def _attend(self, embedded: Tensor, initial: Tensor, memory: Memory) -> _Attended:
        """The first layer over whole targets `[T, B, E]`, attending with its previous state."""
        inputs = ops.matmul(embedded, self.kernel) + self.input_bias
        if self.word_query:
            added = ops.matmul(embedded, self.query_kernel)
            inputs = ops.concatenate([inputs, added], axis=-1)
        if self.cell.has_own_gradient and self.attention.fuses:
            return self._attend_fused(inputs, initial, memory)

        def step(state: Tensor, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            x, added = self._split_added(x)
            query = hidden(state, self.units)
            context, alignment = self.attention(query[:, None], memory, *added)
            context = context[:, 0]
            x = x + ops.matmul(context, self.context_kernel)
            state = self.cell.step(x, state, self.cell_weights())
            if alignment is None:
                return state, (state, context)
            return state, (state, context, alignment[:, 0])

        states, contexts, *alignments = scan(step, initial, inputs)[1]
        return _Attended(
            states=hidden(states, self.units),
            contexts=contexts,
            alignments=alignments[0] if alignments else None,
        )

    def _attend_fused(self, inputs: Tensor, initial: Tensor, memory: Memory) -> _Attended:
        """The same by the loop that has its own gradient."""
        outputs = attending_gru(
            self.cell,
            inputs,
            initial,
            ops.copy(self.context_kernel),
            self.cell_weights(),
            attention=self.attention.recurrence_weights(memory),
        )
        return _Attended(
            states=outputs.states, contexts=outputs.contexts, alignments=outputs.alignments
        )

    def _split_added(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Products of words for the layers, and with `word_query` those that attention adds.

        Args:
            x: `[..., N]` or, with `word_query`, `[..., N + A]`.
        """
        if not self.word_query:
            return x, ()
        units = self.attention.units
        return x[..., :-units], (x[..., -units:],)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "attention": keras.saving.serialize_keras_object(self.attention),
            "layers": 1 + len(self.upper),
            "query": self.query,
            "feed_units": self.feed_units,
            "layer_dropout": self.layer_dropout,
            "word_query": self.word_query,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DecoderRecurrence:
        """The layer that `get_config` described."""
        attention = keras.saving.deserialize_keras_object(config["attention"])
        return cls(**{**config, "attention": attention})
