"""Runs LiteRT models of translators in Python."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps, SignatureRunner

from attention_nmt.command import quiet_standard_error
from attention_nmt.data.limits import cut_text
from attention_nmt.types import SPECIAL, SpecialIds

from .litert_signatures import SIGNATURE

TOLERANCE = 1e-3
"""The most by which scores of two runtimes differ in float32, relative to those below -1."""


class _SharedInterpreter(InterpreterWithCustomOps):
    """An interpreter whose runners may be called from several threads."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._lock = threading.Lock()

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        runner = super().get_signature_runner(signature_key)
        return _SharedRunner(self, runner._signature_key, self._lock)


class _SharedRunner(SignatureRunner):
    """A runner that runs one call at a time.

    An interpreter has one memory for all of them: two calls at once end the process.
    """

    def __init__(self, interpreter: Interpreter, key: str, lock: threading.Lock) -> None:
        super().__init__(interpreter, key)
        self._lock = lock

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        with self._lock:
            return super().__call__(**inputs)


def interpreter(model: bytes | str, threads: int | None = None) -> Interpreter:
    """Makes the interpreter of a LiteRT model; it knows tensorflow-text's operations.

    Its signature runners may be shared between threads, which then wait for each other; all else
    of it is for one thread. Threads that are to run at the same time have an interpreter each.

    Args:
        model: a file's name or its content.
        threads: the number of threads that it uses; LiteRT's choice by default.
    """
    name = "model_content" if isinstance(model, bytes) else "model_path"
    arguments: dict[str, Any] = {name: model}
    operations = tf_text.tflite_registrar.SELECT_TFTEXT_OPS
    # LiteRT tells of its delegate for the CPU when tensors are allocated for the first time.
    with quiet_standard_error():
        made = _SharedInterpreter(
            custom_op_registerers=operations, num_threads=threads, **arguments
        )
        made.allocate_tensors()
    return made


def translate(
    model: bytes | str, sources: Sequence[Sequence[int]], special: SpecialIds = SPECIAL
) -> list[list[int]]:
    """Translates ids with a LiteRT model, one sentence at a time; empty ones to empty ones.

    An application does the same between its tokenizer's two calls; this is an example of it.

    Args:
        model: a file's name or its content.
        sources: ids without end symbols.
        special: the ids of the special pieces.

    Returns:
        The ids of each translation, without end symbols.
    """
    runner = interpreter(model).get_signature_runner(SIGNATURE)
    found = []
    for source in sources:
        ids = []
        if source:
            row = np.array([[*source, special.end]], np.int32)
            ids = runner(source=row)["ids"][0].tolist()
        found.append([i for i in ids if i not in (special.pad, special.end)])
    return found


def translate_text(model: bytes | str, texts: Sequence[str]) -> list[str]:
    """Translates text with a LiteRT model that was converted with `--text`.

    A text of which only the beginning is translated is named by a `UserWarning`.

    Args:
        model: a file's name or its content.
        texts: the texts, which are translated one at a time.
    """
    runner = interpreter(model).get_signature_runner(SIGNATURE)
    found = []
    for index, text in enumerate(texts):
        encoded = text.encode()
        cut = cut_text(encoded)
        answer = runner(text=np.array([cut], object))

        # A model that was converted by an earlier version does not say so.
        truncated = bool(answer.get("truncated", [False])[0])
        if truncated or len(cut) < len(encoded):
            message = f"texts[{index}] is too long: only its beginning was translated"
            warnings.warn(message, stacklevel=2)
        found.append(answer["translation"][0].decode())
    return found


class Request(NamedTuple):
    """One sentence for a model."""

    source: np.ndarray  # ids `[1, S]` or a text `[1]`
    signature: str = SIGNATURE


class Comparison(NamedTuple):
    """The translations of two models of the same weights."""

    equal: int  # translations that are the same
    translations: list[Any]  # LiteRT's best ones: ids `[T]`, or the bytes of a text


def compare(model: bytes, folder: str, requests: Sequence[Request], exact: bool) -> Comparison:
    """Translates with a LiteRT model and with the SavedModel that it was made from.

    Args:
        model: the LiteRT model.
        folder: the SavedModel's folder.
        requests: what each is asked for.
        exact: scores are to be equal, too.

    Raises:
        ValueError: the model is to be exact, and scores differ by more than a float32 rounding
            explains.
    """
    converted = interpreter(model)
    loaded = tf.saved_model.load(folder).signatures

    equal = 0
    found = []
    for request in requests:
        function = loaded[request.signature]
        (name,) = function.structured_input_signature[1]
        here = converted.get_signature_runner(request.signature)(**{name: request.source})
        outputs = function(**{name: tf.constant(request.source)})
        there = {key: x.numpy() for key, x in outputs.items()}

        score = "score" if "score" in here else "scores"
        if exact and not _close(here[score], there[score]):
            fault = f"LiteRT and the SavedModel differ on {request.source}"
            raise ValueError(f"{fault}: {here} and {there}.")

        output = "ids" if "ids" in here else "translation"
        equal += np.array_equal(here[output], there[output])
        found.append(_best(here[output]))
    return Comparison(equal, found)


def _best(translations: np.ndarray) -> Any:
    """The first of one sentence's translations, ids `[T]` or bytes."""
    best = translations[0]
    return best[0] if getattr(best, "ndim", 0) == 2 else best


def _close(here: np.ndarray, there: np.ndarray) -> bool:
    """Scores differ by no more than roundings; a score that is no number does."""
    expected = there.astype(float)
    difference = np.abs(here.astype(float) - expected)
    return bool(np.all(difference <= TOLERANCE * np.maximum(1, np.abs(expected))))
