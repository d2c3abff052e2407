"""Importing the package is enough for Keras to find its classes in a file."""

import importlib
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from attention_nmt.registration import CLASSES, PACKAGE

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/old_run/run/best.keras"


def said(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_every_registered_class_is_listed() -> None:
    for path in (ROOT / "attention_nmt").rglob("*.py"):
        if "register_keras_serializable(" in path.read_text(encoding="utf-8"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            importlib.import_module(module)

    names = {f"{PACKAGE}>{name}" for classes in CLASSES.values() for name in classes}
    known = keras.saving.get_custom_objects()
    assert {name for name in known if name.startswith(f"{PACKAGE}>")} == names
    for module, classes in CLASSES.items():
        importlib.import_module(f"{PACKAGE}.{module}")
        for name in classes:
            found = known[f"{PACKAGE}>{name}"]
            assert found.__module__ == f"{PACKAGE}.{module}"


IMPORTS = {
    "package first": "import attention_nmt\nimport keras",
    "Keras first": "import keras\nimport attention_nmt",
    "a module that imports Keras": "import attention_nmt.losses\nimport keras",
    "after a look for Keras": (
        "import attention_nmt\nimport importlib.util\n"
        "importlib.util.find_spec('keras')\nimport keras"
    ),
}
SHORT = ("package first",)


@pytest.mark.parametrize(
    "imports",
    [pytest.param(n, marks=() if n in SHORT else pytest.mark.long) for n in IMPORTS],
)
def test_a_file_is_loaded_by_keras_alone(imports: str) -> None:
    """ "Could not locate class 'Seq2Seq'", it was, unless the class was imported."""
    script = f"{IMPORTS[imports]}\nprint(type(keras.models.load_model({str(FILE)!r})).__name__)"
    assert said(script).endswith("Seq2Seq")


def test_importing_the_package_imports_no_keras() -> None:
    tops = "{name.partition('.')[0] for name in sys.modules}"
    script = f"import attention_nmt, sys\nprint({tops} & {{'keras', 'tensorflow', 'jax', 'numpy'}})"
    assert said(script) == "set()"
