"""From a dataset's name to scores: bundled, by TFDS name, and with two vocabularies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

import training.data
from tests.training.corpora import TINY_MODEL, write_folder
from training import evaluate, train

SCHEDULE = ["--steps=4", "--warmup-steps=1", "--evaluate-steps=4"]


def trained(run: Path, flags: list[str]) -> dict:
    """Trains and evaluates; the evaluation's report."""
    assert train.main([*flags, *SCHEDULE, "--run-dir", str(run)]) == 0
    assert evaluate.main(["--run-dir", str(run), "--split", "test"]) == 0
    return json.loads((run / "evaluation" / "test" / "scores.json").read_text())


@pytest.mark.long
def test_the_bundled_dataset_with_the_preset_of_the_demo(tmp_path: Path) -> None:
    sizes = [flag for flag in TINY_MODEL if not flag.startswith("--vocabulary")]
    report = trained(tmp_path / "run", ["--preset=demo", "--data-dir", str(tmp_path), *sizes])
    assert report["sentences"] == 1000
    assert report["diagonal AER"] == pytest.approx(37.78, abs=0.01)
    assert report["AER pairs left out"] == 0


@pytest.mark.long
def test_a_tfds_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.data, "_online", lambda: True)
    name = [
        "--dataset=ted_hrlr_translate/pt_to_en",
        "--source=pt",
        "--target=en",
        "--dev-split=validation",
    ]
    with tfds.testing.mock_data(num_examples=40):
        flags = [*name, *TINY_MODEL, "--maximum-length=60"]
        assert trained(tmp_path / "run", flags)["sentences"] == 40


@pytest.mark.long
def test_two_vocabularies(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data")
    flags = [
        "--dataset",
        str(folder),
        *TINY_MODEL,
        "--no-shared-vocabulary",
        "--vocabulary-size=289",
    ]
    trained(tmp_path / "run", flags)
    pieces = [
        (tmp_path / "run" / f"tokenizer{name}.model").read_bytes() for name in ("", ".target")
    ]
    assert pieces[0] != pieces[1]
