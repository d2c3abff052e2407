"""Attention: what a decoder state reads from the annotations of the source.

The layers are for models that call them, as `Seq2Seq` does: between `keras.Input`s a memory would
not be kept whole.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import keras
from keras import ops

from attention_nmt.checks import require
from attention_nmt.layers.recurrence import AttentionWeights, softmax
from attention_nmt.types import Tensor


class Memory(NamedTuple):
    """A batch of encoded sentences, made once per sentence and read at every step."""

    values: Tensor  # [B, S, D]: h_j, or what a decoder makes of each; [B, 1, D] where the context is fixed
    keys: Tensor | None  # [B, S, A]: U_a h_j; [B, S, H] of Luong's attention
    bias: Tensor | None  # [B, S]: 0 on words, very negative on padding


def mask_bias(mask: Tensor, dtype: str) -> Tensor:
    """What to add to energies: 0 where `mask` is set, elsewhere half the lowest number of float16.

    Of float16, because a decoder may compute in it what attention does not; half of it, because
    the sum with an energy must stay finite: then a row without any word has a defined softmax.
    """
    return ops.where(mask, ops.zeros((), dtype), ops.full((), -3e4, dtype))


@keras.saving.register_keras_serializable("attention_nmt")
class BahdanauAttention(keras.layers.Layer):
    """Additive attention.

        e_ij = v_a . tanh(W_a s_{i-1} + U_a h_j)      alpha_ij = softmax_j(e_ij)      c_i = sum_j
        alpha_ij h_j

    Weights: `query_kernel` W_a `[H, A]`, `key_projection` U_a `[D, A]`, `scale` v_a `[A]`.

    Args:
        units: `A`, the attention units.

    Raises:
        ValueError: `units` is below 1.

    Source: Bahdanau, Cho and Bengio (2015), section 3.1 and appendix A.1.2.
    Departures from the paper: none.

    Example:

    ```python
    attention = BahdanauAttention(256)
    memory = attention.prepare(annotations, mask)  # [B, S, D], [B, S]
    context, alignment = attention(state[:, None], memory)  # [B, 1, D], [B, 1, S]
    ```
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        self.units = units
        self.key_projection = keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="key_projection"
        )

    def build(self, query_shape: tuple, memory_shape: Memory) -> None:
        """Makes the weights for queries `[B, Q, H]` and annotations `[B, S, D]`."""
        annotations_shape = Memory(*memory_shape).values  # a saved shape is a list
        self.query_kernel = self.add_weight((query_shape[-1], self.units), name="query_kernel")
        self.scale = self.add_weight((self.units,), initializer="random_uniform", name="scale")
        if not self.key_projection.built:
            self.key_projection.build(annotations_shape)

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Computes once per sentence what every step reads.

        Args:
            annotations: `[B, S, D]`.
            mask: True on words `[B, S]`.
        """
        keys = self.key_projection(annotations)
        return Memory(annotations, keys, mask_bias(mask, self.compute_dtype))

    def call(
        self, query: Tensor, memory: Memory, words: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attends with `Q` queries per sentence.

        Args:
            query: previous decoder states `[B, Q, H]`.
            words: what is added to their products with W_a `[B, Q, A]`; see `AttendingRecurrence`.

        Returns:
            The contexts, sums of the memory's values, `[B, Q, D]`, and the alignments `[B, Q, S]`,
            whose rows sum to 1.
        """
        assert memory.keys is not None, "made by `prepare`"
        assert memory.bias is not None, "made by `prepare`"
        # In rows: a product of three axes with a matrix takes ten more operations on TensorFlow.
        rows = ops.matmul(ops.reshape(query, (-1, query.shape[-1])), self.query_kernel)
        if words is not None:
            rows = rows + ops.reshape(words, (-1, self.units))
        query = ops.reshape(rows, (-1, ops.shape(query)[1], 1, self.units))
        hidden = ops.tanh(query + memory.keys[:, None])
        energies = ops.matmul(ops.reshape(hidden, (-1, self.units)), self.scale[:, None])
        energies = ops.reshape(energies, (-1, *ops.shape(hidden)[1:3]))
        alignment = softmax(energies + memory.bias[:, None])
        return ops.matmul(alignment, memory.values), alignment

    def recurrence_weights(self, memory: Memory) -> AttentionWeights:
        """The tensors with which `recurrence.attending_gru` attends as `call` does, many steps in
        one loop."""
        query_kernel, scale = ops.copy(self.query_kernel), ops.copy(self.scale)
        return AttentionWeights(query_kernel, scale, memory.keys, memory.values, memory.bias)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("attention_nmt")
