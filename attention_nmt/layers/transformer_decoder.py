"""The decoder of a Transformer: teacher forcing, and a step with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import keras
from keras import ops

from attention_nmt.checks import require, require_axes, require_type
from attention_nmt.config import TransformerConfig
from attention_nmt.layers.attention import Annotations, annotations_shape, mask_bias
from attention_nmt.layers.heads import Heads, MultiHeadAttention, heads_bias
from attention_nmt.layers.transformer import (
    Config,
    FeedForward,
    Residual,
    Stack,
    check_depth,
    placed,
    scaled,
)
from attention_nmt.types import Tensor


class TransformerMemory(NamedTuple):
    """The memory that steps read."""

    layers: tuple[Heads, ...]  # of the annotations, in each layer
    bias: Tensor  # [B, 1, 1, S]


class FixedCache(NamedTuple):
    """Keys and values of each layer, of as many words as there can be: 0 from the position on."""

    keys: tuple[Tensor, ...]  # [B, Q, h, T, d]
    values: tuple[Tensor, ...]  # likewise


class GrowingCache(NamedTuple):
    """Keys and values of each layer, of the `t` words so far."""

    keys: tuple[Tensor, ...]  # [B, Q, h, t, d]
    values: tuple[Tensor, ...]  # likewise


class TransformerState(NamedTuple):
    """The state that one step hands to the next."""

    position: Tensor  # []
    cache: FixedCache | GrowingCache


Append: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Gives keys or values of the words so far `[B, Q, h, T, d]` with those of the words of this
position `[B, Q, h, 1, d]`."""


