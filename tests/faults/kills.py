"""`kill -9` at random moments of a training, its checkpoints and evaluations, and an export."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attention_nmt.run_folder import RunFolder

from .scenes import (
    EVALUATE_STEPS,
    Trial,
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

Moment = Callable[[], bool]

POLL_S = 0.0005
PATIENCE_S = 600

SAME_BITS = "every file is whole, the next command goes on, the end has the same bits"

STARTS_A_KILL = 4
"""The most processes that are started for each kill: some end before they are killed."""


def strike(trial: Trial, process: subprocess.Popen, moment: Moment, delay_s: float) -> bool:
    """Kills a process some time after a moment, and counts the kill.

    Args:
        trial: counts; and takes it as a failure if the process ends by itself and not well, or if
            the moment never comes.
        process: the process.
        moment: tells that it is there.
        delay_s: seconds from the moment to the kill.

    Returns:
        Whether the process was alive. One that had ended before is not counted.
    """
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and not moment() and time.monotonic() < deadline:
        time.sleep(POLL_S)
    late = time.monotonic() >= deadline

    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay_s)
    process.kill()
    said = process.communicate()[1] or ""

    alive = process.returncode == -signal.SIGKILL
    struck = alive and not late
    trial.times += struck
    trial.expect(not late, f"nothing to kill came in {PATIENCE_S} s")
    trial.expect(alive or process.returncode == 0, f"status {process.returncode}: {said[-300:]}")
    return struck


class Watch:
    """What a process brings about in a folder; made before the process starts.

    What an earlier process left there is no moment of this one.

    Args:
        folder: the folder, which need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = self._names()

    def _names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()

    def writes(self, prefix: str = "") -> bool:
        """Whether a name with a prefix is there that was not there before."""
        return any(name.startswith(prefix) for name in self._names() - self._before)


class TrainingWatch(Watch):
    """What a training brings about in its run folder; made before the training starts.

    Args:
        run: the run folder, which need not be there yet.
    """

    def __init__(self, run: RunFolder) -> None:
        super().__init__(run.path)
        self.run = run
        self._checkpoint = identity(run.checkpoint)
        self._read = self._checkpoint
        self._evaluates = False

    def trains(self) -> bool:
        """Whether there is a checkpoint of this training's own steps."""
        return identity(self.run.checkpoint) not in (None, self._checkpoint)

    def evaluates(self) -> bool:
        """Whether a checkpoint of this training waits for its evaluation."""
        found = identity(self.run.checkpoint)
        if found != self._read:
            numbers = position(self.run.checkpoint)
            is_due = numbers.step % EVALUATE_STEPS == 0
            self._evaluates = is_due and numbers.evaluated < numbers.step
            self._read = found
        return self._evaluates


class Way(NamedTuple):
    """A way to hit a training."""

    moment: Callable[[TrainingWatch], bool]
    delay_s: float
    """The longest delay behind the moment."""


WAYS = {
    "anything": Way(lambda watch: True, 12.0),  # noqa: ARG005
    "its steps": Way(TrainingWatch.trains, 4.0),
    "a checkpoint": Way(lambda watch: watch.writes(".checkpoint."), 0.01),
    "an evaluation": Way(TrainingWatch.evaluates, 1.0),
    "the best weights": Way(lambda watch: watch.writes(".best."), 0.02),
}
"""The ways by what a training is doing."""


class Training(NamedTuple):
    """A training that is done again and again."""

    new: Callable[[int], RunFolder]
    """Gives the run folder of a number, in which nothing was trained."""
    begin: Callable[[RunFolder], subprocess.Popen]
    """Trains in a run folder, or goes on."""
    whole: RunFolder
    """The run of a training that nothing disturbed."""


def kill_trainings(
    training: Training, names: Iterable[str], share: int, rng: np.random.Generator
) -> dict[str, Trial]:
    """Kills a training until each way has hit it `share` times, a run folder at a time.

    Every run is hit in each way that has not had its share, goes on each time, and is then left
    alone until its end.

    Args:
        training: the training.
        names: those of the ways.
        share: the kills of each way.
        rng: draws orders and delays.

    Returns:
        A trial for each way.
    """
    trials = {
        name: Trial(f"kill -9 during {name} of a training", SAME_BITS, kills=True) for name in names
    }
    for number in range(STARTS_A_KILL * share * len(trials)):
        lacking = [name for name, trial in trials.items() if trial.times < share]
        if not lacking:
            break

        run = training.new(number)
        tried = []
        goes_on = True
        for name in rng.permutation(lacking).tolist():
            tried.append(trials[name])
            delay_s = float(rng.uniform(0, WAYS[name].delay_s))
            moment = functools.partial(WAYS[name].moment, TrainingWatch(run))
            goes_on = strike(trials[name], training.begin(run), moment, delay_s)
            found = damage(run) if run.path.is_dir() else ""
            trials[name].expect(not found, found)
            if not goes_on:
                break

        _compare(training, run, tried, goes_on=goes_on)

    for trial in trials.values():
        trial.expect(trial.times >= share, f"{trial.times} kills came about, of {share}")
    return trials


def _compare(training: Training, run: RunFolder, trials: list[Trial], *, goes_on: bool) -> None:
    """Lets a run come to its end, and compares it with that which nothing disturbed."""
    status, said = finish(training.begin(run)) if goes_on else (0, "")
    found = differences(run, training.whole) if status == 0 and run.best.is_file() else "no end"
    for trial in trials:
        trial.expect(status == 0, f"status {status}: {said[-300:]}")
        trial.expect(not found, found)


