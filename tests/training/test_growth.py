"""The growth benchmark measures points in processes of their own, and draws them."""

import json
from pathlib import Path

import pytest
from matplotlib.image import imread

from tests.training.corpora import run
from training import growth


def test_a_point() -> None:
    done = run("training.growth", "--point", "2", "5")
    assert done.returncode == 0, done.stderr
    point = json.loads(done.stdout.splitlines()[-1])
    assert (point["batch"], point["length"]) == (2, 5)
    assert point["step_ms"] > 0
    assert point["translation_ms"] > 0
    assert 1 < point["step_mb"] < 5_000


def test_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def point(command: list[str], **_: object) -> object:
        batch, length = map(int, command[-2:])
        found = {"step_ms": batch * length, "step_mb": batch, "translation_ms": length, "translation_mb": 1.5}
        stdout = "a warning\n" + json.dumps({"batch": batch, "length": length, **found})
        return type("Done", (), {"stdout": stdout})

    monkeypatch.setattr(growth.subprocess, "run", point)
    assert growth.main(["--output", str(tmp_path)]) == 0
    points = json.loads((tmp_path / "growth.json").read_text())
    assert len(points) == len(growth.LENGTHS) + len(growth.BATCHES)
    assert imread(tmp_path / "growth.png").shape[:2] == (700, 900)
    axes = growth.figure(points).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes[0].get_lines()}
    assert lines["step"] == [[length, 64 * length] for length in growth.LENGTHS]
    assert axes[1].get_lines()[1].get_xydata().tolist() == [[batch, 25] for batch in growth.BATCHES]


def test_nothing_to_do() -> None:
    with pytest.raises(SystemExit):
        growth.main([])
