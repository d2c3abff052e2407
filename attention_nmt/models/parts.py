"""The two parts of a `Seq2Seq`, an encoder and a decoder: their contracts, and how they are made.

Any encoder goes with any decoder. A new one is a layer that keeps one of the contracts here, and a
name in `ENCODERS` or `DECODERS` that `ModelConfig` takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attention_nmt.backbones import Backbone
from attention_nmt.checks import require
from attention_nmt.config import ModelConfig
from attention_nmt.layers.attention import (
    Attention,
    BahdanauAttention,
    FixedContext,
    LuongAttention,
)
from attention_nmt.layers.decoder import Decoder
from attention_nmt.layers.encoder import Encoded, Encoder
from attention_nmt.layers.pretrained_encoder import PretrainedEncoder
from attention_nmt.layers.transformer_decoder import TransformerDecoder
from attention_nmt.layers.transformer_encoder import TransformerEncoder
from attention_nmt.types import Tensor


class EncoderPart(Protocol):
    """The layer that reads source words: embedded ones, or ids if it has an embedding of its own.

    The config's `embeds_source` says which.
    """

    @property
    def trainable_variables(self) -> list[Any]:
        """Its weights, as of any layer of Keras."""

    @property
    def depth(self) -> int:
        """`D`, the size of an annotation."""

    @property
    def summary_size(self) -> int:
        """`N`, the size of a summary."""

    def build(self, words_shape: tuple) -> None:
        """Makes the weights for embedded words `[B, S, E]`, or for ids `[B, S]`."""

    def __call__(self, words: Tensor, mask: Tensor, training: bool = False) -> Encoded:
        """Annotates embedded words `[B, S, E]`, or ids `[B, S]`; `mask` `[B, S]` is True on words.

        What is computed on words does not depend on padding.
        """


class DecoderPart(Protocol):
    """The layer between annotations, previous target words and the output product."""

    @property
    def aligns(self) -> bool:
        """Whether it gives alignments."""

    @property
    def output_size(self) -> int:
        """`l`, the size of what the output product reads."""

    @property
    def word_columns(self) -> int:
        """The columns of `project_words`."""

    def build(self, embedded_shape: tuple, summary_shape: tuple, memory_shape: Any) -> None:
        """Makes the weights, of the shapes `[B, T, E]`, `[B, N]` and a memory of `[B, S, D]`."""

    def prepare(self, annotations: Tensor, mask: Tensor) -> Any:
        """The memory of `[B, S, D]`, which a call reads, and of which `project` makes another."""

    def __call__(
        self, embedded: Tensor, summary: Tensor, memory: Any, training: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Teacher forcing on embedded words `[B, T, E]`.

        Returns:
            What the output product reads `[B, T, l]`, and the alignment `[B, T, S]` or None.
        """

    def initial_state(self, summary: Tensor, maximum_length: Tensor | int | None) -> Any:
        """The state before a search of one hypothesis per sentence, leaves `[B, 1, ...]` or scalar.

        Args:
            summary: `[B, N]`.
            maximum_length: the most target positions of the search, for a cache; more steps are
                the caller's error. None where the cache may grow.
        """

    def project(self, memory: Any) -> Any:
        """The memory that steps read, leaves `[B, ...]`: all that is the same at each of them."""

    def project_words(self, embedded: Tensor) -> Tensor:
        """The products of embedded words `[..., E]` that steps read.

        A search has them made of a whole vocabulary, if there is room.
        """

    def step(
        self, word_products: Tensor, state: Any, memory: Any
    ) -> tuple[Tensor, Any, Tensor | None]:
        """One step for `Q` hypotheses of each sentence, as a call does it.

        Args:
            word_products: of the previous words `[B, Q, N]`, from `project_words`.
            state: from the step before, or `initial_state`.
            memory: from `project`.

        Returns:
            What the output product reads `[B, Q, l]`, the next state, and the alignment `[B, Q, S]`
            or None.
        """


def _rnn_encoder(config: ModelConfig, dtype: Any) -> EncoderPart:
    return Encoder(
        config.encoder_units,
        layers=config.encoder_layers,
        bidirectional=config.attention != "none",
        cell=config.cell,
        dropout=config.annotation_dropout,
        layer_dropout=config.layer_dropout,
        dtype=dtype,
        name="encoder",
    )


def _pretrained_encoder(config: ModelConfig, dtype: Any) -> EncoderPart:
    pieces = Backbone.from_json(config.backbone).vocabulary_size + 1
    expected = f"at most {pieces}, the pretrained encoder's pieces and padding"
    size = config.source_vocabulary_size
    require(size <= pieces, "source_vocabulary_size", expected, size)
    return PretrainedEncoder(
        config.backbone, dropout=config.annotation_dropout, dtype=dtype, name="encoder"
    )


def _rnn_decoder(config: ModelConfig, dtype: Any) -> DecoderPart:
    return Decoder(
        config.decoder_units,
        config.readout_units,
        _attention(config, dtype),
        cell=config.cell,
        layers=config.decoder_layers,
        query=config.query,
        input_feeding=config.input_feeding,
        readout_dropout=config.readout_dropout,
        layer_dropout=config.layer_dropout,
        word_query=config.word_query,
        dtype=dtype,
        name="decoder",
    )


def _attention(config: ModelConfig, dtype: Any) -> Attention:
    if config.attention == "bahdanau":
        return BahdanauAttention(config.attention_units, dtype=dtype, name="attention")
    if config.attention == "luong_dot":
        return LuongAttention("dot", dtype=dtype, name="attention")
    if config.attention == "luong_general":
        return LuongAttention("general", dtype=dtype, name="attention")
    return FixedContext(dtype=dtype)


def _transformer_encoder(config: ModelConfig, dtype: Any) -> EncoderPart:
    return TransformerEncoder(
        config.embedding_size,
        layers=config.encoder_layers,
        config=config.transformer,
        layer_dropout=config.layer_dropout,
        dropout=config.annotation_dropout,
        dtype=dtype,
        name="encoder",
    )


def _transformer_decoder(config: ModelConfig, dtype: Any) -> DecoderPart:
    return TransformerDecoder(
        config.embedding_size,
        layers=config.decoder_layers,
        config=config.transformer,
        layer_dropout=config.layer_dropout,
        dropout=config.readout_dropout,
        dtype=dtype,
        name="decoder",
    )


ENCODERS: dict[str, Callable[[ModelConfig, Any], EncoderPart]] = {
    "rnn": _rnn_encoder,
    "transformer": _transformer_encoder,
    "keras_hub": _pretrained_encoder,
}
"""The makers of encoders, of a config and a dtype policy, by the config's `encoder_kind`."""

DECODERS: dict[str, Callable[[ModelConfig, Any], DecoderPart]] = {
    "rnn": _rnn_decoder,
    "transformer": _transformer_decoder,
}
"""The makers of decoders, of a config and a dtype policy, by the config's `decoder`."""
