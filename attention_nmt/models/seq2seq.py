"""`Seq2Seq`: embeddings, encoder, decoder and output, wired."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
from keras import ops

from attention_nmt.backend import rows_by, take
from attention_nmt.checks import require, require_type
from attention_nmt.config import PRETRAINED, ModelConfig, from_dict
from attention_nmt.layers.attention import Memory
from attention_nmt.layers.dropout import WordDropout
from attention_nmt.models.interface import Step
from attention_nmt.models.parts import DECODERS, ENCODERS
from attention_nmt.models.trainable import UNQUANTIZED, TrainableModel
from attention_nmt.models.vocabulary import VocabularyWeight
from attention_nmt.types import SPECIAL, Tensor

if TYPE_CHECKING:
    from attention_nmt.data.source_tokenizer import SourceTokenizer
    from attention_nmt.data.tokenizer import Tokenizer


class SearchWeights(NamedTuple):
    """The weights that every step of a search reads, laid out for it."""

    word_products: Tensor | None  # [V, N]: the decoder's `project_words` of every piece
    output_kernel: Tensor
    """`[l, V]`, or `[l, N]` of a shortlist: a product of few rows with a tied embedding as it lies
    takes seven times as long on a CPU."""

    output_rows: Tensor | None
    """The same `[V, l]`, of which a shortlist's are taken: taking rows, and laying them out anew,
    is ten times as fast as taking columns. None where they would take too much memory."""


@keras.saving.register_keras_serializable("attention_nmt")
class Seq2Seq(TrainableModel):
    """An encoder and a decoder with attention; it keeps the contract of `TranslationModel`.

    Args:
        config: sizes and options.

    Call it on `{"source": ids [B, S], "target": ids [B, T]}`, targets with the start id first; it
    gives logits `[B, T, V]`. A batch for `fit` is `(inputs, labels [B, T], sample_weight [B, T])`;
    what Keras does with it says `TrainableModel`.

    Source: Bahdanau, Cho and Bengio (2015), arXiv 1409.0473; with `attention="none"` the RNNencdec
    of its section 4.2. Other attentions, cells, Transformers: see `ModelConfig`, and the layers for
    their sources.
    Departures from the paper: those that `Readout` and `cells.GRU` name; dropout.

    Example:

    ```python
    model = Seq2Seq(ModelConfig(source_vocabulary_size=4000, target_vocabulary_size=4000))
    loss = CrossEntropy(label_smoothing=0.1)
    model.compile("adam", loss, metrics=[Perplexity(), TokenAccuracy()])
    model.fit(batches)
    ```
    """

    def __init__(self, config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self._make_embeddings()
        self.encoder = ENCODERS[config.encoder_kind](config, self.dtype_policy)
        self.decoder = DECODERS[config.decoder](config, self.dtype_policy)
        self.output_projection = None
        if not config.tie_output:
            self.output_projection = keras.layers.Dense(
                config.target_vocabulary_size,
                use_bias=False,
                dtype=self.dtype_policy,
                name="output_projection",
            )
        self.build()

    def _make_embeddings(self) -> None:
        config = self.config
        self.target_embedding = self._embedding(
            config.target_vocabulary_size, "target_embedding", tied=config.tie_output
        )
        self.source_embedding = self.target_embedding if config.embeds_source else None
        if config.embeds_source and not config.tie_source:
            self.source_embedding = self._embedding(
                config.source_vocabulary_size, "source_embedding", tied=True
            )
        self.source_dropout = self._embedding_dropout("source_dropout")
        self.target_dropout = self._embedding_dropout("target_dropout")
        self.source_word_dropout = WordDropout(
            config.source_word_dropout, name="source_word_dropout"
        )
        self.target_word_dropout = WordDropout(
            config.target_word_dropout, name="target_word_dropout"
        )

    def _embedding(self, vocabulary_size: int, name: str, *, tied: bool) -> keras.layers.Layer:
        """An embedding with rows of length 1: one tied to an output needs logits of unit size."""
        size = self.config.embedding_size
        initializer = keras.initializers.RandomNormal(stddev=size**-0.5)
        layer = keras.layers.ReversibleEmbedding if tied else keras.layers.Embedding
        return layer(
            vocabulary_size,
            size,
            embeddings_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )

    def _embedding_dropout(self, name: str) -> keras.layers.Layer:
        rate = self.config.embedding_dropout
        return keras.layers.Dropout(rate, (None, 1, None), dtype=self.dtype_policy, name=name)

    @classmethod
    def from_tokenizer(
        cls,
        tokenizer: SourceTokenizer,
        target_tokenizer: Tokenizer | None = None,
        **options: Any,
    ) -> Seq2Seq:
        """A model of the tokenizers' vocabularies, whose sizes then cannot disagree with it.

        Args:
            tokenizer: of the source, and of the target where there is no other.
            target_tokenizer: of the target.
            **options: of `ModelConfig`, but for the sizes of vocabularies; and `name` and `dtype`,
                of a Keras model.

        Raises:
            TypeError: there is no such option, or it is the size of a vocabulary; or the tokenizer
                of the source is not that of its encoder.
            ValueError: an option outside its range.
        """
        of_hub = str(options.get("encoder", "")).startswith(PRETRAINED)
        expected = "a HubTokenizer, and of a pretrained encoder alone"
        fits = hasattr(tokenizer, "hub") == of_hub
        require_type(fits, "tokenizer", expected, tokenizer)
        of_keras = {name: options.pop(name) for name in ("name", "dtype") if name in options}
        config = ModelConfig(
            source_vocabulary_size=tokenizer.vocabulary_size,
            target_vocabulary_size=(target_tokenizer or tokenizer).vocabulary_size,
            **options,
        )
        return cls(config, **of_keras)

    @property
    def source_vocabulary_size(self) -> int:
        """Pieces of the source language."""
        return self.config.source_vocabulary_size

    @property
    def target_vocabulary_size(self) -> int:
        """`V`, pieces of the target language."""
        return self.config.target_vocabulary_size

    @property
    def longest_source(self) -> int | None:
        """The most positions of a source; None if there may be any number."""
        return getattr(self.encoder, "longest_source", None)

    @property
    def aligns(self) -> bool:
        """Whether the decoder has an attention."""
        return self.decoder.aligns

    def build(self, input_shape: Any = None) -> None:  # noqa: ARG002 - Keras' contract
        """Makes all weights; nothing in them depends on the shape of a batch."""
        config = self.config
        embedded_shape = (None, None, config.embedding_size)
        if self.source_embedding is not None:
            self.source_embedding.build((None, None))
        if self.source_embedding is not self.target_embedding:
            self.target_embedding.build((None, None))
        self.encoder.build(embedded_shape if config.embeds_source else (None, None))
        memory_shape = Memory((None, None, self.encoder.depth), None, (None, None))
        self.decoder.build(embedded_shape, (None, self.encoder.summary_size), memory_shape)
        if self.output_projection is not None:
            self.output_projection.build((None, None, self.decoder.output_size))
        self.built = True

    def encode(self, source: Tensor, training: bool = False) -> tuple[Any, Tensor]:
        """Reads source ids `[B, S]`.

        Returns:
            The decoder's memory, and the summary `[B, N]` that the first state is made of.
        """
        mask = ops.not_equal(source, SPECIAL.pad)
        words = source
        if self.source_embedding is not None:
            words = self.source_embedding(self.source_word_dropout(source, training=training))
            words = self.source_dropout(words, training=training)
        annotations, summary = self.encoder(words, mask, training=training)
        return self.decoder.prepare(annotations, mask), summary

    def start(
        self,
        source: Tensor,
        maximum_length: Tensor | int | None,
    ) -> tuple[Any, Any]:
        """Reads source ids `[B, S]` before a search; see `TranslationModel`.

        Raises:
            ValueError: a layer was quantized by itself.
        """
        for layer in (self.target_embedding, self.output_projection):
            mode = getattr(layer, "quantization_mode", None)
            require(mode is None, "quantize", UNQUANTIZED, mode)

        memory, summary = self.encode(source)
        return self.decoder.project(memory), self.decoder.initial_state(summary, maximum_length)

    def search_weights(self, limit_bytes: int) -> SearchWeights:
        """The output kernel, the products of all words, and the kernel's rows.

        Of the latter two as many as take at most `limit_bytes` together, in this order.
        """
        products = rows = None
        kernel = self._output_kernel()
        left = limit_bytes - 4 * self.target_vocabulary_size * self.decoder.word_columns
        if left >= 0:
            embeddings = ops.cast(self.target_embedding.embeddings, self.compute_dtype)
            products = self.decoder.project_words(embeddings)
        if left >= 4 * self.target_vocabulary_size * self.decoder.output_size:
            rows = ops.transpose(kernel)
        return SearchWeights(products, kernel, rows)

    def _output_kernel(self) -> Tensor:
        """The kernel of the output product `[l, V]`, laid out row by row."""
        if self.output_projection is not None:
            return ops.cast(ops.copy(self.output_projection.kernel), self.compute_dtype)
        return ops.cast(ops.transpose(self.target_embedding.embeddings), self.compute_dtype)

    def shortened(self, weights: SearchWeights | None, pieces: Tensor) -> SearchWeights:
        """Weights with the output kernel's columns of pieces `[N]`; see `TranslationModel`."""
        weights = weights or SearchWeights(None, self._output_kernel(), None)
        if weights.output_rows is None:
            kernel = ops.take(weights.output_kernel, pieces, axis=1)
        else:
            kernel = ops.transpose(take(weights.output_rows, pieces))
        return weights._replace(output_kernel=kernel, output_rows=None)

    def step(
        self,
        ids: Tensor,
        state: Any,
        memory: Any,
        weights: SearchWeights | None = None,
    ) -> Step:
        """One step for `Q` hypotheses of each sentence; see `TranslationModel`."""
        products = self._word_products(ids, weights)
        readout, state, alignment = self.decoder.step(products, state, memory)
        if weights is None:
            return Step(self._logits(readout), state, alignment)

        rows = rows_by(readout, weights.output_kernel)
        logits = ops.reshape(rows, (-1, ops.shape(readout)[1], ops.shape(rows)[1]))
        return Step(logits, state, alignment)

    def _word_products(self, ids: Tensor, weights: SearchWeights | None) -> Tensor:
        """The decoder's products of words `[B, Q, N]`, looked up where they are laid out."""
        if weights is not None and weights.word_products is not None:
            return take(weights.word_products, ids)

        # The rows themselves: a call of the embedding takes more operations than most of the step.
        embedded = ops.cast(take(self.target_embedding.embeddings, ids), self.compute_dtype)
        return self.decoder.project_words(embedded)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Logits `[B, T, V]` by teacher forcing."""
        readout, _ = self._force(inputs, training)
        return self._logits(readout)

    def align(self, inputs: dict[str, Tensor]) -> Tensor:
        """The alignment `[B, T, S]` of given targets, by forced decoding.

        Raises:
            ValueError: the model has no attention.
        """
        require(self.aligns, "attention", "one that aligns", self.config.attention)
        return self._force(inputs, training=False)[1]

    def _force(self, inputs: dict[str, Tensor], training: bool) -> tuple[Tensor, Tensor | None]:
        """The readout `[B, T, l]` and the alignment `[B, T, S]` by teacher forcing."""
        memory, summary = self.encode(inputs["source"], training=training)
        target = self.target_word_dropout(inputs["target"], training=training)
        embedded = self.target_dropout(self.target_embedding(target), training=training)
        return self.decoder(embedded, summary, memory, training=training)

    def _logits(self, readout: Tensor) -> Tensor:
        if self.output_projection is None:
            return self.target_embedding(readout, reverse=True)
        return self.output_projection(readout)

    def resized(self, source_vocabulary_size: int, target_vocabulary_size: int) -> Seq2Seq:
        """A new model of the same options for vocabularies of other sizes, with first weights.

        Raises:
            ValueError: the sizes do not go with the options.
        """
        config = dataclasses.replace(
            self.config,
            source_vocabulary_size=source_vocabulary_size,
            target_vocabulary_size=target_vocabulary_size,
        )
        return type(self)(config, dtype=self.dtype_policy)

    def aligned_by(self, layer: int, heads: tuple[int, ...] = ()) -> Seq2Seq:
        """A new model of the same weights whose alignment is that of other heads.

        Args:
            layer: of the Transformer that decodes, as Python counts.
            heads: of that layer, whose mean it is; all, if none are given.

        Raises:
            ValueError: the decoder is no Transformer, or there is no such layer or head.
        """
        kind = self.config.decoder
        require(kind == "transformer", "decoder", "'transformer', whose heads align", kind)
        transformer = dataclasses.replace(
            self.config.transformer, alignment_layer=layer, alignment_heads=heads
        )
        config = dataclasses.replace(self.config, transformer=transformer)
        model = type(self)(config, dtype=self.dtype_policy)
        model.set_weights(self.get_weights())
        return model

    def vocabulary_weights(self) -> list[VocabularyWeight]:
        """The weights with a row or a column for each piece; see `change_vocabulary`."""
        found = [VocabularyWeight(self.target_embedding.embeddings, axis=0, is_source=False)]
        if self.source_embedding not in (None, self.target_embedding):
            found.append(VocabularyWeight(self.source_embedding.embeddings, axis=0, is_source=True))
        if self.output_projection is not None:
            kernel = self.output_projection.kernel
            found.append(VocabularyWeight(kernel, axis=1, is_source=False))
        return found

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict | None = None,  # noqa: ARG003 - Keras' contract
    ) -> Seq2Seq:
        """The model that `get_config` described, or the one of an older file."""
        return cls(**{**config, "config": from_dict(ModelConfig, config["config"])})
