"""Files of lines: read as a stream, written whole, gone on with."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.client import ClientTranslation
from serving.lines import fresh, resumed, translate_lines


class Shouting:
    """Stands in for a translator and notes what it is given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def __call__(self, texts: list[str]) -> list[ClientTranslation]:
        self.given.append(texts)
        return [ClientTranslation(f"{text}!\r\n!", 0.0, text == "long") for text in texts]


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
