"""Trainings that begin with a trained model, or go further than they were to."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator
from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training.folder import read_config, read_step
from training.train import main

SCHEDULE = ["--warmup-steps=2", "--evaluate-steps=6", "--checkpoint-steps=6", "--no-jit-compile"]
FINE_TUNED = [*SCHEDULE, "--steps=6", "--batch-size=16", "--buckets=2", "--dev-sentences=8"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts with words that the first ones do not have."""
    pairs = [
        (source.replace("dog", "ostrich"), target.replace("chien", "zébu"))
        for source, target in PAIRS
    ]
    return write_folder(tmp_path_factory.mktemp("other"), pairs)


@pytest.fixture(scope="module")
def initial(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    path = tmp_path_factory.mktemp("runs") / "initial"
    steps = ["--steps=12", "--learning-rate=1e-2"]
    arguments = ["--dataset", str(corpus), "--run-dir", str(path), *TINY_MODEL, *SCHEDULE, *steps]
    assert main(arguments) == 0
    return path


def fine_tune(initial: Path | str, dataset: Path, run: Path, *arguments: str) -> int:
    given = ["--initial", str(initial), "--dataset", str(dataset), "--run-dir", str(run)]
    return main([*given, *FINE_TUNED, *arguments])


def weights(run: Path) -> dict[str, list[np.ndarray]]:
    """Those after the last step, by the parts of the model."""
    model = RunFolder(run).load_model()
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, one, other))


def test_a_training_goes_on_from_a_model_with_frozen_parts(
    initial: Path, other: Path, tmp_path: Path, capsys: Any
) -> None:
    """From a folder to share, whose model decides sizes, search and languages."""
    run = tmp_path / "run"
    shared = tmp_path / "shared"
    Translator.from_stored(RunFolder(initial)).save(shared)
    assert fine_tune(shared, other, run, "--freeze", "encoder", "--learning-rate=1e-2") == 0

    said = capsys.readouterr().out
    assert [int(step) for step in re.findall(r"Step (\d+): dev_bleu", said)] == [0, 6]
    config = read_config(RunFolder(run))
    assert config.model == RunFolder(initial).read_model_config()
    assert (config.search.beam_size, config.freeze) == (2, ("encoder",))
    tokenizers = [RunFolder(path).source_tokenizer.read_bytes() for path in (initial, run)]
    assert tokenizers[0] == tokenizers[1]

    before, after = weights(initial), weights(run)
    step = json.loads((run / "best.json").read_text())["step"]
    assert equal(before["encoder"], after["encoder"])
    assert equal(before["decoder"], after["decoder"]) == (step == 0)
    # The checkpoint has the last step's, whichever was the best.
    with np.load(run / "checkpoint.npz") as arrays:
        held = [arrays[name] for name in arrays if name.startswith("variable:")]
    assert all(any(np.array_equal(one, found) for found in held) for one in before["encoder"])
    kernel = max(before["decoder"], key=np.size)
    assert not any(np.array_equal(kernel, found) for found in held)


@pytest.mark.long
def test_step_0_is_the_model_itself(
    initial: Path, corpus: Path, tmp_path: Path, capsys: Any
) -> None:
    assert fine_tune(initial, corpus, tmp_path / "run", "--learning-rate=1e-30") == 0
    first = re.search(r"Step 0: dev_bleu: ([\d.]+)", capsys.readouterr().out)
    score = json.loads((initial / "best.json").read_text())["dev_bleu"]
    assert first is not None
    assert float(first[1]) == pytest.approx(score, abs=1e-4)
    assert json.loads((tmp_path / "run" / "best.json").read_text())["step"] == 0
    before, after = weights(initial), weights(tmp_path / "run")
    assert all(equal(before[name], after[name]) for name in before)


