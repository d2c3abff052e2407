"""`python -m serving.tflite --run-dir RUN --output model.tflite [--text]`: the whole translation
for LiteRT."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
import tyro
from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps
from tensorflow.lite.python import schema_py_generated as schema_fb
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from attention_nmt.config import END, PAD, SearchChanges
from attention_nmt.files import atomic_write, one_line
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

SIGNATURE = "translate"
SOURCE = tf.TensorSpec([None, None], tf.int32, name="source")
TEXT = tf.TensorSpec([1], tf.string, name="text")

TEXT_OPERATIONS = frozenset(
    {"TFText>FastSentencepieceTokenize", "TFText>FastSentencepieceDetokenize"}
)
"""What a model from text to text needs beside the built-in operations."""

TOLERANCE = 1e-3
"""How far the scores of two runtimes may be apart in float32, relative to those below -1."""


@dataclass(frozen=True)
class ConvertConfig(SearchChanges):
    """What to convert and where to.

    Attributes:
        run_dir: a trained run folder.
        output: the file to write; the tokenizers are written beside it.
        quantize: `int8` keeps weights in 8 bits, `float16` in 16; activations stay in float32.
        text: strings in and out, one sentence at a time, with the tokenizer in the file, by
        tensorflow-text's two
            operations for LiteRT, which the application has to link; without it ids to ids,
            built-in operations only.
        check: a text file, one sentence a line, to compare with the SavedModel on; without it the
        run's samples. translations: write LiteRT's translations of those sentences there, a line
        for each, to be scored.
    """

    run_dir: Path
    output: Path
    quantize: Literal["none", "float16", "int8"] = "none"
    text: bool = False
    check: Path | None = None
    translations: Path | None = None


def save_ids_model(translator: Translator, folder: str) -> None:
    """Writes a SavedModel without variables: `source` `[B, S]` to `ids` `[B, T]` and `score`
    `[B]`, all ids int32.

    Sources end with the end symbol and are padded with 0 behind it; so are translations.
    """

    @tf.function(input_signature=[SOURCE], autograph=False)
    def translate(source: tf.Tensor) -> dict[str, tf.Tensor]:
        found = translator.hypotheses(source, alignments=False, compact=False)
        return {"ids": found.ids[:, 0], "score": found.scores[:, 0]}

    _save_frozen(translate, folder)


def save_text_model(translator: Translator, folder: str) -> None:
    """Writes a SavedModel without variables: `text` `[1]` to `translation` `[1]` and `score` `[1]`.

    It tokenizes by tensorflow-text's fast SentencePiece, the only one that LiteRT has: a character
    that the vocabulary does not cover is unknown to it, where the server spells its bytes, and
    pieces of bytes in a translation are lost.
    """
    source_tokenizer = tf_text.FastSentencepieceTokenizer(translator.source_tokenizer.model_proto)
    target_tokenizer = tf_text.FastSentencepieceTokenizer(translator.target_tokenizer.model_proto)

    @tf.function(input_signature=[TEXT], autograph=False)
    def translate(text: tf.Tensor) -> dict[str, tf.Tensor]:
        pieces = source_tokenizer.tokenize(text).flat_values[
            : translator.search.maximum_source_length - 1
        ]
        source = tf.concat([pieces, [END]], 0)
        # One row, which the graph is not to know beforehand: the loop of a greedy search does not
        # keep a known size.
        source = tf.tile(source[None], [tf.minimum(tf.size(source), 1), 1])
        found = translator.hypotheses(source, alignments=False, compact=False)
        ids, blank = found.ids[0, 0], tf.equal(tf.size(pieces), 0)
        ids = tf.boolean_mask(ids, (ids != END) & (ids != PAD) & ~blank)
        splits = tf.stack([0, tf.size(ids)])
        words = target_tokenizer.detokenize(
            tf.RaggedTensor.from_row_splits(ids, splits, validate=False)
        )
        return {"translation": words, "score": tf.where(blank, 0.0, found.scores[:, 0])}

    _save_frozen(translate, folder)


def _save_frozen(function: tf.types.experimental.PolymorphicFunction, folder: str) -> None:
    """Writes a function as a SavedModel whose variables are constants: the converter cannot read
    them inside loops."""
    concrete = function.get_concrete_function()
    names, signature = sorted(concrete.structured_outputs), function.input_signature
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)

    @tf.function(input_signature=signature, autograph=False)
    def constant(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, frozen(inputs), strict=True))

    module = tf.Module()
    module.translate = constant
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, folder, {SIGNATURE: constant.get_concrete_function()}, options)


def convert(folder: str, quantize: str, text: bool = False) -> bytes:
    """A SavedModel as a LiteRT model, of built-in operations only, and with `text` of
    `TEXT_OPERATIONS`.

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
    except (
        Exception
    ) as error:  # the converter raises several kinds, all with the operation in the text
        raise ValueError(f"the model cannot be converted to LiteRT: {error}") from error
    allowed, found = TEXT_OPERATIONS if text else frozenset(), custom_operations(model)
    if found != allowed:
        raise ValueError(
            f"the LiteRT model must need no custom operations but {set(allowed)}. It needs: {found}."
        )
    return model


