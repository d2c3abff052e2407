"""Documents to sentences: models are trained on single sentences, and attend best to one.

The rule asks for no language. In doubt it joins: two sentences at once cost less than half of one.

1. A sentence ends with its line or paragraph.
2. It ends behind a mark that is nothing but an end, such as `。`, `！`, `？`, `।`, `؟`, `۔`, `։`,
   `።`, `။` or `។`, with white space behind it or without.
3. It ends behind `.`, `!`, `?` or `…` where white space comes next and then no lower-case letter;
   behind `!` and `?` between Chinese or Japanese characters, too.
4. Closing quotes and brackets belong to what is before them. Behind a mark no sentence begins with
   a comma, and behind a quotation none with hiragana, which go on with it ("と言った").
5. A single period ends nothing behind a title or an initial ("J. Smith"), and before a number
   nothing behind a word of `BEFORE_NUMBERS` ("No. 5", "Jan. 5"). Behind a word of `ABBREVIATIONS`,
   an ordinal ("3. Mai", "II. Weltkrieg"), letters with periods between ("U.S.", "a.m.") and doubled
   capitals ("EE. UU.") it ends a sentence only before a word of `STARTERS` ("the U.S. The").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .abbreviations import ABBREVIATIONS, BEFORE_NUMBERS, LETTERS, NEVER_LAST, STARTERS, VERBS

_STOPS = (
    "。｡！？"  # Chinese and Japanese
    "।॥᱾᱿꯫"  # of India
    "؟۔܀܁܂߹"  # Arabic, Urdu, Syriac, N'Ko
    "։"  # Armenian
    "።፧፨"  # Amharic and Tigrinya
    "៕។"  # Khmer
    "။"  # Burmese
    "᠃᠉"  # Mongolian
    "‼⁇⁈⁉"
)
"""Marks that end a sentence and do nothing else (Unicode's property Sentence_Terminal)."""

_END = re.compile(
    rf"[.!?…．{_STOPS}]+"
    r"|(?<=[\u0561-\u0587]):(?=\s+[\u0531-\u0556])"  # a colon typed for the Armenian full stop
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff])[;\u037e](?=\s+[\u0386-\u03ab])"  # of Greek questions
    "|፡፡"  # two word spaces, for the Ethiopic one
)
_LINE = re.compile("(?<=[\n\u2028\u2029])")
_CLOSING = re.compile(
    r"(?:[”’»›)\]」』）】》〉\u200e\u200f\u202c\u2069]"
    r"|[\"'“«](?!\w)"  # which may open, too
    r"|[ \u00a0\u202f]»(?!\w))*"  # as French has it
)
_SPACE = re.compile(r"[\s\u200b]*")
_OPENING = "\"'“‘„«‹([{¿¡（「『《"
_BEFORE_LETTER = re.compile(r"[\"'“‘„«‹(\[—–\-\s]*")
_COMMAS = ",;:，、；：،؛"
_NUMBER = re.compile(r"[#№§(]?[A-Z]?-?\d|(?:[VX]|[IVXLC]{2,})\b")
_PARTS = re.compile(r"[^.]{1,3}(?:\.[^.]{1,3})+")
_CAPITALS = re.compile(r"([A-Z])\1|[IVXLC]{2,}")
_STARTER = re.compile(r"(\w+)(?![\w-])")
_ELISION = re.compile("[CDJLMNSTQ][’']")  # of French, "L'homme"
_CHINESE = re.compile("[々\u3040-\u30ff\u3400-\u9fff]")
_HIRAGANA = re.compile("[\u3041-\u309f]")
_GEORGIAN = re.compile("[\u10d0-\u10ff]")  # which has no capitals at the beginning
_LAST_NAMES = re.compile(r"(?:([^\s.۔]+)[.۔]\s*)?([^\s.۔]+)$")
_WORD = re.compile(r"\w")
_NUMBERED = re.compile(r"(\w+)\.\s*\d+$")
_NEXT_NAME = re.compile(r"([^\s.۔]+)[.۔]")

_FIRST_CHINESE = "\u2e80"
"""The first character of the scripts of China, Japan and Korea, where one character is a word."""

_CONTEXT = 40
"""Characters of a line that are looked at on either side of a mark."""


class _Place(NamedTuple):
    """A place in a line where a sentence may end."""

    before: str  # the end of what the sentence has before the mark
    whole: bool  # that is all it has
    mark: str
    closed: bool  # quotes or brackets behind the mark
    spaced: bool  # white space behind those
    after: str  # the beginning of what follows

    @property
    def word(self) -> str:
        """The word before the mark, without the quotes and brackets that open it."""
        if not self.before or self.before[-1].isspace():
            return ""
        return self.before.split()[-1].lstrip(_OPENING)

    @property
    def first(self) -> bool:
        """The word before the mark is the first of its sentence."""
        return self.whole and len(self.before.split()) <= 1


def split(text: str) -> list[str]:
    """The sentences of a text, each with the white space behind it: joined, they are the text."""
    sentences = []
    for line in _LINE.split(text):
        sentences += _split_line(line)
    return sentences


