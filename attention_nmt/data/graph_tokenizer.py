"""A tokenizer as operations of TensorFlow, for graphs that take and give strings."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.python.ops.sentencepiece_tokenizer import gen_sentencepiece_tokenizer

from attention_nmt.checks import require
from attention_nmt.data.examples import framed
from attention_nmt.data.limits import cut_texts
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.types import SpecialIds

UNLIMITED = 2**31 - 1
"""A limit that no text reaches."""


class EncodedTexts(NamedTuple):
    """The ids of a batch of texts."""

    ids: tf.Tensor  # [B, S] int32, the end symbol included, padding behind it
    truncated: tf.Tensor  # [B] bool: the text was longer than allowed, and cut
    empty: tf.Tensor  # [B] bool: the text has no pieces


class GraphTokenizer:
    """Turns strings into ids and back, in a graph.

    Args:
        tokenizer: the tokenizer whose pieces these are.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._model_proto = tokenizer.model_proto
        self._special = tokenizer.special
        self._source_prefix = tokenizer.source_prefix

    @functools.cached_property
    def module(self) -> tf_text.SentencepieceTokenizer:
        """The `tf.Module` that stands in graphs; an export has to track it."""
        return sentencepiece_module(self._model_proto)

    def tokenize(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Ids `[B, (pieces)]` of strings `[B]`, without start and end.

        Raises:
            ValueError: `text` is something else than a vector of strings.
        """
        text = checked(text, "text", tf.string, rank=1)
        valid = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")

        return self.module.tokenize(valid)

    def source_ids(self, text: tf.Tensor, limit: int = UNLIMITED) -> EncodedTexts:
        """The ids that a model reads of strings `[B]`: the prefix, the pieces and the end symbol.

        Args:
            text: the sources.
            limit: the most ids of a source; pieces beyond it are cut off. With a limit, a text is
                cut at `MAXIMUM_TEXT_BYTES`, too.
        """
        return encoded(self.tokenize, text, self._source_prefix, self._special, limit)

    def target_ids(self, text: tf.Tensor, limit: int = UNLIMITED) -> EncodedTexts:
        """The ids that a model is to write for strings `[B]`: the pieces and the end symbol.

        Args:
            text: the targets.
            limit: the most ids of a target; pieces beyond it are cut off. With a limit, a text is
                cut at `MAXIMUM_TEXT_BYTES`, too.
        """
        return encoded(self.tokenize, text, (), self._special, limit)

    def detokenize(self, ids: tf.Tensor) -> tf.Tensor:
        """Strings `[B]` of ids `[B, T]`, up to the first end symbol or padding.

        Raises:
            ValueError: `ids` is something else than a matrix of int32.
        """
        ids = checked(ids, "ids", tf.int32, rank=2)
        stops = (ids == self._special.end) | (ids == self._special.pad)
        ended = tf.cumsum(tf.cast(stops, tf.int32), axis=1)

        return self.module.detokenize(tf.ragged.boolean_mask(ids, ended == 0))

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """The strings of ids of any shape, padding as empty strings."""
        strings = self.module.id_to_string(ids)

        return tf.where(ids == self._special.pad, "", strings)


def sentencepiece_module(model_proto: bytes) -> tf_text.SentencepieceTokenizer:
    """The `tf.Module` of a SentencePiece model, made outside any graph."""
    with tf.init_scope():
        module = tf_text.SentencepieceTokenizer(model_proto, out_type=tf.int32)
        module._model_resource = _SharedModel(model_proto)

    return module


def encoded(
    tokenize: Callable[[tf.Tensor], tf.RaggedTensor],
    text: tf.Tensor,
    prefix: tuple[int, ...],
    special: SpecialIds,
    limit: int,
) -> EncodedTexts:
    """The ids of strings `[B]`: a prefix, pieces and the end symbol, cut at a limit of ids.

    Args:
        tokenize: gives the pieces `[B, (pieces)]` of strings `[B]`.
        text: the strings.
        prefix: the ids before the pieces.
        special: the ids of the end symbol and of padding.
        limit: the most ids of a text.
    """
    text = checked(text, "text", tf.string, rank=1)
    truncated = tf.zeros_like(text, tf.bool)
    if limit != UNLIMITED:
        text, truncated = cut_texts(text)

    pieces = tokenize(text)
    lengths = pieces.row_lengths()
    most = limit - 1 - len(prefix)
    truncated |= lengths > most

    pieces = pieces[:, :most]
    ids = framed(pieces, prefix, special.end).to_tensor(special.pad)

    return EncodedTexts(ids=ids, truncated=truncated, empty=lengths == 0)


def checked(value: tf.Tensor, name: str, dtype: tf.DType, rank: int) -> tf.Tensor:
    """A tensor of the type and the rank that are expected.

    Raises:
        ValueError: it has others; those that a graph does not know fail when it is run.
    """
    value = tf.convert_to_tensor(value)
    fits = value.dtype == dtype and value.shape.rank in (None, rank)
    received = f"{value.dtype.name} of shape {value.shape}"
    require(fits, name, f"{dtype.name} of rank {rank}", received)

    return tf.ensure_shape(value, [None] * rank)


class _SharedModel(tf.saved_model.experimental.TrackableResource):
    """A SentencePiece model in TensorFlow's memory, named by its content.

    tf-text's own has no name and belongs to a cached kernel: `tf.random.set_seed` empties that
    cache, and every graph that holds the tokenizer fails from then on.
    """

    def __init__(self, model_proto: bytes) -> None:
        super().__init__()
        self._model_proto = model_proto
        _ = self.resource_handle  # creates it

    def _create_resource(self) -> tf.Tensor:
        name = f"sentencepiece_{hashlib.sha256(self._model_proto).hexdigest()}"

        return gen_sentencepiece_tokenizer.sentencepiece_op(
            model=self._model_proto, shared_name=name
        )
