"""A model trained on JAX by `fit`, from the same tf.data, translates on TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from attention_nmt.translator import Translator

ROOT = Path(__file__).parents[2]
JAX = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")


def process(module: str, *arguments: str) -> str:
    """What one of the project's modules prints on JAX."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=JAX, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_from_jax_to_a_translator(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process("tests.training.jax_fit", str(run))
    first, second = json.loads((run / "losses.json").read_text())
    assert second < first - 0.5
    model = keras.saving.load_model(run / "best.keras", compile=False)
    with np.load(run / "batch.npz") as batch:
        logits = model({"source": batch["source"], "target": batch["target"]})
        np.testing.assert_allclose(logits, batch["logits"], rtol=0, atol=1e-5)
    assert Translator.from_run(run)(["The black dog sees a white cat."])[0].text


def test_the_benchmark_on_jax() -> None:
    """Of random ids, which need no TensorFlow."""
    sizes = ["--embedding-size=8", "--encoder-units=6", "--decoder-units=8", "--attention-units=6"]
    more = ["--readout-units=8", "--batch-size=4", "--length=7", "--steps=3", "--target-vocabulary-size=50"]
    report = json.loads(process("training.benchmark", *sizes, *more).splitlines()[-1])
    assert report["backend"] == "jax"
    assert (report["shapes"], report["target_padding"], report["padding"]) == (1, 0, 0)
    assert report["target_tokens_per_s"] > 0
