"""A translator as a LiteRT model: the whole search in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow.lite.python import schema_py_generated as schema_fb
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from attention_nmt.checks import require
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.search import longest_translation
from attention_nmt.translation.translator import Translator

from .litert_half import halved
from .litert_signatures import SIGNATURE, signature_of

TEXT_OPERATIONS = frozenset(
    {"TFText>FastSentencepieceTokenize", "TFText>FastSentencepieceDetokenize"}
)
"""Operations that a model from text to text needs beside the built-in ones."""

MAXIMUM_REASON = 1000
"""Characters of the converter's message that are kept: the whole model stands behind them."""

SOURCE = tf.TensorSpec([None, None], tf.int32, name="source")
TEXT = tf.TensorSpec([1], tf.string, name="text")

# LiteRT knows no operations that leave out rows.
_LOOP = LoopOptions(changing_shapes=False)


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

    @tf.function(input_signature=[SOURCE], autograph=False)
    def translate(source: tf.Tensor) -> dict[str, tf.Tensor]:
        source = translator.graph.known(source)
        found = translator.graph.search(source, alignments=False, loop=_LOOP)
        return {"ids": found.ids[:, 0], "score": found.scores[:, 0]}

    _save_frozen({SIGNATURE: translate}, folder)


def save_lengths_model(translator: Translator, folder: str, lengths: Sequence[int]) -> None:
    """Writes a SavedModel without variables, with a signature for each length of a source.

    All shapes are known, as LiteRT.js and LiteRT's compiled models need it. A signature takes
    `source` `[1, S]`, padded behind the end symbol, and gives the `n_best` hypotheses: `ids`
    `[1, N, T]`, `scores` `[1, N]`, and `alignments` `[1, N, T, S]` of a model that aligns.

    Args:
        translator: as for `save_ids_model`.
        folder: the SavedModel's folder.
        lengths: the numbers of ids of a source, `S`.
    """
    functions = {signature_of(length): _of_length(translator, length) for length in lengths}
    _save_frozen(functions, folder)


def _of_length(translator: Translator, length: int) -> tf.types.experimental.PolymorphicFunction:
    """The search for sources of one length."""
    loop = LoopOptions(static_length=longest_translation(length, translator.search))
    source = tf.TensorSpec([1, length], tf.int32, name="source")

    @tf.function(input_signature=[source], autograph=False)
    def translate(source: tf.Tensor) -> dict[str, tf.Tensor]:
        found = translator.graph.search(translator.graph.known(source), loop=loop)
        outputs = {"ids": found.ids, "scores": found.scores}
        if found.alignments is not None:
            outputs["alignments"] = found.alignments
        return outputs

    return translate


def check_source_tokenizer(translator: Translator, name: str, expected: str) -> None:
    """Makes sure that a phone or a page can make the pieces of a source.

    Args:
        translator: whose tokenizer it is.
        name: the argument that asks for it.
        expected: what the argument must be where they cannot.

    Raises:
        ValueError: it is no SentencePiece model of this package.
    """
    fits = isinstance(translator.source_tokenizer, Tokenizer)
    received = type(translator.source_tokenizer).__name__
    require(fits, name, f"{expected}: no pieces of a pretrained encoder are made there", received)


def save_text_model(translator: Translator, folder: str) -> None:
    """Writes a SavedModel without variables, from text to text.

    It gives `translation` `[1]`, `score` `[1]` and `truncated` `[1]` of `text` `[1]`.

    It tokenizes by tensorflow-text's fast SentencePiece, the only one that LiteRT has: a character
    that the vocabulary does not cover is unknown to it, where the server spells its bytes, and
    pieces of bytes in a translation are lost.

    Args:
        translator: as for `save_ids_model`.
        folder: the SavedModel's folder.

    Raises:
        ValueError: the source has the tokenizer of a pretrained encoder.
    """
    check_source_tokenizer(translator, "text", "left out")
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

    _save_frozen({SIGNATURE: translate}, folder)


def _save_frozen(
    functions: Mapping[str, tf.types.experimental.PolymorphicFunction], folder: str
) -> None:
    """Writes functions as a SavedModel whose variables are constants.

    The converter cannot read variables inside loops.
    """
    module = tf.Module()
    module.functions = {name: _frozen(function) for name, function in functions.items()}
    signatures = {name: one.get_concrete_function() for name, one in module.functions.items()}
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, folder, signatures, options)


def _frozen(
    function: tf.types.experimental.PolymorphicFunction,
) -> tf.types.experimental.PolymorphicFunction:
    concrete = function.get_concrete_function()
    names = sorted(concrete.structured_outputs)
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)

    @tf.function(input_signature=function.input_signature, autograph=False)
    def constant(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, frozen(inputs), strict=True))

    return constant


def convert(
    folder: str, quantize: str, text: bool = False, signatures: Sequence[str] = (SIGNATURE,)
) -> bytes:
    """Converts a SavedModel to a LiteRT model of built-in operations only.

    Args:
        folder: a SavedModel from one of the functions above.
        quantize: `none`, `float16` or `int8`, the precision of its weights.
        text: it is from text to text, and needs `TEXT_OPERATIONS`, too.
        signatures: the names of its signatures, which share their weights.

    Raises:
        ValueError: the model needs another operation.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.allow_custom_ops = text
    if quantize == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # One scale for a kernel, as LiteRT has it for an embedding: a tied one is then in the file
        # once, not twice.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    try:
        model = converter.convert()
    except Exception as error:  # the converter raises several kinds, all with the operation named
        reason = str(error)[:MAXIMUM_REASON]
        raise ValueError(f"the model cannot be converted to LiteRT: {reason}") from error
    if quantize == "float16":
        model = halved(model)

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
