"""Pairs as people type them, the command that writes them, and the study that scores them."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator
from tests.training.corpora import write_folder
from tests.training.runs import untrained_run
from training.data import Corpus
from training.names import FIRST_NAMES
from training.studies import typed
from training.variations import (
    QUOTES,
    typographic,
    varied,
    with_other_names,
    with_other_numbers,
    with_other_quotes,
    without_stop,
)
from training.vary import main


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("Go on.", "Weiter!"), ("Go on", "Weiter")),
        (("Where?", "Où ?"), ("Where", "Où")),
        (("No stop", "Ein Punkt."), ("No stop", "Ein Punkt.")),
        (("好的。", "Good."), ("好的", "Good")),
        (("¿Dónde?", "Where?"), ("Dónde", "Where")),
        (("¿Sí", "Yes."), ("¿Sí", "Yes.")),
        (("?", "Was?"), ("?", "Was?")),
        (('He said: "Go."', "Er ging."), ('He said: "Go"', "Er ging")),
    ],
)
def test_a_last_stop_goes_on_both_sides_or_on_none(
    pair: tuple[str, str], expected: tuple[str, str]
) -> None:
    assert without_stop(pair) == expected


def test_quotes_become_printers_and_printers_straight() -> None:
    text = 'I\'m "here", she said; "there", too. 5\' tall'
    assert typographic(text, QUOTES["en"]) == "I’m “here”, she said; “there”, too. 5' tall"
    assert typographic('"Ja"', QUOTES["de"]) == "„Ja“"
    assert typographic('"Oui"', QUOTES["fr"]) == "«\N{NO-BREAK SPACE}Oui\N{NO-BREAK SPACE}»"
    draw = random.Random(1)
    assert with_other_quotes(("l’été “là”", "x"), draw) == ('l\'été "là"', "x")
    assert with_other_quotes(("It's", "x"), draw)[0] == "It’s"


def test_numbers_become_the_same_others_on_both_sides() -> None:
    draw = random.Random(3)
    for _ in range(50):
        source, target = with_other_numbers(("7 of 12, then 12 and 7", "12, 7; 7, 12"), draw)
        seven, twelve = source.split()[0], source.split()[2].rstrip(",")
        assert source == f"{seven} of {twelve}, then {twelve} and {seven}"
        assert target == f"{twelve}, {seven}; {seven}, {twelve}"
        assert 2 <= int(seven) <= 9
        assert 10 <= int(twelve) <= 99


@pytest.mark.parametrize(
    "pair",
    [
        ("7 eggs", "sept œufs"),
        ("At 7:30", "Um 7:30"),
        ("1 egg", "1 Ei"),
        ("3.14 and 2,000", "3.14 und 2,000"),
        ("B2 007", "B2 007"),
    ],
)
def test_other_numbers_stay(pair: tuple[str, str]) -> None:
    assert with_other_numbers(pair, random.Random(1)) == pair


def test_names_become_the_same_others_on_both_sides() -> None:
    draw = random.Random(5)
    source, target = with_other_names(("Tom saw Tom's son Bob.", "Tom sah Toms Bob."), draw)
    assert (source, target) == ("Tom saw Tom's son Bob.", "Tom sah Toms Bob.")  # not as often
    source, target = with_other_names(("Tom saw Bob.", "Bob wurde von Tom gesehen."), draw)
    one, other = source.split()[0], source.split()[2].rstrip(".")
    assert one != other
    assert target == f"{other} wurde von {one} gesehen."
    assert with_other_names(("Tommy", "Tommy"), draw) == ("Tommy", "Tommy")


def test_three_of_four_names_are_invented() -> None:
    draw = random.Random(7)
    names = [with_other_names(("Tom", "Tom"), draw)[0] for _ in range(400)]
    made = [name for name in names if name not in FIRST_NAMES]
    assert 265 < len(made) < 335
    assert len(set(made)) > 0.9 * len(made)
    assert all(4 <= len(name) <= 11 and name.istitle() for name in made)
    assert "Tom" not in names


def test_variations_are_those_of_the_seed_and_as_many_as_drawn() -> None:
    pairs = [(f"Tom has {n} eggs.", f"Tom hat {n} Eier.") for n in range(2, 1002)]
    first, again, other = list(varied(pairs, 1)), list(varied(pairs, 1)), list(varied(pairs, 2))
    assert first == again != other
    # Each pair has two forms; 1 - 0.85 * 0.1 * 0.1 of them are others, one in 9,000 by chance not.
    assert 1960 < len(first) <= 2000
    assert 240 < sum(not source.endswith(".") for source, _ in first) < 360
    assert 1740 < sum(not source.startswith("Tom ") for source, _ in first) < 1860


def test_pairs_without_names_have_one_form_at_most() -> None:
    pairs = [(f"I have {n} eggs.", f"Ich habe {n} Eier.") for n in range(2, 1002)]
    # 1 - 0.85 * 0.1 of them have one.
    assert 880 < len(list(varied(pairs, 1))) < 945


def test_the_command_writes_variations_behind_the_corpus(tmp_path: Path, capsys: Any) -> None:
    corpus = write_folder(tmp_path / "corpus")
    given = ["--dataset", str(corpus), "--source", "en", "--target", "fr"]
    assert main([*given, "--output", str(tmp_path / "varied")]) == 0
    said = capsys.readouterr().out.split()
    assert said[:3] == ["412", "pairs", "and"]

    for language in ("en", "fr"):
        before = (corpus / f"{language}.train.txt").read_text().splitlines()
        after = (tmp_path / "varied" / f"{language}.train.txt").read_text().splitlines()
        assert after[:412] == before
        assert len(after) == 412 + int(said[3])
        assert {line + "." for line in after[412:]} <= set(before)
        val = f"{language}.val.txt"
        assert (tmp_path / "varied" / val).read_text() == (corpus / val).read_text()
    assert main([*given, "--output", str(tmp_path / "varied")]) == 1
    assert "--output must be an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("split", "name"), [("train", "validation"), ("validation", "val"), ("val", "validation")]
)
def test_slices_of_one_split_are_two_files(
    split: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFDS slices splits; the dev pairs are not lost behind the training's name."""
    begin, end = f"{split}[:90%]", f"{split}[90%:]"
    texts = {begin: (["a", "b"], ["un", "be"]), end: (["c"], ["ce"])}
    monkeypatch.setattr(Corpus, "texts", lambda _, split: texts[split])
    given = ["--dataset", "of_tfds", "--source", "en", "--target", "fr"]
    splits = ["--train-split", begin, "--dev-split", end]
    assert main([*given, *splits, "--output", str(tmp_path / "varied")]) == 0
    assert (tmp_path / "varied" / f"en.{name}.txt").read_text() == "c\n"
    assert (tmp_path / "varied" / f"fr.{split}.txt").read_text() == "un\nbe\n"


