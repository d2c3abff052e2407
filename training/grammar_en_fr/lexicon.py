"""The words: forms of each lemma in English and French. Data only.

English decides French: no English form has two translations. Where English leaves gender open (I,
we, they, me, us, them), the grammar takes the masculine, which French also uses of mixed groups;
`it` and `you` do not occur.
"""

from __future__ import annotations

from dataclasses import dataclass

# Words with an h that blocks elision: le héros, but l'homme and l'héroïne.
ASPIRATED = ("héros", "harp", "hibou", "hériss", "haricot", "hache", "huit", "hai", "haï")


@dataclass(frozen=True)
class Noun:
    """A noun; a form that does not exist is empty."""

    en: str
    en_plural: str
    fr: str
    fr_plural: str
    gender: str  # "m" or "f"
    kind: str  # of thing, by which verbs and adjectives choose


@dataclass(frozen=True)
class Adjective:
    """An adjective.

    The rank orders English adjectives: 0 opinion, 1 size or age, 2 quality or colour, 3 origin.
    """

    en: str
    ms: str  # masculine singular
    fs: str
    mp: str
    fp: str  # feminine plural
    rank: int
    kinds: tuple[str, ...]  # of the nouns that it fits
    ms_vowel: str = ""  # before a vowel: bel, vieil

    @property
    def precedes(self) -> bool:
        """True if it stands before the French noun."""
        return self.rank < 2


@dataclass(frozen=True)
class Verb:
    """A verb: its English forms, then the French ones."""

    base: str
    third: str  # the third person
    past: str
    done: str  # the participle
    infinitive: str
    present: tuple[str, str, str, str]  # je, il, nous, ils
    participle: str
    future: str  # the stem before -ai, -a, -ons, -ont
    subjects: tuple[str, ...]  # kinds of nouns
    objects: tuple[str, ...] = ()  # kinds of nouns
    auxiliary: str = "avoir"
    state: bool = False  # its past is the imperfect (knew: connaissait)


@dataclass(frozen=True)
class Determiner:
    """A determiner; a form that does not exist is empty (two: no singular)."""

    en: str
    en_plural: str
    ms: str
    fs: str
    mp: str
    fp: str
    ms_vowel: str = ""
    fs_vowel: str = ""


@dataclass(frozen=True)
class Pronoun:
    """A personal pronoun: subject and object in English; then the French forms."""

    en: str
    en_object: str
    fr: str  # the subject
    direct: str  # the direct object
    indirect: str  # the indirect object
    gender: str
    plural: bool
    person: int


@dataclass(frozen=True)
class Fixed:
    """An idiom with its links ("0-0 1-2", English-French); without links its words pair off."""

    en: str
    fr: str
    links: str = ""


PERSON = "person"
ANIMAL = "animal"
FRUIT = "fruit"
DISH = "dish"
DRINK = "drink"
CLOTHES = "clothes"
TEXT = "text"
THING = "thing"
FURNITURE = "furniture"
DOOR = "door"
VEHICLE = "vehicle"
PLACE = "place"
LANDMARK = "landmark"
TIME = "time"
MASS = (DISH, DRINK)  # nouns without a plural: "bread", "du pain"
PEOPLE = (PERSON,)
LIVING = (PERSON, ANIMAL)
FOOD = (FRUIT, DISH)
GOODS = (CLOTHES, TEXT, THING, FURNITURE, VEHICLE)
THINGS = (*GOODS, DOOR)
VISIBLE = (*LIVING, *THINGS, PLACE, LANDMARK)

