"""The soak finds what it looks for: wrong answers, dropped requests, malformed ones that pass."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from serving import soak
from serving.client import ClientTranslation
from tests.serving.exported import TEXTS


@pytest.mark.long
def test_a_server_under_strain(
    version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "en.txt").write_text(
        "".join(text + "\n" for text in TEXTS if text), encoding="utf-8"
    )
    arguments = [
        "--model-dir",
        str(version.parent),
        "--input",
        str(tmp_path / "en.txt"),
        "--minutes",
        "0.15",
    ]
    assert soak.main([*arguments, "--clients", "4", "--malformed", "0.3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["answered"] > 0
    assert report["refused"] > 0
    assert report["right"] >= report["answered"]
    assert (report["dropped"], report["wrong"], report["complaints"]) == (0, 0, [])
    assert 0 < report["p50_ms"] <= report["p99_ms"]
    assert report["killed"] > 0
    assert report["memory_mb"]["last quarter"] > 50


@pytest.mark.long
def test_a_server_that_ends_is_an_error(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clients stop, long before the minutes are over."""
    (tmp_path / "en.txt").write_text("a\n", encoding="utf-8")
    watch = soak.watch_memory

    def kill(pid: int, until: float, tally: soak.Tally) -> None:
        os.kill(pid, signal.SIGKILL)
        watch(pid, until, tally)

    monkeypatch.setattr(soak, "watch_memory", kill)
    with pytest.raises(OSError, match="the server ended"):
        soak.soak(
            soak.SoakConfig(model_dir=model_dir, input=tmp_path / "en.txt", clients=1, minutes=5)
        )


@pytest.mark.parametrize(
    "change", [{"minutes": 0.0}, {"texts": 0}, {"clients": 0}, {"malformed": 1.5}]
)
def test_settings_are_checked(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        soak.SoakConfig(model_dir=tmp_path, input=tmp_path, **change)


def test_no_text_to_send(tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match="must hold a text"):
        soak.soak(soak.SoakConfig(model_dir=tmp_path, input=tmp_path / "en.txt"))


def test_what_counts_as_wrong() -> None:
    alone = ClientTranslation("a", -1.0)
    assert soak._judge("x", ClientTranslation("a", -1.0002), alone) == ("right", "")
    assert soak._judge("x", ClientTranslation("b", -1.0002), alone) == ("tied", "")
    for answer in (ClientTranslation("b", -1.1), ClientTranslation("a", -1.1)):
        assert soak._judge("x", answer, alone)[0] == "wrong"


def test_what_it_complains_of() -> None:
    config = soak.SoakConfig(model_dir=Path(), input=Path())
    tally = soak.Tally(
        milliseconds=[1.0], memory_mb=[100.0, 100.0, 200.0, 100.0 + soak.GROWTH_MB + 1]
    )
    assert soak.report(config, tally)["complaints"] == [
        "memory grew from 100 to 301 MB",
        "no client was killed at work",
    ]
    tally = soak.Tally(milliseconds=[1.0], memory_mb=[100.0, 100.0, 200.0, 100.0])
    tally.add("killed")
    tally.add("dropped", "why")
    assert soak.report(config, tally)["complaints"] == ["why"]
    tally.milliseconds.clear()
    found = soak.report(config, tally)
    assert found["complaints"] == ["why", "no good request was answered"]
    assert (found["p50_ms"], found["p99_ms"]) == (None, None)
