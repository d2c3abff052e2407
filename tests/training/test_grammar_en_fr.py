"""The grammar of the bundled English-French dataset: pairs checked by hand."""

from training.grammar_en_fr import lexicon as lex
from training.grammar_en_fr import lexicon_verbs as words
from training.grammar_en_fr.clauses import (
    Clitic,
    Negation,
    Tense,
    as_much,
    attribute,
    conjugate,
    copula,
    give,
    modal,
    more,
    passive,
    predicate,
    question,
    there_is,
)
from training.grammar_en_fr.nominals import (
    Nominal,
    both,
    extended,
    genitive,
    noun_phrase,
    object_relative,
    place_relative,
    prepositional,
    pronoun,
    subject_relative,
)
from training.grammar_en_fr.phrases import Phrase, fixed

PRESENT, PAST, PERFECT, FUTURE = Tense
NOT, NEVER = Negation
NOUNS = {noun.en: noun for noun in lex.NOUNS}
PLURALS = {noun.en_plural: noun for noun in lex.NOUNS}
ADJECTIVES = {adjective.en: adjective for adjective in lex.ADJECTIVES}
ALL_VERBS = (*words.TRANSITIVE, *words.DITRANSITIVE, *words.INTRANSITIVE, words.GO, words.COME)
VERBS = {verb.base: verb for verb in ALL_VERBS}
DETERMINERS = {
    name: entry
    for entry in (
        *(
            words.THE,
            words.SOME,
            words.THIS,
            words.THAT,
            words.EVERY,
            words.ALL,
            words.MANY,
            words.SEVERAL,
        ),
        *(*words.POSSESSIVES, *words.NUMBERS, *words.THE_NUMBERS),
    )
    for name in (entry.en, entry.en_plural, "an" if entry.en == "a" else entry.en)
}
HE, SHE, THEY, WE, ME = (
    pronoun(entry) for entry in (words.HE, words.SHE, words.THEY, words.WE, words.I)
)


def np(text: str, determiner: lex.Determiner | None = None) -> Nominal:
    """A noun phrase from its English; the determiner is looked up where it is not given."""
    *before, head = text.split()
    adjectives = [ADJECTIVES[word] for word in before if word in ADJECTIVES]
    name = " ".join(word for word in before if word not in ADJECTIVES)
    noun = NOUNS.get(head) or PLURALS[head]
    return noun_phrase(determiner or DETERMINERS[name], noun, *adjectives, plural=head not in NOUNS)


def vp(
    subject: Nominal,
    verb: str,
    tense: Tense = PRESENT,
    negation: Negation | None = None,
    *,
    adverb: lex.Fixed | None = None,
    clitic: Clitic | None = None,
    antecedent: Nominal | None = None,
) -> Phrase:
    """A verb with what surrounds it."""
    group = conjugate(subject, VERBS[verb], tense, support=negation is NOT, antecedent=antecedent)
    return predicate(group, negation, adverb, clitic)


def check(phrase: Phrase, expected: str) -> None:
    """Compares with "English | French | links"; English that ends in a mark asks for a sentence."""
    mark = expected.split(" | ")[0][-1]
    pair = (phrase.sentence(mark) if mark in ".?" else phrase).realize()
    links = " ".join(f"{source}-{target}" for source, target in pair.links)
    assert f"{pair.en} | {pair.fr} | {links}" == expected


