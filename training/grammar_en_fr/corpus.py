"""The splits: which sentences, in which order, from which seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

from attention_nmt.checks import require

from .phrases import Pair
from .sampler import Sampler
from .sentences import long_text, text

LONGEST = 20
"""English words of the longest sentence in train, validation and test, punctuation included."""

HELD_OUT = frozenset({"the red dress"})
"""What the demo translates: in no split, with or without capitals and mark."""


class Split(NamedTuple):
    """A split: its seed, its number of pairs, and the splits it shares no English sentence with."""

    seed: int
    size: int
    apart_from: tuple[str, ...] = ()


SPLITS = {
    "train": Split(seed=1409, size=30_000, apart_from=("validation", "test", "test_long")),
    "validation": Split(seed=473, size=1_000, apart_from=("test", "test_long")),
    "test": Split(seed=2015, size=1_000, apart_from=("test_long",)),
    "test_long": Split(seed=50, size=300),
}


def generate(split: str) -> Iterator[Pair]:
    """The pairs of a split, without duplicates, always the same ones in the same order.

    Args:
        split: a name in `SPLITS`.

    Raises:
        ValueError: the split does not exist.
    """
    require(split in SPLITS, "split", f"one of {', '.join(SPLITS)}", split)
    seed, size, apart_from = SPLITS[split]

    seen = set(HELD_OUT)
    for other in apart_from:
        seen |= _keys(other)
    return islice(_fresh(_draw(split, random.Random(seed)), seen), size)


def key(sentence: str) -> str:
    """The sentence without capitals and its final mark, by which two of them count as one."""
    return sentence.lower().rstrip(".?")


@cache
def _keys(split: str) -> frozenset[str]:
    return frozenset(key(pair.en) for pair in generate(split))


def _draw(split: str, rng: random.Random) -> Iterator[Pair]:
    """Pairs without end; some may come twice."""
    sampler = Sampler(rng)
    while True:
        if split == "test_long":
            yield long_text(sampler, shortest=2 * LONGEST, longest=4 * LONGEST).realize()
            continue
        phrase = text(sampler)
        if len(phrase.en) <= LONGEST:
            yield phrase.realize()


def _fresh(pairs: Iterator[Pair], seen: set[str]) -> Iterator[Pair]:
    """The pairs whose sentence is not in `seen`, which grows."""
    for pair in pairs:
        sentence = key(pair.en)
        if sentence not in seen:
            seen.add(sentence)
            yield pair