NOUNS = (
    Noun("man", "men", "homme", "hommes", "m", PERSON),
    Noun("woman", "women", "femme", "femmes", "f", PERSON),
    Noun("boy", "boys", "garçon", "garçons", "m", PERSON),
    Noun("girl", "girls", "fille", "filles", "f", PERSON),
    Noun("child", "children", "enfant", "enfants", "m", PERSON),
    Noun("king", "kings", "roi", "rois", "m", PERSON),
    Noun("queen", "queens", "reine", "reines", "f", PERSON),
    Noun("prince", "princes", "prince", "princes", "m", PERSON),
    Noun("princess", "princesses", "princesse", "princesses", "f", PERSON),
    Noun("hero", "heroes", "héros", "héros", "m", PERSON),
    Noun("heroine", "heroines", "héroïne", "héroïnes", "f", PERSON),
    Noun("father", "fathers", "père", "pères", "m", PERSON),
    Noun("mother", "mothers", "mère", "mères", "f", PERSON),
    Noun("brother", "brothers", "frère", "frères", "m", PERSON),
    Noun("sister", "sisters", "sœur", "sœurs", "f", PERSON),
    Noun("uncle", "uncles", "oncle", "oncles", "m", PERSON),
    Noun("aunt", "aunts", "tante", "tantes", "f", PERSON),
    Noun("grandmother", "grandmothers", "grand-mère", "grands-mères", "f", PERSON),
    Noun("doctor", "doctors", "médecin", "médecins", "m", PERSON),
    Noun("engineer", "engineers", "ingénieur", "ingénieurs", "m", PERSON),
    Noun("actress", "actresses", "actrice", "actrices", "f", PERSON),
    Noun("soldier", "soldiers", "soldat", "soldats", "m", PERSON),
    Noun("cat", "cats", "chat", "chats", "m", ANIMAL),
    Noun("dog", "dogs", "chien", "chiens", "m", ANIMAL),
    Noun("bird", "birds", "oiseau", "oiseaux", "m", ANIMAL),
    Noun("horse", "horses", "cheval", "chevaux", "m", ANIMAL),
    Noun("mouse", "mice", "souris", "souris", "f", ANIMAL),
    Noun("cow", "cows", "vache", "vaches", "f", ANIMAL),
    Noun("wolf", "wolves", "loup", "loups", "m", ANIMAL),
    Noun("owl", "owls", "hibou", "hiboux", "m", ANIMAL),
    Noun("hedgehog", "hedgehogs", "hérisson", "hérissons", "m", ANIMAL),
    Noun("swallow", "swallows", "hirondelle", "hirondelles", "f", ANIMAL),
    Noun("bee", "bees", "abeille", "abeilles", "f", ANIMAL),
    Noun("apple", "apples", "pomme", "pommes", "f", FRUIT),
    Noun("pear", "pears", "poire", "poires", "f", FRUIT),
    Noun("orange", "oranges", "orange", "oranges", "f", FRUIT),
    Noun("cherry", "cherries", "cerise", "cerises", "f", FRUIT),
    Noun("cake", "cakes", "gâteau", "gâteaux", "m", FRUIT),
    Noun("egg", "eggs", "œuf", "œufs", "m", FRUIT),
    Noun("bean", "beans", "haricot", "haricots", "m", FRUIT),
    Noun("bread", "", "pain", "", "m", DISH),
    Noun("cheese", "", "fromage", "", "m", DISH),
    Noun("meat", "", "viande", "", "f", DISH),
    Noun("soup", "", "soupe", "", "f", DISH),
    Noun("honey", "", "miel", "", "m", DISH),
    Noun("oil", "", "huile", "", "f", DISH),
    Noun("water", "", "eau", "", "f", DRINK),
    Noun("milk", "", "lait", "", "m", DRINK),
    Noun("coffee", "", "café", "", "m", DRINK),
    Noun("tea", "", "thé", "", "m", DRINK),
    Noun("dress", "dresses", "robe", "robes", "f", CLOTHES),
    Noun("coat", "coats", "manteau", "manteaux", "m", CLOTHES),
    Noun("hat", "hats", "chapeau", "chapeaux", "m", CLOTHES),
    Noun("shirt", "shirts", "chemise", "chemises", "f", CLOTHES),
    Noun("scarf", "scarves", "écharpe", "écharpes", "f", CLOTHES),
    Noun("shoe", "shoes", "chaussure", "chaussures", "f", CLOTHES),
    Noun("book", "books", "livre", "livres", "m", TEXT),
    Noun("letter", "letters", "lettre", "lettres", "f", TEXT),
    Noun("newspaper", "newspapers", "journal", "journaux", "m", TEXT),
    Noun("story", "stories", "histoire", "histoires", "f", TEXT),
    Noun("key", "keys", "clé", "clés", "f", THING),
    Noun("knife", "knives", "couteau", "couteaux", "m", THING),
    Noun("umbrella", "umbrellas", "parapluie", "parapluies", "m", THING),
    Noun("harp", "harps", "harpe", "harpes", "f", THING),
    Noun("axe", "axes", "hache", "haches", "f", THING),
    Noun("clock", "clocks", "horloge", "horloges", "f", THING),
    Noun("flower", "flowers", "fleur", "fleurs", "f", THING),
    Noun("painting", "paintings", "tableau", "tableaux", "m", THING),
    Noun("table", "tables", "table", "tables", "f", FURNITURE),
    Noun("chair", "chairs", "chaise", "chaises", "f", FURNITURE),
    Noun("bed", "beds", "lit", "lits", "m", FURNITURE),
    Noun("door", "doors", "porte", "portes", "f", DOOR),
    Noun("window", "windows", "fenêtre", "fenêtres", "f", DOOR),
    Noun("box", "boxes", "boîte", "boîtes", "f", DOOR),
    Noun("car", "cars", "voiture", "voitures", "f", VEHICLE),
    Noun("boat", "boats", "bateau", "bateaux", "m", VEHICLE),
    Noun("plane", "planes", "avion", "avions", "m", VEHICLE),
    Noun("house", "houses", "maison", "maisons", "f", PLACE),
    Noun("garden", "gardens", "jardin", "jardins", "m", PLACE),
    Noun("school", "schools", "école", "écoles", "f", PLACE),
    Noun("church", "churches", "église", "églises", "f", PLACE),
    Noun("hotel", "hotels", "hôtel", "hôtels", "m", PLACE),
    Noun("hospital", "hospitals", "hôpital", "hôpitaux", "m", PLACE),
    Noun("castle", "castles", "château", "châteaux", "m", PLACE),
    Noun("forest", "forests", "forêt", "forêts", "f", PLACE),
    Noun("village", "villages", "village", "villages", "m", PLACE),
    Noun("market", "markets", "marché", "marchés", "m", PLACE),
    Noun("kitchen", "kitchens", "cuisine", "cuisines", "f", PLACE),
    Noun("tree", "trees", "arbre", "arbres", "m", LANDMARK),
    Noun("bridge", "bridges", "pont", "ponts", "m", LANDMARK),
    Noun("hour", "hours", "heure", "heures", "f", TIME),
    Noun("day", "days", "jour", "jours", "m", TIME),
    Noun("week", "weeks", "semaine", "semaines", "f", TIME),
)