class LuongAttention(keras.layers.Layer):
    """Multiplicative attention.

        e_ij = s . h_j    or, with `score="general"`, s . W_a h_j      alpha_ij = softmax_j(e_ij)
        c_i = sum_j alpha_ij h_j

    Weights: none, or `key_projection` W_a `[D, H]`.

    Args:
        score: `dot`, for which `H` must equal `D`, or `general`.

    Raises:
        ValueError: another score; when it is built, queries and annotations of unequal depths with
        `dot`; `prepare`
            before it is built with `general`, which does not know `H` before.

    Source: Luong, Pham and Manning (2015), arXiv 1508.04025, section 3.1, global attention. Which
    state `s` is and where the context goes is the decoder's business: `AttendingRecurrence` with
    `query="current"` is that paper's. Departures from the paper: none.
    """

    def __init__(self, score: Literal["dot", "general"] = "general", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(score in ("dot", "general"), "score", "'dot' or 'general'", score)
        self.score = score

    def build(self, query_shape: tuple, memory_shape: Memory) -> None:
        """Makes the weights for queries `[B, Q, H]` and annotations `[B, S, D]`."""
        annotations_shape = Memory(*memory_shape).values  # a saved shape is a list
        units, depth = query_shape[-1], annotations_shape[-1]
        if self.score == "dot":
            require(
                units == depth,
                "query",
                f"of the annotations' depth {depth} with the score 'dot'",
                units,
            )
            return
        self.key_projection = keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="key_projection"
        )
        self.key_projection.build(annotations_shape)

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Computes once per sentence what every step reads; see `BahdanauAttention.prepare`."""
        if self.score == "general" and not self.built:
            raise ValueError(
                "`prepare` with the score 'general' must follow `build`, which learns `H`. Received: no build."
            )
        keys = annotations if self.score == "dot" else self.key_projection(annotations)
        return Memory(annotations, keys, mask_bias(mask, self.compute_dtype))

    def call(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attends with `Q` queries `[B, Q, H]` per sentence: contexts `[B, Q, D]` and alignments
        `[B, Q, S]`."""
        assert memory.keys is not None, "made by `prepare`"
        assert memory.bias is not None, "made by `prepare`"
        energies = ops.matmul(query, ops.transpose(memory.keys, (0, 2, 1)))
        alignment = softmax(energies + memory.bias[:, None])
        return ops.matmul(alignment, memory.values), alignment

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "score": self.score}


@keras.saving.register_keras_serializable("attention_nmt")
class FixedContext(keras.layers.Layer):
    """No attention: the context is the encoder's end state at every step, the alignment is None.

    Source: Cho et al. (2014), arXiv 1406.1078, section 2.2: the RNN encoder-decoder (RNNencdec)
    that Bahdanau et al. compare with in their section 4.2.
    """

    def build(self, query_shape: tuple, memory_shape: Memory) -> None:
        """Nothing to make: there are no weights."""

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:  # noqa: ARG002 - the mask is the others' contract
        """Keeps the annotation of the last position `[B, 1, D]`.

        Of an encoder with `bidirectional=False` this is the end state, whatever padding follows
        the words.
        """
        return Memory(annotations[:, -1:], None, None)

    def call(self, query: Tensor, memory: Memory) -> tuple[Tensor, None]:
        """The context `[B, Q, D]` for queries `[B, Q, H]`, and no alignment."""
        # Not `ops.repeat`: XLA does not compile its gradient inside a loop.
        return memory.values + ops.zeros_like(query[:, :, :1]), None
