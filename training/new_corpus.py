"""New corpora: pairs that are made of a corpus, written as a folder to train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from attention_nmt.checks import require
from attention_nmt.files import atomic_folder, atomic_write, make_folder, one_line

from .data import DEV_SPLITS, Corpus

Pair = tuple[str, str]


class Split(NamedTuple):
    """The pairs of a split."""

    name: str
    pairs: Sequence[Pair]


def check_empty(output: Path) -> None:
    """Makes sure, before anything else, that nothing lies where a corpus is to be written.

    Raises:
        ValueError: it holds something.
    """
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    require(empty, "output", "an empty folder, or nothing yet", str(output))


def check_writable(output: Path) -> None:
    """Makes sure, before there is work, that a folder can be written.

    Raises:
        OSError: it cannot be made, or another cannot take its place, as of a mount.
    """
    make_folder(output)
    output.rmdir()


def parts_folder(output: Path) -> Path:
    """The hidden folder beside `output` for what a command that is stopped has made so far."""
    return output.parent / f".{output.name}.parts"


def read_pairs(corpus: Corpus, split: str) -> list[Pair]:
    """The pairs of a split, each side on one line."""
    sources, targets = corpus.texts(split)
    return [
        (one_line(source), one_line(target))
        for source, target in zip(sources, targets, strict=True)
    ]


def add_new(pairs: dict[Pair, None], made: Iterable[Pair]) -> int:
    """Adds pairs that are not there yet and of which no side is blank.

    Args:
        pairs: what is there, in the order in which it was added.
        made: what to add.

    Returns:
        The number of pairs that were added.
    """
    before = len(pairs)
    for source, target in made:
        if source.strip() and target.strip():
            pairs[source, target] = None
    return len(pairs) - before


def write_folder(output: Path, languages: tuple[str, str], train: Split, dev: Split) -> None:
    """Writes both sides of both splits into a new folder, which is there when they all are."""
    names = file_names(train.name, dev.name)
    with atomic_folder(output) as folder:
        for name, pairs in zip(names, (train.pairs, dev.pairs), strict=True):
            for side, language in enumerate(languages):
                lines = (pair[side] for pair in pairs)
                write_lines(folder / f"{language}.{name}.txt", lines)


def file_names(train: str, dev: str) -> tuple[str, str]:
    """Two splits in names of files; TFDS can slice splits, as in "train[:90%]".

    Where both are slices of one split, the dev split gets another name that is one.
    """
    first, second = (split.partition("[")[0] for split in (train, dev))
    if first == second:
        second = next(name for name in DEV_SPLITS if name != first)
    return first, second


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes a text a line, whole or not at all."""
    with atomic_write(path) as temporary:
        content = "".join(f"{line}\n" for line in lines)
        temporary.write_text(content, encoding="utf-8", newline="\n")
