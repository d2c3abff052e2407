"""Files of translations, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.files import atomic_write, one_line
from attention_nmt.text_files import read_lines

HYPOTHESES = "hypotheses.txt"
"""The name of such a file in the folder of an evaluation."""


def read_hypotheses(path: Path, count: int) -> list[str]:
    """The lines of a file of translations.

    Raises:
        ValueError: there are not `count` lines, or they are not UTF-8.
        OSError: the file cannot be read.
    """
    lines = read_lines(path)
    expected = f"a file of {count} lines, one for each source"
    require(len(lines) == count, str(path), expected, len(lines))
    return lines


def write_hypotheses(path: Path, texts: Sequence[str]) -> None:
    """Writes translations; a line break within one becomes a space."""
    with atomic_write(path) as temporary:
        lines = [one_line(text) + "\n" for text in texts]
        temporary.write_text("".join(lines), encoding="utf-8")
