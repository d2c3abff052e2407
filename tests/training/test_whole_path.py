"""From a dataset's name to an endpoint: bundled, by TFDS name, and with two vocabularies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import training.data
from serving import export, tflite
from serving.predict import Servable
from tests.training.corpora import TINY_MODEL, write_folder
from training import evaluate, train

SCHEDULE = ["--steps=4", "--warmup-steps=1", "--evaluate-steps=4"]


def through_everything(run: Path, flags: list[str], split: str) -> dict:
    """Trains, evaluates, exports and converts; translates one sentence through the export; the evaluation's report."""
    assert train.main([*flags, *SCHEDULE, "--run-dir", str(run)]) == 0
    assert evaluate.main(["--run-dir", str(run), "--split", split]) == 0
    assert export.main(["--run-dir", str(run), "--output", str(run / "export")]) == 0
    assert tflite.main(["--run-dir", str(run), "--output", str(run / "m.tflite")]) == 0
    servable = Servable("nmt", 1, run / "export" / "1")
    outputs = servable.predict({"text": tf.make_tensor_proto([b"a dog"])})
    servable.close()
    assert len(outputs["translation"].string_val) == 1
    return json.loads((run / "evaluation" / split / "scores.json").read_text())


def test_the_bundled_dataset_with_the_preset_of_the_demo(tmp_path: Path) -> None:
    sizes = [flag for flag in TINY_MODEL if not flag.startswith("--vocabulary")]
    report = through_everything(tmp_path / "run", ["--preset=demo", "--data-dir", str(tmp_path), *sizes], "test")
    assert report["sentences"] == 1000
    assert report["diagonal AER"] == pytest.approx(37.78, abs=0.01)
    assert 0 <= report["AER"] <= 100


def test_a_tfds_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.data, "_online", lambda: True)
    name = ["--dataset=ted_hrlr_translate/pt_to_en", "--source=pt", "--target=en", "--dev-split=validation"]
    with tfds.testing.mock_data(num_examples=40):
        flags = [*name, *TINY_MODEL, "--maximum-length=60"]
        assert through_everything(tmp_path / "run", flags, "test")["sentences"] == 40


def test_two_vocabularies(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data")
    flags = ["--dataset", str(folder), *TINY_MODEL, "--shared-vocabulary=False", "--vocabulary-size=289"]
    through_everything(tmp_path / "run", flags, "test")
    assert (tmp_path / "run" / "tokenizer.target.model").is_file()
    pieces = [(tmp_path / "run" / f"m.{side}.model").read_bytes() for side in ("source", "target")]
    assert pieces[0] != pieces[1]
