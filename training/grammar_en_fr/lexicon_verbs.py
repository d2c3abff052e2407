"""The words, continued: verbs, determiners, pronouns, adverbs, prepositions, idioms. Data only."""

from __future__ import annotations

from .lexicon import (
    ANIMAL,
    CLOTHES,
    DISH,
    DOOR,
    DRINK,
    FOOD,
    FRUIT,
    FURNITURE,
    GOODS,
    LANDMARK,
    LIVING,
    PEOPLE,
    PERSON,
    PLACE,
    TEXT,
    THING,
    THINGS,
    VEHICLE,
    VISIBLE,
    Determiner,
    Fixed,
    Pronoun,
    Verb,
)

_BUYABLE = (*GOODS, *FOOD, ANIMAL)
_GIVABLE = (CLOTHES, TEXT, THING, FRUIT, VEHICLE)


def _verb(
    en: str,
    fr: str,
    subjects: tuple[str, ...],
    objects: tuple[str, ...] = (),
    *,
    auxiliary: str = "avoir",
    state: bool = False,
) -> Verb:
    """A verb from its forms in a row, in the order of `Verb`.

    `_` is a space in a form, `-` a form that is missing.
    """
    base, third, past, done = (form.replace("_", " ").strip("-") for form in en.split())
    infinitive, je, il, nous, ils, participle, future = fr.split()
    return Verb(
        base=base,
        third=third,
        past=past,
        done=done,
        infinitive=infinitive,
        present=(je, il, nous, ils),
        participle=participle,
        future=future.removesuffix("-"),
        subjects=subjects,
        objects=objects,
        auxiliary=auxiliary,
        state=state,
    )


