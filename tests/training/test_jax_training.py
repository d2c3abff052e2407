"""Training and measuring on JAX; the model then translates on TensorFlow."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator
from tests.training.corpora import TINY_MODEL, write_folder
from training import record
from training.scoring.metrics import corpus_bleu

ROOT = Path(__file__).parents[2]

SETTINGS = [
    *TINY_MODEL,
    "--buckets=1",
    "--steps=160",
    "--evaluate-steps=80",
    "--checkpoint-steps=20",
    "--warmup-steps=10",
    "--learning-rate=0.02",
    "--embedding-dropout=0.1",
    "--average-decay=0.9",
    "--sampling-alpha=0.5",
]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


class Jax:
    """Runs the project's modules on JAX, in processes that share what was compiled.

    Args:
        folder: for what was compiled, and for a TensorFlow that cannot be imported.
    """

    def __init__(self, folder: Path) -> None:
        self.blocked = folder / "blocked"
        self.blocked.mkdir()
        (self.blocked / "tensorflow.py").write_text(
            'raise ImportError("there is no TensorFlow here")\n', encoding="utf-8"
        )
        self.environment = {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }

    def start(self, module: str, *arguments: str, tensorflow: bool) -> subprocess.Popen[str]:
        """Starts a module; without TensorFlow it cannot be imported there."""
        environment = self.environment
        if not tensorflow:
            environment = {**environment, "PYTHONPATH": str(self.blocked)}
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *arguments: str, tensorflow: bool) -> str:
        """Runs a module to its end; what it printed."""
        process = self.start(module, *arguments, tensorflow=tensorflow)
        said, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        return said

    def kill(self, run: RunFolder, step: int, *command: str, tensorflow: bool) -> None:
        """Starts a module and kills it when there is a checkpoint of a step or a later one."""
        process = self.start(*command, tensorflow=tensorflow)
        try:
            deadline = time.monotonic() + 250
            while last_step(run) < step and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            process.kill()
            errors = process.communicate()[1]
        assert process.returncode == -9, errors[-3000:]


def last_step(run: RunFolder) -> int:
    if not run.checkpoint.is_file():
        return -1
    with np.load(run.checkpoint) as arrays:
        return int(arrays["numbers"][0])


@pytest.fixture(scope="module")
def jax(tmp_path_factory: pytest.TempPathFactory) -> Jax:
    return Jax(tmp_path_factory.mktemp("jax"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def trained(jax: Jax, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """An undisturbed training on JAX, whose batches TensorFlow makes."""
    run = RunFolder(tmp_path_factory.mktemp("runs") / "trained")
    flags = ["--dataset", str(corpus), "--run-dir", str(run.path), *SETTINGS]
    said = jax.run("training.train", *flags, tensorflow=True)
    kept = json.loads(run.best_score.read_text())
    assert f"Step {kept['step']}: dev_bleu: {kept['dev_bleu']:.4f}, " in said
    assert kept["dev_bleu"] > 20
    assert list(run.logs.glob("events.out.tfevents.*"))
    return run


def assert_equal(found: RunFolder, expected: RunFolder) -> None:
    """Checks that two trainings ended alike."""
    with np.load(found.checkpoint) as arrays, np.load(expected.checkpoint) as others:
        assert set(arrays) == set(others)
        assert str(arrays["notes"]) == str(others["notes"])
        for name in set(arrays) - {"trained_on", "notes", "numbers"}:
            np.testing.assert_allclose(arrays[name], others[name], rtol=0, atol=1e-6, err_msg=name)
        assert arrays["numbers"][[0, 3, 4, 5]].tolist() == others["numbers"][[0, 3, 4, 5]].tolist()
    assert found.best_score.read_text() == expected.best_score.read_text()


def test_a_training_on_jax(jax: Jax, corpus: Path, tmp_path: Path) -> None:
    """Of two steps: it leaves what any training leaves, and the weights load on TensorFlow."""
    run = RunFolder(tmp_path / "run")
    flags = [*TINY_MODEL, "--buckets=1", "--steps=2", "--evaluate-steps=2", "--warmup-steps=1"]
    said = jax.run(
        "training.train",
        "--dataset",
        str(corpus),
        "--run-dir",
        str(run.path),
        *flags,
        tensorflow=True,
    )
    assert "Step 2: dev_bleu: " in said
    assert last_step(run) == 2
    assert Translator.from_run(run.path)(["The cat."])[0].truncated is False


@pytest.mark.long
def test_the_weights_translate_on_tensorflow(trained: RunFolder, corpus: Path) -> None:
    """The dev BLEU that JAX saw is that of TensorFlow's translations."""
    sources, references = (
        (corpus / f"{side}.val.txt").read_text().splitlines()[:8] for side in ("en", "fr")
    )
    texts = [translation.text for translation in Translator.from_run(trained.path)(sources)]
    kept = json.loads(trained.best_score.read_text())
    assert corpus_bleu(texts, references, "fr").value == pytest.approx(kept["dev_bleu"], abs=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("vocabulary", ["same", "new"])
def test_a_training_begins_with_a_model(
    vocabulary: str, jax: Jax, trained: RunFolder, corpus: Path, tmp_path: Path
) -> None:
    """Its encoder, which is frozen, stays; step 0 is the model, where the vocabulary is, too."""
    run = RunFolder(tmp_path / "run")
    flags = [
        f"--vocabulary={vocabulary}",
        "--vocabulary-size=300",
        "--freeze=encoder",
        "--buckets=1",
        "--steps=2",
        "--warmup-steps=1",
        "--evaluate-steps=2",
        "--dev-sentences=8",
    ]
    said = jax.run(
        "training.train",
        "--initial",
        str(trained.path),
        "--dataset",
        str(corpus),
        "--run-dir",
        str(run.path),
        *flags,
        tensorflow=True,
    )
    first = re.search(r"Step 0: dev_bleu: ([\d.]+)", said)
    assert first is not None
    kept = json.loads(trained.best_score.read_text())["dev_bleu"]
    assert (float(first[1]) == pytest.approx(kept, abs=1e-4)) == (vocabulary == "same")

    encoders = [folder.load_model().encoder.get_weights() for folder in (trained, run)]
    assert all(map(np.array_equal, *encoders))


@pytest.mark.long
def test_a_training_that_is_killed_goes_on(
    jax: Jax, trained: RunFolder, corpus: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    flags = ["--dataset", str(corpus), "--run-dir", str(run.path), *SETTINGS]
    jax.kill(run, 60, "training.train", *flags, tensorflow=True)
    said = jax.run("training.train", *flags, tensorflow=True)
    assert re.search(r"^Going on from step \d+ of 160\.$", said, re.MULTILINE)
    assert_equal(run, trained)


@pytest.mark.long
def test_a_replay_that_is_killed_goes_on(
    jax: Jax, trained: RunFolder, corpus: Path, tmp_path: Path
) -> None:
    """Without TensorFlow, it ends as the training that makes its own batches."""
    run = RunFolder(tmp_path / "run")
    flags = ["--dataset", str(corpus), "--run-dir", str(run.path), *SETTINGS]
    assert record.main(flags) == 0
    jax.kill(run, 100, "training.replay", "--run-dir", str(run.path), tensorflow=False)
    said = jax.run("training.replay", "--run-dir", str(run.path), "--quiet", tensorflow=False)
    assert said.startswith("Step 160: dev_bleu: ")
    assert len(said.splitlines()) == 2
    assert_equal(run, trained)
    assert list(run.logs.glob("events.out.tfevents.*"))


@pytest.mark.long
def test_the_benchmark_on_jax(jax: Jax) -> None:
    """Of random ids, which need no TensorFlow."""
    sizes = ["--embedding-size=8", "--encoder-units=6", "--decoder-units=8", "--attention-units=6"]
    more = [
        "--readout-units=8",
        "--batch-size=4",
        "--length=7",
        "--steps=3",
        "--target-vocabulary-size=50",
    ]
    said = jax.run("training.studies.benchmark", *sizes, *more, tensorflow=False)
    report = json.loads(said.splitlines()[-1])
    assert report["backend"] == "jax"
    assert (report["shapes"], report["target_padding"], report["padding"]) == (1, 0, 0)
    assert report["target_tokens_per_s"] > 0
