"""What trains and measures on JAX where there is no TensorFlow; the model then translates on
TensorFlow."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attention_nmt.translation.translator import Translator
from tests.training.corpora import TINY_MODEL, run, write_folder
from training.scoring.metrics import corpus_bleu

ROOT = Path(__file__).parents[2]
JAX = {
    **os.environ,
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


@pytest.fixture(scope="module")
def without_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for the module path in which TensorFlow cannot be imported."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "tensorflow.py").write_text(
        'raise ImportError("there is no TensorFlow here")\n', encoding="utf-8"
    )
    return str(folder)


def process(path: str, module: str, *arguments: str) -> str:
    """What one of the project's modules prints on JAX, with a folder first on the module path."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**JAX, "PYTHONPATH": path}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_from_a_recording_to_a_translator(tmp_path: Path, without_tensorflow: str) -> None:
    """The dev BLEU that JAX saw is that of TensorFlow's translations by the weights that it
    kept."""
    corpus, folder = write_folder(tmp_path / "corpus"), tmp_path / "run"
    settings = ["--steps=240", "--evaluate-steps=120", "--warmup-steps=10", "--learning-rate=0.02"]
    more = [
        "--jit-compile=True",
        "--embedding-dropout=0.1",
        "--average-decay=0.9",
        "--sampling-alpha=0.5",
    ]
    result = run(
        "training.record", "--dataset", corpus, "--run-dir", folder, *TINY_MODEL, *settings, *more
    )
    assert result.returncode == 0, result.stderr
    said = process(without_tensorflow, "training.replay", "--run-dir", str(folder))
    kept = json.loads((folder / "best.json").read_text())
    recorded, trained = (
        re.findall(r"([\d,]+) target tokens", result.stdout),
        re.findall(r"'tokens': ([\d.]+)", said),
    )
    assert sum(map(float, trained)) == float(recorded[0].replace(",", ""))
    assert f"Step {kept['step']}: dev_bleu: {kept['dev_bleu']:.4f}" in said
    assert kept["dev_bleu"] > 20
    sources, references = (
        (corpus / f"{side}.val.txt").read_text().splitlines()[:8] for side in ("en", "fr")
    )
    texts = [translation.text for translation in Translator.from_run(folder)(sources)]
    assert corpus_bleu(texts, references, "fr").value == pytest.approx(kept["dev_bleu"], abs=1e-3)


def test_the_benchmark_on_jax(without_tensorflow: str) -> None:
    """Of random ids, which need no TensorFlow."""
    sizes = ["--embedding-size=8", "--encoder-units=6", "--decoder-units=8", "--attention-units=6"]
    more = [
        "--readout-units=8",
        "--batch-size=4",
        "--length=7",
        "--steps=3",
        "--target-vocabulary-size=50",
    ]
    report = json.loads(
        process(without_tensorflow, "training.studies.benchmark", *sizes, *more).splitlines()[-1]
    )
    assert report["backend"] == "jax"
    assert (report["shapes"], report["target_padding"], report["padding"]) == (1, 0, 0)
    assert report["target_tokens_per_s"] > 0
