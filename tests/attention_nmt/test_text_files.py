"""Text files: what ends a line, what is no part of it, and what is no UTF-8."""

import io
from pathlib import Path

import pytest

from attention_nmt.text_files import (
    count_lines,
    decode,
    iterate_lines,
    raw_lines,
    read_lines,
)

LINES = [
    (b"", []),
    (b"\n", [""]),
    (b"a", ["a"]),
    (b"a\nb\n", ["a", "b"]),
    (b"a\r\nb\r\n", ["a", "b"]),
    (b"a\nb\r", ["a", "b"]),
    (b"Anna\rlikes\r\r\n\r\n", ["Anna\rlikes\r", ""]),
    (
        "a\u2028b\u2029c\u0085d\u000be\u000cf\x1cg\n".encode(),
        ["a\u2028b\u2029c\u0085d\u000be\u000cf\x1cg"],
    ),
    (b"\xef\xbb\xbfa\nb\n", ["a", "b"]),
    (b"\xef\xbb\xbf\n", [""]),
    (b"\xef\xbb\xbf", []),
    (b"a\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
    (b"\xef\xbb\xbf\xef\xbb\xbfa\n", ["\ufeffa"]),
]


@pytest.mark.parametrize(("content", "lines"), LINES)
def test_only_a_line_feed_ends_a_line(content: bytes, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    assert read_lines(path) == lines
    assert count_lines(path) == len(lines)
    assert [line.decode() for line in raw_lines(io.BytesIO(content))] == lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ok\ncaf\xe9\n", "text, line 2, byte 4: expected UTF-8. Received: 0xe9, as of Latin-1"),
        ("Grüße\n".encode("utf-16"), "text, line 1, byte 1: .* 0xff, as of UTF-16"),
        ("Gruss\n".encode("utf-16-le"), "text, line 1, byte 2: .* 0x00, as of UTF-16"),
        ("Gruss\n".encode("utf-16-be"), "text, line 1, byte 1: .* 0x00, as of UTF-16"),
        ("犬\n".encode("shift-jis"), "text, line 1, byte 1: "),
        (b"\xef\xbb\xbfcaf\xe9\n", "text, line 1, byte 7: "),
        (b"ok\nok\ncut \xe2\x82", "text, line 3, byte 5: "),
        (b"\xed\xa0\x80\n", "text, line 1, byte 1: "),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_with_line_and_byte(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_lines(path)
    with pytest.raises(ValueError, match=message):
        count_lines(path)


def test_lines_before_the_wrong_one_are_given() -> None:
    lines = iterate_lines(io.BytesIO(b"a\nb\n\xff\n"), "standard input")
    assert [next(lines), next(lines)] == ["a", "b"]
    with pytest.raises(ValueError, match="standard input, line 3, byte 1"):
        next(lines)


def test_a_text_that_is_no_line() -> None:
    assert decode("für".encode(), "text 2") == "für"
    with pytest.raises(ValueError, match="text 2, byte 2: expected UTF-8"):
        decode(b"f\xfcr", "text 2")
