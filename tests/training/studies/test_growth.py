"""The growth benchmark measures points in processes of their own, and draws them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from attention_nmt.config import ModelConfig
from training.studies import growth

SMALL = ModelConfig(
    source_vocabulary_size=50,
    target_vocabulary_size=50,
    embedding_size=8,
    encoder_units=8,
    decoder_units=8,
    attention_units=8,
    readout_units=8,
)


@pytest.mark.parametrize("kind", ["step", pytest.param("translation", marks=pytest.mark.long)])
def test_a_point(kind: str) -> None:
    point = growth.measure_apart(SMALL, kind, 2, 5)
    assert (point["kind"], point["batch"], point["length"]) == (kind, 2, 5)
    assert point["ms"] > 0
    assert 1 < point["mb"] < 5_000


def _process(config: ModelConfig, *_: Any) -> tuple[int, int]:
    return os.getpid(), config.embedding_size


def test_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "measure", _process)
    process, size = growth.measure_apart(SMALL, "step", 2, 5)
    assert process != os.getpid()
    assert size == 8


def test_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = set()

    def point(config: ModelConfig, kind: str, batch: int, length: int) -> dict[str, Any]:
        sizes.add((config.encoder, config.embedding_size))
        return {"kind": kind, "batch": batch, "length": length, "ms": batch * length, "mb": 1.5}

    monkeypatch.setattr(growth, "measure_apart", point)
    flags = ["--encoder", "transformer", "--embedding-size", "64"]
    assert growth.main(["--output", str(tmp_path), *flags]) == 0
    assert sizes == {("transformer", 64)}
    points = json.loads((tmp_path / "growth.json").read_text())
    assert len(points) == 2 * (
        len(growth.LENGTHS) + len(growth.BATCHES) - 1
    )  # one place is on both lines
    assert imread(tmp_path / "growth.png").shape[:2] == (700, 900)
    axes = growth.figure(points).axes
    step, translation = axes[0].get_lines()[0], axes[1].get_lines()[1]
    assert step.get_label() == "step"
    np.testing.assert_array_equal(
        step.get_xydata(), [[length, 64 * length] for length in growth.LENGTHS]
    )
    np.testing.assert_array_equal(
        translation.get_xydata(), [[batch, 25 * batch] for batch in growth.BATCHES]
    )
