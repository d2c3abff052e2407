"""Folders of texts: the files of a split, one or many, plain or compressed, and their lines.

`LANG.SPLIT.txt` holds the texts of a language, one a line. `ONE-OTHER.SPLIT.tsv` holds those of
both, with a tab between. Either may be cut into shards, `LANG.SPLIT-00000-of-00128.txt`, and
compressed, `.txt.gz` or `.txt.zst`.
"""

from __future__ import annotations

import collections
import contextlib
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from attention_nmt.checks import missing_package
from attention_nmt.text_files import iterate_lines, raw_lines

CHUNK = 1024
"""Pairs that are read together: one by one a pair takes 0.3 ms."""

SHARDS_AT_A_TIME = 16
"""Shards that are open together; pairs come from each in turn."""

_SHARD = r"-(?P<number>\d{5})-of-(?P<count>\d{5})"
_ENDING = r"(?:\.gz|\.zst)?"


class DataError(ValueError):
    """A dataset that cannot be used; the message says which, where and what was expected."""


class Shard(NamedTuple):
    """The files of some pairs of a split."""

    source: Path
    target: Path  # the same file where that holds both
    target_first: bool = False  # in a file that holds both

    @property
    def files(self) -> list[Path]:
        """The files, each once."""
        return list(dict.fromkeys([self.source, self.target]))


def splits(folder: Path, language: str) -> set[str]:
    """The names of the splits that a folder has in a language."""
    name = re.escape(language)
    lines = rf"{name}\.(?P<split>.+?)(?:{_SHARD})?\.txt{_ENDING}"
    both = rf"(?:{name}-[^.]+|[^.]+-{name})\.(?P<split>.+?)(?:{_SHARD})?\.tsv{_ENDING}"
    names = [path.name for path in folder.iterdir() if path.is_file()]
    found = [re.fullmatch(form, name) for name in names for form in (lines, both)]
    return {match["split"] for match in found if match}


def find(folder: Path, split: str, source: str, target: str) -> list[Shard]:
    """The shards of a split, in their order.

    Raises:
        DataError: there is no such split, it is there in several forms, or a shard is missing.
    """
    sources = _files(folder, source, split, "txt")
    targets = _files(folder, target, split, "txt")
    forward = _files(folder, f"{source}-{target}", split, "tsv")
    backward = _files(folder, f"{target}-{source}", split, "tsv")

    both = forward or backward
    if both and (sources or targets or (forward and backward)):
        names = [path.name for path in [*sources, *targets, *forward, *backward]]
        raise DataError(f"{folder}: expected {split!r} in one form. Received the files: {names}.")
    if both:
        return [Shard(path, path, target_first=bool(backward)) for path in both]

    for language, files in ((source, sources), (target, targets)):
        if not files:
            found = sorted(other.name for other in folder.iterdir() if other.is_file())
            expected = f"expected a file {language}.{split}.txt (LANG.SPLIT.txt)"
            raise DataError(f"{folder}: {expected}. Received the files: {found}.")
    if len(sources) != len(targets):
        counts = f"{len(sources)} of {source} and {len(targets)} of {target}"
        expected = f"expected as many shards of {split!r} in both languages"
        raise DataError(f"{folder}: {expected}. Received: {counts}.")
    return [Shard(*pair) for pair in zip(sources, targets, strict=True)]


