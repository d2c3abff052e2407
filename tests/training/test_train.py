"""A training from the command line: its run folder, going on after a kill, refusals."""

from __future__ import annotations

import functools
import io
import json
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from attention_nmt.config import CellConfig, ModelConfig, to_json
from attention_nmt.run_folder import RunFolder
from tests.attention_nmt.tiny import tiny_batch, tiny_config
from tests.training.corpora import TINY_MODEL, command, run, write_folder
from training.build import build
from training.folder import alone, claim, keep_best, read_config
from training.logs import EventLog
from training.presets import PRESETS, TrainConfig, summary
from training.progress import Progress
from training.train import main

STEPS = 36
ARGUMENTS = [
    *TINY_MODEL,
    f"--steps={STEPS}",
    "--warmup-steps=4",
    "--evaluate-steps=12",
    "--checkpoint-steps=4",
    "--sampling-alpha=0.3",
    "--embedding-dropout=0.2",
    "--target-word-dropout=0.1",
    "--average-decay=0.9",
]


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as saved:
        return {name: saved[name] for name in saved}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run folder of an undisturbed training and what it printed."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    result = run("training.train", "--dataset", folder, "--run-dir", path, *ARGUMENTS)
    assert result.returncode == 0, result.stderr
    return path, result.stdout


def test_a_run_folder_is_complete(finished: tuple[Path, str]) -> None:
    path, said = finished
    names = {p.name for p in path.iterdir()}
    texts = {"config.json", "data.json", "samples.txt", "best.json"}
    weights = {"best.keras", "checkpoint.npz"}
    assert names == {*texts, *weights, "tokenizer.model", "logs"}

    config = json.loads((path / "config.json").read_text())
    assert config["steps"] == STEPS
    assert "quiet" not in config
    assert config["model"]["decoder_units"] == 16
    assert config["model"]["source_vocabulary_size"] == 310
    assert config["model"]["target_vocabulary_size"] == 310
    read = read_config(RunFolder(path))
    assert json.loads(to_json(read)) == config

    assert len((path / "samples.txt").read_text().splitlines()) == 8
    for name in ("loss", "perplexity", "accuracy", "tokens_per_s", "dev_bleu"):
        assert f"{name}: " in said
    assert "412 pairs; dropped: 0 empty, 0 too long, 0 of too unequal lengths" in said
    assert "\b" not in said


def test_logs_hold_numbers_and_pictures(finished: tuple[Path, str]) -> None:
    path, said = finished
    log = EventAccumulator(str(path / "logs"))
    log.Reload()
    names = {"loss", "perplexity", "accuracy", "tokens_per_s", "learning_rate", "dev_bleu"}
    assert set(log.Tags()["scalars"]) == names
    for name in names:
        assert [event.step for event in log.Scalars(name)] == [12, 24, 36]
    for event in log.Scalars("dev_bleu"):
        assert f"Step {event.step}: dev_bleu: {event.value:.4f}, " in said
    assert log.Tags()["images"]
    image = log.Images("alignment_0")[-1]
    assert (image.step, image.encoded_image_string[:4]) == (36, b"\x89PNG")


def test_kept_weights_come_without_an_optimizer(finished: tuple[Path, str]) -> None:
    best = finished[0] / "best.keras"
    model = keras.saving.load_model(best)
    assert not model.compiled
    with zipfile.ZipFile(best) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        assert "optimizer" not in file
        assert set(file) == {"decoder", "encoder", "layers", "vars"}
    assert best.stat().st_size < 1.6 * sum(w.nbytes for w in model.get_weights()) + 60_000


STOPS = ((0, signal.SIGKILL), (12, signal.SIGKILL), (20, signal.SIGINT))


