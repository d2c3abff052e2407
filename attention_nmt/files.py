"""Files that are written whole or not at all, and their texts and sums."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Writes a file whole or not at all.

    Yields a temporary name beside `path`, which is renamed to `path` if the block ends well, and
    removed if it does not. A link stays, and the file that it leads to is written.

    Args:
        path: the file.

    Raises:
        OSError: `path` is a folder, a device or a pipe.

    Source: POSIX `rename`, which a reader sees as one step.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise OSError(f"{path} must be a file, or nothing yet")

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o644)

    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(text: str) -> str:
    """The text as one line of a file, with spaces for all that would end a line."""
    return " ".join(text.splitlines())
