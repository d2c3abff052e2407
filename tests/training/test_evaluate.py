"""Evaluation from the command line: scores, files, pictures and the alignment error rate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sacrebleu

from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training import evaluate, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus and a run folder that was trained on it for a moment."""
    folder = write_folder(tmp_path_factory.mktemp("corpus"))
    run = tmp_path_factory.mktemp("runs") / "run"
    schedule = ["--steps=8", "--warmup-steps=2", "--evaluate-steps=8"]
    assert train.main(["--dataset", str(folder), "--run-dir", str(run), *TINY_MODEL, *schedule]) == 0
    return folder, run


def test_a_run(trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, run = trained
    assert evaluate.main(["--run-dir", str(run), "--split", "test", "--pictures", "2"]) == 0
    said = capsys.readouterr().out
    output = run / "evaluation" / "test"
    assert sorted(p.name for p in output.iterdir()) == [
        "alignment-1.png",
        "alignment-2.png",
        "hypotheses.txt",
        "scores.json",
    ]
    report = json.loads((output / "scores.json").read_text())
    hypotheses = (output / "hypotheses.txt").read_text().splitlines()
    expected = sacrebleu.corpus_bleu(hypotheses, [[target for _, target in PAIRS[-10:]]]).score
    assert report["scores"][0]["value"] == pytest.approx(expected)
    assert "tok:13a" in report["scores"][0]["signature"]
    assert report["sentences"] == 10
    assert report["sentences_per_s"] > 0
    assert said.count("version:") == 6


def test_pairs_that_cannot_be_aligned_are_counted(trained: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = trained
    for language, texts in (("en", "½ dog\n\nThe dog\n"), ("fr", "½ chien\nle\nLe chien\n")):
        (folder / f"{language}.gold.txt").write_text(texts)
    (folder / "align.gold.txt").write_text("0-0 1-1\n\n0-0 1?1\n")
    assert evaluate.main(["--run-dir", str(run), "--split", "gold", "--output", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["AER pairs left out"] == 1  # the blank source; what the tokenizer normalizes is aligned
    # Along the diagonal: four links, three of them sure, all possible, of three sure ones: 1 - (3 + 4) / (4 + 3).
    assert report["diagonal AER"] == pytest.approx(0)


def test_hypotheses_of_another_system(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = trained
    hypotheses = tmp_path / "system.txt"
    hypotheses.write_text("".join(target + "\n" for _, target in PAIRS[-10:]))
    languages = ["--source", "en", "--target", "fr"]
    arguments = ["--hypotheses", str(hypotheses), "--dataset", str(folder), *languages]
    assert evaluate.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["scores"][0]["value"] == pytest.approx(100)
    hypotheses.write_text("one\n")
    assert evaluate.main(arguments) == 1
    assert "must be a file of 10 lines, one for each source. Received: 1." in capsys.readouterr().err


def test_nothing_to_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        evaluate.main([])
    assert raised.value.code == 2
    assert "must be given" in capsys.readouterr().err
