"""Batches that are recorded are those of a training, and trained on again they give the same
model."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import BatchConfig
from attention_nmt.data.batches import SIGNATURE, TrainingBatches
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder
from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training import record, replay, train
from training.folder import claim
from training.recording import Recording
from training.train import parse

ARGUMENTS = [
    *TINY_MODEL,
    "--steps=23",
    "--warmup-steps=4",
    "--evaluate-steps=10",
    "--sampling-alpha=0.3",
    "--embedding-dropout=0.2",
    "--target-word-dropout=0.1",
    "--average-decay=0.9",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def recorded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("runs") / "recorded")
    assert record.main(["--dataset", str(folder), "--run-dir", str(run.path), *ARGUMENTS]) == 0
    return run


def test_recorded_batches_are_those_of_a_training(tmp_path: Path) -> None:
    """Of one epoch and the next, the rows of padding included."""
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    pairs = tf.data.Dataset.from_tensor_slices(tuple(map(list, zip(*PAIRS, strict=True))))
    batches = TrainingBatches(
        pairs, tokenizer, tokenizer, BatchConfig(batch_size=50, buckets=3, sampling_alpha=0.2)
    )
    stream = list(itertools.islice(batches.stream(0, 0, lambda _: None).as_numpy_iterator(), 20))
    assert any((labels == 0).all(axis=1).any() for _, labels, _ in stream)
    path = tmp_path / "recording.npz"
    Recording.of(stream, [[5, 6, 3], [3]], ["un", "deux"]).save(path)
    recording = Recording.load(path)
    assert [ids.tolist() for ids in recording.dev_sources()] == [[5, 6, 3], [3]]
    assert recording.dev_references.tolist() == ["un", "deux"]
    for expected, found in zip(stream, recording.batches(), strict=True):
        for part, of_recording in zip(
            keras.tree.flatten(expected), keras.tree.flatten(found), strict=True
        ):
            assert part.dtype == of_recording.dtype
            np.testing.assert_array_equal(part, of_recording)


def test_a_replay_is_the_training(
    folder: Path, recorded: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that is random in it, averaged weights, and a last block of fewer steps."""

    def fit(model: Seq2Seq, batches: Iterator, **options: Any) -> Any:
        # On TensorFlow Keras takes the shapes of a generator's batches to be those of the first
        # two.
        return keras.Model.fit(
            model,
            tf.data.Dataset.from_generator(lambda: batches, output_signature=SIGNATURE),
            **options,
        )

    monkeypatch.setattr(Seq2Seq, "fit", fit)
    replay.replay(recorded)
    monkeypatch.undo()
    trained = RunFolder(tmp_path / "trained")
    assert train.main(["--dataset", str(folder), "--run-dir", str(trained.path), *ARGUMENTS]) == 0
    assert json.loads(recorded.best_score.read_text()) == json.loads(trained.best_score.read_text())
    assert recorded.config.read_text() == trained.config.read_text()
    one, other = (
        keras.saving.load_model(run.best, compile=False).weights for run in (trained, recorded)
    )
    for expected, found in zip(one, other, strict=True):
        np.testing.assert_allclose(
            found.numpy(), expected.numpy(), rtol=0, atol=1e-6, err_msg=found.path
        )


def test_what_cannot_be_replayed(
    recorded: RunFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is refused before the first step, in one line."""

    def said(run: RunFolder) -> str:
        assert replay.main(["--run-dir", str(run.path)]) == 1
        return capsys.readouterr().err

    assert "`KERAS_BACKEND` must be jax" in said(recorded)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert "is not a run folder" in said(RunFolder(tmp_path))
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    config = json.loads(recorded.config.read_text())
    run.config.write_text(json.dumps(config | {"steps": 24}))
    assert "recording.npz" in said(run)
    whole = recorded.recording.read_bytes()
    for size in (0, 50, len(whole) // 2, len(whole) - 1):
        run.recording.write_bytes(whole[:size])
        assert f"{run.recording}: expected a whole recording" in said(run)
    run.recording.write_bytes(whole)
    assert f"`steps` must be those that {run.recording} has, 23. Received: 24" in said(run)
    run.config.write_text(json.dumps(config))
    run.source_tokenizer.write_bytes(b"no model")
    assert f"{run.source_tokenizer}: expected a SentencePiece model" in said(run)
    run.checkpoint.touch()
    assert "It holds a model" in said(run)


def test_what_cannot_be_recorded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model or a search that cannot be made among it."""

    def said(*arguments: str) -> str:
        command = [
            "--dataset",
            str(folder),
            "--run-dir",
            str(tmp_path / "run"),
            *ARGUMENTS,
            *arguments,
        ]
        assert record.main(command) == 1
        return capsys.readouterr().err

    assert "`dtype_policy` must be one with weights in float32" in said("--dtype-policy=float16")
    assert "`coverage_penalty` must be 0" in said(
        "--attention=none", "--word-query=False", "--coverage-penalty=0.2"
    )
    assert not (tmp_path / "run" / "recording.npz").exists()
    (tmp_path / "run" / "checkpoint.npz").touch()
    assert "must be a run folder that is new" in said()


def test_a_recording_is_of_the_config_beside_it(folder: Path, tmp_path: Path) -> None:
    """One of other settings goes with them, as the tokenizer does."""
    run = RunFolder(tmp_path / "run")
    config = parse(["--dataset", str(folder), "--run-dir", str(run.path), *ARGUMENTS])[0]
    claim(run, config, {})
    run.recording.touch()
    claim(run, config, {})
    assert run.recording.exists()
    claim(run, replace(config, seed=2), {})
    assert not run.recording.exists()


def test_a_replayed_model_is_not_trained_over(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "run")
    arguments = ["--dataset", str(folder), "--run-dir", str(run.path), *ARGUMENTS]
    assert record.main(arguments) == 0
    run.best.touch()
    assert train.main(arguments) == 1
    assert "holds a model of training.replay" in capsys.readouterr().err
