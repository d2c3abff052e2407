"""A run folder of an earlier state, `old_run/run`, goes on loading and translates as it did.

Its weights, tokenizer and `config.json` were written before cells were classes: the cell is three
fields of the model there, and `best.keras` holds an optimizer.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.results import Translation
from attention_nmt.translation.translator import Translator
from serving import litert, litert_runtime
from serving.export import export
from serving.servable import Servable
from tests.serving.exported import predict
from training.folder import read_config

FOLDER = Path(__file__).with_name("old_run")
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
SOURCES = [entry["source"] for entry in EXPECTED]
TEXTS = [entry["translation"] for entry in EXPECTED]
SCORES = [entry["score"] for entry in EXPECTED]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(FOLDER / "run", tmp_path_factory.mktemp("old") / "run"))


@pytest.fixture(scope="module")
def translator(run_dir: Path) -> Translator:
    return Translator.from_run(run_dir)


def test_its_config_is_read_as_its_type(run_dir: Path) -> None:
    config = read_config(RunFolder(run_dir))
    assert (config.model.cell.kind, config.model.cell.reset_after) == ("gru", True)
    assert (config.steps, config.batches.batch_size, config.search.beam_size) == (300, 32, 5)
    assert config.normalization == "nfkc"


def assert_expected(found: list[Translation]) -> None:
    assert [t.text for t in found] == TEXTS
    np.testing.assert_allclose([t.score for t in found], SCORES, atol=1e-4)


def test_it_translates_as_it_did(translator: Translator) -> None:
    assert_expected(translator(SOURCES))
    assert_expected(translator.frozen()(SOURCES, alignments=False))


@pytest.mark.long
def test_its_export_translates_as_it_did(translator: Translator, tmp_path: Path) -> None:
    servable = Servable("nmt", 1, export(translator, tmp_path / "nmt"))
    texts, scores = predict(servable, SOURCES)
    servable.close()
    assert texts == TEXTS
    np.testing.assert_allclose(scores, SCORES, atol=1e-4)


def test_its_litert_model_translates_as_it_did(translator: Translator, tmp_path: Path) -> None:
    litert.save_ids_model(translator, str(tmp_path))
    model = litert.convert(str(tmp_path), "none")
    ids = translator.source_tokenizer.encode(SOURCES)
    found = litert_runtime.translate(model, ids)
    assert translator.target_tokenizer.decode(found) == TEXTS