def test_made_up_sentences_have_a_name_and_a_number_in_every_language() -> None:
    languages = ("en", "de", "fr", "es")
    names = typed.names()
    assert len(set(names)) == 50
    assert {"Zoltan", "Ludmila", "Petra"} < set(names)
    for target in languages:
        texts = [other for _, other in typed.read_sentences("en", target)]
        assert len(texts) == 50
        assert typed.kept(texts, names) == 100
        ways = typed.ways(target, "en")
        assert len({way.sources[2] for way in ways.values()}) == 4
    assert typed.kept(["a 1", "b", "c 3"], ["1", "2", "3"]) == pytest.approx(200 / 3)
    with pytest.raises(ValueError, match="`target` must be one of"):
        typed.ways("en", "nl")


@pytest.mark.long
def test_the_study_scores_every_way(tmp_path: Path, capsys: Any) -> None:
    run = untrained_run(tmp_path / "run", write_folder(tmp_path / "corpus"))
    model = tmp_path / "model"
    Translator.from_stored(RunFolder(run)).save(model)
    output = tmp_path / "typed.json"
    flags = ["--model", str(model), "--source", "en", "--target", "fr", "--output", str(output)]
    assert typed.main(flags) == 0
    found = json.loads(output.read_text())
    assert list(found["bleu"]) == ["plain", "capitals", "no stop", "quotes"]
    assert found["names"] == 0
    assert "| BLEU, en to fr | plain | capitals |" in capsys.readouterr().out
