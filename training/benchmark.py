"""`python -m training.benchmark --dataset D --source en --target de`: target tokens per second of a training step."""

from __future__ import annotations

import itertools
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tyro

from attention_nmt.batching import BatchConfig, TrainingBatches
from attention_nmt.config import ModelConfig, require
from attention_nmt.model import Seq2Seq
from attention_nmt.tokenizer import Tokenizer
from training.bound import step_seconds
from training.data import Corpus, iterate_texts
from training.presets import TrainConfig
from training.train import build

DROPOUT = dict.fromkeys(("embedding_dropout", "annotation_dropout", "readout_dropout"), 0.3)


@dataclass(frozen=True)
class BenchmarkConfig:
    """What to measure; the defaults are E 256, encoder 2 x 256, H 512, A 512, V 4000, batches of 64.

    Attributes:
        dataset, source, target, data_dir: see `training.train`.
        model, batches: sizes; vocabularies are trained to `model.source_vocabulary_size`.
        steps: steps that are timed, after every shape has been compiled.
        jit_compile: compile steps with XLA.
    """

    dataset: str = "grammar_en_fr"
    source: str = "en"
    target: str = "fr"
    data_dir: str | None = None
    model: ModelConfig = field(default_factory=lambda: ModelConfig(**DROPOUT))  # type: ignore[arg-type]
    batches: BatchConfig = field(default_factory=lambda: BatchConfig(maximum_length=60))
    steps: int = 100
    jit_compile: bool = True

    def __post_init__(self) -> None:
        require(self.steps >= 1, "steps", "at least 1", self.steps)


def measure(model: Seq2Seq, batches: TrainingBatches, steps: int, jit_compile: bool) -> dict[str, Any]:
    """Times steps on batches of the first epoch, in their order, while the pipeline makes them; without callbacks.

    Args:
        jit_compile: whether the model's steps are compiled, for the bound to be measured alike.

    Returns:
        Target tokens (padding not counted) per second, the share of the time that the matrix products of the steps
        alone would take, the most memory, milliseconds a step, seconds and number of compilations, and the share of
        target positions that is padding.
    """
    by_shape = {batch[1].shape + batch[0]["source"].shape: batch for batch in _stream(batches, steps + 1)}
    began = time.perf_counter()
    for batch in by_shape.values():
        model.train_on_batch(*batch)
    compiling = time.perf_counter() - began
    times, shapes, tokens, positions = [], list[tuple[int, int, int]](), 0.0, 0
    for inputs, labels, weights in _stream(batches, steps + 1):
        model.train_on_batch(inputs, labels, weights)
        times.append(time.perf_counter())
        # The clock starts when the first step ends: the pipeline is running then.
        if len(times) > 1:
            tokens, positions = tokens + float(np.sum(weights)), positions + labels.size
            shapes.append((len(labels), inputs["source"].shape[1], labels.shape[1]))
    elapsed, peak = times[-1] - times[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bounds = {shape: step_seconds(model.config, shape, jit_compile) for shape in set(shapes)}
    return {
        "target_tokens_per_s": tokens / elapsed,
        "share_of_product_bound": sum(bounds[shape] for shape in shapes) / elapsed,
        "peak_memory_mb": peak / 1024,
        "ms_per_step": 1e3 * statistics.median(np.diff(times).tolist()),
        "compile_s": compiling,
        "shapes": len(by_shape),
        "target_padding": 1 - tokens / positions,
    }


def _stream(batches: TrainingBatches, count: int) -> Iterator[tuple]:
    """The first `count` batches of the first epoch, begun again where it ends."""
    epochs = itertools.chain.from_iterable(batches.epoch(0).as_numpy_iterator() for _ in itertools.count())
    return itertools.islice(epochs, count)


def run(config: BenchmarkConfig) -> dict[str, Any]:
    """Builds the model of a config and measures it."""
    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    pairs = corpus.pairs("train")
    texts = itertools.chain.from_iterable(iterate_texts(pairs, side) for side in (0, 1))
    size = config.model.source_vocabulary_size
    tokenizer = Tokenizer.train(texts, size)
    batches = TrainingBatches(pairs, tokenizer, tokenizer, config.batches)
    model = build(TrainConfig(model=config.model, jit_compile=config.jit_compile), size, size)
    report = measure(model, batches, config.steps, config.jit_compile)
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "keras": keras.__version__}
    return {**report, **machine, "jit_compile": config.jit_compile}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: a table, then the same as one line of JSON."""
    config = tyro.cli(
        BenchmarkConfig,
        prog="training.benchmark",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff),
    )
    try:
        report = run(config)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in report.items():
        print(f"{name:<20} {value:,.2f}" if isinstance(value, float) else f"{name:<20} {value}")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
