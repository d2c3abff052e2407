"""What a model's attention says of given pairs: links between words, their error rate, and the
habits of attention."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import numpy as np

from attention_nmt.translation.translator import Translator

from ..data import Corpus
from ..scoring.languages import spaced
from .gold import GoldPair
from .links import Link, align, alignment_error_rate, diagonal_links, grow_diagonal, word_weights
from .page import AlignedPair

MOST = 0.9
"""The share of a word's weight that `Habits.source_words` counts words for."""


class WordWeights(NamedTuple):
    """Attention between the words of one pair, [target words, source words]."""

    same: np.ndarray  # while a piece is written
    later: np.ndarray  # one step later, by a query that has seen what was read for the piece


class Habits(NamedTuple):
    """How attention behaves, averaged over all target words."""

    source_words: float  # how many source words hold nine tenths of a target word's weight
    moves_back: float  # how often, in percent, the most read word stands before that of the target word before
    stays: float  # target words in a row that read the same word most


def between_words(
    translator: Translator,
    sources: Sequence[str],
    targets: Sequence[str],
    words: Sequence[tuple[list[str], list[str]]],
) -> list[WordWeights | None]:
    """The weights between words, by forced decoding.

    Args:
        words: the source and the target words of each pair.

    Returns:
        One for each pair; None where the words are not what the tokenizer spells (a cut source, an
        empty side).
    """
    tokenizers, found = (
        (translator.source_tokenizer, translator.target_tokenizer),
        list[WordWeights | None](),
    )
    for pair, alignment in zip(words, translator.align(sources, targets), strict=True):
        source, target = (
            [t.normalize(w) for w in side] for t, side in zip(tokenizers, pair, strict=True)
        )
        tokens = alignment.target_tokens[:-1]  # what the end symbol reads is no link
        rows = (alignment.weights[:-1], alignment.weights[1:])
        try:
            parts = (
                word_weights(part, tokens, alignment.source_tokens, target, source) for part in rows
            )
            weights = WordWeights(*parts)
        except ValueError:
            found.append(None)
        else:
            found.append(weights if all(weights.same.shape) else None)
    return found


def attended(
    translator: Translator,
    corpus: Corpus,
    sources: Sequence[str],
    targets: Sequence[str],
    references: Sequence[str],
) -> list[AlignedPair]:
    """What was read for the words of each target, by forced decoding; for its pieces, if spaces
    separate no words.

    Pairs whose words are not what the tokenizer spells are left out: those with an empty side or a
    cut source.
    """
    if not (spaced(corpus.source) and spaced(corpus.target)):
        found = zip(translator.align(sources, targets), references, strict=True)
        return [
            AlignedPair(a.source_tokens, a.target_tokens, a.weights, reference)
            for a, reference in found
        ]
    words = [
        (source.split(), target.split()) for source, target in zip(sources, targets, strict=True)
    ]
    weights = between_words(translator, sources, targets, words)
    rows = zip(words, weights, references, strict=True)
    return [
        AlignedPair(*pair, found.same, reference)
        for pair, found, reference in rows
        if found is not None
    ]


def habits(weights: Sequence[np.ndarray]) -> Habits:
    """The habits of attention between words, from [target words, source words] of each pair.

    Rows are taken as shares of the weight that lies on words.

    Raises:
        ValueError: there is no target word.
    """
    counts, back, moves, runs, words = 0.0, 0, 0, 0, 0
    for rows in weights:
        largest = np.sort(rows, axis=1)[:, ::-1]
        shares = np.cumsum(largest, axis=1) / np.maximum(largest.sum(axis=1, keepdims=True), 1e-12)
        counts += float((shares < MOST).sum() + len(rows))
        steps = np.diff(rows.argmax(axis=1))
        back, moves = back + int((steps < 0).sum()), moves + len(steps)
        runs, words = runs + 1 + int((steps != 0).sum()), words + len(rows)
    if not words:
        raise ValueError("weights must hold at least one target word. Received: none.")
    return Habits(counts / words, 100 * back / max(moves, 1), words / runs)


def error_rates(
    translator: Translator,
    gold: Sequence[GoldPair],
    sources: list[str],
    targets: list[str],
    reverse: Translator | None = None,
) -> dict[str, Any]:
    """The alignment error rates of forced decoding, in percent, and that of aligning along the
    diagonal.

    "later" takes the weights one step after a piece was written; with the translator of the other
    direction, `reverse`, both directions' links are symmetrized by `grow_diagonal`. Pairs whose
    words are not what a tokenizer spells are left out and counted.
    """
    words = [(list(pair.source_words), list(pair.target_words)) for pair in gold]
    forward = between_words(translator, sources, targets, words)
    backward: Sequence[WordWeights | None] = [None] * len(gold)
    if reverse is not None:
        backward = between_words(reverse, targets, sources, [(t, s) for s, t in words])
    used = [i for i, f in enumerate(forward) if f and (reverse is None or backward[i])]
    report: dict[str, Any] = {"AER pairs left out": len(gold) - len(used)}
    if not used:
        return report
    sure, possible = [gold[i].links for i in used], [gold[i].possible for i in used]
    for name in WordWeights._fields:
        end = "" if name == "same" else " later"
        links: list[AbstractSet[Link]] = [align(getattr(forward[i], name)) for i in used]
        report[f"AER{end}"] = alignment_error_rate(links, sure, possible)
        if reverse is not None:
            other = [{(s, t) for t, s in align(getattr(backward[i], name))} for i in used]
            report[f"AER of the other direction{end}"] = alignment_error_rate(other, sure, possible)
            both = [grow_diagonal(one, two) for one, two in zip(links, other, strict=True)]
            report[f"AER of both{end}"] = alignment_error_rate(both, sure, possible)
    diagonal = [diagonal_links(len(gold[i].source_words), len(gold[i].target_words)) for i in used]
    return {**report, "diagonal AER": alignment_error_rate(diagonal, sure, possible)}
