"""Recorded batches are those of a training, and trained on again they give the same model."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import BatchConfig
from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.run_folder import RunFolder
from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training import record, replay, train
from training.folder import claim
from training.presets import TrainConfig
from training.recording import Recording

ARGUMENTS = [
    *TINY_MODEL,
    "--steps=23",
    "--warmup-steps=4",
    "--evaluate-steps=16",
    "--checkpoint-steps=8",
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


@pytest.fixture
def copy(recorded: RunFolder, tmp_path: Path) -> RunFolder:
    """The recorded run, as it was before a replay."""
    run = RunFolder(tmp_path / "copy")
    run.path.mkdir()
    for path in (recorded.config, recorded.source_tokenizer, recorded.recording):
        (run.path / path.name).write_bytes(path.read_bytes())
    return run


def test_recorded_batches_are_those_of_a_training(tmp_path: Path) -> None:
    """Of one epoch and the next, the rows of padding included, from any position on."""
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    pairs = tf.data.Dataset.from_tensor_slices(tuple(map(list, zip(*PAIRS, strict=True))))
    config = BatchConfig(batch_size=50, buckets=3, sampling_alpha=0.2)
    batches = TrainingBatches(pairs, tokenizer, tokenizer, config)
    stream = list(itertools.islice(batches.stream(0, 0, lambda _: None).as_numpy_iterator(), 20))
    assert any((labels == 0).all(axis=1).any() for _, labels, _ in stream)

    path = tmp_path / "recording.npz"
    Recording.of(stream, [[5, 6, 3], [3]], ["un", "deux"]).save(path)
    recording = Recording.load(path)
    assert recording.steps == 20
    assert recording.target_tokens == sum(int((labels != 0).sum()) for _, labels, _ in stream)
    assert recording.dev_sources() == [[5, 6, 3], [3]]
    assert recording.dev_references.tolist() == ["un", "deux"]

    for skip in (0, 13):
        found = recording.stream(0, skip, lambda _: None)
        for expected, batch in zip(stream[skip:], found, strict=True):
            parts = zip(keras.tree.flatten(expected), keras.tree.flatten(batch), strict=True)
            for part, of_recording in parts:
                assert part.dtype == of_recording.dtype
                np.testing.assert_array_equal(part, of_recording)


@pytest.mark.long
def test_a_replay_is_the_training(
    folder: Path, copy: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all that is random in it, averaged weights, and a last block of fewer steps."""
    assert replay.main(["--run-dir", str(copy.path), "--quiet"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said[:2]] == ["Step 16", "Step 23"]
    assert said[2].startswith("Best dev BLEU ")
    assert len(said) == 3
    assert list(copy.logs.glob("events.out.tfevents.*"))

    trained = RunFolder(tmp_path / "trained")
    assert train.main(["--dataset", str(folder), "--run-dir", str(trained.path), *ARGUMENTS]) == 0
    assert json.loads(copy.best_score.read_text()) == json.loads(trained.best_score.read_text())
    assert copy.config.read_text() == trained.config.read_text()

    with np.load(trained.checkpoint) as expected, np.load(copy.checkpoint) as found:
        assert set(expected) == set(found)
        assert (str(expected["trained_on"]), str(found["trained_on"])) == ("corpus", "recording")
        for name in set(expected) - {"trained_on", "notes", "numbers"}:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6, err_msg=name)
        assert found["numbers"].tolist()[:3] == [23, 0, 23]

    # Each goes on by itself, and not by the other.
    capsys.readouterr()
    assert replay.main(["--run-dir", str(copy.path)]) == 0
    assert "Going on from step 23 of 23." in capsys.readouterr().out
    trained.recording.write_bytes(copy.recording.read_bytes())
    assert replay.main(["--run-dir", str(trained.path)]) == 1
    assert "must be a run that was trained on its recording" in capsys.readouterr().err


