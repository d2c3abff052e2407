"""The bundled models: they are there, they are small, and they translate what their cards say."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from attention_nmt.stored import PRETRAINED, bundled, open_model
from attention_nmt.translation.translator import Translator
from serving.translate import main
from training.scoring.metrics import corpus_bleu
from training.studies.typed import kept, names, ways


class Least(NamedTuple):
    """BLEU that a model has, cased, 13a, beam 5, rounded down."""

    test: float
    """On the test split of its corpus."""
    capitals: float
    """On made-up sentences in capitals."""
    no_stop: float
    """On made-up sentences without their last stop."""
    names: float
    """The share of their names that come out whole, in percent."""


LEAST = {
    "tatoeba_en_de": Least(40.0, 22, 28, 30),
    "tatoeba_en_fr": Least(41.2, 21.5, 34.5, 26),
    "tatoeba_es_en": Least(50.1, 20.5, 38, 40),
    "tatoeba_fr_en": Least(47.9, 21.5, 28.5, 22),
}
RED_DRESS = {
    "en": "The red dress is beautiful.",
    "es": "El vestido rojo es hermoso.",
    "fr": "La robe rouge est belle.",
}
CORPORA = {"tatoeba_fr_en": "tatoeba_en_fr"}
"""The folders of models that translate the other way round."""


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_they_are_bundled_and_small() -> None:
    assert bundled() == sorted(LEAST)
    sizes = [size(PRETRAINED / name) for name in bundled()]
    assert max(sizes) < 8e6
    assert sum(sizes) < 30e6


@pytest.mark.parametrize("name", LEAST)
def test_their_cards_say_whose_work_they_are(name: str) -> None:
    card = open_model(name).read_card()  # type: ignore[attr-defined]
    assert f"tatoeba_{card.source}_{card.target}" == name
    assert card.license == "cc-by-2.0"
    assert "Tatoeba" in card.text
    readme = (PRETRAINED / name / "README.md").read_text(encoding="utf-8")
    assert "CC BY 2.0" in readme


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tatoeba_en_de", "Das rote Kleid ist schön."),
        ("tatoeba_en_fr", "La robe rouge est belle."),
        ("tatoeba_es_en", "The red dress is beautiful."),
        ("tatoeba_fr_en", "The red dress is beautiful."),
    ],
)
def test_a_text_is_translated_by_name(
    name: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = name.split("_")[1]
    assert main(["--model", name, RED_DRESS[source]]) == 0
    assert capsys.readouterr().out == f"{expected}\n"


@pytest.mark.long
@pytest.mark.parametrize("name", LEAST)
def test_they_read_what_people_type(name: str) -> None:
    """A stop or quotes cost little, capitals more, and many names are lost: docs/pretrained.md."""
    stored = open_model(name)
    source, target = stored.corpus["source"], stored.corpus["target"]
    translator = Translator.from_stored(stored)
    scores = {}
    for way, texts in ways(source, target).items():
        found = [one.text for one in translator(texts.sources, alignments=False)]
        scores[way] = corpus_bleu(found, texts.references, target).value
        if way == "plain":
            assert kept(found, names()) >= LEAST[name].names
    assert scores["no stop"] > LEAST[name].no_stop
    assert scores["quotes"] > scores["plain"] - 6
    assert scores["capitals"] > LEAST[name].capitals


@pytest.mark.long
@pytest.mark.skipif("ATTENTION_NMT_DATA" not in os.environ, reason="ATTENTION_NMT_DATA is not set")
@pytest.mark.parametrize("name", LEAST)
def test_their_bleu_is_what_the_page_says(name: str) -> None:
    stored = open_model(name)
    folder = Path(os.environ["ATTENTION_NMT_DATA"]) / CORPORA.get(name, name)
    sides = [stored.corpus["source"], stored.corpus["target"]]
    sources, references = (
        (folder / f"{side}.test.txt").read_text("utf-8").splitlines() for side in sides
    )
    found = [one.text for one in Translator.from_stored(stored)(sources, alignments=False)]
    assert corpus_bleu(found, references, sides[1]).value >= LEAST[name].test
