"""A teacher's translations as a corpus: what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from attention_nmt.files import one_line
from attention_nmt.translation.translator import Translator
from tests.training.corpora import write_folder
from tests.training.runs import untrained_run
from training import distill, distillation
from training.data import Corpus

PAIRS = [
    ("The dog sees.", "Le chien voit."),
    ("The cat", "Le chat"),
    ("The cat", "Un chat"),
    ("", "vide"),
    ("a", "un"),
]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus, and a run of it."""
    folder = write_folder(tmp_path_factory.mktemp("corpus"), PAIRS * 12)
    run = tmp_path_factory.mktemp("runs") / "teacher"
    untrained_run(run, folder, vocabulary_size=280)
    return folder, run


def test_a_source_stands_once_with_the_teachers_translation(
    teacher: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = teacher
    output = tmp_path / "out"
    assert distill.main(["--model", str(run), "--output", str(output)]) == 0

    corpus = Corpus(str(folder), "en", "fr")
    original = corpus.texts("train")[0]
    sources = [source for source in dict.fromkeys(original) if source]
    translated = Translator.from_run(run)(sources)
    written = Corpus(str(output), "en", "fr")
    expected = {
        source: one_line(one.text)
        for source, one in zip(sources, translated, strict=True)
        if one.text.strip() and not one.truncated
    }
    assert dict(zip(*written.texts("train"), strict=True)) == expected
    assert len(expected) == len(written.texts("train")[0]) > 1
    assert written.texts("val") == corpus.texts("val")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    lines = capsys.readouterr().out.splitlines()
    distinct = len(set(original))
    assert lines[0] == f"{len(original)} pairs of {distinct} sources"
    assert lines[1] == f"{run}: {distinct} of {distinct}"
    assert lines[2] == f"{len(expected)} translations that are whole and not empty"


def test_another_corpus_and_another_direction_of_it(
    teacher: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is given comes before what the teacher knows; blank translations are left out."""
    other = write_folder(tmp_path / "other", [("un", "one"), ("deux", "two"), ("x", "y")] * 12)
    made = {"one": "uno", "two": " ", "y": "ypsilon"}
    monkeypatch.setattr(
        distillation, "translations", lambda _, texts, __: (made[text] for text in texts)
    )
    arguments = ["--model", str(teacher[1]), "--dataset", str(other), "--source", "fr"]
    output = tmp_path / "out"
    assert distill.main([*arguments, "--target", "en", "--output", str(output)]) == 0
    pairs = list(zip(*Corpus(str(output), "fr", "en").texts("train"), strict=True))
    assert pairs == [("one", "uno"), ("y", "ypsilon")]


def test_a_folder_that_holds_something(
    teacher: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert distill.main(["--model", str(teacher[1]), "--output", str(tmp_path)]) == 1
    assert "--output must be an empty folder, or nothing yet" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
