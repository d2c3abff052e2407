"""A translation job: texts in, translations out. The commands `client` and `translate` share it."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple

import tyro

from attention_nmt.checks import require
from attention_nmt.text_files import count_lines, decode, iterate_lines

from .lines import Output, Translate, fresh, is_plain, resumed, translate_lines
from .progress import with_progress


@dataclass(frozen=True, kw_only=True)
class JobConfig:
    """Texts to translate, and where their translations go.

    Attributes:
        texts: texts to translate; with none, the lines of the input. Put `--` before a text that
            begins with a dash.
        input: a UTF-8 file with one text a line; standard input by default.
        output: a file for the translations, which appears when all are there, in the place of the
            input if it is the same; standard output by default. With an input file, the same
            command goes on with a run that was stopped.
        document: translate the sentences of a line one by one.
        quiet: show no progress on standard error.

    Raises:
        ValueError: texts together with an input.
    """

    texts: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[TEXT ...]")
    ] = ()
    input: Path | None = None
    output: Path | None = None
    document: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        one = not self.texts or self.input is None
        require(one, "input", "left out where texts are given", str(self.input))


class Source(NamedTuple):
    """Opened texts."""

    lines: Iterator[str]
    file: BinaryIO | None  # a regular file that they are read from
    interactive: bool  # a terminal, where someone waits for each answer


@contextlib.contextmanager
def open_source(job: JobConfig) -> Iterator[Source]:
    """Opens what is to be translated.

    A file is read to its end first: nothing of one that is not UTF-8 is translated.

    Raises:
        ValueError: a text or a line is not UTF-8; the message has its place.
        OSError: the input cannot be read.
    """
    if job.texts:
        texts = [
            decode(os.fsencode(text), f"text {number}") for number, text in enumerate(job.texts, 1)
        ]
        yield Source(iter(texts), file=None, interactive=False)
    elif job.input is None:
        stream = sys.stdin.buffer
        lines = iterate_lines(stream, "standard input")
        yield Source(lines, file=None, interactive=stream.isatty())
    else:
        if job.input.is_file():
            count_lines(job.input)
        with job.input.open("rb") as stream:
            file = stream if job.input.is_file() else None
            lines = iterate_lines(stream, str(job.input))
            yield Source(lines, file=file, interactive=stream.isatty())


def write_translations(
    job: JobConfig, source: Source, translate: Translate, *, batch_size: int, task: str
) -> None:
    """Translates a source and writes a line for each of its texts.

    Args:
        job: the job.
        source: its opened texts.
        translate: a function from texts to translations.
        batch_size: the number of texts that are read and translated at a time; 1 on a terminal.
        task: tells this translation of the source from others; what another one has begun is not
            gone on with.

    Raises:
        ValueError: a line of a pipe is not UTF-8.
        OSError: a file cannot be read or written.
    """
    with _open_output(job, source, task) as output:
        lines = translate_lines(
            itertools.islice(source.lines, output.done, None),
            translate,
            batch_size=1 if source.interactive else batch_size,
            document=job.document,
            done=output.done,
        )
        if job.output is not None and not job.quiet:
            lines = with_progress(lines, source=source.file, done=output.done)

        for line in lines:
            output.file.write(line.encode("utf-8") + b"\n")
            output.file.flush()


def _open_output(
    job: JobConfig, source: Source, task: str
) -> contextlib.AbstractContextManager[Output]:
    target = job.output.resolve() if job.output else None  # what a link leads to
    whole = job.input if source.file is not None else None  # and not a pipe
    if target is not None and whole is not None and is_plain(target):
        return resumed(target, task, whole)
    return fresh(target)
