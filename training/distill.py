"""A corpus whose targets a model has written, as a new corpus: the command `distill`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges

from .texts_choice import TextsChoice


@dataclass(frozen=True, kw_only=True)
class DistillConfig(TextsChoice):
    """Writes a corpus with a model's translations in place of its targets, for a smaller model.

    What a teacher writes is easier to learn than what people wrote, and its likeliest translation
    is what a greedy search finds. The teacher may be several models: see `attention-nmt save
    --together-with`. Its shortlist and its temperature are left out. The dataset may be one of
    `diversify`, which has more sources, or several with commas between.

    Attributes:
        output: the folder of `LANG.SPLIT.txt` files to write, of the training and the dev split.
        train_split: the split whose sources the teacher translates, each once. The teacher's own
            dev split, where it is a slice of it, is to be left out here, too.
        more_sources: files of further sources, one a line, which nobody has to have translated.
        dev_split: the name of the split that is written as it is; without one, the split with the
            name of one.
        search: changes of the teacher's search.
    """

    output: Path
    train_split: str = "train"
    more_sources: tuple[Path, ...] = ()
    dev_split: str | None = None
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)


def distill(config: DistillConfig) -> None:
    """Writes a teacher's corpus; see `distillation.distill`."""
    from attention_nmt.backend import check_tensorflow

    check_tensorflow("distill")

    from . import distillation

    distillation.distill(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        DistillConfig,
        distill,
        arguments,
        prog="attention-nmt distill",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
