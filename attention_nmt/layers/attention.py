"""Attention: what a decoder state reads from the annotations of the source.

The layers are for models that call them, as `Seq2Seq` does: between `keras.Input`s a memory would
not be kept whole.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import keras
from keras import ops

from attention_nmt.backend import rows_by
from attention_nmt.checks import require
from attention_nmt.layers.attending_gru import AttentionWeights, softmax
from attention_nmt.types import Tensor

MASKED = -3e4
"""Half the lowest number of float16, which is added to the energies of padding.

Of float16, because a decoder may compute in it what attention does not; half of it, because the sum
with an energy must stay finite: then a row without any word has a defined softmax.
"""


class Memory(NamedTuple):
    """Attention's memory of a batch of sentences, made once per sentence."""

    annotations: Tensor  # [B, S, D]: h_j; [B, 1, D] where the context is fixed
    keys: Tensor  # [B, S, A]: U_a h_j; [B, S, H] of Luong's attention; None without attention
    bias: Tensor  # [B, S]: 0 on words, very negative on padding; None without attention

    @property
    def values(self) -> Tensor:
        """The annotations, of which a context is a weighted sum."""
        return self.annotations


class StepMemory(NamedTuple):
    """The memory that a step of a decoder reads: products of annotations in place of themselves."""

    products: Tensor  # [B, S, N]: h_j times the kernels that read contexts
    keys: Tensor  # as in `Memory`
    bias: Tensor  # as in `Memory`

    @property
    def values(self) -> Tensor:
        """The products, whose weighted sum is a context times the kernels that read it."""
        return self.products


def mask_bias(mask: Tensor, dtype: str) -> Tensor:
    """The bias of energies: 0 where `mask` is True, elsewhere `MASKED`."""
    return ops.where(mask, ops.zeros((), dtype), ops.full((), MASKED, dtype))


class Attention(keras.layers.Layer):
    """An attention layer: it prepares a memory once per sentence, and reads it with queries.

    A new attention is a subclass with `build`, `prepare` and `call`.

    Attributes:
        aligns: whether it gives an alignment.
        reads_words: whether `call` takes products of the previous words beside the query.
        fuses: whether `recurrence_weights` is there, with which `attending_gru` attends as `call`
            does.
    """

    aligns: ClassVar[bool] = True
    reads_words: ClassVar[bool] = False
    fuses: ClassVar[bool] = False

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Computes once per sentence what every step reads.

        Args:
            annotations: `[B, S, D]`.
            mask: True on words `[B, S]`.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method `prepare`")


