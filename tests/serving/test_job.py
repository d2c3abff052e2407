"""A translation job: what `client` and `translate` share."""

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.client import ClientTranslation
from serving.job import JobConfig, Source, open_source, write_translations
from serving.progress import PLAIN_S


def upper(texts: list[str]) -> list[ClientTranslation]:
    return [ClientTranslation(text.upper(), 0.0) for text in texts]


def test_texts_and_input_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`input` must be left out where texts are given"):
        JobConfig(texts=("a",), input=tmp_path)


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A terminal: what a person types into, and a program's standard input."""
    typed, read = os.openpty()
    with os.fdopen(read) as stdin:
        yield typed, stdin
    os.close(typed)


def test_a_terminal_is_answered_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    answered = []

    def answer(texts: list[str]) -> list[ClientTranslation]:
        answered.append((texts, capfdbinary.readouterr().out))
        if texts == ["a"]:
            os.write(typed, b"b\n\x04")
        return upper(texts)

    with terminal() as (typed, stdin):
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(typed, b"a\n")
        with open_source(JobConfig()) as source:
            assert source.interactive
            write_translations(JobConfig(), source, answer, batch_size=50, task="")
    assert answered == [(["a"], b""), (["b"], b"A\n")]
    assert capfdbinary.readouterr().out == b"B\n"


@pytest.mark.parametrize(("quiet", "shown"), [(False, "1 lines, 0 a second, 100 %\n"), (True, "")])
def test_quiet_shows_no_progress(
    quiet: bool,
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow(texts: list[str]) -> list[ClientTranslation]:
        now[0] += PLAIN_S
        return upper(texts)

    (tmp_path / "in").write_text("a\n", encoding="utf-8")
    job = JobConfig(input=tmp_path / "in", output=tmp_path / "out", quiet=quiet)
    with open_source(job) as source:
        write_translations(job, source, slow, batch_size=1, task="")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "A\n"
    assert capsys.readouterr().err == shown


def test_an_output_that_is_a_folder_is_refused_before_anything_is_translated(
    tmp_path: Path,
) -> None:
    job = JobConfig(texts=("a",), output=tmp_path)
    source = Source(iter(["a"]), file=None, interactive=False)
    with pytest.raises(OSError, match="must be a file to write, not a folder"):
        write_translations(job, source, lambda _: pytest.fail("called"), batch_size=1, task="")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "one\ncafé\n".encode("latin-1"),
            "line 2, byte 4: expected UTF-8. Received: 0xe9, as of L",
        ),
        ("one\ncafé\n".encode("utf-16"), "line 1, byte 1: expected UTF-8. Received: 0xff, as of U"),
    ],
)
def test_a_file_of_another_encoding_is_refused_before_anything_is_translated(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "in"
    path.write_bytes(content)
    with (
        pytest.raises(ValueError, match=f"{path}, {message}"),
        open_source(JobConfig(input=path)),
    ):
        pytest.fail("opened")


def test_a_text_of_another_encoding_is_refused() -> None:
    texts = ("fine", os.fsdecode(b"caf\xe9"))
    with pytest.raises(ValueError, match="text 2, byte 4"), open_source(JobConfig(texts=texts)):
        pytest.fail("opened")


def test_lines_are_those_that_training_reads(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A byte order mark, carriage returns of Windows, one within a line, a separator of lines."""
    path = tmp_path / "in"
    path.write_bytes(b"\xef\xbb\xbfone\r\nanna\rlikes\r\n" + "a\u2028b\n".encode())
    given = []

    def note(texts: list[str]) -> list[ClientTranslation]:
        given.extend(texts)
        return upper(texts)

    with open_source(JobConfig(input=path)) as source:
        write_translations(JobConfig(input=path), source, note, batch_size=2, task="")
    assert given == ["one", "anna\rlikes", "a\u2028b"]
    assert capfdbinary.readouterr().out == "ONE\nANNA LIKES\nA\u2028B\n".encode()
