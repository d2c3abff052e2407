"""Scores of a run's translations, or of those in a file: the command `evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges
from attention_nmt.stored import StoredModel

from .texts_choice import TextsChoice

_FOLDER_NAMES = {
    "beam_size": "beam",
    "length_penalty": "penalty",
    "coverage_penalty": "coverage",
    "lookahead": "lookahead",
    "maximum_length_ratio": "ratio",
    "maximum_source_length": "limit",
}
"""The names of changes of a search, in the names of folders."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(TextsChoice):
    """Scores a model's translations of a split, or those in a file: BLEU, chrF, TER, alignments.

    A model is not needed where `hypotheses`, `dataset`, `source` and `target` are given.

    Attributes:
        split: the split to translate.
        hypotheses: a file with one translation a line, to be scored instead of the model's own.
        output: where to write the scores, hypotheses and pictures; without it into
            `evaluation/NAME` of a run folder, where NAME is the split and what is given of
            dataset, languages and search. Scores of `hypotheses`, and of models that are no runs,
            are written only where it is given.
        reverse_run: a run of the other direction: gold links are compared with both directions'
            symmetrized links, too.
        pictures: lines of the split, from 1, whose translations' alignments are drawn; without it
            the first four.
        search: changes of the model's search.

    Raises:
        ValueError: there is neither a model nor everything that stands for it, or `hypotheses` are
            given with what is of a search.
    """

    split: str = "test"
    hypotheses: Path | None = None
    output: Path | None = None
    reverse_run: Path | None = None
    pictures: tuple[int, ...] | None = None
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)

    def __post_init__(self) -> None:
        if self.chosen:
            super().__post_init__()
        else:
            complete = None not in (self.hypotheses, self.dataset, self.source, self.target)
            expected = "given, or else --hypotheses, --dataset, --source and --target"
            require(complete, "model", expected, None)

        if self.hypotheses is not None:
            unused = {**self.search.given(), "reverse_run": self.reverse_run}
            unused["pictures"] = self.pictures
            for name, value in unused.items():
                expected = "left out with hypotheses, which are not searched"
                require(value is None, name, expected, str(value))

    def folder(self, stored: StoredModel | None) -> Path | None:
        """The folder to write into; None: nothing is written.

        Its name says what is given, so that evaluations with other flags have other folders.

        Args:
            stored: the model, where there is one.
        """
        evaluations = stored.evaluations if stored else None
        if self.output is not None or evaluations is None or self.hypotheses is not None:
            return self.output

        names = [self.split]
        if self.dataset is not None:
            names.append(self.dataset.strip("/").replace("/", "-"))
        if self.source is not None:
            names.append(f"from-{self.source}")
        if self.target is not None:
            names.append(f"to-{self.target}")
        names += [f"{_FOLDER_NAMES[name]}-{value}" for name, value in self.search.given().items()]
        return evaluations / "-".join(names)


def evaluate(config: EvaluateConfig) -> None:
    """Translates a split, scores it, and writes what is found; see `evaluation.evaluate`."""
    from attention_nmt.backend import check_tensorflow

    if config.hypotheses is None:
        check_tensorflow("evaluate")

    from . import evaluation

    evaluation.evaluate(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        EvaluateConfig,
        evaluate,
        arguments,
        prog="attention-nmt evaluate",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
