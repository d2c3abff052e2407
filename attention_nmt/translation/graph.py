"""Strings to tensors: tokenizer, model and search as graphs of TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from attention_nmt.backend import check_tensorflow
from attention_nmt.checks import require, require_type
from attention_nmt.config import SearchConfig
from attention_nmt.data.examples import decoder_inputs
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.losses import smoothed_cross_entropy
from attention_nmt.models.interface import TranslationModel
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.loop import PLAIN, LoopOptions
from attention_nmt.search.search import check_shortlist, search_model
from attention_nmt.search.shortlist import Shortlist, tokenizers_sha256
from attention_nmt.translation.results import AlignmentTensors, PairTensors, TranslationTensors

MAXIMUM_LOGITS = 2**26
"""The most logits that are computed together for given translations, 256 MiB in float32.

A single pair may have more.
"""


class TranslationGraph:
    """The functions of a translator for graphs: strings go in, tensors come out.

    A `Translator` has one as `graph`; a SavedModel holds its functions.

    Args:
        model: a trained model, anything that keeps the contract of `TranslationModel`.
        source_tokenizer: the tokenizer of the source.
        target_tokenizer: the tokenizer of the target; the same one where the vocabulary is shared.
        search: the search for translations.
        batch_size: the most pairs whose logits are computed together in `score`; see
            `rows_together`.
        search_weights: the model's `search_weights`, where it does not train any more.
        shortlist: the pieces that translations may have, see `search_model`.

    Raises:
        ValueError: the backend is not TensorFlow, a vocabulary or the shortlist is not of the
            model's size, a coverage penalty goes with a model that does not align, or a batch has
            no sentence.
        TypeError: a tokenizer or the search is something else.
    """

    def __init__(
        self,
        model: TranslationModel,
        source_tokenizer: SourceTokenizer,
        target_tokenizer: Tokenizer,
        search: SearchConfig,
        *,
        batch_size: int = 64,
        search_weights: Any = None,
        shortlist: Shortlist | None = None,
    ) -> None:
        check_tensorflow("a Translator")
        require_type(isinstance(search, SearchConfig), "search", "a SearchConfig", search)
        require(batch_size >= 1, "batch_size", "at least 1", batch_size)

        covering = 0.0 if model.aligns else search.coverage_penalty
        require(not covering, "coverage_penalty", "0 for a model without attention", covering)

        longest = getattr(model, "longest_source", None)
        length = search.maximum_source_length
        fits = longest is None or length <= longest
        require(fits, "maximum_source_length", f"at most the encoder's {longest} positions", length)

        _check_vocabulary("source", source_tokenizer, model.source_vocabulary_size)
        writes = hasattr(target_tokenizer, "detokenize")
        expected = "a Tokenizer, as `Tokenizer.load` gives it"
        require_type(writes, "target_tokenizer", expected, target_tokenizer)
        _check_vocabulary("target", target_tokenizer, model.target_vocabulary_size)

        if shortlist is not None:
            check_shortlist(shortlist, model, search, target_tokenizer.special)
            _check_tokenizers(shortlist, source_tokenizer, target_tokenizer)

        self.model = model
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.search_config = search
        self.batch_size = batch_size
        self.search_weights = search_weights
        self.shortlist = shortlist

    def translate(
        self, text: tf.Tensor, prefix: tf.Tensor | None = None, *, alignments: bool = True
    ) -> TranslationTensors:
        """Translates strings `[B]`.

        The translation of a text without words is empty and scores 0.

        Args:
            text: the sources.
            prefix: the texts with which translations begin, strings `[B]`; the last word of one may
                go on. See `search_model`.
            alignments: False is faster, and gives none.
        """
        limit = self.search_config.maximum_source_length
        source = self.source_tokenizer.graph.source_ids(text, limit)
        begun = None if prefix is None else self.target_tokenizer.tokenize(prefix).to_tensor()
        loop = LoopOptions(changing_shapes=True)
        found = self.search(source.ids, alignments, loop, prefix=begun)

        shape = tf.shape(found.ids)
        flat_ids = tf.reshape(found.ids, [-1, shape[2]])
        texts = tf.reshape(self.target_tokenizer.detokenize(flat_ids), shape[:2])
        target_tokens = self.target_tokenizer.pieces(found.ids)

        empty = source.empty[:, None]

        return TranslationTensors(
            texts=tf.where(empty, "", texts),
            scores=tf.where(empty, 0.0, found.scores),
            source_tokens=self.source_tokenizer.pieces(source.ids),
            target_tokens=tf.where(empty[:, :, None], "", target_tokens),
            alignments=found.alignments,
            truncated=source.truncated,
        )

    def search(
        self,
        source_ids: tf.Tensor,
        alignments: bool = True,
        loop: LoopOptions = PLAIN,
        *,
        prefix: tf.Tensor | None = None,
    ) -> Hypotheses:
        """Searches for the translations of ids `[B, S]`.

        Args:
            source_ids: the sources, as `GraphTokenizer.source_ids` gives them.
            alignments: False is faster, and gives none.
            loop: the way in which the loop runs; changing shapes are faster, and not for LiteRT.
            prefix: ids `[B, P]` with which translations begin; see `search_model`.
        """
        weights = self.search_weights
        if weights is None and loop.changing_shapes:
            # LiteRT lays kernels out for itself, and would hold these twice.
            weights = self.model.search_weights(0)

        return search_model(
            self.model,
            source_ids,
            self.search_config,
            special=self.target_tokenizer.special,
            weights=weights,
            alignments=alignments,
            prefix=prefix,
            shortlist=self.shortlist,
            loop=loop,
        )

    def known(self, source_ids: tf.Tensor) -> tf.Tensor:
        """Ids of sources from outside, with unknown for what is none of the vocabulary."""
        inside = (source_ids >= 0) & (source_ids < self.model.source_vocabulary_size)
        return tf.where(inside, source_ids, self.source_tokenizer.special.unknown)

    def score(self, sources: tf.Tensor, targets: tf.Tensor) -> PairTensors:
        """The log-probabilities, in nats, of given translations.

        Args:
            sources: strings `[B]`.
            targets: their translations, strings `[B]`.
        """
        limit = self.search_config.maximum_source_length
        source = self.source_tokenizer.graph.source_ids(sources, limit)
        labels = self.target_tokenizer.graph.target_ids(targets, limit)

        padding = labels.ids == self.target_tokenizer.special.pad
        tokens = tf.where(padding, 0.0, self._log_probabilities(source.ids, labels.ids))

        return PairTensors(
            target_tokens=self.target_tokenizer.pieces(labels.ids),
            token_log_probabilities=tokens,
            log_probability=tf.reduce_sum(tokens, axis=1),
            truncated=source.truncated | labels.truncated,
        )

    def align(self, sources: tf.Tensor, targets: tf.Tensor) -> AlignmentTensors:
        """The alignments of given translations, by forced decoding.

        Args:
            sources: strings `[B]`.
            targets: their translations, strings `[B]`, whatever their length.

        Raises:
            ValueError: the model does not align.
        """
        limit = self.search_config.maximum_source_length
        source = self.source_tokenizer.graph.source_ids(sources, limit)
        labels = self.target_tokenizer.graph.target_ids(targets)

        target = decoder_inputs(labels.ids, self.target_tokenizer.special)

        return AlignmentTensors(
            source_tokens=self.source_tokenizer.pieces(source.ids),
            target_tokens=self.target_tokenizer.pieces(labels.ids),
            weights=self.model.align({"source": source.ids, "target": target}),
        )

    def _log_probabilities(self, source: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The log-probabilities `[B, T]` of labels `[B, T]`.

        They are computed for some rows at a time: the logits of all could be too large.
        """
        count, length = tf.unstack(tf.shape(labels))
        size = rows_together(self.batch_size, length, self.model.target_vocabulary_size)
        special = self.target_tokenizer.special
        scored = tf.TensorArray(
            tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None, None]
        )

        def score_rows(begin: tf.Tensor, scored: tf.TensorArray) -> tuple:
            rows = slice(begin, begin + size)
            target = decoder_inputs(labels[rows], special)
            logits = self.model({"source": source[rows], "target": target})
            losses = smoothed_cross_entropy(labels[rows], logits)

            return begin + size, scored.write(begin // size, -losses)

        _, scored = tf.while_loop(
            lambda begin, scored: begin < count,  # noqa: ARG005
            score_rows,
            (0, scored),
            parallel_iterations=1,
        )

        return tf.reshape(scored.concat(), tf.shape(labels))


def rows_together(batch_size: int, length: tf.Tensor, vocabulary_size: int) -> tf.Tensor:
    """The number of pairs whose logits are computed together.

    They have at most `MAXIMUM_LOGITS`, unless those of one pair are more.

    Args:
        batch_size: the most pairs.
        length: the target positions `T`, an int32 scalar.
        vocabulary_size: the number of pieces `V`.

    Returns:
        An int32 scalar, at least 1.
    """
    positions = MAXIMUM_LOGITS // vocabulary_size
    return tf.clip_by_value(positions // tf.maximum(length, 1), 1, batch_size)


def _check_tokenizers(
    shortlist: Shortlist, source_tokenizer: SourceTokenizer, target_tokenizer: Tokenizer
) -> None:
    """Makes sure that a shortlist's pieces are those of the tokenizers, as far as it knows them."""
    if shortlist.tokenizers is None:
        return
    same = shortlist.tokenizers == tokenizers_sha256(source_tokenizer, target_tokenizer)
    require(same, "shortlist", "of the translator's tokenizers", "one of others")


def _check_vocabulary(side: str, tokenizer: SourceTokenizer, expected: int) -> None:
    size = getattr(tokenizer, "vocabulary_size", None)
    known = size is not None
    require_type(known, f"{side}_tokenizer", "a Tokenizer, as `Tokenizer.load` gives it", tokenizer)

    pieces = f"of the model's {side}_vocabulary_size={expected} pieces"
    require(size == expected, f"{side}_tokenizer", pieces, size)
