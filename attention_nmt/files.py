"""Files and folders that are written whole or not at all, locks, bounded reads, texts and sums."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEXT_BYTES = 2**24
"""The longest JSON file or list of texts of a run folder, in bytes."""

TOKENIZER_BYTES = 2**28
"""The longest file of a tokenizer, in bytes."""

_MARK = "partial-"
"""What the temporary name of a file has before its random part; no other file is to have it."""

_RANDOM = "[0-9a-f]{8}"
"""The random part of temporary names."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Writes a file whole or not at all, also where the machine loses its power.

    Yields a temporary name beside `path`, which is renamed to `path` if the block ends well, and
    removed if it does not. What a process that was killed left of such a write is removed. A link
    is replaced, and what it leads to stays as it is. The mode of the file is what the umask lets.

    Args:
        path: the file.

    Raises:
        OSError: `path` is a folder, a device or a pipe, or cannot be written; the message names it.

    Source: POSIX `rename`, which a reader sees as one step, and which lasts when the file and then
    its folder are synchronized.
    """
    path = Path(path)
    _check_target(path)
    make_folder(path.parent)
    remove_leftovers(path.parent, [path.name])

    temporary, handle = _create(path)
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        _rename_in(error, temporary, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _check_target(path: Path) -> None:
    """Checks that a path is a file that may be replaced, or nothing yet."""
    parent = path.parent.resolve()
    is_device = path.is_symlink() and (parent == Path("/dev") or parent.is_relative_to("/proc"))
    if is_device or (path.exists() and not path.is_file()):
        raise OSError(f"{path} must be a file, or nothing yet")


def _create(path: Path) -> tuple[Path, int]:
    """A new file beside `path`, and a handle that holds a lock on it: its writer is alive."""
    while True:
        temporary = path.with_name(f".{path.stem}.{_MARK}{secrets.token_hex(4)}{path.suffix}")
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        except OSError as error:
            _rename_in(error, temporary, path)
            raise

        if _own(handle, temporary):
            return temporary, handle
        os.close(handle)


def _own(handle: int, path: Path) -> bool:
    """Locks what was just made; False: another process took it for a leftover and removed it."""
    # Where there are no locks, nothing is taken for a leftover.
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    return path.exists() and os.path.samestat(os.fstat(handle), path.stat())


def _rename_in(error: OSError, temporary: Path, path: Path) -> None:
    """Makes an error of a temporary file, or of no name, one of the file that it stands for."""
    nameless = error.filename is None and error.errno is not None
    if nameless or str(error.filename) == str(temporary):
        error.filename = str(path)
        if error.filename2 is not None:
            del error.filename2


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in another one, removed behind the block; what is to stay is renamed in it.

    What processes that were killed left of such folders is removed before.

    Args:
        parent: the folder to make it in.
        prefix: of its name, behind which random characters stand.

    Raises:
        OSError: `parent` cannot be written.
    """
    remove_leftover_folders(parent, prefix)
    folder, handle = _create_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new folder to write into, which has the name `path` behind the block and lasts then.

    Args:
        path: its name. When the block fails, all is as it was.
        replace: a folder that has the name before is replaced, and not an error.

    Raises:
        OSError: the folder above it cannot be written, or `path` is there and not empty.
    """
    make_folder(path.parent)
    with temporary_folder(path.parent, f".{path.name}.writing-") as temporary:
        folder = temporary / "new"
        folder.mkdir()
        yield folder

        sync_tree(folder)
        if replace and path.exists():
            _exchange(folder, path, temporary / "old")
        else:
            folder.rename(path)
    sync_folder(path.parent)


def _exchange(folder: Path, path: Path, old: Path) -> None:
    """Gives a folder the name of another one, which keeps it if that fails or is interrupted."""
    try:
        path.rename(old)
        folder.rename(path)
    except BaseException:
        if not path.exists():
            old.rename(path)
        raise


def _create_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and a handle that holds a lock on it."""
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(4)}"
        folder.mkdir()
        handle = os.open(folder, os.O_RDONLY)
        if _own(handle, folder):
            return folder, handle
        os.close(handle)


def remove_leftovers(folder: Path, names: Iterable[str]) -> list[Path]:
    """Removes what processes that were killed left of writes of files.

    What a process that lives is writing stays. So does all of it where the file system has no
    locks.

    Args:
        folder: the folder of the files.
        names: their names.

    Returns:
        What was removed.
    """
    patterns = []
    for name in names:
        stem, suffix = Path(name).stem, Path(name).suffix
        patterns.append(rf"\.{re.escape(stem)}\.{_MARK}{_RANDOM}{re.escape(suffix)}")

    removed = []
    for path in _abandoned(folder, "|".join(patterns)):
        if path.is_file():
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def remove_leftover_folders(parent: Path, prefix: str) -> list[Path]:
    """Removes folders that `temporary_folder` made in processes that were killed.

    Args:
        parent: the folder in which they are.
        prefix: of their names.

    Returns:
        What was removed.
    """
    removed = []
    for path in _abandoned(parent, re.escape(prefix) + _RANDOM):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


def _abandoned(folder: Path, pattern: str) -> Iterator[Path]:
    """Yields what stands in a folder under names of a pattern and is locked by no process.

    Each is locked while it is the last one that was yielded, so that nobody begins to write it.
    """
    try:
        named = [path for path in folder.iterdir() if re.fullmatch(pattern, path.name)]
    except PermissionError:
        return

    for path in named:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            continue

        try:
            if try_lock(handle):
                yield path
        finally:
            os.close(handle)


def try_lock(handle: int) -> bool:
    """Locks an open file or folder until it is closed; False: it is locked, or cannot be."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def folder_lock(folder: Path, doing: str) -> Iterator[None]:
    """Makes a folder, and keeps other processes from such a block with it.

    Where the file system has no locks for folders, nothing keeps them from it.

    Args:
        folder: the folder.
        doing: what is done in it, for the message, such as "training in".

    Raises:
        OSError: another process is in such a block, or the folder cannot be made.
    """
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise OSError(f"another process is {doing} {folder}") from error
    except OSError:
        pass

    try:
        yield
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, which last when the machine loses its power."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Makes what was written into a file last when the machine loses its power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder last when the machine loses its power.

    Nothing is done where the file system knows no such thing, or the folder may not be read.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return

    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Makes a folder last with all that is in it; do so before it is renamed."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_file(Path(path) / name)
        sync_folder(Path(path))


def read_bounded(path: Path, limit_bytes: int) -> bytes:
    """The bytes of a file that is not too long for what it is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file, or longer than `limit_bytes`.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: expected a file.")

    with path.open("rb") as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        size = path.stat().st_size
        raise ValueError(f"{path}: expected at most {limit_bytes:,} bytes. Received: {size:,}.")
    return content


def read_record(path: Path) -> dict[str, Any]:
    """The record that a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no JSON record, or is too long; the message names the file.
    """
    try:
        record = json.loads(read_bounded(path, TEXT_BYTES))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON. Received: {error}.") from error

    if not isinstance(record, dict):
        kind = type(record).__name__
        raise ValueError(f"{path}: expected a JSON record. Received: a {kind}.")
    return record


def file_sum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(text: str) -> str:
    """The text as one line of a file, with spaces for all that would end a line."""
    return " ".join(text.splitlines())
