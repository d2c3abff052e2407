"""A trained or exported model as Apache Beam's `RunInference` takes one; needs the extra `beam`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from apache_beam.ml.inference.base import ModelHandler

from attention_nmt.config import SearchConfig
from attention_nmt.stored import open_model

from .batch_files import Chunk, translate_chunk
from .lines import LineTranslation, Translate


class ModelSpec(NamedTuple):
    """The model of a batch, and the way it translates; it travels to each process."""

    model: str
    exported: bool  # a SavedModel, which has its search within
    search: SearchConfig | None
    batch_size: int
    document: bool


class Answer(NamedTuple):
    """A translation of an exported model."""

    text: str
    truncated: bool


class Exported:
    """The translations of a SavedModel.

    Args:
        folder: the SavedModel.
        batch_size: the texts that are translated together; they are of about one length.
    """

    def __init__(self, folder: str, batch_size: int) -> None:
        import tensorflow as tf
        import tensorflow_text  # noqa: F401 - registers the tokenizers' ops

        self._loaded = tf.saved_model.load(folder)
        self._signature = self._loaded.signatures["serving_default"]
        self._tensor = tf.constant
        self._batch_size = batch_size

    def __call__(self, texts: list[str]) -> list[LineTranslation]:
        """The translations of texts, in their order."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        found: dict[int, LineTranslation] = {}
        for begin in range(0, len(order), self._batch_size):
            indices = order[begin : begin + self._batch_size]
            outputs = self._signature(text=self._tensor([texts[index] for index in indices]))
            answers = zip(
                outputs["translation"].numpy().tolist(),
                outputs["truncated"].numpy().tolist(),
                strict=True,
            )
            for index, (text, truncated) in zip(indices, answers, strict=True):
                found[index] = Answer(text.decode(errors="replace"), truncated)
        return [found[index] for index in range(len(texts))]


class TranslationHandler(ModelHandler):
    """Translates chunks of files. A process loads the model once.

    Beam's own handlers for TensorFlow load no such export: they know no operations of
    tensorflow_text.

    Args:
        spec: the model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec

    def load_model(self) -> Translate:
        """A function from texts to translations."""
        spec = self.spec
        if spec.exported:
            return Exported(spec.model, spec.batch_size)

        from attention_nmt.translation.translator import Translator

        translator = Translator.from_stored(open_model(spec.model), spec.search, spec.batch_size)
        return functools.partial(translator.frozen(), alignments=False)

    def run_inference(
        self, batch: Sequence[Chunk], model: Translate, inference_args: Any = None
    ) -> Iterable[str]:
        """Writes the translations of some chunks; gives the names of their files."""
        del inference_args
        for values in batch:
            chunk = Chunk(*values)  # Beam makes a plain tuple of it
            translate_chunk(
                chunk,
                model,
                batch_size=chunk.lines,
                document=self.spec.document,
            )
            yield Path(chunk.output).name

    def batch_elements_kwargs(self) -> dict[str, int]:
        """One chunk at a time: it is a batch of lines, and is written when it is translated."""
        return {"min_batch_size": 1, "max_batch_size": 1}
