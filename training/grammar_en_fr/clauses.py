"""Verb phrases and clauses: tenses, negation, object pronouns, questions, comparison."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .lexicon import Adjective, Fixed, Pronoun, Verb
from .lexicon_verbs import AVOIR, ETAIT, ETRE, TO, VERY
from .nominals import Nominal, inflect
from .phrases import English, French, Phrase, aligned, english, fixed, french


class Tense(Enum):
    """A tense by its English form; PAST and PERFECT are both the passé composé."""

    PRESENT = "eats"
    PAST = "ate"
    PERFECT = "has eaten"
    FUTURE = "will eat"


class Negation(Enum):
    """Does not eat - ne mange pas; never eats - ne mange jamais."""

    NOT = "pas"
    NEVER = "jamais"


class Clitic(NamedTuple):
    """An object pronoun, direct (him - le) or indirect (him - lui)."""

    pronoun: Pronoun
    indirect: bool = False

    @property
    def phrase(self) -> Phrase:
        """The pronoun in both languages."""
        return aligned(
            self.pronoun.en_object, self.pronoun.indirect if self.indirect else self.pronoun.direct
        )


class VerbGroup(NamedTuple):
    """The words of a verb, in the slots between which negation, adverbs and object pronouns go."""

    helper: tuple[English, ...]  # before `not` and adverbs: does, will, is
    main: tuple[English, ...]
    finite: tuple[French, ...]  # between `ne` and `pas`
    rest: tuple[French, ...]  # participle or infinitive
    infinitive: bool = False  # object pronouns stand before `rest`: veut le voir


def agree(participle: str, gender: str, plural: bool) -> str:
    """A participle that agrees: vu, vue, vus, vues; pris keeps its s."""
    feminine = participle + "e" * (gender == "f")
    return feminine if not plural or feminine.endswith("s") else feminine + "s"


def future(verb_stem: str, subject: Nominal) -> str:
    """The future from its stem: manger - mangera."""
    return verb_stem + ("ai", "a", "ons", "ont")[subject.form]


def imperfect(verb: Verb, subject: Nominal) -> str:
    """The imperfect from the stem of the first person plural: connaissons - connaissait."""
    return verb.present[2].removesuffix("ons") + ("ais", "ait", "ions", "aient")[subject.form]


def conjugate(
    subject: Nominal,
    verb: Verb,
    tense: Tense,
    *,
    support: bool = False,
    antecedent: Nominal | None = None,
) -> VerbGroup:
    """The verb in its tense; with `support`, present and past take do: does eat.

    The participle agrees with the subject after être, with a preceding direct object
    (`antecedent`) after avoir.
    """
    if tense is Tense.FUTURE:
        helper, main = english("will"), english(verb.base)
        return VerbGroup(helper, main, french(future(verb.future, subject), helper + main), ())
    if tense is Tense.PRESENT:
        helper = english("does" if subject.third_singular else "do") if support else ()
        main = english(verb.third if subject.third_singular and not support else verb.base)
        return VerbGroup(helper, main, french(verb.present[subject.form], main), ())
    if tense is Tense.PERFECT:
        helper, main = english("has" if subject.third_singular else "have"), english(verb.done)
    else:
        helper = english("did") if support else ()
        main = english(verb.base if support else verb.past)
    if tense is Tense.PAST and verb.state:
        return VerbGroup(helper, main, french(imperfect(verb, subject), helper + main), ())
    being = verb.auxiliary == "être"
    target = subject if being else antecedent
    participle = agree(verb.participle, target.gender, target.plural) if target else verb.participle
    auxiliary = (ETRE if being else AVOIR)[subject.form]
    return VerbGroup(helper, main, french(auxiliary, helper or main), french(participle, main))


def copula(subject: Nominal, tense: Tense) -> VerbGroup:
    """The verb be: is - est, was - était, will be - sera. There is no perfect here."""
    if tense is Tense.FUTURE:
        helper, main = english("will"), english("be")
        return VerbGroup(helper, main, french(future("ser", subject), helper + main), ())
    is_past = tense is Tense.PAST
    helper = english(_be(subject, is_past))
    return VerbGroup(helper, (), french((ETAIT if is_past else ETRE)[subject.form], helper), ())


def passive(subject: Nominal, verb: Verb, tense: Tense) -> VerbGroup:
    """Is eaten - est mangée; was eaten - a été mangée; will be eaten - sera mangée."""
    done = english(verb.done)
    participle = french(agree(verb.participle, subject.gender, subject.plural), done)
    if tense is Tense.PAST:
        helper = english(_be(subject, is_past=True))
        return VerbGroup(
            helper, done, french(AVOIR[subject.form], helper), french("été", helper) + participle
        )
    group = copula(subject, tense)
    return VerbGroup(group.helper, group.main + done, group.finite, participle)


def modal(
    subject: Nominal, governor: Verb, verb: Verb, tense: Tense, *, support: bool = False
) -> VerbGroup:
    """Wants to eat - veut manger; can eat - peut manger; must not eat - ne doit pas manger."""
    if governor.past:
        outer = conjugate(subject, governor, tense, support=support)
        lower = english("to " + verb.base)
        return VerbGroup(
            outer.helper, outer.main + lower, outer.finite, french(verb.infinitive, lower), True
        )
    helper, lower = english(governor.base), english(verb.base)
    finite = french(governor.present[subject.form], helper)
    return VerbGroup(helper, lower, finite, french(verb.infinitive, lower), True)


def predicate(
    group: VerbGroup,
    negation: Negation | None = None,
    adverb: Fixed | None = None,
    clitic: Clitic | None = None,
) -> Phrase:
    """Puts the parts where each language has them: does not see him - ne le voit pas."""
    middle = fixed(adverb) if adverb else Phrase()
    pronoun = clitic.phrase if clitic else Phrase()
    ne, pas, negator, never = _negate(group, negation)
    before, inner = ((), pronoun.fr) if group.infinitive else (pronoun.fr, ())
    en = group.helper + negator + never + middle.en + group.main + pronoun.en
    return Phrase(en, ne + before + group.finite + pas + middle.fr + inner + group.rest)


def question(subject: Nominal, group: VerbGroup, clitic: Clitic | None = None) -> Phrase:
    """Does she see him - est-ce qu'elle le voit. The group needs a helper."""
    pronoun = clitic.phrase if clitic else Phrase()
    before, inner = ((), pronoun.fr) if group.infinitive else (pronoun.fr, ())
    opening = french("est-ce que", group.helper[:1])
    en = group.helper[:1] + subject.phrase.en + group.helper[1:] + group.main + pronoun.en
    return Phrase(en, opening + subject.phrase.fr + before + group.finite + inner + group.rest)


