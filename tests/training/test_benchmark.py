"""The benchmark counts what it says."""

import json
from pathlib import Path

import pytest

from tests.training.corpora import write_folder
from training import benchmark


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"source-vocabulary-size": 310, "embedding-size": 8, "encoder-units": 6, "decoder-units": 8}
    sizes |= {"attention-units": 6, "readout-units": 8, "batch-size": 16, "buckets": 2, "steps": 30}
    flags = [f"--{name}={value}" for name, value in sizes.items()]
    folder = write_folder(tmp_path / "data")
    arguments = ["--dataset", str(folder), "--source=en", "--target=fr", "--jit-compile=False", *flags]
    assert benchmark.main(arguments) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["shapes"] == 2
    assert 0 < report["target_padding"] < 0.5
    assert report["target_tokens_per_s"] > 0
    tokens_a_step = report["target_tokens_per_s"] * report["ms_per_step"] / 1e3
    assert 16 * 6 < tokens_a_step < 16 * 60  # sentences of 6 to 60 pieces; the median step, not the mean


def test_a_vocabulary_that_the_text_does_not_support(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "data")
    assert benchmark.main(["--dataset", str(folder), "--source=en", "--target=fr"]) == 1
    assert "vocabulary_size" in capsys.readouterr().err
