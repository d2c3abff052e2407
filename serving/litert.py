"""A translator as a LiteRT model: the whole search in one file."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.lite.python import schema_py_generated as schema_fb
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from attention_nmt.search.loop import LoopOptions
from attention_nmt.translation.translator import Translator

from .litert_runtime import SIGNATURE

TEXT_OPERATIONS = frozenset(
    {"TFText>FastSentencepieceTokenize", "TFText>FastSentencepieceDetokenize"}
)
"""Operations that a model from text to text needs beside the built-in ones."""

MAXIMUM_REASON = 1000
"""Characters of the converter's message that are kept: the whole model stands behind them."""

SOURCE = tf.TensorSpec([None, None], tf.int32, name="source")
TEXT = tf.TensorSpec([1], tf.string, name="text")

# LiteRT knows no operations that leave out rows.
_LOOP = LoopOptions(drop_finished=False)


def save_ids_model(translator: Translator, folder: str) -> None:
    """Writes a SavedModel without variables, from ids to ids.

    It gives `ids` `[B, T]` and `score` `[B]` of `source` `[B, S]`; ids are int32. Sources end with
    the end symbol and are padded behind it; so are translations. An id that is none of the source
    vocabulary is unknown.

    Args:
        translator: what to write; not a frozen one, because LiteRT lays kernels out for itself and
            would hold them twice.
        folder: the SavedModel's folder.
    """

    pieces = translator.model.source_vocabulary_size
    unknown = translator.source_tokenizer.special.unknown

    @tf.function(input_signature=[SOURCE], autograph=False)
    def translate(source: tf.Tensor) -> dict[str, tf.Tensor]:
        known = (source >= 0) & (source < pieces)
        source = tf.where(known, source, unknown)
        found = translator.graph.search(source, alignments=False, loop=_LOOP)
        return {"ids": found.ids[:, 0], "score": found.scores[:, 0]}

    _save_frozen(translate, folder)


def save_text_model(translator: Translator, folder: str) -> None:
    """Writes a SavedModel without variables, from text to text.

    It gives `translation` `[1]`, `score` `[1]` and `truncated` `[1]` of `text` `[1]`.

    It tokenizes by tensorflow-text's fast SentencePiece, the only one that LiteRT has: a character
    that the vocabulary does not cover is unknown to it, where the server spells its bytes, and
    pieces of bytes in a translation are lost.

    Args:
        translator: as for `save_ids_model`.
        folder: the SavedModel's folder.
    """
    source_tokenizer = tf_text.FastSentencepieceTokenizer(translator.source_tokenizer.model_proto)
    target_tokenizer = tf_text.FastSentencepieceTokenizer(translator.target_tokenizer.model_proto)
    prefix = translator.source_tokenizer.source_prefix
    source_end = translator.source_tokenizer.special.end
    special = translator.target_tokenizer.special
    limit = translator.search.maximum_source_length - 1 - len(prefix)

    @tf.function(input_signature=[TEXT], autograph=False)
    def translate(text: tf.Tensor) -> dict[str, tf.Tensor]:
        all_pieces = source_tokenizer.tokenize(text).flat_values
        pieces = all_pieces[:limit]
        source = tf.concat([tf.constant(prefix, tf.int32), pieces, [source_end]], 0)
        # One row, which the graph is not to know beforehand: the loop of a greedy search does not
        # keep a known size.
        source = tf.tile(source[None], [tf.minimum(tf.size(source), 1), 1])
        found = translator.graph.search(source, alignments=False, loop=_LOOP)

        blank = tf.equal(tf.size(pieces), 0)
        ids = found.ids[0, 0]
        ids = tf.boolean_mask(ids, (ids != special.end) & (ids != special.pad) & ~blank)
        splits = tf.stack([0, tf.size(ids)])
        row = tf.RaggedTensor.from_row_splits(ids, splits, validate=False)
        return {
            "translation": target_tokenizer.detokenize(row),
            "score": tf.where(blank, 0.0, found.scores[:, 0]),
            "truncated": tf.size(all_pieces)[None] > limit,
        }

    _save_frozen(translate, folder)


def _save_frozen(function: tf.types.experimental.PolymorphicFunction, folder: str) -> None:
    """Writes a function as a SavedModel whose variables are constants.

    The converter cannot read variables inside loops.
    """
    concrete = function.get_concrete_function()
    names = sorted(concrete.structured_outputs)
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)

    @tf.function(input_signature=function.input_signature, autograph=False)
    def constant(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, frozen(inputs), strict=True))

    module = tf.Module()
    module.translate = constant
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, folder, {SIGNATURE: constant.get_concrete_function()}, options)


def convert(folder: str, quantize: str, text: bool = False) -> bytes:
    """Converts a SavedModel to a LiteRT model of built-in operations only.

    Args:
        folder: a SavedModel from `save_ids_model` or `save_text_model`.
        quantize: `none`, `float16` or `int8`, the precision of its weights.
        text: it is from text to text, and needs `TEXT_OPERATIONS`, too.

    Raises:
        ValueError: the model needs another operation.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.allow_custom_ops = text
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "int8":
        # One scale for a kernel, as LiteRT has it for an embedding: a tied one is then in the file
        # once, not twice.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]

    try:
        model = converter.convert()
    except Exception as error:  # the converter raises several kinds, all with the operation named
        reason = str(error)[:MAXIMUM_REASON]
        raise ValueError(f"the model cannot be converted to LiteRT: {reason}") from error

    allowed = TEXT_OPERATIONS if text else frozenset()
    found = custom_operations(model)
    if found != allowed:
        expected = f"the LiteRT model must need no custom operations but {set(allowed)}"
        raise ValueError(f"{expected}. It needs: {found}.")
    return model


def custom_operations(model: bytes) -> set[str]:
    """The names of the operations of a LiteRT model that are not built into every runtime."""
    parsed = schema_fb.Model.GetRootAs(model)
    names = set()
    for index in range(parsed.OperatorCodesLength()):
        code = parsed.OperatorCodes(index).CustomCode()
        if code is not None:
            names.add(code.decode())
    return names
