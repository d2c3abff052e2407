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
_WHEREABOUTS = words.INTRANSITIVE[:4] + words.INTRANSITIVE[9:10]  # sleep, sing, dance, work, live
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
    """The transitive verbs that go with a kind of subject and, if given, with a kind of object.

    `spare_states` leaves out verbs of states and those with a preposition.
    """
    return tuple(
        verb
        for verb in words.TRANSITIVE
        if subject in verb.subjects
        if not object_kind or object_kind in verb.objects
        if not (spare_states and (verb.state or " " in verb.base))
    )


class Sampler(NominalSampler):
    """Draws phrases and clauses; `depth` bounds how often noun phrases nest."""

    def tense(self) -> Tense:
        """A tense, present most often."""
        return self.choose(_TENSES)

    def negation(self) -> Negation | None:
        """Mostly none."""
        if self.chance(0.22):
            return self.choose((Negation.NOT, Negation.NOT, Negation.NEVER))
        return None

    def actor(self, kinds: tuple[str, ...], role: str, depth: int = 1) -> Actor:
        """A noun phrase of one of the kinds.

        Down to depth 0 it may have an owner or something after its noun. The roles are those of
        `simple`.
        """
        if depth == 0 or role == "negated":
            return self.simple(kinds, role)
        if self.chance(0.04):
            return self.possessed(kinds)

        actor = self.simple(kinds, role)
        if actor.kind not in lex.MASS and self.chance(0.16):
            return Actor(self.extension(actor, depth - 1), actor.kind)
        return actor

    def subject(self, depth: int = 1) -> Actor:
        """The subject of a clause: a pronoun, a person or animal, or a thing; sometimes two."""
        draw = self.draw()
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
            subject = self._relative_subject()
            group = conjugate(subject, self.choose(_WHEREABOUTS), tense)
            return place_relative(nominal, subject, predicate(group))

        if kind in (lex.DOOR, lex.FURNITURE) and self.chance(0.4):
            place = self.simple((lex.PLACE,), "preposition").nominal
            return extended(nominal, prepositional(words.OF, place))

        if kind not in lex.LIVING and self.chance(0.3):
            return extended(nominal, self.place())

        if self.chance(0.5) and transitive_verbs(lex.PERSON, kind):
            return self._seen(nominal, kind, tense)

        word = "who" if kind == lex.PERSON else "that"
        return subject_relative(nominal, word, self.verb_phrase(head, tense, depth))

    def _relative_subject(self) -> Nominal:
        options = (
            pronoun(self.choose(_PRONOUNS)),
            self.simple(lex.PEOPLE, "subject").nominal,
        )
        return self.choose(options)

    def _seen(self, nominal: Nominal, kind: str, tense: Tense) -> Nominal:
        """A noun phrase with a clause whose object it is: the dress that the man saw."""
        subject = self._relative_subject()
        negation = self.negation()
        group = conjugate(
            subject,
            self.choose(transitive_verbs(lex.PERSON, kind)),
            tense,
            support=negation is Negation.NOT,
            antecedent=nominal,
        )
        return object_relative(nominal, subject, predicate(group, negation))

    def time(self, tense: Tense) -> Phrase | None:
        """An adjunct of time; the perfect takes none."""
        return fixed(self.choose(_TIMES[tense])) if _TIMES[tense] else None

    def group(
        self, actor: Actor, verb: lex.Verb, tense: Tense, negation: Negation | None
    ) -> VerbGroup:
        """A verb in its tense, sometimes under want, can or must."""
        support = negation is Negation.NOT
        if tense is Tense.PERFECT or verb.state or self.chance(0.85):
            return conjugate(actor.nominal, verb, past_of_state(verb, tense), support=support)

        governors = [words.WANT]
        if tense is Tense.PRESENT:
            governors.append(words.MUST)
            if not support:
                governors.append(words.CAN)
        return modal(actor.nominal, self.choose(governors), verb, tense, support=support)

    def adverb(self, negation: Negation | None) -> lex.Fixed | None:
        """Often or always, in affirmative clauses only."""
        if negation is None and self.chance(0.08):
            return self.choose((words.OFTEN, words.ALWAYS))
        return None

    def verb_phrase(self, actor: Actor, tense: Tense, depth: int = 1) -> Phrase:
        """A predicate that fits its subject."""
        if actor.kind not in lex.LIVING:
            rules = (self.being, self.being, self.location, self.location, self.undergoing)
            return self.choose(rules)(actor, tense)

        draw = self.draw()
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
        verb = self.choose(transitive_verbs(actor.kind))
        negation = self.negation()
        thing = self.actor(verb.objects, "negated" if negation else "object", depth)

        nominal = thing.nominal
        if negation is None and thing.kind not in lex.MASS and self.chance(0.06):
            nominal = both(nominal, self.simple((thing.kind,), "object").nominal)
        return self._verb(actor, verb, tense, negation) + nominal.phrase

    def transitive_pronoun(self, actor: Actor, tense: Tense) -> Phrase:
        """Sees him: le voit; has seen her: l'a vue."""
        entry = self.object_pronoun(actor)
        verb = self.choose(transitive_verbs(actor.kind, lex.PERSON))
        negation = self.negation()
        tense = past_of_state(verb, tense)

        if tense in (Tense.PAST, Tense.PERFECT):
            support = negation is Negation.NOT
            antecedent = pronoun(entry)
            group = conjugate(actor.nominal, verb, tense, support=support, antecedent=antecedent)
        else:
            group = self.group(actor, verb, tense, negation)
        return predicate(group, negation, self.adverb(negation), Clitic(entry))

    def object_pronoun(self, actor: Actor) -> lex.Pronoun:
        """An object pronoun; only a third person sees me or us."""
        return self.choose(_PRONOUNS[:3] if actor.nominal.person == 1 else _PRONOUNS)

    def giving(self, actor: Actor, tense: Tense) -> Phrase:
        """Gives the girl an apple, gives an apple to the girl, gives her an apple."""
        verb = self.choose(words.DITRANSITIVE)
        negation = self.negation()
        group = conjugate(actor.nominal, verb, tense, support=negation is Negation.NOT)
        thing = self.simple(verb.objects, "negated" if negation else "object").nominal

        if self.chance(0.5):
            clitic = Clitic(self.object_pronoun(actor), indirect=True)
            return predicate(group, negation, None, clitic) + thing.phrase

        receiver = self.simple(lex.PEOPLE, "preposition").nominal
        return give(predicate(group, negation), thing, receiver, to=self.chance(0.5))

    def intransitive(self, actor: Actor, tense: Tense) -> Phrase:
        """Sleeps in the garden."""
        verb = self.choose([verb for verb in words.INTRANSITIVE if actor.kind in verb.subjects])
        negation = self.negation()
        phrase = self._verb(actor, verb, tense, negation)

        if verb.base == "live" or self.chance(0.4):
            return phrase + self.place(surfaces=actor.kind == lex.ANIMAL and verb.base == "sleep")

        lasting = tense is Tense.PAST and not negation and verb.auxiliary == "avoir"
        if lasting and self.chance(0.3):
            noun = self.choose(nouns((lex.TIME,)))
            span = noun_phrase(self.choose(words.NUMBERS), noun, plural=True)
            return phrase + prepositional(words.FOR, span)

        if self.chance(0.2):
            company = self.simple(lex.PEOPLE, "preposition").nominal
            return phrase + prepositional(words.WITH, company)
        return phrase

    def motion(self, actor: Actor, tense: Tense) -> Phrase:
        """Goes to the market: va au marché; comes from the garden: vient du jardin."""
        options = ((words.GO, words.TO), (words.GO, words.TO), (words.COME, words.FROM))
        verb, preposition = self.choose(options)
        negation = self.negation()
        goal = self.simple((lex.PLACE,), "preposition").nominal
        return self._verb(actor, verb, tense, negation) + prepositional(preposition, goal)

    def being(self, actor: Actor, tense: Tense) -> Phrase:
        """Is very tired; is more famous than the king; is as old as the house."""
        group, negation = self._be(actor, tense)
        adjective = self.choose(adjectives(actor.kind, predicative=True))
        adverb = self.adverb(negation) if actor.kind in lex.LIVING else None
        phrase = predicate(group, negation, adverb)

        if adjective.rank == 3 or self.chance(0.75):
            very = adjective.rank < 3 and self.chance(0.25)
            return phrase + attribute(adjective, actor.nominal, very=very)

        other = self.simple((actor.kind,), "preposition").nominal
        compare = more if adjective.en in _COMPARED else as_much
        return phrase + compare(adjective, actor.nominal, other)

    def location(self, actor: Actor, tense: Tense) -> Phrase:
        """Is on the table; is here."""
        group, negation = self._be(actor, tense)
        phrase = predicate(group, negation)
        if self.chance(0.25):
            return phrase + fixed(self.choose((words.HERE, words.THERE)))

        large = (lex.PERSON, lex.PLACE, lex.FURNITURE, lex.VEHICLE, lex.DOOR)
        return phrase + self.place(surfaces=actor.kind not in large)

    def undergoing(self, actor: Actor, tense: Tense) -> Phrase:
        """Is eaten by the boy."""
        verbs = transitive_verbs(lex.PERSON, actor.kind, spare_states=True)
        tense = Tense.PAST if tense is Tense.PERFECT else tense
        negation = self.negation()
        phrase = predicate(passive(actor.nominal, self.choose(verbs), tense), negation)
        agent = self.simple(lex.PEOPLE, "preposition").nominal
        return phrase + prepositional(words.BY, agent)

    def _verb(
        self, actor: Actor, verb: lex.Verb, tense: Tense, negation: Negation | None
    ) -> Phrase:
        """A verb with its negation or an adverb: does not eat; often eats."""
        group = self.group(actor, verb, tense, negation)
        return predicate(group, negation, self.adverb(negation))

    def _be(self, actor: Actor, tense: Tense) -> tuple[VerbGroup, Negation | None]:
        group = copula(actor.nominal, Tense.PRESENT if tense is Tense.PERFECT else tense)
        return group, self.negation()


def past_of_state(verb: lex.Verb, tense: Tense) -> Tense:
    """The tense, but no perfect of a state: its past is the imperfect."""
    return Tense.PAST if verb.state and tense is Tense.PERFECT else tense
