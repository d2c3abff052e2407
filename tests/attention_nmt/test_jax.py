"""The same model on JAX, on a machine that might have no TensorFlow, gives the same numbers."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_nmt.losses import CrossEntropy
from attention_nmt.models.seq2seq import Seq2Seq
from tests.attention_nmt.tiny import VARIANTS, loss_and_gradients, tiny_batch, tiny_model

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}


def computed(options: dict[str, Any], folder: Path) -> dict[str, np.ndarray]:
    """What a process with JAX computes from the weights of this one's model."""
    (folder / "options.json").write_text(json.dumps([options]))
    weights: dict[str, Any] = {
        weight.path.split("/", 1)[1]: np.array(weight) for weight in tiny_model(**options).weights
    }
    np.savez(folder / "0.npz", **weights)
    command = [sys.executable, "-m", "tests.attention_nmt.jax_process", str(folder)]
    process = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
    with np.load(folder / "0.out.npz") as arrays:
        return dict(arrays)


def expected(model: Seq2Seq) -> dict[str, np.ndarray]:
    from tests.attention_nmt.jax_process import LENGTHS, searched, trained

    batch = tiny_batch(LENGTHS)
    _, gradients = loss_and_gradients(model, batch, CrossEntropy(0.1))
    values = {"logits": np.asarray(model(batch[0]))} | {
        f"gradient {path}": g for path, g in gradients.items()
    }
    return values | searched(model) | trained(model)


@pytest.mark.parametrize(
    "kind",
    [
        "default",
        *(
            pytest.param(kind, marks=pytest.mark.long)
            for kind in ("everything", "transformer", "pretrained encoder")
        ),
    ],
)
def test_a_model_on_jax(kind: str, tmp_path: Path) -> None:
    """Logits, gradients of the loss, every search, Keras' `evaluate` and `fit`, with no module of
    TensorFlow imported."""
    options = VARIANTS[kind]
    model = tiny_model(**options)
    values = expected(model)
    on_jax = computed(options, tmp_path)
    imported = list(on_jax.pop("imported"))
    assert bool(imported) != model.config.embeds_source  # KerasHub imports it where it is
    assert set(on_jax) == set(values)
    for name, value in values.items():
        np.testing.assert_allclose(on_jax[name], value, rtol=1e-6, atol=1e-5, err_msg=name)


EXPORT = """
import sys
import numpy as np
from tests.attention_nmt.tiny import tiny_batch, tiny_model

model = tiny_model()
model.export(sys.argv[1], verbose=False)
import tensorflow as tf

served = tf.saved_model.load(sys.argv[1])
for lengths in ([(4, 3), (2, 5)], [(6, 2)]):
    inputs = tiny_batch(lengths)[0]
    np.testing.assert_allclose(served.serve(inputs), model(inputs), atol=1e-5)
"""


@pytest.mark.long
def test_a_model_is_exported_from_jax(tmp_path: Path) -> None:
    """Keras' `export`: logits for ids of any shape."""
    process = subprocess.run(
        [sys.executable, "-c", EXPORT, str(tmp_path / "export")],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]


def test_importing_the_core_imports_no_tensorflow() -> None:
    """On any backend but TensorFlow; the package itself hands names on lazily."""
    modules = ["backend", "checks", "config", "losses", "run_folder", "types", "data.tokenizer"]
    for folder in ("layers", "models", "search"):
        paths = (ROOT / "attention_nmt" / folder).glob("*.py")
        modules += [f"{folder}.{path.stem}" for path in paths if path.stem != "__init__"]
    code = "".join(f"import attention_nmt.{module}\n" for module in modules)
    code += "import training.studies.benchmark\n"
    code += "from attention_nmt import Seq2Seq, CrossEntropy, Tokenizer, search_model\n"
    code += "import sys\n"
    code += "tops = {name.split('.')[0] for name in sys.modules}\n"
    code += "print(sorted(tops & {'tensorflow', 'tensorflow_text'}))\n"
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == "[]"
