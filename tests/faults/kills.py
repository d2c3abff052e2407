"""`kill -9` at random moments of a training, its checkpoints and evaluations, and an export."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attention_nmt.run_folder import RunFolder

from .scenes import Trial, arrays, damage, differences, errors, finish, here, start, train_arguments

Moment = Callable[[], bool]

POLL_S = 0.0005
PATIENCE_S = 600


def kill(process: subprocess.Popen, moment: Moment, delay_s: float) -> bool:
    """Kills a process some time after a moment; False: it had ended before."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and not moment() and time.monotonic() < deadline:
        time.sleep(POLL_S)
    time.sleep(delay_s)

    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


def moments(run: RunFolder) -> dict[str, Moment]:
    """Ways to hit a training in what it does; each tells that it is doing it now."""

    def writes(prefix: str) -> bool:
        return run.path.is_dir() and any(
            path.name.startswith(prefix) for path in run.path.iterdir()
        )

    def evaluates() -> bool:
        if not run.checkpoint.is_file():
            return False
        step, *_, evaluated = arrays(run.checkpoint)["numbers"].tolist()
        return step % 12 == 0 and evaluated < step

    return {
        "anything": lambda: True,
        "its steps": run.checkpoint.is_file,
        "a checkpoint": lambda: writes(".checkpoint."),
        "an evaluation": evaluates,
        "the best weights": lambda: writes(".best."),
    }


DELAYS_S = {
    "anything": 12.0,
    "its steps": 6.0,
    "a checkpoint": 0.01,
    "an evaluation": 1.5,
    "the best weights": 0.02,
}
"""The longest delay behind a moment."""


def killed_trainings(
    corpus: Path, whole: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> list[Trial]:
    """Kills trainings until each was hit `count` times, a run folder at a time.

    Every run is hit in all ways, goes on each time, and is then left alone.
    """
    promise = "every file is whole, the next command goes on, the end has the same bits"
    trials = {name: Trial(f"kill -9 during {name} of a training", promise) for name in DELAYS_S}
    per_run = len(trials)
    for number in range(-(-count // per_run)):
        run = RunFolder(folder / f"killed-{number}")
        for name in rng.permutation(list(trials)).tolist():
            trial = trials[name]
            process = start("training.train", *train_arguments(corpus, run.path))
            delay = float(rng.uniform(0, DELAYS_S[name]))
            trial.times += kill(process, moments(run)[name], delay)
            if run.path.is_dir():
                found = damage(run)
                trial.expect(not found, found)

        status, said = finish(start("training.train", *train_arguments(corpus, run.path)))
        for trial in trials.values():
            trial.expect(status == 0, f"status {status}: {said[-300:]}")
            if status == 0:
                found = differences(run, whole)
                trial.expect(not found, found)
    return list(trials.values())


def killed_replays(
    recorded: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> Trial:
    """Kills trainings on a recording with JAX."""
    promise = "every file is whole, the next command goes on, the end has the same bits"
    trial = Trial("kill -9 during a training on a recording, JAX", promise)
    whole = _copy(recorded, folder / "replayed")
    status, said = finish(start("training.replay", "--run-dir", whole.path, backend="jax"))
    trial.expect(status == 0, said[-300:])

    run = _copy(recorded, folder / "killed-replay")
    while trial.times < count:
        process = start("training.replay", "--run-dir", run.path, backend="jax")
        ways = moments(run)
        name = str(rng.choice(list(ways)))
        if not kill(process, ways[name], float(rng.uniform(0, DELAYS_S[name]))):
            break
        trial.times += 1
        found = damage(run)
        trial.expect(not found, found)

    status, said = finish(start("training.replay", "--run-dir", run.path, backend="jax"))
    trial.expect(status == 0, said[-300:])
    if status == 0:
        found = differences(run, whole)
        trial.expect(not found, found)
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
    trial = Trial("kill -9 during an export", promise)
    output = folder / "export"

    def writes() -> bool:
        return output.is_dir() and any(
            path.name.startswith(".exporting-") for path in output.iterdir()
        )

    for _ in range(count):
        arguments = ("--run-dir", whole.path, "--output", output)
        process = start("serving.export", *arguments)
        trial.times += kill(process, writes, float(rng.uniform(0, 8)))
        for version in _versions(output):
            trial.expect(_is_whole(version), f"{version} is not whole")

    status, said = here("export", "--run-dir", whole.path, "--output", output)
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
    trial = Trial("kill -9 during the command evaluate", promise)
    before = {path.name: path.read_bytes() for path in whole.path.iterdir() if path.is_file()}
    output = folder / "evaluation"
    arguments = ("--run-dir", whole.path, "--split", "test", "--output", output)

    for _ in range(count):
        process = start("training.evaluate", *arguments)
        trial.times += kill(process, lambda: True, float(rng.uniform(0, 15)))

    after = {path.name: path.read_bytes() for path in whole.path.iterdir() if path.is_file()}
    trial.expect(before == after, "the run folder has changed")
    texts = []
    for _ in range(2):
        status, said = here("evaluate", *arguments)
        trial.expect(status == 0 and not errors(said), said[-300:])
        texts.append((output / "hypotheses.txt").read_text())
    trial.expect(texts[0] == texts[1], "the translations differ")
    hidden = [path.name for path in output.iterdir() if path.name.startswith(".")]
    trial.expect(not hidden, f"left over: {hidden}")
    return trial
