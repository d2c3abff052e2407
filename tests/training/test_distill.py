"""A teacher's translations as a corpus: what is written, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator
from tests.training.corpora import write_folder
from tests.training.runs import ENDING, kept, untrained_run
from training import distill, distillation, machine_translations
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
    untrained_run(run, folder, vocabulary_size=280, likes_to_end=1.0, search=ENDING)
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
        source: kept(one)
        for source, one in zip(sources, translated, strict=True)
        if kept(one).strip()
    }
    assert dict(zip(*written.texts("train"), strict=True)) == expected
    assert len(expected) < len(sources)  # one went on and on
    assert len(expected) == len(written.texts("train")[0]) > 1
    assert written.texts("val") == corpus.texts("val")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    lines = capsys.readouterr().out.splitlines()
    distinct = len(set(original))
    assert lines[0] == f"{len(original)} pairs and 0 texts, {distinct} sources"
    assert lines[1] == f"{run}: {distinct} of {distinct}"
    assert lines[2] == f"{len(expected)} translations that are whole and not empty"


def test_other_corpora(
    teacher: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several are read, and texts behind them; blank translations are left out."""
    first = write_folder(tmp_path / "first", [("one", "un"), ("two", "deux"), ("x", "y")] * 12)
    second = write_folder(tmp_path / "second", [("three", "trois"), ("one", "une")] * 18)
    made = {"one": "uno", "two": " ", "x": "ypsilon", "three": "tre", "four": "quattro"}
    texts = tmp_path / "texts"
    texts.write_text("three\nfour\n")
    monkeypatch.setattr(
        distillation, "translations", lambda _, texts, *__: (made[text] for text in texts)
    )
    output = tmp_path / "out"
    arguments = ["--model", str(teacher[1]), "--dataset", f"{first},{second}=2"]
    arguments += ["--more-sources", str(texts)]
    assert distill.main([*arguments, "--output", str(output)]) == 0
    written = Corpus(str(output), "en", "fr")
    pairs = list(zip(*written.texts("train"), strict=True))
    assert pairs == [("one", "uno"), ("x", "ypsilon"), ("three", "tre"), ("four", "quattro")]
    assert written.texts("val") == Corpus(str(first), "en", "fr").texts("val")


def test_another_direction_than_the_teachers(
    teacher: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", str(teacher[1]), "--source", "fr", "--target", "en"]
    assert distill.main([*arguments, "--output", str(tmp_path / "out")]) == 1
    assert "of the run's direction, from 'en' to 'fr'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_search_of_ones_own_and_a_command_that_was_stopped(
    teacher: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = teacher
    monkeypatch.setattr(machine_translations, "CHUNK", 2)
    arguments = ["--model", str(run), "--beam-size", "1", "--output"]
    assert distill.main([*arguments, str(tmp_path / "whole")]) == 0
    sources, targets = Corpus(str(tmp_path / "whole"), "en", "fr").texts("train")
    greedy = Translator.from_run(run, RunFolder(run).read_search(beam_size=1))
    assert targets == [kept(one) for one in greedy(sources)]

    made = machine_translations._translated
    beams: list[int] = []

    def stopped(translator: Translator, texts: Sequence[str]) -> list[str]:
        if len(beams) == 1:
            raise KeyboardInterrupt
        beams.append(translator.search.beam_size)
        return made(translator, texts)

    monkeypatch.setattr(machine_translations, "_translated", stopped)
    assert distill.main([*arguments, str(tmp_path / "out")]) == 130
    beams.append(0)  # which is not stopped again
    assert distill.main([*arguments, str(tmp_path / "out")]) == 0
    assert beams == [1, 0, 1]
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_translations_that_are_left_out() -> None:
    """A training would refuse the whole corpus for a NUL."""
    written = {
        "whole": ("deux\ntrois", ["deux", "</s>"], False),
        "a NUL": ("un\0", ["un", "</s>"], False),
        "a part": ("un", ["un", "</s>"], True),
        "on and on": ("un un", ["un", "un"], False),
    }

    class Written:
        target_tokenizer = Tokenizer.train(["un deux"] * 20, 266)

        def __call__(self, texts: Sequence[str], alignments: bool) -> list[SimpleNamespace]:
            assert not alignments
            names = ("text", "target_tokens", "truncated")
            return [SimpleNamespace(**dict(zip(names, written[t], strict=True))) for t in texts]

    found = machine_translations._translated(cast(Translator, Written()), list(written))
    assert found == ["deux trois", "", "", ""]


def test_a_teacher_that_writes_nothing(
    teacher: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distillation, "translations", lambda _, texts, *__: [""] * len(texts))
    arguments = ["--model", str(teacher[1]), "--output", str(tmp_path / "out")]
    assert distill.main(arguments) == 1
    assert "--model must be one that translates these texts" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something(
    teacher: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert distill.main(["--model", str(teacher[1]), "--output", str(tmp_path)]) == 1
    assert "--output must be an empty folder, or nothing yet" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
