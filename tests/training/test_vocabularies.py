"""The tokenizers that a training makes: their normalization, and capitals in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from attention_nmt.config import BatchConfig, from_dict, to_json
from attention_nmt.data.normalization import NORMALIZATIONS
from attention_nmt.run_folder import RunFolder
from attention_nmt.types import SPECIAL
from tests.training.corpora import PAIRS
from training.prepare import _tokenizers
from training.presets import PRESETS, TrainConfig

CHINESE = [
    ("我想买一件红色的连衣裙，好吗？", "I want to buy a red dress of 2 m², all right?"),
    ("不行！真的；他说：“是的”。", "No! Really; he said: “yes”. ½"),
]


def vocabularies(folder: Path, **options: Any) -> Any:
    sources, targets = zip(*CHINESE * 20, *PAIRS, strict=True)
    pairs = tf.data.Dataset.from_tensor_slices((list(sources), list(targets)))
    config = TrainConfig(vocabulary_size=310, character_coverage=0.98, **options)
    folder.mkdir(exist_ok=True)
    return _tokenizers(RunFolder(folder), config, pairs, None)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_the_normalization_asked_for_is_in_the_file(name: Any, tmp_path: Path) -> None:
    tokenizer, _ = vocabularies(tmp_path, normalization=name)
    expected = {"nfc": "，é m²", "nfkc": ",é m2", "none": "，e\u0301 m²"}
    assert tokenizer.normalize("，e\u0301 m²") == expected[name]
    kept, _ = vocabularies(tmp_path, normalization="none")  # the file that is there decides
    assert kept.model_proto == tokenizer.model_proto


def test_a_run_that_is_older_than_the_setting_has_nfkc() -> None:
    values = json.loads(to_json(TrainConfig()))
    assert values.pop("normalization") == "nfc"
    assert from_dict(TrainConfig, values).normalization == "nfkc"
    assert {preset().normalization for preset in PRESETS.values()} == {"nfc"}

    with pytest.raises(ValueError, match="`normalization` must be one of"):
        TrainConfig(normalization="NFC")  # type: ignore[arg-type]


def test_a_vocabulary_of_pairs_in_capitals_has_their_letters(tmp_path: Path) -> None:
    """Without them it spells them as bytes, whose ids are the first 256 behind the special ones."""
    first = SPECIAL.end + 257
    text = PAIRS[0][0].upper()
    plain, _ = vocabularies(tmp_path / "plain")
    assert any(i < first for i in plain.encode([text])[0])

    recased, _ = vocabularies(tmp_path / "recased", batches=BatchConfig(capitals=0.5))
    assert all(i >= first for i in recased.encode([text])[0])
    again, _ = vocabularies(tmp_path / "again", batches=BatchConfig(capitals=0.5))
    assert again.model_proto == recased.model_proto