def test_noun_phrases() -> None:
    check(np("the red dress").phrase, "the red dress | la robe rouge | 0-0 1-2 2-1")
    check(
        np("the little black cat").phrase,
        "the little black cat | le petit chat noir | 0-0 1-1 2-3 3-2",
    )
    check(np("the man").phrase, "the man | l'homme | 0-0 1-1")
    check(np("the hero").phrase, "the hero | le héros | 0-0 1-1")
    check(np("the heroine").phrase, "the heroine | l'héroïne | 0-0 1-1")
    check(np("an old tree").phrase, "an old tree | un vieil arbre | 0-0 1-1 2-2")
    check(np("some little houses").phrase, "some little houses | de petites maisons | 0-0 1-1 2-2")
    check(np("some red apples").phrase, "some red apples | des pommes rouges | 0-0 1-2 2-1")
    check(np("this hotel").phrase, "this hotel | cet hôtel | 0-0 1-1")
    check(np("her school").phrase, "her school | son école | 0-0 1-1")
    check(np("his harp").phrase, "his harp | sa harpe | 0-0 1-1")
    check(np("three red apples").phrase, "three red apples | trois pommes rouges | 0-0 1-2 2-1")
    check(
        np("all the pretty dresses").phrase,
        "all the pretty dresses | toutes les jolies robes | 0-0 1-1 2-2 3-3",
    )
    check(np("many birds").phrase, "many birds | beaucoup d'oiseaux | 0-0 0-1 1-2")
    check(
        np("an expensive Italian coat").phrase,
        "an expensive Italian coat | un manteau italien cher | 0-0 1-3 2-2 3-1",
    )
    check(
        genitive(np("my father"), NOUNS["house"], ADJECTIVES["old"]).phrase,
        "my father's old house | la vieille maison de mon père | 0-4 1-5 2-0 2-3 3-1 4-2",
    )
    check(
        extended(np("the door"), prepositional(words.OF, np("the old church"))).phrase,
        "the door of the old church | la porte de la vieille église | 0-0 1-1 2-2 3-3 4-4 5-5",
    )
    check(
        extended(np("the windows"), prepositional(words.OF, np("the hospitals"))).phrase,
        "the windows of the hospitals | les fenêtres des hôpitaux | 0-0 1-1 2-2 3-2 4-3",
    )
    check(
        prepositional(words.NEAR, np("the small garden")),
        "near the small garden | près du petit jardin | 0-0 0-1 1-1 2-2 3-3",
    )


def test_tenses_and_negation() -> None:
    boy, girls = np("the boy"), np("the girls")
    check(
        boy.phrase + vp(boy, "eat") + np("bread", words.MASS_BARE).phrase,
        "The boy eats bread. | Le garçon mange du pain. | 0-0 1-1 2-2 3-3 3-4 4-5",
    )
    check(
        boy.phrase + vp(boy, "eat", PRESENT, NOT) + np("bread", words.MASS_NONE).phrase,
        "The boy does not eat any bread. | Le garçon ne mange pas de pain. | "
        "0-0 1-1 2-2 2-4 3-2 3-4 4-3 5-5 6-6 7-7",
    )
    check(
        SHE.phrase + vp(SHE, "drink", PAST) + np("cold water", words.MASS_SOME).phrase,
        "She drank some cold water. | Elle a bu de l'eau froide. | 0-0 1-1 1-2 2-3 2-4 3-6 4-5 5-7",
    )
    check(
        SHE.phrase + vp(SHE, "eat", PAST, NEVER) + np("apple", words.NONE).phrase,
        "She never ate an apple. | Elle n'a jamais mangé de pomme. | "
        "0-0 1-1 1-3 2-2 2-4 3-5 4-6 5-7",
    )
    check(
        ME.phrase + vp(ME, "buy", FUTURE, NOT) + np("the hat").phrase,
        "I will not buy the hat. | Je n'achèterai pas le chapeau. | "
        "0-0 1-2 2-1 2-3 3-2 4-4 5-5 6-6",
    )
    check(
        girls.phrase + vp(girls, "arrive", PERFECT),
        "The girls have arrived. | Les filles sont arrivées. | 0-0 1-1 2-2 3-3 4-4",
    )
    check(
        girls.phrase + vp(girls, "sing", PERFECT, adverb=words.OFTEN),
        "The girls have often sung. | Les filles ont souvent chanté. | 0-0 1-1 2-2 3-3 4-4 5-5",
    )
    check(
        WE.phrase + vp(WE, "know", PAST) + np("that engineer").phrase,
        "We knew that engineer. | Nous connaissions cet ingénieur. | 0-0 1-1 2-2 3-3 4-4",
    )


def test_movement() -> None:
    check(
        SHE.phrase + vp(SHE, "go", PAST, NOT) + prepositional(words.TO, np("the market")),
        "She did not go to the market. | Elle n'est pas allée au marché. | "
        "0-0 1-2 2-1 2-3 3-4 4-5 5-5 6-6 7-7",
    )
    check(
        HE.phrase + vp(HE, "come") + prepositional(words.FROM, np("the garden")),
        "He comes from the garden. | Il vient du jardin. | 0-0 1-1 2-2 3-2 4-3 5-4",
    )


