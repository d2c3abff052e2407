"""Files of lines: read as a stream, written whole, gone on with."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from attention_nmt import files
from serving import lines as lines_of_files
from serving.client import ClientTranslation
from serving.lines import LineTranslation, RefusedText, fresh, resumed, translate_lines
from tests.serving.conftest import ROOT


class Shouting:
    """Stands in for a translator and notes what it is given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def __call__(self, texts: list[str]) -> list[ClientTranslation]:
        self.given.append(texts)
        return [ClientTranslation(f"{text}!\r\n\0!", 0.0, text == "long") for text in texts]


def test_lines_are_read_a_batch_at_a_time_and_stay_lines() -> None:
    shout = Shouting()
    read: list[str] = []

    def lines() -> Iterator[str]:
        for line in ["a", "", " \t", "", "b", "c", "d"]:
            read.append(line)
            yield line

    translated = translate_lines(lines(), shout, batch_size=2)
    assert next(translated) == "a! !"
    assert read == ["a", ""]
    assert list(translated) == ["", "", "", "b! !", "c! !", "d! !"]
    assert shout.given == [["a"], [], ["b", "c"], ["d"]]


def test_lines_that_were_cut_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["short", "long", "", "long"]
    assert len(list(translate_lines(lines, Shouting(), batch_size=2, done=10))) == 4
    assert capsys.readouterr().err == "".join(
        f"warning: line {number} is too long: only its beginning was translated\n"
        for number in (12, 14)
    )


def test_sentences_of_a_line_are_translated_one_by_one() -> None:
    shout = Shouting()
    lines = ["Go. Now!  Hello", "", "dog"]
    translated = list(translate_lines(lines, shout, batch_size=3, document=True))
    assert translated == ["Go.! ! Now!! !  Hello! !", "", "dog! !"]
    assert shout.given == [["Go.", "Now!", "Hello", "dog"]]


def refusing(texts: list[str]) -> Sequence[LineTranslation]:
    """Refuses what has an X, and cuts what has an L."""
    return [
        RefusedText(f"no {text}") if "X" in text else ClientTranslation(text, 0.0, "L" in text)
        for text in texts
    ]


def test_lines_that_were_refused_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["a", "X", "", "X. b."]
    assert list(translate_lines(lines, refusing, batch_size=9)) == ["a", "", "", ""]
    assert capsys.readouterr().err.splitlines() == [
        "warning: line 2 was refused, and is left empty: no X",
        "warning: line 4 was refused, and is left empty: no X. b.",
    ]


def test_a_line_that_lacks_sentences_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are there, and the line is not said to be empty."""
    lines = ["Go. X one! Now! X two!", "Stay.", "X alone.", "An L! Go. An L!"]
    written = list(translate_lines(lines, refusing, batch_size=9, document=True))
    assert [line.split() for line in written] == [
        ["Go.", "Now!"],
        ["Stay."],
        [],
        ["An", "L!", "Go.", "An", "L!"],
    ]
    cut = "has 2 of 3 sentences that are too long: only the beginning of each was translated"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: line 4 {cut}",
        "warning: line 1 lacks 2 of its 4 sentences, which were refused: no X one!",
        "warning: line 3 was refused, and is left empty: no X alone.",
    ]


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"old")
    with fresh(path) as output:
        output.file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with contextlib.suppress(ConnectionError), fresh(path) as output:
        output.file.write(b"newer")
        raise ConnectionError
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_gone_on_with_behind_the_last_whole_one(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("1\n2\n3\n", encoding="utf-8")
    with contextlib.suppress(ConnectionError), resumed(target, "a task", source) as output:
        assert output.done == 0
        output.file.write(b"one\ntw")
        raise ConnectionError
    assert not target.exists()
    with contextlib.suppress(ConnectionError), resumed(target, "another task", source) as output:
        assert output.done == 0
        raise ConnectionError
    with resumed(target, "a task", source) as output:
        assert output.done == 1
        output.file.write(b"two\n")
    assert target.read_bytes() == b"one\ntwo\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("hello\n", encoding="utf-8")
    second = resumed(tmp_path / "target", "a", source)
    with (
        resumed(tmp_path / "target", "a", source),
        pytest.raises(OSError, match="another process is writing"),
    ):
        second.__enter__()


KILLED = """
import os, signal, sys
from pathlib import Path
from serving.lines import fresh
with fresh(Path(sys.argv[1])) as output:
    output.file.write(b"half")
    output.file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""A process that is killed while it writes a file."""


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """And what a living one is writing is not."""
    path = tmp_path / "output.txt"
    killed = subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"half"

    with fresh(path) as first:
        first.file.write(b"first")
        assert not left.exists()
        with fresh(path) as second:
            second.file.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["fresh", "resumed"])
def test_a_whole_file_lasts_when_the_power_goes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is synchronized before it gets its name, and the folder that has the name after."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("1\n", encoding="utf-8")
    steps = list[tuple[str, object]]()

    def noted(name: str, step: Callable[..., object]) -> Callable[..., object]:
        def note(path: Path, *arguments: Path) -> object:
            content = path.read_bytes() if path.is_file() else path.name
            steps.append((name, content))
            return step(path, *arguments)

        return note

    sync_file = noted("file", files.sync_file)
    sync_folder = noted("folder", files.sync_folder)
    for module in (files, lines_of_files):
        monkeypatch.setattr(module, "sync_file", sync_file)
        monkeypatch.setattr(module, "sync_folder", sync_folder)
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))

    opened = fresh(target) if kind == "fresh" else resumed(target, "a task", source)
    with opened as output:
        output.file.write(b"one\n")
    assert steps == [("file", b"one\n"), ("replace", b"one\n"), ("folder", tmp_path.name)]


def test_an_output_is_made_with_its_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1\n", encoding="utf-8")
    for name, opened in {
        "fresh": fresh(tmp_path / "fresh" / "output"),
        "resumed": resumed(tmp_path / "resumed" / "output", "a task", source),
    }.items():
        with opened as output:
            output.file.write(b"one\n")
        assert (tmp_path / name / "output").read_bytes() == b"one\n"
