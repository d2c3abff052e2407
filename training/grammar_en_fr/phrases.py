"""Aligned words: what every rule of the grammar takes and gives.

A French word knows the English words that it translates, so a rule may order the words of both
languages freely, by plain concatenation, and never counts positions. Positions, and the spelling
that depends on the next word (elision, contraction, capitals), appear only when a sentence is
complete: `Phrase.realize`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from .lexicon import ASPIRATED, Fixed

ELIDED = frozenset({"le", "la", "de", "ne", "que", "je", "me"})
CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}


@dataclass(frozen=True, eq=False)
class English:
    """An English word.

    Each occurrence is an object of its own, so identity tells two occurrences apart.
    """

    text: str


@dataclass(frozen=True, eq=False)
class French:
    """A French word and the English words that it translates."""

    text: str
    of: tuple[English, ...]


class Pair(NamedTuple):
    """A finished pair of sentences with gold links.

    Joining the words of a side gives its text without its spaces.
    """

    en: str
    fr: str
    en_words: tuple[str, ...]
    fr_words: tuple[str, ...]
    links: tuple[tuple[int, int], ...]  # (English word index, French word index), sorted


@dataclass(frozen=True, eq=False)
class Phrase:
    """English words in English order, French words in French order."""

    en: tuple[English, ...] = ()
    fr: tuple[French, ...] = ()

    def __add__(self, other: Phrase) -> Phrase:
        """One phrase after the other, in both languages."""
        return Phrase(self.en + other.en, self.fr + other.fr)

    def realize(self) -> Pair:
        """Spells the words out, writes both texts, and turns the links into positions."""
        fr = spell_french(self.fr)
        position = {id(word): index for index, word in enumerate(self.en)}
        links = [
            (position[id(source)], index) for index, word in enumerate(fr) for source in word.of
        ]

        en_words = spell_english(word.text for word in self.en)
        fr_words = tuple(word.text for word in fr)
        return Pair(
            en=write_english(en_words),
            fr=write_french(fr_words),
            en_words=en_words,
            fr_words=fr_words,
            links=tuple(sorted(links)),
        )

    def sentence(self, mark: str = ".") -> Phrase:
        """The phrase with capitals at the start and a punctuation mark, `.` or `?`, at the end."""
        first = self.en[0]
        capital = English(_capitalize(first.text))
        fr = [_relinked(word, first, capital) for word in self.fr]
        fr[0] = French(_capitalize(fr[0].text), fr[0].of)
        return Phrase((capital, *self.en[1:]), tuple(fr)) + aligned(mark, mark)


def _relinked(word: French, old: English, new: English) -> French:
    """The word, a translation of `new` where it was one of `old`."""
    if old not in word.of:
        return word
    return French(word.text, tuple(new if source is old else source for source in word.of))


def english(text: str) -> tuple[English, ...]:
    """English words from a string with spaces."""
    return tuple(English(word) for word in text.split())


def french(text: str, of: tuple[English, ...]) -> tuple[French, ...]:
    """French words from a string with spaces, each of which translates all of `of`."""
    return tuple(French(word, of) for word in text.split())


def aligned(en: str, fr: str) -> Phrase:
    """A word or an idiom.

    It is linked word by word when the counts agree, else every word with every word.
    """
    source = english(en)
    target = fr.split()
    if len(source) != len(target):
        return Phrase(source, french(fr, source))

    pairs = zip(target, source, strict=True)
    return Phrase(source, tuple(French(word, (of,)) for word, of in pairs))


def fixed(entry: Fixed) -> Phrase:
    """An idiom of the lexicon, with its own links where it states them."""
    if not entry.links:
        return aligned(entry.en, entry.fr)

    source = english(entry.en)
    target = entry.fr.split()
    of: list[list[English]] = [[] for _ in target]
    for link in entry.links.split():
        left, right = map(int, link.split("-"))
        of[right].append(source[left])

    pairs = zip(target, of, strict=True)
    return Phrase(source, tuple(French(word, tuple(links)) for word, links in pairs))


@cache
def starts_with_vowel(word: str) -> bool:
    """True if the French word asks for elision: a vowel or a mute h comes first."""
    first = unicodedata.normalize("NFD", word[:1].lower())[:1]
    mute_h = first == "h" and not word.lower().startswith(ASPIRATED)
    return first in tuple("aeiouœ") or word == "y" or mute_h


def spell_french(words: tuple[French, ...]) -> tuple[French, ...]:
    """Elision (le homme: l'homme), then contraction (de le: du).

    A contraction unites the links of both words.
    """
    elided = [_elide(word, following) for word, following in pairwise(words)]

    spelled: list[French] = []
    for word in [*elided, *words[-1:]]:
        merged = CONTRACTED.get((spelled[-1].text.lower(), word.text)) if spelled else None
        if merged is None:
            spelled.append(word)
            continue
        former = spelled.pop()
        text = _capitalize(merged) if former.text[0].isupper() else merged
        spelled.append(French(text, tuple(dict.fromkeys(former.of + word.of))))
    return tuple(spelled)


def _elide(word: French, following: French) -> French:
    if word.text.lower() in ELIDED and starts_with_vowel(following.text):
        return French(word.text[:-1] + "'", word.of)
    return word


def spell_english(texts: Iterable[str]) -> tuple[str, ...]:
    """`a` becomes `an` before a vowel."""
    words = list(texts)
    for index, following in enumerate(words[1:]):
        if words[index] in ("a", "A") and following[0].lower() in "aeiou":
            words[index] += "n"
    return tuple(words)


def write_english(words: tuple[str, ...]) -> str:
    """English text: a space before each word, none before punctuation and 's."""
    return "".join(word if word in ("'s", ".", ",", "?") else " " + word for word in words).strip()


def write_french(words: tuple[str, ...]) -> str:
    """French text: no space before a comma or full stop nor after an elided word.

    There is one before `?`.
    """
    text = "".join(word if word in (".", ",") else " " + word for word in words).strip()
    return text.replace("' ", "'")


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]
