"""Links between words: from attention weights, and their error rate against gold links.

Links are pairs (source index, target index) of words, from 0.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby, zip_longest

import numpy as np

Link = tuple[int, int]
_Letter = tuple[
    str, range
]  # a character and the pieces that spell it: one piece, or a run of byte pieces

_SPACE_MARK = "\u2581"  # what SentencePiece writes for a space
_SPECIAL_PIECES = frozenset({"<pad>", "<unk>", "<s>", "</s>"})
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


def word_weights(
    weights: np.ndarray,
    target_pieces: Sequence[str],
    source_pieces: Sequence[str],
    target_words: Sequence[str],
    source_words: Sequence[str],
) -> np.ndarray:
    """Turns attention weights between pieces into weights between words.

    Pieces belong to words by the characters they spell. The weight of a source piece goes to its
    words in proportion to its characters in each, and a source word sums what it gets; a target
    word averages the rows of its pieces, weighted by their characters in it. Of a character
    spelled in n byte pieces ("<0xE2>") each has 1/n. A piece of spaces alone counts as one
    character of the word that follows. "</s>" and the other special pieces belong to no word, so a
    row sums to 1 less the weight on them.

    Args:
        weights: [target pieces, source pieces].
        target_pieces, source_pieces: SentencePiece pieces, with U+2581 for a space.
        target_words, source_words: what the pieces spell, cut into words anywhere. NFC and case
        are evened out here;
            any other normalization of the tokenizer must have been applied.

    Returns:
        [target words, source words], float64.

    Raises:
        ValueError: the shape differs from the piece counts, the pieces spell other characters than
        the words, or a word
            has no visible character.
    """
    weights = np.asarray(weights, np.float64)
    expected = (len(target_pieces), len(source_pieces))
    if weights.shape != expected:
        raise ValueError(
            f"weights must have shape (target, source pieces) = {expected}. Received: {weights.shape}."
        )
    target = _ownership(target_pieces, target_words, "target")
    source = _ownership(source_pieces, source_words, "source")
    spelled = source.sum(axis=1, keepdims=True)
    return (
        (target / target.sum(axis=0)).T @ weights @ (source / np.where(spelled > 0, spelled, 1.0))
    )


def align(word_weights: np.ndarray) -> set[Link]:
    """Links each target word to the source word of greatest weight (the first among equals).

    Args:
        word_weights: [target words, source words], as from `word_weights`.

    Raises:
        ValueError: `word_weights` is not two-dimensional or has no source word.
    """
    if word_weights.ndim != 2 or word_weights.shape[1] == 0:
        raise ValueError(
            f"word_weights must be [target words, source words > 0]. Received: {word_weights.shape}."
        )
    return {(int(source), target) for target, source in enumerate(word_weights.argmax(axis=1))}


def alignment_error_rate(
    hypothesis_links: Iterable[AbstractSet[Link]],
    sure: Iterable[AbstractSet[Link]],
    possible: Iterable[AbstractSet[Link]] | None = None,
) -> float:
    """Gives the alignment error rate in percent, counted over the whole corpus; 0 is best.

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), with A the hypothesis, S the sure and P the
    possible links, which include the sure ones (Och and Ney 2003, "A Systematic Comparison of
    Various Statistical Alignment Models").

    Args:
        hypothesis_links, sure: one set a sentence.
        possible: one set a sentence, with or without the sure links; None for the sure links alone.

    Raises:
        ValueError: the counts of sentences differ, or there is no link at all in
        `hypothesis_links` and `sure`.
    """
    hypothesis_links, sure = list(hypothesis_links), list(sure)
    possible = sure if possible is None else list(possible)
    counts = (len(hypothesis_links), len(sure), len(possible))
    if len(set(counts)) > 1:
        raise ValueError(
            f"hypothesis_links, sure and possible must hold one set a sentence. Received: {counts} sets."
        )
    hits = total = 0
    for links, certain, maybe in zip(hypothesis_links, sure, possible, strict=True):
        hits += len(links & certain) + len(links & (certain | maybe))
        total += len(links) + len(certain)
    if total == 0:
        raise ValueError("hypothesis_links and sure must hold at least one link. Received: none.")
    return 100.0 * (1.0 - hits / total)


def diagonal_links(source_length: int, target_length: int) -> set[Link]:
    """Links each target word to the source word at the same relative place: the baseline that
    looks at no word.

    The middle of target word t, (t + 1/2) / target_length, falls within the source word it is
    linked to.

    Raises:
        ValueError: a length is less than 1.
    """
    if source_length < 1 or target_length < 1:
        raise ValueError(
            f"lengths must be at least 1. Received: source {source_length}, target {target_length}."
        )
    return {
        ((2 * target + 1) * source_length // (2 * target_length), target)
        for target in range(target_length)
    }


def grow_diagonal(one: AbstractSet[Link], other: AbstractSet[Link]) -> set[Link]:
    """The links of both directions, and those of either that touch one of them and link a word
    that has none yet.

    Touching is by side or corner. Links are added in the order of their words until none can be.

    Source: Koehn, Och and Marcu (2003), section 3.1: `grow-diag`.
    """
    links, candidates = set(one & other), sorted((one | other) - (one & other))
    grown = True
    while grown:
        grown = False
        for s, t in candidates:
            sources, targets = {x for x, _ in links}, {y for _, y in links}
            near = any((s + i, t + j) in links for i in (-1, 0, 1) for j in (-1, 0, 1))
            if (s, t) not in links and near and (s not in sources or t not in targets):
                links.add((s, t))
                grown = True
    return links


def _is_space(character: str) -> bool:
    return character == _SPACE_MARK or character.isspace()


def _letters(pieces: Sequence[str]) -> list[_Letter]:
    letters: list[_Letter] = []
    numbered = enumerate(pieces)
    for is_bytes, run in groupby(
        numbered, key=lambda item: _BYTE_PIECE.fullmatch(item[1]) is not None
    ):
        if is_bytes:
            letters += _byte_letters(list(run))
        else:
            letters += [
                (c, range(i, i + 1))
                for i, piece in run
                if piece not in _SPECIAL_PIECES
                for c in piece
            ]
    return letters


def _byte_letters(run: Sequence[tuple[int, str]]) -> list[_Letter]:
    start, letters = run[0][0], []
    for character in bytes(int(piece[3:5], 16) for _, piece in run).decode(
        errors="surrogateescape"
    ):
        size = len(character.encode(errors="surrogateescape"))
        # A byte of no valid UTF-8 was escaped as a surrogate; SentencePiece writes U+FFFD for it.
        letters.append(
            (
                "\ufffd" if "\ud800" <= character <= "\udfff" else character,
                range(start, start + size),
            )
        )
        start += size
    return letters


def _ownership(pieces: Sequence[str], words: Sequence[str], side: str) -> np.ndarray:
    """Counts the characters of each piece in each word: [pieces, words]."""
    visible = [
        [c for c in unicodedata.normalize("NFC", word) if not _is_space(c)] for word in words
    ]
    if [] in visible:
        index = visible.index([])
        raise ValueError(
            f"{side}_words[{index}] must have a visible character. Received: {words[index]!r}."
        )
    letters = _letters(pieces)
    spelled = [character for character, _ in letters if not _is_space(character)]
    _check_spelling(spelled, [c for word in visible for c in word], side)
    word_of = [
        index for index, word in enumerate(visible) for _ in word
    ]  # of each visible character
    return _count_letters(letters, word_of, np.zeros((len(pieces), len(words))))


def _count_letters(
    letters: Sequence[_Letter], word_of: Sequence[int], counts: np.ndarray
) -> np.ndarray:
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
    for position, (found, wanted) in enumerate(
        zip_longest(received, expected, fillvalue="the end")
    ):
        if found.casefold() != wanted.casefold():
            place = f"at character {position} of {''.join(expected)!r}, expected: {wanted!r}. Received: {found!r}."
            raise ValueError(f"{side}_pieces must spell {side}_words, spaces aside: {place}")
