"""A folder that version 0.2.0 wrote goes on loading and translates as it did."""

import json
from pathlib import Path

import numpy as np

from attention_nmt.stored import open_model
from attention_nmt.translation.translator import Translator

FOLDER = Path(__file__).with_name("model_folder")
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def test_it_translates_as_it_did() -> None:
    translator = Translator.from_preset(FOLDER / "model")
    found = translator([entry["source"] for entry in EXPECTED])
    assert [one.text for one in found] == [entry["translation"] for entry in EXPECTED]
    scores = [entry["score"] for entry in EXPECTED]
    np.testing.assert_allclose([one.score for one in found], scores, atol=1e-4)


def test_its_records_are_read() -> None:
    stored = open_model(FOLDER / "model")
    assert stored.corpus == {"source": "en", "target": "fr"}
    assert len(stored.samples) == 3
    assert stored.read_search().beam_size == 5