def rejoin(parts: Iterable[str], translations: Iterator[str]) -> str:
    """Joins the parts of a text, with translations in the place of those that hold words.

    Args:
        parts: the parts; their white space stays. Between sentences of scripts that have none, a
            space is added where the translations' script has one.
        translations: one for each part that is not white space alone.
    """
    texts: list[str] = []
    for part in parts:
        text = part.strip()
        if not text:
            texts.append(part)
            continue

        before, _, behind = part.partition(text)
        if texts and not before and _needs_space(texts[-1]):
            before = " "
        texts.append(f"{before}{next(translations)}{behind}")
    return "".join(texts)


def _needs_space(text: str) -> bool:
    """Another sentence goes behind a space: none is there, and the script is not a wide one."""
    last = text[-1:]
    return bool(last) and not last.isspace() and unicodedata.east_asian_width(last) not in "WF"


def _split_line(line: str) -> list[str]:
    sentences = []
    begin = 0
    counted = 0
    quoted = False  # within straight quotes
    for mark in _END.finditer(line):
        quoted ^= line.count('"', counted, mark.start()) % 2 == 1
        counted = mark.start()

        closed = _behind(_CLOSING, line, mark.end())
        if quoted and line.startswith('"', closed):
            closed += 1
        following = _behind(_SPACE, line, closed)
        place = _Place(
            before=line[max(begin, mark.start() - _CONTEXT) : mark.start()],
            whole=mark.start() - begin <= _CONTEXT,
            mark=mark.group(),
            closed=closed > mark.end(),
            spaced=following > closed,
            after=line[following : following + _CONTEXT],
        )
        if _ends_sentence(place):
            sentences.append(line[begin:following])
            begin = following

    if begin < len(line):
        sentences.append(line[begin:])
    return sentences


def _behind(pattern: re.Pattern[str], line: str, position: int) -> int:
    """The position behind what matches at one; the same if nothing does."""
    match = pattern.match(line, position)
    return match.end() if match else position


def _ends_sentence(place: _Place) -> bool:
    if not place.after:
        return True
    wordless = place.whole and not _WORD.search(place.before)
    if wordless or place.after[0] in _COMMAS:
        return False

    if place.mark[0] == "．" or not set(place.mark) <= set(".!?…"):
        return _stop_ends(place)
    if not place.spaced:
        between_chinese = _CHINESE.match(place.before[-1:]) and _CHINESE.match(place.after)
        return bool(between_chinese) and place.mark.strip("!?") == ""
    if _goes_on_small(place.after):
        return False
    return place.mark != "." or _period_ends(place)


def _stop_ends(place: _Place) -> bool:
    """For marks that are nothing but an end."""
    if place.closed and not place.spaced and _HIRAGANA.match(place.after):
        return False
    if place.mark == "．":
        return _CHINESE.match(place.before[-1:]) is not None
    if place.mark == "។":  # "។ល។" is Khmer for "etc."
        return not (place.after.startswith("ល។") or place.word.endswith("។ល"))
    if place.mark == "۔":
        return not _is_letter_name(place)
    return True


def _period_ends(place: _Place) -> bool:
    """For a single period."""
    word = place.word.lower()
    last_part = re.split("[-.]", word)[-1]
    initial = len(word) == 1 and word.isalpha() and word < _FIRST_CHINESE
    if initial or word in NEVER_LAST or _is_letter_name(place):
        return False
    if last_part in BEFORE_NUMBERS and _NUMBER.match(place.after):
        return False

    ordinal = word.isdecimal() and len(word) <= 2 and not _is_numbered(place)
    if ordinal and place.first:  # a number of a list
        return False
    abbreviated = last_part in ABBREVIATIONS or _PARTS.fullmatch(word) is not None
    in_doubt = ordinal or abbreviated or _CAPITALS.fullmatch(place.word) is not None
    return not in_doubt or _begins_sentence(place.after)


def _is_numbered(place: _Place) -> bool:
    """The number before the mark is that of something ("No. 5.", "p. 5."), and no ordinal."""
    found = _NUMBERED.search(place.before)
    return found is not None and (len(found[1]) == 1 or found[1].lower() in BEFORE_NUMBERS)


def _is_letter_name(place: _Place) -> bool:
    """The word before the mark names a letter of initials, as Hindi and Urdu write them."""
    found = _LAST_NAMES.search(place.before)
    if found is None or found[2] not in LETTERS:
        return False
    if found[2] not in VERBS or not place.spaced:
        return True
    next_name = _NEXT_NAME.match(place.after)
    return found[1] in LETTERS or (next_name is not None and next_name[1] in LETTERS)


def _goes_on_small(after: str) -> bool:
    """The next letter is a small one of a script that begins sentences with capitals."""
    first = after[_behind(_BEFORE_LETTER, after, 0) :][:1]
    return first.islower() and not _GEORGIAN.match(first)


def _begins_sentence(after: str) -> bool:
    """The next word is one that begins a sentence and hardly a name."""
    words = after.lstrip(_OPENING)
    word = _STARTER.match(words)
    return _ELISION.match(words) is not None or (word is not None and word[1] in STARTERS)
