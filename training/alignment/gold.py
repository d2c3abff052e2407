"""Word alignments that a dataset has beside its texts: hand-made or generated links between
words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import tensorflow_datasets as tfds

from ..data import Corpus, DataError, prepared_builder


class GoldPair(NamedTuple):
    """A sentence pair with hand-made or generated alignment links."""

    source_words: list[str]
    target_words: list[str]
    links: frozenset[tuple[int, int]]  # sure ones, (source word, target word), counted from 0
    possible: frozenset[tuple[int, int]] = frozenset()  # links that are neither right nor wrong


def gold_pairs(corpus: Corpus, split: str) -> list[GoldPair] | None:
    """The words and gold links of a split where the dataset has them, else None.

    A folder has them in a file `align.SPLIT.txt`: on each line links between words, which are what
    white space separates (no-break spaces, too, which tokenizers read as spaces), `i-j` for a sure
    and `i?j` for a possible one; `i` counts the words of the language that is first in the
    alphabet.

    Raises:
        DataError: that file is not what it should be.
    """
    if Path(corpus.dataset).is_dir():
        path = Path(corpus.dataset) / f"align.{split}.txt"
        return _folder_gold(corpus, split, path) if path.is_file() else None
    builder = prepared_builder(corpus.dataset, corpus.data_dir)
    names = (f"{corpus.source}_words", f"{corpus.target}_words")
    if not {*names, "links"} <= set(builder.info.features):
        return None
    backwards = names[0] > names[1]  # links are written in the alphabetical order of the languages
    found = []
    for example in tfds.as_numpy(builder.as_dataset(split=split)):
        words = [[word.decode() for word in example[name]] for name in names]
        links = frozenset(
            (int(t), int(s)) if backwards else (int(s), int(t)) for s, t in example["links"]
        )
        found.append(GoldPair(words[0], words[1], links))
    return found


def _folder_gold(corpus: Corpus, split: str, path: Path) -> list[GoldPair]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8. Received: {error}.") from error
    texts = list(zip(*corpus.texts(split), strict=True))
    if len(lines) != len(texts):
        raise DataError(
            f"{path}: expected a line for each of {len(texts)} pairs. Received: {len(lines)}."
        )
    backwards = corpus.source > corpus.target
    found = []
    for number, (line, (source, target)) in enumerate(zip(lines, texts, strict=True), 1):
        words = (source.split(), target.split())
        links: dict[str, set[tuple[int, int]]] = {"-": set(), "?": set()}
        for link in line.split():
            match = re.fullmatch(r"(\d+)([-?])(\d+)", link, re.ASCII)
            i, j = (int(match[1]), int(match[3])) if match else (-1, -1)
            i, j = (j, i) if backwards else (i, j)
            if match is None or i >= len(words[0]) or j >= len(words[1]):
                expected = f"links i-j or i?j between {len(words[0])} source and {len(words[1])} target words"
                raise DataError(f"{path}, line {number}: expected {expected}. Received: {link!r}.")
            links[match[2]].add((i, j))
        found.append(GoldPair(*words, frozenset(links["-"]), frozenset(links["?"])))
    return found
