"""`python -m serving.tflite --run-dir RUN --output model.tflite`: the whole translation, ids to ids, for LiteRT."""

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
import tyro
from ai_edge_litert.interpreter import Interpreter
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from attention_nmt.config import END, PAD, RunFolder, atomic_write
from attention_nmt.translator import Translator

SIGNATURE = "translate"
SOURCE = tf.TensorSpec([None, None], tf.int32, name="source")

TOLERANCE = 1e-3
"""How far the scores of two runtimes may be apart in float32."""


@dataclass(frozen=True)
class ConvertConfig:
    """What to convert and where to.

    Attributes:
        run_dir: a trained run folder.
        output: the file to write; the tokenizers are written beside it.
        quantize: `int8` keeps weights in 8 bits, `float16` in 16; activations stay in float32.
        beam_size: hypotheses that are kept; without it as the run did.
        check: a text file, one sentence a line, to compare with the SavedModel on; without it the run's samples.
    """

    run_dir: Path
    output: Path
    quantize: Literal["none", "float16", "int8"] = "none"
    beam_size: int | None = None
    check: Path | None = None


def save_ids_model(translator: Translator, folder: str) -> None:
    """Writes a SavedModel without variables: `source` `[B, S]` to `ids` `[B, T]` and `score` `[B]`, all ids int32.

    Sources end with the end symbol and are padded with 0 behind it; so are translations.
    """

    @tf.function(input_signature=[SOURCE], autograph=False)
    def translate(source: tf.Tensor) -> dict[str, tf.Tensor]:
        found = translator.hypotheses(source, alignments=False, compact=False)
        return {"ids": found.ids[:, 0], "score": found.scores[:, 0]}

    concrete = translate.get_concrete_function()
    names = sorted(concrete.structured_outputs)
    # The converter cannot read variables inside loops: they become constants, in loops that stay loops.
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)

    @tf.function(input_signature=[SOURCE], autograph=False)
    def constant(source: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, frozen(source), strict=True))

    module = tf.Module()
    module.translate = constant
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, folder, {SIGNATURE: constant.get_concrete_function()}, options)


def convert(folder: str, quantize: str) -> bytes:
    """A SavedModel of `save_ids_model` as a LiteRT model of built-in operations only.

    Raises:
        ValueError: the model needs an operation that LiteRT does not have built in.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        return converter.convert()
    except Exception as error:  # the converter raises several kinds, all with the operation in the text
        raise ValueError(f"the model cannot be converted to LiteRT: {error}") from error


def check(model: bytes, folder: str, sources: Sequence[Sequence[int]], exact: bool) -> int:
    """Translates with both models and counts the sentences whose ids are equal.

    Raises:
        ValueError: the model is to be exact, and ids differ though the scores do, too: by more than a float32 rounding
            explains.
    """
    runner = Interpreter(model_content=model).get_signature_runner(SIGNATURE)
    loaded = tf.saved_model.load(folder).signatures[SIGNATURE]
    equal = 0
    for source in sources:
        ids = np.array([source], np.int32)
        here, there = runner(source=ids), {k: v.numpy() for k, v in loaded(source=tf.constant(ids)).items()}
        same = here["ids"].shape == there["ids"].shape and bool((here["ids"] == there["ids"]).all())
        apart = abs(float(here["score"][0]) - float(there["score"][0]))
        if exact and not same and apart > TOLERANCE:
            raise ValueError(f"LiteRT and the SavedModel differ on {source}: {here} and {there}.")
        equal += same
    return equal


def run(config: ConvertConfig) -> str:
    """Converts, checks, writes; returns what there is to say.

    Raises:
        FileNotFoundError: the run folder is not complete.
        ValueError: the model cannot be converted, or translates differently after it.
    """
    folder = RunFolder(config.run_dir)
    translator = Translator.from_run(config.run_dir, folder.read_search(beam_size=config.beam_size, n_best=1))
    lines = (config.check or folder.samples).read_text(encoding="utf-8").splitlines()
    sources = [[*ids, END] for ids in translator.source_tokenizer.encode([line for line in lines if line.strip()])]
    with tempfile.TemporaryDirectory() as saved:
        save_ids_model(translator, saved)
        model = convert(saved, config.quantize)
        equal = check(model, saved, sources, exact=config.quantize == "none")
    with atomic_write(config.output) as temporary:
        temporary.write_bytes(model)
    for name, tokenizer in (("source", translator.source_tokenizer), ("target", translator.target_tokenizer)):
        tokenizer.save(config.output.with_suffix(f".{name}.model"))
    said = f"{equal} of {len(sources)} translations equal to the SavedModel's"
    return f"{config.output}: {len(model) / 1e6:.1f} MB; {said}"


def translate(model: bytes | str, sources: Sequence[Sequence[int]]) -> list[list[int]]:
    """Translates ids with a LiteRT model, one sentence at a time; without end symbols on either side.

    The whole of what an application does, and an example of it.
    """
    arguments: dict[str, Any] = {"model_content" if isinstance(model, bytes) else "model_path": model}
    runner = Interpreter(**arguments).get_signature_runner(SIGNATURE)
    found = []
    for source in sources:
        ids = runner(source=np.array([[*source, END]], np.int32))["ids"][0].tolist()
        found.append([i for i in ids if i not in (PAD, END)])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 with one line on what is at fault."""
    try:
        print(run(tyro.cli(ConvertConfig, prog="serving.tflite", args=arguments)))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
