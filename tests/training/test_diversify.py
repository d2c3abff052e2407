"""A corpus and its own translations: what is written, in which order, and what is refused."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.files import one_line
from attention_nmt.stored import open_model
from attention_nmt.translation.translator import Translator
from tests.training.corpora import write_folder
from tests.training.runs import ENDING, kept, untrained_run
from training import diversification, diversify, machine_translations, new_corpus
from training.data import Corpus
from training.machine_translations import translations

PAIRS = [
    ("The dog sees.", "Le chien voit."),
    ("The cat", "Le chat"),
    ("The cat", "Le chat"),
    ("", "vide"),
    ("a", "un"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A corpus, a run of it, and that run under the name of the other direction."""
    folder = write_folder(tmp_path_factory.mktemp("corpus"), PAIRS * 12)
    forward, backward = (tmp_path_factory.mktemp("runs") / name for name in ("forward", "backward"))
    untrained_run(forward, folder, vocabulary_size=280, likes_to_end=1.2, search=ENDING)
    shutil.copytree(forward, backward)
    config = json.loads((backward / "config.json").read_text())
    (backward / "config.json").write_text(json.dumps(config | {"source": "fr", "target": "en"}))
    return folder, forward, backward


def test_both_directions(
    runs: tuple[Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, forward, backward = runs
    # These translations are new, known, and empty.
    french = {"The dog sees.": "Un chien.", "The cat": "Le chat", "": "rien", "a": " "}
    english = {"Le chien voit.": "The dog sees.", "Le chat": "A cat", "vide": "empty", "un": "one"}
    made = {forward: french, backward: english}
    monkeypatch.setattr(
        diversification,
        "translations",
        lambda stored, texts, _: (made[stored.path][text] for text in texts),
    )
    second = tmp_path / "second"
    shutil.copytree(backward, second)
    made[second] = english | {"Le chat": "The kitten", "un": "a"}
    arguments = [
        "--forward-runs",
        str(forward),
        "--backward-runs",
        str(backward),
        str(second),
        "--output",
    ]
    assert diversify.main([*arguments, str(tmp_path / "out")]) == 0
    original = list(zip(*Corpus(str(folder), "en", "fr").texts("train"), strict=True))
    written = Corpus(str(tmp_path / "out"), "en", "fr")
    new = [("The dog sees.", "Un chien."), ("A cat", "Le chat"), ("empty", "vide"), ("one", "un")]
    new.append(("The kitten", "Le chat"))
    assert list(zip(*written.texts("train"), strict=True)) == original + new
    assert written.texts("val") == Corpus(str(folder), "en", "fr").texts("val")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{language}.{split}.txt" for language in ("en", "fr") for split in ("train", "val")
    ]
    said = capsys.readouterr().out
    assert said.splitlines() == [
        f"{len(original)} pairs",
        *(
            f"and {new} new ones by {run}"
            for run, new in ((forward, 1), (backward, 3), (second, 1))
        ),
    ]


def test_translations_are_the_runs(
    runs: tuple[Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, forward, _ = runs
    monkeypatch.setattr(machine_translations, "CHUNK", 2)
    texts = ["The dog sees.", "The cat", "a"]
    expected = [kept(one) for one in Translator.from_run(forward)(texts)]
    assert list(translations(open_model(forward), texts, tmp_path)) == expected
    assert capsys.readouterr().out.splitlines() == [f"{forward}: {count} of 3" for count in (2, 3)]
    assert one_line("Un\nchien\r\n!") == "Un chien !"


def test_a_command_that_was_stopped_goes_on(
    runs: tuple[Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, forward, backward = runs
    monkeypatch.setattr(machine_translations, "CHUNK", 25)
    arguments = ["--forward-runs", str(forward), "--backward-runs", str(backward), "--output"]
    assert diversify.main([*arguments, str(tmp_path / "whole")]) == 0

    translated: list[int] = []
    made = machine_translations._translated

    def stopped(translator: Translator, texts: Sequence[str]) -> list[str]:
        if len(translated) == 1:
            raise KeyboardInterrupt
        translated.append(len(texts))
        return made(translator, texts)

    monkeypatch.setattr(machine_translations, "_translated", stopped)
    assert diversify.main([*arguments, str(tmp_path / "out")]) == 130
    assert not (tmp_path / "out").exists()
    assert translated == [25]

    translated.append(0)  # which is not stopped again
    capsys.readouterr()
    assert diversify.main([*arguments, str(tmp_path / "out")]) == 0
    assert translated == [25, 0, 15, 25, 15]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_translations_of_other_weights_are_not_gone_on_with(
    runs: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(runs[1], tmp_path / "run")
    texts = ["The cat", "a"]
    parts = tmp_path / "parts"
    first = list(translations(open_model(run), texts, parts))
    monkeypatch.setattr(
        machine_translations, "_translated", lambda _, texts: ["other"] * len(texts)
    )
    assert list(translations(open_model(run), texts, parts)) == first
    assert list(translations(open_model(run), ["The cat", "b"], parts)) == ["other", "other"]

    with (run / "best.keras").open("ab") as file:
        file.write(b"other weights")
    assert list(translations(open_model(run), texts, parts)) == ["other", "other"]


def test_the_beginning_of_a_text_is_no_translation_of_it(
    runs: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    run = shutil.copytree(runs[1], tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    # Letters are pieces of their own in so small a vocabulary; the end symbol counts.
    config["search"]["maximum_source_length"] = 1 + len(
        Tokenizer.load(run / "tokenizer.model").encode(["a cat"])[0]
    )
    (run / "config.json").write_text(json.dumps(config))
    whole, cut = Translator.from_run(run)(["a cat", "a cat sees"])
    assert whole.truncated is False
    assert cut.truncated is True
    assert list(translations(open_model(run), ["a cat sees", "a cat"], tmp_path)) == [
        "",
        kept(whole),
    ]
    assert kept(whole)


def test_a_failure_leaves_nothing(
    runs: tuple[Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, forward, backward = runs
    arguments = [
        "--forward-runs",
        str(forward),
        "--backward-runs",
        str(backward),
        "--output",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(diversification, "translations", lambda _, texts, __: iter(texts))
    written = []

    @contextlib.contextmanager
    def full(path: Path) -> Iterator[Path]:
        written.append(path.name)
        if len(written) == 4:
            raise OSError("No space left on device")
        yield path

    monkeypatch.setattr(new_corpus, "atomic_write", full)
    assert diversify.main(arguments) == 1
    assert capsys.readouterr().err == "error: No space left on device\n"
    assert list(tmp_path.iterdir()) == []
    assert diversify.main(arguments) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize(
    ("dev", "names"),
    [("train[90%:]", ["train", "validation"]), ("val[:5]", ["train", "val"])],
    ids=["one split", "another split"],
)
def test_slices_are_no_names_of_files(
    dev: str,
    names: list[str],
    runs: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, *copies = runs
    copies = [shutil.copytree(run, tmp_path / run.name) for run in copies]
    for run in copies:
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(
            json.dumps(config | {"train_split": "train[:90%]", "dev_split": dev})
        )
    texts = {"train[:90%]": (["a", "b"], ["un", "be"]), dev: (["c"], ["ce"])}
    monkeypatch.setattr(Corpus, "texts", lambda _, split: texts[split])
    monkeypatch.setattr(diversification, "translations", lambda _, texts, __: iter(texts))
    forward, backward = map(str, copies)
    arguments = [
        "--forward-runs",
        forward,
        "--backward-runs",
        backward,
        "--output",
        str(tmp_path / "out"),
    ]
    assert diversify.main(arguments) == 0
    expected = [f"{language}.{split}.txt" for language in ("en", "fr") for split in names]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == expected
    assert (tmp_path / "out" / f"fr.{names[1]}.txt").read_text() == "ce\n"


def test_what_is_refused(
    runs: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, forward, backward = runs
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    arguments = [
        "--backward-runs",
        str(backward),
        "--output",
        str(tmp_path / "full"),
        "--forward-runs",
        str(forward),
    ]
    assert diversify.main(arguments) == 1
    assert "--output must be an empty folder, or nothing yet" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    arguments[3] = str(tmp_path / "new")
    assert diversify.main([*arguments, str(backward)]) == 1
    assert (
        "--forward-runs must be a run from en to fr. Received: ('fr', 'en')"
        in capsys.readouterr().err
    )
    arguments[1] = str(forward)
    assert diversify.main(arguments) == 1
    assert (
        "--backward-runs must be a run from fr to en. Received: ('en', 'fr')"
        in capsys.readouterr().err
    )
    mixed = shutil.copytree(forward, tmp_path / "mixed")
    config = json.loads((mixed / "config.json").read_text())
    (mixed / "config.json").write_text(json.dumps(config | {"dataset": "one,other=2"}))
    arguments[-1] = str(mixed)
    assert diversify.main(arguments) == 1
    message = "--forward-runs must be runs of one corpus, not of several. Received: 'one,other=2'"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="`backward_runs` must be at least one run folder"):
        diversify.DiversifyConfig(forward_runs=(forward,), backward_runs=(), output=tmp_path)
