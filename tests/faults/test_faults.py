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
