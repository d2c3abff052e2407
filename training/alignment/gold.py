"""Word alignments that a dataset has beside its texts: hand-made or generated links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import tensorflow_datasets as tfds

from attention_nmt.text_files import read_lines

from ..data import Corpus, DataError, prepared_builder
from .links import Link


class GoldPair(NamedTuple):
    """A sentence pair with hand-made or generated alignment links."""

    source_words: list[str]
    target_words: list[str]
    links: frozenset[Link]  # sure ones, (source word, target word), counted from 0
    possible: frozenset[Link] = frozenset()  # links that are neither right nor wrong


def gold_pairs(corpus: Corpus, split: str) -> list[GoldPair] | None:
    """The words and gold links of a split where the dataset has them, else None.

    A folder has them in a file `align.SPLIT.txt`. Each of its lines has the links of a pair, `i-j`
    for a sure and `i?j` for a possible one, where `i` counts the words of the language that is
    first in the alphabet. Words are what white space separates, no-break spaces included, which
    tokenizers read as spaces.

    Raises:
        DataError: that file is not what it should be.
    """
    if Path(corpus.dataset).is_dir():
        path = Path(corpus.dataset) / f"align.{split}.txt"
        return _folder_gold(corpus, split, path) if path.is_file() else None

    builder = prepared_builder(corpus.dataset, corpus.data_dir)
    source = f"{corpus.source}_words"
    target = f"{corpus.target}_words"
    if not {source, target, "links"} <= set(builder.info.features):
        return None

    found = []
    for example in tfds.as_numpy(builder.as_dataset(split=split)):
        links = example["links"].tolist()
        pair = GoldPair(
            source_words=[word.decode() for word in example[source]],
            target_words=[word.decode() for word in example[target]],
            links=frozenset(_in_direction(corpus, (first, second)) for first, second in links),
        )
        found.append(pair)
    return found


def _in_direction(corpus: Corpus, link: Link) -> Link:
    """A link as (source, target); links are written in the alphabetical order of the languages."""
    first, second = link
    return (second, first) if corpus.source > corpus.target else link


def _folder_gold(corpus: Corpus, split: str, path: Path) -> list[GoldPair]:
    try:
        lines = read_lines(path)
    except ValueError as error:
        raise DataError(str(error)) from error

    sources, targets = corpus.texts(split)
    if len(lines) != len(sources):
        expected = f"expected a line for each of {len(sources)} pairs"
        raise DataError(f"{path}: {expected}. Received: {len(lines)}.")

    found = []
    rows = zip(lines, sources, targets, strict=True)
    for number, (line, source, target) in enumerate(rows, 1):
        try:
            found.append(_read_pair(corpus, line, source.split(), target.split()))
        except DataError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
    return found


def _read_pair(
    corpus: Corpus, line: str, source_words: list[str], target_words: list[str]
) -> GoldPair:
    links: dict[str, set[Link]] = {"-": set(), "?": set()}
    for text in line.split():
        match = re.fullmatch(r"(\d+)([-?])(\d+)", text, re.ASCII)
        link = _in_direction(corpus, (int(match[1]), int(match[3]))) if match else None
        if match is None or link is None or not _exists(link, source_words, target_words):
            words = f"{len(source_words)} source and {len(target_words)} target words"
            raise DataError(f"expected links i-j or i?j between {words}. Received: {text!r}.")
        links[match[2]].add(link)

    return GoldPair(
        source_words=source_words,
        target_words=target_words,
        links=frozenset(links["-"]),
        possible=frozenset(links["?"]),
    )


def _exists(link: Link, source_words: list[str], target_words: list[str]) -> bool:
    source, target = link
    return source < len(source_words) and target < len(target_words)
