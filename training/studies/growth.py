"""Time and memory of a step and of a translation, by length and by batch: the command `growth`."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import WORD_PRODUCTS_BYTES, ModelConfig, SearchConfig
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
        model: the model; the sizes without flags are those of `benchmark`, without dropout.
    """

    output: Path
    model: Annotated[ModelConfig, NO_PREFIX] = field(default_factory=ModelConfig)


def measure(config: ModelConfig, kind: str, batch: int, length: int) -> dict[str, Any]:
    """One point; to be called in a process of its own, whose highest memory is read.

    The model has random weights; its translations (beam 5) go on to the limit, one piece more than
    the source has.

    Args:
        config: of the model.
        kind: one of `KINDS`.
        batch: sentences in the batch.
        length: pieces of both sides.

    Returns:
        `kind`, `batch`, `length`, the `ms` of a call, and the `mb` that the first calls take over
        what the process holds before them, with what makes and compiles the graph.
    """
    import tensorflow as tf

    from attention_nmt.search.loop import LoopOptions
    from attention_nmt.search.search import search_model

    from ..build import build

    training = TrainConfig(model=config)
    model = build(training, config.source_vocabulary_size, config.target_vocabulary_size)
    inputs, labels, weights = next(synthetic_stream(config, batch, length)(1))
    search = SearchConfig(maximum_length_ratio=1.0, maximum_length_extra=1)
    loop = LoopOptions(changing_shapes=True)
    laid_out = model.search_weights(WORD_PRODUCTS_BYTES)  # as in an export

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)
    def translate(source: tf.Tensor) -> tf.Tensor:
        return search_model(
            model, source, search, weights=laid_out, alignments=False, loop=loop
        ).ids

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
    """Measures all points, each in a process of its own, and draws what there is."""
    lengths = [(BATCH, length) for length in LENGTHS]
    batches = [(batch, LENGTH) for batch in BATCHES]
    places = dict.fromkeys([*lengths, *batches])  # one place is on both lines

    points = []
    for kind, (batch, length) in itertools.product(KINDS, places):
        points.append(measure_apart(config.model, kind, batch, length))
        print(points[-1], flush=True)
        save_measured(config.output / "growth", points, figure(points))


def measure_apart(config: ModelConfig, kind: str, batch: int, length: int) -> dict[str, Any]:
    """One point, measured in a process of its own; see `measure`.

    Raises:
        OSError: the process was killed, as for its memory.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, config, kind, batch, length).result()
        except BrokenProcessPool as error:
            what = f"the {kind} of {batch} sentences of {length} pieces"
            raise OSError(f"{what} was not measured: its process was killed") from error


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