@keras.saving.register_keras_serializable("attention_nmt")
class BahdanauAttention(Attention):
    """Additive attention.

        e_ij = v_a . tanh(W_a s_{i-1} + U_a h_j)      alpha_ij = softmax_j(e_ij)
        c_i = sum_j alpha_ij h_j

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

    reads_words = True
    fuses = True

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        self.units = units
        self.key_projection = keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="key_projection"
        )

    def build(self, query_shape: tuple, memory_shape: Memory) -> None:
        """Makes the weights for queries `[B, Q, H]` and annotations `[B, S, D]`."""
        annotations_shape = Memory(*memory_shape).annotations  # a saved shape is a list
        self.query_kernel = self.add_weight((query_shape[-1], self.units), name="query_kernel")
        self.scale = self.add_weight((self.units,), initializer="random_uniform", name="scale")
        if not self.key_projection.built:
            self.key_projection.build(annotations_shape)

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Multiplies annotations with U_a; see `Attention`."""
        keys = self.key_projection(annotations)
        return Memory(annotations, keys, mask_bias(mask, self.compute_dtype))

    def call(
        self, query: Tensor, memory: Memory | StepMemory, added: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attends with `Q` queries per sentence.

        Args:
            query: previous decoder states `[B, Q, H]`.
            memory: from `prepare`, or a decoder's products of it.
            added: what is added to their products with W_a `[B, Q, A]`; see `DecoderRecurrence`.

        Returns:
            The contexts, sums of the memory's values, `[B, Q, D]`, and the alignments `[B, Q, S]`,
            whose rows sum to 1.
        """
        rows = rows_by(query, self.query_kernel)
        if added is not None:
            rows = rows + ops.reshape(added, (-1, self.units))
        projected = ops.reshape(rows, (-1, ops.shape(query)[1], 1, self.units))

        hidden = ops.tanh(projected + memory.keys[:, None])
        energies = rows_by(hidden, self.scale[:, None])
        energies = ops.reshape(energies, (-1, *ops.shape(hidden)[1:3]))
        alignment = softmax(energies + memory.bias[:, None])
        return ops.matmul(alignment, memory.values), alignment

    def recurrence_weights(self, memory: Memory) -> AttentionWeights:
        """The tensors with which `attending_gru` attends as `call` does, many steps in one loop."""
        return AttentionWeights(
            query_kernel=ops.copy(self.query_kernel),
            scale=ops.copy(self.scale),
            keys=memory.keys,
            annotations=memory.annotations,
            bias=memory.bias,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("attention_nmt")
class LuongAttention(Attention):
    """Multiplicative attention.

        e_ij = s . h_j    or, with `score="general"`, s . W_a h_j      alpha_ij = softmax_j(e_ij)
        c_i = sum_j alpha_ij h_j

    Weights: none, or `key_projection` W_a `[D, H]`.

    Args:
        score: `dot`, for which `H` must equal `D`, or `general`.

    Raises:
        ValueError: another score; when it is built, queries and annotations of unequal depths with
            `dot`; `prepare` before it is built with `general`, which does not know `H` before.

    Source: Luong, Pham and Manning (2015), arXiv 1508.04025, section 3.1, global attention. Which
    state `s` is and where the context goes is the decoder's business: `DecoderRecurrence` with
    `query="current"` is that paper's.
    Departures from the paper: none.
    """

    def __init__(self, score: Literal["dot", "general"] = "general", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(score in ("dot", "general"), "score", "'dot' or 'general'", score)
        self.score = score

    def build(self, query_shape: tuple, memory_shape: Memory) -> None:
        """Makes the weights for queries `[B, Q, H]` and annotations `[B, S, D]`."""
        annotations_shape = Memory(*memory_shape).annotations  # a saved shape is a list
        units = query_shape[-1]
        depth = annotations_shape[-1]
        if self.score == "dot":
            expected = f"of the annotations' depth {depth} with the score 'dot'"
            require(units == depth, "query", expected, units)
            return

        self.key_projection = keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="key_projection"
        )
        self.key_projection.build(annotations_shape)

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Multiplies annotations with W_a where the score is general; see `Attention`."""
        if self.score == "general" and not self.built:
            raise ValueError(
                "`prepare` with the score 'general' must follow `build`, which learns `H`. "
                "Received: no build."
            )
        keys = annotations if self.score == "dot" else self.key_projection(annotations)
        return Memory(annotations, keys, mask_bias(mask, self.compute_dtype))

    def call(self, query: Tensor, memory: Memory | StepMemory) -> tuple[Tensor, Tensor]:
        """Attends with `Q` queries per sentence.

        Args:
            query: decoder states `[B, Q, H]`.
            memory: from `prepare`, or a decoder's products of it.

        Returns:
            The contexts `[B, Q, D]` and the alignments `[B, Q, S]`, whose rows sum to 1.
        """
        energies = ops.matmul(query, ops.transpose(memory.keys, (0, 2, 1)))
        alignment = softmax(energies + memory.bias[:, None])
        return ops.matmul(alignment, memory.values), alignment

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "score": self.score}


@keras.saving.register_keras_serializable("attention_nmt")
class FixedContext(Attention):
    """No attention: the context is the encoder's end state at every step, the alignment is None.

    Source: Cho et al. (2014), arXiv 1406.1078, section 2.2: the RNN encoder-decoder (RNNencdec)
    that Bahdanau et al. compare with in their section 4.2.
    """

    aligns = False

    def build(self, query_shape: tuple, memory_shape: Memory) -> None:
        """Nothing to make: there are no weights."""

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:  # noqa: ARG002
        """Keeps the annotation of the last position `[B, 1, D]`.

        Of an encoder with `bidirectional=False` this is the end state, whatever padding follows the
        words.
        """
        return Memory(annotations[:, -1:], None, None)

    def call(self, query: Tensor, memory: Memory | StepMemory) -> tuple[Tensor, None]:
        """The context `[B, Q, D]` for queries `[B, Q, H]`, and no alignment."""
        # Not `ops.repeat`: XLA does not compile its gradient inside a loop.
        return memory.values + ops.zeros_like(query[:, :, :1]), None
