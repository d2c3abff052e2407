"""Systems compared by the length of the source, from files of translations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sacrebleu
from matplotlib.image import imread

from training.studies import by_length

SOURCES = {"test": ["a b c", "a b", "a b c d e f"], "long": ["x " * 12]}
REFERENCES = {
    "test": ["one two three four five", "six seven eight nine", "ten eleven twelve x y"],
    "long": ["z " * 12],
}


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """The command for two systems, one that is right and one that is right where sentences are
    short."""
    for split, texts in SOURCES.items():
        for language, lines in (("en", texts), ("fr", REFERENCES[split])):
            (tmp_path / f"{language}.{split}.txt").write_text(
                "".join(f"{line.strip()}\n" for line in lines)
            )
        for name in ("right", "short"):
            (tmp_path / name / split).mkdir(parents=True)
            wrong = {
                "test": [*REFERENCES["test"][:2], "ten eleven twelve x q"],
                "long": ["z " * 6 + "y " * 6],
            }
            lines = REFERENCES[split] if name == "right" else wrong[split]
            text = "".join(f"{line.strip()}\n" for line in lines)
            (tmp_path / name / split / "hypotheses.txt").write_text(text)
    systems = [f"{name}={tmp_path / name}" for name in ("right", "short")]
    output = [
        "--output",
        str(tmp_path / "out" / "lengths"),
        "--splits",
        "test",
        "long",
        "--edges",
        "3",
        "10",
    ]
    return ["--dataset", str(tmp_path), "--systems", *systems, *output]


def test_a_table_and_a_plot(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert by_length.main(arguments) == 0
    written = json.loads((tmp_path / "out/lengths.json").read_text())
    found = written["systems"]
    partly = sacrebleu.corpus_bleu(["ten eleven twelve x q"], [[REFERENCES["test"][2]]]).score
    assert [b["bleu"] for b in found["short"]["buckets"]][:2] == [
        pytest.approx(100),
        pytest.approx(partly),
    ]
    assert found["right"]["splits"] == {"test": pytest.approx(100), "long": pytest.approx(100)}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| BLEU, cased | test | long | 1-3 (2) | 4-10 (1) | 11+ (1) |"
    assert lines[-1] == written["signature"]
    assert "tok:13a" in lines[-1]
    assert lines[2] == "| right | 100.00 | 100.00 | 100.00 | 100.00 | 100.00 |"
    (axis,) = by_length.figure(found).axes
    assert [line.get_label() for line in axis.get_lines()] == ["right", "short"]
    assert axis.get_lines()[1].get_ydata() == pytest.approx(
        [b["bleu"] for b in found["short"]["buckets"]]
    )
    assert imread(tmp_path / "out/lengths.png").shape[:2] == (450, 700)


def test_what_cannot_be_compared(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "short/test/hypotheses.txt").write_text("one\n")
    assert by_length.main(arguments) == 1
    assert "hypotheses.txt` must be a file of 3 lines" in capsys.readouterr().err
    (tmp_path / "short/test/hypotheses.txt").unlink()
    assert by_length.main(arguments) == 1
    assert "No such file" in capsys.readouterr().err
    for systems, message in (
        (["nameless"], "NAME=FOLDER, one or more"),
        (["a=b", "a=c"], "of different names"),
    ):
        assert by_length.main([*arguments, "--systems", *systems]) == 1
        assert f"--systems must be {message}" in capsys.readouterr().err
    assert by_length.main([*arguments, "--splits", "test", "test"]) == 1
    assert "--splits must be at least one, and each once" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
