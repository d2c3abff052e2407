"""Attention on given pairs: links between words, their error rate, and the habits of attention."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import numpy as np

from attention_nmt.checks import require
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.translation.results import Alignment
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
    """Habits of attention, averaged over all target words."""

    source_words: float  # how many source words hold nine tenths of a target word's weight
    moves_back: float  # percent of moves that go to an earlier source word than the last one
    stays: float  # target words in a row that read the same word most


def weights_between_words(
    translator: Translator,
    sources: Sequence[str],
    targets: Sequence[str],
    words: Sequence[tuple[list[str], list[str]]],
) -> list[WordWeights | None]:
    """The weights between words, by forced decoding.

    Args:
        translator: of a model that aligns.
        sources: one text a pair.
        targets: one text a pair.
        words: the source and the target words of each pair.

    Returns:
        One for each pair; None where the words are not what the tokenizer spells (a cut source, an
        empty side).
    """
    found = []
    for (source_words, target_words), alignment in zip(
        words, translator.align(sources, targets), strict=True
    ):
        source = _normalized(translator.source_tokenizer, source_words)
        target = _normalized(translator.target_tokenizer, target_words)
        found.append(_word_weights(alignment, source, target))
    return found


def _normalized(tokenizer: SourceTokenizer, words: Sequence[str]) -> list[str]:
    return [tokenizer.normalize(word) for word in words]


def _word_weights(
    alignment: Alignment, source: Sequence[str], target: Sequence[str]
) -> WordWeights | None:
    """The weights between the words of one pair; None where pieces spell something else."""
    tokens = alignment.target_tokens[:-1]  # what the end symbol reads is no link

    def between(rows: np.ndarray) -> np.ndarray:
        return word_weights(rows, tokens, alignment.source_tokens, target, source)

    try:
        weights = WordWeights(
            same=between(alignment.weights[:-1]), later=between(alignment.weights[1:])
        )
    except ValueError:
        return None
    return weights if all(weights.same.shape) else None


def aligned_pairs(
    translator: Translator,
    corpus: Corpus,
    sources: Sequence[str],
    targets: Sequence[str],
    references: Sequence[str],
) -> list[AlignedPair]:
    """The source words that were read for the words of each target, by forced decoding.

    It is what was read for its pieces, if spaces separate no words. Pairs whose words are not what
    the tokenizer spells are left out: those with an empty side or a cut source.
    """
    if not (spaced(corpus.source) and spaced(corpus.target)):
        alignments = translator.align(sources, targets)
        return [
            AlignedPair(
                source_words=alignment.source_tokens,
                target_words=alignment.target_tokens,
                weights=alignment.weights,
                reference=reference,
            )
            for alignment, reference in zip(alignments, references, strict=True)
        ]

    texts = zip(sources, targets, strict=True)
    words = [(source.split(), target.split()) for source, target in texts]
    weights = weights_between_words(translator, sources, targets, words)
    return [
        AlignedPair(
            source_words=source_words,
            target_words=target_words,
            weights=found.same,
            reference=reference,
        )
        for (source_words, target_words), found, reference in zip(
            words, weights, references, strict=True
        )
        if found is not None
    ]


def habits(weights: Sequence[np.ndarray]) -> Habits:
    """The habits of attention between words, from [target words, source words] of each pair.

    Rows are taken as shares of the weight that lies on words.

    Raises:
        ValueError: there is no target word.
    """
    counts = 0.0
    moves_back = 0
    moves = 0
    runs = 0
    words = 0
    for rows in weights:
        largest = np.sort(rows, axis=1)[:, ::-1]
        totals = np.maximum(largest.sum(axis=1, keepdims=True), 1e-12)
        shares = np.cumsum(largest, axis=1) / totals
        counts += float((shares < MOST).sum() + len(rows))

        steps = np.diff(rows.argmax(axis=1))
        moves_back += int((steps < 0).sum())
        moves += len(steps)
        runs += 1 + int((steps != 0).sum())
        words += len(rows)

    require(words > 0, "weights", "of at least one target word", words)
    return Habits(
        source_words=counts / words,
        moves_back=100 * moves_back / max(moves, 1),
        stays=words / runs,
    )


def error_rates(
    translator: Translator,
    gold: Sequence[GoldPair],
    sources: list[str],
    targets: list[str],
    reverse: Translator | None = None,
) -> dict[str, Any]:
    """The alignment error rates of forced decoding and of the diagonal, in percent.

    "later" takes the weights one step after a piece was written; with the translator of the other
    direction, `reverse`, both directions' links are symmetrized by `grow_diagonal`. Pairs whose
    words are not what a tokenizer spells are left out and counted.
    """
    words = [(list(pair.source_words), list(pair.target_words)) for pair in gold]
    forward = weights_between_words(translator, sources, targets, words)
    backward = forward
    if reverse is not None:
        turned = [(target_words, source_words) for source_words, target_words in words]
        backward = weights_between_words(reverse, targets, sources, turned)

    used = [i for i in range(len(gold)) if forward[i] is not None and backward[i] is not None]
    report: dict[str, Any] = {"AER pairs left out": len(gold) - len(used)}
    if not used:
        return report

    sure = [gold[i].links for i in used]
    possible = [gold[i].possible for i in used]

    def rate(links: Sequence[AbstractSet[Link]]) -> float:
        return alignment_error_rate(links, sure, possible)

    for name in WordWeights._fields:
        end = "" if name == "same" else " later"
        links = [align(getattr(forward[i], name)) for i in used]
        report[f"AER{end}"] = rate(links)
        if reverse is not None:
            other = [_turned(align(getattr(backward[i], name))) for i in used]
            report[f"AER of the other direction{end}"] = rate(other)
            both = [grow_diagonal(one, two) for one, two in zip(links, other, strict=True)]
            report[f"AER of both{end}"] = rate(both)

    diagonal = [diagonal_links(len(gold[i].source_words), len(gold[i].target_words)) for i in used]
    report["diagonal AER"] = rate(diagonal)
    return report


def _turned(links: AbstractSet[Link]) -> set[Link]:
    return {(target, source) for source, target in links}
