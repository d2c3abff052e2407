"""The scaling benchmark measures each number of devices in a process of its own, and draws them."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tests.training.corpora import run
from training.studies import scaling


# XLA compiles the step of a model of real size.
@pytest.mark.long
def test_a_point() -> None:
    done = run("training.studies.scaling", "--point", "2")
    assert done.returncode == 0, done.stderr
    point = json.loads(done.stdout.splitlines()[-1])
    assert point["devices"] == 2
    assert point["tokens_per_s"] == pytest.approx(64 * 20 / point["ms"] * 1e3)


def test_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def point(command: list[str], **_: object) -> object:
        devices = int(command[-1])
        found = {"devices": devices, "ms": 10.0 * devices, "tokens_per_s": 500 / devices}
        return type("Done", (), {"stdout": "a warning\n" + json.dumps(found)})

    monkeypatch.setattr(scaling.subprocess, "run", point)
    assert scaling.main(["--output", str(tmp_path)]) == 0
    points = json.loads((tmp_path / "scaling.json").read_text())
    assert imread(tmp_path / "scaling.png").shape[:2] == (400, 500)
    (line,) = scaling.figure(points).axes[0].get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [[1, 500], [2, 250], [4, 125]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--output must be given, or else a point"),
        (["--point", "0"], "--point must be at least 1. Received: 0"),
    ],
)
def test_what_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling.main(arguments) == 1
    assert message in capsys.readouterr().err
