"""Target tokens per second of a training step: the command `benchmark`.

Without a dataset the batches are random ids of one shape; then Keras and a backend are all that is
needed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NamedTuple

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import BatchConfig, ModelConfig

from ..presets import PRESETS, TrainConfig
from .bound import check_known
from .streams import Stream, corpus_stream, synthetic_stream

SYNTHETIC_LENGTH = 20
"""Pieces of a sentence of random ids, if no length is given."""


class Size(NamedTuple):
    """A model and batches to measure."""

    model: ModelConfig
    batches: BatchConfig


_SIZES = {
    "default": Size(
        model=ModelConfig(embedding_dropout=0.3, annotation_dropout=0.3, readout_dropout=0.3),
        batches=BatchConfig(maximum_length=60, buckets=12),
    ),
    "paper": Size(
        model=ModelConfig(
            source_vocabulary_size=30_000,
            target_vocabulary_size=30_000,
            embedding_size=620,
            encoder_units=1000,
            decoder_units=1000,
            attention_units=1000,
            readout_units=500,
            embedding_dropout=0.3,
            annotation_dropout=0.3,
            readout_dropout=0.3,
        ),
        batches=BatchConfig(batch_size=80, maximum_length=60, buckets=12),
    ),
}
"""Those of `ModelConfig` (E 256, encoder 2 x 256, H 512, A 512, V 4,000), and those of the paper's
appendix B."""

SIZES = (*_SIZES, *PRESETS)
"""The names of models and batches."""


def size_of(name: str) -> Size:
    """The model and the batches of a name, of a preset those that it trains.

    Raises:
        ValueError: there are none of that name.
    """
    require(name in SIZES, "size", f"one of {SIZES}", name)
    if name in _SIZES:
        return _SIZES[name]

    preset = PRESETS[name]()
    pieces = preset.vocabulary_size
    model = replace(preset.model, source_vocabulary_size=pieces, target_vocabulary_size=pieces)
    return Size(model=model, batches=preset.batches)


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Times training steps; prints a table, then the same as one line of JSON.

    Attributes:
        dataset: a TFDS name or a folder of `LANG.SPLIT.txt` files; random ids without it.
        source: the language to translate from, as the dataset calls it.
        target: the language to translate to.
        data_dir: where TFDS keeps prepared datasets.
        length: pieces of a sentence of random ids; 20 without it.
        size: the model and the batches to begin with, which other flags change: `default`, `paper`,
            or those of a preset.
        steps: the number of steps that are timed, after every shape is compiled.
        pipeline: time the batches alone, without a model.
        dtype_policy: Keras' name of one, such as `mixed_bfloat16`.
        jit_compile: compile steps by XLA; on JAX they always are.
        model: the model.
        batches: the way from pairs to batches.

    Raises:
        ValueError: no step, a setting that would change nothing, or a pretrained encoder.
    """

    dataset: str | None = None
    source: str = "en"
    target: str = "fr"
    data_dir: str | None = None
    length: int | None = None
    size: str = "default"
    steps: int = 100
    pipeline: bool = False
    dtype_policy: str = "float32"
    jit_compile: bool = True
    model: Annotated[ModelConfig, NO_PREFIX] = field(default=_SIZES["default"].model)
    batches: Annotated[BatchConfig, NO_PREFIX] = field(default=_SIZES["default"].batches)

    def __post_init__(self) -> None:
        require(self.steps >= 1, "steps", "at least 1", self.steps)
        check_known(self.model)
        size = size_of(self.size)
        if self.dataset is None:
            unused = sorted(_changes(size.batches, self.batches) - {"batch_size"})
            expected = f"given with {unused}, which are of real batches"
            require(not unused, "dataset", expected, None)
            return

        require(self.length is None, "length", "left out with a dataset", self.length)
        common = self.model.source_vocabulary_size
        given = self.model.target_vocabulary_size
        expected = f"that of the source, {common}: one for both"
        allowed = (size.model.target_vocabulary_size, common)
        require(given in allowed, "target_vocabulary_size", expected, given)


def _changes(before: BatchConfig, after: BatchConfig) -> set[str]:
    """The names of the fields that differ."""
    names = [one.name for one in dataclasses.fields(before)]
    return {name for name in names if getattr(before, name) != getattr(after, name)}


def run(config: BenchmarkConfig) -> None:
    """Measures, and prints a table, then the same as one line of JSON."""
    report = measured(config)
    for name, value in report.items():
        print(f"{name:<24} {value:,.2f}" if isinstance(value, float) else f"{name:<24} {value}")
    print(json.dumps(report))


def measured(config: BenchmarkConfig) -> dict[str, Any]:
    """The report of the model and the batches that a config asks for.

    Raises:
        ValueError: a setting would change nothing, or the data is at fault.
    """
    import keras

    from ..build import build
    from .speed import measure, measure_pipeline

    sizes = config.model
    if config.dataset is not None:
        sizes = replace(sizes, target_vocabulary_size=sizes.source_vocabulary_size)
    stream = _stream(config)
    if config.pipeline:
        return measure_pipeline(stream, config.steps)

    training = TrainConfig(
        model=sizes, jit_compile=config.jit_compile, dtype_policy=config.dtype_policy
    )
    model = build(training, sizes.source_vocabulary_size, sizes.target_vocabulary_size)
    return {
        **measure(model, sizes, stream, config.steps),
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "devices": keras.distribution.list_devices(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "dtype_policy": config.dtype_policy,
        "jit_compile": config.jit_compile,
    }


def _stream(config: BenchmarkConfig) -> Stream:
    if config.dataset is None:
        length = SYNTHETIC_LENGTH if config.length is None else config.length
        return synthetic_stream(config.model, config.batches.batch_size, length)

    from ..data import Corpus

    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    return corpus_stream(corpus, config.model.source_vocabulary_size, config.batches)


def size_config(arguments: Sequence[str] | None) -> BenchmarkConfig:
    """The values of flags that are not given: those of the size of a command line."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--size", default="default")
    name = parser.parse_known_args(arguments)[0].size
    size = size_of(name)
    return BenchmarkConfig(size=name, model=size.model, batches=size.batches)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        BenchmarkConfig,
        run,
        arguments,
        prog="attention-nmt benchmark",
        default=lambda: size_config(arguments),
        imports=["keras"],
    )


if __name__ == "__main__":
    sys.exit(main())