TRANSITIVE = (
    _verb("eat eats ate eaten", "manger mange mange mangeons mangent mangé manger-", LIVING, FOOD),
    _verb("drink drinks drank drunk", "boire bois boit buvons boivent bu boir-", LIVING, (DRINK,)),
    _verb("see sees saw seen", "voir vois voit voyons voient vu verr-", LIVING, VISIBLE),
    _verb(
        "hear hears heard heard",
        "entendre entends entend entendons entendent entendu entendr-",
        LIVING,
        LIVING,
    ),
    _verb(
        "watch watches watched watched",
        "regarder regarde regarde regardons regardent regardé regarder-",
        LIVING,
        VISIBLE,
    ),
    _verb(
        "follow follows followed followed",
        "suivre suis suit suivons suivent suivi suivr-",
        LIVING,
        LIVING,
    ),
    _verb(
        "find finds found found",
        "trouver trouve trouve trouvons trouvent trouvé trouver-",
        LIVING,
        VISIBLE,
    ),
    _verb(
        "look_for looks_for looked_for looked_for",
        "chercher cherche cherche cherchons cherchent cherché chercher-",
        LIVING,
        VISIBLE,
    ),
    _verb(
        "wait_for waits_for waited_for waited_for",
        "attendre attends attend attendons attendent attendu attendr-",
        PEOPLE,
        LIVING,
    ),
    _verb("help helps helped helped", "aider aide aide aidons aident aidé aider-", PEOPLE, LIVING),
    _verb(
        "admire admires admired admired",
        "admirer admire admire admirons admirent admiré admirer-",
        PEOPLE,
        VISIBLE,
    ),
    _verb(
        "love loves loved loved",
        "aimer aime aime aimons aiment aimé aimer-",
        PEOPLE,
        VISIBLE,
        state=True,
    ),
    _verb(
        "hate hates hated hated",
        "haïr hais hait haïssons haïssent haï haïr-",
        PEOPLE,
        LIVING,
        state=True,
    ),
    _verb(
        "know knows knew known",
        "connaître connais connaît connaissons connaissent connu connaîtr-",
        PEOPLE,
        (PERSON, TEXT, PLACE),
        state=True,
    ),
    _verb(
        "have has had had", "avoir ai a avons ont eu aur-", PEOPLE, (ANIMAL, *THINGS), state=True
    ),
    _verb(
        "buy buys bought bought",
        "acheter achète achète achetons achètent acheté achèter-",
        PEOPLE,
        _BUYABLE,
    ),
    _verb(
        "sell sells sold sold", "vendre vends vend vendons vendent vendu vendr-", PEOPLE, _BUYABLE
    ),
    _verb(
        "take takes took taken",
        "prendre prends prend prenons prennent pris prendr-",
        PEOPLE,
        (*_GIVABLE, DISH),
    ),
    _verb(
        "choose chooses chose chosen",
        "choisir choisis choisit choisissons choisissent choisi choisir-",
        PEOPLE,
        _BUYABLE,
    ),
    _verb(
        "lose loses lost lost",
        "perdre perds perd perdons perdent perdu perdr-",
        PEOPLE,
        (CLOTHES, TEXT, THING),
    ),
    _verb(
        "forget forgets forgot forgotten",
        "oublier oublie oublie oublions oublient oublié oublier-",
        PEOPLE,
        (CLOTHES, TEXT, THING, PERSON),
    ),
    _verb(
        "wear wears wore worn",
        "porter porte porte portons portent porté porter-",
        PEOPLE,
        (CLOTHES,),
    ),
    _verb(
        "wash washes washed washed",
        "laver lave lave lavons lavent lavé laver-",
        PEOPLE,
        (CLOTHES, FRUIT, DOOR, VEHICLE, ANIMAL),
    ),
    _verb(
        "open opens opened opened",
        "ouvrir ouvre ouvre ouvrons ouvrent ouvert ouvrir-",
        PEOPLE,
        (DOOR, TEXT),
    ),
    _verb(
        "close closes closed closed",
        "fermer ferme ferme fermons ferment fermé fermer-",
        PEOPLE,
        (DOOR,),
    ),
    _verb(
        "break breaks broke broken",
        "casser casse casse cassons cassent cassé casser-",
        PEOPLE,
        (DOOR, THING, FURNITURE),
    ),
    _verb(
        "paint paints painted painted",
        "peindre peins peint peignons peignent peint peindr-",
        PEOPLE,
        (DOOR, FURNITURE, PLACE, LANDMARK),
    ),
    _verb(
        "finish finishes finished finished",
        "finir finis finit finissons finissent fini finir-",
        PEOPLE,
        (TEXT,),
    ),
    _verb(
        "write writes wrote written",
        "écrire écris écrit écrivons écrivent écrit écrir-",
        PEOPLE,
        (TEXT,),
    ),
)
DITRANSITIVE = (
    _verb(
        "give gives gave given",
        "donner donne donne donnons donnent donné donner-",
        PEOPLE,
        _GIVABLE,
    ),
    _verb(
        "show shows showed shown",
        "montrer montre montre montrons montrent montré montrer-",
        PEOPLE,
        (*_GIVABLE, PLACE),
    ),
    _verb(
        "offer offers offered offered",
        "offrir offre offre offrons offrent offert offrir-",
        PEOPLE,
        _GIVABLE,
    ),
    _verb(
        "send sends sent sent",
        "envoyer envoie envoie envoyons envoient envoyé enverr-",
        PEOPLE,
        (CLOTHES, TEXT, THING),
    ),
)
INTRANSITIVE = (
    _verb("sleep sleeps slept slept", "dormir dors dort dormons dorment dormi dormir-", LIVING),
    _verb(
        "sing sings sang sung", "chanter chante chante chantons chantent chanté chanter-", LIVING
    ),
    _verb("dance dances danced danced", "danser danse danse dansons dansent dansé danser-", PEOPLE),
    _verb(
        "work works worked worked",
        "travailler travaille travaille travaillons travaillent travaillé travailler-",
        PEOPLE,
    ),
    _verb("run runs ran run", "courir cours court courons courent couru courr-", LIVING),
    _verb("laugh laughs laughed laughed", "rire ris rit rions rient ri rir-", PEOPLE),
    _verb(
        "cry cries cried cried", "pleurer pleure pleure pleurons pleurent pleuré pleurer-", PEOPLE
    ),
    _verb("swim swims swam swum", "nager nage nage nageons nagent nagé nager-", LIVING),
    _verb("speak speaks spoke spoken", "parler parle parle parlons parlent parlé parler-", PEOPLE),
    _verb(
        "live lives lived lived",
        "habiter habite habite habitons habitent habité habiter-",
        PEOPLE,
        state=True,
    ),
    _verb(
        "stay stays stayed stayed",
        "rester reste reste restons restent resté rester-",
        LIVING,
        auxiliary="être",
    ),
    _verb(
        "arrive arrives arrived arrived",
        "arriver arrive arrive arrivons arrivent arrivé arriver-",
        LIVING,
        auxiliary="être",
    ),
    _verb(
        "leave leaves left left",
        "partir pars part partons partent parti partir-",
        LIVING,
        auxiliary="être",
    ),
    _verb(
        "fall falls fell fallen",
        "tomber tombe tombe tombons tombent tombé tomber-",
        LIVING,
        auxiliary="être",
    ),
)
GO = _verb("go goes went gone", "aller vais va allons vont allé ir-", LIVING, auxiliary="être")
COME = _verb(
    "come comes came come",
    "venir viens vient venons viennent venu viendr-",
    LIVING,
    auxiliary="être",
)
WANT = _verb(
    "want wants wanted wanted", "vouloir veux veut voulons veulent voulu voudr-", LIVING, state=True
)
CAN = _verb("can can - -", "pouvoir peux peut pouvons peuvent pu pourr-", LIVING, state=True)
MUST = _verb("must must - -", "devoir dois doit devons doivent dû devr-", LIVING, state=True)
AVOIR = ("ai", "a", "avons", "ont")
ETRE = ("suis", "est", "sommes", "sont")
ETAIT = ("étais", "était", "étions", "étaient")

