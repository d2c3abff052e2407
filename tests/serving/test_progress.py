"""Progress on a terminal, and elsewhere."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.progress import with_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Advances the time by some seconds."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def show(path: Path, seconds: float, clock: Callable[[float], None]) -> None:
    """Makes the lines of a file, each after some seconds."""
    with path.open("rb") as file:
        for _ in with_progress((line.decode() for line in file), source=file, done=5):
            clock(seconds)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("12345678\n" * 4, encoding="utf-8")
    return path


def test_a_plain_line_every_ten_seconds(
    source: Path, capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    show(source, 6.0, clock)
    assert capsys.readouterr().err == "7 lines, 0 a second, 50 %\n9 lines, 0 a second, 100 %\n"
    show(source, 2.0, clock)
    assert capsys.readouterr().err == ""


def test_one_line_on_a_terminal(
    source: Path,
    capsys: pytest.CaptureFixture[str],
    clock: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show(source, 0.25, clock)
    shown = ["\r7 lines, 4 a second, 50 % ", "\r9 lines, 4 a second, 100 % ", "\n"]
    assert capsys.readouterr().err == "".join(shown)


def test_without_a_file_there_is_no_share(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    for _ in with_progress(["a", "b"], source=None, done=0):
        clock(10.0)
    assert capsys.readouterr().err == "1 lines, 0 a second\n2 lines, 0 a second\n"