@pytest.mark.long
def test_killed_and_begun_again_it_ends_with_the_same_weights(
    folder: Path,
    finished: tuple[Path, str],
    tmp_path: Path,
) -> None:
    """Killed before its first step and in an evaluation, and stopped with Ctrl-C, which says how
    to go on."""
    arguments = command(
        "training.train", "--dataset", folder, "--run-dir", tmp_path / "run", *ARGUMENTS
    )
    checkpoint = tmp_path / "run" / "checkpoint.npz"
    # A shell starts its background jobs with SIGINT ignored, and a test run may be one.
    heeded = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    for moment, stop in STOPS:
        with subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=heeded,
        ) as process:
            wait_for_step(process, checkpoint, moment)
            process.send_signal(stop)
            said = process.communicate(timeout=60)[0]
        assert process.returncode == (130 if stop == signal.SIGINT else -stop)
        assert ("Going on from step 12 " in said) == (moment == 20)
        if moment == 12:
            step, *_, evaluated = arrays(checkpoint)["numbers"]
            assert (step, evaluated) == (12, 0)
    assert "\nStopped. The same command goes on from the last checkpoint" in said
    assert 20 < int(arrays(checkpoint)["numbers"][0]) < STEPS
    again = subprocess.run(arguments, capture_output=True, text=True, timeout=250, check=False)
    assert again.returncode == 0, again.stderr
    assert "Going on from step" in again.stdout
    whole, resumed = (
        arrays(finished[0] / "checkpoint.npz"),
        arrays(tmp_path / "run" / "checkpoint.npz"),
    )
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
    best, again_best = (
        keras.saving.load_model(path / "best.keras") for path in (finished[0], tmp_path / "run")
    )
    for expected, received in zip(best.get_weights(), again_best.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, received)


