"""Files of lines in chunks: each is translated by itself, written whole, and found again."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attention_nmt.checks import require
from attention_nmt.files import atomic_write, read_record
from attention_nmt.text_files import decode, raw_lines

from .lines import Translate, translate_lines

DONE = "batch.json"
"""The file of an output folder that says which of its files are whole, and of which task."""

LOG = "batch.log"
"""The file of an output folder with what the processes printed."""

LONGEST_DEAD = 200
"""The most bytes of a dead line that are shown."""


class Chunk(NamedTuple):
    """Some lines of a file that follow one another."""

    file: str  # that they are read from
    first: int  # the number of the first line, from 1
    offset: int  # its place in the file, in bytes
    lines: int
    output: str  # the file for their translations

    @property
    def dead(self) -> Path:
        """The file for the lines that were not translated, or not whole."""
        return Path(f"{self.output}.dead")


class Job(NamedTuple):
    """A file to be translated."""

    file: Path
    output: Path
    parts: Path
    """The folder of its chunks. Its name tells the task from others."""

    @property
    def dead(self) -> Path:
        """The file for all lines that were not translated, or not whole."""
        return self.output.with_name(f"{self.output.name}.dead.tsv")


def jobs(files: Sequence[Path], output: Path, task: str) -> list[Job]:
    """The files that are not yet translated.

    Args:
        files: those to be translated.
        output: the folder for the translations.
        task: tells this translation from others: what another one has written is written anew.

    Raises:
        ValueError: two files have one name, or that of a file of the output folder, or a file
            would be written over.
    """
    names = [path.name for path in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, "input", "files of different names", twice)
    taken = sorted({DONE, LOG} & set(names))
    require(not taken, "input", f"files of other names than {DONE} and {LOG}", taken)
    over = [str(path) for path in files if path.resolve().parent == output.resolve()]
    require(not over, "output", "another folder than the input's", over[:5])

    done = read_record(output / DONE) if (output / DONE).is_file() else {}
    found = []
    for path in files:
        identity = _identity(path, task)
        target = output / path.name
        if done.get(path.name) != identity or not target.is_file():
            found.append(Job(path, target, output / f".{path.name}.{identity[:12]}.parts"))
    return found


def _identity(path: Path, task: str) -> str:
    about = path.stat()
    text = f"{task}\0{path.resolve()}\0{about.st_size}\0{about.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()


def chunks(job: Job, lines: int) -> Iterator[Chunk]:
    """The chunks of a file, of a number of lines each."""
    first = 1
    offset = 0
    with job.file.open("rb") as file:
        while True:
            sizes = [len(line) for line in itertools.islice(file, lines)]
            if not sizes:
                return
            output = str(job.parts / f"{first:012}-{len(sizes)}.txt")
            yield Chunk(str(job.file), first, offset, len(sizes), output)
            first += len(sizes)
            offset += sum(sizes)


def translate_chunk(chunk: Chunk, translate: Translate, *, batch_size: int, document: bool) -> None:
    """Translates the lines of a chunk and writes them, unless that was done before.

    A line that is no UTF-8 stays empty. It is named in the file of dead lines, as is one that was
    translated in part.
    """
    if Path(chunk.output).is_file():
        return

    dead: list[tuple[int, str, bytes]] = []
    raw = _read(chunk)
    texts = []
    for number, line in enumerate(raw, chunk.first):
        try:
            texts.append(decode(line, f"line {number}"))
        except ValueError as error:
            dead.append((number, str(error), line))
            texts.append("")

    def report(number: int, fault: str) -> None:
        dead.append((number, fault, raw[number - chunk.first]))

    translations = translate_lines(
        texts,
        translate,
        batch_size=batch_size,
        document=document,
        done=chunk.first - 1,
        report=report,
    )
    _write(Path(chunk.output), (line.encode() for line in translations), dead, chunk.dead)


def _read(chunk: Chunk) -> list[bytes]:
    with Path(chunk.file).open("rb") as file:
        if not chunk.offset:
            return list(itertools.islice(raw_lines(file), chunk.lines))
        file.seek(chunk.offset)
        lines = itertools.islice(file, chunk.lines)
        return [line.removesuffix(b"\n").removesuffix(b"\r") for line in lines]


def _write(
    path: Path, lines: Iterator[bytes], dead: list[tuple[int, str, bytes]], dead_path: Path
) -> None:
    with atomic_write(path) as temporary:
        with temporary.open("wb") as file:
            file.writelines(line + b"\n" for line in lines)

        # It is complete behind the last line, and is to be there before the lines are.
        if dead:
            rows = [f"{number}\t{fault}\t{_shown(line)}\n" for number, fault, line in sorted(dead)]
            with atomic_write(dead_path) as temporary_dead:
                temporary_dead.write_text("".join(rows), encoding="utf-8")


def _shown(line: bytes) -> str:
    """A line in one column, with what is no UTF-8 as escapes."""
    text = line[:LONGEST_DEAD].decode(errors="backslashreplace")
    return text.replace("\t", " ").replace("\r", " ")


def join(job: Job, parts: Sequence[Chunk], task: str) -> int:
    """Writes a file whose chunks are all there, removes them, and notes that it is done.

    Returns:
        The number of its dead lines.
    """
    with atomic_write(job.output) as temporary, temporary.open("wb") as file:
        for part in parts:
            with Path(part.output).open("rb") as written:
                shutil.copyfileobj(written, file)

    rows = [part.dead.read_text(encoding="utf-8") for part in parts if part.dead.is_file()]
    if rows:
        with atomic_write(job.dead) as temporary:
            temporary.write_text("".join(rows), encoding="utf-8")
    else:
        job.dead.unlink(missing_ok=True)

    record = job.output.parent / DONE
    done = read_record(record) if record.is_file() else {}
    with atomic_write(record) as temporary:
        noted = {**done, job.file.name: _identity(job.file, task)}
        temporary.write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(job.parts, ignore_errors=True)
    return sum(row.count("\n") for row in rows)