def attribute(adjective: Adjective, subject: Nominal, *, very: bool = False) -> Phrase:
    """The adjective after be: (is) very old - (est) très vieille."""
    phrase = aligned(adjective.en, inflect(adjective, subject.gender, subject.plural))
    return fixed(VERY) + phrase if very else phrase


def as_much(adjective: Adjective, subject: Nominal, other: Nominal) -> Phrase:
    """As old as the house - aussi vieux que la maison."""
    return (
        aligned("as", "aussi") + attribute(adjective, subject) + aligned("as", "que") + other.phrase
    )


def more(adjective: Adjective, subject: Nominal, other: Nominal) -> Phrase:
    """More famous than the king - plus célèbre que le roi."""
    return (
        aligned("more", "plus")
        + attribute(adjective, subject)
        + aligned("than", "que")
        + other.phrase
    )


def there_is(thing: Nominal, negation: Negation | None = None) -> Phrase:
    """There is a cat - il y a un chat; there is not a cat - il n'y a pas de chat."""
    there, verb = english("there"), english("are" if thing.plural else "is")
    both = there + verb
    if negation is None:
        return Phrase(both, french("il y a", both)) + thing.phrase
    no = english("not" if negation is Negation.NOT else "never")
    order = there + verb + no
    fr = french("il", both) + french("ne", no) + french("y a", both) + french(negation.value, no)
    return Phrase(order, fr) + thing.phrase


def give(group: Phrase, thing: Nominal, receiver: Nominal, *, to: bool) -> Phrase:
    """Gives the apple to the girl, or gives the girl the apple: both donne la pomme à la fille."""
    if to:
        return group + thing.phrase + fixed(TO) + receiver.phrase
    person = receiver.phrase
    target = french("à", person.en[:1]) + person.fr
    return Phrase(group.en + person.en + thing.phrase.en, group.fr + thing.phrase.fr + target)


def _be(subject: Nominal, is_past: bool) -> str:
    if is_past:
        return "was" if not subject.plural else "were"
    return "are" if subject.plural else "is" if subject.person == 3 else "am"


def _negate(
    group: VerbGroup, negation: Negation | None
) -> tuple[tuple[French, ...], tuple[French, ...], tuple[English, ...], tuple[English, ...]]:
    """The words ne, pas, not, never; a do that only supports `not` is linked to both French
    words."""
    if negation is None:
        return (), (), (), ()
    word = english("not" if negation is Negation.NOT else "never")
    translated = {id(source) for target in group.finite + group.rest for source in target.of}
    support = tuple(helper for helper in group.helper if id(helper) not in translated)
    ne, pas = french("ne", support + word), french(negation.value, support + word)
    return (ne, pas, word, ()) if negation is Negation.NOT else (ne, pas, (), word)
