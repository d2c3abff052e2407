"""Lines translated as a stream, written whole, and gone on with where a run has stopped.

Nothing here knows who translates: it is a function from texts to translations.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, TypeAlias

from attention_nmt.files import atomic_write, make_folder, sync_file, sync_folder, try_lock

from .sentences import rejoin, split


class LineTranslation(Protocol):
    """The translation of a text, as far as lines need it; a client's and a translator's fit."""

    @property
    def text(self) -> str:
        """The translation."""

    @property
    def truncated(self) -> bool:
        """Only the beginning of the text was translated."""


class RefusedText(NamedTuple):
    """Stands for the translation of a text that a server refused."""

    reason: str
    text: str = ""
    truncated: bool = False


Translate: TypeAlias = Callable[[list[str]], Sequence[LineTranslation]]
"""A function from texts, none of them empty, to as many translations; from none to none."""


Report: TypeAlias = Callable[[int, str], None]
"""Takes the number of a line, from 1 on, and what is wrong with its translation."""


class Output(NamedTuple):
    """A file that lines are written to."""

    file: BinaryIO
    done: int  # lines that an earlier run has written


def translate_lines(
    lines: Iterable[str],
    translate: Translate,
    *,
    batch_size: int,
    document: bool = False,
    done: int = 0,
    report: Report | None = None,
) -> Iterator[str]:
    """Translates a stream: yields a line for each line, in order.

    A line of white space gives an empty line, and is not translated. Line breaks within a
    translation become spaces, and so do NULs, which a model that spells bytes may write and no
    file of text holds. Lines are reported, once each, of which only the beginning was
    translated, and those with a `RefusedText`. A refused line is left empty, and with `document` a
    refused sentence is left out of its line.

    Args:
        lines: the texts.
        translate: translates some of them.
        batch_size: the number of lines that are read and translated at a time.
        document: translate the sentences of a line one by one, see `sentences`.
        done: the number of lines before these, for their numbers.
        report: takes the number of a line and what is wrong with its translation; without it
            standard error has a warning.

    Raises:
        Exception: whatever `translate` raises.
    """
    remaining = iter(lines)
    while batch := list(itertools.islice(remaining, batch_size)):
        yield from _translate_batch(batch, translate, document, done, report or _warn)
        done += len(batch)


def _translate_batch(
    batch: list[str], translate: Translate, document: bool, done: int, report: Report
) -> Iterator[str]:
    parts = [split(line) if document else [line] for line in batch]
    texts = []
    numbers = []
    for number, line in enumerate(parts, done + 1):
        written = [part.strip() for part in line if part.strip()]
        texts += written
        numbers += [number] * len(written)

    found = translate(texts)
    of_line: dict[int, list[LineTranslation]] = {}
    for number, answer in zip(numbers, found, strict=True):
        of_line.setdefault(number, []).append(answer)

    for number, answers in of_line.items():
        _report_cuts(number, answers, report)
    for number, answers in of_line.items():
        _report_refusals(number, answers, report)

    translations = (answer.text for answer in found)
    for line in parts:
        yield re.sub(r"[\r\n\0]+", " ", rejoin(line, translations)).strip()


def _warn(number: int, fault: str) -> None:
    print(f"warning: line {number} {fault}", file=sys.stderr)


def _report_cuts(number: int, answers: Sequence[LineTranslation], report: Report) -> None:
    """Says if only the beginning of a line, or of sentences, was translated."""
    cut = sum(answer.truncated for answer in answers)
    if not cut:
        return

    fault = "is too long: only its beginning was translated"
    if len(answers) > 1:
        long = f"has {cut} of {len(answers)} sentences that are too long"
        fault = f"{long}: only the beginning of each was translated"
    report(number, fault)


def _report_refusals(number: int, answers: Sequence[LineTranslation], report: Report) -> None:
    """Says what of a line was refused, with the first reason."""
    refused = [answer for answer in answers if isinstance(answer, RefusedText)]
    if not refused:
        return

    fault = "was refused, and is left empty"
    if len(answers) > 1:
        fault = f"lacks {len(refused)} of its {len(answers)} sentences, which were refused"
    report(number, f"{fault}: {refused[0].reason}")


def is_plain(path: Path) -> bool:
    """Says if `path` is a file that another can take the place of, or nothing yet.

    A device or a pipe is not.

    Raises:
        IsADirectoryError: it is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} must be a file to write, not a folder")
    return path.is_file() or not path.exists()


@contextlib.contextmanager
def fresh(path: Path | None) -> Iterator[Output]:
    """Opens what is written from the beginning.

    Args:
        path: a device or a pipe is written to as it is; a file is written beside its place, which
            it takes at the end, when it lasts, see `atomic_write`; None is standard output.

    Raises:
        OSError: `path` is a folder, or cannot be written.
    """
    if path is None:
        yield Output(sys.stdout.buffer, 0)
        return
    if not is_plain(path):
        with path.open("wb") as file:
            yield Output(file, 0)
        return

    with atomic_write(path) as temporary, temporary.open("wb") as file:
        yield Output(file, 0)


@contextlib.contextmanager
def resumed(path: Path, task: str, source: Path) -> Iterator[Output]:
    """Opens a file for the lines of `source` behind those from a run that stopped.

    Lines are kept beside `path` until all are there, and then take its place, when they last. A
    source that has changed begins anew. What other tasks have begun stays, to be gone on with.

    Args:
        path: the file.
        task: what is done to the source; lines of another task are not gone on with.
        source: the file whose lines are translated.

    Raises:
        OSError: another process is at the same task, or the file cannot be written.
    """
    about = source.stat()
    identity = f"{task}\0{source.resolve()}\0{about.st_size}\0{about.st_mtime_ns}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    part = path.with_name(f".{path.name}.{digest[:12]}.part")

    make_folder(path.parent)
    with part.open("ab+") as file:
        _lock(file, part)
        done = _keep_whole_lines(file)
        try:
            yield Output(file, done)
            file.flush()
            sync_file(part)
            part.replace(path)
            sync_folder(path.parent)
        finally:
            file.flush()
            if part.exists() and os.fstat(file.fileno()).st_size == 0:
                part.unlink()


def _keep_whole_lines(file: BinaryIO) -> int:
    """Cuts off a last line without an end, and gives the number of the others."""
    file.seek(0)
    count = 0
    size = 0
    for line in file:
        if line.endswith(b"\n"):
            count += 1
            size += len(line)
    file.truncate(size)
    return count


def _lock(file: BinaryIO, path: Path) -> None:
    """Makes this process the only one at a file that it has just opened.

    Raises:
        OSError: another one is, or has removed it meanwhile, or the file system has no locks.
    """
    if not try_lock(file.fileno()):
        raise OSError(f"another process is writing {path}, or no file there can be locked")
    if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
        raise OSError(f"another process has just written {path}; try again")
