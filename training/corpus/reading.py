"""The pairs of a split, some thousand at a time, from a folder of text files or from TFDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from attention_nmt.data.tokenizer import MAXIMUM_CHARACTERS
from attention_nmt.files import one_line

from ..text_folder import checked_count, find, sides

LONGEST = MAXIMUM_CHARACTERS
"""The most characters of a line that is looked at as a whole, and trained on."""

BLOCK = 128
"""Pairs that findings along a file are of: a chunk has a whole number of blocks, but the last."""

_CHUNK_BLOCKS = 32
_CHUNK_BYTES = 2**21


class _NotTextError(ValueError):
    """Lines that are not text."""


class Line(NamedTuple):
    """A line of one side, without white space at its ends."""

    text: bytes
    """In UTF-8, and cut behind `LONGEST` characters and one more."""
    whole: int = 0
    """The characters that it had before it was cut; 0 if it was not."""


class Chunk(NamedTuple):
    """Some pairs that follow one another."""

    first: int
    """The number of the first pair, from 1."""
    source: str
    """The sources, with a newline behind each."""
    target: str
    """The targets, likewise."""
    cut: tuple[dict[int, int], dict[int, int]] = ({}, {})
    """The characters that a line had before it was cut, by its place from 0 on, of both sides."""

    @classmethod
    def of(cls, first: int, sources: Sequence[Line], targets: Sequence[Line]) -> Chunk:
        """Makes a chunk of lines of UTF-8.

        Raises:
            ValueError: a line is something else.
        """
        return cls(
            first=first,
            source=_joined(sources),
            target=_joined(targets),
            cut=(_cut_lines(sources), _cut_lines(targets)),
        )

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs of lines."""
        return zip(self.source.split("\n")[:-1], self.target.split("\n")[:-1], strict=True)


class Split:
    """The pairs of a split.

    Args:
        dataset: a folder of `LANG.SPLIT.txt` files, or a TFDS name.
        languages: those of the sources and the targets.
        name: of the split.
        data_dir: where TFDS keeps prepared datasets.
        whole: leave lines as they are, however long.

    Attributes:
        lines: the lines of both sides, known once all chunks have been read; they differ only in a
            folder that cannot be trained on.
    """

    def __init__(
        self,
        dataset: str,
        languages: tuple[str, str],
        name: str,
        *,
        data_dir: str | None = None,
        whole: bool = False,
    ) -> None:
        self.dataset = dataset
        self.languages = languages
        self.name = name
        self.data_dir = data_dir
        self.lines = (0, 0)
        self._trim = _stripped if whole else _cut

    def chunks(self) -> Iterator[Chunk]:
        """All pairs, in their order.

        Raises:
            ValueError: the dataset, a language or the split does not exist, or a line of a folder
                is not UTF-8; the message is that of a training.
        """
        if not Path(self.dataset).is_dir():
            yield from self._tfds_chunks()
            return

        shards = find(Path(self.dataset), self.name, *self.languages)
        if len(shards) > 1:
            checked_count(shards)  # a side that lacks a line would shift all shards behind it
        try:
            with sides(shards) as (source, target):
                yield from self._file_chunks(source, target)
        except _NotTextError as error:
            self._refuse("UTF-8", error)

    def _file_chunks(self, source: Iterator[bytes], target: Iterator[bytes]) -> Iterator[Chunk]:
        first = 1
        for sources, targets in _blocks_together(source, target, self._trim):
            pairs = min(len(sources), len(targets))
            if pairs:
                yield Chunk.of(first, sources[:pairs], targets[:pairs])

            first += pairs
            left = (len(sources) - pairs, len(targets) - pairs)

            if pairs < max(len(sources), len(targets)):
                self.lines = (
                    first - 1 + left[0] + sum(1 for _ in source),
                    first - 1 + left[1] + sum(1 for _ in target),
                )
                return

        self.lines = (first - 1, first - 1)

    def _tfds_chunks(self) -> Iterator[Chunk]:
        from attention_nmt.data.pipeline import untuned

        from ..data import Corpus

        corpus = Corpus(self.dataset, *self.languages, self.data_dir)
        batches = untuned(corpus.pairs(self.name).batch(BLOCK * _CHUNK_BLOCKS))
        first = 1
        for texts in batches.as_numpy_iterator():
            sources, targets = ([self._trim(_valid(text)) for text in side] for side in texts)
            yield Chunk.of(first, sources, targets)
            first += len(sources)

        self.lines = (first - 1, first - 1)

    def _refuse(self, expected: str, received: object) -> None:
        """Lets a training's own checks find the fault, and raises an error in any case."""
        from ..data import Corpus

        Corpus(self.dataset, *self.languages, self.data_dir).pairs(self.name)
        raise ValueError(f"{self.dataset}: expected {expected}. Received: {received}.")


def _blocks_together(
    source: Iterator[bytes], target: Iterator[bytes], trim: Callable[[bytes], Line]
) -> Iterator[tuple[list[Line], list[Line]]]:
    """Lines of both files; one side has fewer only where its file ends."""
    sources: list[Line] = []
    targets: list[Line] = []
    size = 0

    while True:
        new_sources = [trim(line) for line in islice(source, BLOCK)]
        new_targets = [trim(line) for line in islice(target, BLOCK)]
        sources += new_sources
        targets += new_targets
        size += sum(len(line.text) for line in [*new_sources, *new_targets])

        ended = min(len(new_sources), len(new_targets)) < BLOCK
        if ended or size >= _CHUNK_BYTES or len(sources) == BLOCK * _CHUNK_BLOCKS:
            yield sources, targets
            sources = []
            targets = []
            size = 0

        if ended:
            return


def _stripped(line: bytes) -> Line:
    """The line without white space at its ends."""
    return Line(line.strip())


def _cut(line: bytes) -> Line:
    """The line without white space at its ends and without what is far beyond the limit."""
    line = line.strip()
    if len(line) <= LONGEST:
        return Line(line)

    text = _decoded(line)
    if len(text) <= LONGEST + 1:
        return Line(line)
    return Line(text[: LONGEST + 1].encode(), len(text))


def _cut_lines(lines: Sequence[Line]) -> dict[int, int]:
    return {place: line.whole for place, line in enumerate(lines) if line.whole}


def _valid(text: bytes) -> bytes:
    """A text of TFDS as one line of UTF-8."""
    return one_line(text.decode(errors="replace")).encode()


def _joined(lines: Sequence[Line]) -> str:
    return _decoded(b"".join([line.text + b"\n" for line in lines]))


def _decoded(text: bytes) -> str:
    if 4 * text.count(b"\0") > len(text):
        raise _NotTextError("NUL characters, as of UTF-16")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise _NotTextError(str(error)) from error
