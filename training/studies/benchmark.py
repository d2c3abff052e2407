"""`python -m training.studies.benchmark --dataset D --source en --target de`: target tokens per
second of a training step.

Without `--dataset` the batches are random ids of one shape; then Keras, a backend and NumPy are
all that is needed.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from attention_nmt.checks import require
from attention_nmt.config import END, START, BatchConfig, ModelConfig
from attention_nmt.models.seq2seq import Seq2Seq

from ..build import build
from ..presets import TrainConfig
from .bound import step_seconds
from .memory import resident_mb

Stream: TypeAlias = Callable[[int], Iterator[tuple]]
"""The first so many batches, the same ones at every call."""

DROPOUT: dict[str, Any] = dict.fromkeys(
    ("embedding_dropout", "annotation_dropout", "readout_dropout"), 0.3
)
SIZES = {
    "default": (ModelConfig(**DROPOUT), BatchConfig(maximum_length=60, buckets=12)),
    "paper": (
        ModelConfig(
            30_000, 30_000, 620, 1000, 1000, attention_units=1000, readout_units=500, **DROPOUT
        ),
        BatchConfig(batch_size=80, maximum_length=60, buckets=12),
    ),
}
"""The models and batches to measure: E 256, encoder 2 x 256, H 512, A 512, V 4,000; those of the
paper's appendix B."""


