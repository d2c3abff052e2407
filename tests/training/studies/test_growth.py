"""The growth benchmark measures points in processes of their own, and draws them."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tests.training.corpora import run
from training.studies import growth


# XLA compiles the step of a model of real size.
@pytest.mark.long
@pytest.mark.parametrize("kind", ["step", "translation"])
def test_a_point(kind: str) -> None:
    done = run("training.studies.growth", "--point", kind, "2", "5")
    assert done.returncode == 0, done.stderr
    point = json.loads(done.stdout.splitlines()[-1])
    assert (point["kind"], point["batch"], point["length"]) == (kind, 2, 5)
    assert point["ms"] > 0
    assert 1 < point["mb"] < 5_000


def test_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def point(command: list[str], **_: object) -> object:
        kind, batch, length = command[-3], *map(int, command[-2:])
        found = {"kind": kind, "batch": batch, "length": length, "ms": batch * length, "mb": 1.5}
        return type("Done", (), {"stdout": "a warning\n" + json.dumps(found)})

    monkeypatch.setattr(growth.subprocess, "run", point)
    assert growth.main(["--output", str(tmp_path)]) == 0
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--output must be given, or else a point"),
        (["--point", "walk", "2", "5"], "--point must be one of ('step', 'translation')"),
    ],
    ids=["nothing", "a kind that there is none of"],
)
def test_what_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert growth.main(arguments) == 1
    assert message in capsys.readouterr().err
