"""Noun phrases: agreement, the places of adjectives, possession, relative clauses, coordination."""

from __future__ import annotations

from dataclasses import dataclass

from .lexicon import Adjective, Determiner, Fixed, Noun, Pronoun
from .lexicon_verbs import AND
from .phrases import Phrase, aligned, english, fixed, french, starts_with_vowel


@dataclass(frozen=True, eq=False)
class Nominal:
    """A noun phrase or a pronoun, and what agrees with it."""

    phrase: Phrase
    gender: str  # "m" or "f"
    plural: bool
    person: int = 3

    @property
    def third_singular(self) -> bool:
        """True if an English verb takes its -s."""
        return self.person == 3 and not self.plural

    @property
    def form(self) -> int:
        """The index of its French verb form in (je, il, nous, ils)."""
        return 2 * self.plural + (self.person == 3)


def pronoun(entry: Pronoun) -> Nominal:
    """A subject pronoun: she - elle."""
    return Nominal(
        phrase=aligned(entry.en, entry.fr),
        gender=entry.gender,
        plural=entry.plural,
        person=entry.person,
    )


def inflect(adjective: Adjective, gender: str, plural: bool, following: str = "") -> str:
    """The French form that agrees: vieux, vieille, and vieil before a vowel of `following`."""
    if plural:
        return adjective.mp if gender == "m" else adjective.fp
    if gender == "f":
        return adjective.fs
    if adjective.ms_vowel and starts_with_vowel(following):
        return adjective.ms_vowel
    return adjective.ms


def determine(determiner: Determiner, gender: str, plural: bool, following: str) -> str:
    """The French form of the determiner before the word `following`.

    Such are: ce chat, cet homme, cette fille, ces enfants.
    """
    if plural:
        return determiner.mp if gender == "m" else determiner.fp

    vowel = starts_with_vowel(following)
    if gender == "m":
        return determiner.ms_vowel if vowel and determiner.ms_vowel else determiner.ms
    return determiner.fs_vowel if vowel and determiner.fs_vowel else determiner.fs


def bare_noun(noun: Noun, *adjectives: Adjective, plural: bool = False) -> Phrase:
    """A noun with its adjectives: little black cat - petit chat noir.

    The adjectives come in English order.
    """
    head = aligned(noun.en_plural, noun.fr_plural) if plural else aligned(noun.en, noun.fr)
    source = head.en
    target = head.fr
    for adjective in reversed(adjectives):
        following = target[0].text if adjective.precedes else ""
        phrase = aligned(adjective.en, inflect(adjective, noun.gender, plural, following))
        source = phrase.en + source
        target = phrase.fr + target if adjective.precedes else target + phrase.fr
    return Phrase(source, target)


def noun_phrase(
    determiner: Determiner, noun: Noun, *adjectives: Adjective, plural: bool = False
) -> Nominal:
    """The red dress - la robe rouge.

    `some` is `de` before an adjective that precedes: de petites maisons.
    """
    body = bare_noun(noun, *adjectives, plural=plural)
    form = determine(determiner, noun.gender, plural, body.fr[0].text)
    if form == "des" and any(adjective.precedes for adjective in adjectives):
        form = "de"

    en = determiner.en_plural if plural else determiner.en
    # Bare "bread" is "du pain": the partitive article translates the noun's own number, so the
    # noun is its source.
    article = aligned(en, form) if en else Phrase((), french(form, body.en[-1:]))
    return Nominal(article + body, noun.gender, plural)


def genitive(owner: Nominal, noun: Noun, *adjectives: Adjective, plural: bool = False) -> Nominal:
    """The king's old house - la vieille maison du roi.

    The 's stands for both the article and `de`.
    """
    body = bare_noun(noun, *adjectives, plural=plural)
    marker = english("'s")
    singular = "le" if noun.gender == "m" else "la"
    article = french("les" if plural else singular, marker)

    en = owner.phrase.en + marker + body.en
    fr = article + body.fr + french("de", marker) + owner.phrase.fr
    return Nominal(Phrase(en, fr), noun.gender, plural)


def prepositional(preposition: Fixed, nominal: Nominal) -> Phrase:
    """A preposition and its noun phrase: near the house - près de la maison."""
    return fixed(preposition) + nominal.phrase


def extended(nominal: Nominal, modifier: Phrase) -> Nominal:
    """A noun phrase with a modifier after it that changes no agreement."""
    return Nominal(nominal.phrase + modifier, nominal.gender, nominal.plural)


def subject_relative(head: Nominal, word: str, predicate: Phrase) -> Nominal:
    """The girl who sings - la fille qui chante.

    The word is `who` or `that`; the predicate agrees with the head.
    """
    return extended(head, aligned(word, "qui") + predicate)


def object_relative(head: Nominal, subject: Nominal, predicate: Phrase) -> Nominal:
    """The dress that the man saw - la robe que l'homme a vue."""
    return extended(head, aligned("that", "que") + subject.phrase + predicate)


def place_relative(head: Nominal, subject: Nominal, predicate: Phrase) -> Nominal:
    """The house where she lives - la maison où elle habite."""
    return extended(head, aligned("where", "où") + subject.phrase + predicate)


def both(first: Nominal, second: Nominal) -> Nominal:
    """Two coordinated noun phrases: plural, and feminine only if both are."""
    gender = "f" if first.gender == second.gender == "f" else "m"
    return Nominal(first.phrase + fixed(AND) + second.phrase, gender, plural=True)
