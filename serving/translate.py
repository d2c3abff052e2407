"""Translates with a run folder, without a server: the command `translate`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges, SearchConfig
from attention_nmt.run_folder import RunFolder

from .job import JobConfig, Source, open_source, write_translations
from .runtime import check_backend, tensorflow_runtime

BATCHES_AT_A_TIME = 8
"""Batches of a file that are read together: sentences of about one length are translated together.
"""


@dataclass(frozen=True, kw_only=True)
class TranslateConfig:
    """Translates texts, a file or standard input with the best weights of a run.

    On a terminal standard input is answered line by line.

    Attributes:
        run_dir: a trained run folder.
        job: the texts, and where their translations go.
        search: changes of the run's search.
        batch_size: sentences that are translated together.

    Raises:
        ValueError: a number out of its range, or texts together with an input.
    """

    run_dir: Path
    job: Annotated[JobConfig, NO_PREFIX] = field(default_factory=JobConfig)
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)
    batch_size: int = 64

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)


def run(config: TranslateConfig) -> None:
    """Translates what a config names.

    Raises:
        OSError: the run folder is not complete, a file cannot be read or written, or TensorFlow
            fails.
        ValueError: the backend is not TensorFlow, or a setting of the search is outside its range.
    """
    check_backend("translate")
    with open_source(config.job) as source:
        # Before TensorFlow, so that what is at fault is said at once.
        search = RunFolder(Path(config.run_dir)).read_search(config.search, n_best=1)
        _translate(config, source, search)


def _translate(config: TranslateConfig, source: Source, search: SearchConfig) -> None:
    with tensorflow_runtime():
        from attention_nmt.translation.translator import Translator

        translator = Translator.from_run(config.run_dir, search, config.batch_size)
        translate = functools.partial(translator.frozen(), alignments=False)

        batches = BATCHES_AT_A_TIME if source.file else 1
        write_translations(
            config.job,
            source,
            translate,
            batch_size=batches * config.batch_size,
            task=f"translate\0{_weights(config.run_dir)}\0{search}\0{config.job.document}",
        )


def _weights(run_dir: str | Path) -> str:
    """Tells the weights of a run from others: what other weights have begun is not gone on with."""
    path = RunFolder(Path(run_dir)).best
    about = path.stat()
    return f"{path.resolve()}\0{about.st_size}\0{about.st_mtime_ns}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(TranslateConfig, run, arguments, prog="attention-nmt translate")


if __name__ == "__main__":
    sys.exit(main())
