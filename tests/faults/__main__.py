"""Tries every fault and prints a table of what was tried and what held: `make faults`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attention_nmt.run_folder import RunFolder
from tests.training.corpora import write_folder

from . import conditions, damages, kills
from .scenes import Trial, finish, heads, start, train_arguments


def trials(folder: Path, count: int, seed: int) -> Iterator[Trial]:
    """All trials.

    Args:
        folder: an empty one for all that they write.
        count: the least `kill -9` of trainings; others are tried in proportion.
        seed: of moments and places.
    """
    rng = np.random.default_rng(seed)
    corpus = write_folder(folder / "corpus")
    whole = RunFolder(folder / "whole")
    status, said = finish(start("training.train", *train_arguments(corpus, whole.path)))
    if status:
        raise SystemExit(f"The training that nothing disturbs failed: {said}")

    part = max(1, count // 8)
    yield from kills.killed_trainings(corpus, whole, folder, count=count, rng=rng)
    yield kills.killed_evaluations(whole, folder, count=part, rng=rng)
    yield kills.killed_exports(whole, folder, count=part, rng=rng)

    recorded = RunFolder(folder / "recorded")
    finish(start("training.record", *train_arguments(corpus, recorded.path)))
    yield kills.killed_replays(recorded, folder, count=part, rng=rng)

    yield from damages.damaged_files(corpus, whole, folder, count=2 * part, rng=rng)
    yield from damages.exchanged_files(corpus, whole, folder)
    yield from conditions.full_disks(corpus, whole, folder, count=part, rng=rng)
    yield conditions.two_processes(corpus, folder)
    yield from conditions.signals(corpus, whole, folder, count=max(1, part // 2), rng=rng)
    yield conditions.not_finite(corpus, folder)


def main() -> int:
    """Tries all, prints the table.

    Returns:
        The exit status: 1 if something did not hold, or was not tried for no reason.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="the least kills of trainings")
    parser.add_argument("--seed", type=int, default=1, help="of moments and places")
    values = parser.parse_args()

    began = time.perf_counter()
    failures: list[str] = []
    tries = 0
    kills = 0
    print(heads(), flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        for trial in trials(Path(name), values.count, values.seed):
            print(trial.row, flush=True)
            tries += trial.times
            kills += trial.times if trial.kills else 0
            failures += [f"{trial.fault}: {failure}" for failure in trial.failures]
            if trial.is_missing:
                failures.append(f"{trial.fault}: not tried")

    minutes = (time.perf_counter() - began) / 60
    of_kills = f"of which {kills} are kills of processes that were alive"
    print(f"\n{tries} tries, {of_kills}; seed {values.seed}, {minutes:.0f} minutes.")
    for failure in failures:
        print(f"- {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