def wait_for_step(process: subprocess.Popen, checkpoint: Path, step: int) -> None:
    """Waits until a checkpoint of `step` or later is there; with step 0, until the run folder
    is."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if step == 0 and (checkpoint.parent / "tokenizer.model").is_file():
            return
        if step and checkpoint.is_file() and int(arrays(checkpoint)["numbers"][0]) >= step:
            return
        time.sleep(0.02)
    pytest.fail(f"no checkpoint of step {step}; the training ended with {process.poll()}")


def test_a_checkpoint_holds_everything_that_a_step_changes(tmp_path: Path) -> None:
    """The scale of the loss, too, which only float16 has; keeping the best weights changes none."""
    config = TrainConfig(
        model=tiny_config(readout_dropout=0.3),
        steps=9,
        warmup_steps=0,
        jit_compile=False,
        dtype_policy="mixed_float16",
    )
    batch = tiny_batch([(5, 6), (3, 4)])
    progress = Progress(build(config, 40, 40), average_decay=0.9)
    progress.model.train_on_batch(*batch)
    progress.save(tmp_path / "checkpoint.npz")
    expected = [progress.model.train_on_batch(*batch)[0] for _ in range(3)]

    again = Progress(build(config, 40, 40), average_decay=0.9)
    again.load(tmp_path / "checkpoint.npz")
    run = RunFolder(tmp_path / "run")
    found = []
    for step in range(3):
        found.append(again.model.train_on_batch(*batch)[0])
        keep_best(run, again.model, step=step, dev_bleu=1.0, dev_sentences=1, tokenizers={})
    assert found == expected
    assert again.model.compiled

    kept = keras.saving.load_model(run.best)
    assert not kept.compiled
    for weight, kept_weight in zip(again.model.get_weights(), kept.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, kept_weight)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_checkpoint_that_was_cut_off(size: int, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    progress = Progress(build(TrainConfig(model=tiny_config()), 40, 40), 0.0)
    progress.save(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        ValueError, match=r"checkpoint\.npz: expected a whole checkpoint\. Received: "
    ):
        progress.load(path)


def test_a_checkpoint_of_a_recording_is_not_of_a_corpus(tmp_path: Path) -> None:
    """A data position in one means nothing in the other; older checkpoints are of a corpus."""
    path = tmp_path / "checkpoint.npz"
    model = build(TrainConfig(model=tiny_config()), 40, 40)
    Progress(model, 0.0, "recording").save(path)
    with pytest.raises(ValueError, match=r"`run_dir` must be a run that was trained on its corpus"):
        Progress(model, 0.0).load(path)

    older = {name: array for name, array in arrays(path).items() if name != "trained_on"}
    np.savez(path, **older)  # type: ignore[arg-type]
    Progress(model, 0.0).load(path)


def test_an_epoch_that_begins_twice_is_noted_once() -> None:
    """Keras may begin a stream anew after it has looked at the first batch."""

    class Source:
        def stream(self, epoch: int, skip: int, began: Callable[[int], None]) -> None:  # noqa: ARG002
            for position in (3, 3, 8, 3):
                began(position)

    progress = Progress(build(TrainConfig(model=tiny_config()), 40, 40), 0.0)
    progress.step = 10
    progress.epoch_starts = [0, 6]
    progress.stream(Source())
    assert progress.epoch_starts == [0, 6, 13, 18]
    progress.step = 14
    assert progress.position() == (2, 1)


def test_a_finished_run_is_not_trained_again(
    finished: tuple[Path, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished[0] / "checkpoint.npz").stat().st_mtime_ns
    assert main(["--dataset", str(folder), "--run-dir", str(finished[0]), *ARGUMENTS]) == 0
    assert "Best dev BLEU" in capsys.readouterr().out
    assert (finished[0] / "checkpoint.npz").stat().st_mtime_ns == before


def test_a_run_of_another_config_is_refused(
    finished: tuple[Path, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--dataset",
        str(folder),
        "--run-dir",
        str(finished[0]),
        *ARGUMENTS,
        "--decoder-units=17",
    ]
    assert main(arguments) == 1
    assert "Different: decoder_units: 16 there, 17 here." in capsys.readouterr().err


def test_a_run_that_is_older_than_a_field_goes_on(tmp_path: Path) -> None:
    """With the value that it had before there was one, and a cell of three fields."""
    config = TrainConfig()
    run = RunFolder(tmp_path / "run")
    claim(run, config, {})
    written = json.loads(run.config.read_text())
    del written["consistency"], written["batches"]["maximum_words"]
    cell = written["model"].pop("cell")
    written["model"] |= {**cell, "cell": cell["kind"]}
    del written["model"]["kind"]
    assert written["model"]["cell"] == "gru"
    run.config.write_text(json.dumps(written))
    assert read_config(run) == config
    run.data.unlink()
    np.savez(run.checkpoint, numbers=np.zeros(6))
    claim(run, config, {"train": {"en": "sum"}})
    assert json.loads(run.data.read_text()) == {"train": {"en": "sum"}}
    with pytest.raises(ValueError, match=r"Different: consistency: 0\.0 there, 1\.0 here\."):
        claim(run, TrainConfig(consistency=1.0), {})

    model = ModelConfig(cell=CellConfig(reset_after=False))
    with pytest.raises(ValueError, match=r"Different: cell\.reset_after: True there, False here\."):
        claim(run, TrainConfig(model=model), {})


def test_texts_that_have_changed(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A run that has no weights yet is begun anew with another vocabulary; one that has is
    refused."""
    monkeypatch.setattr("training.loop.fit", lambda *_, **__: None)
    corpus, run = shutil.copytree(folder, tmp_path / "corpus"), RunFolder(tmp_path / "run")
    arguments = ["--dataset", str(corpus), "--run-dir", str(run.path), *ARGUMENTS]
    assert main(arguments) == 0
    before = run.source_tokenizer.read_bytes()
    assert main(arguments) == 0
    assert run.source_tokenizer.read_bytes() == before
    train = corpus / "en.train.txt"
    train.write_text(train.read_text().upper())
    assert main(arguments) == 0
    assert run.source_tokenizer.read_bytes() != before
    run.best.touch()
    for split, expected in (("train", "train"), ("val", "train, dev")):
        for language in ("en", "fr"):
            with (corpus / f"{language}.{split}.txt").open("a") as file:
                file.write("more\n")
        assert main(arguments) == 1
        assert (
            f"holds a run of other texts. Different: those of {expected}."
            in capsys.readouterr().err
        )


def test_one_process_at_a_time_trains_in_a_run_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with alone(tmp_path / "run"):
        assert main(["--dataset", str(folder), "--run-dir", str(tmp_path / "run"), *ARGUMENTS]) == 1
        assert f"another process is training in {tmp_path / 'run'}" in capsys.readouterr().err
        assert not list((tmp_path / "run").iterdir())
    with alone(tmp_path / "run"):
        pass


def test_a_consistency_is_trained_on_pairs_that_stand_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr("training.loop.fit", lambda *arguments, **_: seen.append(arguments[1]))
    for number, flags in enumerate(([], ["--consistency=1"])):
        assert (
            main(
                [
                    "--dataset",
                    str(folder),
                    "--run-dir",
                    str(tmp_path / str(number)),
                    *ARGUMENTS,
                    *flags,
                ]
            )
            == 0
        )
    assert [batches.copies for batches in seen] == [1, 2]


