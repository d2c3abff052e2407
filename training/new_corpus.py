"""New corpora: pairs that are made of a corpus, written as a folder to train on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.files import atomic_folder, atomic_write, make_folder, one_line

from .data import DEV_SPLITS, Corpus

Pair = tuple[str, str]


def check_output(output: Path) -> None:
    """Makes sure, before there is work, that a folder can be written.

    Raises:
        ValueError: it holds something.
        OSError: it cannot be made, or another cannot take its place.
    """
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    require(empty, "output", "an empty folder, or nothing yet", str(output))

    make_folder(output)
    output.rmdir()  # a folder that another cannot take the place of, as a mount, shows now


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


def file_name(split: str) -> str:
    """The split in names of files; TFDS can slice splits, as in "train[:90%]"."""
    return split.partition("[")[0]


def dev_name(dev_split: str, train_split: str) -> str:
    """The dev split in names of files; it may be a slice of the same split as the training's."""
    name = file_name(dev_split)
    return DEV_SPLITS[0] if name == file_name(train_split) else name


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


def write_folder(output: Path, corpus: Corpus, splits: Mapping[str, Sequence[Pair]]) -> None:
    """Writes both sides of all splits into a new folder, which is there when they all are."""
    with atomic_folder(output) as folder:
        for split, pairs in splits.items():
            for side, language in enumerate(corpus.languages):
                lines = (pair[side] for pair in pairs)
                write_lines(folder / f"{language}.{split}.txt", lines)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes a text a line, whole or not at all."""
    with atomic_write(path) as temporary:
        content = "".join(f"{line}\n" for line in lines)
        temporary.write_text(content, encoding="utf-8", newline="\n")
