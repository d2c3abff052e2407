"""Pairs in capitals and in title case, as headlines, labels and forms have them.

A model that was trained on running text has hardly seen a word in capitals, which its vocabulary
spells letter by letter: it translates `THE RED DRESS` by whatever is likely.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

FIRST_LETTER = re.compile(r"(?<!\S)([^\w\s]*)([^\W\d_])")
"""The letter that a word begins with, and the punctuation before it."""

CHUNK = 1024
"""The texts for which numbers are drawn together."""


def capitals(text: str) -> str:
    """A text in capitals, by Unicode's rules: those of Turkish, whose i keeps its dot, differ."""
    return text.upper()


def title_case(text: str) -> str:
    """A text whose words each begin with a capital."""
    return FIRST_LETTER.sub(lambda found: found[1] + found[2].title(), text)


def recased_pairs(
    pairs: Sequence[tuple[str, str]], share: float, seed: Sequence[int]
) -> list[tuple[str, str]]:
    """Pairs of which some are in capitals and some in title case, both sides alike.

    A pair with a side that has no letters with case, such as a Chinese one, stays as it is: that
    side could not tell a model which case is wanted.

    Args:
        pairs: sources and targets.
        share: the probability that a pair is recased, into capitals and title case equally often.
        seed: integers; the same ones recase the same pairs in any process.
    """
    recased = []
    for pair, recase in zip(pairs, _draws(len(pairs), share, seed), strict=True):
        if recase is not None and all(map(_has_case, pair)):
            source, target = pair
            pair = (recase(source), recase(target))
        recased.append(pair)

    return recased


def recased_texts(texts: Iterable[str], share: float, seed: int) -> Iterator[str]:
    """Texts of which some are in capitals and some in title case, for a vocabulary.

    Args:
        texts: the texts.
        share: the probability that a text is recased, into capitals and title case equally often.
        seed: the same one recases the same texts in any process.
    """
    remaining = iter(texts)
    for index in itertools.count():
        chunk = list(itertools.islice(remaining, CHUNK))
        if not chunk:
            return

        for text, recase in zip(chunk, _draws(len(chunk), share, (seed, index)), strict=True):
            yield text if recase is None else recase(text)


def _draws(count: int, share: float, seed: Sequence[int]) -> list[Callable[[str], str] | None]:
    """The recasing that each of some texts gets, or none."""
    numbers = np.random.default_rng(list(seed)).random(count)
    drawn: list[Callable[[str], str] | None] = []
    for number in numbers.tolist():
        if number >= share:
            drawn.append(None)
        else:
            drawn.append(capitals if number < share / 2 else title_case)

    return drawn


def _has_case(text: str) -> bool:
    return text.upper() != text.lower()
