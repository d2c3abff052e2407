"""A look at a corpus before hours are spent on it: the command `data`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from attention_nmt.command import NO_PREFIX, run_command

from ..presets import TrainConfig, base
from ..train import usual_command


@dataclass(frozen=True, kw_only=True)
class DataCommand:
    """Says what is in a corpus and what is likely wrong with it; takes the flags of `train`.

    Attributes:
        preset: settings to begin with; see `attention-nmt train --help`.
        output: the files to write, without their endings: `.json` with all that was found, and
            `.png` with plots of the training split.
        clean: a folder to write: the training split without the pairs that have faults, the other
            splits as they are, and a list of what was left out.
        config: the settings of a training.
    """

    preset: str = "base"
    output: Path | None = None
    clean: Path | None = None
    config: Annotated[TrainConfig, NO_PREFIX] = field(default_factory=base)


def look(command: DataCommand) -> None:
    """Reads all splits, prints what is found, and writes what is asked for.

    Raises:
        ValueError: the data or the config is at fault, or nothing would be left of it.
        OSError: a file cannot be written.
    """
    from . import cleaning, inspection, report
    from .dropping import Sample, dropped
    from .splits import every_split

    if command.clean is not None:
        cleaning.check_output(command.clean)
    if command.output is not None:
        from attention_nmt.drawing.plots import plain_figure

        plain_figure(1, 1)  # says now if matplotlib is missing

    config = command.config
    sample = Sample()
    splits = every_split(config)
    inspected = inspection.inspect(splits, keep_keys=command.clean is not None, each=sample.add)
    found = report.CorpusReport(
        dataset=config.dataset,
        languages=(config.source, config.target),
        splits=inspected.reports(),
        overlaps=inspected.overlaps,
        dropped=dropped(sample, config),
    )
    print(report.text(found), flush=True)

    if command.output is not None:
        from attention_nmt.drawing.plots import save_measured

        from .plots import figure

        save_measured(command.output, found.to_json(), figure(found))

    if command.clean is not None:
        left_out = cleaning.clean(splits, inspected, command.clean)
        print(cleaning.summary(left_out, inspected.inspections[-1].pairs, command.clean))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `run_command` for its exit status."""

    def usual() -> DataCommand:
        train = usual_command(arguments)
        return DataCommand(preset=train.preset, config=train.config)

    return run_command(
        DataCommand,
        look,
        arguments,
        prog="attention-nmt data",
        default=usual,
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