def test_what_cannot_be_replayed(
    copy: RunFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is refused before the first step, in one line."""

    def said(run: RunFolder) -> str:
        assert replay.main(["--run-dir", str(run.path)]) == 1
        line = capsys.readouterr().err
        assert line.startswith("error: ")
        assert line.count("\n") == 1
        return line

    with monkeypatch.context() as patch:
        patch.setattr(keras.backend, "backend", lambda: "torch")
        assert "`KERAS_BACKEND` must be 'tensorflow' or 'jax'" in said(copy)
    (tmp_path / "empty").mkdir()
    assert "is not a run folder" in said(RunFolder(tmp_path / "empty"))

    config = json.loads(copy.config.read_text())
    copy.config.write_text(json.dumps(config | {"steps": 24}))
    whole = copy.recording.read_bytes()
    copy.recording.unlink()
    assert f"{copy.recording} is missing: training.record writes it." in said(copy)
    for size in (0, 50, len(whole) // 2, len(whole) - 1):
        copy.recording.write_bytes(whole[:size])
        assert f"{copy.recording}: expected a whole recording" in said(copy)
    copy.recording.write_bytes(whole)
    assert f"`steps` must be those that {copy.recording} has, 23. Received: 24" in said(copy)
    copy.config.write_text(json.dumps(config))

    pieces = copy.source_tokenizer.read_bytes()
    copy.source_tokenizer.write_bytes(b"no model")
    sums = f"{copy.source_tokenizer}: expected a file of SHA-256 "
    assert sums in said(copy)

    # A recording that is older than sums.
    replace(Recording.load(copy.recording), tokenizers=np.array("{}")).save(copy.recording)
    assert f"{copy.source_tokenizer}: expected a whole tokenizer" in said(copy)
    Tokenizer.train([text for pair in PAIRS for text in pair], 290).save(copy.source_tokenizer)
    assert "with source ids below 290" in said(copy)
    copy.source_tokenizer.write_bytes(pieces)
    copy.recording.write_bytes(whole)

    copy.best.touch()
    assert "holds a model without a checkpoint to go on from" in said(copy)
    copy.checkpoint.touch()
    assert "checkpoint.npz: expected a whole checkpoint" in said(copy)


def test_what_cannot_be_recorded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model or a search that cannot be made among it."""
    run = RunFolder(tmp_path / "run")

    def said(*arguments: str) -> str:
        flags = [*ARGUMENTS, *arguments]
        assert record.main(["--dataset", str(folder), "--run-dir", str(run.path), *flags]) == 1
        return capsys.readouterr().err

    assert "--dtype-policy must be one with weights in float32" in said("--dtype-policy=float16")
    searches = ["--attention=none", "--no-word-query", "--coverage-penalty=0.2"]
    assert "--coverage-penalty must be 0" in said(*searches)
    assert not run.recording.exists()
    run.checkpoint.touch()
    assert "must be a run folder that is new" in said()


def test_a_recording_is_of_the_config_beside_it(tmp_path: Path) -> None:
    """Other settings need another folder: a recording may have taken long."""
    run = RunFolder(tmp_path / "run")
    config = TrainConfig()
    run.path.mkdir()
    claim(run, config, {})
    run.recording.touch()
    claim(run, config, {})
    assert run.recording.exists()
    with pytest.raises(ValueError, match="Different: seed: 1 there, 2 here"):
        claim(run, replace(config, seed=2), {})
    assert run.recording.exists()


def test_a_replayed_model_is_not_trained_over(
    folder: Path, recorded: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of a replay that left no checkpoint, as those of former times."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    for path in (recorded.config, recorded.data, recorded.source_tokenizer, recorded.recording):
        (run.path / path.name).write_bytes(path.read_bytes())
    run.best.touch()
    assert train.main(["--dataset", str(folder), "--run-dir", str(run.path), *ARGUMENTS]) == 1
    assert "holds a model of training.replay" in capsys.readouterr().err