def test_a_folder_of_something_else_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    assert main(["--dataset", str(folder), "--run-dir", str(tmp_path), *ARGUMENTS]) == 1
    assert "thesis.txt" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_language_that_cannot_be_scored_is_refused_before_training(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.modules", {**sys.modules, "MeCab": None})
    for split in ("train", "val"):
        (tmp_path / f"en.{split}.txt").write_text((folder / f"en.{split}.txt").read_text())
        (tmp_path / f"ja.{split}.txt").write_text((folder / f"fr.{split}.txt").read_text())
    arguments = [
        "--dataset",
        str(tmp_path),
        "--target=ja",
        "--run-dir",
        str(tmp_path / "run"),
        *ARGUMENTS,
    ]
    assert main(arguments) == 1
    assert "BLEU in 'ja' needs MeCab" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_it_stops_early_and_stays_stopped(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # With so low a rate nothing changes between evaluations, so the first one stays the best.
    arguments = [
        "--dataset",
        str(folder),
        "--run-dir",
        str(tmp_path / "run"),
        *ARGUMENTS,
        "--learning-rate=1e-12",
    ]
    arguments += ["--patience=1", "--evaluate-steps=4"]
    for _ in range(2):
        assert main(arguments) == 0
        assert "at step 4;" in capsys.readouterr().out
        assert int(arrays(tmp_path / "run" / "checkpoint.npz")["numbers"][0]) == 8


def test_separate_vocabularies_cannot_share_an_embedding() -> None:
    with pytest.raises(ValueError, match="`tie_source` must be False without shared_vocabulary"):
        TrainConfig(model=ModelConfig(tie_source=True), shared_vocabulary=False)


def test_a_vocabulary_larger_than_the_text_supports(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [
        "--dataset",
        str(folder),
        "--run-dir",
        str(tmp_path / "run"),
        *ARGUMENTS,
        "--vocabulary-size=9000",
    ]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "error: --vocabulary-size must be a size that the text supports. Received: 9000."
    )
    assert "<=" in said
    # Nothing was trained: the same folder takes other settings.
    monkeypatch.setattr("training.loop.fit", lambda *_, **__: None)
    assert main([*arguments[:-1], "--vocabulary-size=300"]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["vocabulary_size"] == 300


def test_weights_are_not_of_low_precision() -> None:
    with pytest.raises(
        ValueError,
        match=r"`dtype_policy` must be one with weights in float32.*Received: 'bfloat16'",
    ):
        build(TrainConfig(dtype_policy="bfloat16"), 40, 40)


def test_sizes_that_tokenizers_decide_are_no_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run-dir", "run", "--target-vocabulary-size", "8000"]) == 1
    said = capsys.readouterr().err
    assert "--target-vocabulary-size must be left out" in said
    assert "give --vocabulary-size" in said


def test_help_is_quick_and_names_presets() -> None:
    """Without TensorFlow and Keras."""
    script = (
        "import sys\n"
        "from training import record, replay, train\n"
        "try:\n"
        "    train.main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'sacrebleu', 'sentencepiece'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.replace("│", " ").split())
    for name in PRESETS:
        assert f"{name}: {summary(name)}" in said
    assert "--no-word-query" in said


def test_a_backend_that_is_none_of_ours(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    arguments = ["--dataset", str(folder), "--run-dir", str(tmp_path / "run"), *ARGUMENTS]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: `KERAS_BACKEND` must be 'tensorflow' or 'jax'.")
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_without_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with EventLog(tmp_path / "logs") as log:
        log.scalars(1, {"loss": 2.0})
    assert capsys.readouterr().out == "tensorboard is not installed: there will be no logs.\n"
    assert not (tmp_path / "logs").exists()


def test_a_corpus_without_usable_pairs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--dataset",
        str(folder),
        "--run-dir",
        str(tmp_path / "run"),
        *ARGUMENTS,
        "--maximum-length=3",
    ]
    assert main(arguments) == 1
    assert "412 too long" in capsys.readouterr().err
