"""Rules that bring equal texts into one spelling, compiled into a tokenizer's file.

SentencePiece reads a text from left to right. Where a rule matches, the longest one that does is
applied, and what it gives is not read again. SentencePiece ships rules for NFKC and none for NFC:
those are made here, of Python's `unicodedata`. Wherever the file is read, in Python, in a graph, in
LiteRT or elsewhere, the rules are applied alike.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from attention_nmt.checks import require

if TYPE_CHECKING:
    import sentencepiece

Normalization = Literal["nfc", "nfkc", "none"]

NORMALIZATIONS = ("nfc", "nfkc", "none")
"""The normalizations that a tokenizer can be trained with.

- `nfc`: what looks the same is spelled the same, and nothing else changes: `rules` has the details.
- `nfkc`: SentencePiece's `nmt_nfkc`. Full-width and other variants of a character become the plain
  one, too, and zero-width non-joiners become spaces.
- `none`: no character changes. Runs of plain spaces become one.
"""

DROPPED = "\u00ad\u2060\ufeff"
"""Characters that show nothing and join nothing: soft hyphen, word joiner, byte order mark.

U+200C and U+200D, which letters are written by in Persian, Hindi and others, stay.
"""

SPACE = "\u2581"
"""The character that spells a space in pieces; in a text it is one."""

PLANES = 3 * 2**16
"""The code points in which Unicode has characters that are decomposed; none are in later planes."""

HANGUL = range(0xAC00, 0xD7A4)
"""The Korean syllables, which are composed of two or three letters by arithmetic."""

FIXED_POSITIONS = range(7, 200)
"""The combining classes of marks that have a place of their own at a letter.

Vowel signs of Hebrew, Arabic, Thai and others: they are typed in any order.
"""


def training_options(normalization: str) -> dict[str, Any]:
    """The arguments by which SentencePiece's trainer puts a normalization into its model.

    Args:
        normalization: one of `NORMALIZATIONS`.

    Raises:
        ValueError: another one.
    """
    known = normalization in NORMALIZATIONS
    require(known, "normalization", f"one of {NORMALIZATIONS}", normalization)

    if normalization == "nfkc":
        return {"normalization_rule_name": "nmt_nfkc"}

    return {"normalizer": compiled(normalization)}


@functools.cache
def compiled(normalization: Literal["nfc", "none"]) -> sentencepiece.SentencePieceNormalizer:
    """The rules of a normalization in SentencePiece's form, made once in a process."""
    import sentencepiece  # not above: a command's help needs the names alone

    sentencepiece.set_min_log_level(2)  # the compiler writes two lines to standard error
    # Of an empty table tensorflow-text writes a line for each graph.
    table = rules() if normalization == "nfc" else {SPACE: " "}

    return sentencepiece.SentencePieceNormalizer(norm_map=sorted(table.items()))


def rules() -> dict[str, str]:
    """The rules of the normalization `nfc`, by the texts that they replace.

    All but those of spaces and dropped characters replace a text by a canonically equivalent one,
    which NFC would make of it. They cover

    - every character by itself,
    - every spelling of a character that is made of others, with its marks in any order and partly
      composed, Korean syllables included,
    - a letter and two marks in any order, if it can be composed with either, or with one where the
      other has a fixed position,
    - two marks of one script that have fixed positions, in any order.

    What is longer, such as three marks in an order that is not the canonical one, or a mark that
    composes with its letter behind one that does not, stays as it is written.

    Every white space is a space, control characters from U+0001 to U+001F and U+007F that are none
    are dropped, and so are `DROPPED`.
    """
    decompositions = _decompositions()
    table = RuleTable()
    for character in decompositions:
        table.add(character)

    spellings = Spellings(decompositions)
    texts = {
        spelling for text in _targets(decompositions) for spelling in spellings.of(text)
    } | set(_marks_out_of_order())
    for text in sorted(texts, key=lambda text: (len(text), text)):
        table.add(text)

    others = itertools.chain(_hangul_rules(), _space_rules(), _dropping_rules())
    return {**table.rules, **dict(others)}