class DecoderLayer(keras.layers.Layer):
    """A word attends to those before it, then to the annotations, then a `FeedForward`."""

    def __init__(
        self, units: int, config: TransformerConfig, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.own, self.own_residual = self._attention(units, config, dropout, "own")
        self.source, self.source_residual = self._attention(units, config, dropout, "source")
        self.feed_forward = FeedForward(units, config, dropout, dtype=dtype, name="feed_forward")

    def _attention(
        self, units: int, config: TransformerConfig, dropout: float, name: str
    ) -> tuple[MultiHeadAttention, Residual]:
        dtype = self.dtype_policy
        attention = MultiHeadAttention(
            units, config.heads, config.attention_dropout, dtype=dtype, name=f"{name}_attention"
        )
        return attention, Residual(config.pre_norm, dropout, dtype=dtype, name=f"{name}_residual")

    def build(self, shape: tuple, annotations: tuple) -> None:
        """Makes the weights for words `[B, T, E]` and annotations `[B, S, D]`."""
        self.own.build(shape, shape)
        self.own_residual.build(shape)
        self.source.build(shape, annotations)
        self.source_residual.build(shape)
        self.feed_forward.build(shape)

    def call(
        self, x: Tensor, annotations: Tensor, biases: tuple[Tensor, Tensor], training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing.

        Args:
            x: words `[B, T, E]`.
            annotations: `[B, S, D]`.
            biases: of the energies of words `[T, T]`, and of annotations `[B, 1, 1, S]`.
            training: whether dropout is on.

        Returns:
            `[B, T, E]`, and the alignments `[B, h, T, S]`.
        """
        causal, bias = biases
        read = self.own_residual.before(x)
        y, _ = self.own(read, read, causal, training=training)
        x = self.own_residual.after(x, y, training)
        return self._read_source(x, self.source.memory(annotations), bias, training)

    def step(
        self,
        x: Tensor,
        cache: Heads,
        append: Append,
        bias: Tensor | None,
        source: tuple[Heads, Tensor],
    ) -> tuple[Tensor, Heads, Tensor]:
        """One word of each of `Q` hypotheses.

        Args:
            x: words `[B, Q, E]`.
            cache: keys and values of the words before them `[B, Q, h, T, d]`.
            append: adds words to a cache.
            bias: of the energies of the words so far `[T]`.
            source: of the annotations, with the bias of their energies.

        Returns:
            `[B, Q, E]`, the cache with these words, and the alignments `[B, h, Q, S]`.
        """
        read = self.own_residual.before(x)
        new = self.own.step_memory(read)
        cache = Heads(append(cache.keys, new.keys), append(cache.values, new.values))

        # Each hypothesis has words of its own: to this attention it is a sentence.
        words = Heads(_apart(cache.keys), _apart(cache.values))
        y, _ = self.own.attend(self.own.step_queries(read), words, bias)
        x = self.own_residual.after(x, ops.reshape(y, ops.shape(x)))
        x, alignments = self._read_source(x, *source)
        return x, cache, alignments

    def _read_source(
        self, x: Tensor, memory: Heads, bias: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        read = self.source_residual.before(x)
        queries = self.source.queries(read)
        y, alignments = self.source.attend(queries, memory, bias, training)
        x = self.source_residual.after(x, y, training)
        return self.feed_forward(x, training=training), alignments


def _apart(x: Tensor) -> Tensor:
    """`[B, Q, h, T, d]` as `[B Q, h, T, d]`."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def _prepared(memory: Any) -> tuple[Tensor, Tensor]:
    """The annotations and the mask of a memory, or of the list that a file makes of it.

    Raises:
        TypeError: it is something else.
    """
    parts = len(memory) if isinstance(memory, (list, tuple)) else 0
    require_type(parts == 2, "memory", "what `prepare` gives", memory)
    return memory[0], memory[1]


@keras.saving.register_keras_serializable("attention_nmt")
class TransformerDecoder(Stack):
    """Layers in which a word attends to those before it and to the annotations.

    `call` is teacher forcing; a search calls `step`, which keeps the keys and values of the words
    so far.

    Args:
        units: `E`, of embedded words and of what is given.
        layers: how many.
        config: heads, feed-forward units, their dropout, and which heads are the alignment.
        layer_dropout: rate on what each sublayer adds.
        dropout: rate on what the decoder gives, one mask per sentence for all of its positions.

    Raises:
        ValueError: `units` is odd, or no multiple of the heads; there is no such layer to align; or
            as the config.

    Source, and departures from it: see `TransformerEncoder`.
    """

    aligns = True

    layer_class = DecoderLayer

    def __init__(
        self,
        units: int,
        *,
        layers: int = 6,
        config: Config = None,
        layer_dropout: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            layers=layers,
            config=config,
            layer_dropout=layer_dropout,
            dropout=dropout,
            **kwargs,
        )
        number = self.config.layer_that_aligns(layers)
        require(-layers <= number < layers, "alignment_layer", f"one of {layers} layers", number)
        self.alignment_layer = number

    @property
    def output_size(self) -> int:
        """`E`."""
        return self.units

    def build(
        self,
        embedded_shape: tuple,
        summary_shape: Any,  # noqa: ARG002 - there is no first state
        memory_shape: Any,
    ) -> None:
        """Makes the weights for embedded words `[B, T, E]` and a memory of `[B, S, D]`."""
        check_depth(embedded_shape, self.units)
        for layer in self.layers:
            layer.build(embedded_shape, annotations_shape(memory_shape))
        self.build_last(embedded_shape)

    def prepare(self, annotations: Tensor, mask: Tensor) -> Annotations:
        """Keeps annotations `[B, S, D]` and `mask` `[B, S]`, True on words, for `call`."""
        require_axes("annotations", annotations, "[B, S, D]")
        require_axes("mask", mask, "[B, S]")
        return Annotations(annotations, mask)

    def call(
        self,
        embedded: Tensor,
        summary: Tensor,  # noqa: ARG002 - there is no first state
        memory: Annotations,
        training: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing.

        Args:
            embedded: the embedded previous words `[B, T, E]`; the first is the start symbol's.
            summary: is not read.
            memory: from `prepare`.
            training: whether dropout is on.

        Returns:
            `[B, T, E]`, and the alignment `[B, T, S]`.

        Raises:
            TypeError: the memory is not what `prepare` gives.
            ValueError: a tensor has more axes or fewer.
        """
        require_axes("embedded", embedded, "[B, T, E]")
        annotations, mask = _prepared(memory)
        places = ops.arange(ops.shape(embedded)[1])
        causal = mask_bias(places[:, None] >= places, self.compute_dtype)
        biases = (causal, heads_bias(mask, self.compute_dtype))
        x = placed(self.project_words(embedded), places)
        found = []
        for layer in self.layers:
            x, alignments = layer(x, annotations, biases, training=training)
            found.append(alignments)
        return self.dropout(self.last(x), training=training), self._alignment(found)

    def _alignment(self, found: list[Tensor]) -> Tensor:
        """The mean over the heads that are chosen, of the layer that is, `[B, T, S]`."""
        alignments = found[self.alignment_layer]
        heads = self.config.alignment_heads
        if not heads:
            return ops.mean(alignments, axis=1)
        first, *others = (alignments[:, head] for head in heads)
        return sum(others, first) / len(heads) if others else first

    def initial_state(
        self, summary: Tensor, maximum_length: Tensor | int | None
    ) -> TransformerState:
        """An empty cache for one hypothesis per sentence.

        Args:
            summary: `[B, N]`, of which the number of sentences is read.
            maximum_length: the positions of a `FixedCache`, which loses the word of a step beyond
                them; None is a `GrowingCache`.
        """
        sentences = ops.shape(summary)[0]
        # A 0 that a graph does not know: the length is to be another one at each step of a loop.
        length = 0 * sentences if maximum_length is None else maximum_length
        heads = self.config.heads
        shape = (sentences, 1, heads, length, self.units // heads)
        empty = tuple(ops.zeros(shape, self.compute_dtype) for _ in self.layers)
        cache = GrowingCache if maximum_length is None else FixedCache
        return TransformerState(ops.zeros((), "int32"), cache(empty, empty))

    def project(self, memory: Annotations) -> TransformerMemory:
        """The keys and values of the annotations in each layer."""
        annotations, mask = _prepared(memory)
        heads = tuple(layer.source.memory(annotations) for layer in self.layers)
        return TransformerMemory(heads, heads_bias(mask, self.compute_dtype))

    def project_words(self, embedded: Tensor) -> Tensor:
        """The embedded words `[..., E]`, scaled; see `scaled`."""
        return scaled(embedded)

    @property
    def word_columns(self) -> int:
        """`E`."""
        return self.units

    def step(
        self, word_products: Tensor, state: TransformerState, memory: TransformerMemory
    ) -> tuple[Tensor, TransformerState, Tensor]:
        """One step for `Q` hypotheses of each sentence.

        Args:
            word_products: the previous words `[B, Q, E]`, from `project_words`.
            state: from the step before, or `initial_state`.
            memory: from `project`.

        Returns:
            `[B, Q, E]`, the next state, and the alignment `[B, Q, S]`.
        """
        x = placed(word_products, state.position[None])
        append, bias = self._appending(state)
        caches, found = [], []
        for layer, *cache, source in zip(
            self.layers, state.cache.keys, state.cache.values, memory.layers, strict=True
        ):
            about = (source, memory.bias)
            x, new, alignments = layer.step(x, Heads(*cache), append, bias, about)
            caches.append(new)
            found.append(alignments)
        keys, values = zip(*caches, strict=True)
        state = TransformerState(state.position + 1, type(state.cache)(keys, values))
        return self.last(x), state, self._alignment(found)

    def _appending(self, state: TransformerState) -> tuple[Append, Tensor | None]:
        """The way in which words are added to the cache, and the bias of energies behind it."""
        if isinstance(state.cache, GrowingCache):
            return lambda words, new: ops.concatenate([words, new], axis=3), None

        places = ops.arange(ops.shape(state.cache.keys[0])[3])
        here = ops.expand_dims(ops.equal(places, state.position), -1)
        here = ops.cast(here, self.compute_dtype)
        bias = mask_bias(places <= state.position, self.compute_dtype)
        return lambda words, new: words + here * new, bias
