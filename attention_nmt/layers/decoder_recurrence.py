"""The decoder's recurrence: its layers and its attention, one step or whole targets."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import keras
from keras import ops

from attention_nmt.checks import require
from attention_nmt.config import CellConfig
from attention_nmt.layers.attention import BahdanauAttention, Memory
from attention_nmt.layers.cells import cell_step
from attention_nmt.layers.dropout import SentenceDropout
from attention_nmt.layers.recurrence import (
    AttendingOutputs,
    attending,
    attending_gru,
    flat_rows,
    has_gradient,
)
from attention_nmt.layers.recurrent import CellLayer, Recurrent, hidden
from attention_nmt.types import Tensor

Query = Literal["previous", "current"]


class DecoderState(NamedTuple):
    """What one step hands to the next; every field is `[B, Q, ...]`, `Q` hypotheses of a
    sentence."""

    layers: tuple[Tensor, ...]  # [B, Q, H] each: s_{i-1}; of an LSTM with its memory [B, Q, 2H]
    fed: tuple[Tensor, ...]  # with input feeding one, [B, Q, l]: t_{i-1}


class DecoderStep(NamedTuple):
    """What one step of the recurrence gives."""

    layers: tuple[Tensor, ...]  # [B, Q, H] or [B, Q, 2H] each: s_i
    top: Tensor  # [B, Q, H]: what the last layer hands to the readout
    products: Tensor  # [B Q, 2l]: V_o y_{i-1} + C_o c_i, which the readout adds to U_o s_i
    alignment: Tensor | None  # [B, Q, S]: alpha_ij


class Unrolled(NamedTuple):
    """What the recurrence gives for whole targets."""

    tops: Tensor  # [B, T, H]
    contexts: Tensor  # [B, T, D]
    alignments: Tensor | None  # [B, T, S]


@keras.saving.register_keras_serializable("attention_nmt")
class AttendingRecurrence(CellLayer):
    """The decoder's layers and its attention. With the previous state as the query, and with the
    current one:

        c_i = attention(s_{i-1}, h)    s_i = cell(s_{i-1}, [y_{i-1}; c_i])
        s_i = cell(s_{i-1}, [y_{i-1}; t_{i-1}])    c_i = attention(s_i, h)      t_{i-1} with input
        feeding only

    With `word_query` the energies of the first case are `v_a . tanh(W_a s_{i-1} + V_a y_{i-1} +
    U_a h_j)`: attention knows which word was chosen last, which the previous state has not read.
    In Sennrich et al. (2017), section 3, arXiv 1703.04357, a transition of its own reads that word
    before attention does.

    From the second layer on a layer adds what it makes to what it reads. The query is the first
    layer's state in the first case, what the last layer hands to the readout in the second.

    Weights: those that `CellLayer` names, for the previous word; `context_kernel` `[D, GH]` or,
    with input feeding, `feed_kernel` `[l, GH]`; `query_kernel` V_a `[E, A]`; those of the
    attention and of the other layers.

    Args:
        units, cell: see `CellLayer`.
        attention: a layer with `prepare(annotations, mask) -> Memory` and
            `call(query, memory) -> (context, alignment or None)`; see `word_query`.
        layers: how many of them.
        query: which state attends.
        feed_units: `l`, the units of the previous readout that the first layer reads; 0: no input
        feeding. layer_dropout: rate on what each layer hands to the next one.
        word_query: attention reads the previous word, too; for `BahdanauAttention` with the
        previous state.

    Source: Bahdanau et al. (2015), section 3.1 and appendix A.2.2; Luong et al. (2015), arXiv
    1508.04025, section 3, and its 3.3 for input feeding. Residual connections: Wu et al. (2016),
    arXiv 1609.08144, section 3.1.
    """

    def __init__(
        self,
        units: int,
        attention: keras.layers.Layer,
        cell: CellConfig | dict[str, Any] | None = None,
        layers: int = 1,
        query: Query = "previous",
        feed_units: int = 0,
        layer_dropout: float = 0.0,
        word_query: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, cell, **kwargs)
        require(layers >= 1, "layers", "at least 1", layers)
        require(query in ("previous", "current"), "query", "'previous' or 'current'", query)
        require(
            query == "current" or not feed_units, "query", "'current' with input feeding", query
        )
        reads = isinstance(attention, BahdanauAttention) and query == "previous"
        expected = "False without a BahdanauAttention by the previous state"
        require(reads or not word_query, "word_query", expected, word_query)
        self.attention, self.query, self.feed_units, self.word_query = (
            attention,
            query,
            feed_units,
            word_query,
        )
        self.layer_dropout, dtype = layer_dropout, self.dtype_policy
        self.upper = [
            Recurrent(units, self.cell, dtype=dtype, name=f"upper_{k}") for k in range(1, layers)
        ]
        self.dropouts = [
            SentenceDropout(layer_dropout, dtype=dtype, name=f"dropout_{k}")
            for k in range(1, layers)
        ]

    def build(self, embedded_shape: tuple, state_shape: DecoderState, memory_shape: Memory) -> None:
        """Makes the weights for embedded words `[B, Q, E]` and annotations `[B, S, D]`."""
        self.add_cell(embedded_shape[-1])
        if self.query == "previous":
            depth = Memory(*memory_shape).values[-1]
            self.context_kernel = self.add_weight((depth, self.columns), name="context_kernel")
        if self.word_query:
            self.query_kernel = self.add_weight(
                (embedded_shape[-1], self.attention.units), name="query_kernel"
            )
        if self.feed_units:
            self.feed_kernel = self.add_weight((self.feed_units, self.columns), name="feed_kernel")
        for layer in self.upper:
            layer.build((None, None, self.units))
        if not self.attention.built:
            self.attention.build((*state_shape.layers[0][:-1], self.units), memory_shape)

    def call(
        self, words: Tensor, state: DecoderState, memory: Memory, masks: tuple[Tensor, ...] = ()
    ) -> DecoderStep:
        """One step for `Q` hypotheses of each sentence.

        Args:
            words: products of the previous words `[B, Q, GH + 2l]` or, with `word_query`, `[B, Q,
            GH + 2l + A]`, from
                `Decoder.project_words`.
            memory: products of the annotations, from `Decoder.project`.
            masks: of dropout between layers, `[B Q, H]` each; none in a search.
        """
        alignment, positions = None, ops.shape(words)[1]
        if self.query == "previous":
            words, read = (
                self._split(words, -self.attention.units) if self.word_query else (words, ())
            )
            sums, alignment = self.attention(hidden(state.layers[0], self.units), memory, *read)
            words = words + sums
        # In rows: products and slices of three axes take more operations on TensorFlow.
        products = ops.reshape(words, (-1, words.shape[-1]))
        inputs, products = products[:, : self.columns], products[:, self.columns :]
        if self.feed_units:
            inputs = inputs + ops.matmul(flat_rows(state.fed[0]), self.feed_kernel)
        layers, top = self._step_layers(inputs, state.layers, masks)
        new = tuple(ops.reshape(x, (-1, positions, x.shape[-1])) for x in layers)
        top = ops.reshape(top, (-1, positions, self.units))
        if self.query == "current":
            sums, alignment = self.attention(top, memory)
            products = products + flat_rows(sums)
        return DecoderStep(new, top, products, alignment)

    def _step_layers(
        self, inputs: Tensor, states: tuple[Tensor, ...], masks: tuple[Tensor, ...]
    ) -> tuple[list[Tensor], Tensor]:
        """The states `[B Q, ...]` after one step and what the last layer hands on, from the first
        layer's inputs."""
        new = [cell_step(self.cell, inputs, flat_rows(states[0]), self.cell_weights())]
        top = hidden(new[0], self.units)
        for k, layer in enumerate(self.upper):
            top = top * masks[k] if masks else top
            inputs = ops.matmul(top, layer.kernel) + layer.input_bias
            new.append(cell_step(self.cell, inputs, flat_rows(states[k + 1]), layer.cell_weights()))
            top = top + hidden(new[-1], self.units)
        return new, top

    def masks(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Masks of dropout between layers for `call`, `[rows, H]` each; drawn before a loop, never
        within it."""
        ones = ops.ones((1, rows, self.units), self.compute_dtype)
        return tuple(dropout(ones, training=True)[0] for dropout in self.dropouts)

    def unroll(
        self, embedded: Tensor, state: DecoderState, memory: Memory, training: bool
    ) -> Unrolled:
        """All steps of given targets, without input feeding: from embedded previous words `[B, T,
        E]`, with `Q = 1`.

        To be called within a layer's `call`, whose dtype policy then holds here.
        """
        embedded = ops.transpose(embedded, (1, 0, 2))
        initial = [x[:, 0] for x in state.layers]
        if self.query == "previous":
            outputs = self._attend(embedded, initial[0], memory)
            states = hidden(outputs.states, self.units)
        else:
            states = self.read(embedded, initial=initial[0], keep_tape=training)
        for k, (layer, dropout) in enumerate(zip(self.upper, self.dropouts, strict=True)):
            states = dropout(states, training=training)
            states = states + layer(states, initial=initial[k + 1], training=training)
        tops = ops.transpose(states, (1, 0, 2))
        if self.query == "current":
            return Unrolled(tops, *self.attention(tops, memory))
        contexts, alignments = (
            ops.transpose(x, (1, 0, 2)) for x in (outputs.contexts, outputs.alignments)
        )
        return Unrolled(tops, contexts, None if memory.keys is None else alignments)

    @staticmethod
    def _split(words: Tensor, column: int) -> tuple[Tensor, tuple[Tensor]]:
        """The columns of words' products for the layers, and those for attention."""
        return words[..., :column], (words[..., column:],)

    def _attend(self, embedded: Tensor, initial: Tensor, memory: Memory) -> AttendingOutputs:
        """The first layer over whole targets `[T, B, E]`, attending with its previous state."""
        inputs = ops.matmul(embedded, self.kernel) + self.input_bias
        if self.word_query:
            inputs = ops.concatenate([inputs, ops.matmul(embedded, self.query_kernel)], axis=-1)
        if has_gradient(self.cell) and isinstance(self.attention, BahdanauAttention):
            kernel, weights = (
                ops.copy(self.context_kernel),
                self.attention.recurrence_weights(memory),
            )
            return attending_gru(inputs, initial, kernel, self.cell_weights(), weights)

        def step(x: Tensor, state: Tensor) -> AttendingOutputs:
            x, read = self._split(x, self.columns) if self.word_query else (x, ())
            context, alignment = self.attention(hidden(state, self.units)[:, None], memory, *read)
            # Without attention a column that is thrown away: not every backend writes rows of no
            # width.
            alignment = state[:, :1] if alignment is None else alignment[:, 0]
            x = x + ops.matmul(context[:, 0], self.context_kernel)
            return AttendingOutputs(
                cell_step(self.cell, x, state, self.cell_weights()), context[:, 0], alignment
            )

        return attending(step, inputs, initial)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        attention = keras.saving.serialize_keras_object(self.attention)
        own = {"attention": attention, "layers": 1 + len(self.upper), "query": self.query}
        more = {
            "feed_units": self.feed_units,
            "layer_dropout": self.layer_dropout,
            "word_query": self.word_query,
        }
        return {**super().get_config(), **own, **more}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AttendingRecurrence:
        """The layer that `get_config` described."""
        return cls(
            **{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])}
        )
