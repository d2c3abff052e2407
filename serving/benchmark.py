"""Times the translation of a model on every runtime: the command `serving-benchmark`."""

from __future__ import annotations

import functools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.stored import ModelChoice
from attention_nmt.text_files import read_lines

from .runtime import (
    check_backend,
    one_thread_an_operation,
    spare_what_is_loaded,
    tensorflow_runtime,
)

if TYPE_CHECKING:
    from attention_nmt.translation.translator import Translator

WARM_UP = 5
"""Calls before the clock starts: buffers grow and code is loaded in the first ones."""


class LiteRTKind(NamedTuple):
    """A LiteRT model whose latency is measured."""

    quantize: str
    text: bool  # from text to text, and not from ids to ids


LITERT = {
    "float32": LiteRTKind("none", text=False),
    "float16": LiteRTKind("float16", text=False),
    "int8": LiteRTKind("int8", text=False),
    "text": LiteRTKind("none", text=True),
}
"""The LiteRT models whose latency is measured."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(ModelChoice):
    """Measures throughput and latency of a model, on every runtime.

    Attributes:
        input: a file of source sentences, one a line.
        beam_sizes: searches to measure.
        batch_size: sentences that are translated together where throughput is measured.
        words: the length of the sentences whose latency is measured, in words.
        requests: the number of them, one after another.
        readings: the number of times that the file is translated.
        litert: measure LiteRT, too, whose models take minutes to be made.

    Raises:
        ValueError: a number below 1, no beam, or no model is given.
    """

    input: Path
    beam_sizes: tuple[int, ...] = (1, 5)
    batch_size: int = 64
    words: int = 15
    requests: int = 100
    readings: int = 3
    litert: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch_size", "words", "requests", "readings"):
            value = getattr(self, name)
            require(value >= 1, name, "at least 1", value)

        fits = len(self.beam_sizes) > 0 and min(self.beam_sizes) >= 1
        require(fits, "beam_sizes", "one or more, each at least 1", self.beam_sizes)


def throughput(translator: Translator, texts: Sequence[str], readings: int) -> dict[str, Any]:
    """Measures sentences and output pieces a second, end symbols counted.

    Returns:
        The median of several readings, and all of them.
    """
    translator(texts[: translator.batch_size], alignments=False)
    speeds = []
    pieces = 0
    for _ in range(readings):
        began = time.perf_counter()
        translations = translator(texts, alignments=False)
        speeds.append(len(texts) / (time.perf_counter() - began))
        pieces = sum(len(translation.target_tokens) for translation in translations)

    speed = statistics.median(speeds)
    return {
        "sentences_per_s": speed,
        "pieces_per_s": speed * pieces / len(texts),
        "readings": speeds,
    }


def latency(call: Callable[[Any], Any], requests: Sequence[Any]) -> dict[str, float]:
    """Measures single calls, one after another, in milliseconds."""
    for request in requests[:WARM_UP]:
        call(request)

    times = []
    for request in requests:
        began = time.perf_counter()
        call(request)
        times.append(1e3 * (time.perf_counter() - began))
    return {
        "p50_ms": float(np.percentile(times, 50)),
        "p99_ms": float(np.percentile(times, 99)),
    }


def latencies(version: Path, texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Measures the latency of each text alone: in process and through the local server.

    Args:
        version: the SavedModel of `export`.
        texts: one request each.
    """
    import tensorflow as tf

    from .client import Client
    from .process import local_server
    from .servable import Servable

    found = {}
    servable = Servable("nmt", 1, version)
    requests = [{"text": tf.make_tensor_proto([text.encode()], tf.string)} for text in texts]
    found["in process"] = latency(servable.predict, requests)
    servable.close()

    with local_server(version.parent) as server, Client(server.address) as client:
        found["gRPC"] = latency(client.translate, [[text] for text in texts])
    return found


