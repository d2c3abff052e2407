"""`python -m serving.benchmark --run-dir RUN --input FILE`: throughput and latency of a run, on
every runtime."""

from __future__ import annotations

import functools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tyro

from attention_nmt.checks import require
from attention_nmt.config import END
from attention_nmt.translation.translator import Translator

from . import tflite
from .client import Client
from .export import export
from .process import local_server
from .servable import Servable

WARM_UP = 5
"""Calls before the clock starts: buffers grow and code is loaded in the first ones."""

LITERT = {
    "float32": ("none", False),
    "float16": ("float16", False),
    "int8": ("int8", False),
    "text": ("none", True),
}
"""The LiteRT models whose latency is measured: how they are quantized, and whether they go from
text to text."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """What to measure.

    Attributes:
        run_dir: a trained run folder.
        input: source sentences, one a line.
        beam_sizes: searches to measure.
        batch_size: sentences that are translated together where throughput is measured.
        words: the length of the sentences whose latency is measured, in words.
        requests: how many of them, one after another.
        readings: how often the file is translated.
    """

    run_dir: Path
    input: Path
    beam_sizes: tuple[int, ...] = (1, 5)
    batch_size: int = 64
    words: int = 15
    requests: int = 100
    readings: int = 3

    def __post_init__(self) -> None:
        for name in ("batch_size", "words", "requests", "readings"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))


def throughput(translator: Translator, texts: Sequence[str], readings: int) -> dict[str, Any]:
    """Sentences and output pieces a second, end symbols counted: the median of several readings,
    and all of them."""
    translator(texts[: translator.batch_size], alignments=False)
    speeds, pieces = [], 0
    for _ in range(readings):
        began = time.perf_counter()
        translations = translator(texts, alignments=False)
        speeds.append(len(texts) / (time.perf_counter() - began))
        pieces = sum(len(t.target_tokens) for t in translations)
    speed = statistics.median(speeds)
    return {
        "sentences_per_s": speed,
        "pieces_per_s": speed * pieces / len(texts),
        "readings": speeds,
    }


def latency(call: Callable[[Any], Any], requests: Sequence[Any]) -> dict[str, float]:
    """Milliseconds of single calls, one after another."""
    for request in requests[:WARM_UP]:
        call(request)
    times = []
    for request in requests:
        began = time.perf_counter()
        call(request)
        times.append(1e3 * (time.perf_counter() - began))
    return {"p50_ms": float(np.percentile(times, 50)), "p99_ms": float(np.percentile(times, 99))}


def latencies(translator: Translator, texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """The latency of each text alone: in process and through the local server."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        version = export(translator, Path(folder) / "nmt")
        servable = Servable("nmt", 1, version)
        protos = [{"text": tf.make_tensor_proto([text.encode()], tf.string)} for text in texts]
        found["in process"] = latency(servable.predict, protos)
        servable.close()
        with local_server(version.parent) as server, Client(server.address) as client:
            found["gRPC"] = latency(client.translate, [[text] for text in texts])
    return found


def litert_latencies(translator: Translator, texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """The latency of each text alone in LiteRT: from ids to ids for each quantization, and from
    text to text."""
    found = {}
    sources = [
        {"source": np.array([[*ids, END]], np.int32)}
        for ids in translator.source_tokenizer.encode(texts)
    ]
    strings = [{"text": np.array([text.encode()])} for text in texts]
    for name, (quantize, text) in LITERT.items():
        with tempfile.TemporaryDirectory() as folder:
            (tflite.save_text_model if text else tflite.save_ids_model)(translator, folder)
            model = tflite.interpreter(tflite.convert(folder, quantize, text), os.cpu_count())
        call = functools.partial(_call, model.get_signature_runner(tflite.SIGNATURE))
        found[f"LiteRT {name}"] = latency(call, strings if text else sources)
    return found


def _call(runner: Callable[..., Any], inputs: dict[str, np.ndarray]) -> Any:
    return runner(**inputs)


def run(config: BenchmarkConfig) -> dict[str, Any]:
    """Measures everything.

    Raises:
        FileNotFoundError: the run folder is not complete.
        ValueError: no line of the input has so many words.
    """
    texts = config.input.read_text(encoding="utf-8").splitlines()
    chosen = [text for text in texts if len(text.split()) == config.words]
    require(bool(chosen), "words", f"the length of some line of {config.input}", config.words)
    requests = [chosen[i % len(chosen)] for i in range(config.requests)]
    report: dict[str, Any] = {
        "cores": os.cpu_count(),
        "sentences": len(texts),
        "tensorflow": tf.__version__,
    }
    trained = Translator.from_run(config.run_dir)
    for beam_size in config.beam_sizes:
        search = replace(trained.search, beam_size=beam_size, n_best=1)
        source, target = trained.source_tokenizer, trained.target_tokenizer
        translator = Translator(trained.model, source, search, target, batch_size=config.batch_size)
        report[f"beam {beam_size}"] = {
            "throughput": throughput(translator.frozen(), texts, config.readings),
            "latency": {
                **latencies(translator, requests),
                **litert_latencies(translator, requests),
            },
        }
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: a table, then the same as one line of JSON."""
    config = tyro.cli(BenchmarkConfig, prog="serving.benchmark", args=arguments)
    try:
        report = run(config)
    except (ValueError, OSError, RuntimeError, tf.errors.OpError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for beam_size in config.beam_sizes:
        measured = report[f"beam {beam_size}"]
        speeds = measured["throughput"]
        print(
            f"beam {beam_size}: {speeds['sentences_per_s']:.1f} sentences/s, {speeds['pieces_per_s']:.0f} pieces/s"
        )
        for place, times in measured["latency"].items():
            print(f"    {place:<16} p50 {times['p50_ms']:6.1f} ms   p99 {times['p99_ms']:6.1f} ms")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
