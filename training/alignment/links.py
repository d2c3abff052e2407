"""Links between words: from attention weights, and their error rate against gold links.

Links are pairs (source index, target index) of words, from 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby, zip_longest
from typing import NamedTuple

import numpy as np

from attention_nmt.checks import require

Link = tuple[int, int]

_SPACE_MARK = "\u2581"  # what SentencePiece writes for a space
_SPECIAL_PIECES = frozenset({"<pad>", "<unk>", "<s>", "</s>"})
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


class _Letter(NamedTuple):
    """A character, and the pieces that spell it: one piece, or a run of byte pieces."""

    character: str
    pieces: range

    @property
    def is_space(self) -> bool:
        """True for white space and SentencePiece's mark of it."""
        return _is_space(self.character)


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
        target_pieces: SentencePiece pieces, with U+2581 for a space.
        source_pieces: SentencePiece pieces, with U+2581 for a space.
        target_words: what the pieces spell, cut into words anywhere. NFC and case are evened out
            here; any other normalization of the tokenizer must have been applied.
        source_words: like the target words.

    Returns:
        [target words, source words], float64.

    Raises:
        ValueError: the shape differs from the piece counts, the pieces spell other characters than
            the words, or a word has no visible character.
    """
    weights = np.asarray(weights, np.float64)
    shape = (len(target_pieces), len(source_pieces))
    expected = f"of shape (target, source pieces) = {shape}"
    require(weights.shape == shape, "weights", expected, weights.shape)

    target = _ownership(target_pieces, target_words, "target")
    source = _ownership(source_pieces, source_words, "source")

    spelled = source.sum(axis=1, keepdims=True)
    target_shares = target / target.sum(axis=0)
    source_shares = source / np.where(spelled > 0, spelled, 1.0)
    return target_shares.T @ weights @ source_shares


def align(word_weights: np.ndarray) -> set[Link]:
    """Links each target word to the source word of greatest weight (the first among equals).

    Args:
        word_weights: [target words, source words], as from `word_weights`.

    Raises:
        ValueError: `word_weights` is not two-dimensional or has no source word.
    """
    shape = word_weights.shape
    usable = len(shape) == 2 and shape[1] > 0
    require(usable, "word_weights", "[target words, source words > 0]", shape)
    return {(int(source), target) for target, source in enumerate(word_weights.argmax(axis=1))}


def alignment_error_rate(
    hypothesis_links: Iterable[AbstractSet[Link]],
    sure: Iterable[AbstractSet[Link]],
    possible: Iterable[AbstractSet[Link]] | None = None,
) -> float:
    """The alignment error rate in percent, counted over the whole corpus; 0 is best.

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), with A the hypothesis, S the sure and P the
    possible links, which include the sure ones.

    Args:
        hypothesis_links: one set a sentence.
        sure: one set a sentence.
        possible: one set a sentence, with or without the sure links; None for the sure links alone.

    Raises:
        ValueError: the counts of sentences differ, or there is no link at all in
            `hypothesis_links` and `sure`.

    Source: Och and Ney (2003), "A Systematic Comparison of Various Statistical Alignment Models".
    """
    hypothesis_links = list(hypothesis_links)
    sure = list(sure)
    possible = sure if possible is None else list(possible)
    counts = (len(hypothesis_links), len(sure), len(possible))
    expected = "one set a sentence, as many as of `sure` and `possible`"
    require(len(set(counts)) == 1, "hypothesis_links", expected, counts)

    hits = 0
    total = 0
    for links, certain, maybe in zip(hypothesis_links, sure, possible, strict=True):
        hits += len(links & certain) + len(links & (certain | maybe))
        total += len(links) + len(certain)
    require(total > 0, "hypothesis_links", "of at least one link, if `sure` has none", 0)
    return 100.0 * (1.0 - hits / total)


def diagonal_links(source_length: int, target_length: int) -> set[Link]:
    """Links each target word to the source word at the same relative place.

    It is the baseline that looks at no word. The middle of target word t, (t + 1/2) /
    target_length, falls within the source word it is linked to.

    Raises:
        ValueError: a length is less than 1.
    """
    require(source_length >= 1, "source_length", "at least 1", source_length)
    require(target_length >= 1, "target_length", "at least 1", target_length)
    return {
        ((2 * target + 1) * source_length // (2 * target_length), target)
        for target in range(target_length)
    }


def grow_diagonal(one: AbstractSet[Link], other: AbstractSet[Link]) -> set[Link]:
    """The links of both directions, and neighbours of them that link a word that has none yet.

    Neighbours are links of either direction that touch a link by side or corner. They are added in
    the order of their words until none can be.

    Source: Koehn, Och and Marcu (2003), section 3.1: `grow-diag`.
    """
    links = set(one & other)
    candidates = sorted((one | other) - links)

    grown = True
    while grown:
        grown = False
        for link in candidates:
            if link not in links and _touches(link, links) and _links_a_new_word(link, links):
                links.add(link)
                grown = True
    return links


def _touches(link: Link, links: AbstractSet[Link]) -> bool:
    source, target = link
    return any((source + i, target + j) in links for i in (-1, 0, 1) for j in (-1, 0, 1))


def _links_a_new_word(link: Link, links: AbstractSet[Link]) -> bool:
    source, target = link
    sources = {source for source, _ in links}
    targets = {target for _, target in links}
    return source not in sources or target not in targets


def _is_space(character: str) -> bool:
    return character == _SPACE_MARK or character.isspace()


def _is_byte(numbered: tuple[int, str]) -> bool:
    return _BYTE_PIECE.fullmatch(numbered[1]) is not None


def _letters(pieces: Sequence[str]) -> list[_Letter]:
    letters: list[_Letter] = []
    for is_bytes, run in groupby(enumerate(pieces), key=_is_byte):
        if is_bytes:
            letters += _byte_letters(list(run))
            continue
        for index, piece in run:
            if piece not in _SPECIAL_PIECES:
                letters += [_Letter(character, range(index, index + 1)) for character in piece]
    return letters


def _byte_letters(run: Sequence[tuple[int, str]]) -> list[_Letter]:
    text = bytes(int(piece[3:5], 16) for _, piece in run)
    start = run[0][0]

    letters = []
    for character in text.decode(errors="surrogateescape"):
        size = len(character.encode(errors="surrogateescape"))
        # A byte of no valid UTF-8 was escaped as a surrogate; SentencePiece writes U+FFFD for it.
        escaped = "\ud800" <= character <= "\udfff"
        letters.append(_Letter("\ufffd" if escaped else character, range(start, start + size)))
        start += size
    return letters


def _visible(word: str) -> list[str]:
    return [
        character for character in unicodedata.normalize("NFC", word) if not _is_space(character)
    ]


def _ownership(pieces: Sequence[str], words: Sequence[str], side: str) -> np.ndarray:
    """The number of characters of each piece in each word: [pieces, words]."""
    visible = [_visible(word) for word in words]
    for index, word in enumerate(words):
        name = f"{side}_words[{index}]"
        require(len(visible[index]) > 0, name, "of at least one visible character", word)

    letters = _letters(pieces)
    spelled = [letter.character for letter in letters if not letter.is_space]
    _check_spelling(spelled, [character for word in visible for character in word], side)

    # The word of each visible character.
    word_of = [index for index, word in enumerate(visible) for _ in word]
    return _count_letters(letters, word_of, np.zeros((len(pieces), len(words))))


def _count_letters(
    letters: Sequence[_Letter], word_of: Sequence[int], counts: np.ndarray
) -> np.ndarray:
    position = 0
    spaces = []
    for letter in letters:
        if not letter.is_space:
            counts[letter.pieces, word_of[position]] += 1.0 / len(letter.pieces)
            position += 1
        elif position < len(word_of):
            spaces.append((letter.pieces, word_of[position]))

    for pieces, word in spaces:
        if not counts[pieces].any():
            counts[pieces, word] = 1.0 / len(pieces)
    return counts


def _check_spelling(received: Sequence[str], expected: Sequence[str], side: str) -> None:
    pairs = zip_longest(received, expected, fillvalue="the end")
    for position, (found, wanted) in enumerate(pairs):
        if found.casefold() == wanted.casefold():
            continue
        place = f"{wanted!r} at character {position} of {''.join(expected)!r}"
        spelling = f"what `{side}_words` spell, spaces aside: {place}"
        require(False, f"{side}_pieces", spelling, found)
