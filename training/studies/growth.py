"""Time and memory of a step and of a translation, by length and by batch: the command `growth`."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.config import ModelConfig, SearchConfig
from attention_nmt.drawing.plots import plain_figure, save_measured

from ..presets import TrainConfig
from ..timing import median_seconds
from .memory import peak_mb, resident_mb
from .streams import synthetic_stream

if TYPE_CHECKING:
    import tensorflow as tf
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LENGTHS = (10, 25, 50, 100, 200)
BATCHES = (1, 4, 16, 64, 256)

LENGTH = 25
"""Pieces of both sides where the batch varies."""

BATCH = 64
"""Sentences where the length varies."""

KINDS = ("step", "translation")


@dataclass(frozen=True, kw_only=True)
class GrowthConfig:
    """Measures how time and memory grow: `growth.png` and `growth.json` in a folder.

    Attributes:
        output: the folder of growth.png and growth.json.
        point: one point to measure instead, KIND BATCH LENGTH; its figures are printed as JSON.

    Raises:
        ValueError: there is nothing to do, or the point is none.
    """

    output: Path | None = None
    point: tuple[str, int, int] | None = None

    def __post_init__(self) -> None:
        given = self.output is not None or self.point is not None
        require(given, "output", "given, or else a point", self.output)
        if self.point is not None:
            kind, batch, length = self.point
            known = kind in KINDS and batch >= 1 and length >= 1
            require(known, "point", f"one of {KINDS}, then two numbers of at least 1", self.point)


def measure(kind: str, batch: int, length: int) -> dict[str, Any]:
    """One point; to be called in a process of its own, whose highest memory is read.

    The model has the sizes of `benchmark`'s, no dropout and random weights; its translations (beam
    5) go on to the limit, one piece more than the source has.

    Returns:
        `kind`, `batch`, `length`, the `ms` of a call, and the `mb` that the first calls take over
        what the process holds before them, with what makes and compiles the graph.
    """
    import tensorflow as tf

    from attention_nmt.search.loop import LoopOptions
    from attention_nmt.search.search import search_model

    from ..build import build

    config = ModelConfig()
    training = TrainConfig(model=config)
    model = build(training, config.source_vocabulary_size, config.target_vocabulary_size)
    inputs, labels, weights = next(synthetic_stream(config, batch, length)(1))
    search = SearchConfig(maximum_length_ratio=1.0, maximum_length_extra=1)
    loop = LoopOptions(changing_shapes=True)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)
    def translate(source: tf.Tensor) -> tf.Tensor:
        return search_model(model, source, search, alignments=False, loop=loop).ids

    calls = {
        "step": lambda: model.train_on_batch(inputs, labels, weights),
        "translation": lambda: translate(inputs["source"]).numpy(),
    }
    before = resident_mb()
    ms = 1e3 * median_seconds(calls[kind])
    mb = peak_mb() - before
    return {"kind": kind, "batch": batch, "length": length, "ms": ms, "mb": mb}


def figure(points: Sequence[dict[str, Any]]) -> Figure:
    """Four plots: time and memory, by length and by batch.

    Both axes are logarithmic, so that a slope is a power.
    """
    drawn = plain_figure(9, 7)
    axes = drawn.subplots(2, 2)
    by_length = [point for point in points if point["batch"] == BATCH]
    by_batch = [point for point in points if point["length"] == LENGTH]
    for row, (unit, label) in enumerate((("ms", "time [ms]"), ("mb", "memory [MB]"))):
        _draw(axes[row][0], by_length, "length", unit)
        axes[row][0].set(xlabel=f"length (batch {BATCH})", ylabel=label)
        _draw(axes[row][1], by_batch, "batch", unit)
        axes[row][1].set(xlabel=f"batch (length {LENGTH})", ylabel=label)
    axes[0][0].legend()
    return drawn


def _draw(axes: Axes, points: Sequence[dict[str, Any]], along: str, unit: str) -> None:
    """Draws a line for each kind."""
    for kind in KINDS:
        line = sorted((point[along], point[unit]) for point in points if point["kind"] == kind)
        values = [value for value, _ in line]
        axes.loglog(values, [height for _, height in line], "o-", label=kind)

    ticks = sorted({point[along] for point in points})
    axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def run(config: GrowthConfig) -> None:
    """Measures one point, or all of them, each in a process of its own."""
    if config.point is not None:
        print(json.dumps(measure(*config.point)))
        return

    assert config.output is not None  # the config makes sure of it
    lengths = [(BATCH, length) for length in LENGTHS]
    batches = [(batch, LENGTH) for batch in BATCHES]
    places = dict.fromkeys([*lengths, *batches])  # one place is on both lines

    points = []
    for kind, (batch, length) in itertools.product(KINDS, places):
        points.append(_measure_apart(kind, batch, length))
        print(points[-1], flush=True)
    save_measured(config.output / "growth", points, figure(points))


def _measure_apart(kind: str, batch: int, length: int) -> dict[str, Any]:
    """One point, measured in a process of its own."""
    command = [sys.executable, "-m", f"{__package__}.growth"]
    command += ["--point", kind, str(batch), str(length)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        GrowthConfig,
        run,
        arguments,
        prog="attention-nmt growth",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
