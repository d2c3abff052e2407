"""Every script and every command of the README runs, at small size."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training.presets import base, multi30k

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(command: list[str], folder: Path) -> str:
    result = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_script_learns_and_translates(tmp_path: Path) -> None:
    (script,) = blocks("python")
    said = run([sys.executable, "-c", script + "\nmodel.save('model.keras')"], tmp_path)
    assert re.search(r"^la robe rouge -\d", said, re.MULTILINE)
    assert "'</s>']" in said
    names = re.search(r"`(from attention_nmt import [\w, ]+)`", README)
    assert names
    load = f"import keras\n{names[1]}\nmodel = keras.saving.load_model('model.keras')"
    said = run(
        [
            sys.executable,
            "-c",
            f"{load}\nprint(type(model) is Seq2Seq, type(model.loss) is CrossEntropy)",
        ],
        tmp_path,
    )
    assert said == "True True\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the README's paths mean something."""
    for suffix in ("fr", "de"):
        write_folder(tmp_path / f"data/en_{suffix}", PAIRS)
    for path in (tmp_path / "data/en_de").glob("fr.*.txt"):
        path.rename(path.with_name(path.name.replace("fr.", "de.")))
    return tmp_path


def test_the_commands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process but for the server: starting TensorFlow each time would take longer than all
    they do."""
    monkeypatch.chdir(folder)
    commands = [
        line
        for block in blocks("bash")
        for line in block.splitlines()
        if line.startswith("python -m")
    ]
    modules = [shlex.split(line)[2] for line in commands]
    assert modules == [
        "training.train",
        "training.evaluate",
        "training.record",
        "serving.export",
        "serving.server",
        "serving.client",
        "serving.tflite",
    ]
    server = None
    try:
        for line in commands:
            module, *arguments = shlex.split(line)[2:]
            if module in ("training.train", "training.record"):
                arguments += [*TINY_MODEL, "--steps=4", "--warmup-steps=1", "--evaluate-steps=4"]
            elif module == "serving.server":
                arguments[arguments.index("--port") + 1] = "0"
                command = [sys.executable, "-m", module, *arguments]
                server = subprocess.Popen(
                    command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
                )
                assert server.stdout is not None
                address = server.stdout.readline().split()[-1]
                continue
            elif module == "serving.client":
                arguments[arguments.index("--address") + 1] = address
            capsys.readouterr()
            assert importlib.import_module(module).main(arguments) == 0
            assert module != "serving.client" or capsys.readouterr().out.count("\n") == 1
    finally:
        if server is not None:
            server.terminate()
            server.communicate()
    assert (folder / "models/nmt/1/saved_model.pb").is_file()
    assert (folder / "models/nmt.tflite").is_file()
    assert (folder / "runs/en-de/evaluation/test/scores.json").is_file()
    (replayed,) = re.findall(
        r"^KERAS_BACKEND=jax python -m training.replay --run-dir (\S+)$", README, re.MULTILINE
    )
    assert (folder / replayed / "recording.npz").is_file()


def test_the_recipe(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the README's `make multi30k` would run, in its order: each command finds what those
    before it wrote."""
    (line,) = re.findall(r"^make multi30k .*$", README, re.MULTILINE)
    plan = subprocess.run(
        [
            *shlex.split(line),
            "--dry-run",
            "--no-print-directory",
            "--assume-old=setup",
            f"--file={ROOT / 'Makefile'}",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    monkeypatch.chdir(folder)
    for command in plan.replace("\\\n", " ").splitlines():
        module, *arguments = shlex.split(command.partition(" -m ")[2])
        if module == "training.train":
            arguments += [*TINY_MODEL, "--steps=4", "--warmup-steps=1", "--evaluate-steps=4"]
        assert importlib.import_module(module).main(arguments) == 0, capsys.readouterr().err
    runs = folder / "runs/en-de"
    assert sorted(p.name for p in runs.iterdir()) == [
        "backward",
        "diverse",
        "forward",
        "seed-1",
    ]
    rates = {
        name: json.loads((runs / name / "config.json").read_text())["final_learning_rate"]
        for name in ("forward", "backward", "seed-1")
    }
    assert rates == {
        "forward": base().final_learning_rate,
        "backward": base().final_learning_rate,
        "seed-1": multi30k().final_learning_rate,
    }
    sizes = [
        len((path / "en.train.txt").read_text().splitlines())
        for path in (folder / "data/en_de", runs / "diverse")
    ]
    assert sizes[0] < sizes[1] <= 3 * sizes[0]
    assert (runs / "seed-1/evaluation/test-data-en_de/scores.json").is_file()


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("bash")), re.MULTILINE)
    assert targets == ["demo", "test", "multi30k"]
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}: setup" in rules for target in targets)
