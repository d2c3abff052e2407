"""`Seq2Seq`: embeddings, encoder, decoder and output, wired."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import keras
from keras import ops

from attention_nmt.backend import take
from attention_nmt.checks import require
from attention_nmt.config import PAD, ModelConfig, from_dict
from attention_nmt.layers.attention import BahdanauAttention, FixedContext, LuongAttention, Memory
from attention_nmt.layers.decoder import Decoder
from attention_nmt.layers.decoder_recurrence import DecoderState
from attention_nmt.layers.dropout import WordDropout
from attention_nmt.layers.encoder import Encoder
from attention_nmt.types import Tensor


class SearchWeights(NamedTuple):
    """What every step of a search reads of the weights and of nothing else, laid out for it."""

    words: Tensor | None  # [V, N]: `Decoder.project_words` of every piece
    output_kernel: Tensor | None
    """`[l, V]`: a product of few rows with a tied embedding as it lies takes seven times as long
    on a CPU."""


@keras.saving.register_keras_serializable("attention_nmt")
class Seq2Seq(keras.Model):
    """The RNN encoder-decoder with attention.

    Args:
        config: sizes and options.

    Call it on `{"source": ids [B, S], "target": ids [B, T]}`, targets with the start id first; it
    gives logits `[B, T, V]`. A batch for `fit` is `(inputs, labels [B, T], sample_weight [B, T])`.

    Source: Bahdanau, Cho and Bengio (2015), arXiv 1409.0473; with `attention="none"` the RNNencdec
    of its section 4.2. Other attentions, cells and more layers: see `ModelConfig`, and the layers
    for their sources. Departures from the paper: those that `Readout` and `cells.gru_step` name;
    dropout.

    Example:

    ```python
    model = Seq2Seq(ModelConfig(source_vocabulary_size=4000, target_vocabulary_size=4000))
    model.compile(
        "adam", CrossEntropy(label_smoothing=0.1), weighted_metrics=[Perplexity(), TokenAccuracy()]
    )
    model.fit(batches)
    ```
    """

    def __init__(self, config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self._make_embeddings()
        self._make_recurrences()
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
        config, dtype = self.config, self.dtype_policy
        self.target_embedding = self._embedding(
            config.target_vocabulary_size, config.tie_output, "target_embedding"
        )
        self.source_embedding = self.target_embedding
        if not config.tie_source:
            self.source_embedding = self._embedding(
                config.source_vocabulary_size, True, "source_embedding"
            )
        rate, shape = config.embedding_dropout, (None, 1, None)
        self.source_dropout = keras.layers.Dropout(rate, shape, dtype=dtype, name="source_dropout")
        self.target_dropout = keras.layers.Dropout(rate, shape, dtype=dtype, name="target_dropout")
        self.source_word_dropout = WordDropout(
            config.source_word_dropout, name="source_word_dropout"
        )
        self.target_word_dropout = WordDropout(
            config.target_word_dropout, name="target_word_dropout"
        )

    def _make_recurrences(self) -> None:
        c, dtype = self.config, self.dtype_policy
        rates = {"layer_dropout": c.layer_dropout, "dtype": dtype}
        attends = c.attention != "none"
        self.encoder = Encoder(
            c.encoder_units,
            c.encoder_layers,
            attends,
            c.cell_config,
            c.annotation_dropout,
            name="encoder",
            **rates,
        )
        self.decoder = Decoder(
            c.decoder_units,
            c.readout_units,
            self._attention(),
            c.cell_config,
            c.decoder_layers,
            c.query,
            c.input_feeding,
            c.readout_dropout,
            word_query=c.word_query,
            name="decoder",
            **rates,
        )

    def _attention(self) -> keras.layers.Layer:
        kind, dtype = self.config.attention, self.dtype_policy
        if kind == "bahdanau":
            return BahdanauAttention(self.config.attention_units, dtype=dtype, name="attention")
        if kind == "none":
            return FixedContext(dtype=dtype)
        return LuongAttention(
            "dot" if kind == "luong_dot" else "general", dtype=dtype, name="attention"
        )

    def _embedding(self, vocabulary_size: int, tied: bool, name: str) -> keras.layers.Layer:
        """Tied to an output, it needs logits of unit size at the start: rows of length 1."""
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

    def build(self, input_shape: Any = None) -> None:  # noqa: ARG002 - Keras' contract; every size is in the config
        """Makes all weights; nothing in them depends on the shape of a batch."""
        config = self.config
        embedded = (None, None, config.embedding_size)
        for layer in {id(e): e for e in (self.source_embedding, self.target_embedding)}.values():
            layer.build((None, None))
        self.encoder.build(embedded)
        memory = Memory((None, None, self.encoder.depth), None, (None, None))
        self.decoder.build(embedded, (None, config.encoder_units), memory)
        if self.output_projection is not None:
            self.output_projection.build((None, None, config.readout_units))
        self.built = True

    def encode(self, source: Tensor, training: bool = False) -> tuple[Memory, Tensor]:
        """Reads source ids `[B, S]`: the memory for the decoder and the summary `[B, N]` its first
        state is made of."""
        mask = ops.not_equal(source, PAD)
        embedded = self.source_embedding(self.source_word_dropout(source, training=training))
        embedded = self.source_dropout(embedded, training=training)
        annotations, summary = self.encoder(embedded, mask, training=training)
        return self.decoder.attention.prepare(annotations, mask), summary

    def start(self, source: Tensor) -> tuple[Memory, DecoderState]:
        """What a search needs of source ids `[B, S]`: the memory and the state of one hypothesis
        per sentence."""
        memory, summary = self.encode(source)
        return self.decoder.project(memory), self.decoder.initial_state(summary)

    def search_weights(self, maximum_words_bytes: int) -> SearchWeights:
        """Weights laid out for the steps of a search, without the products of all words if those
        take more memory."""
        c, words = self.config, None
        if 4 * c.target_vocabulary_size * self.decoder.word_columns <= maximum_words_bytes:
            words = self.decoder.project_words(
                ops.cast(self.target_embedding.embeddings, self.compute_dtype)
            )
        return SearchWeights(words, self._output_kernel())

    def _output_kernel(self) -> Tensor:
        """The kernel of the output product `[l, V]`, laid out row by row."""
        if self.output_projection is not None:
            return ops.cast(ops.copy(self.output_projection.kernel), self.compute_dtype)
        return ops.cast(ops.transpose(self.target_embedding.embeddings), self.compute_dtype)

    def step(
        self, ids: Tensor, state: DecoderState, memory: Memory, weights: SearchWeights | None = None
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """One step for `Q` hypotheses of each sentence.

        Args:
            ids: the previous pieces `[B, Q]`.
            memory: from `start`.
            weights: from `search_weights`; what is None of it is made of the model's own in each
            step.

        Returns:
            Logits of the next pieces `[B, Q, V]`, the next state, the alignment `[B, Q, S]` or
            None.
        """
        weights = weights or SearchWeights(None, None)
        # The rows themselves: a call of the embedding takes more operations than most of the step.
        if weights.words is None:
            embedded = ops.cast(take(self.target_embedding.embeddings, ids), self.compute_dtype)
            words = self.decoder.project_words(embedded)
        else:
            words = take(weights.words, ids)
        readout, state, alignment = self.decoder.step(words, state, memory)
        if weights.output_kernel is None:
            return self._logits(readout), state, alignment
        rows = ops.matmul(
            ops.reshape(readout, (-1, self.config.readout_units)), weights.output_kernel
        )
        logits = ops.reshape(rows, (-1, ops.shape(readout)[1], self.config.target_vocabulary_size))
        return logits, state, alignment

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Logits `[B, T, V]` by teacher forcing."""
        return self._logits(self._forced(inputs, training)[0])

    def align(self, inputs: dict[str, Tensor]) -> Tensor:
        """The alignment `[B, T, S]` of given targets, by forced decoding.

        Raises:
            ValueError: the model has no attention.
        """
        alignment = self._forced(inputs, training=False)[1]
        require(alignment is not None, "attention", "one that aligns", self.config.attention)
        return alignment

    def _forced(self, inputs: dict[str, Tensor], training: bool) -> tuple[Tensor, Tensor | None]:
        memory, summary = self.encode(inputs["source"], training=training)
        embedded = self.target_embedding(
            self.target_word_dropout(inputs["target"], training=training)
        )
        embedded = self.target_dropout(embedded, training=training)
        return self.decoder(embedded, summary, memory, training=training)

    def _logits(self, readout: Tensor) -> Tensor:
        if self.output_projection is None:
            return self.target_embedding(readout, reverse=True)
        return self.output_projection(readout)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Seq2Seq:  # noqa: ARG003
        """The model that `get_config` described."""
        return cls(**{**config, "config": from_dict(ModelConfig, config["config"])})
