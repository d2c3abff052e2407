"""Scores of translations: BLEU, chrF and TER with sacreBLEU signatures."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

from .languages import bleu_tokenizer, check_language, spaced


@dataclass(frozen=True)
class Score:
    """A corpus score with what is needed to compute it again.

    Attributes:
        name: the metric as sacreBLEU names it: "BLEU", "chrF2" (beta is 2) or "TER".
        value: the score in percent; higher is better for BLEU and chrF2, lower for TER.
        signature: the sacreBLEU signature: references, casing, tokenization, smoothing, version.
        lowercased: whether both sides were lowercased first.
    """

    name: str
    value: float
    signature: str
    lowercased: bool

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f}  {self.signature}"


class LengthBucket(NamedTuple):
    """Cased BLEU in percent of the sentences whose source length is from low to high, both
    included."""

    low: int
    high: int | None  # None: no upper end
    sentences: int
    bleu: float


def corpus_scores(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str
) -> list[Score]:
    """Gives BLEU, chrF2 and TER of detokenized translations: the three cased, then the three
    lowercased.

    BLEU tokenizes by the target language: "zh" for Chinese, MeCab for Japanese and Korean,
    characters for others without spaces between words, "13a" for all that have them. TER splits
    Chinese and Japanese into characters; other languages without spaces have none, since it would
    take a sentence for one word.

    Args:
        hypotheses, references: one text a sentence.
        target_language: language code such as "de" or "zh-CN"; only what precedes the hyphen
        matters.

    Raises:
        ValueError: the counts differ or are zero, or the references have no spaces and the
        language code is of one that
            has.
        ImportError: the MeCab package that Japanese or Korean needs is missing.
    """
    check_counts(hypotheses, references)
    check_language(references, target_language)
    scores = []
    for lowercased in (False, True):
        for metric in _metrics(target_language, lowercased):
            score = metric.corpus_score(list(hypotheses), [list(references)])
            scores.append(Score(score.name, score.score, str(metric.get_signature()), lowercased))
    return scores


def corpus_bleu(
    hypotheses: Sequence[str], references: Sequence[str], target_language: str
) -> Score:
    """Gives cased BLEU: the first of `corpus_scores`, whose arguments and errors it shares."""
    check_counts(hypotheses, references)
    check_language(references, target_language)
    metric = _bleu(target_language, lowercased=False)
    value = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Score("BLEU", value, str(metric.get_signature()), lowercased=False)


def bleu_by_length(
    hypotheses: Sequence[str],
    references: Sequence[str],
    source_lengths: Sequence[int],
    edges: Sequence[int],
    target_language: str,
) -> list[LengthBucket]:
    """Gives cased BLEU by source length (figure 2 of arXiv 1409.0473 plots it), shortest sentences
    first.

    Args:
        hypotheses, references, target_language: as for `corpus_scores`.
        source_lengths: length of each source sentence, in whatever unit `edges` has.
        edges: greatest length of each bucket but the last, which has no end: (10, 20) makes 0-10,
        11-20 and 21 on.
            Buckets without sentences are left out.

    Raises:
        ValueError: the counts differ or are zero, or the edges are not positive and ascending.
        ImportError: as for `corpus_scores`.
    """
    check_counts(hypotheses, references)
    if len(source_lengths) != len(hypotheses):
        counts = f"({len(hypotheses)}). Received: {len(source_lengths)}."
        raise ValueError(f"source_lengths must be as many as hypotheses {counts}")
    if not edges or any(low >= high for low, high in pairwise([0, *edges])):
        raise ValueError(f"edges must be positive and ascending. Received: {list(edges)}.")
    bucket_of = np.searchsorted(edges, source_lengths)
    buckets = []
    for index, (low, high) in enumerate(
        zip([0, *(edge + 1 for edge in edges)], [*edges, None], strict=True)
    ):
        if chosen := np.flatnonzero(bucket_of == index).tolist():
            bleu = corpus_bleu(
                [hypotheses[i] for i in chosen], [references[i] for i in chosen], target_language
            )
            buckets.append(LengthBucket(low, high, len(chosen), bleu.value))
    return buckets


def check_counts(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Raises a `ValueError` where there are not as many hypotheses as references, or none."""
    if len(hypotheses) != len(references):
        raise ValueError(
            f"hypotheses must be as many as references ({len(references)}). Received: {len(hypotheses)}."
        )
    if not hypotheses:
        raise ValueError("hypotheses and references must hold at least one sentence. Received: 0.")


def _metrics(language: str, lowercased: bool) -> list[BLEU | CHRF | TER]:
    asian = bleu_tokenizer(language) in ("zh", "ja-mecab")
    ter = TER(case_sensitive=not lowercased, normalized=asian, asian_support=asian)
    return [
        _bleu(language, lowercased),
        CHRF(lowercase=lowercased),
        *([ter] if asian or spaced(language) else []),
    ]


def _bleu(language: str, lowercased: bool) -> BLEU:
    tokenizer = bleu_tokenizer(language)
    try:
        return BLEU(lowercase=lowercased, tokenize=tokenizer)
    except RuntimeError as error:  # what sacreBLEU raises where MeCab or its dictionary is missing
        extra = tokenizer.partition("-")[0]
        raise ImportError(
            f"BLEU in {language!r} needs MeCab: pip install 'sacrebleu[{extra}]'"
        ) from error
