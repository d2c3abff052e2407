"""Full and read-only disks, two processes, signals, numbers that are not finite."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from attention_nmt.run_folder import RunFolder

from .scenes import (
    EVALUATE_STEPS,
    STEPS,
    Position,
    Trial,
    arrays,
    damage,
    differences,
    errors,
    finish,
    here,
    identity,
    position,
    start,
    train_arguments,
)

NO_DISK = "this process may not mount a disk"
"""Why full and read-only disks are not tried."""

PATIENCE_S = 600
"""The time in which what is waited for has to happen."""

IN_STEPS_S = 0.25
"""The steps between two evaluations take longer."""

IN_A_BLOCK_S = 1.0
"""The longest delay of a signal; the evaluations that are left take longer."""


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[bool]:
    """A disk of some size in a folder; False: this process may make none."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    may = shutil.which("mount") is not None and os.geteuid() == 0
    made = may and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def full_disks(
    corpus: Path, whole: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> list[Trial]:
    """Trainings on disks that fill up at some point, and then have space again."""
    promise = "status 1, one line; every file is whole; with space again, the same bits"
    full = Trial("a full disk", promise)
    size = sum(path.stat().st_size for path in whole.path.rglob("*") if path.is_file())
    for number in range(count):
        with small_disk(folder / f"disk-{number}", 8 * size) as made:
            if not made:
                full.reason = NO_DISK
                break

            full.times += 1
            run = RunFolder(folder / f"disk-{number}" / "run")
            free = int(rng.uniform(0, size))
            filler = run.path.parent / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(run.path.parent).free - free))
            status, said = here("train", *train_arguments(corpus, run.path))
            full.expect(status == 1 and len(errors(said)) == 1, f"{status}: {said[-300:]}")
            full.expect("No space" in said, said[-300:])
            found = damage(run) if run.path.is_dir() else ""
            full.expect(not found, found)

            filler.unlink()
            status, said = here("train", *train_arguments(corpus, run.path))
            full.expect(status == 0, said[-300:])
            if status == 0:
                found = differences(run, whole)
                full.expect(not found, found)
    return [full, read_only_disk(corpus, whole, folder)]


def read_only_disk(corpus: Path, whole: RunFolder, folder: Path) -> Trial:
    """Commands on a run that cannot be written."""
    trial = Trial("a read-only disk", "train and evaluate: status 1, one line; translate works")
    disk = folder / "read-only"
    with small_disk(disk, 2**26) as made:
        if not made:
            trial.reason = NO_DISK
            return trial

        run = RunFolder(Path(shutil.copytree(whole.path, disk / "run")))
        run.samples_file.unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for arguments, expected in (
            (("train", *train_arguments(corpus, run.path)), 1),
            (("evaluate", "--run-dir", run.path), 1),
            (("translate", "--run-dir", run.path, "The dog."), 0),
        ):
            trial.times += 1
            status, said = here(*arguments)
            trial.expect(status == expected, f"{arguments[0]}: {status}: {said[-300:]}")
            trial.expect(len(errors(said)) == expected, said[-300:])
    return trial


def two_processes(corpus: Path, folder: Path) -> Trial:
    """A second training in a run folder where one is."""
    trial = Trial("two trainings in a run folder", "the second: status 1, one line")
    run = RunFolder(folder / "two")
    first = start("training.train", *train_arguments(corpus, run.path))
    try:
        _wait_for(first, run.source_tokenizer)
        trial.times += 1
        status, said = here("train", *train_arguments(corpus, run.path))
        trial.expect(status == 1 and "another process is training" in said, said[-300:])
        trial.expect(len(errors(said)) == 1, said[-300:])
    finally:
        first.kill()
        first.communicate()
    return trial


def _wait_for(process: subprocess.Popen, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def signals(
    corpus: Path, whole: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> list[Trial]:
    """SIGTERM and Ctrl-C at random moments of the steps and evaluations.

    No checkpoint is due but those of evaluations, so that one of another step is the signal's.
    """
    # Where this runs in the background, the processes that it starts would ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    trials = []
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        promise = f"status {status} behind a checkpoint of that step; at the end the same bits"
        trial = Trial("", promise)
        steps = []
        for index in range(count):
            run = RunFolder(folder / f"{number.name}-{index}")
            arguments = train_arguments(corpus, run.path, "--checkpoint-steps=1000")
            process = start("training.train", *arguments)
            longest = IN_A_BLOCK_S if index % 2 else IN_STEPS_S
            trial.times += 1
            stopped = _stop(
                trial, process, run, number, status=status, delay_s=float(rng.uniform(0, longest))
            )
            steps.append(str(stopped.step))

            found, said = finish(start("training.train", *arguments))
            trial.expect(found == 0, f"status {found}: {said[-300:]}")
            differs = differences(run, whole) if found == 0 else ""
            trial.expect(not differs, differs)
        trial.fault = f"{number.name} during a training, at step {', '.join(steps)} of {STEPS}"
        trials.append(trial)
    return trials


def _stop(
    trial: Trial,
    process: subprocess.Popen,
    run: RunFolder,
    number: signal.Signals,
    *,
    status: int,
    delay_s: float,
) -> Position:
    """Sends a signal some time after the first evaluation; the position of what it left."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if run.checkpoint.is_file() and position(run.checkpoint).evaluated > 0:
            break
        time.sleep(0.001)
    time.sleep(delay_s)

    before = position(run.checkpoint)
    written = identity(run.checkpoint)
    process.send_signal(number)
    found, said = finish(process)
    trial.expect(found == status, f"status {found}: {said[-300:]}")
    trial.expect("goes on from the last checkpoint" in said, said[-300:])

    after = position(run.checkpoint)
    trial.expect(identity(run.checkpoint) != written, f"no checkpoint behind step {before.step}")
    # The step at the signal is at most that of the next evaluation.
    in_block = before.step <= after.step <= before.step + EVALUATE_STEPS
    trial.expect(in_block, f"a checkpoint of step {after.step} behind one of step {before.step}")
    return after


def not_finite(corpus: Path, folder: Path) -> Trial:
    """A learning rate at which no number stays finite."""
    promise = "status 1, one line; nothing that is not finite is kept or exported"
    trial = Trial("--learning-rate 1e38", promise)
    run = RunFolder(folder / "not-finite")
    trial.times += 1
    flags = ("--learning-rate=1e38", "--checkpoint-steps=1", "--evaluate-steps=2")
    status, said = here("train", *train_arguments(corpus, run.path, *flags))
    trial.expect(status == 1 and len(errors(said)) == 1, f"{status}: {said[-300:]}")
    trial.expect("not finite" in said or "finite numbers" in said, said[-300:])
    if run.checkpoint.is_file():
        finite = all(
            np.isfinite(array).all()
            for name, array in arrays(run.checkpoint).items()
            if name.startswith(("variable", "average"))
        )
        trial.expect(finite, "the checkpoint is not finite")
    if run.best.is_file():
        run.load_model()  # raises where a weight is not finite
    return trial
