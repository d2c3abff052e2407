"""Writes a trained model as a LiteRT model, the whole translation in it: the command `tflite`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges
from attention_nmt.files import atomic_write, one_line
from attention_nmt.stored import ModelChoice
from attention_nmt.text_files import read_lines

from .runtime import check_backend, tensorflow_runtime

if TYPE_CHECKING:
    from attention_nmt.translation.translator import Translator


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(ModelChoice):
    """Writes a trained model as a LiteRT model.

    Attributes:
        output: the file to write; the tokenizers are written beside it.
        quantize: `int8` keeps weights in 8 bits, `float16` in 16; activations stay in float32.
        text: strings in and out, one sentence at a time, with the tokenizer in the file, by
            tensorflow-text's two operations for LiteRT, which the application has to link; without
            it ids to ids, built-in operations only.
        check: a text file, one sentence a line, to compare with the SavedModel on; without it the
            samples that the model has.
        translations: a file for LiteRT's translations of those sentences, a line for each, to be
            scored.
        search: changes of the model's search.
    """

    output: Path
    quantize: Literal["none", "float16", "int8"] = "none"
    text: bool = False
    check: Path | None = None
    translations: Path | None = None
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)


def convert(config: ConvertConfig) -> str:
    """Converts, checks and writes.

    Returns:
        A line that says what came of it.

    Raises:
        OSError: the model's folder is not complete, a file cannot be read or written, or TensorFlow
            fails.
        ValueError: the backend is not TensorFlow, a weight is not finite, or the model cannot be
            converted, or translates differently after it.
    """
    check_backend("tflite")
    stored = config.open()
    search = stored.read_search(config.search, n_best=1)
    sentences = read_lines(config.check) if config.check else stored.samples

    with tensorflow_runtime():
        from attention_nmt.translation.translator import Translator

        translator = Translator.from_stored(stored, search)
        return _convert(config, translator, sentences)


def _convert(config: ConvertConfig, translator: Translator, sentences: list[str]) -> str:
    from . import litert, litert_runtime

    inputs = _inputs(translator, sentences, text=config.text)
    present = [value for value in inputs if value is not None]
    save = litert.save_text_model if config.text else litert.save_ids_model
    with tempfile.TemporaryDirectory() as saved:
        save(translator, saved)
        model = litert.convert(saved, config.quantize, config.text)
        exact = config.quantize == "none"
        compared = litert_runtime.compare(model, saved, present, exact)

    output = Path(config.output)
    with atomic_write(output) as temporary:
        temporary.write_bytes(model)
    if not config.text:
        translator.source_tokenizer.save(output.with_suffix(".source.model"))
        translator.target_tokenizer.save(output.with_suffix(".target.model"))
    if config.translations:
        texts = iter(_texts(translator, compared.translations, text=config.text))
        written = ["" if value is None else one_line(next(texts)) for value in inputs]
        with atomic_write(config.translations) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")

    said = f"{compared.equal} of {len(present)} translations equal to the SavedModel's"
    return f"{config.output}: {len(model) / 1e6:.1f} MB; {said}"


def _inputs(
    translator: Translator, sentences: Sequence[str], *, text: bool
) -> list[np.ndarray | None]:
    """The models' input for each sentence.

    An empty line has an empty translation, and is no test of the model: its input is None.
    """
    tokenizer = translator.source_tokenizer
    nothing = len(tokenizer.source_prefix) + 1  # ids of a text without pieces
    rows = tokenizer.source_ids(sentences, translator.search.maximum_source_length)

    inputs: list[np.ndarray | None] = []
    for sentence, ids in zip(sentences, rows, strict=True):
        if len(ids) == nothing:
            inputs.append(None)
        elif text:
            inputs.append(np.array([sentence.encode()], object))
        else:
            inputs.append(np.array([ids], np.int32))
    return inputs


def _texts(translator: Translator, found: Sequence[Any], *, text: bool) -> list[str]:
    """The translations as text."""
    if text:
        return [translation.decode() for translation in found]
    return translator.target_tokenizer.decode([ids.tolist() for ids in found])


def run(config: ConvertConfig) -> None:
    """Converts and prints what came of it; see `convert`."""
    print(convert(config))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(ConvertConfig, run, arguments, prog="attention-nmt tflite")


if __name__ == "__main__":
    sys.exit(main())
