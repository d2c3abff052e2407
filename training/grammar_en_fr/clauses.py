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
        fr = self.pronoun.indirect if self.indirect else self.pronoun.direct
        return aligned(self.pronoun.en_object, fr)


class VerbGroup(NamedTuple):
    """The words of a verb, in the slots between which negation, adverbs and object pronouns go."""

    helper: tuple[English, ...]  # before `not` and adverbs: does, will, is
    main: tuple[English, ...]
    finite: tuple[French, ...]  # between `ne` and `pas`
    rest: tuple[French, ...] = ()  # participle or infinitive
    infinitive: bool = False  # object pronouns stand before `rest`: veut le voir

    def french_with(self, pronoun: Phrase, pas: tuple[French, ...] = ()) -> tuple[French, ...]:
        """The French words with an object pronoun, and with what follows the finite verb."""
        if self.infinitive:
            return self.finite + pas + pronoun.fr + self.rest
        return pronoun.fr + self.finite + pas + self.rest


class _Negators(NamedTuple):
    """The words of a negation, and where they stand."""

    ne: tuple[French, ...] = ()
    pas: tuple[French, ...] = ()  # after the finite verb: pas, jamais
    en: tuple[English, ...] = ()  # after the helper: not, never


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
        return _future_group(subject, verb.base, verb.future)

    if tense is Tense.PRESENT:
        helper = english("does" if subject.third_singular else "do") if support else ()
        main = english(verb.third if subject.third_singular and not support else verb.base)
        return VerbGroup(helper=helper, main=main, finite=french(verb.present[subject.form], main))

    if tense is Tense.PERFECT:
        helper = english("has" if subject.third_singular else "have")
        main = english(verb.done)
    else:
        helper = english("did") if support else ()
        main = english(verb.base if support else verb.past)

    if tense is Tense.PAST and verb.state:
        finite = french(imperfect(verb, subject), helper + main)
        return VerbGroup(helper=helper, main=main, finite=finite)

    being = verb.auxiliary == "être"
    target = subject if being else antecedent
    participle = agree(verb.participle, target.gender, target.plural) if target else verb.participle
    auxiliary = (ETRE if being else AVOIR)[subject.form]
    return VerbGroup(
        helper=helper,
        main=main,
        finite=french(auxiliary, helper or main),
        rest=french(participle, main),
    )


def copula(subject: Nominal, tense: Tense) -> VerbGroup:
    """The verb be: is - est, was - était, will be - sera. There is no perfect here."""
    if tense is Tense.FUTURE:
        return _future_group(subject, "be", "ser")

    is_past = tense is Tense.PAST
    helper = english(_be(subject, is_past))
    finite = french((ETAIT if is_past else ETRE)[subject.form], helper)
    return VerbGroup(helper=helper, main=(), finite=finite)


def passive(subject: Nominal, verb: Verb, tense: Tense) -> VerbGroup:
    """Is eaten - est mangée; was eaten - a été mangée; will be eaten - sera mangée."""
    done = english(verb.done)
    participle = french(agree(verb.participle, subject.gender, subject.plural), done)
    if tense is Tense.PAST:
        helper = english(_be(subject, is_past=True))
        return VerbGroup(
            helper=helper,
            main=done,
            finite=french(AVOIR[subject.form], helper),
            rest=french("été", helper) + participle,
        )

    group = copula(subject, tense)
    return group._replace(main=group.main + done, rest=participle)


def modal(
    subject: Nominal, governor: Verb, verb: Verb, tense: Tense, *, support: bool = False
) -> VerbGroup:
    """Wants to eat - veut manger; can eat - peut manger; must not eat - ne doit pas manger."""
    if governor.past:
        outer = conjugate(subject, governor, tense, support=support)
        lower = english("to " + verb.base)
        return VerbGroup(
            helper=outer.helper,
            main=outer.main + lower,
            finite=outer.finite,
            rest=french(verb.infinitive, lower),
            infinitive=True,
        )

    helper = english(governor.base)
    lower = english(verb.base)
    return VerbGroup(
        helper=helper,
        main=lower,
        finite=french(governor.present[subject.form], helper),
        rest=french(verb.infinitive, lower),
        infinitive=True,
    )