_COLOURED = (*GOODS, DOOR)
_FURRED = (*_COLOURED, ANIMAL)
_SIZED = (*VISIBLE, FRUIT)
_LASTING = (*GOODS, DOOR, PLACE)
ADJECTIVES = (
    Adjective("beautiful", "beau", "belle", "beaux", "belles", 0, VISIBLE, "bel"),
    Adjective("pretty", "joli", "jolie", "jolis", "jolies", 0, (*GOODS, ANIMAL, PLACE)),
    Adjective("good", "bon", "bonne", "bons", "bonnes", 0, (*FOOD, DRINK, TEXT)),
    Adjective("bad", "mauvais", "mauvaise", "mauvais", "mauvaises", 0, (*FOOD, DRINK, TEXT)),
    Adjective("little", "petit", "petite", "petits", "petites", 1, _SIZED),
    Adjective("small", "petit", "petite", "petits", "petites", 1, _SIZED),
    Adjective(
        "big", "grand", "grande", "grands", "grandes", 1, (ANIMAL, *THINGS, PLACE, LANDMARK, FRUIT)
    ),
    Adjective("old", "vieux", "vieille", "vieux", "vieilles", 1, VISIBLE, "vieil"),
    Adjective("new", "nouveau", "nouvelle", "nouveaux", "nouvelles", 1, _LASTING, "nouvel"),
    Adjective("young", "jeune", "jeune", "jeunes", "jeunes", 1, LIVING),
    Adjective("long", "long", "longue", "longs", "longues", 1, (CLOTHES, TEXT)),
    Adjective("red", "rouge", "rouge", "rouges", "rouges", 2, (*_COLOURED, FRUIT)),
    Adjective("green", "vert", "verte", "verts", "vertes", 2, (*_COLOURED, FRUIT)),
    Adjective("blue", "bleu", "bleue", "bleus", "bleues", 2, _COLOURED),
    Adjective("yellow", "jaune", "jaune", "jaunes", "jaunes", 2, (*_COLOURED, FRUIT)),
    Adjective("black", "noir", "noire", "noirs", "noires", 2, _FURRED),
    Adjective("white", "blanc", "blanche", "blancs", "blanches", 2, _FURRED),
    Adjective("grey", "gris", "grise", "gris", "grises", 2, _FURRED),
    Adjective("happy", "heureux", "heureuse", "heureux", "heureuses", 2, LIVING),
    Adjective("sad", "triste", "triste", "tristes", "tristes", 2, (*LIVING, TEXT)),
    Adjective("tired", "fatigué", "fatiguée", "fatigués", "fatiguées", 2, LIVING),
    Adjective("sick", "malade", "malade", "malades", "malades", 2, LIVING),
    Adjective("rich", "riche", "riche", "riches", "riches", 2, PEOPLE),
    Adjective(
        "intelligent", "intelligent", "intelligente", "intelligents", "intelligentes", 2, LIVING
    ),
    Adjective("famous", "célèbre", "célèbre", "célèbres", "célèbres", 2, (PERSON, TEXT, PLACE)),
    Adjective(
        "dangerous", "dangereux", "dangereuse", "dangereux", "dangereuses", 2, (*LIVING, VEHICLE)
    ),
    Adjective("heavy", "lourd", "lourde", "lourds", "lourdes", 2, (CLOTHES, TEXT, FURNITURE)),
    Adjective("expensive", "cher", "chère", "chers", "chères", 2, GOODS),
    Adjective("modern", "moderne", "moderne", "modernes", "modernes", 2, _LASTING),
    Adjective(
        "quiet", "tranquille", "tranquille", "tranquilles", "tranquilles", 2, (*LIVING, PLACE)
    ),
    Adjective("hot", "chaud", "chaude", "chauds", "chaudes", 2, MASS),
    Adjective("cold", "froid", "froide", "froids", "froides", 2, MASS),
    Adjective("fresh", "frais", "fraîche", "frais", "fraîches", 2, (*FOOD, DRINK)),
    Adjective(
        "French",
        "français",
        "française",
        "français",
        "françaises",
        3,
        (PERSON, CLOTHES, TEXT, VEHICLE),
    ),
    Adjective(
        "Italian",
        "italien",
        "italienne",
        "italiens",
        "italiennes",
        3,
        (PERSON, CLOTHES, TEXT, VEHICLE),
    ),
    Adjective(
        "Spanish", "espagnol", "espagnole", "espagnols", "espagnoles", 3, (PERSON, CLOTHES, TEXT)
    ),
)
