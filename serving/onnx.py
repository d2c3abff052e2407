"""Writes a trained model as ONNX, the whole translation in it: the command `onnx`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from attention_nmt.command import NO_PREFIX, quiet_start, run_command
from attention_nmt.config import SearchChanges
from attention_nmt.files import atomic_write
from attention_nmt.stored import ModelChoice
from attention_nmt.text_files import read_lines

from .runtime import check_backend, tensorflow_runtime

if TYPE_CHECKING:
    from attention_nmt.translation.translator import Translator

OPSET = 18
"""The version of ONNX's operations: the newest that tf2onnx 1.17 writes."""

TOGETHER = 16
"""The number of sentences that are compared together."""

TOLERANCE = 1e-3
"""The most by which scores of two runtimes differ, relative to those below -1."""


@dataclass(frozen=True, kw_only=True)
class OnnxConfig(ModelChoice):
    """Writes a trained model as ONNX, from ids to ids, in float32.

    Attributes:
        output: the file to write; the tokenizers are written beside it.
        n_best: translations of each source.
        check: a text file, one sentence a line, to compare with TensorFlow on; without it the
            samples that the model has.
        search: changes of the model's search.
    """

    output: Path
    n_best: int = 1
    check: Path | None = None
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)


def convert(config: OnnxConfig) -> str:
    """Converts, checks and writes.

    Returns:
        A line that says what came of it.

    Raises:
        OSError: the model's folder is not complete, or a file cannot be read or written.
        ValueError: the backend is not TensorFlow, a weight is not finite, or the model translates
            differently after it.
        ImportError: tf2onnx or onnxruntime is not installed.
    """
    check_backend("onnx")
    stored = config.open()
    search = stored.read_search(config.search, n_best=config.n_best)
    sentences = read_lines(config.check) if config.check else stored.samples

    with tensorflow_runtime():
        quiet_start(["tf2onnx"])
        from attention_nmt.translation.translator import Translator

        translator = Translator.from_stored(stored, search)
        model = _convert(translator)
        equal = _compare(model, translator, sentences)

    output = Path(config.output)
    with atomic_write(output) as temporary:
        temporary.write_bytes(model)
    translator.source_tokenizer.save(output.with_suffix(".source.model"))
    translator.target_tokenizer.save(output.with_suffix(".target.model"))
    said = f"{equal} of {len(sentences)} translations equal to TensorFlow's"
    return f"{config.output}: {len(model) / 1e6:.1f} MB; {said}"


def _convert(translator: Translator) -> bytes:
    """The model: `source` `[B, S]` to `ids` `[B, N, T]`, `scores` and `alignments`."""
    import tensorflow as tf
    import tf2onnx

    source = tf.TensorSpec([None, None], tf.int32, name="source")

    @tf.function(input_signature=[source], autograph=False)
    def translate(source: tf.Tensor) -> dict[str, tf.Tensor]:
        found = translator.graph.search(translator.graph.known(source))
        return {name: value for name, value in found._asdict().items() if value is not None}

    model, _ = tf2onnx.convert.from_function(translate, input_signature=[source], opset=OPSET)
    return model.SerializeToString()


def _compare(model: bytes, translator: Translator, sentences: Sequence[str]) -> int:
    """Translates sentences with both runtimes, some at a time; gives the number of equal ids.

    Raises:
        ValueError: scores differ by more than float32 rounding explains.
    """
    import onnxruntime

    rows = translator.source_tokenizer.source_ids(
        sentences, translator.search.maximum_source_length
    )
    session = onnxruntime.InferenceSession(model)
    equal = 0
    for begin in range(0, len(rows), TOGETHER):
        source = _padded(rows[begin : begin + TOGETHER])
        ids, scores = session.run(["ids", "scores"], {"source": source})
        there = translator.graph.search(source, alignments=False)

        expected = np.asarray(there.scores)
        difference = np.abs(scores - expected) / np.maximum(1, np.abs(expected))
        if not np.all(difference <= TOLERANCE):
            raise ValueError(f"scores of ONNX and TensorFlow differ by up to {difference.max()}.")
        equal += sum(map(np.array_equal, ids[:, 0], np.asarray(there.ids)[:, 0]))
    return equal


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of ids as one array, with padding behind them."""
    source = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, ids in zip(source, rows, strict=True):
        row[: len(ids)] = ids
    return source


def run(config: OnnxConfig) -> None:
    """Converts and prints what came of it; see `convert`."""
    print(convert(config))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(OnnxConfig, run, arguments, prog="attention-nmt onnx")


if __name__ == "__main__":
    sys.exit(main())
