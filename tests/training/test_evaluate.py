"""Evaluation from the command line: scores, files, pictures and the alignment error rate."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from matplotlib.image import imread

from attention_nmt import backend
from attention_nmt.config import SearchChanges, SearchConfig
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator
from tests.training.corpora import PAIRS, write_folder
from tests.training.runs import SEARCH, untrained_run
from training import evaluate, evaluation, model_texts
from training.data import Corpus
from training.studies import search_study


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus, with three pairs that have gold links, and a run folder of it."""
    folder = write_folder(tmp_path_factory.mktemp("corpus"))
    (folder / "en.gold.txt").write_text("½ dog\n\nThe dog\n")
    (folder / "fr.gold.txt").write_text("½ chien\nle\nLe chien\n")
    (folder / "align.gold.txt").write_text("0-0 1-1\n\n0-0 1?1\n")
    return folder, untrained_run(tmp_path_factory.mktemp("runs") / "run", folder)


def test_a_run(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, run = runs
    assert evaluate.main(["--run-dir", str(run), "--split", "test", "--pictures", "2", "9"]) == 0
    said = capsys.readouterr().out
    output = run / "evaluation" / "test"
    assert sorted(p.name for p in output.iterdir()) == [
        "alignment-2.png",
        "alignment-9.png",
        "alignments.html",
        "hypotheses.txt",
        "scores.json",
    ]
    report = json.loads((output / "scores.json").read_text())
    hypotheses = (output / "hypotheses.txt").read_text().splitlines()
    expected = sacrebleu.corpus_bleu(hypotheses, [[target for _, target in PAIRS[-10:]]]).score
    assert report["scores"][0]["value"] == pytest.approx(expected)
    assert "tok:13a" in report["scores"][0]["signature"]
    assert (report["sentences"], report["sentences cut"]) == (10, 0)
    assert report["sentences_per_s"] > 0
    assert said.count("version:") == 7
    assert f"{report['habits']['source_words']:.2f} source words hold 90 %" in said
    assert f'"reference": "{PAIRS[-10][1]}"' in (output / "alignments.html").read_text()
    assert evaluate.main(["--run-dir", str(run), "--split", "test", "--pictures", "2", "11"]) == 1
    assert "--pictures must be lines from 1 to 10. Received: (2, 11)" in capsys.readouterr().err


def test_pairs_that_cannot_be_aligned_are_counted(runs: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = runs
    assert evaluate.main(["--run-dir", str(run), "--split", "gold", "--output", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "scores.json").read_text())
    assert (
        report["AER pairs left out"] == 1
    )  # the blank source; what the tokenizer normalizes is aligned
    # Along the diagonal: four links, three of them sure, all possible, of three sure ones: 1 - (3
    # + 4) / (4 + 3).
    assert report["diagonal AER"] == pytest.approx(0)
    assert "AER later" in report
    assert "AER of both" not in report


def test_both_directions_of_gold_links(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other direction's run is this one under another name: its links are those of the texts
    turned round."""
    _, run = runs
    shutil.copytree(run, tmp_path / "reverse")
    arguments = [
        "--run-dir",
        str(run),
        "--split",
        "gold",
        "--output",
        str(tmp_path / "out"),
        "--reverse-run",
    ]
    assert evaluate.main([*arguments, str(tmp_path / "reverse")]) == 1
    assert (
        "--reverse-run must be a run from fr to en. Received: ('en', 'fr')"
        in capsys.readouterr().err
    )
    config = json.loads((tmp_path / "reverse" / "config.json").read_text())
    (tmp_path / "reverse" / "config.json").write_text(
        json.dumps(config | {"source": "fr", "target": "en"})
    )
    assert evaluate.main([*arguments, str(tmp_path / "reverse")]) == 0
    report = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {
        f"AER{of}{end}"
        for of in ("", " of the other direction", " of both")
        for end in ("", " later")
    } < set(report)
    assert evaluate.main([*arguments, str(tmp_path / "reverse"), "--split", "test"]) == 1
    assert "--split must be one with gold links" in capsys.readouterr().err


def test_a_target_that_writes_no_spaces(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Pieces on the page, no habits of words, no tokens of Moses."""
    _, run = runs
    for language, text in (("en", "a dog\na cat\n"), ("zh", "一只狗\n一只猫\n")):
        (tmp_path / f"{language}.test.txt").write_text(text)
    arguments = [
        "--run-dir",
        str(run),
        "--dataset",
        str(tmp_path),
        "--target",
        "zh",
        "--output",
        str(tmp_path / "out"),
    ]
    assert evaluate.main(arguments) == 0
    report = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert len(report["scores"]) == 6
    assert "habits" not in report
    assert '"</s>"' in (tmp_path / "out" / "alignments.html").read_text().replace("\\u003c", "<")


def test_hypotheses_of_another_system(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = runs
    hypotheses = tmp_path / "system.txt"
    hypotheses.write_text("".join(target + "\n" for _, target in PAIRS[-10:]))
    languages = ["--source", "en", "--target", "fr"]
    arguments = ["--hypotheses", str(hypotheses), "--dataset", str(folder), *languages]
    assert evaluate.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["scores"][0][
        "value"
    ] == pytest.approx(100)
    hypotheses.write_text("one\n")
    assert evaluate.main(arguments) == 1
    assert (
        "must be a file of 10 lines, one for each source. Received: 1." in capsys.readouterr().err
    )
    hypotheses.write_bytes(b"caf\xe9\n")
    assert evaluate.main(arguments) == 1
    assert "system.txt, line 1, byte 4: expected UTF-8" in capsys.readouterr().err
    for flags in (["--beam-size", "3"], ["--pictures", "1"], ["--reverse-run", "other"]):
        assert evaluate.main([*arguments, *flags]) == 1
        message = f"error: {flags[0]} must be left out with hypotheses"
        assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(
    ("languages", "flag"),
    [
        (["--source", "fr", "--target", "en"], "--source"),
        (["--source", "FR"], "--source"),
        (["--target", "en-GB"], "--target"),
    ],
)
def test_a_run_is_not_evaluated_in_the_other_direction(
    languages: list[str], flag: str, runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = runs
    assert evaluate.main(["--run-dir", str(run), *languages]) == 1
    expected = f"error: {flag} must be of the run's direction, from 'en' to 'fr'. Received: ("
    assert capsys.readouterr().err.startswith(expected)


def test_tokenized_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """BLEU of the tokens as they are stands behind the others."""
    (tmp_path / "en.test.txt").write_text("a\nb\n")
    (tmp_path / "fr.test.txt").write_text("un chien &apos; noir .\nle chat dort ici .\n")
    arguments = ["--dataset", str(tmp_path), "--source", "en", "--target", "fr"]
    arguments += ["--hypotheses", str(tmp_path / "fr.test.txt"), "--output", str(tmp_path / "out")]
    assert evaluate.main(arguments) == 0
    assert "BLEU of the given tokens 100.00" in capsys.readouterr().out
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert scores[-1]["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:none|")

    (tmp_path / "fr.test.txt").write_text("un chien noir.\nle chat dort ici.\n")
    assert evaluate.main(arguments) == 0
    assert "given tokens" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("run", "corpus", "refused", "said"),
    [
        ("en fr", "en fr", False, ""),
        ("en fr", "en-GB fr_CA", False, ""),
        ("en-GB en-US", "en-gb en-us", False, ""),
        ("en-GB en-US", "en-US en-GB", True, ""),
        ("en fr", "fr fr", True, ""),
        ("en fr", "eng fra", False, "from en to fr, not from eng to fra"),
    ],
)
def test_directions_by_their_codes(
    run: str, corpus: str, refused: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    of_run, of_corpus = (Corpus("corpus", *codes.split()) for codes in (run, corpus))
    with pytest.raises(ValueError, match="direction") if refused else contextlib.nullcontext():
        model_texts._check_direction(of_run, of_corpus)
    expected = f"warning: the run translates {said}\n" if said else ""
    assert capsys.readouterr().err == expected


def test_another_backend_is_one_line_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backend, "name", lambda: "jax")
    assert evaluate.main(["--run-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: `KERAS_BACKEND` must be 'tensorflow' for evaluate")
    assert said.count("\n") == 1


def test_tokenized_references_are_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """sacreBLEU's own warning came three times and named no file."""
    texts = "un chien .\n" * 120
    for name in ("en.test.txt", "fr.test.txt", "system.txt"):
        (tmp_path / name).write_text(texts if name != "en.test.txt" else "a dog .\n" * 120)
    languages = ["--source", "en", "--target", "fr"]
    arguments = ["--dataset", str(tmp_path), *languages, "--hypotheses"]
    assert evaluate.main([*arguments, str(tmp_path / "system.txt")]) == 0
    warning = "120 of 120 lines end in ' .', as tokenized text does: BLEU is for detokenized text"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {tmp_path / name}: {warning}" for name in ("fr.test.txt", "system.txt")
    ]
    assert not caplog.records


def test_a_byte_order_mark_costs_no_points(tmp_path: Path) -> None:
    """BLEU was 99.68 for 100."""
    references = b"le chien voit un chat\nAnna\raime le chat\n"
    (tmp_path / "en.test.txt").write_bytes(b"\xef\xbb\xbfthe dog\r\nAnna\r\n")
    (tmp_path / "fr.test.txt").write_bytes(references)
    (tmp_path / "system.txt").write_bytes(b"\xef\xbb\xbf" + references.replace(b"\n", b"\r\n"))
    config = evaluate.EvaluateConfig(
        dataset=str(tmp_path), source="en", target="fr", hypotheses=tmp_path / "system.txt"
    )
    scores = evaluation.evaluate(config)["scores"]
    assert scores[0]["name"] == "BLEU"
    assert scores[0]["value"] == pytest.approx(100)


@pytest.mark.long
def test_the_study_of_searches(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every search once, though the run's length penalty is 1 and no coverage penalty is one of 0,
    too."""
    _, run = runs
    output = tmp_path / "docs" / "study"
    arguments = [
        "--run-dir",
        str(run),
        "--output",
        str(output),
        "--beam-sizes",
        "3",
        "--sentences",
        "9",
    ]
    assert (
        search_study.main(
            [*arguments, "--length-penalties", "0", "1", "--coverage-penalties", "0", "0.3"]
        )
        == 0
    )
    found = json.loads(output.with_suffix(".json").read_text())
    points = found["points"]
    assert (found["split"], found["sentences"]) == ("val", 9)
    assert "tok:13a" in found["signature"]
    assert [tuple(p.values())[:3] for p in points] == [(3, 0, 0), (3, 1, 0), (3, 1, 0.3)]
    assert all(p["words"] > 0 and p["sentences_per_s"] > 0 for p in points)
    search = replace(SEARCH, beam_size=3, length_penalty=1, coverage_penalty=0.3)
    sources, references = zip(*PAIRS[-20:-11], strict=True)
    texts = [t.text for t in Translator.from_run(run, search)(sources)]
    assert points[-1]["bleu"] == pytest.approx(sacrebleu.corpus_bleu(texts, [references]).score)
    axes = search_study.figure([search_study.Point(**p) for p in points]).axes
    labels = [[line.get_label() for line in axis.get_lines()] for axis in axes]
    assert labels == [["0", "1"], ["0", "0.3"]]
    assert axes[1].get_lines()[1].get_ydata() == pytest.approx([p["bleu"] for p in points[2:]])
    assert imread(output.with_suffix(".png")).shape[:2] == (420, 900)
    assert search_study.main([*arguments, "--beam-sizes", "0"]) == 1
    assert "`beam_size` must be at least 1" in capsys.readouterr().err


def test_searches_with_a_model_that_does_not_align(tmp_path: Path) -> None:
    """Nothing is covered or drawn at random, and the best translation alone is asked for."""
    search = SearchConfig(beam_size=8, n_best=5, temperature=0.7, lookahead=4)
    study = search_study.StudyConfig(run_dir=tmp_path, output=tmp_path, beam_sizes=(1, 2))
    expected = [
        SearchConfig(beam_size=beam, length_penalty=penalty, lookahead=4)
        for beam in (1, 2)
        for penalty in (0.0, 0.5, 1.0, 1.5, 2.0)
    ]
    assert search_study.searches(study, search, aligns=False) == expected


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "run/evaluation/test"),
        ({"split": "val", "dataset": "data/own/"}, "run/evaluation/val-data-own"),
        (
            {"target": "zh", "search": SearchChanges(beam_size=1, maximum_length_ratio=1.5)},
            "run/evaluation/test-to-zh-beam-1-ratio-1.5",
        ),
        ({"output": Path("out")}, "out"),
    ],
    ids=["nothing", "data", "search", "output"],
)
def test_the_folder_says_what_is_given(given: dict[str, Any], name: str) -> None:
    config = evaluate.EvaluateConfig(run_dir=Path("run"), **given)
    assert config.folder(RunFolder(Path("run"))) == Path(name)


def test_nothing_to_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([]) == 1
    assert capsys.readouterr().err.startswith("error: --model must be given, or else")