def test_object_pronouns_and_reordering() -> None:
    aunt = np("my aunt")
    him, her, them, me = (Clitic(entry) for entry in (words.HE, words.SHE, words.THEY, words.I))
    check(
        SHE.phrase + vp(SHE, "see", PRESENT, NOT, clitic=him),
        "She does not see him. | Elle ne le voit pas. | 0-0 1-1 1-4 2-1 2-4 3-3 4-2 5-5",
    )
    check(
        HE.phrase + vp(HE, "see", PAST, clitic=her, antecedent=SHE),
        "He saw her. | Il l'a vue. | 0-0 1-2 1-3 2-1 3-4",
    )
    check(
        THEY.phrase + vp(THEY, "find", PAST, NOT, clitic=them, antecedent=THEY),
        "They did not find them. | Ils ne les ont pas trouvés. | 0-0 1-3 2-1 2-4 3-5 4-2 5-6",
    )
    check(
        aunt.phrase + vp(aunt, "hate", clitic=him),
        "My aunt hates him. | Ma tante le hait. | 0-0 1-1 2-3 3-2 4-4",
    )
    check(ME.phrase + vp(ME, "love", clitic=her), "I love her. | Je l'aime. | 0-0 1-2 2-1 3-3")
    check(
        aunt.phrase + vp(aunt, "wait for", clitic=me),
        "My aunt waits for me. | Ma tante m'attend. | 0-0 1-1 2-3 3-3 4-2 5-4",
    )
    check(
        SHE.phrase + predicate(modal(SHE, words.WANT, VERBS["help"], PRESENT), clitic=him),
        "She wants to help him. | Elle veut l'aider. | 0-0 1-1 2-3 3-3 4-2 5-4",
    )
    group = modal(HE, words.MUST, VERBS["eat"], PRESENT, support=True)
    check(
        HE.phrase + predicate(group, NOT) + np("the cake").phrase,
        "He must not eat the cake. | Il ne doit pas manger le gâteau. | "
        "0-0 1-2 2-1 2-3 3-4 4-5 5-6 6-7",
    )


def test_giving() -> None:
    check(
        SHE.phrase
        + vp(SHE, "give", clitic=Clitic(words.HE, indirect=True))
        + np("the book").phrase,
        "She gives him the book. | Elle lui donne le livre. | 0-0 1-2 2-1 3-3 4-4 5-5",
    )
    pear, girl, children = np("a pear"), np("the girl"), np("the children")
    check(
        HE.phrase + give(vp(HE, "give"), pear, girl, to=False),
        "He gives the girl a pear. | Il donne une poire à la fille. | "
        "0-0 1-1 2-4 2-5 3-6 4-2 5-3 6-7",
    )
    check(
        WE.phrase + give(vp(WE, "offer", PAST), np("the letter"), children, to=True),
        "We offered the letter to the children. | Nous avons offert la lettre aux enfants. | "
        "0-0 1-1 1-2 2-3 3-4 4-5 5-5 6-6 7-7",
    )


def test_being() -> None:
    dress, door = np("the red dress"), np("the door")
    pair, women = both(np("the boy"), np("the girl")), both(np("the queen"), np("her sister"))
    check(
        dress.phrase + predicate(copula(dress, PRESENT)) + fixed(words.HERE),
        "The red dress is here. | La robe rouge est ici. | 0-0 1-2 2-1 3-3 4-4 5-5",
    )
    check(
        door.phrase
        + predicate(copula(door, PAST), NOT)
        + attribute(ADJECTIVES["old"], door, very=True),
        "The door was not very old. | La porte n'était pas très vieille. | "
        "0-0 1-1 2-3 3-2 3-4 4-5 5-6 6-7",
    )
    check(
        pair.phrase + predicate(copula(pair, PRESENT)) + attribute(ADJECTIVES["happy"], pair),
        "The boy and the girl are happy. | Le garçon et la fille sont heureux. | "
        "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7",
    )
    check(
        women.phrase + predicate(copula(women, FUTURE)) + attribute(ADJECTIVES["happy"], women),
        "The queen and her sister will be happy. | La reine et sa sœur seront heureuses. | "
        "0-0 1-1 2-2 3-3 4-4 5-5 6-5 7-6 8-7",
    )
    check(
        door.phrase
        + predicate(copula(door, PRESENT))
        + as_much(ADJECTIVES["old"], door, np("the house")),
        "The door is as old as the house. | La porte est aussi vieille que la maison. | "
        "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7 8-8",
    )
    check(
        SHE.phrase
        + predicate(copula(SHE, PRESENT))
        + more(ADJECTIVES["famous"], SHE, np("a king")),
        "She is more famous than a king. | Elle est plus célèbre qu'un roi. | "
        "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7",
    )