def custom_operations(model: bytes) -> set[str]:
    """The names of the operations of a LiteRT model that are not built into every runtime."""
    parsed = schema_fb.Model.GetRootAs(model)
    codes = [parsed.OperatorCodes(index) for index in range(parsed.OperatorCodesLength())]
    return {code.CustomCode().decode() for code in codes if code.CustomCode() is not None}


def interpreter(model: bytes | str, threads: int | None = None) -> Interpreter:
    """The interpreter of a LiteRT model, a file's name or its content; it knows tensorflow-text's
    operations."""
    arguments: dict[str, Any] = {
        "model_content" if isinstance(model, bytes) else "model_path": model
    }
    operations = tf_text.tflite_registrar.SELECT_TFTEXT_OPS
    return InterpreterWithCustomOps(
        custom_op_registerers=operations, num_threads=threads, **arguments
    )


def check(
    model: bytes, folder: str, inputs: Sequence[np.ndarray], exact: bool
) -> tuple[int, list[Any]]:
    """Translates with both models.

    Returns:
        How many translations are equal, and LiteRT's, ids or text.

    Raises:
        ValueError: the model is to be exact, and scores differ by more than a float32 rounding
        explains.
    """
    runner = interpreter(model).get_signature_runner(SIGNATURE)
    loaded = tf.saved_model.load(folder).signatures[SIGNATURE]
    (name,) = loaded.structured_input_signature[1]
    equal, found = 0, []
    for value in inputs:
        here = runner(**{name: value})
        there = {key: x.numpy() for key, x in loaded(**{name: tf.constant(value)}).items()}
        (output,) = set(here) - {"score"}
        same = np.array_equal(here[output], there[output])
        score = float(there["score"][0])
        if exact and not abs(float(here["score"][0]) - score) <= TOLERANCE * max(1, abs(score)):
            raise ValueError(f"LiteRT and the SavedModel differ on {value}: {here} and {there}.")
        equal += same
        found.append(here[output][0])
    return equal, found


def run(config: ConvertConfig) -> str:
    """Converts, checks, writes; returns what there is to say.

    Raises:
        FileNotFoundError: the run folder is not complete.
        ValueError: the model cannot be converted, or translates differently after it.
    """
    folder = RunFolder(config.run_dir)
    translator = Translator.from_run(
        config.run_dir, folder.read_search(n_best=1, **config.search_changes())
    )
    lines = (
        (config.check or folder.samples).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    )
    ids = [
        found[: translator.search.maximum_source_length - 1]
        for found in translator.source_tokenizer.encode(lines)
    ]
    written = [
        bool(found) for found in ids
    ]  # an empty line has an empty translation, and is no test of the model
    if config.text:
        inputs = [
            np.array([line.encode()], object)
            for line, some in zip(lines, written, strict=True)
            if some
        ]
    else:
        inputs = [np.array([[*found, END]], np.int32) for found in ids if found]
    with tempfile.TemporaryDirectory() as saved:
        (save_text_model if config.text else save_ids_model)(translator, saved)
        model = convert(saved, config.quantize, config.text)
        equal, found = check(model, saved, inputs, exact=config.quantize == "none")
    with atomic_write(config.output) as temporary:
        temporary.write_bytes(model)
    if not config.text:
        for name, tokenizer in (
            ("source", translator.source_tokenizer),
            ("target", translator.target_tokenizer),
        ):
            tokenizer.save(config.output.with_suffix(f".{name}.model"))
    if config.translations:
        texts = iter([x.decode() for x in found] if config.text else _texts(translator, found))
        translated = (one_line(next(texts)) if some else "" for some in written)
        with atomic_write(config.translations) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in translated), encoding="utf-8")
    said = f"{equal} of {len(inputs)} translations equal to the SavedModel's"
    return f"{config.output}: {len(model) / 1e6:.1f} MB; {said}"


def _texts(translator: Translator, ids: Sequence[Any]) -> list[str]:
    return [
        translator.target_tokenizer.detokenize(tf.constant(row[None]))
        .numpy()[0]
        .decode(errors="replace")
        for row in ids
    ]


def translate(model: bytes | str, sources: Sequence[Sequence[int]]) -> list[list[int]]:
    """Translates ids with a LiteRT model, one sentence at a time; without end symbols on either
    side, empty to empty.

    What an application does between its tokenizer's two calls, and an example of it.
    """
    runner = interpreter(model).get_signature_runner(SIGNATURE)
    found = []
    for source in sources:
        ids = (
            runner(source=np.array([[*source, END]], np.int32))["ids"][0].tolist() if source else []
        )
        found.append([i for i in ids if i not in (PAD, END)])
    return found


def translate_text(model: bytes | str, texts: Sequence[str]) -> list[str]:
    """Translates text with a LiteRT model that was converted with `--text`."""
    runner = interpreter(model).get_signature_runner(SIGNATURE)
    return [
        runner(text=np.array([text.encode()], object))["translation"][0].decode() for text in texts
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 with one line on what is at fault."""
    try:
        print(run(tyro.cli(ConvertConfig, prog="serving.tflite", args=arguments)))
    except (ValueError, OSError, tf.errors.OpError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
