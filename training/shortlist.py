"""The target pieces that source pieces become, to translate faster: the command `shortlist`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.command import run_command

from .texts_choice import TextsChoice


@dataclass(frozen=True, kw_only=True)
class ShortlistConfig(TextsChoice):
    """Lists the target pieces that the pieces of a source become, as a trained model aligns them.

    `attention-nmt save --shortlist` makes a model that looks at no others.

    Attributes:
        output: the file to write, `.npz`.
        split: the pairs that are aligned.
        pieces: the most target pieces of a source piece.
        share: the least share of a source piece's links that a target piece has.
        usual: the number of frequent target pieces that every translation may have.

    Raises:
        ValueError: a number outside its range, or no model is given.
    """

    output: Path
    split: str = "train"
    pieces: int = 24
    share: float = 0.002
    usual: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("pieces", "usual"):
            value = getattr(self, name)
            require(value >= 1, name, "at least 1", value)
        require(0 <= self.share < 1, "share", "in [0, 1)", self.share)


def make(config: ShortlistConfig) -> None:
    """Writes a shortlist; see `shortlisting.make`."""
    from . import shortlisting

    shortlisting.make(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        ShortlistConfig,
        make,
        arguments,
        prog="attention-nmt shortlist",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