def test_passive_and_existence() -> None:
    eaten = predicate(passive(np("the apples"), VERBS["eat"], PAST))
    check(
        np("the apples").phrase + eaten + prepositional(words.BY, np("the child")),
        "The apples were eaten by the child. | Les pommes ont été mangées par l'enfant. | "
        "0-0 1-1 2-2 2-3 3-4 4-5 5-6 6-7 7-8",
    )
    check(
        there_is(np("two cats")) + prepositional(words.IN, np("the kitchen")),
        "There are two cats in the kitchen. | Il y a deux chats dans la cuisine. | "
        "0-0 0-1 0-2 1-0 1-1 1-2 2-3 3-4 4-5 5-6 6-7 7-8",
    )
    check(
        there_is(np("birds", words.NONE), NOT) + prepositional(words.UNDER, np("the bridge")),
        "There are not any birds under the bridge. | Il n'y a pas d'oiseaux sous le pont. | "
        "0-0 0-2 0-3 1-0 1-2 1-3 2-1 2-4 3-5 4-6 5-7 6-8 7-9 8-10",
    )


def test_clauses() -> None:
    girl, man, dress, school = np("the girl"), np("the man"), np("the dress"), np("the school")
    singer = subject_relative(girl, "who", vp(girl, "sing"))
    check(
        singer.phrase + vp(singer, "sleep"),
        "The girl who sings sleeps. | La fille qui chante dort. | 0-0 1-1 2-2 3-3 4-4 5-5",
    )
    seen = object_relative(dress, man, vp(man, "choose", PAST, antecedent=dress))
    check(
        seen.phrase + predicate(copula(seen, PRESENT)) + attribute(ADJECTIVES["green"], seen),
        "The dress that the man chose is green. | La robe que l'homme a choisie est verte. | "
        "0-0 1-1 2-2 3-3 4-4 5-5 5-6 6-7 7-8 8-9",
    )
    check(
        place_relative(school, SHE, vp(SHE, "work")).phrase,
        "the school where she works | l'école où elle travaille | 0-0 1-1 2-2 3-3 4-4",
    )
    check(
        question(SHE, conjugate(SHE, VERBS["see"], PRESENT, support=True), Clitic(words.HE)),
        "Does she see him? | Est-ce qu'elle le voit ? | 0-0 0-1 1-2 2-4 3-3 4-5",
    )
    check(
        question(dress, copula(dress, FUTURE)) + attribute(ADJECTIVES["red"], dress),
        "Will the dress be red? | Est-ce que la robe sera rouge ? | "
        "0-0 0-1 0-4 1-2 2-3 3-4 4-5 5-6",
    )
    check(
        fixed(words.TIMES_PAST[4]) + fixed(words.COMMA) + HE.phrase + vp(HE, "sleep", PAST),
        "Last week, he slept. | La semaine dernière, il a dormi. | 0-0 0-2 1-1 2-3 3-4 4-5 4-6 5-7",
    )
    laughs = fixed(words.BECAUSE) + HE.phrase + vp(HE, "laugh")
    check(
        SHE.phrase + vp(SHE, "cry") + fixed(words.TIMES_PRESENT[0]) + laughs,
        "She cries every day because he laughs. | Elle pleure tous les jours parce qu'il rit. | "
        "0-0 1-1 2-2 2-3 3-4 4-5 4-6 5-7 6-8 7-9",
    )
