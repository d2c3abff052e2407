"""`serving.translate`: texts, files and standard input, translated without a server."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import pytest

from attention_nmt.config import SamplingChanges, SearchConfig
from attention_nmt.run_folder import RunFolder
from attention_nmt.stored import StoredModel, bundled
from attention_nmt.translation.translator import Translator
from serving import translate
from serving.job import JobConfig
from serving.lines import resumed
from serving.translate import TranslateConfig, main
from tests.serving.exported import TEXTS

SOURCES = TEXTS[:3]


@pytest.fixture(scope="module")
def expected(translator: Translator) -> list[str]:
    return [translation.text for translation in translator(SOURCES)]


@pytest.fixture(autouse=True)
def _loaded_once(
    translator: Translator, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Commands with the run's own search share a translator, whose graph is traced once."""
    load = Translator.from_stored

    def from_stored(stored: StoredModel, search: SearchConfig, batch_size: int = 64) -> Translator:
        if (search, batch_size) == (translator.search, translator.batch_size):
            return translator
        return load(stored, search, batch_size)

    if request.node.name != "test_a_missing_run_folder_is_one_line":
        monkeypatch.setattr(Translator, "from_stored", from_stored)
        monkeypatch.setattr(translator, "frozen", lambda: translator)


def test_texts(run_dir: Path, expected: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--run-dir", str(run_dir), SOURCES[0], "", *SOURCES[1:]]) == 0
    captured = capfd.readouterr()
    assert captured.out.split("\n") == [expected[0], "", *expected[1:], ""]
    assert captured.err == ""


def test_standard_input(
    run_dir: Path,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    lines = f"{SOURCES[0]}\r\n\n{SOURCES[1]}\n \t\n{SOURCES[2]}"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    assert main(["--run-dir", str(run_dir)]) == 0
    assert capfd.readouterr().out.split("\n") == [expected[0], "", expected[1], "", expected[2], ""]


def test_a_file(
    run_dir: Path, expected: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("\n".join([*SOURCES, "", *SOURCES]) + "\n", encoding="utf-8")
    flags = ["--input", str(source), "--output", str(target), "--quiet"]
    assert main(["--run-dir", str(run_dir), *flags]) == 0
    assert target.read_text(encoding="utf-8").split("\n") == [*expected, "", *expected, ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]
    assert capfd.readouterr() == ("", "")


def test_documents(
    run_dir: Path, translator: Translator, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run-dir", str(run_dir), "--document", f"{SOURCES[0]}  {SOURCES[1]}"]) == 0
    first, second = (translation.text.strip() for translation in translator(SOURCES[:2]))
    assert capfd.readouterr().out == f"{first}  {second}".strip() + "\n"


def test_a_run_that_was_stopped_is_gone_on_with(
    run_dir: Path, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the line behind the last whole one, with the same weights and search only."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("\n".join(SOURCES) + "\n", encoding="utf-8")
    tasks = []
    write = translate.write_translations

    def noted(*arguments: object, batch_size: int, task: str) -> None:
        tasks.append(task)
        write(*arguments, batch_size=batch_size, task=task)  # type: ignore[arg-type]

    monkeypatch.setattr(translate, "write_translations", noted)
    config = TranslateConfig(run_dir=run_dir, job=JobConfig(input=source, output=target))
    translate.run(config)
    assert target.read_text(encoding="utf-8").split("\n") == [*expected, ""]

    with contextlib.suppress(ConnectionError), resumed(target, tasks[0], source) as output:
        output.file.write(b"schon da\nhalb")
        raise ConnectionError
    translate.run(config)
    assert target.read_text(encoding="utf-8").split("\n") == ["schon da", *expected[1:], ""]

    greedy = TranslateConfig(
        run_dir=run_dir, job=config.job, search=SamplingChanges(maximum_length_ratio=0.5)
    )
    translate.run(greedy)
    assert tasks[0] == tasks[1] != tasks[2]


def test_flags_of_the_search(run_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flags = ["--beam-size", "1", "--maximum-length-ratio", "0.5"]
    assert main(["--run-dir", str(run_dir), *flags, SOURCES[0]]) == 0
    search = RunFolder(run_dir).read_search(beam_size=1, maximum_length_ratio=0.5)
    (expected,) = Translator.from_run(run_dir, search)(SOURCES[:1])
    assert capfd.readouterr().out == expected.text.strip() + "\n"


def test_samples(run_dir: Path, expected: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Of one hypothesis each, by the seed that is given."""
    drawn = []
    for seed in (3, 4):
        flags = ["--temperature", "0.8", "--sampling-seed", str(seed)]
        assert main(["--run-dir", str(run_dir), *flags, *SOURCES]) == 0
        drawn.append(capfd.readouterr().out.splitlines())

    search = RunFolder(run_dir).read_search(beam_size=1, temperature=0.8, sampling_seed=3)
    samples = Translator.from_run(run_dir, search)(SOURCES)
    assert drawn[0] == [one.text.strip() for one in samples]
    assert drawn[0] != drawn[1]
    assert expected not in drawn

    assert main(["--run-dir", str(run_dir), "--temperature", "0.0001", "a"]) == 1
    assert "--temperature must be 0 or at least 0.001" in capfd.readouterr().err


def test_a_missing_run_folder_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "no-run"
    assert main(["--run-dir", str(missing), "a"]) == 1
    expected = f"a folder, a name on a hub or a bundled model ({', '.join(bundled())})"
    message = f"error: --model must be {expected}. Received: {str(missing)!r}.\n"
    assert capfd.readouterr() == ("", message)


def test_an_input_that_is_not_there_is_one_line(
    run_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run-dir", str(run_dir), "--input", str(tmp_path / "no-file")]) == 1
    captured = capfd.readouterr()
    assert captured.err.count("\n") == 1
    assert "no-file" in captured.err
