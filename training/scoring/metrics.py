"""Scores of translations: BLEU, chrF and TER with sacreBLEU signatures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

from attention_nmt.checks import require

from .languages import bleu_tokenizer, check_language, spaced

TOKENIZED_LINES = 100
"""Lines that end in a period behind a space, as sacreBLEU counts them, of which it warns."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A corpus score with what is needed to compute it again.

    Attributes:
        name: the metric as sacreBLEU names it: "BLEU", "chrF2" (beta is 2) or "TER".
        value: the score in percent; higher is better for BLEU and chrF2, lower for TER.
        signature: sacreBLEU's: references, casing, tokenization, smoothing, version.
        lowercased: whether both sides were lowercased first.
    """

    name: str
    value: float
    signature: str
    lowercased: bool

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f}  {self.signature}"


class LengthBucket(NamedTuple):
    """Cased BLEU, in percent, of the sentences whose source length is in a span."""

    low: int  # included
    high: int | None  # included; None: no upper end
    sentences: int
    bleu: float


def corpus_scores(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str
) -> list[Score]:
    """BLEU, chrF2 and TER of detokenized translations: the three cased, then the three lowercased.

    BLEU tokenizes by the target language: "zh" for Chinese, MeCab for Japanese and Korean,
    characters for others without spaces between words, "13a" for all that have them. TER splits
    Chinese and Japanese into characters; other languages without spaces have none, since it would
    take a sentence for one word.

    Args:
        hypotheses: one text a sentence.
        references: one text a sentence.
        target_language: a language code such as "de" or "zh-CN"; what follows the hyphen does not
            matter.

    Raises:
        ValueError: the counts differ or are zero, or the references have no spaces and the
            language code is of a language that has.
        ImportError: the MeCab package that Japanese or Korean needs is missing.
    """
    check_counts(hypotheses, references)
    check_language(references, target_language)

    return [
        _score(metric, hypotheses, references, lowercased=lowercased)
        for lowercased in (False, True)
        for metric in _metrics(target_language, lowercased)
    ]


def corpus_bleu(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str
) -> Score:
    """Cased BLEU: the first of `corpus_scores`, whose arguments and errors it shares."""
    check_counts(hypotheses, references)
    check_language(references, target_language)
    metric = _bleu(target_language, lowercased=False)
    return _score(metric, hypotheses, references, lowercased=False)


def bleu_by_length(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    source_lengths: Sequence[int],
    edges: Sequence[int],
    target_language: str,
) -> list[LengthBucket]:
    """Cased BLEU by source length, the shortest sentences first.

    Args:
        hypotheses: one text a sentence.
        references: one text a sentence.
        source_lengths: the length of each source sentence, in the unit of `edges`.
        edges: the greatest length of each bucket but the last, which has no end: (10, 20) makes
            0-10, 11-20 and 21 on. Buckets without sentences are left out.
        target_language: as for `corpus_scores`.

    Raises:
        ValueError: the counts differ or are zero, or the edges are not positive and ascending.
        ImportError: as for `corpus_scores`.

    Source: figure 2 of Bahdanau, Cho and Bengio (2015), arXiv 1409.0473.
    """
    check_counts(hypotheses, references)
    count = len(source_lengths)
    equal = count == len(hypotheses)
    require(equal, "source_lengths", f"as many as hypotheses ({len(hypotheses)})", count)
    ascending = len(edges) > 0 and all(low < high for low, high in pairwise([0, *edges]))
    require(ascending, "edges", "positive and ascending", list(edges))

    lows = [0, *(edge + 1 for edge in edges)]
    highs = [*edges, None]
    bucket_of = np.searchsorted(edges, source_lengths)

    buckets = []
    for index, (low, high) in enumerate(zip(lows, highs, strict=True)):
        chosen = np.flatnonzero(bucket_of == index).tolist()
        if not chosen:
            continue
        chosen_hypotheses = [hypotheses[i] for i in chosen]
        chosen_references = [references[i] for i in chosen]
        score = corpus_bleu(chosen_hypotheses, chosen_references, target_language)
        buckets.append(LengthBucket(low=low, high=high, sentences=len(chosen), bleu=score.value))
    return buckets


def check_counts(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Makes sure that there are as many hypotheses as references, and some.

    Raises:
        ValueError: there are not.
    """
    count = len(hypotheses)
    equal = count == len(references)
    require(equal, "hypotheses", f"as many as references ({len(references)})", count)
    require(count > 0, "hypotheses", "of at least one sentence", count)


def bleu_of_tokens(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Cased BLEU of texts that are tokenized: what stands between spaces are the tokens.

    Raises:
        ValueError: the counts differ or are zero.
    """
    check_counts(hypotheses, references)
    metric = BLEU(tokenize="none", force=True)
    score = _score(metric, hypotheses, references, lowercased=False)
    return replace(score, name="BLEU of the given tokens")


def look_tokenized(texts: Sequence[str]) -> bool:
    """Whether at least `TOKENIZED_LINES`, or half of the texts, end in a period behind a space."""
    count = _periods(texts)
    return count >= TOKENIZED_LINES or 2 * count > len(texts)


def warn_of_tokens(texts: Sequence[str], name: str) -> None:
    """Says in one line on standard error if texts look tokenized, which BLEU's are not to be.

    Args:
        texts: hypotheses or references.
        name: of their file, for the message.
    """
    if look_tokenized(texts):
        lines = f"{_periods(texts)} of {len(texts)} lines end in ' .'"
        message = f"{lines}, as tokenized text does: BLEU is for detokenized text"
        print(f"warning: {name}: {message}", file=sys.stderr)


def _periods(texts: Sequence[str]) -> int:
    """The number of texts that end in a period behind a space."""
    return sum(text.endswith(" .") for text in texts)


def _score(
    metric: BLEU | CHRF | TER,
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercased: bool,
) -> Score:
    found = metric.corpus_score(list(hypotheses), [list(references)])
    return Score(
        name=found.name,
        value=found.score,
        signature=str(metric.get_signature()),
        lowercased=lowercased,
    )


def _metrics(language: str, lowercased: bool) -> list[BLEU | CHRF | TER]:
    found: list[BLEU | CHRF | TER] = [_bleu(language, lowercased), CHRF(lowercase=lowercased)]

    asian = bleu_tokenizer(language) in ("zh", "ja-mecab")
    if asian or spaced(language):
        ter = TER(case_sensitive=not lowercased, normalized=asian, asian_support=asian)
        found.append(ter)
    return found


def _bleu(language: str, lowercased: bool) -> BLEU:
    tokenizer = bleu_tokenizer(language)
    try:
        # Its own warning of tokenized texts names no file: `warn_of_tokens` does.
        return BLEU(lowercase=lowercased, tokenize=tokenizer, force=True)
    except RuntimeError as error:  # what sacreBLEU raises where MeCab or its dictionary is missing
        extra = tokenizer.partition("-")[0]
        message = f"BLEU in {language!r} needs MeCab: pip install 'sacrebleu[{extra}]'"
        raise ImportError(message) from error
