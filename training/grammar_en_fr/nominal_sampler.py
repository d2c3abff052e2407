"""Chance, the first half: numbers, adjectives, determiners and nouns of a noun phrase."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, TypeVar

from . import lexicon as lex
from . import lexicon_verbs as words
from .nominals import Nominal, genitive, noun_phrase, prepositional
from .phrases import Phrase

Option = TypeVar("Option")

_SINGULAR = (*[words.THE] * 6, *[words.SOME] * 3, words.THIS, words.THAT, *words.POSSESSIVES)
_PLURAL = (
    *[words.THE] * 5,
    words.THIS,
    words.THAT,
    *words.POSSESSIVES,
    *words.THE_NUMBERS,
    *words.NUMBERS,
)
_QUANTIFIERS = (words.SOME, words.SOME, words.SOME, words.ALL, words.MANY, words.SEVERAL)
_MASS = (words.MASS_BARE, words.MASS_BARE, words.MASS_SOME, words.THE)
_MASS_SUBJECT = (words.THE, words.THE, words.THIS, *words.POSSESSIVES)
_NO_MASS = (words.MASS_NONE, words.MASS_NONE, words.THE)
_PLACES = (
    *[(words.IN, (lex.PLACE,))] * 4,
    (words.NEAR, (lex.PLACE, lex.LANDMARK)),
    (words.BEHIND, (lex.PLACE, lex.LANDMARK)),
    (words.IN_FRONT_OF, (lex.PLACE, lex.LANDMARK)),
    (words.UNDER, (lex.LANDMARK,)),
)
_SURFACES = ((words.ON, (lex.FURNITURE,)), (words.UNDER, (lex.FURNITURE,)))
_ANY_PLACE = _PLACES + _SURFACES * 3
_PLURAL_OR_QUANTIFIED = _PLURAL + _QUANTIFIERS
_EXISTENTIAL = (*words.NUMBERS, *(entry for entry in _QUANTIFIERS if entry is not words.ALL))
_NEGATED = tuple(entry for entry in _SINGULAR if entry is not words.SOME)


class Actor(NamedTuple):
    """A noun phrase with the kind of thing it names, which selects the verbs that fit it."""

    nominal: Nominal
    kind: str


@cache
def nouns(kinds: tuple[str, ...]) -> tuple[lex.Noun, ...]:
    """The nouns of these kinds."""
    return tuple(noun for noun in lex.NOUNS if noun.kind in kinds)


@cache
def adjectives(kind: str, predicative: bool = False) -> tuple[lex.Adjective, ...]:
    """The adjectives that fit a kind of noun; `little` stands only before nouns."""
    return tuple(
        word
        for word in lex.ADJECTIVES
        if kind in word.kinds and not (predicative and word.en == "little")
    )


class NominalSampler:
    """Draws simple noun phrases.

    It draws from its own `random.Random` alone, so a seed decides every word.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def choose(self, options: Sequence[Option]) -> Option:
        """One of the options, all alike."""
        return options[int(self._rng.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self._rng.random() < probability

    def draw(self) -> float:
        """A number from 0 to 1."""
        return self._rng.random()

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._rng.random() * (high - low + 1))

    def modifiers(self, noun: lex.Noun) -> list[lex.Adjective]:
        """No, one or two adjectives in English order."""
        draw = self._rng.random()
        chosen: dict[int, lex.Adjective] = {}
        for _ in range((draw > 0.5) + (draw > 0.88)):
            adjective = self.choose(adjectives(noun.kind) or (None,))
            if adjective is not None:
                chosen[adjective.rank] = adjective
        return [chosen[rank] for rank in sorted(chosen)]

    def determiner(self, noun: lex.Noun, plural: bool, role: str) -> lex.Determiner:
        """A determiner that the role allows.

        After a preposition none contains `de`; under negation there is `any`.
        """
        if noun.kind in lex.MASS:
            return self.choose({"object": _MASS, "negated": _NO_MASS}.get(role, _MASS_SUBJECT))
        if role == "existential":
            return self.choose(_EXISTENTIAL) if plural else words.SOME
        if role == "none" or (role == "negated" and self.chance(0.4)):
            return words.NONE
        if role in ("preposition", "negated"):
            singular = _SINGULAR if role == "preposition" else _NEGATED
            return self.choose(_PLURAL if plural else singular)
        if role == "subject" and not plural and self.chance(0.06):
            return words.EVERY
        return self.choose(_PLURAL_OR_QUANTIFIED if plural else _SINGULAR)

    def simple(self, kinds: tuple[str, ...], role: str) -> Actor:
        """A noun phrase of one of the kinds, with nothing after the noun.

        The role is `subject`, `object`, `negated` (object of a negated verb), `preposition`,
        `existential` (there is) or `none` (there is not).
        """
        noun = self.choose(nouns(kinds))
        plural = noun.kind not in lex.MASS and self.chance(0.2 if role == "preposition" else 0.35)
        determiner = self.determiner(noun, plural, role)
        modifiers = self.modifiers(noun)
        return Actor(noun_phrase(determiner, noun, *modifiers, plural=plural), noun.kind)

    def possessed(self, kinds: tuple[str, ...]) -> Actor:
        """A noun phrase with a short singular owner: the king's old house."""
        noun = self.choose(nouns(kinds))
        plural = noun.kind not in lex.MASS and self.chance(0.3)
        determiner = self.choose((words.THE, *words.POSSESSIVES))
        owner = noun_phrase(determiner, self.choose(nouns(lex.PEOPLE)))
        modifiers = self.modifiers(noun)[:1]
        return Actor(genitive(owner, noun, *modifiers, plural=plural), noun.kind)

    def place(self, surfaces: bool = False) -> Phrase:
        """An adjunct of place; `surfaces` adds what small things and animals are on or under."""
        preposition, kinds = self.choose(_ANY_PLACE if surfaces else _PLACES)
        return prepositional(preposition, self.simple(kinds, "preposition").nominal)