def measure(model: Seq2Seq, stream: Stream, steps: int) -> dict[str, Any]:
    """Times steps on batches, in their order, while the pipeline makes them; without callbacks.

    Returns:
        Target tokens (padding not counted) per second, the share of the time that the matrix
        products of the steps alone would take, the most memory, milliseconds a step, seconds and
        number of compilations, and the shares of target positions and of all positions that are
        padding.
    """
    by_shape = {batch[1].shape + batch[0]["source"].shape: batch for batch in stream(steps + 1)}
    began = time.perf_counter()
    for batch in by_shape.values():
        model.train_on_batch(*batch)
    compiling = time.perf_counter() - began
    times, shapes, tokens, words = [], list[tuple[int, int, int]](), 0.0, 0.0
    for inputs, labels, weights in stream(steps + 1):
        model.train_on_batch(inputs, labels, weights)
        times.append(time.perf_counter())
        # The clock starts when the first step ends: the pipeline is running then.
        if len(times) > 1:
            tokens, words = (
                tokens + float(np.sum(weights)),
                words + np.count_nonzero(inputs["source"]),
            )
            shapes.append((len(labels), inputs["source"].shape[1], labels.shape[1]))
    elapsed, peak = times[-1] - times[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bounds = {
        shape: step_seconds(model.config, shape, model.compute_dtype, model.jit_compile)
        for shape in set(shapes)
    }
    return {
        "target_tokens_per_s": tokens / elapsed,
        "share_of_product_bound": sum(bounds[shape] for shape in shapes) / elapsed,
        "peak_memory_mb": peak / 1024,
        "ms_per_step": 1e3 * statistics.median(np.diff(times).tolist()),
        "compile_s": compiling,
        "shapes": len(by_shape),
        "target_padding": 1 - tokens / sum(b * t for b, _, t in shapes),
        "padding": 1 - (tokens + words) / sum(b * (s + t) for b, s, t in shapes),
    }


def measure_pipeline(stream: Stream, steps: int) -> dict[str, Any]:
    """Times the batches alone, without a model.

    Returns:
        Target tokens per second, and what the process holds after a tenth of the batches and after
        all.
    """
    tokens, early, batches = 0.0, 0.0, stream(steps + 1)
    next(batches)
    began = time.perf_counter()
    for number, (_, _, weights) in enumerate(batches, 1):
        tokens += float(np.sum(weights))
        if number == max(1, steps // 10):
            early = resident_mb()
    elapsed = time.perf_counter() - began
    memory = {"memory_mb_after_a_tenth": early, "memory_mb_at_the_end": resident_mb()}
    return {"pipeline_target_tokens_per_s": tokens / elapsed, **memory}


def corpus_stream(options: argparse.Namespace, size: int, config: BatchConfig) -> Stream:
    """The batches of a corpus' first epoch, begun again where it ends, by vocabularies of `size`
    trained on it."""
    from attention_nmt.data.batches import TrainingBatches
    from attention_nmt.data.tokenizer import Tokenizer

    from ..data import Corpus, iterate_texts

    pairs = Corpus(options.dataset, options.source, options.target, options.data_dir).pairs("train")
    tokenizer = Tokenizer.train(iterate_texts(pairs), size)
    batches = TrainingBatches(pairs, tokenizer, tokenizer, config)

    def stream(count: int) -> Iterator[tuple]:
        epochs = itertools.chain.from_iterable(
            batches.epoch(0).as_numpy_iterator() for _ in itertools.count()
        )
        return itertools.islice(epochs, count)

    return stream


def synthetic_stream(model: ModelConfig, rows: int, length: int) -> Stream:
    """One batch of `rows` pairs of random ids again and again, both sides `length` pieces long,
    without padding."""
    random = np.random.default_rng(0)
    source = random.integers(END + 1, model.source_vocabulary_size, (rows, length), np.int32)
    labels = random.integers(END + 1, model.target_vocabulary_size, (rows, length), np.int32)
    target = np.concatenate([np.full((rows, 1), START, np.int32), labels[:, :-1]], axis=1)
    batch = ({"source": source, "target": target}, labels, np.ones((rows, length), np.float32))
    return lambda count: itertools.repeat(batch, count)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Builds the model and the batches that the command line asks for, and measures them."""
    require(options.steps >= 1, "steps", "at least 1", options.steps)
    sizes, batching = SIZES[options.size]
    sizes, batching = _override(sizes, options), _override(batching, options)
    if options.dataset is None:
        fields = {field.name for field in dataclasses.fields(BatchConfig)} - {"batch_size"}
        unused = sorted(name for name in fields if getattr(options, name, None) is not None)
        require(not unused, "dataset", f"given with {unused}, which are of real batches", None)
        stream = synthetic_stream(
            sizes, batching.batch_size, 20 if options.length is None else options.length
        )
    else:
        require(options.length is None, "length", "left out with a dataset", options.length)
        size = sizes.source_vocabulary_size
        given = options.target_vocabulary_size
        require(
            given in (None, size),
            "target_vocabulary_size",
            f"that of the source, {size}: one for both",
            given,
        )
        sizes = dataclasses.replace(sizes, target_vocabulary_size=size)
        stream = corpus_stream(options, size, batching)
    if options.pipeline:
        return measure_pipeline(stream, options.steps)
    config = TrainConfig(
        model=sizes, jit_compile=options.jit_compile, dtype_policy=options.dtype_policy
    )
    report = measure(
        build(config, sizes.source_vocabulary_size, sizes.target_vocabulary_size),
        stream,
        options.steps,
    )
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "devices": keras.distribution.list_devices(),
    }
    setting = {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "dtype_policy": options.dtype_policy,
    }
    return {**report, **machine, **setting, "jit_compile": options.jit_compile}


def _override(config: Any, options: argparse.Namespace) -> Any:
    """A config with the fields that the command line gives."""
    given = {f.name: getattr(options, f.name, None) for f in dataclasses.fields(config)}
    return dataclasses.replace(
        config, **{name: value for name, value in given.items() if value is not None}
    )


def parser() -> argparse.ArgumentParser:
    """The command line; not by a library, so that a machine with a GPU needs nothing more than
    Keras and JAX."""
    made = argparse.ArgumentParser(prog="training.studies.benchmark", description=__doc__)
    made.add_argument("--dataset", help="see training.train; random ids if it is not given")
    made.add_argument("--source", default="en")
    made.add_argument("--target", default="fr")
    made.add_argument("--data-dir")
    made.add_argument("--length", type=int, help="pieces of a sentence of random ids (default: 20)")
    made.add_argument("--size", choices=SIZES, default="default")
    made.add_argument(
        "--steps", type=int, default=100, help="steps that are timed, after every shape is compiled"
    )
    made.add_argument(
        "--pipeline", action="store_true", help="time the batches alone, without a model"
    )
    made.add_argument("--dtype-policy", default="float32")
    made.add_argument("--jit-compile", action=argparse.BooleanOptionalAction, default=True)
    for field in (*dataclasses.fields(ModelConfig), *dataclasses.fields(BatchConfig)):
        if field.type == "int":
            made.add_argument(f"--{field.name.replace('_', '-')}", type=int)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: a table, then the same as one line of JSON."""
    try:
        report = run(parser().parse_args(arguments))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in report.items():
        print(f"{name:<24} {value:,.2f}" if isinstance(value, float) else f"{name:<24} {value}")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
