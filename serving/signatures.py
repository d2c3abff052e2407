"""What an exported model answers: its signatures, each one graph from strings to strings and
numbers.

Every input and every output has the batch as dimension 0, as the batching of TensorFlow Serving
wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import tensorflow as tf

from attention_nmt.translation.results import TranslationTensors
from attention_nmt.translation.translator import Translator

TEXT = tf.TensorSpec([None], tf.string, name="text")

MAXIMUM_BATCH = 256
"""The most texts in one request: with the limit of a text's length it bounds the memory that a
request can take."""

MAXIMUM_ALIGNED = 64
"""The same for requests of alignments, which keep a weight for each pair of positions and
hypothesis."""

Outputs = dict[str, tf.Tensor]


def signatures(translator: Translator) -> dict[str, Callable[..., Outputs]]:
    """The functions of a translator by the names of their signatures, `serving_default` first.

    serving_default: `text` `[B]` to `translation` `[B]`, `score` `[B]`, `truncated` `[B]`.
    translate_nbest: `text` to `translations` `[B, N]`, `scores` `[B, N]`, `truncated`; `N` is the
    size of the beam. translate_with_alignment: `text` to `translation`, `score`, `truncated`,
    `source_tokens` `[B, S]`, `target_tokens`
        `[B, T]`, `alignment` `[B, T, S]`; padding is empty strings and zeros. Only of a model with
        attention.
    score_pairs: `source` `[B]` and `target` `[B]` to `target_tokens` `[B, T]`,
    `token_log_probabilities` `[B, T]`,
        `log_probability` `[B]`, their sum, and `truncated`.

    `score` is as in `Translation`; `truncated` says which texts were over the limit and cut.
    """
    search = translator.search
    all_of_beam = Translator(
        translator.model,
        translator.source_tokenizer,
        replace(search, n_best=search.beam_size),
        translator.target_tokenizer,
        search_weights=translator.search_weights,
    )

    def translate(text: tf.Tensor) -> Outputs:
        found = translator.translate_tensor(text, alignments=False)
        return {
            "translation": found.texts[:, 0],
            "score": found.scores[:, 0],
            "truncated": found.truncated,
        }

    def n_best(text: tf.Tensor) -> Outputs:
        found = all_of_beam.translate_tensor(text, alignments=False)
        return {"translations": found.texts, "scores": found.scores, "truncated": found.truncated}

    def with_alignment(text: tf.Tensor) -> Outputs:
        found = translator.translate_tensor(text)
        return {
            "translation": found.texts[:, 0],
            "score": found.scores[:, 0],
            "truncated": found.truncated,
            **_alignment(found),
        }

    named = {
        "serving_default": _of_texts(translate, TEXT),
        "translate_nbest": _of_texts(n_best, TEXT),
    }
    if translator.model.config.attention != "none":
        named["translate_with_alignment"] = _of_texts(
            with_alignment, TEXT, maximum_batch=MAXIMUM_ALIGNED
        )
    source, target = (tf.TensorSpec([None], tf.string, name=name) for name in ("source", "target"))
    named["score_pairs"] = _of_texts(
        lambda *texts: translator.score_tensor(*texts)._asdict(), source, target
    )
    return named


def _alignment(found: TranslationTensors) -> Outputs:
    """The alignment of the best translations, as wide as the longest of them, zeros where there is
    no token."""
    target = found.target_tokens[:, 0]
    length = tf.reduce_max(tf.reduce_sum(tf.cast(target != "", tf.int32), axis=1))
    assert found.alignments is not None, "asked for only of a model with attention"
    weights = tf.cast(found.alignments[:, 0], tf.float32)
    real = (target != "")[:, :, None] & (found.source_tokens != "")[:, None]
    weights = tf.where(real, weights, 0.0)
    return {
        "source_tokens": found.source_tokens,
        "target_tokens": target[:, :length],
        "alignment": weights[:, :length],
    }


def _of_texts(
    answer: Callable[..., Outputs], *inputs: tf.TensorSpec, maximum_batch: int = MAXIMUM_BATCH
) -> Callable[..., Outputs]:
    """A graph of batches of texts, all of one size, which may be 0 and has a limit."""

    @tf.function(input_signature=inputs, autograph=False)
    def signature(*texts: tf.Tensor) -> Outputs:
        batches = [tf.ensure_shape(text, [None]) for text in texts]
        count = tf.size(batches[0])
        checks = [
            tf.debugging.assert_less_equal(
                count, maximum_batch, f"at most {maximum_batch} texts in a request"
            )
        ]
        checks += [
            tf.debugging.assert_equal(tf.size(t), count, "inputs must be of one size")
            for t in batches[1:]
        ]
        with tf.control_dependencies(checks):
            # An empty batch gets a blank text, whose answer is cut off again: no search runs over
            # nothing.
            blank = tf.fill([tf.cast(count == 0, tf.int32)], "")
            batches = [tf.concat([batch, blank], axis=0) for batch in batches]
        return {name: value[:count] for name, value in answer(*batches).items()}

    return signature
