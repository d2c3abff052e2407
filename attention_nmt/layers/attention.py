"""Attention: what a decoder state reads from the annotations of the source."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import keras
from keras import ops

from attention_nmt.backend import rows_by
from attention_nmt.checks import require, require_axes, require_type
from attention_nmt.layers.attending_gru import AttentionWeights, softmax
from attention_nmt.types import Tensor

MASKED = -3e4
"""Half the lowest number of float16, which is added to the energies of padding.

Of float16, because a decoder may compute in it what attention does not; half of it, because the sum
with an energy must stay finite: then a row without any word has a defined softmax.
"""

EXPECTED_MEMORY = "what `prepare` gives, a Memory, or a decoder's StepMemory"
"""The memory that an attention reads, in the words of messages."""


class Memory(NamedTuple):
    """Attention's memory of a batch of sentences, made once per sentence."""

    annotations: Tensor  # [B, S, D]: h_j; [B, 1, D] where the context is fixed
    keys: Tensor  # [B, S, A]: U_a h_j; [B, S, H] of Luong's attention; None without attention
    bias: Tensor  # [B, S]: 0 on words, very negative on padding; None without attention

    @property
    def values(self) -> Tensor:
        """The annotations, of which a context is a weighted sum."""
        return self.annotations


class Annotations(NamedTuple):
    """The annotations of a functional model, of which `call` makes the memory.

    Between `keras.Input`s `prepare` puts its work off: a product of its own there would be a layer
    of the model beside the attention, and a file would not keep that both have one kernel.
    """

    annotations: Tensor  # [B, S, D]
    mask: Tensor  # [B, S]: True on words


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
    return ops.where(ops.cast(mask, "bool"), ops.zeros((), dtype), ops.full((), MASKED, dtype))


def _check_axes(annotations: Tensor, mask: Tensor) -> None:
    require_axes("annotations", annotations, "[B, S, D]")
    require_axes("mask", mask, "[B, S]")


def _put_off(annotations: Tensor, mask: Tensor) -> Any:
    """The `Annotations` of a functional model, of which `call` makes the memory; None elsewhere."""
    _check_axes(annotations, mask)
    if isinstance(annotations, keras.KerasTensor):
        return Annotations(annotations, mask)
    return None


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

        Returns:
            The memory; between `keras.Input`s the `Annotations` that `call` makes it of.

        Raises:
            TypeError: an argument is no tensor.
            ValueError: an argument has more axes or fewer.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method `prepare`")

    def prepared(self, memory: Any) -> Memory | StepMemory:
        """The memory that `call` reads, of what it was given.

        Args:
            memory: from `prepare`, or a decoder's products of it, or the list that a file of a
                functional model makes of either.

        Raises:
            TypeError: it is something else.
        """
        if isinstance(memory, (Memory, StepMemory)):
            return memory

        parts = len(memory) if isinstance(memory, (list, tuple)) else 0
        require_type(parts in (2, 3), "memory", EXPECTED_MEMORY, memory)
        if parts == 2:
            return self.prepare(*memory)
        return Memory(*memory)


def annotations_shape(memory_shape: Any) -> tuple[int | None, ...]:
    """The shape `[B, S, D]` of a memory's annotations, of the shapes of the memory.

    Raises:
        TypeError: they are of something else.
    """
    parts = len(memory_shape)
    whole = parts in (2, 3) and isinstance(memory_shape[0], (list, tuple))
    require_type(whole, "memory", EXPECTED_MEMORY, memory_shape)
    return tuple(memory_shape[0])  # a saved shape is a list


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
        shape = annotations_shape(memory_shape)
        self.query_kernel = self.add_weight((query_shape[-1], self.units), name="query_kernel")
        self.scale = self.add_weight((self.units,), initializer="random_uniform", name="scale")
        if not self.key_projection.built:
            self.key_projection.build(shape)

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Multiplies annotations with U_a; see `Attention`."""
        annotated = _put_off(annotations, mask)
        if annotated is not None:
            return annotated

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
        require_axes("query", query, "[B, Q, H]")
        memory = self.prepared(memory)
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
        shape = annotations_shape(memory_shape)
        units = query_shape[-1]
        depth = shape[-1]
        if self.score == "dot":
            expected = f"of the annotations' depth {depth} with the score 'dot'"
            require(units == depth, "query", expected, units)
            return

        self.key_projection = keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="key_projection"
        )
        self.key_projection.build(shape)

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Multiplies annotations with W_a where the score is general; see `Attention`."""
        annotated = _put_off(annotations, mask)
        if annotated is not None:
            return annotated

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
        require_axes("query", query, "[B, Q, H]")
        memory = self.prepared(memory)
        energies = ops.matmul(query, ops.transpose(memory.keys, (0, 2, 1)))
        alignment = softmax(energies + memory.bias[:, None])
        return ops.matmul(alignment, memory.values), alignment

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "score": self.score}


@keras.saving.register_keras_serializable("attention_nmt")
class FixedContext(Attention):
    """No attention: the context is the encoder's end state at every step, the alignment is None.

    A functional model of Keras cannot have it, as it cannot have an output that is None.

    Source: Cho et al. (2014), arXiv 1406.1078, section 2.2: the RNN encoder-decoder (RNNencdec)
    that Bahdanau et al. compare with in their section 4.2.
    """

    aligns = False

    def build(self, query_shape: tuple, memory_shape: Memory) -> None:
        """Nothing to make: there are no weights."""

    def prepare(self, annotations: Tensor, mask: Tensor) -> Memory:
        """Keeps the annotation of the last position `[B, 1, D]`.

        Of an encoder with `bidirectional=False` this is the end state, whatever padding follows the
        words.
        """
        _check_axes(annotations, mask)
        return Memory(annotations[:, -1:], None, None)

    def call(self, query: Tensor, memory: Memory | StepMemory) -> tuple[Tensor, None]:
        """The context `[B, Q, D]` for queries `[B, Q, H]`, and no alignment."""
        require_axes("query", query, "[B, Q, H]")
        memory = self.prepared(memory)
        # Not `ops.repeat`: XLA does not compile its gradient inside a loop.
        return memory.values + ops.zeros_like(query[:, :, :1]), None