THE = Determiner("the", "the", "le", "la", "les", "les")
SOME = Determiner("a", "some", "un", "une", "des", "des")
NONE = Determiner("a", "any", "de", "de", "de", "de")  # the object of a negated verb: pas de pomme
MASS_BARE = Determiner("", "", "de le", "de la", "", "")  # "bread": du pain
MASS_SOME = Determiner("some", "", "de le", "de la", "", "")
MASS_NONE = Determiner("any", "", "de", "de", "", "")
THIS = Determiner("this", "these", "ce", "cette", "ces", "ces", "cet")
THAT = Determiner("that", "those", "ce", "cette", "ces", "ces", "cet")
EVERY = Determiner("every", "", "chaque", "chaque", "", "")
ALL = Determiner("", "all the", "", "", "tous les", "toutes les")
MANY = Determiner("", "many", "", "", "beaucoup de", "beaucoup de")
SEVERAL = Determiner("", "several", "", "", "plusieurs", "plusieurs")
POSSESSIVES = (
    Determiner("my", "my", "mon", "ma", "mes", "mes", "mon", "mon"),
    Determiner("his", "his", "son", "sa", "ses", "ses", "son", "son"),
    Determiner("her", "her", "son", "sa", "ses", "ses", "son", "son"),
    Determiner("our", "our", "notre", "notre", "nos", "nos"),
    Determiner("their", "their", "leur", "leur", "leurs", "leurs"),
)
_NUMBERS = (
    ("two", "deux"),
    ("three", "trois"),
    ("four", "quatre"),
    ("five", "cinq"),
    ("seven", "sept"),
    ("eight", "huit"),
    ("ten", "dix"),
)
NUMBERS = tuple(Determiner("", en, "", "", fr, fr) for en, fr in _NUMBERS)
THE_NUMBERS = tuple(
    Determiner("", "the " + en, "", "", "les " + fr, "les " + fr) for en, fr in _NUMBERS
)

HE = Pronoun("he", "him", "il", "le", "lui", "m", plural=False, person=3)
SHE = Pronoun("she", "her", "elle", "la", "lui", "f", plural=False, person=3)
THEY = Pronoun("they", "them", "ils", "les", "leur", "m", plural=True, person=3)
I = Pronoun("I", "me", "je", "me", "me", "m", plural=False, person=1)  # noqa: E741 - the pronoun
WE = Pronoun("we", "us", "nous", "nous", "nous", "m", plural=True, person=1)

OFTEN = Fixed("often", "souvent")
ALWAYS = Fixed("always", "toujours")
VERY = Fixed("very", "très")
HERE = Fixed("here", "ici")
THERE = Fixed("there", "là")
TIMES_PRESENT = (
    Fixed("every day", "tous les jours", "0-0 0-1 1-2"),
    Fixed("every morning", "tous les matins", "0-0 0-1 1-2"),
    Fixed("in the morning", "le matin", "0-0 1-0 2-1"),
    Fixed("in the evening", "le soir", "0-0 1-0 2-1"),
    Fixed("now", "maintenant"),
    Fixed("today", "aujourd'hui"),
    Fixed("in summer", "en été"),
    Fixed("in winter", "en hiver"),
)
TIMES_PAST = (
    Fixed("yesterday", "hier"),
    Fixed("last night", "hier soir"),
    Fixed("this morning", "ce matin"),
    Fixed("on Monday", "lundi"),
    Fixed("last week", "la semaine dernière", "0-0 0-2 1-1"),
    Fixed("last year", "la année dernière", "0-0 0-2 1-1"),
)
TIMES_FUTURE = (
    Fixed("tomorrow", "demain"),
    Fixed("tonight", "ce soir"),
    Fixed("soon", "bientôt"),
    Fixed("on Saturday", "samedi"),
    Fixed("next week", "la semaine prochaine", "0-0 0-2 1-1"),
    Fixed("next year", "la année prochaine", "0-0 0-2 1-1"),
)
IN = Fixed("in", "dans")
ON = Fixed("on", "sur")
UNDER = Fixed("under", "sous")
NEAR = Fixed("near", "près de")
BEHIND = Fixed("behind", "derrière")
IN_FRONT_OF = Fixed("in front of", "devant")
WITH = Fixed("with", "avec")
WITHOUT = Fixed("without", "sans")
FOR = Fixed("for", "pendant")
TO = Fixed("to", "à")
FROM = Fixed("from", "de")
OF = Fixed("of", "de")
BY = Fixed("by", "par")
AND = Fixed("and", "et")
BUT = Fixed("but", "mais")
OR = Fixed("or", "ou")
BECAUSE = Fixed("because", "parce que")
WHEN = Fixed("when", "quand")
WHILE = Fixed("while", "pendant que")
COMMA = Fixed(",", ",")
