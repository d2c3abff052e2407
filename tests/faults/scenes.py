"""The ground of all trials: a tiny corpus, command lines, and what is compared."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attention_nmt.archives import check_model_file, open_arrays, read_note
from attention_nmt.command import COMMANDS
from attention_nmt.run_folder import RunFolder
from tests.training.corpora import TINY_MODEL, command

STEPS = 48
EVALUATE_STEPS = 12
FLAGS = [
    *TINY_MODEL,
    f"--steps={STEPS}",
    "--warmup-steps=4",
    f"--evaluate-steps={EVALUATE_STEPS}",
    "--checkpoint-steps=4",
    "--sampling-alpha=0.3",
    "--embedding-dropout=0.2",
    "--target-word-dropout=0.1",
    "--average-decay=0.9",
]

LEFTOVER = re.compile(r"\..+\.(partial-)?[0-9a-f]{8}\.[a-z]+")
"""Names of what a killed process leaves in a run folder."""


@dataclass
class Trial:
    """One row of the table.

    Attributes:
        fault: what was done.
        promise: what is to hold.
        times: how often it was tried.
        failures: what did not hold, each time.
        kills: whether each try is a `kill -9` of a process that was alive.
        reason: why it cannot be tried here; empty: it can.
    """

    fault: str
    promise: str
    times: int = 0
    failures: list[str] = field(default_factory=list)
    kills: bool = False
    reason: str = ""

    def expect(self, holds: bool, otherwise: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.failures.append(f"try {self.times}: {otherwise}")

    @property
    def is_missing(self) -> bool:
        """Whether it was never tried, and no reason is known."""
        return self.times == 0 and not self.reason

    @property
    def held(self) -> str:
        """Whether the promise held, in words."""
        if self.failures:
            return f"{len(self.failures)} failures"
        if self.times == 0:
            return f"not tried: {self.reason}" if self.reason else "not tried"
        return "yes"

    @property
    def row(self) -> str:
        """The trial as a row of a table in Markdown."""
        return f"| {self.fault} | {self.times} | {self.promise} | {self.held} |"


def train_arguments(corpus: Path, run: Path, *flags: str) -> list[str | Path]:
    """The command line of a training."""
    return ["--dataset", corpus, "--run-dir", run, *FLAGS, *flags]


def start(module: str, *arguments: str | Path, **environment: str) -> subprocess.Popen:
    """Starts one of the commands; what it says goes into pipes.

    Args:
        module: the command's.
        *arguments: its command line.
        **environment: variables beside those of this process.
    """
    return subprocess.Popen(
        command(module, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", **environment},
    )


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """The exit status of a command, and what it said on standard error."""
    said = process.communicate(timeout=900)[1]
    return process.returncode, said


def here(*arguments: str | Path) -> tuple[int, str]:
    """Runs one of the commands in this process; its exit status and what it said.

    By the names that its modules have in a clone: other tests have imported them by those.
    """
    name, *flags = map(str, arguments)
    main = importlib.import_module(COMMANDS[name].module).main
    said = io.StringIO()
    # Commands write bytes, too.
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(said):
        status = main(flags)
    return status, said.getvalue()


def errors(said: str) -> list[str]:
    """The lines that say what is at fault; a traceback is one of many."""
    lines = said.splitlines()
    if any(line.startswith("Traceback") for line in lines):
        return lines
    return [line for line in lines if line.startswith("error: ")]


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint."""
    with open_arrays(path, "checkpoint") as found:
        return {name: found[name] for name in sorted(found.names)}


class Position(NamedTuple):
    """The numbers of a checkpoint."""

    step: int
    epoch: int
    batches: int
    best_step: int
    waited: int
    evaluated: int


def position(path: Path) -> Position:
    """The numbers of a checkpoint."""
    with open_arrays(path, "checkpoint") as found:
        return Position(*found["numbers"].tolist())


class Identity(NamedTuple):
    """Tells a file from those that were under its name before."""

    inode: int
    written_ns: int


def identity(path: Path) -> Identity | None:
    """The identity of a file; None: there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return Identity(inode=found.st_ino, written_ns=found.st_mtime_ns)


def damage(run: RunFolder) -> str:
    """What is not whole in a run folder, of whose process nothing is left; empty: all is."""
    try:
        if run.checkpoint.is_file():
            arrays(run.checkpoint)
        if run.best.is_file():
            check_model_file(run.best)
        for path in (run.config, run.data, run.best_score):
            if path.is_file():
                json.loads(path.read_text())
        if run.source_tokenizer.is_file():
            run.load_tokenizers()
    except ValueError as error:
        return str(error)

    strange = [
        path.name
        for path in run.path.iterdir()
        if path.name not in (*run.names, "logs", "evaluation", "export")
        and not LEFTOVER.fullmatch(path.name)
    ]
    return f"strange files: {strange}" if strange else ""


def different_arrays(path: Path, other: Path) -> str:
    """The first difference of two checkpoints, to the bit; empty: there is none."""
    found = arrays(path)
    expected = arrays(other)
    if found.keys() != expected.keys():
        return f"other entries: {sorted(found.keys() ^ expected.keys())}"

    for name, array in expected.items():
        same_type = array.dtype == found[name].dtype and array.shape == found[name].shape
        if not same_type or array.tobytes() != found[name].tobytes():
            return f"{name} differs"
    return ""


def same_model(run: RunFolder, other: RunFolder) -> bool:
    """Whether the best models of two runs have the same settings, weights and notes, to the bit."""
    if read_note(run.best) != read_note(other.best):
        return False

    found = run.load_model()
    expected = other.load_model()
    # Keras numbers the models of a process in their names.
    if {**found.get_config(), "name": ""} != {**expected.get_config(), "name": ""}:
        return False

    pairs = zip(found.get_weights(), expected.get_weights(), strict=True)
    return all(array.tobytes() == wanted.tobytes() for array, wanted in pairs)


def differences(run: RunFolder, whole: RunFolder) -> str:
    """What a run that was disturbed has otherwise than one that was not; empty: nothing."""
    differs = different_arrays(run.checkpoint, whole.checkpoint)
    if differs:
        return differs

    if not same_model(run, whole):
        return "the best weights differ"

    leftovers = [path.name for path in run.path.iterdir() if path.name.startswith(".")]
    return f"left over: {leftovers}" if leftovers else ""


def heads() -> str:
    """The head of the table."""
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"Python {python}\n\n| fault | tries | what is to hold | held |\n| --- | --- | --- | --- |"
    )
