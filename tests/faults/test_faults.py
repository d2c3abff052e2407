"""A short form of `make faults`, and one that a longer test run has."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from attention_nmt.run_folder import RunFolder
from tests.faults import conditions, damages, kills
from tests.faults.kills import TrainingWatch, strike
from tests.faults.scenes import Trial, arrays, finish, start, train_arguments
from tests.training.corpora import write_folder

WRITER = textwrap.dedent(
    """
    import itertools, sys
    from pathlib import Path
    import numpy as np
    from attention_nmt.files import atomic_write

    path = Path(sys.argv[1])
    for number in itertools.count():
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, numbers=np.full(50_000, number), again=np.full(50_000, number))
        print(number, flush=True)
    """
)


def test_a_checkpoint_is_whole_after_every_kill(tmp_path: Path) -> None:
    """And nothing is left over when the next process has written one."""
    draw = random.Random(1)
    path = tmp_path / "checkpoint.npz"
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "0\n"
            assert [found.name for found in tmp_path.iterdir() if found != path][1:] == []
            time.sleep(draw.uniform(0, 0.02))
            process.kill()
            said = process.stdout.read().split()

        found = arrays(path)
        last = int(said[-1]) if said else 0
        assert np.ptp(found["numbers"]) == 0
        assert np.array_equal(found["numbers"], found["again"])
        assert found["numbers"][0] in (last, last + 1)
    assert len(list(tmp_path.iterdir())) <= 2


def test_only_what_was_tried_held() -> None:
    held = {
        "yes": Trial("", "", times=1),
        "not tried": Trial("", ""),
        "not tried: no right": Trial("", "", reason="no right"),
        "1 failures": Trial("", "", failures=["try 1: it broke"]),
    }
    assert {text: trial.held for text, trial in held.items()} == {text: text for text in held}
    assert [trial.is_missing for trial in held.values()] == [False, True, False, True]


@pytest.mark.parametrize(
    ("code", "alive", "failures"),
    [("import time; time.sleep(60)", True, 0), ("", False, 0), ("raise SystemExit(3)", False, 1)],
)
def test_only_a_process_that_was_alive_is_killed(code: str, alive: bool, failures: int) -> None:
    """One that has ended by itself is not counted, and has to end well."""
    trial = Trial("", "")
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    moment = (lambda: True) if alive else (lambda: process.poll() is not None)
    assert strike(trial, process, moment, 0.0) == alive
    assert trial.times == alive
    assert len(trial.failures) == failures


def test_what_an_earlier_process_left_is_no_moment_of_a_later_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)

    def write(step: int, evaluated: int) -> None:
        numbers = np.array([step, 0, step, 0, 0, evaluated])
        new = tmp_path / "new.npz"
        np.savez(new, numbers=numbers)
        new.rename(run.checkpoint)

    write(12, 0)
    (tmp_path / ".checkpoint.partial-0123abcd.npz").touch()
    watch = TrainingWatch(run)

    def found() -> list[bool]:
        return [watch.writes(".checkpoint."), watch.trains(), watch.evaluates()]

    assert found() == [False, False, False]
    (tmp_path / ".checkpoint.partial-4567abcd.npz").touch()
    assert found() == [True, False, False]
    write(16, 12)
    assert found() == [True, True, False]
    write(24, 12)
    assert found() == [True, True, True]
    write(24, 24)
    assert found() == [True, True, False]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_holds_when_a_training_is_killed_and_its_files_are_damaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    corpus = write_folder(tmp_path / "corpus")
    whole = RunFolder(tmp_path / "whole")
    status, said = finish(start("training.train", *train_arguments(corpus, whole.path)))
    assert status == 0, said

    trials: list[Trial] = []
    trials += kills.killed_trainings(corpus, whole, tmp_path, count=5, rng=rng)
    trials.append(kills.killed_evaluations(whole, tmp_path, count=1, rng=rng))
    trials += damages.damaged_files(corpus, whole, tmp_path, count=2, rng=rng)
    trials += damages.exchanged_files(corpus, whole, tmp_path)
    trials += conditions.full_disks(corpus, whole, tmp_path, count=1, rng=rng)
    trials.append(conditions.two_processes(corpus, tmp_path))
    trials += conditions.signals(corpus, whole, tmp_path, count=1, rng=rng)
    trials.append(conditions.not_finite(corpus, tmp_path))
    failures = [(trial.fault, trial.failures) for trial in trials if trial.failures]
    assert not failures
    assert not [trial.fault for trial in trials if trial.is_missing]
