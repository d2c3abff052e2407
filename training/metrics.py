"""Scores of translations (BLEU, chrF, TER with sacreBLEU signatures) and of alignments (error rate against gold links).

Alignment links are pairs (source index, target index) of words, from 0.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby, pairwise, zip_longest
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

Link = tuple[int, int]
_Letter = tuple[str, range]  # a character and the pieces that spell it: one piece, or a run of byte pieces

_TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
_UNSPACED = frozenset({"zh", "ja"})  # languages whose words no spaces separate
_SPACE_MARK = "\u2581"  # what SentencePiece writes for a space
_SPECIAL_PIECES = frozenset({"<pad>", "<unk>", "<s>", "</s>"})
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


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
    """Cased BLEU in percent of the sentences whose source length is from low to high, both included."""

    low: int
    high: int | None  # None: no upper end
    sentences: int
    bleu: float


def corpus_scores(hypotheses: Sequence[str], references: Sequence[str], target_language: str) -> list[Score]:
    """Gives BLEU, chrF2 and TER of detokenized translations: the three cased, then the three lowercased.

    BLEU tokenizes by the target language: "zh" for Chinese, MeCab for Japanese and Korean, "13a" for all others. TER
    splits Chinese and Japanese into characters, since it would take an unspaced sentence for one word otherwise.

    Args:
        hypotheses, references: one text a sentence.
        target_language: language code such as "de" or "zh-CN"; only what precedes the hyphen matters.

    Raises:
        ValueError: the counts differ or are zero.
        ImportError: the MeCab package that Japanese or Korean needs is missing.
    """
    _check_counts(hypotheses, references)
    scores = []
    for lowercased in (False, True):
        for metric in _metrics(target_language, lowercased):
            score = metric.corpus_score(list(hypotheses), [list(references)])
            scores.append(Score(score.name, score.score, str(metric.get_signature()), lowercased))
    return scores


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str], target_language: str) -> float:
    """Gives cased BLEU in percent: the first of `corpus_scores`, whose arguments and errors it shares."""
    _check_counts(hypotheses, references)
    return _bleu(target_language, lowercased=False).corpus_score(list(hypotheses), [list(references)]).score


def bleu_by_length(
    hypotheses: Sequence[str],
    references: Sequence[str],
    source_lengths: Sequence[int],
    edges: Sequence[int],
    target_language: str,
) -> list[LengthBucket]:
    """Gives cased BLEU by source length (figure 2 of arXiv 1409.0473 plots it), shortest sentences first.

    Args:
        hypotheses, references, target_language: as for `corpus_scores`.
        source_lengths: length of each source sentence, in whatever unit `edges` has.
        edges: greatest length of each bucket but the last, which has no end: (10, 20) makes 0-10, 11-20 and 21 on.
            Buckets without sentences are left out.

    Raises:
        ValueError: the counts differ or are zero, or the edges are not positive and ascending.
        ImportError: as for `corpus_scores`.
    """
    _check_counts(hypotheses, references)
    if len(source_lengths) != len(hypotheses):
        counts = f"({len(hypotheses)}). Received: {len(source_lengths)}."
        raise ValueError(f"source_lengths must be as many as hypotheses {counts}")
    if not edges or any(low >= high for low, high in pairwise([0, *edges])):
        raise ValueError(f"edges must be positive and ascending. Received: {list(edges)}.")
    bucket_of = np.searchsorted(edges, source_lengths)
    buckets = []
    for index, (low, high) in enumerate(zip([0, *(edge + 1 for edge in edges)], [*edges, None], strict=True)):
        if chosen := np.flatnonzero(bucket_of == index).tolist():
            bleu = corpus_bleu([hypotheses[i] for i in chosen], [references[i] for i in chosen], target_language)
            buckets.append(LengthBucket(low, high, len(chosen), bleu))
    return buckets


def word_weights(
    weights: np.ndarray,
    target_pieces: Sequence[str],
    source_pieces: Sequence[str],
    target_words: Sequence[str],
    source_words: Sequence[str],
) -> np.ndarray:
    """Turns attention weights between pieces into weights between words.

    Pieces belong to words by the characters they spell. The weight of a source piece goes to its words in proportion to
    its characters in each, and a source word sums what it gets; a target word averages the rows of its pieces, weighted
    by their characters in it. Of a character spelled in n byte pieces ("<0xE2>") each has 1/n. A piece of spaces alone
    counts as one character of the word that follows. "</s>" and the other special pieces belong to no word, so a row
    sums to 1 less the weight on them.

    Args:
        weights: [target pieces, source pieces].
        target_pieces, source_pieces: SentencePiece pieces, with U+2581 for a space.
        target_words, source_words: what the pieces spell, cut into words anywhere. NFC and case are evened out here;
            any other normalization of the tokenizer must have been applied.

    Returns:
        [target words, source words], float64.

    Raises:
        ValueError: the shape differs from the piece counts, the pieces spell other characters than the words, or a word
            has no visible character.
    """
    weights = np.asarray(weights, np.float64)
    expected = (len(target_pieces), len(source_pieces))
    if weights.shape != expected:
        raise ValueError(f"weights must have shape (target, source pieces) = {expected}. Received: {weights.shape}.")
    target = _ownership(target_pieces, target_words, "target")
    source = _ownership(source_pieces, source_words, "source")
    spelled = source.sum(axis=1, keepdims=True)
    return (target / target.sum(axis=0)).T @ weights @ (source / np.where(spelled > 0, spelled, 1.0))


def align(word_weights: np.ndarray) -> set[Link]:
    """Links each target word to the source word of greatest weight (the first among equals).

    Args:
        word_weights: [target words, source words], as from `word_weights`.

    Raises:
        ValueError: `word_weights` is not two-dimensional or has no source word.
    """
    if word_weights.ndim != 2 or word_weights.shape[1] == 0:
        raise ValueError(f"word_weights must be [target words, source words > 0]. Received: {word_weights.shape}.")
    return {(int(source), target) for target, source in enumerate(word_weights.argmax(axis=1))}


def alignment_error_rate(
    hypothesis_links: Iterable[AbstractSet[Link]],
    sure: Iterable[AbstractSet[Link]],
    possible: Iterable[AbstractSet[Link]] | None = None,
) -> float:
    """Gives the alignment error rate in percent, counted over the whole corpus; 0 is best.

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), with A the hypothesis, S the sure and P the possible links, which
    include the sure ones (Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models").

    Args:
        hypothesis_links, sure: one set a sentence.
        possible: one set a sentence, with or without the sure links; None for the sure links alone.

    Raises:
        ValueError: the counts of sentences differ, or there is no link at all in `hypothesis_links` and `sure`.
    """
    hypothesis_links, sure = list(hypothesis_links), list(sure)
    possible = sure if possible is None else list(possible)
    counts = (len(hypothesis_links), len(sure), len(possible))
    if len(set(counts)) > 1:
        raise ValueError(f"hypothesis_links, sure and possible must hold one set a sentence. Received: {counts} sets.")
    hits = total = 0
    for links, certain, maybe in zip(hypothesis_links, sure, possible, strict=True):
        hits += len(links & certain) + len(links & (certain | maybe))
        total += len(links) + len(certain)
    if total == 0:
        raise ValueError("hypothesis_links and sure must hold at least one link. Received: none.")
    return 100.0 * (1.0 - hits / total)


def diagonal_links(source_length: int, target_length: int) -> set[Link]:
    """Links each target word to the source word at the same relative place: the baseline that looks at no word.

    The middle of target word t, (t + 1/2) / target_length, falls within the source word it is linked to.

    Raises:
        ValueError: a length is less than 1.
    """
    if source_length < 1 or target_length < 1:
        raise ValueError(f"lengths must be at least 1. Received: source {source_length}, target {target_length}.")
    return {((2 * target + 1) * source_length // (2 * target_length), target) for target in range(target_length)}


def _check_counts(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise ValueError(f"hypotheses must be as many as references ({len(references)}). Received: {len(hypotheses)}.")
    if not hypotheses:
        raise ValueError("hypotheses and references must hold at least one sentence. Received: 0.")


def _metrics(language: str, lowercased: bool) -> tuple[BLEU, CHRF, TER]:
    unspaced = not spaced(language)
    ter = TER(case_sensitive=not lowercased, normalized=unspaced, asian_support=unspaced)
    return _bleu(language, lowercased), CHRF(lowercase=lowercased), ter


def _bleu(language: str, lowercased: bool) -> BLEU:
    try:
        return BLEU(lowercase=lowercased, tokenize=_TOKENIZERS.get(base := _base(language), "13a"))
    except RuntimeError as error:  # what sacreBLEU raises where MeCab or its dictionary is missing
        raise ImportError(f"BLEU in {language!r} needs MeCab: pip install 'sacrebleu[{base}]'") from error


def spaced(language: str) -> bool:
    """Whether words of a language stand between spaces."""
    return _base(language) not in _UNSPACED


def _base(language: str) -> str:
    return re.split("[-_]", language.lower())[0]


def _is_space(character: str) -> bool:
    return character == _SPACE_MARK or character.isspace()


def _letters(pieces: Sequence[str]) -> list[_Letter]:
    letters: list[_Letter] = []
    numbered = enumerate(pieces)
    for is_bytes, run in groupby(numbered, key=lambda item: _BYTE_PIECE.fullmatch(item[1]) is not None):
        if is_bytes:
            letters += _byte_letters(list(run))
        else:
            letters += [(c, range(i, i + 1)) for i, piece in run if piece not in _SPECIAL_PIECES for c in piece]
    return letters


def _byte_letters(run: Sequence[tuple[int, str]]) -> list[_Letter]:
    start, letters = run[0][0], []
    for character in bytes(int(piece[3:5], 16) for _, piece in run).decode(errors="surrogateescape"):
        size = len(character.encode(errors="surrogateescape"))
        # A byte of no valid UTF-8 was escaped as a surrogate; SentencePiece writes U+FFFD for it.
        letters.append(("\ufffd" if "\ud800" <= character <= "\udfff" else character, range(start, start + size)))
        start += size
    return letters


def _ownership(pieces: Sequence[str], words: Sequence[str], side: str) -> np.ndarray:
    """Counts the characters of each piece in each word: [pieces, words]."""
    visible = [[c for c in unicodedata.normalize("NFC", word) if not _is_space(c)] for word in words]
    if [] in visible:
        index = visible.index([])
        raise ValueError(f"{side}_words[{index}] must have a visible character. Received: {words[index]!r}.")
    letters = _letters(pieces)
    spelled = [character for character, _ in letters if not _is_space(character)]
    _check_spelling(spelled, [c for word in visible for c in word], side)
    word_of = [index for index, word in enumerate(visible) for _ in word]  # of each visible character
    return _count_letters(letters, word_of, np.zeros((len(pieces), len(words))))


def _count_letters(letters: Sequence[_Letter], word_of: Sequence[int], counts: np.ndarray) -> np.ndarray:
    position, spaces = 0, []
    for character, pieces in letters:
        if not _is_space(character):
            counts[pieces, word_of[position]] += 1.0 / len(pieces)
            position += 1
        elif position < len(word_of):
            spaces.append((pieces, word_of[position]))
    for pieces, word in spaces:
        if not counts[pieces].any():
            counts[pieces, word] = 1.0 / len(pieces)
    return counts


def _check_spelling(received: Sequence[str], expected: Sequence[str], side: str) -> None:
    for position, (found, wanted) in enumerate(zip_longest(received, expected, fillvalue="the end")):
        if found.casefold() != wanted.casefold():
            place = f"at character {position} of {''.join(expected)!r}, expected: {wanted!r}. Received: {found!r}."
            raise ValueError(f"{side}_pieces must spell {side}_words, spaces aside: {place}")
