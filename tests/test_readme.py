"""Scripts and commands of the README and of the pages beside it run, at small size."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attention_nmt.command import COMMANDS
from attention_nmt.files import one_line
from attention_nmt.stored import open_model
from attention_nmt.text_files import read_lines
from serving.web import litert_js
from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training import machine_translations
from training.presets import base, multi30k

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KERAS, TRAINING, GPU, INSTALL = (
    (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
    for name in ("keras", "training", "gpu", "install")
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
COMMAND = Path(sys.executable).with_name("attention-nmt")
SMALL = [*TINY_MODEL, "--buckets=1", "--steps=4", "--warmup-steps=1", "--evaluate-steps=4"]
"""Flags of a training that takes four steps."""

WARNINGS_ARE_ERRORS = ["-W", "error::UserWarning:keras"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run(command: list[str], folder: Path) -> str:
    result = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def call(name: str, arguments: list[str]) -> int:
    """Runs a command in this process: starting TensorFlow takes longer than all they do here."""
    return importlib.import_module(COMMANDS[name].module).main(arguments)


def test_the_script_runs(tmp_path: Path) -> None:
    """It does so without a warning of Keras; of its epochs it does one here."""
    (script,) = blocks(KERAS, "python")
    short = script.replace("epochs=30", "epochs=1")
    assert short != script
    said = run([sys.executable, *WARNINGS_ARE_ERRORS, "-c", short], tmp_path)
    assert "'</s>']" in said


@pytest.mark.long
def test_the_script_learns_and_translates(tmp_path: Path) -> None:
    """It does so without a warning of Keras."""
    (script,) = blocks(KERAS, "python")
    save = "\nmodel.save('model.keras')"
    said = run([sys.executable, *WARNINGS_ARE_ERRORS, "-c", script + save], tmp_path)
    assert re.search(r"^la robe rouge -\d", said, re.MULTILINE)
    assert "'</s>']" in said

    (first,) = re.findall(r"that loads such a file says `(import attention_nmt)` first", KERAS)
    load = f"import keras\n{first} as nmt\nmodel = keras.saving.load_model('model.keras')"
    show = "print(type(model) is nmt.Seq2Seq, type(model.loss) is nmt.CrossEntropy)"
    assert run([sys.executable, "-c", f"{load}\n{show}"], tmp_path) == "True True\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the README's paths mean something."""
    for suffix in ("fr", "de"):
        write_folder(tmp_path / f"data/en_{suffix}", PAIRS)
    for path in (tmp_path / "data/en_de").glob("fr.*.txt"):
        path.rename(path.with_name(path.name.replace("fr.", "de.")))
    shutil.copytree(ROOT / "tests/model_folder/model", tmp_path / "dresses")
    return tmp_path


@pytest.fixture
def _all_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the few steps of a test no translation has an end."""
    monkeypatch.setattr(machine_translations, "_is_whole", lambda *_: True)


@pytest.mark.long
def test_the_commands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    read = [*blocks(README, "bash"), *blocks(KERAS, "bash"), *blocks(GPU, "bash")]
    lines = [line for block in read for line in block.splitlines()]
    lines = [line.removesuffix(" &") for line in lines if line.startswith("attention-nmt ")]
    commands = [shlex.split(line)[1:] for line in lines]
    assert [name for name, *_ in commands] == [
        "translate",
        "web",
        "train",
        "evaluate",
        "translate",
        "export",
        "serve",
        "client",
        "tflite",
        "translate",
        "record",
    ]

    server = None
    try:
        for name, *arguments in commands:
            if name in ("train", "record"):
                arguments += SMALL
            elif name == "serve":
                arguments[arguments.index("--port") + 1] = "0"
                server = subprocess.Popen(
                    [COMMAND, name, *arguments],
                    env=ENVIRONMENT,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                assert server.stdout is not None
                address = server.stdout.readline().split()[-1]
                continue
            elif name == "web":
                arguments.remove("--serve")
                if not litert_js.RUNTIME.is_dir():
                    continue
            elif name == "client":
                arguments[arguments.index("--address") + 1] = address

            capsys.readouterr()
            assert call(name, arguments) == 0, capsys.readouterr().err
            said = capsys.readouterr().out
            assert name not in ("translate", "client") or said.count("\n") == 1
    finally:
        if server is not None:
            server.terminate()
            server.communicate()

    assert (folder / "models/nmt/1/saved_model.pb").is_file()
    assert (folder / "models/nmt.tflite").is_file()
    assert (folder / "runs/en-de/evaluation/test/scores.json").is_file()
    (replayed,) = re.findall(
        r"^KERAS_BACKEND=jax attention-nmt replay --run-dir (\S+)$", GPU, re.MULTILINE
    )
    assert (folder / replayed / "recording.npz").is_file()


def recipe(folder: Path, target: str = "multi30k") -> list[list[str]]:
    """The commands of a target of `make`, as it would run them in a folder."""
    (line,) = re.findall(rf"^make {target} .*$", TRAINING, re.MULTILINE)
    flags = ["--dry-run", "--no-print-directory", "--assume-old=setup"]
    plan = subprocess.run(
        [*shlex.split(line), *flags, f"--file={ROOT / 'Makefile'}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = plan.replace("\\\n", " ").splitlines()
    commands = (line.partition("/attention-nmt ")[2] for line in lines)
    return [shlex.split(command) for command in commands if command]


@pytest.mark.parametrize("target", ["multi30k", "student"])
def test_the_steps_of_the_recipe(tmp_path: Path, target: str) -> None:
    """Two models, what they make of the corpus, and the third one's training on it; scored."""
    commands = recipe(tmp_path, target)
    names = [name for name, *_ in commands]
    assert names == ["train", "train", "diversify", "train", "evaluate"]
    assert commands[3][1:3] == ["--preset", target]