@pytest.mark.long
@pytest.mark.parametrize("vocabulary", ["extended", "new"])
def test_another_vocabulary_keeps_what_is_known_of_pieces(
    vocabulary: str, initial: Path, other: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    flags = ["--vocabulary", vocabulary, "--vocabulary-size=312", "--learning-rate=1e-30"]
    assert fine_tune(initial, other, run, *flags) == 0

    old, new = (Tokenizer.load(path / "tokenizer.model") for path in (initial, run))
    text = "The ostrich"
    assert len(new.encode([text])[0]) < len(old.encode([text])[0])
    assert (new.vocabulary_size > 312) == (vocabulary == "extended")
    config = read_config(RunFolder(run))
    assert config.model.target_vocabulary_size == new.vocabulary_size

    before, after = (weights(path)["target_embedding"][0] for path in (initial, run))
    for word in ("▁The", "▁bl", "."):
        ids = [one._processor.piece_to_id(word) for one in (old, new)]
        if 1 not in ids:
            np.testing.assert_allclose(after[ids[1]], before[ids[0]], atol=1e-6)
    assert len(Translator.from_stored(RunFolder(run))(["The ostrich sees a dog."])) == 1


@pytest.mark.long
def test_a_begun_training_goes_on_without_the_model(
    initial: Path, other: Path, tmp_path: Path, capsys: Any
) -> None:
    run, copied = tmp_path / "run", tmp_path / "copied"
    shutil.copytree(initial, copied)
    assert fine_tune(copied, other, run) == 0
    shutil.rmtree(copied)
    assert fine_tune(copied, other, run, "--steps=12") == 0
    assert read_step(run / "checkpoint.npz") == 12

    assert fine_tune(copied, other, tmp_path / "another") == 1
    assert "`model` must be a folder" in capsys.readouterr().err
    assert not (tmp_path / "another").exists()


@pytest.mark.long
def test_a_run_of_another_model_is_not_gone_on_with(
    initial: Path, other: Path, tmp_path: Path, capsys: Any
) -> None:
    run, copied = tmp_path / "run", tmp_path / "copied"
    assert fine_tune(initial, other, run) == 0
    shutil.copytree(initial, copied)
    assert fine_tune(copied, other, run) == 0  # the same weights elsewhere
    (copied / "best.keras").write_bytes((run / "best.keras").read_bytes() + b" ")
    assert fine_tune(copied, other, run) == 1
    assert "Different: those of initial" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--encoder-units=11"], "--encoder-units must be 10, as --initial has it"),
        (["--no-shared-vocabulary"], "--shared-vocabulary must be True with the vocabulary of"),
        (["--freeze", "decoders"], "--freeze must be of the model's parts ['decoder', 'encoder'"),
        (["--source-vocabulary-size=9"], "--source-vocabulary-size must be left out"),
    ],
)
def test_settings_that_do_not_go_with_the_model_are_named(
    flags: list[str], message: str, initial: Path, other: Path, tmp_path: Path, capsys: Any
) -> None:
    assert fine_tune(initial, other, tmp_path / "run", *flags) == 1
    assert message in capsys.readouterr().err


def test_all_frozen_is_refused(initial: Path, other: Path, tmp_path: Path, capsys: Any) -> None:
    parts = list(weights(initial))
    assert fine_tune(initial, other, tmp_path / "run", "--freeze", *parts) == 1
    assert "--freeze must be such that a part is left to train" in capsys.readouterr().err


@pytest.mark.long
def test_a_finished_run_goes_further_and_one_that_is_not_does_not(
    initial: Path, corpus: Path, tmp_path: Path, capsys: Any
) -> None:
    run = tmp_path / "run"
    shutil.copytree(initial, run)
    arguments = ["--dataset", str(corpus), "--run-dir", str(run), *TINY_MODEL, *SCHEDULE]
    arguments.append("--learning-rate=1e-2")
    with np.load(run / "checkpoint.npz") as before:
        old = {name: before[name] for name in before}
    assert main([*arguments, "--steps=18"]) == 0
    assert "Going on from step 12 of 18." in capsys.readouterr().out
    assert read_config(RunFolder(run)).steps == 18
    with np.load(run / "checkpoint.npz") as after:
        assert int(after["numbers"][0]) == 18
        assert not np.array_equal(after["variable:0"], old["variable:0"])

    assert main([*arguments, "--steps=12"]) == 1
    assert "steps: 18 there, 12 here" in capsys.readouterr().err
    np.savez(run / "checkpoint.npz", **old)
    assert main([*arguments, "--steps=24"]) == 1
    assert "steps: 18 there, 24 here" in capsys.readouterr().err


def test_a_recording_begins_with_no_model(initial: Path, tmp_path: Path, other: Path) -> None:
    from training.record import main as record

    given = ["--initial", str(initial), "--dataset", str(other), "--run-dir", str(tmp_path / "r")]
    assert record([*given, *FINE_TUNED]) == 1
