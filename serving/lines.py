"""Files of lines for the client: read as a stream, written as a whole, and gone on with where a
run has stopped."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .sentences import rejoin, split

if TYPE_CHECKING:
    from .client import Client

PROGRESS_S = 0.5
"""Seconds between updates of the progress line."""


def read_lines(source: BinaryIO) -> Iterator[str]:
    r"""The lines of `source`, ended by "\n" or "\r\n" and by no other character that Unicode
    counts as a line break."""
    for line in source:
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")


def translate_lines(
    client: Client, lines: Iterable[str], document: bool = False, done: int = 0
) -> Iterator[str]:
    """Translate a stream: for each line one line, in order, reading `client.batch_size` lines at a
    time.

    A line of white space gives an empty line, and is not sent. Line breaks inside a translation
    become spaces. Where the server has cut a line, standard error says so.

    Args:
        document: Translate the sentences of a line one by one, see `serving.sentences`.
        done: Lines before these, to give them their numbers.

    Raises:
        ClientError: The server did not translate them.
    """
    remaining = iter(lines)
    while batch := list(itertools.islice(remaining, client.batch_size)):
        parts = [split(line) if document else [line] for line in batch]
        sent = [
            (number, part.strip())
            for number, line in enumerate(parts, done + 1)
            for part in line
            if part.strip()
        ]
        found = client.translate([part for _, part in sent])
        for number in sorted(
            {number for (number, _), answer in zip(sent, found, strict=True) if answer.truncated}
        ):
            print(
                f"warning: line {number} is too long: only its beginning was translated",
                file=sys.stderr,
            )
        translations = (translation.text for translation in found)
        yield from (re.sub(r"[\r\n]+", " ", rejoin(line, translations)).strip() for line in parts)
        done += len(batch)


def is_plain(path: Path) -> bool:
    """Whether `path` is a file that another can take the place of, or nothing yet, and not a
    device or a pipe.

    Raises:
        IsADirectoryError: It is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} must be a file to write, not a folder")
    return path.is_file() or not path.exists()


@contextlib.contextmanager
def writer(path: Path | None) -> Iterator[BinaryIO]:
    """Where to write: standard output, a device, a pipe, or a temporary file that takes the place
    of `path` at the end.

    Raises:
        OSError: `path` is a folder, or cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        return
    if not is_plain(path):
        with path.open("wb") as file:
            yield file
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def resumed(path: Path, task: str, source: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Where to write lines for the lines of `source`, and how many are there from a run of the
    same task that stopped.

    They are kept beside `path` until all are there, and then take its place. A source that has
    changed begins anew.

    Args:
        task: what is done to the source; lines of another task are not gone on with.

    Raises:
        OSError: another process is at the same task, or the file cannot be written.
    """
    about = source.stat()
    identity = f"{task}\0{source.resolve()}\0{about.st_size}\0{about.st_mtime_ns}"
    part = path.with_name(f".{path.name}.{hashlib.sha256(identity.encode()).hexdigest()[:12]}.part")
    with part.open("ab+") as file:
        _lock(file, part)
        file.seek(0)
        done = whole = 0
        for line in file:
            if line.endswith(b"\n"):
                done, whole = done + 1, whole + len(line)
        file.truncate(whole)  # the last line may have been cut off
        try:
            yield file, done
            file.flush()
            part.replace(path)
        finally:
            file.flush()
            if part.exists() and os.fstat(file.fileno()).st_size == 0:
                part.unlink()


def _lock(file: BinaryIO, path: Path) -> None:
    """Makes this process the only one at a file that it has just opened.

    Raises:
        OSError: another one is, or has removed it meanwhile.
    """
    import fcntl  # of POSIX: elsewhere everything but this works

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(f"another process is writing {path}") from error
    if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
        raise OSError(f"another process has just written {path}; try again")


def with_progress(translations: Iterable[str], source: BinaryIO | None, done: int) -> Iterator[str]:
    """The same, with a line on standard error, where that is a terminal: lines done, lines a
    second, share of the file.

    Args:
        source: the file that is read meanwhile, where there is one.
        done: lines that were done before.
    """
    if not sys.stderr.isatty():
        yield from translations
        return
    size = os.fstat(source.fileno()).st_size if source else 0
    began = shown = time.monotonic()
    for count, translation in enumerate(translations, 1):
        yield translation
        now = time.monotonic()
        if now - shown >= PROGRESS_S:
            share = f", {100 * source.tell() / size:.0f} %" if source and size else ""
            speed = count / (now - began)
            print(
                f"\r{done + count:,} lines, {speed:,.0f} a second{share} ",
                end="",
                file=sys.stderr,
                flush=True,
            )
            shown = now
    if shown > began:
        print(file=sys.stderr)
