"""`python -m training.studies.growth --output DIR`: time and memory of a step and of a
translation, by length and by batch."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from matplotlib.figure import Figure

from attention_nmt.config import ModelConfig, SearchConfig
from attention_nmt.search.model_search import search_model

from ..alignment.plots import plain_figure, save_measured
from ..build import build
from ..presets import TrainConfig
from .benchmark import synthetic_stream
from .memory import resident_mb

LENGTHS, BATCHES = (10, 25, 50, 100, 200), (1, 4, 16, 64, 256)
LENGTH, BATCH = 25, 64
"""Pieces of both sides where the batch varies, and sentences where the length varies."""

KINDS = ("step", "translation")

READINGS = 5


def measure(kind: str, batch: int, length: int) -> dict[str, Any]:
    """One point; to be called in a process of its own, whose highest memory is read.

    The sizes of `training.studies.benchmark`'s model, without dropout, with random weights; its
    translations (beam 5) go on to the limit, one piece more than the source has.

    Returns:
        `kind`, `batch`, `length`, the `ms` of a call, and the `mb` that the first calls take over
        what the process holds before them, with what makes and compiles the graph.
    """
    model = build(TrainConfig(model=ModelConfig()), 4000, 4000)
    inputs, labels, weights = next(synthetic_stream(model.config, batch, length)(1))
    search = SearchConfig(maximum_length_ratio=1.0, maximum_length_extra=1)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)
    def translate(source: tf.Tensor) -> tf.Tensor:
        return search_model(model, source, search, alignments=False).ids

    calls: dict[str, Callable[[], object]] = {
        "step": lambda: model.train_on_batch(inputs, labels, weights),
        "translation": lambda: translate(inputs["source"]).numpy(),
    }
    before, times = resident_mb(), []
    for _ in range(READINGS + 1):  # the first makes the graph
        began = time.perf_counter()
        calls[kind]()
        times.append(time.perf_counter() - began)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ms = 1e3 * statistics.median(times[1:])
    return {"kind": kind, "batch": batch, "length": length, "ms": ms, "mb": most - before}


def figure(points: Sequence[dict[str, Any]]) -> Figure:
    """Four plots: time and memory, by length and by batch; both axes logarithmic, so that a slope
    is a power."""
    drawn = plain_figure(9, 7)
    axes = drawn.subplots(2, 2)
    for column, (along, fixed, value) in enumerate(
        (("length", "batch", BATCH), ("batch", "length", LENGTH))
    ):
        chosen = sorted((p for p in points if p[fixed] == value), key=lambda p: p[along])
        for row, (unit, label) in enumerate((("ms", "time [ms]"), ("mb", "memory [MB]"))):
            axis = axes[row][column]
            for kind in KINDS:
                of_kind = [p for p in chosen if p["kind"] == kind]
                axis.loglog(
                    [p[along] for p in of_kind], [p[unit] for p in of_kind], "o-", label=kind
                )
            axis.set(xlabel=f"{along} ({fixed} {value})", ylabel=label)
            ticks = sorted({p[along] for p in chosen})
            axis.set_xticks(ticks, map(str, ticks), minor=False)
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    axes[0][0].legend()
    return drawn


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `growth.png` and `growth.json` in a folder; with a point, its figures as
    JSON."""
    parser = argparse.ArgumentParser(prog="training.studies.growth", description=__doc__)
    parser.add_argument("--output", type=Path, help="the folder of growth.png and growth.json")
    parser.add_argument(
        "--point",
        nargs=3,
        metavar=("KIND", "BATCH", "LENGTH"),
        help="measure one point, print JSON",
    )
    options = parser.parse_args(arguments)
    if options.point:
        kind, batch, length = options.point
        print(json.dumps(measure(kind, int(batch), int(length))))
        return 0
    if options.output is None:
        parser.error("one of --output and --point must be given")
    points = []
    places = dict.fromkeys([*((BATCH, n) for n in LENGTHS), *((n, LENGTH) for n in BATCHES)])
    for kind, (batch, length) in itertools.product(KINDS, places):
        command = [
            sys.executable,
            "-m",
            "training.studies.growth",
            "--point",
            kind,
            str(batch),
            str(length),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        points.append(json.loads(done.stdout.splitlines()[-1]))
        print(points[-1], flush=True)
    save_measured(options.output / "growth", points, figure(points))
    return 0


if __name__ == "__main__":
    sys.exit(main())
