"""Text files, UTF-8 with a text a line, read by one rule wherever one is read.

A line feed ends a line, and nothing else does, even if Unicode counts it as a line break. One
carriage return before it is no part of the line. A byte order mark is no part of the file's first
line.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(path: Path) -> list[str]:
    """The lines of a file.

    Raises:
        ValueError: it is not UTF-8; the message has the file, the line and the byte.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return list(iterate_lines(file, str(path)))


def count_lines(path: Path) -> int:
    """The number of lines of a file, all of which are read and found to be UTF-8.

    Raises:
        ValueError: it is not UTF-8; the message has the file, the line and the byte.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return sum(1 for _ in iterate_lines(file, str(path)))


def iterate_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Yields the lines of a file that was just opened.

    Args:
        file: the file, or a pipe.
        name: what a message calls it.

    Raises:
        ValueError: a line is not UTF-8; the message has the file, the line and the byte.
    """
    for number, (mark, line) in enumerate(_marked_lines(file), 1):
        yield decode(line, f"{name}, line {number}", before=len(mark))


def raw_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of a file that was just opened, as they are encoded."""
    for _, line in _marked_lines(file):
        yield line


def decode(text: bytes, place: str, *, before: int = 0) -> str:
    """Decodes UTF-8.

    Args:
        text: a line, or another text. A NUL is refused, too: no text has one, and UTF-16 has as
            many as letters.
        place: where it stands, for a message, which adds the byte, counted from 1.
        before: the number of bytes that stand before it at that place.

    Raises:
        ValueError: it is not UTF-8.
    """
    try:
        decoded = text.decode()
        wrong = text.find(b"\0")
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong < 0:
        return decoded

    if text.startswith(_UTF16_MARKS) or 4 * text.count(b"\0") > len(text):
        encoding = ", as of UTF-16"
    elif text[wrong] == 0:
        encoding = ", a NUL character"
    else:
        encoding = ", as of Latin-1 or another encoding"
    received = f"0x{text[wrong]:02x}{encoding}"
    place = f"{place}, byte {before + wrong + 1}"
    raise ValueError(f"{place}: expected UTF-8. Received: {received}.")


def _marked_lines(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields the byte order mark before each line, which only the first may have, and the line."""
    mark = codecs.BOM_UTF8
    for line in file:
        text = line.removeprefix(mark)
        mark = line[: len(line) - len(text)]
        if text:
            yield mark, text.removesuffix(b"\n").removesuffix(b"\r")
        mark = b""
