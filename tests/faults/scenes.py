"""The ground of all trials: a tiny corpus, command lines, and what is compared."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attention_nmt.archives import check_model_file, open_arrays
from attention_nmt.command import main
from attention_nmt.run_folder import RunFolder
from tests.training.corpora import TINY_MODEL, command

STEPS = 36
FLAGS = [
    *TINY_MODEL,
    f"--steps={STEPS}",
    "--warmup-steps=4",
    "--evaluate-steps=12",
    "--checkpoint-steps=4",
    "--sampling-alpha=0.3",
    "--embedding-dropout=0.2",
    "--target-word-dropout=0.1",
    "--average-decay=0.9",
]

LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}\.[a-z]+")
"""Names of what a killed process leaves in a run folder."""


@dataclass
class Trial:
    """One row of the table.

    Attributes:
        fault: what was done.
        promise: what is to hold.
        times: how often it was tried.
        failures: what did not hold, each time.
    """

    fault: str
    promise: str
    times: int = 0
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.failures.append(f"try {self.times}: {otherwise}")

    @property
    def row(self) -> str:
        """The trial as a row of a table in Markdown."""
        held = "yes" if not self.failures else f"{len(self.failures)} failures"
        return f"| {self.fault} | {self.times} | {self.promise} | {held} |"


def train_arguments(corpus: Path, run: Path, *flags: str) -> list[str | Path]:
    """The command line of a training."""
    return ["--dataset", corpus, "--run-dir", run, *FLAGS, *flags]


def start(module: str, *arguments: str | Path, backend: str = "tensorflow") -> subprocess.Popen:
    """Starts one of the commands; what it says goes into pipes."""
    return subprocess.Popen(
        command(module, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """The exit status of a command, and what it said on standard error."""
    said = process.communicate(timeout=900)[1]
    return process.returncode, said


def here(*arguments: str | Path) -> tuple[int, str]:
    """Runs `attention-nmt` in this process; its exit status and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = main([str(argument) for argument in arguments])
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


def differences(run: RunFolder, whole: RunFolder) -> str:
    """What a run that was disturbed has otherwise than one that was not; empty: nothing."""
    found = arrays(run.checkpoint)
    expected = arrays(whole.checkpoint)
    if found.keys() != expected.keys():
        return f"other entries: {sorted(found.keys() ^ expected.keys())}"

    for name, array in expected.items():
        if not np.array_equal(array, found[name]):
            return f"{name} differs"

    pairs = zip(run.load_best().get_weights(), whole.load_best().get_weights(), strict=True)
    if not all(np.array_equal(*pair) for pair in pairs):
        return "the best weights differ"

    leftovers = [path.name for path in run.path.iterdir() if path.name.startswith(".")]
    return f"left over: {leftovers}" if leftovers else ""


def heads() -> str:
    """The head of the table."""
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"Python {python}\n\n| fault | tries | what is to hold | held |\n| --- | --- | --- | --- |"
    )
