"""Files of translations: the lines that were written, whatever is in them."""

from pathlib import Path

import pytest

from training.scoring.hypotheses import read_hypotheses, write_hypotheses


def test_a_carriage_return_within_a_translation_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "system.txt"
    path.write_bytes(b"\xef\xbb\xbfun\r\nAnna\raime\r\n")
    assert read_hypotheses(path, 2) == ["un", "Anna\raime"]
    path.write_bytes("a\u2028b\x0bc\x85d".encode())
    assert read_hypotheses(path, 1) == ["a\u2028b\x0bc\x85d"]
    path.write_bytes(b"\n\n")
    assert read_hypotheses(path, 2) == ["", ""]
    path.write_bytes(b"")
    assert read_hypotheses(path, 0) == []


def test_lines_are_counted_and_their_encoding_checked(tmp_path: Path) -> None:
    path = tmp_path / "system.txt"
    path.write_bytes(b"un\ndeux\n")
    expected = f"`{path}` must be a file of 3 lines, one for each source. Received: 2."
    with pytest.raises(ValueError, match=expected):
        read_hypotheses(path, 3)
    path.write_bytes("un\ndéjà\n".encode("latin-1"))
    with pytest.raises(ValueError, match=f"{path}, line 2, byte 2: expected UTF-8"):
        read_hypotheses(path, 2)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_hypotheses(tmp_path / "system.txt", ["un\r\ndeux", "", "trois\u2028quatre\r"])
    assert read_hypotheses(tmp_path / "system.txt", 3) == ["un deux", "", "trois quatre"]