def killed_trainings(
    corpus: Path, whole: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> list[Trial]:
    """Kills trainings on a corpus at least `count` times, in each way equally often."""
    training = Training(
        new=lambda number: RunFolder(folder / f"killed-{number}"),
        begin=lambda run: start("training.train", *train_arguments(corpus, run.path)),
        whole=whole,
    )
    share = -(-count // len(WAYS))
    return list(kill_trainings(training, WAYS, share, rng).values())


def killed_replays(
    recorded: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> Trial:
    """Kills trainings on a recording with JAX at least `count` times, in ways that are drawn."""
    # What JAX has compiled is kept: it would take most of the time of each process.
    environment = {
        "KERAS_BACKEND": "jax",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def begin(run: RunFolder) -> subprocess.Popen:
        return start("training.replay", "--run-dir", run.path, **environment)

    trial = Trial("kill -9 during a training on a recording, JAX", SAME_BITS, kills=True)
    whole = _copy(recorded, folder / "replayed")
    status, said = finish(begin(whole))
    if status:
        trial.expect(False, f"status {status}: {said[-300:]}")
        return trial

    training = Training(
        new=lambda number: _copy(recorded, folder / f"killed-replay-{number}"),
        begin=begin,
        whole=whole,
    )
    names = rng.permutation(list(WAYS)).tolist()[:count]
    found = kill_trainings(training, names, -(-count // len(names)), rng)
    for name, each in found.items():
        trial.times += each.times
        trial.failures += [f"{name}, {failure}" for failure in each.failures]
    return trial


def _copy(recorded: RunFolder, path: Path) -> RunFolder:
    run = RunFolder(path)
    path.mkdir()
    for source in (recorded.config, recorded.source_tokenizer, recorded.recording, recorded.data):
        (path / source.name).write_bytes(source.read_bytes())
    return run


def killed_exports(
    whole: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> Trial:
    """Kills exports while they write; what is published is always whole."""
    promise = "published versions are whole, the next export leaves nothing over"
    trial = Trial("kill -9 during an export", promise, kills=True)
    output = folder / "export"
    arguments = ("--run-dir", whole.path, "--output", output)

    for _ in range(STARTS_A_KILL * count):
        if trial.times == count:
            break

        writes = functools.partial(Watch(output).writes, ".exporting-")
        strike(trial, start("serving.export", *arguments), writes, float(rng.uniform(0, 4)))
        for version in _versions(output):
            trial.expect(_is_whole(version), f"{version} is not whole")

    trial.expect(trial.times == count, f"{trial.times} kills came about, of {count}")
    status, said = here("export", *arguments)
    trial.expect(status == 0, said[-300:])
    hidden = [path.name for path in output.iterdir() if path.name.startswith(".exporting-")]
    trial.expect(not hidden, f"left over: {hidden}")
    trial.expect(all(map(_is_whole, _versions(output))), "a version is not whole")
    return trial


def _versions(output: Path) -> list[Path]:
    return [path for path in output.iterdir() if path.name.isdigit()] if output.is_dir() else []


def _is_whole(version: Path) -> bool:
    """Whether a version loads."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 - registers operations

    try:
        tf.saved_model.load(str(version))
    except (OSError, ValueError, tf.errors.OpError):
        return False
    return True


def killed_evaluations(
    whole: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> Trial:
    """Kills the command `evaluate`; the run is as it was, and the scores are the same."""
    promise = (
        "the run is as it was, the next evaluation has the same scores and leaves nothing over"
    )
    trial = Trial("kill -9 during the command evaluate", promise, kills=True)
    before = {path.name: path.read_bytes() for path in whole.path.iterdir() if path.is_file()}
    output = folder / "evaluation"
    undisturbed = folder / "evaluation-undisturbed"
    arguments = ("--run-dir", whole.path, "--split", "test", "--output")

    began = time.monotonic()
    status, said = finish(start("training.evaluate", *arguments, undisturbed))
    seconds = time.monotonic() - began
    trial.expect(status == 0, said[-300:])

    for number in range(STARTS_A_KILL * count):
        if trial.times == count:
            break

        # At any time, and in turn while it writes.
        watch = Watch(output)
        moment, longest = (watch.writes, 2.0) if number % 2 else (lambda: True, seconds)
        process = start("training.evaluate", *arguments, output)
        strike(trial, process, moment, float(rng.uniform(0, longest)))

    trial.expect(trial.times == count, f"{trial.times} kills came about, of {count}")
    status, said = here("evaluate", *arguments, output)
    trial.expect(status == 0 and not errors(said), said[-300:])
    after = {path.name: path.read_bytes() for path in whole.path.iterdir() if path.is_file()}
    trial.expect(before == after, "the run folder has changed")
    trial.expect(_results(output) == _results(undisturbed), "the translations or scores differ")
    hidden = [path.name for path in output.glob(".*")]
    trial.expect(not hidden, f"left over: {hidden}")
    return trial


def _results(output: Path) -> tuple[str, list]:
    """The translations and the scores that an evaluation wrote; nothing, if it did not end."""
    if not (output / "scores.json").is_file():
        return "", []
    scores = json.loads((output / "scores.json").read_text())["scores"]
    return (output / "hypotheses.txt").read_text(), scores