def _files(folder: Path, name: str, split: str, kind: str) -> list[Path]:
    """The files of a name, all shards of it or the only one; none where there is none."""
    form = rf"{re.escape(name)}\.{re.escape(split)}(?:{_SHARD})?\.{kind}{_ENDING}"
    found: dict[Any, list[Path]] = {}  # by number and count, or None
    for path in folder.iterdir():
        match = re.fullmatch(form, path.name)
        if match and path.is_file():
            key = match["number"] and (int(match["number"]), int(match["count"]))
            found.setdefault(key, []).append(path)
    if not found:
        return []

    names = sorted(path.name for paths in found.values() for path in paths)
    several = len({key and key[1] for key in found}) > 1
    if several or any(len(paths) > 1 for paths in found.values()):
        raise DataError(f"{folder}: expected {name}.{split} in one form. Received: {names}.")
    if None in found:
        return found[None]

    count = next(iter(found))[1]
    missing = sorted(set(range(count)) - {number for number, _ in found})
    if missing or len(found) != count:
        expected = f"expected all {count} shards of {name}.{split}"
        raise DataError(f"{folder}: {expected}. Missing: {missing[:5]}. Received: {names[:5]}.")
    return [found[key][0] for key in sorted(found)]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A block with a file to read, which is decompressed on the way.

    Raises:
        DataError: it is not compressed as its name says, or it is cut off.
        ImportError: the package that reads `.zst` is missing.
        OSError: it cannot be read.
    """
    try:
        with contextlib.ExitStack() as stack:
            file: BinaryIO = stack.enter_context(path.open("rb"))
            if path.suffix == ".gz":
                yield cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file)))
            elif path.suffix == ".zst":
                yield cast(BinaryIO, io.BufferedReader(_ZstandardFile(file)))
            else:
                yield file
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        kind = "gzip" if path.suffix == ".gz" else "Zstandard"
        raise DataError(f"{path}: expected a whole {kind} file. Received: {error}.") from error


class _ZstandardFile(io.RawIOBase):
    """The text of a Zstandard file; zstandard's own reader takes one that is cut off for whole.

    Args:
        file: the file.

    Raises:
        ModuleNotFoundError: the package that reads it is missing.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            import zstandard
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(missing_package(error), name=error.name) from error

        self._zstandard = zstandard
        self._file = file
        self._frame: Any = None
        self._compressed = b""
        self._text = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads some bytes; 0 at the end of the file."""
        while not self._text:
            self._compressed = self._compressed or self._file.read(io.DEFAULT_BUFFER_SIZE)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError("it ends within a frame")
                return 0
            self._decompress()

        count = min(len(buffer), len(self._text))
        buffer[:count] = self._text[:count]
        self._text = self._text[count:]
        return count

    def _decompress(self) -> None:
        """Decompresses what was read, to the end of its frame at most."""
        if self._frame is None:
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
        try:
            self._text = self._frame.decompress(self._compressed)
        except self._zstandard.ZstdError as error:
            raise EOFError(str(error)) from error

        self._compressed = self._frame.unused_data
        if self._frame.eof:
            self._frame = None


@contextmanager
def sides(shards: list[Shard]) -> Iterator[tuple[Iterator[bytes], Iterator[bytes]]]:
    """A block with the lines of both sides, shard after shard, as they are encoded.

    Raises:
        DataError: a line of a file of both has not two columns.
    """
    if all(shard.source == shard.target for shard in shards):
        first, second = itertools.tee(_columns(shards))
        yield (pair[0] for pair in first), (pair[1] for pair in second)
        return
    yield _lines([shard.source for shard in shards]), _lines([shard.target for shard in shards])


def _lines(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with opened(path) as file:
            yield from raw_lines(file)


def _columns(shards: list[Shard]) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of files that hold both sides."""
    for shard in shards:
        with opened(shard.source) as file:
            for number, line in enumerate(raw_lines(file), 1):
                columns = line.split(b"\t")
                if len(columns) != 2:
                    expected = "expected two columns with a tab between"
                    place = f"{shard.source}, line {number}"
                    raise DataError(f"{place}: {expected}. Received: {len(columns)}.")
                yield (columns[1], columns[0]) if shard.target_first else (columns[0], columns[1])


def checked_count(shards: list[Shard]) -> int:
    """The pairs of shards, all of which are read: they must be UTF-8, and have two sides.

    Raises:
        DataError: a line is no text, both sides of a shard differ in lines, or there is no pair.
    """
    total = 0
    for shard in shards:
        counts = [_count_lines(path) for path in shard.files]
        if len(set(counts)) > 1:
            expected = "both sides of a split need the same number of lines"
            names = f"{shard.source.name} has {counts[0]}, {shard.target.name} has {counts[1]}"
            raise DataError(f"{shard.source.parent}: {expected}. Received: {names}.")
        if shard.source == shard.target:
            collections.deque(_columns([shard]), maxlen=0)
        total += counts[0]
    return total


def _count_lines(path: Path) -> int:
    """Reads a file once, line by line, checks that it is UTF-8 and counts its lines."""
    try:
        with opened(path) as file:
            return sum(1 for _ in iterate_lines(file, str(path)))
    except DataError:
        raise
    except ValueError as error:
        raise DataError(str(error)) from error


def chunks(shards: list[Shard]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """The pairs of shards, `CHUNK` at a time, from several shards in turn."""
    waiting = iter(shards)
    reading = collections.deque(
        _chunks_of(shard) for shard in itertools.islice(waiting, SHARDS_AT_A_TIME)
    )
    while reading:
        shard = reading.popleft()
        chunk = next(shard, None)
        if chunk is not None:
            yield chunk
            reading.append(shard)
        else:
            reading.extend(_chunks_of(one) for one in itertools.islice(waiting, 1))


def _chunks_of(shard: Shard) -> Iterator[tuple[list[bytes], list[bytes]]]:
    with sides([shard]) as (sources, targets):
        while chunk := list(itertools.islice(sources, CHUNK)):
            yield chunk, list(itertools.islice(targets, CHUNK))