def shares(version: Path, batches: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Measures how much of the time of each batch is in matrix products."""
    from .products import products_time

    found = {}
    for name, texts in batches.items():
        times = products_time(version, texts)
        found[name] = {
            "sentences": len(texts),
            "ms": times.whole,
            "products_ms": times.products,
            "share": times.share,
        }
    return found


def litert_latencies(translator: Translator, texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Measures the latency of each text alone in LiteRT.

    From ids to ids for each quantization, and from text to text.
    """
    from attention_nmt.data.tokenizer import Tokenizer

    from . import litert, litert_runtime
    from .litert_signatures import SIGNATURE

    limit = translator.search.maximum_source_length
    rows = translator.source_tokenizer.source_ids(texts, limit)
    sources = [{"source": np.array([ids], np.int32)} for ids in rows]
    strings = [{"text": np.array([text.encode()])} for text in texts]

    found = {}
    for name, kind in LITERT.items():
        if kind.text and not isinstance(translator.source_tokenizer, Tokenizer):
            continue  # a pretrained encoder's, whose pieces LiteRT cannot make
        save = litert.save_text_model if kind.text else litert.save_ids_model
        with tempfile.TemporaryDirectory() as folder:
            save(translator, folder)
            model = litert.convert(folder, kind.quantize, kind.text)
        interpreter = litert_runtime.interpreter(model, os.cpu_count())
        runner = interpreter.get_signature_runner(SIGNATURE)
        requests = strings if kind.text else sources
        found[f"LiteRT {name}"] = latency(functools.partial(_call, runner), requests)
    return found


def _call(runner: Callable[..., Any], inputs: dict[str, np.ndarray]) -> Any:
    return runner(**inputs)


def measure(config: BenchmarkConfig) -> dict[str, Any]:
    """Measures everything.

    Raises:
        OSError: the model's folder is not complete, or the input cannot be read.
        ValueError: no line of the input has that number of words.
        ClientError: the local server did not translate.
        RuntimeError: the export cannot be loaded.
        tf.errors.OpError: TensorFlow fails.
    """
    texts = read_lines(config.input)
    chosen = [text for text in texts if len(text.split()) == config.words]
    require(bool(chosen), "words", f"the length of some line of {config.input}", config.words)
    requests = [chosen[i % len(chosen)] for i in range(config.requests)]

    import tensorflow as tf

    from attention_nmt.translation.translator import Translator

    report: dict[str, Any] = {
        "cores": os.cpu_count(),
        "sentences": len(texts),
        "tensorflow": tf.__version__,
    }
    stored = config.open()
    search = stored.read_search()
    # All of them first: what a model refuses is said before anything is measured.
    translators = {
        beam_size: Translator.from_stored(
            stored, replace(search, beam_size=beam_size, n_best=1), config.batch_size
        )
        for beam_size in config.beam_sizes
    }
    spare_what_is_loaded()
    for beam_size, translator in translators.items():
        found = _measure_search(translator, texts, requests, config.readings)
        if config.litert:
            found["latency"] |= litert_latencies(translator, requests)
        report[f"beam {beam_size}"] = found
    return report


def _measure_search(
    translator: Translator, texts: Sequence[str], requests: Sequence[str], readings: int
) -> dict[str, dict[str, Any]]:
    """Measures one search: of all texts in batches, and of each request alone."""
    from .export import export
    from .signatures import TEXTS_AT_A_TIME

    speed = throughput(translator.frozen(), texts, readings)
    middle = sorted(texts, key=lambda text: len(text.split()))[len(texts) // 2 :]
    batches = {"batch": middle[:TEXTS_AT_A_TIME], "one sentence": requests[:1]}
    with tempfile.TemporaryDirectory() as folder:
        version = export(translator, Path(folder) / "nmt")
        return {
            "throughput": speed,
            "latency": latencies(version, requests),
            "products": shares(version, batches),
        }


def run(config: BenchmarkConfig) -> None:
    """Measures everything, and prints a table, then the same as one line of JSON.

    Raises:
        OSError: the model's folder is not complete, the input cannot be read, or a runtime fails.
        ValueError: the backend is not TensorFlow, or no line of the input has that number of words.
    """
    check_backend("serving-benchmark")
    with tensorflow_runtime(RuntimeError):
        one_thread_an_operation()
        report = measure(config)

    for beam_size in config.beam_sizes:
        measured = report[f"beam {beam_size}"]
        speeds = measured["throughput"]
        sentences = f"{speeds['sentences_per_s']:.1f} sentences/s"
        print(f"beam {beam_size}: {sentences}, {speeds['pieces_per_s']:.0f} pieces/s")
        for place, times in measured["latency"].items():
            print(f"    {place:<16} p50 {times['p50_ms']:6.1f} ms   p99 {times['p99_ms']:6.1f} ms")
        for batch, parts in measured["products"].items():
            products = f"matrix products {100 * parts['share']:.0f} % of {parts['ms']:.1f} ms"
            print(f"    {batch:<16} {products} of {parts['sentences']}, on one thread")
    print(json.dumps(report))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(BenchmarkConfig, run, arguments, prog="attention-nmt serving-benchmark")


if __name__ == "__main__":
    sys.exit(main())
