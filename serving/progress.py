"""Progress on standard error: lines done, lines a second, and the share of a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO

TERMINAL_S = 0.5
"""Seconds between updates of the line on a terminal."""

PLAIN_S = 10.0
"""Seconds between the lines where standard error is no terminal."""


def with_progress(lines: Iterable[str], *, source: BinaryIO | None, done: int) -> Iterator[str]:
    """Yields lines as they come and shows progress meanwhile.

    On a terminal one line is written over again; elsewhere a line follows another.

    Args:
        lines: what is being made.
        source: the file that is read for it, if there is one.
        done: the number of lines that were done before.
    """
    terminal = sys.stderr.isatty()
    interval = TERMINAL_S if terminal else PLAIN_S
    began = time.monotonic()
    shown = began

    for count, line in enumerate(lines, 1):
        yield line
        now = time.monotonic()
        if now - shown < interval:
            continue
        shown = now
        speed = count / (now - began)
        message = f"{done + count:,} lines, {speed:,.0f} a second{_share(source)}"
        if terminal:
            message = f"\r{message} "
        print(message, end="" if terminal else "\n", file=sys.stderr, flush=True)

    if terminal and shown > began:
        print(file=sys.stderr)


def _share(source: BinaryIO | None) -> str:
    size = os.fstat(source.fileno()).st_size if source else 0
    if source is None or size == 0:
        return ""
    return f", {100 * source.tell() / size:.0f} %"
