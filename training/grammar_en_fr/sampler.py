"""Chance, the second half: which rule of the grammar comes next, with which words.

The grammar (`nominals`, `clauses`) says what is correct; a `Sampler` draws plausible combinations
from it.
"""

from __future__ import annotations

from functools import cache

from . import lexicon as lex
from . import lexicon_verbs as words
from .clauses import (
    Clitic,
    Negation,
    Tense,
    VerbGroup,
    as_much,
    attribute,
    conjugate,
    copula,
    give,
    modal,
    more,
    passive,
    predicate,
)
from .nominal_sampler import Actor, NominalSampler, adjectives, nouns
from .nominals import (
    Nominal,
    both,
    extended,
    noun_phrase,
    object_relative,
    place_relative,
    prepositional,
    pronoun,
    subject_relative,
)
from .phrases import Phrase, fixed

_PRONOUNS = (words.HE, words.SHE, words.THEY, words.I, words.WE)
_SUBJECT_PRONOUNS = (
    *[words.HE] * 3,
    *[words.SHE] * 3,
    *[words.THEY] * 2,
    *[words.I] * 2,
    *[words.WE] * 2,
)
_COMPARED = ("beautiful", "intelligent", "famous", "expensive", "modern", "dangerous")
_INANIMATE = (*lex.THINGS, lex.FRUIT, lex.PLACE)
_TENSES = (*[Tense.PRESENT] * 4, *[Tense.PAST] * 3, *[Tense.FUTURE] * 2, Tense.PERFECT)
_TIMES = {
    Tense.PRESENT: words.TIMES_PRESENT,
    Tense.PAST: words.TIMES_PAST,
    Tense.FUTURE: words.TIMES_FUTURE,
    Tense.PERFECT: (),
}


@cache
def transitive_verbs(
    subject: str, object_kind: str = "", spare_states: bool = False
) -> tuple[lex.Verb, ...]:
    """The transitive verbs that a kind of subject, and a kind of object where given, go with."""
    return tuple(
        verb
        for verb in words.TRANSITIVE
        if subject in verb.subjects and (not object_kind or object_kind in verb.objects)
        if not (spare_states and (verb.state or " " in verb.base))
    )


