"""Target tokens per second over logical devices of a processor: the command `scaling`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.config import ModelConfig
from attention_nmt.drawing.plots import plain_figure, save_measured

from ..devices import DeviceConfig
from ..presets import TrainConfig
from ..timing import median_seconds
from .streams import synthetic_stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEVICES = (1, 2, 4)

ROWS = 64
LENGTH = 20


@dataclass(frozen=True, kw_only=True)
class ScalingConfig:
    """Measures training over 1, 2 and 4 logical devices: `scaling.png` and `scaling.json`.

    They share the cores of one processor, so this shows the cost of sharing a batch and not the
    gain of more devices.

    Attributes:
        output: the folder of scaling.png and scaling.json.
        point: the number of devices to measure alone; its figures are printed as JSON.

    Raises:
        ValueError: there is nothing to do, or there are no devices.
    """

    output: Path | None = None
    point: int | None = None

    def __post_init__(self) -> None:
        given = self.output is not None or self.point is not None
        require(given, "output", "given, or else a point", self.output)
        require(self.point is None or self.point >= 1, "point", "at least 1", self.point)


def measure(devices: int) -> dict[str, Any]:
    """One point, in a process of its own.

    The model has the sizes of `benchmark`'s and no dropout; the batch is 64 pairs of 20 pieces.

    Returns:
        `devices`, the `ms` of a step and the `tokens_per_s`.
    """
    from ..build import build
    from ..strategy import ReplicatedStep, open_strategy

    config = ModelConfig()
    training = TrainConfig(
        model=config, devices=DeviceConfig(distribute="mirrored", devices=devices)
    )
    opened = open_strategy(training.devices)
    with opened.scope():
        model = build(training, config.source_vocabulary_size, config.target_vocabulary_size)
    step = ReplicatedStep(model, opened)
    (batch,) = synthetic_stream(config, ROWS, LENGTH)(1)

    seconds = median_seconds(lambda: [float(total) for total in step(batch)])
    return {"devices": devices, "ms": 1e3 * seconds, "tokens_per_s": ROWS * LENGTH / seconds}


def figure(points: Sequence[dict[str, Any]]) -> Figure:
    """Target tokens per second by the number of devices."""
    drawn = plain_figure(5, 4)
    axes = drawn.subplots()
    counts = [point["devices"] for point in points]
    axes.plot(counts, [point["tokens_per_s"] for point in points], "o-")
    axes.set_xticks(counts)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="logical devices of one processor", ylabel="target tokens per second")
    axes.grid(alpha=0.3)
    return drawn


def run(config: ScalingConfig) -> None:
    """Measures one point, or all of them, each in a process of its own."""
    if config.point is not None:
        print(json.dumps(measure(config.point)))
        return

    assert config.output is not None  # the config makes sure of it
    points = []
    for devices in DEVICES:
        command = [sys.executable, "-m", f"{__package__}.scaling", "--point", str(devices)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        points.append(json.loads(done.stdout.splitlines()[-1]))
        print(points[-1], flush=True)
    save_measured(config.output / "scaling", points, figure(points))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        ScalingConfig, run, arguments, prog="attention-nmt scaling", imports=["tensorflow"]
    )


if __name__ == "__main__":
    sys.exit(main())
