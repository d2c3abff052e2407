"""BLEU by the number of pairs that runs were trained on: the command `by-pairs`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.drawing.plots import plain_figure, save_measured
from attention_nmt.files import read_record
from attention_nmt.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Point(NamedTuple):
    """One run."""

    pairs: int
    """It was trained on."""
    bleu: float
    """Cased, of its translations of the split."""


@dataclass(frozen=True, kw_only=True)
class ByPairsConfig:
    """Compares ways to train by the number of pairs: a table and a plot of BLEU.

    Attributes:
        ways: `NAME=RUN,RUN,...` for each way, runs that `evaluate` has scored on the split.
        output: the files to write, without their endings: `.png` and `.json`.
        split: what was translated, the name of the evaluation's folder.

    Raises:
        ValueError: a way has no name or no run, or there are none or not distinct ones.
    """

    ways: tuple[str, ...]
    output: Path
    split: str = "test"

    def __post_init__(self) -> None:
        named = all(name and all(runs) for name, runs in self._parts())
        require(named and len(self.ways) > 0, "ways", "NAME=RUN,RUN,..., one or more", self.ways)
        distinct = len(self.runs()) == len(self.ways)
        require(distinct, "ways", "of different names", self.ways)

    def runs(self) -> dict[str, list[Path]]:
        """The run folders of each way by its name."""
        return {name: [Path(run) for run in runs] for name, runs in self._parts()}

    def _parts(self) -> list[tuple[str, list[str]]]:
        parts = [way.partition("=") for way in self.ways]
        return [(name, runs.split(",")) for name, _, runs in parts]


def compare(config: ByPairsConfig) -> dict[str, Any]:
    """The signature of all scores, and the points of each way, by the number of pairs.

    Raises:
        ValueError: a run's data or a record of it is at fault, or scores have other signatures.
        FileNotFoundError: a run or its evaluation is not there.
    """
    signatures = set()
    ways = {}
    for name, runs in config.runs().items():
        points = []
        for run in runs:
            bleu, signature = _score(run, config.split)
            points.append(Point(_pairs(run), bleu))
            signatures.add(signature)
        ways[name] = [point._asdict() for point in sorted(points)]

    require(len(signatures) == 1, "ways", "scored in one way", sorted(signatures))
    return {"split": config.split, "signature": signatures.pop(), "ways": ways}


def _pairs(run: Path) -> int:
    """The number of pairs of a run's training split, of all its corpora."""
    from ..folder import read_config
    from ..mixture import Mixture

    config = read_config(RunFolder(run))
    mixture = Mixture.of(config.dataset, config.source, config.target, config.data_dir)
    return sum(part.corpus.count(config.train_split) for part in mixture.parts)


def _score(run: Path, split: str) -> tuple[float, str]:
    """Cased BLEU of an evaluation, and its signature."""
    scores = read_record(run / "evaluation" / split / "scores.json")["scores"]
    (bleu,) = (one for one in scores if one["name"] == "BLEU" and not one["lowercased"])
    return bleu["value"], bleu["signature"]


def table(ways: Mapping[str, Any]) -> str:
    """The scores in Markdown: a row for each way, a column for each number of pairs."""
    numbers = sorted({point["pairs"] for points in ways.values() for point in points})
    rows = [["pairs", *(f"{number:,}" for number in numbers)], ["---"] * (len(numbers) + 1)]
    for name, points in ways.items():
        bleu = {point["pairs"]: f"{point['bleu']:.2f}" for point in points}
        rows.append([name, *(bleu.get(number, "") for number in numbers)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figure(ways: Mapping[str, Any]) -> Figure:
    """One line a way, one point a run."""
    drawn = plain_figure(7, 4.5)
    axes = drawn.add_subplot()
    for name, points in ways.items():
        pairs = [point["pairs"] for point in points]
        axes.plot(pairs, [point["bleu"] for point in points], "o-", label=name)

    axes.set(xscale="log", xlabel="pairs", ylabel="BLEU, cased")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return drawn


def run(config: ByPairsConfig) -> None:
    """Compares, prints the table, and writes both files."""
    found = compare(config)
    print(table(found["ways"]), found["signature"], sep="\n\n")
    save_measured(config.output, found, figure(found["ways"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        ByPairsConfig,
        run,
        arguments,
        prog="attention-nmt by-pairs",
        imports=["tensorflow", "tensorflow_datasets"],
    )


if __name__ == "__main__":
    sys.exit(main())
