"""Texts with gaps, and what was in them: for a model that writes texts like those of a corpus.

Source: the infilling of Lewis et al. (2020), arXiv 1910.13461, section 2.2: a gap of any number of
words is one mark. Its gaps are of lengths drawn by Poisson; here each word is drawn by itself.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator

GAP = "_"
"""What stands for the words of a gap. A text's own word of this kind is in one."""

CHANCES = (0.3, 0.8)
"""Between these the chance is drawn, for each text, by which a word of it is left out."""


def with_gaps(text: str, draw: random.Random) -> str:
    """A text of which some words are gaps; neighbouring gaps are one.

    Args:
        text: words with spaces between.
        draw: of the chance, and of the words that are left out.

    Returns:
        The text with at least one gap, if it has a word.
    """
    words = text.split()
    if not words:
        return text

    chance = draw.uniform(*CHANCES)
    left_out = [draw.random() < chance or word == GAP for word in words]
    if not any(left_out):
        left_out[draw.randrange(len(words))] = True

    kept: list[str] = []
    for gap, run in itertools.groupby(zip(words, left_out, strict=True), key=lambda pair: pair[1]):
        kept += [GAP] if gap else [word for word, _ in run]
    return " ".join(kept)


def gapped(texts: Iterable[str], copies: int, seed: int) -> Iterator[tuple[str, str]]:
    """Texts with gaps, each with the whole text.

    Args:
        texts: the texts.
        copies: how often each comes, with other gaps.
        seed: of what is drawn.
    """
    draw = random.Random(seed)
    for text in texts:
        for _ in range(copies):
            yield with_gaps(text, draw), text
