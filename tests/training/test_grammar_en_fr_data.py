"""The bundled English-French dataset: properties of its pairs, its splits, and the TFDS builder."""

import hashlib
import os
import re
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

import training.grammar_en_fr
from training.grammar_en_fr import corpus
from training.grammar_en_fr import lexicon as lex
from training.grammar_en_fr.phrases import Pair, starts_with_vowel, write_english, write_french

Splits = dict[str, list[Pair]]
ROOT = Path(__file__).parents[2]
GENDERS = {form: noun.gender for noun in lex.NOUNS for form in (noun.fr, noun.fr_plural) if form}
FEMININE_ARTICLES = {"la", "une", "cette", "sa", "ma"}
MASCULINE_ARTICLES = {"le", "un", "ce", "cet", "du", "au"}
ASPIRATED = "éros|arp|ibou|ériss|aricot|ache|uit|a[iï]"
FORBIDDEN = (
    r"\b(de|à) les?\b",
    rf"\b(le|la|de|ne|que|je|me) ([aeiouàâéèêîôœ]|y\b|h(?!{ASPIRATED}))",
    r"\bce ([aeiouéîœ]|hom|hôt|hôp)",
    rf"\bcet ([^aeiouéîœh]|h({ASPIRATED}))",
    r"\b(ma|sa) (école|église|écharpe|héroïne|histoire|horloge|hirondelle|orange)",
    r"\b(ma|sa) (abeille|actrice|huile)",
    r"\b(le|un|ce|son|notre|leur|chaque) (vieux|beau|nouveau) (arb|hom|hôt|hôp|enf|œuf|avion)",
    r"\b(le|un|ce|son|notre|leur|chaque) (vieux|beau|nouveau) (ois|oncle|ing)",
    rf"\b(vieil|bel|nouvel) ([^aeiouéîœh]|h({ASPIRATED}))",
)

SUMS = {
    "train": "66a6ff3f92840b6d851d476e1e4b3f7ff0edad47997201551fc4d090a876309e",
    "validation": "12e128852a05d36ee4590ce7fe523f5a083c2078f5b54dcc00d8c1f7e549f196",
    "test": "7a97b340ea43205c9ec0c49fa874985d59393e69ba27d2be3da44117b8a05bd9",
    "test_long": "8505d7a0a12b5c431a6015cd20d647cdbb7b850461f2c1e7648af45d75d6ba52",
}
"""SHA-256 of all pairs with their words and links: trainings and scores rest on these texts."""


@pytest.fixture(scope="module")
def splits() -> Splits:
    return {split: list(corpus.generate(split)) for split in corpus.SPLITS}


def test_the_splits_have_their_sizes_and_share_no_english_sentence(splits: Splits) -> None:
    assert {split: len(pairs) for split, pairs in splits.items()} == {
        "train": 30_000,
        "validation": 1_000,
        "test": 1_000,
        "test_long": 300,
    }
    keys = [corpus.key(pair.en) for pairs in splits.values() for pair in pairs]
    assert len(set(keys)) == len(keys)
    assert "the red dress" not in keys


def test_the_texts_stay_as_they_are(splits: Splits) -> None:
    for split, pairs in splits.items():
        text = repr([tuple(pair) for pair in pairs])
        assert hashlib.sha256(text.encode()).hexdigest() == SUMS[split], split


def test_the_red_dress_can_be_learned_from_train(splits: Splits) -> None:
    bare = [pair for pair in splits["train"] if pair.en[-1] not in ".?"]
    assert 0.08 < len(bare) / len(splits["train"]) < 0.12
    reordered = [
        pair
        for pair in bare
        if re.fullmatch(r"the \w+ \w+", pair.en) and pair.links == ((0, 0), (1, 2), (2, 1))
    ]
    assert any("red" in pair.en for pair in reordered)
    assert any("dress" in pair.en for pair in reordered)


