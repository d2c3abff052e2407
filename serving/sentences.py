"""Documents to sentences: models are trained on single sentences, and attend best to one.

The rule. A sentence ends at the end of its line; behind `.`, `!`, `?` or `…` and the closing quotes
and brackets that follow, where white space comes next and then no lower-case letter; and behind
`。`, `！` or `？`. It does not end at a single period behind an initial ("J. Smith"), a number of
one or two digits ("3. Mai"), a word with a period inside ("z.B.") or one of `ABBREVIATIONS`. In
doubt the rule joins: two sentences at once cost less than half of one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

_SHORT = """
al approx art bzw ca capt cf cie co col dept dr ed etc evtl fig figs ggf gen gov hr hrn inc inkl jr
lt ltd max mgr min mio mlle mm mme mr mrs ms nos nr num op para pp prof ref rep rev sen sgt sog sr
sra srta st str tel usw vgl vol vs
"""
ABBREVIATIONS = frozenset(_SHORT.split())
"""Words that a period follows within a sentence, in lower case: English, German, French, Spanish.
"""

_MARKS = ".!?…"
_CLOSING = "\"'”’»«“)]"
_OPENING = "\"'“‘„«(["
_WIDE = re.compile("[。！？]+[”’」』）]*")


def split(text: str) -> list[str]:
    """The sentences of a text, each with the white space behind it: joined, they are the text."""
    sentences = []
    for line in text.splitlines(keepends=True):
        sentences += _split_line(line)
    return sentences


def rejoin(parts: Iterable[str], translations: Iterator[str]) -> str:
    """Joins the parts of a text, with translations in the place of those that hold words.

    Args:
        parts: the parts; their white space stays.
        translations: one for each part that is not white space alone.
    """
    texts = []
    for part in parts:
        text = part.strip()
        if text:
            before, _, behind = part.partition(text)
            texts.append(f"{before}{next(translations)}{behind}")
        else:
            texts.append(part)
    return "".join(texts)


def _split_line(line: str) -> list[str]:
    sentences = []
    begin = 0
    words = list(re.finditer(r"\S+", line))
    for word, following in itertools.zip_longest(words, words[1:]):
        next_word = following.start() if following else len(line)
        marks = [mark.end() for mark in _WIDE.finditer(line, *word.span())]
        ends = [end if end < word.end() else next_word for end in marks]
        if following and _ends_sentence(word.group()) and not following.group()[0].islower():
            ends.append(next_word)

        for end in ends:
            sentences.append(line[begin:end])
            begin = end
    if begin < len(line):
        sentences.append(line[begin:])
    return sentences


def _ends_sentence(word: str) -> bool:
    """A mark ends the word, and is not the period of an abbreviation, initial or ordinal."""
    marked = word.rstrip(_CLOSING)
    bare = marked.rstrip(_MARKS)
    if marked[len(bare) :] != ".":
        return len(bare) < len(marked)

    bare = bare.lstrip(_OPENING)
    initial = len(bare) == 1 and bare.isalpha()
    ordinal = len(bare) <= 2 and bare.isdecimal()
    return not (initial or ordinal or "." in bare or bare.lower() in ABBREVIATIONS)