def test_the_steps_of_a_learner(tmp_path: Path) -> None:
    """Those of the pair, which is its teacher, then what it reads."""
    of_pair = [name for name, *_ in recipe(tmp_path, "pair")]
    assert of_pair == ["train", "train", "diversify", "train", "train", "save", "evaluate"]
    names = [name for name, *_ in recipe(tmp_path, "learner")]
    assert names[:6] == of_pair[:6]
    assert names[6:11] == ["mask", "train", "mask", "translate", "distill"]
    assert names[11:] == ["train", "evaluate"]


STUB = """#!/bin/sh
echo "$*" >> calls
case "$*" in *"$FAULT"*) exit 1;; esac
name=$1
while [ $# -gt 0 ]; do
  case $1 in --run-dir | --output) made=$2;; esac
  shift
done
case $name in
  train | save) mkdir -p $made; touch $made/config.json;;
  translate) touch $made;;
  evaluate) ;;
  *) mkdir $made; touch $made/en.train.txt $made/masked.train.txt;;
esac
"""
"""Stands for `attention-nmt`: notes what it is asked for, fails on one command, writes nothing."""


def test_a_learner_that_was_stopped_goes_on(tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.write_text(STUB)
    stub.chmod(0o755)
    (line,) = re.findall(r"^make learner .*$", TRAINING, re.MULTILINE)

    def make(*flags: str, fault: str = "no such thing") -> tuple[int, list[str], str]:
        """The exit status, the commands, and what was said."""
        given = ["--assume-old=setup", f"--file={ROOT / 'Makefile'}", f"NMT={stub}", *flags]
        (tmp_path / "calls").write_text("")
        result = subprocess.run(
            [*shlex.split(line), *given],
            cwd=tmp_path,
            env={**os.environ, "FAULT": fault},
            capture_output=True,
            text=True,
            check=False,
        )
        calls = (tmp_path / "calls").read_text().splitlines()
        return result.returncode, calls, result.stderr

    status, calls, _ = make(fault="distill")
    assert status != 0
    assert calls[-1].startswith("distill ")
    assert len(calls) == 11
    status, calls, _ = make()
    assert status == 0
    assert [call.split()[0] for call in calls] == ["distill", "train", "evaluate"]
    status, calls, _ = make()
    assert (status, [call.split()[0] for call in calls]) == (0, ["evaluate"])

    _, calls, _ = make("SEED=12")
    assert [call.split()[0] for call in calls] == ["train", "evaluate"]
    assert "--seed 12 --run-dir runs/en-de/learner-12" in calls[0]

    status, calls, said = make("DATA=data/other")
    assert (status != 0, calls) == (True, [])
    assert "runs/en-de is of data/en_de; RUNS=FOLDER names another" in said


@pytest.mark.long
@pytest.mark.usefixtures("_all_are_whole")
def test_a_learner(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of `make learner` finds what those before it wrote."""
    monkeypatch.chdir(folder)
    # A filler reads fewer words; after four steps models write any byte, of which there are more.
    pieces = {"runs/en-de/gaps": "290", "runs/en-de/distilled": "1300"}
    for name, *arguments in recipe(folder, "learner"):
        if name == "train":
            read = arguments[arguments.index("--dataset") + 1]
            arguments += [*SMALL, "--vocabulary-size", pieces.get(read, "310")]
        assert call(name, arguments) == 0, capsys.readouterr().err

    runs = folder / "runs/en-de"
    corpus, distilled = (
        set(read_lines(runs / name / "en.train.txt")) for name in ("diverse", "distilled")
    )
    invented = {one_line(line) for line in read_lines(runs / "invented.txt")}
    assert distilled & invented
    assert distilled <= corpus | invented
    one, two = (
        open_model(str(runs / name)).load_model().count_params() for name in ("student-1", "pair")
    )
    assert two == 2 * one
    assert (runs / "learner-11/evaluation").is_dir()


@pytest.mark.long
@pytest.mark.usefixtures("_all_are_whole")
def test_the_recipe(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of `make multi30k` finds what those before it wrote."""
    monkeypatch.chdir(folder)
    for name, *arguments in recipe(folder):
        if name == "train":
            arguments += SMALL
        assert call(name, arguments) == 0, capsys.readouterr().err

    runs = folder / "runs/en-de"
    assert sorted(p.name for p in runs.iterdir()) == [
        "backward",
        "diverse",
        "forward",
        "multi30k-1",
    ]
    rates = {
        name: json.loads((runs / name / "config.json").read_text())["final_learning_rate"]
        for name in ("forward", "backward", "multi30k-1")
    }
    assert rates == {
        "forward": base().final_learning_rate,
        "backward": base().final_learning_rate,
        "multi30k-1": multi30k().final_learning_rate,
    }
    sizes = [
        len((path / "en.train.txt").read_text().splitlines())
        for path in (folder / "data/en_de", runs / "diverse")
    ]
    assert sizes[0] < sizes[1] <= 3 * sizes[0]
    assert (runs / "multi30k-1/evaluation/test-data-en_de/scores.json").is_file()


def test_the_make_targets_exist() -> None:
    lines = "\n".join([*blocks(INSTALL, "bash"), *blocks(TRAINING, "bash")])
    targets = re.findall(r"^make (\w+)", lines, re.MULTILINE)
    assert targets == ["setup", "demo", "test", "multi30k", "student", "pair", "learner"]
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(
        re.search(rf"^(\w+ )*{target}\b.*: (setup|%|\$)", rules, re.M) for target in targets[1:]
    )


def test_the_text_stands_on_a_package_index() -> None:
    """No link is relative, and files that are named are there."""
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", README)
    assert links
    assert all(link.startswith("https://") for link in links)

    named = re.findall(r"`((?:docs|serving|training)/[\w./]+|[A-Z]+\.md)`", README)
    assert len(named) > 5
    assert all((ROOT / name).exists() for name in named)


def test_its_numbers_are_those_of_the_results() -> None:
    (table,) = re.findall(r"^## Results\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    measured = re.findall(r"\d+[.,]\d+", table)
    assert len(measured) > 10
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs/results").glob("*.md")]
    assert [number for number in measured if not any(number in page for page in pages)] == []


def test_the_flags_are_those_of_the_commands() -> None:
    """Whatever the text says of a flag, some command has it."""
    pages = set((ROOT / "docs").glob("*.md"))
    pages -= {ROOT / "docs/lab-book.md", ROOT / "docs/reliability.md"}  # flags of other programs
    said = README + "".join(page.read_text(encoding="utf-8") for page in sorted(pages))
    named = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", said)) - {"--name", "--no-name"}
    helps = "".join(help_of(name) for name in COMMANDS)
    assert [flag for flag in sorted(named) if not re.search(rf"{flag}\b", helps)] == []


def help_of(name: str) -> str:
    """The help of a command."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit):
        call(name, ["--help"])
    return output.getvalue()


def test_the_page_on_the_house_names_what_is_there() -> None:
    page = (ROOT / "docs/house.md").read_text(encoding="utf-8")
    folders = ("attention_nmt", "training", "serving")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)

    for name in set(re.findall(r"`([\w/]+\.(?:py|md))`", page)):
        assert (ROOT / name).is_file() or (ROOT / "attention_nmt" / name).is_file(), name

    for name in set(re.findall(r"`([A-Za-z_.]+)`", page)):
        if name.endswith((".py", ".md", ".json", ".model", ".keras")):
            continue
        assert re.search(rf"\b{name.split('.')[-1]}\b", source), name


def test_the_page_on_reliability_names_tests_that_are_there() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    places = re.findall(r"`([\w/]+\.py)`(?:: ((?:`test_\w+`(?:, )?)+))?", page)
    assert len(places) > 50
    for place, names in places:
        source = (ROOT / "tests" / place).read_text(encoding="utf-8")
        for name in re.findall(r"test_\w+", names):
            assert f"def {name}(" in source, (place, name)