class Sampler(NominalSampler):
    """Draws phrases and clauses; `depth` bounds how often noun phrases nest."""

    def tense(self) -> Tense:
        """A tense, present most often."""
        return self.choose(_TENSES)

    def negation(self) -> Negation | None:
        """Mostly none."""
        return (
            self.choose((Negation.NOT, Negation.NOT, Negation.NEVER)) if self.chance(0.22) else None
        )

    def actor(self, kinds: tuple[str, ...], role: str, depth: int = 1) -> Actor:
        """A noun phrase of one of the kinds; down to depth 0 it may have an owner or something
        after its noun.

        The roles are those of `simple`.
        """
        if depth and role != "negated":
            if self.chance(0.04):
                return self.possessed(kinds)
            actor = self.simple(kinds, role)
            if actor.kind not in lex.MASS and self.chance(0.16):
                return Actor(self.extension(actor, depth - 1), actor.kind)
            return actor
        return self.simple(kinds, role)

    def subject(self, depth: int = 1) -> Actor:
        """The subject of a clause: a pronoun, a person or animal, or a thing; sometimes two."""
        draw = self._rng.random()
        if draw < 0.3:
            return Actor(pronoun(self.choose(_SUBJECT_PRONOUNS)), lex.PERSON)
        first = self.actor(lex.LIVING if draw < 0.8 else _INANIMATE, "subject", depth)
        if self.chance(0.06):
            second = self.simple((first.kind,), "subject")
            return Actor(both(first.nominal, second.nominal), first.kind)
        return first

    def extension(self, head: Actor, depth: int = 0) -> Nominal:
        """A noun phrase with what follows it: a relative clause, `of` or a place."""
        nominal, kind = head
        tense = self.choose((Tense.PRESENT, Tense.PAST, Tense.PRESENT, Tense.FUTURE))
        if kind == lex.PLACE and self.chance(0.4):
            subject = self.choose(
                (pronoun(self.choose(_PRONOUNS)), self.simple(lex.PEOPLE, "subject").nominal)
            )
            group = conjugate(
                subject, self.choose(words.INTRANSITIVE[:4] + words.INTRANSITIVE[9:10]), tense
            )
            return place_relative(nominal, subject, predicate(group))
        if kind in (lex.DOOR, lex.FURNITURE) and self.chance(0.4):
            return extended(
                nominal, prepositional(words.OF, self.simple((lex.PLACE,), "preposition").nominal)
            )
        if kind not in lex.LIVING and self.chance(0.3):
            return extended(nominal, self.place())
        if self.chance(0.5) and transitive_verbs(lex.PERSON, kind):
            subject = self.choose(
                (pronoun(self.choose(_PRONOUNS)), self.simple(lex.PEOPLE, "subject").nominal)
            )
            negation = self.negation()
            group = conjugate(
                subject,
                self.choose(transitive_verbs(lex.PERSON, kind)),
                tense,
                support=negation is Negation.NOT,
                antecedent=nominal,
            )
            return object_relative(nominal, subject, predicate(group, negation))
        return subject_relative(
            nominal, "who" if kind == lex.PERSON else "that", self.verb_phrase(head, tense, depth)
        )

    def time(self, tense: Tense) -> Phrase | None:
        """An adjunct of time; the perfect takes none."""
        return fixed(self.choose(_TIMES[tense])) if _TIMES[tense] else None

    def group(
        self, actor: Actor, verb: lex.Verb, tense: Tense, negation: Negation | None
    ) -> VerbGroup:
        """A verb in its tense, sometimes under want, can or must."""
        support = negation is Negation.NOT
        if tense is Tense.PERFECT or verb.state or self.chance(0.85):
            if verb.state and tense is Tense.PERFECT:
                tense = Tense.PAST
            return conjugate(actor.nominal, verb, tense, support=support)
        governors = [words.WANT] if tense is not Tense.PRESENT else [words.WANT, words.MUST]
        if tense is Tense.PRESENT and not support:
            governors.append(words.CAN)
        return modal(actor.nominal, self.choose(governors), verb, tense, support=support)

    def adverb(self, negation: Negation | None) -> lex.Fixed | None:
        """Often or always, in affirmative clauses only."""
        return (
            self.choose((words.OFTEN, words.ALWAYS))
            if negation is None and self.chance(0.08)
            else None
        )

    def verb_phrase(self, actor: Actor, tense: Tense, depth: int = 1) -> Phrase:
        """A predicate that fits its subject."""
        if actor.kind not in lex.LIVING:
            return self.choose(
                (self.being, self.being, self.location, self.location, self.undergoing)
            )(actor, tense)
        draw = self._rng.random()
        if draw < 0.42:
            return self.transitive(actor, tense, depth)
        if draw < 0.56:
            return self.transitive_pronoun(actor, tense)
        if draw < 0.67 and actor.kind == lex.PERSON:
            return self.giving(actor, tense)
        if draw < 0.78:
            return self.intransitive(actor, tense)
        return self.choose((self.motion, self.being, self.being, self.location))(actor, tense)

    def transitive(self, actor: Actor, tense: Tense, depth: int) -> Phrase:
        """Eats the red apple; does not eat any bread."""
        verb, negation = self.choose(transitive_verbs(actor.kind)), self.negation()
        thing = self.actor(verb.objects, "negated" if negation else "object", depth)
        nominal = thing.nominal
        if negation is None and thing.kind not in lex.MASS and self.chance(0.06):
            nominal = both(nominal, self.simple((thing.kind,), "object").nominal)
        return (
            predicate(self.group(actor, verb, tense, negation), negation, self.adverb(negation))
            + nominal.phrase
        )

    def transitive_pronoun(self, actor: Actor, tense: Tense) -> Phrase:
        """Sees him: le voit; has seen her: l'a vue."""
        entry = self.object_pronoun(actor)
        verb, negation = self.choose(transitive_verbs(actor.kind, lex.PERSON)), self.negation()
        if tense is Tense.PERFECT and verb.state:
            tense = Tense.PAST
        if tense in (Tense.PAST, Tense.PERFECT):
            antecedent = pronoun(entry)
            group = conjugate(
                actor.nominal, verb, tense, support=negation is Negation.NOT, antecedent=antecedent
            )
        else:
            group = self.group(actor, verb, tense, negation)
        return predicate(group, negation, self.adverb(negation), Clitic(entry))

    def object_pronoun(self, actor: Actor) -> lex.Pronoun:
        """An object pronoun; only a third person sees me or us."""
        return self.choose(_PRONOUNS[:3] if actor.nominal.person == 1 else _PRONOUNS)

    def giving(self, actor: Actor, tense: Tense) -> Phrase:
        """Gives the girl an apple, gives an apple to the girl, gives her an apple."""
        verb, negation = self.choose(words.DITRANSITIVE), self.negation()
        group = conjugate(actor.nominal, verb, tense, support=negation is Negation.NOT)
        thing = self.simple(verb.objects, "negated" if negation else "object").nominal
        if self.chance(0.5):
            return (
                predicate(group, negation, None, Clitic(self.object_pronoun(actor), indirect=True))
                + thing.phrase
            )
        receiver = self.simple(lex.PEOPLE, "preposition").nominal
        return give(predicate(group, negation), thing, receiver, to=self.chance(0.5))

    def intransitive(self, actor: Actor, tense: Tense) -> Phrase:
        """Sleeps in the garden."""
        verb = self.choose([verb for verb in words.INTRANSITIVE if actor.kind in verb.subjects])
        negation = self.negation()
        phrase = predicate(
            self.group(actor, verb, tense, negation), negation, self.adverb(negation)
        )
        if verb.base == "live" or self.chance(0.4):
            return phrase + self.place(surfaces=actor.kind == lex.ANIMAL and verb.base == "sleep")
        if tense is Tense.PAST and not negation and verb.auxiliary == "avoir" and self.chance(0.3):
            noun = self.choose(nouns((lex.TIME,)))
            span = noun_phrase(self.choose(words.NUMBERS), noun, plural=True)
            return phrase + prepositional(words.FOR, span)
        if self.chance(0.2):
            return phrase + prepositional(
                words.WITH, self.simple(lex.PEOPLE, "preposition").nominal
            )
        return phrase

    def motion(self, actor: Actor, tense: Tense) -> Phrase:
        """Goes to the market: va au marché; comes from the garden: vient du jardin."""
        verb, preposition = self.choose(
            ((words.GO, words.TO), (words.GO, words.TO), (words.COME, words.FROM))
        )
        negation = self.negation()
        goal = self.simple((lex.PLACE,), "preposition").nominal
        return predicate(
            self.group(actor, verb, tense, negation), negation, self.adverb(negation)
        ) + prepositional(preposition, goal)

    def being(self, actor: Actor, tense: Tense) -> Phrase:
        """Is very tired; is more famous than the king; is as old as the house."""
        group, negation = self._be(actor, tense)
        adjective = self.choose(adjectives(actor.kind, predicative=True))
        phrase = predicate(
            group, negation, self.adverb(negation) if actor.kind in lex.LIVING else None
        )
        if adjective.rank == 3 or self.chance(0.75):
            return phrase + attribute(
                adjective, actor.nominal, very=adjective.rank < 3 and self.chance(0.25)
            )
        other = self.simple((actor.kind,), "preposition").nominal
        compare = more if adjective.en in _COMPARED else as_much
        return phrase + compare(adjective, actor.nominal, other)

    def location(self, actor: Actor, tense: Tense) -> Phrase:
        """Is on the table; is here."""
        phrase = predicate(*self._be(actor, tense))
        if self.chance(0.25):
            return phrase + fixed(self.choose((words.HERE, words.THERE)))
        small = actor.kind not in (lex.PERSON, lex.PLACE, lex.FURNITURE, lex.VEHICLE, lex.DOOR)
        return phrase + self.place(surfaces=small)

    def undergoing(self, actor: Actor, tense: Tense) -> Phrase:
        """Is eaten by the boy."""
        verbs = transitive_verbs(lex.PERSON, actor.kind, spare_states=True)
        tense = Tense.PAST if tense is Tense.PERFECT else tense
        negation = self.negation()
        phrase = predicate(passive(actor.nominal, self.choose(verbs), tense), negation)
        return phrase + prepositional(words.BY, self.simple(lex.PEOPLE, "preposition").nominal)

    def _be(self, actor: Actor, tense: Tense) -> tuple[VerbGroup, Negation | None]:
        return copula(
            actor.nominal, Tense.PRESENT if tense is Tense.PERFECT else tense
        ), self.negation()
