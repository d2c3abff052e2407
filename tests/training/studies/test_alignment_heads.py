"""A Transformer's layers and heads, compared with gold links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.model_folder import ModelCard
from attention_nmt.translation.translator import Translator
from tests.attention_nmt.tiny import VARIANTS, tiny_model
from tests.training.corpora import PAIRS, write_folder
from training.alignment.attention_links import error_rates
from training.alignment.gold import gold_pairs
from training.data import Corpus
from training.studies import alignment_heads

PIECES = 310
SCALE = 2.0
"""Of weights, for heads that read different words."""

OPTIONS: dict[str, Any] = {
    **VARIANTS["transformer"],
    "source_vocabulary_size": PIECES,
    "target_vocabulary_size": PIECES,
    "transformer": {"heads": 2, "feed_forward_units": 7},
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([text for pair in PAIRS for text in pair], PIECES)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Ten pairs with links from word to word, of which the second has a possible one."""
    folder = write_folder(tmp_path / "data", PAIRS[:23])
    lines = [f"{' '.join(f'{i}-{i}' for i in range(6))}\n"] * 10
    lines[1] = "0-0 1?2 2-1\n"
    (folder / "align.test.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def flags(model: Path, corpus: Path, split: str = "test") -> list[str]:
    return [
        *("--model", str(model), "--dataset", str(corpus)),
        *("--source", "en", "--target", "fr", "--split", split),
    ]


def test_the_rates_are_those_of_models_that_align_so(
    tokenizer: Tokenizer, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against models that were made with the layer and heads, of the same weights."""
    Translator(tiny_model(scale=SCALE, **OPTIONS), tokenizer).save(tmp_path / "model")
    assert alignment_heads.main(flags(tmp_path / "model", corpus)) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| layer | heads | AER | one step later |"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [cell[:2] for cell in cells] == [
        [str(layer), heads] for layer in range(2) for heads in ("all", "0", "1")
    ]

    texts = Corpus(str(corpus), "en", "fr")
    gold = gold_pairs(texts, "test")
    assert gold is not None
    for layer, heads, same, later in (cells[0], cells[5]):
        chosen = [] if heads == "all" else [int(heads)]
        transformer = {
            **OPTIONS["transformer"],
            "alignment_layer": int(layer),
            "alignment_heads": chosen,
        }
        model = tiny_model(scale=SCALE, **{**OPTIONS, "transformer": transformer})
        rates = error_rates(Translator(model, tokenizer), gold, *texts.texts("test"))
        assert same.strip("*") == f"{rates['AER']:.2f}"
        assert later.strip("*") == f"{rates['AER later']:.2f}"

    for column in (2, 3):
        values = [float(cell[column].strip("*")) for cell in cells]
        bold = [float(cell[column].strip("*")) for cell in cells if "*" in cell[column]]
        assert set(bold) == {min(values)}
    assert len({cell[2].strip("*") for cell in cells}) > 2


def test_what_cannot_be_compared(
    tokenizer: Tokenizer, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {name: OPTIONS[name] for name in ("source_vocabulary_size", "target_vocabulary_size")}
    translator = Translator(tiny_model(**sizes), tokenizer)
    translator.save(tmp_path / "model", card=ModelCard(source="en", target="fr"))
    assert alignment_heads.main(flags(tmp_path / "model", corpus)) == 1
    message = "decoder must be 'transformer', whose heads align. Received: 'rnn'"
    assert message in capsys.readouterr().err.replace("`", "")
    turned = ["--source", "fr", "--target", "en"]
    assert alignment_heads.main([*flags(tmp_path / "model", corpus)[:4], *turned]) == 1
    assert "of the run's direction, from 'en' to 'fr'" in capsys.readouterr().err
    assert alignment_heads.main(flags(tmp_path / "model", corpus, split="val")) == 1
    message = "split must be one with gold links. Received: 'val'"
    assert message in capsys.readouterr().err.replace("`", "").replace("--", "")
