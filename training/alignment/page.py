"""Alignments as a page to point at: one HTML file that asks no network for anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attention_nmt.checks import require

TEMPLATE = Path(__file__).with_name("alignments.html")


class AlignedPair(NamedTuple):
    """A source, its translation, and what was read for each word of it."""

    source_words: Sequence[str]
    target_words: Sequence[str]
    weights: np.ndarray  # [target words, source words]
    reference: str


def alignment_page(
    title: str, about: str, languages: tuple[str, str], pairs: Sequence[AlignedPair]
) -> str:
    """A page on which pointing at a target word lights up the source words that it read.

    Pointing at a source word lights up the target words that read it.

    Args:
        title: the page's heading.
        about: what the page is to say of its sentences, in a sentence or two.
        languages: codes of the source's and the target's.
        pairs: in the order in which they are shown. Weights are written in percent, to a tenth.

    Raises:
        ValueError: the shape of a pair's weights is not that of its words.
    """
    content = {
        "title": title,
        "about": about,
        "languages": languages,
        "sentences": [_sentence(number, pair) for number, pair in enumerate(pairs)],
    }
    text = json.dumps(content, ensure_ascii=False)
    # Within a script "<" could begin its end, or a comment; in JSON it occurs in strings only.
    text = text.replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("DATA", text, 1)


def _sentence(number: int, pair: AlignedPair) -> dict[str, Any]:
    shape = (len(pair.target_words), len(pair.source_words))
    expected = f"of shape (target, source) = {shape}"
    require(pair.weights.shape == shape, f"weights of pair {number}", expected, pair.weights.shape)

    percents = 100 * np.asarray(pair.weights, np.float64)
    return {
        "source": list(pair.source_words),
        "target": list(pair.target_words),
        "weights": np.round(percents, 1).tolist(),
        "reference": pair.reference,
    }