def test_lengths(splits: Splits) -> None:
    lengths = {split: [len(pair.en_words) for pair in pairs] for split, pairs in splits.items()}
    longest = max(lengths["train"])
    for split in ("train", "validation", "test"):
        assert min(lengths[split]) == 2
        assert max(lengths[split]) == longest == corpus.LONGEST
        assert 8 < sum(lengths[split]) / len(lengths[split]) < 10
    assert 2 * longest <= min(lengths["test_long"])
    assert max(lengths["test_long"]) <= 4 * longest


def test_french_is_a_function_of_english_without_capitals(splits: Splits) -> None:
    french: dict[str, str] = {}
    for pair in (pair for pairs in splits.values() for pair in pairs):
        for en, fr in ((pair.en, pair.fr), (pair.en.lower(), pair.fr.lower())):
            assert french.setdefault(en, fr) == fr


def test_words_make_the_text_and_every_word_is_linked(splits: Splits) -> None:
    for pair in (*splits["train"][:3000], *splits["test_long"]):
        assert "".join(pair.en_words) == pair.en.replace(" ", "")
        assert "".join(pair.fr_words) == pair.fr.replace(" ", "")
        assert (write_english(pair.en_words), write_french(pair.fr_words)) == (pair.en, pair.fr)
        assert {source for source, _ in pair.links} == set(range(len(pair.en_words)))
        assert {target for _, target in pair.links} == set(range(len(pair.fr_words)))
        assert list(pair.links) == sorted(set(pair.links))


def test_french_spelling_and_articles(splits: Splits) -> None:
    checked = 0
    for pair in (*splits["train"][:6000], *splits["test_long"]):
        text = pair.fr.lower()
        assert not any(re.search(pattern, text) for pattern in FORBIDDEN), text
        for article, noun in pairwise(word.lower() for word in pair.fr_words):
            if noun not in GENDERS:
                continue
            checked += 1
            assert not (article in FEMININE_ARTICLES and GENDERS[noun] == "m"), text
            assert not (article in MASCULINE_ARTICLES and GENDERS[noun] == "f"), text
            assert not (article.endswith("'") and not starts_with_vowel(noun)), text
    assert checked > 6000


def test_test_words_are_known_from_train(splits: Splits) -> None:
    known = {word for pair in splits["train"] for word in pair.en_words}
    assert {word for split in splits for pair in splits[split] for word in pair.en_words} == known
    known = {word for pair in splits["train"] for word in pair.fr_words}
    unknown = [
        word
        for split in splits
        for pair in splits[split]
        for word in pair.fr_words
        if word not in known
    ]
    assert len(unknown) <= 5


def test_another_process_generates_the_same_pairs(splits: Splits) -> None:
    code = (
        "import hashlib, itertools\n"
        "from training.grammar_en_fr.corpus import generate\n"
        "pairs = list(itertools.islice(generate('train'), 500))\n"
        "print(hashlib.sha256(repr(pairs).encode()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(repr(splits["train"][:500]).encode()).hexdigest()


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match=r"`split` must be one of train, .* Received: 'dev'"):
        corpus.generate("dev")


def test_tfds_prepares_and_loads_it(
    tmp_path: Path, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(split: str) -> list[Pair]:
        return splits[split][:40]

    monkeypatch.setattr("training.grammar_en_fr.builder.generate", few)
    assert training.grammar_en_fr.GrammarEnFr.name == "grammar_en_fr"
    loaded = tfds.load("grammar_en_fr", data_dir=str(tmp_path))
    assert set(loaded) == set(corpus.SPLITS)
    expected = {pair.en: pair for pair in few("test")}
    for example in tfds.as_numpy(loaded["test"]):
        pair = expected.pop(example["en"].decode())
        assert example["fr"].decode() == pair.fr
        assert tuple(word.decode() for word in example["en_words"]) == pair.en_words
        assert tuple(word.decode() for word in example["fr_words"]) == pair.fr_words
        assert example["links"].tolist() == [list(link) for link in pair.links]
    assert not expected
    supervised = tfds.load(
        "grammar_en_fr", split="validation", data_dir=str(tmp_path), as_supervised=True
    )
    en, fr = next(iter(tfds.as_numpy(supervised)))
    assert (en.decode(), fr.decode()) in {
        (pair.en, pair.fr) for pair in islice(few("validation"), 40)
    }
