"""Translates with a trained model, without a server: the command `translate`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SamplingChanges, SearchConfig
from attention_nmt.stored import ModelChoice, StoredModel

from .job import JobConfig, Source, open_source, write_translations
from .runtime import (
    check_backend,
    one_thread_an_operation,
    spare_what_is_loaded,
    tensorflow_runtime,
)

BATCHES_AT_A_TIME = 8
"""Batches of a file that are read together: sentences of about one length are translated together.
"""


@dataclass(frozen=True, kw_only=True)
class TranslateConfig(ModelChoice):
    """Translates texts, a file or standard input with a trained model.

    On a terminal standard input is answered line by line.

    Attributes:
        job: the texts, and where their translations go.
        search: changes of the model's search.
        batch_size: sentences that are translated together.

    Raises:
        ValueError: a number out of its range, texts together with an input, or no model.
    """

    job: Annotated[JobConfig, NO_PREFIX] = field(default_factory=JobConfig)
    search: Annotated[SamplingChanges, NO_PREFIX] = field(default_factory=SamplingChanges)
    batch_size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)


def run(config: TranslateConfig) -> None:
    """Translates what a config names.

    Raises:
        OSError: the model's folder is not complete, a file cannot be read or written, or TensorFlow
            fails.
        ValueError: the backend is not TensorFlow, or a setting of the search is outside its range.
    """
    check_backend("translate")
    with open_source(config.job) as source:
        # Before TensorFlow, so that what is at fault is said at once.
        stored = config.open()
        search = stored.read_search(config.search, n_best=1)
        _translate(config, source, stored, search)


def _translate(
    config: TranslateConfig, source: Source, stored: StoredModel, search: SearchConfig
) -> None:
    with tensorflow_runtime():
        from attention_nmt.translation.translator import Translator

        one_thread_an_operation()
        translator = Translator.from_stored(stored, search, config.batch_size)
        translate = functools.partial(translator.frozen(), alignments=False)
        spare_what_is_loaded()

        batches = BATCHES_AT_A_TIME if source.file else 1
        write_translations(
            config.job,
            source,
            translate,
            batch_size=batches * config.batch_size,
            task=f"translate\0{_weights(stored)}\0{search}\0{config.job.document}",
        )


def _weights(stored: StoredModel) -> str:
    """Tells a model's weights from others: what others have begun is not gone on with."""
    about = stored.weights.stat()
    return f"{stored.weights.resolve()}\0{about.st_size}\0{about.st_mtime_ns}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(TranslateConfig, run, arguments, prog="attention-nmt translate")


if __name__ == "__main__":
    sys.exit(main())
