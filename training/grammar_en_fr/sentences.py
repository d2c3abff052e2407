"""Whole texts from sampled clauses.

They are plain, extended or coordinated sentences, questions, bare noun phrases and long sentences.
"""

from __future__ import annotations

from . import lexicon as lex
from . import lexicon_verbs as words
from .clauses import Clitic, Negation, Tense, attribute, conjugate, copula, question, there_is
from .nominal_sampler import adjectives
from .nominals import pronoun
from .phrases import Phrase, fixed
from .sampler import Sampler, past_of_state, transitive_verbs

_COORDINATING = (words.AND, words.AND, words.BUT)
_SUBORDINATING = (words.BECAUSE, words.WHEN, words.WHILE)
_NAMEABLE = (*lex.LIVING, lex.FRUIT, *lex.THINGS, lex.PLACE, lex.LANDMARK)


def text(sampler: Sampler) -> Phrase:
    """A text of the training distribution.

    One in ten is a bare phrase, the others are sentences.
    """
    draw = sampler.draw()
    if draw < 0.11:
        return bare_phrase(sampler)
    if draw < 0.18:
        return interrogative(sampler).sentence("?")

    tense = sampler.tense()
    if draw < 0.84:
        return clause(sampler, tense, 2 if draw > 0.75 else 1).sentence()

    first = clause(sampler, tense)
    if sampler.chance(0.45):
        second = subordinate(sampler, tense)
    else:
        second = coordinate(sampler, tense if sampler.chance(0.5) else sampler.tense())
    return (first + second).sentence()


def long_text(sampler: Sampler, shortest: int, longest: int) -> Phrase:
    """A sentence of `shortest` to `longest` English words, of as many clauses as that takes."""
    while True:
        target = sampler.between(shortest, longest)
        tense = sampler.tense()
        phrase = clause(sampler, tense, 2)
        follow = coordinate
        while len(phrase.en) < target - 1:
            # A subordinate clause is followed by a main clause: no "because she sings when he
            # sleeps".
            follow = subordinate if follow is coordinate and sampler.chance(0.5) else coordinate
            tense = sampler.tense() if follow is coordinate else tense
            phrase = phrase + follow(sampler, tense, 2)

        if len(phrase.en) < longest:
            return phrase.sentence()


def bare_phrase(sampler: Sampler) -> Phrase:
    """A text without a main verb: the red dress; in the small garden."""
    if sampler.chance(0.12):
        return sampler.place(surfaces=True)

    actor = sampler.simple(_NAMEABLE, "subject")
    return sampler.extension(actor).phrase if sampler.chance(0.08) else actor.nominal.phrase


def clause(sampler: Sampler, tense: Tense, depth: int = 1, *, main: bool = True) -> Phrase:
    """A subject and a predicate.

    There is often an adjunct at the end or, in a main clause, at the start.
    """
    if tense is Tense.PRESENT and sampler.chance(0.14):
        return existential(sampler)

    subject = sampler.subject(depth)
    phrase = subject.nominal.phrase + sampler.verb_phrase(subject, tense, depth)
    if sampler.chance(0.07):
        phrase = phrase + fixed(words.AND) + sampler.verb_phrase(subject, tense, 0)

    if main and sampler.chance(0.08):
        return sampler.place() + fixed(words.COMMA) + phrase
    time = sampler.time(tense) if sampler.chance(0.3) else None
    if time is None:
        return phrase
    if main and sampler.chance(0.4):
        return time + fixed(words.COMMA) + phrase
    return phrase + time


def coordinate(sampler: Sampler, tense: Tense, depth: int = 1) -> Phrase:
    """A further main clause: , and she sings."""
    conjunction = fixed(sampler.choose(_COORDINATING))
    return fixed(words.COMMA) + conjunction + clause(sampler, tense, depth)


def subordinate(sampler: Sampler, tense: Tense, depth: int = 1) -> Phrase:
    """A subordinate clause in the tense of the main clause: because she sings.

    English has no future after `when` and `while`; French would not have the passé composé after
    `pendant que`.
    """
    options: tuple[lex.Fixed, ...] = _SUBORDINATING[:1]
    if tense is Tense.PRESENT:
        options = _SUBORDINATING
    elif tense is Tense.PAST:
        options = _SUBORDINATING[:2]
    return fixed(sampler.choose(options)) + clause(sampler, tense, depth, main=False)


def existential(sampler: Sampler) -> Phrase:
    """There is a cat in the garden; there are not any apples on the table."""
    negation = Negation.NOT if sampler.chance(0.2) else None
    kinds = (lex.PERSON, lex.ANIMAL, lex.THING, lex.TEXT, lex.FRUIT)
    thing = sampler.simple(kinds, "none" if negation else "existential")
    return there_is(thing.nominal, negation) + sampler.place(surfaces=thing.kind != lex.PERSON)


def interrogative(sampler: Sampler) -> Phrase:
    """Does the boy eat the apple; is the dress red; will she see him (without the mark)."""
    tense = sampler.tense()
    subject = sampler.subject(0)

    if subject.kind not in lex.LIVING or sampler.chance(0.3):
        tense = Tense.PRESENT if tense is Tense.PERFECT else tense
        adjective = sampler.choose(adjectives(subject.kind, predicative=True))
        asked = question(subject.nominal, copula(subject.nominal, tense))
        return asked + attribute(adjective, subject.nominal)

    entry = sampler.object_pronoun(subject) if sampler.chance(0.35) else None
    verb = sampler.choose(transitive_verbs(subject.kind, lex.PERSON if entry else ""))
    tense = past_of_state(verb, tense)
    antecedent = pronoun(entry) if entry else None
    group = conjugate(subject.nominal, verb, tense, support=True, antecedent=antecedent)
    if entry:
        return question(subject.nominal, group, Clitic(entry))
    return question(subject.nominal, group) + sampler.simple(verb.objects, "object").nominal.phrase
