"""Writes a trained model as a LiteRT model, the whole translation in it: the command `tflite`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges
from attention_nmt.files import atomic_write, one_line
from attention_nmt.stored import ModelChoice
from attention_nmt.text_files import read_lines

from .litert_signatures import SIGNATURE, signature_of
from .runtime import check_backend, tensorflow_runtime

if TYPE_CHECKING:
    from attention_nmt.translation.translator import Translator

    from .litert_runtime import Request


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(ModelChoice):
    """Writes a trained model as a LiteRT model.

    Attributes:
        output: the file to write; the tokenizers are written beside it.
        quantize: `int8` keeps weights in 8 bits, `float16` in 16; activations stay in float32.
        text: strings in and out, one sentence at a time, with the tokenizer in the file, by
            tensorflow-text's two operations for LiteRT, which the application has to link; without
            it ids to ids, built-in operations only.
        lengths: numbers of pieces of a source, the end symbol included: one signature for each,
            `translate_LENGTH`, of fixed shapes, with all `n_best` hypotheses and their alignments.
            For runtimes that take no other shapes: LiteRT.js, LiteRT's CompiledModel. A longer
            source is cut to the greatest.
        n_best: hypotheses of each signature, with `lengths`.
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
    lengths: tuple[int, ...] = ()
    n_best: int = 1
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)

    def __post_init__(self) -> None:
        super().__post_init__()
        possible = all(length >= 2 for length in self.lengths)
        require(possible, "lengths", "each at least 2", self.lengths)
        require(not (self.lengths and self.text), "text", "left out with `lengths`", self.text)
        single = bool(self.lengths) or self.n_best == 1
        require(single, "n_best", "left out without `lengths`", self.n_best)

    @property
    def signatures(self) -> list[str]:
        """The names of the model's signatures."""
        return [signature_of(length) for length in sorted(set(self.lengths))] or [SIGNATURE]


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
    search = stored.read_search(config.search, n_best=config.n_best)
    if config.lengths:
        search = replace(search, maximum_source_length=max(config.lengths))
    sentences = read_lines(config.check) if config.check else stored.samples

    with tensorflow_runtime():
        from attention_nmt.translation.translator import Translator

        translator = Translator.from_stored(stored, search)
        return _convert(config, translator, sentences)


def _convert(config: ConvertConfig, translator: Translator, sentences: list[str]) -> str:
    from . import litert, litert_runtime

    requests = _requests(config, translator, sentences)
    present = [request for request in requests if request is not None]
    with tempfile.TemporaryDirectory() as saved:
        if config.lengths:
            litert.save_lengths_model(translator, saved, sorted(set(config.lengths)))
        elif config.text:
            litert.save_text_model(translator, saved)
        else:
            litert.save_ids_model(translator, saved)
        model = litert.convert(saved, config.quantize, config.text, config.signatures)
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
        written = ["" if request is None else one_line(next(texts)) for request in requests]
        with atomic_write(config.translations) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")

    said = f"{compared.equal} of {len(present)} translations equal to the SavedModel's"
    return f"{config.output}: {len(model) / 1e6:.1f} MB; {said}"


def _requests(
    config: ConvertConfig, translator: Translator, sentences: Sequence[str]
) -> list[Request | None]:
    """What the models are asked for each sentence.

    An empty line has an empty translation, and is no test of the model: its request is None.
    """
    from .litert_runtime import Request

    tokenizer = translator.source_tokenizer
    nothing = len(tokenizer.source_prefix) + 1  # ids of a text without pieces
    rows = tokenizer.source_ids(sentences, translator.search.maximum_source_length)

    requests: list[Request | None] = []
    for sentence, ids in zip(sentences, rows, strict=True):
        if len(ids) == nothing:
            requests.append(None)
        elif config.text:
            requests.append(Request(np.array([sentence.encode()], object)))
        elif config.lengths:
            length = min(length for length in config.lengths if length >= len(ids))
            source = np.zeros((1, length), np.int32)
            source[0, : len(ids)] = ids
            requests.append(Request(source, signature_of(length)))
        else:
            requests.append(Request(np.array([ids], np.int32)))
    return requests


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
