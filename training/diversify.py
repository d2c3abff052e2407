"""A corpus and models' translations of it, as a new corpus: the command `diversify`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.command import run_command


@dataclass(frozen=True, kw_only=True)
class DiversifyConfig:
    """Writes what the first run was trained on, with models' translations of it in both directions.

    Attributes:
        forward_runs: trained run folders of one direction; the corpus of the first is what is
            diversified.
        backward_runs: trained run folders of the other direction.
        output: the folder of `LANG.SPLIT.txt` files to write, of the training and the dev split.

    Raises:
        ValueError: there is no run of a direction.
    """

    forward_runs: tuple[Path, ...]
    backward_runs: tuple[Path, ...]
    output: Path

    def __post_init__(self) -> None:
        expected = "at least one run folder"
        require(len(self.forward_runs) >= 1, "forward_runs", expected, self.forward_runs)
        require(len(self.backward_runs) >= 1, "backward_runs", expected, self.backward_runs)


def diversify(config: DiversifyConfig) -> None:
    """Writes a corpus and its translations; see `diversification.diversify`."""
    from . import diversification

    diversification.diversify(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        DiversifyConfig,
        diversify,
        arguments,
        prog="attention-nmt diversify",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
