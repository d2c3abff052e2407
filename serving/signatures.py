"""The signatures of an exported model, each one graph from strings to strings and numbers.

Every input and every output has the batch as dimension 0, as the batching of TensorFlow Serving
wants it.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import replace

import tensorflow as tf

from attention_nmt.checks import require
from attention_nmt.config import SearchConfig
from attention_nmt.search.search import longest_translation
from attention_nmt.translation.graph import TranslationGraph
from attention_nmt.translation.results import TranslationTensors
from attention_nmt.translation.translator import Translator

MAXIMUM_BATCH = 256
"""The most texts in one request."""

TEXTS_AT_A_TIME = 64
"""The most texts of a request that are translated together.

With the limit of a text's length it bounds the memory that a request can take.
"""

MAXIMUM_ALIGNED = 64
"""The most texts in one request of alignments, however short the model lets them be."""

MAXIMUM_WEIGHTS = 10 * 2**20
"""The most weights in one answer of alignments, 40 MiB of them.

A search keeps them for each of its hypotheses, too.
"""

SCORE_PAIRS = "score_pairs"
"""The one signature of two inputs."""

Outputs = dict[str, tf.Tensor]
Signature = Callable[..., Outputs]


def maximum_aligned(search: SearchConfig) -> int:
    """The most texts in one request of alignments.

    An answer has a weight for each pair of positions, for all texts as many as for the longest: the
    number follows from the lengths that a search allows, and never from the texts, because a server
    puts those of several clients together.

    Raises:
        ValueError: the answer for a single text may have more than `MAXIMUM_WEIGHTS` weights.
    """
    source = search.maximum_source_length
    weights = _most_weights(source, search)
    if weights > MAXIMUM_WEIGHTS:
        lengths = range(1, source + 1)
        longest = bisect.bisect_right(
            lengths, MAXIMUM_WEIGHTS, key=lambda length: _most_weights(length, search)
        )
        limit = f"the alignment of a text has at most {MAXIMUM_WEIGHTS:,} weights"
        expected = f"at most {longest:,} for the export of a model that aligns, because {limit}"
        require(False, "maximum_source_length", expected, source)
    return min(MAXIMUM_ALIGNED, MAXIMUM_WEIGHTS // weights)


def _most_weights(source: int, search: SearchConfig) -> int:
    """The most weights in the alignment of a text of `source` pieces."""
    return source * longest_translation(source, search)


def signatures(translator: Translator) -> dict[str, Signature]:
    """Makes the functions of a translator by the names of their signatures.

    serving_default: `text` `[B]` to `translation` `[B]`, `score` `[B]`, `truncated` `[B]`.
    translate_nbest: `text` to `translations` `[B, N]`, `scores` `[B, N]`, `truncated`; `N` is the
        size of the beam.
    translate_with_alignment: `text` to `translation`, `score`, `truncated`, `source_tokens`
        `[B, S]`, `target_tokens` `[B, T]`, `alignment` `[B, T, S]`; padding is empty strings and
        zeros. Only of a model that aligns.
    score_pairs: `source` `[B]` and `target` `[B]` to `target_tokens` `[B, T]`,
        `token_log_probabilities` `[B, T]`, `log_probability` `[B]`, their sum, and `truncated`.

    `score` is as in `Translation`; `truncated` says which texts were over the limit and cut.

    Raises:
        ValueError: a text may have an alignment that is too large; see `maximum_aligned`.
    """
    graph = translator.graph
    all_of_beam = TranslationGraph(
        translator.model,
        translator.source_tokenizer,
        translator.target_tokenizer,
        replace(translator.search, n_best=translator.search.beam_size),
        search_weights=translator.search_weights,
        shortlist=translator.shortlist,
    )

    def translate(text: tf.Tensor) -> Outputs:
        return _best(graph.translate(text, alignments=False))

    def n_best(text: tf.Tensor) -> Outputs:
        found = all_of_beam.translate(text, alignments=False)
        return {
            "translations": found.texts,
            "scores": found.scores,
            "truncated": found.truncated,
        }

    def with_alignment(text: tf.Tensor) -> Outputs:
        found = graph.translate(text, alignments=True)
        return {**_best(found), **_alignment(found)}

    def score_pairs(source: tf.Tensor, target: tf.Tensor) -> Outputs:
        return graph.score(source, target)._asdict()

    flags = tf.TensorSpec([None], tf.bool)
    best_outputs = {
        "translation": tf.TensorSpec([None], tf.string),
        "score": tf.TensorSpec([None], tf.float32),
        "truncated": flags,
    }
    all_outputs = {
        "translations": tf.TensorSpec([None, None], tf.string),
        "scores": tf.TensorSpec([None, None], tf.float32),
        "truncated": flags,
    }
    named = {
        "serving_default": _of_texts(_in_parts(translate, best_outputs), ["text"]),
        "translate_nbest": _of_texts(_in_parts(n_best, all_outputs), ["text"]),
    }
    if translator.model.aligns:
        named["translate_with_alignment"] = _of_texts(
            with_alignment, ["text"], maximum_batch=maximum_aligned(translator.search)
        )
    named[SCORE_PAIRS] = _of_texts(score_pairs, ["source", "target"])
    return named


def _best(found: TranslationTensors) -> Outputs:
    """The best translations."""
    return {
        "translation": found.texts[:, 0],
        "score": found.scores[:, 0],
        "truncated": found.truncated,
    }


def _alignment(found: TranslationTensors) -> Outputs:
    """The alignments of the best translations, as wide as the longest of them.

    They are zeros where there is no token.
    """
    assert found.alignments is not None, "asked for only of a model that aligns"
    target = found.target_tokens[:, 0]
    written = target != ""
    read = found.source_tokens != ""
    length = tf.reduce_max(tf.reduce_sum(tf.cast(written, tf.int32), axis=1))

    weights = tf.cast(found.alignments[:, 0], tf.float32)
    weights = tf.where(written[:, :, None] & read[:, None], weights, 0.0)
    return {
        "source_tokens": found.source_tokens,
        "target_tokens": target[:, :length],
        "alignment": weights[:, :length],
    }


def _in_parts(answer: Signature, outputs: dict[str, tf.TensorSpec]) -> Signature:
    """Answers for `TEXTS_AT_A_TIME` texts after another.

    Args:
        answer: gives the outputs of a batch of texts.
        outputs: what it gives.
    """

    def answer_all(text: tf.Tensor) -> Outputs:
        count = tf.size(text)
        arrays = {}
        for name, spec in outputs.items():
            arrays[name] = tf.TensorArray(
                spec.dtype, 0, dynamic_size=True, infer_shape=False, element_shape=spec.shape
            )

        def answer_part(begin: tf.Tensor, arrays: dict[str, tf.TensorArray]) -> tuple:
            found = answer(text[begin : begin + TEXTS_AT_A_TIME])
            place = begin // TEXTS_AT_A_TIME
            written = {name: array.write(place, found[name]) for name, array in arrays.items()}
            return begin + TEXTS_AT_A_TIME, written

        _, arrays = tf.while_loop(
            lambda begin, _: begin < count, answer_part, (0, arrays), parallel_iterations=1
        )
        return {name: array.concat() for name, array in arrays.items()}

    return answer_all


def _of_texts(
    answer: Signature, names: list[str], *, maximum_batch: int = MAXIMUM_BATCH
) -> Signature:
    """Makes a graph of batches of texts, all of one size, which may be 0 and has a limit."""
    inputs = [tf.TensorSpec([None], tf.string, name=name) for name in names]

    @tf.function(input_signature=inputs, autograph=False)
    def signature(*texts: tf.Tensor) -> Outputs:
        batches = [tf.ensure_shape(text, [None]) for text in texts]
        count = tf.size(batches[0])
        limit = f"at most {maximum_batch} texts in a request"
        checks = [tf.debugging.assert_less_equal(count, maximum_batch, limit)]
        for batch in batches[1:]:
            one_size = "inputs must be of one size"
            checks.append(tf.debugging.assert_equal(tf.size(batch), count, one_size))

        with tf.control_dependencies(checks):
            # An empty batch gets a blank text, whose answer is cut off again: no search runs over
            # nothing.
            blank = tf.fill([tf.cast(count == 0, tf.int32)], "")
            batches = [tf.concat([batch, blank], axis=0) for batch in batches]
        outputs = answer(*batches)
        return {name: value[:count] for name, value in outputs.items()}

    return signature