def predicate(
    group: VerbGroup,
    negation: Negation | None = None,
    adverb: Fixed | None = None,
    clitic: Clitic | None = None,
) -> Phrase:
    """Puts the parts where each language has them: does not see him - ne le voit pas."""
    middle = fixed(adverb) if adverb else Phrase()
    pronoun = clitic.phrase if clitic else Phrase()
    negators = _negate(group, negation)

    en = group.helper + negators.en + middle.en + group.main + pronoun.en
    fr = negators.ne + group.french_with(pronoun, negators.pas + middle.fr)
    return Phrase(en, fr)


def question(subject: Nominal, group: VerbGroup, clitic: Clitic | None = None) -> Phrase:
    """Does she see him - est-ce qu'elle le voit. The group needs a helper."""
    pronoun = clitic.phrase if clitic else Phrase()
    first = group.helper[:1]

    en = first + subject.phrase.en + group.helper[1:] + group.main + pronoun.en
    fr = french("est-ce que", first) + subject.phrase.fr + group.french_with(pronoun)
    return Phrase(en, fr)


def attribute(adjective: Adjective, subject: Nominal, *, very: bool = False) -> Phrase:
    """The adjective after be: (is) very old - (est) très vieille."""
    phrase = aligned(adjective.en, inflect(adjective, subject.gender, subject.plural))
    return fixed(VERY) + phrase if very else phrase


def as_much(adjective: Adjective, subject: Nominal, other: Nominal) -> Phrase:
    """As old as the house - aussi vieux que la maison."""
    compared = aligned("as", "aussi") + attribute(adjective, subject)
    return compared + aligned("as", "que") + other.phrase


def more(adjective: Adjective, subject: Nominal, other: Nominal) -> Phrase:
    """More famous than the king - plus célèbre que le roi."""
    compared = aligned("more", "plus") + attribute(adjective, subject)
    return compared + aligned("than", "que") + other.phrase


def there_is(thing: Nominal, negation: Negation | None = None) -> Phrase:
    """There is a cat - il y a un chat; there is not a cat - il n'y a pas de chat."""
    verb = english("there") + english("are" if thing.plural else "is")
    if negation is None:
        return Phrase(verb, french("il y a", verb)) + thing.phrase

    no = _english_negator(negation)
    fr = french("il", verb) + french("ne", no) + french("y a", verb) + french(negation.value, no)
    return Phrase(verb + no, fr) + thing.phrase


def give(group: Phrase, thing: Nominal, receiver: Nominal, *, to: bool) -> Phrase:
    """Gives the apple to the girl, or gives the girl the apple: both donne la pomme à la fille."""
    if to:
        return group + thing.phrase + fixed(TO) + receiver.phrase

    person = receiver.phrase
    target = french("à", person.en[:1]) + person.fr
    return Phrase(group.en + person.en + thing.phrase.en, group.fr + thing.phrase.fr + target)


def _future_group(subject: Nominal, base: str, stem: str) -> VerbGroup:
    helper = english("will")
    main = english(base)
    return VerbGroup(helper=helper, main=main, finite=french(future(stem, subject), helper + main))


def _be(subject: Nominal, is_past: bool) -> str:
    if is_past:
        return "were" if subject.plural else "was"
    if subject.plural:
        return "are"
    return "is" if subject.person == 3 else "am"


def _english_negator(negation: Negation) -> tuple[English, ...]:
    return english("not" if negation is Negation.NOT else "never")


def _negate(group: VerbGroup, negation: Negation | None) -> _Negators:
    """The negation of a group; a do that only supports `not` is linked to both French words."""
    if negation is None:
        return _Negators()

    word = _english_negator(negation)
    translated = {id(source) for target in group.finite + group.rest for source in target.of}
    support = tuple(helper for helper in group.helper if id(helper) not in translated)
    return _Negators(
        ne=french("ne", support + word), pas=french(negation.value, support + word), en=word
    )