class RuleTable:
    """Rules that are applied as SentencePiece applies them.

    Attributes:
        rules: the texts to put in, by those that they replace.
    """

    def __init__(self, rules: Mapping[str, str] | None = None) -> None:
        self.rules = dict(rules or {})
        self._longest = max(map(len, self.rules), default=1)

    def add(self, text: str) -> None:
        """Adds a rule that makes NFC of a text, unless shorter rules do already."""
        normalized = unicodedata.normalize("NFC", text)
        if self.apply(text) == normalized:
            return

        self.rules[text] = normalized
        self._longest = max(self._longest, len(text))

    def apply(self, text: str) -> str:
        """The text with all rules applied."""
        written = []
        position = 0
        while position < len(text):
            matched, replacement = self._longest_match(text, position)
            written.append(replacement)
            position += matched

        return "".join(written)

    def _longest_match(self, text: str, position: int) -> tuple[int, str]:
        """The characters that the rule at a position replaces, and what it puts there."""
        for length in range(min(self._longest, len(text) - position), 0, -1):
            replacement = self.rules.get(text[position : position + length])
            if replacement is not None:
                return length, replacement

        return 1, text[position]


class Spellings:
    """Finds all texts that are canonically equivalent to one.

    Args:
        decompositions: the canonical decomposition of each character that has one, one step of it.
    """

    def __init__(self, decompositions: Mapping[str, str]) -> None:
        self._composed = defaultdict(list)
        for character, decomposition in decompositions.items():
            self._composed[decomposition].append(character)

    def of(self, text: str) -> set[str]:
        """All spellings of a text: marks in any order, composed in any way."""
        decomposed = unicodedata.normalize("NFD", text)
        found = {decomposed}
        waiting = [decomposed]
        while waiting:
            new = set(self._neighbors(waiting.pop())) - found
            found |= new
            waiting += new

        return found

    def _neighbors(self, text: str) -> Iterator[str]:
        """The spellings that differ in one composed character, or in the order of two marks."""
        for start, end in itertools.product(range(len(text)), (1, 2)):
            part = text[start : start + end]
            rest = text[start + end :]
            for character in self._composed.get(part, ()):
                yield text[:start] + character + rest
            if _swappable(part):
                yield text[:start] + part[::-1] + rest


def _swappable(text: str) -> bool:
    """True of two marks whose order says nothing."""
    classes = [unicodedata.combining(character) for character in text]

    return len(text) == 2 and 0 < min(classes) < max(classes)


def _decompositions() -> dict[str, str]:
    """One step of the canonical decomposition of each character, Korean syllables left out."""
    found = {}
    for character in map(chr, range(PLANES)):
        decomposition = unicodedata.decomposition(character)
        # A compatible one, which is not canonical, begins with its kind in angle brackets.
        if decomposition and not decomposition.startswith("<"):
            codes = decomposition.split()
            found[character] = "".join(chr(int(code, 16)) for code in codes)

    return found


def _targets(decompositions: Mapping[str, str]) -> Iterator[str]:
    """The texts whose spellings need rules, each in one spelling."""
    composed = defaultdict(list)
    for character, decomposition in decompositions.items():
        yield character
        if unicodedata.normalize("NFC", character) == character:
            composed[decomposition[0]].append(decomposition[1])

    fixed = _fixed_marks()
    for letter, marks in composed.items():
        others = fixed.get(_block(letter), [])
        for first, second in itertools.product([*marks, *others], marks):
            if _swappable(first + second):
                yield letter + first + second


def _marks_out_of_order() -> Iterator[str]:
    """Two marks of one block that have fixed positions, in the order that is not NFC's."""
    for marks in _fixed_marks().values():
        for first, second in itertools.permutations(marks, 2):
            if unicodedata.combining(first) > unicodedata.combining(second):
                yield first + second


@functools.cache
def _fixed_marks() -> dict[int, list[str]]:
    """The marks with fixed positions, by their blocks."""
    marks = defaultdict(list)
    for character in map(chr, range(PLANES)):
        if unicodedata.combining(character) in FIXED_POSITIONS:
            marks[_block(character)].append(character)

    return marks


def _block(character: str) -> int:
    """The number of the 128 code points that a script's letters and marks have in common."""
    return ord(character) // 128


def _hangul_rules() -> Iterator[tuple[str, str]]:
    """The rules of Korean syllables, of letters or of a shorter syllable and a letter."""
    for syllable in map(chr, HANGUL):
        letters = unicodedata.normalize("NFD", syllable)
        yield letters, syllable
        if len(letters) == 3:
            shorter = unicodedata.normalize("NFC", letters[:2])
            yield shorter + letters[2], syllable


def _space_rules() -> Iterator[tuple[str, str]]:
    """The rules that make every white space, and what spells one in pieces, a space."""
    for character in map(chr, range(PLANES)):
        if character == SPACE or (character.isspace() and character != " "):
            yield character, " "


def _dropping_rules() -> Iterator[tuple[str, str]]:
    """The rules that drop characters. SentencePiece can have none for U+0000."""
    controls = map(chr, [*range(0x01, 0x20), 0x7F])
    for character in (*controls, *DROPPED):
        if not character.isspace():
            yield character, ""
