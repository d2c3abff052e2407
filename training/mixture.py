"""Several corpora that are trained on together."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from attention_nmt.checks import require

from .data import Corpus
from .text_folder import CHUNK


class Part(NamedTuple):
    """A corpus of a mixture."""

    corpus: Corpus
    times: int
    """The number of times that an epoch reads it."""


@dataclass(frozen=True)
class Mixture:
    """Corpora whose training splits are read together, each as often as its weight says.

    Pairs of all parts are spread evenly over an epoch. Dev and test splits are those of the first.

    Attributes:
        parts: the corpora.
    """

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, dataset: str, source: str, target: str, data_dir: str | None = None) -> Mixture:
        """The corpora of a setting `dataset`.

        Args:
            dataset: folders or TFDS names with commas between, each with `=N` behind it where it
                is read `N` times.
            source: the language to translate from.
            target: the language to translate to.
            data_dir: where TFDS keeps prepared datasets.

        Raises:
            ValueError: a name is missing or comes twice, or a weight is no number of at least 1.
        """
        # A folder may have commas in its name.
        given = [dataset] if Path(dataset).is_dir() else dataset.split(",")
        parts = []
        for one in given:
            name, times = (one, "1") if Path(one).is_dir() else _weighted(one.strip())
            expected = (
                "names with commas between, each with `=N` behind it where it is read N times"
            )
            fits = bool(name) and times.isdecimal() and int(times) >= 1
            require(fits, "dataset", expected, dataset)
            parts.append(Part(Corpus(name, source, target, data_dir), int(times)))

        names = [part.corpus.dataset for part in parts]
        require(len(set(names)) == len(names), "dataset", "each name once", dataset)
        return cls(tuple(parts))

    @property
    def first(self) -> Corpus:
        """The corpus whose dev and test splits are used."""
        return self.parts[0].corpus

    def pairs(self, split: str) -> tf.data.Dataset:
        """The pairs of a split of all parts, as scalar strings `(source, target)`.

        Raises:
            DataError: as `Corpus.pairs`.
        """
        datasets = [part.corpus.pairs(split).repeat(part.times) for part in self.parts]
        if len(datasets) == 1:
            return datasets[0]

        counts = [part.corpus.count(split) * part.times for part in self.parts]

        def choices() -> Iterator[np.ndarray]:
            order = spread(counts)
            while chosen := list(itertools.islice(order, CHUNK)):
                yield np.array(chosen, np.int64)

        spec = tf.TensorSpec([None], tf.int64)
        choice = tf.data.Dataset.from_generator(choices, output_signature=spec).unbatch()
        return tf.data.Dataset.choose_from_datasets(datasets, choice, stop_on_empty_dataset=False)

    def fingerprint(self, split: str) -> dict[str, str]:
        """Tells the texts of a split of all parts from others; see `Corpus.fingerprint`."""
        if len(self.parts) == 1 and self.parts[0].times == 1:
            return self.first.fingerprint(split)

        found = {}
        for number, part in enumerate(self.parts):
            found[f"{number}, times"] = str(part.times)
            sums = part.corpus.fingerprint(split)
            found |= {f"{number}, {name}": value for name, value in sums.items()}
        return found


def _weighted(text: str) -> tuple[str, str]:
    """A name and the number behind it."""
    name, _, times = text.partition("=")
    return name, times if "=" in text else "1"


def spread(counts: Sequence[int]) -> Iterator[int]:
    """The numbers of the parts, each as often as its count, spread evenly."""

    def places(part: int, count: int) -> Iterator[tuple[float, int]]:
        return (((index + 0.5) / count, part) for index in range(count))

    for _, part in heapq.merge(*itertools.starmap(places, enumerate(counts))):
        yield part
