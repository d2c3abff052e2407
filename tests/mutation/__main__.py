"""`make mutants`: puts faults into the code, one at a time, and counts those that a test notices.

Each mutant is a process that is forked where TensorFlow and pytest have been imported and nothing
of the project has, so that a mutant costs its tests alone.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .operators import Site, mutated, sites
from .startup.sitecustomize import install

ROOT = Path(__file__).parents[2]

_LAYERS = "tests/attention_nmt/layers"
_MODELS = "tests/attention_nmt/models"
_SEARCH = "tests/attention_nmt/search"
_DATA = "tests/attention_nmt/data"

_RECURRENCE = (f"{_LAYERS}/test_recurrence.py", f"{_MODELS}/test_conformance.py")
_BEHAVIOUR = f"{_LAYERS}/test_keras_behaviour.py"
_ALL_SEARCHES = (
    f"{_SEARCH}/test_search.py",
    f"{_SEARCH}/test_sampling.py",
    f"{_SEARCH}/test_search_of_models.py",
)
_BATCHES = (f"{_DATA}/test_joining.py", f"{_DATA}/test_batches.py")

TESTS: dict[str, tuple[str, ...]] = {
    "layers/attention.py": (
        f"{_MODELS}/test_conformance.py",
        f"{_MODELS}/test_invariance.py",
        f"{_LAYERS}/test_axes.py",
        f"{_LAYERS}/test_functional.py",
        _BEHAVIOUR,
    ),
    "layers/attending_gru.py": (*_RECURRENCE, "tests/attention_nmt/test_jax.py"),
    "layers/cells.py": (*_RECURRENCE, _BEHAVIOUR),
    "layers/recurrence.py": (*_RECURRENCE, f"{_MODELS}/test_invariance.py"),
    "layers/recurrent.py": (*_RECURRENCE, f"{_MODELS}/test_invariance.py", _BEHAVIOUR),
    "layers/decoder_recurrence.py": (*_RECURRENCE, *_ALL_SEARCHES[2:], _BEHAVIOUR),
    "search/beam.py": _ALL_SEARCHES,
    "search/greedy.py": _ALL_SEARCHES,
    "search/hypotheses.py": _ALL_SEARCHES,
    "search/loop.py": _ALL_SEARCHES,
    "search/noise.py": _ALL_SEARCHES[1:],
    "search/ranking.py": _ALL_SEARCHES,
    "search/sampling.py": _ALL_SEARCHES[1:],
    "search/search.py": (*_ALL_SEARCHES, "tests/attention_nmt/translation/test_translator.py"),
    "losses.py": ("tests/attention_nmt/test_losses.py", _BEHAVIOUR),
    "data/tokenizer.py": (f"{_DATA}/test_tokenizer.py", f"{_DATA}/test_limits.py"),
    "data/graph_tokenizer.py": (f"{_DATA}/test_tokenizer.py", f"{_DATA}/test_limits.py"),
    "data/segmentations.py": (f"{_DATA}/test_tokenizer.py", *_BATCHES),
    "data/batches.py": (*_BATCHES, f"{_DATA}/test_batches_in_keras.py"),
    "data/buckets.py": (f"{_DATA}/test_buckets.py", *_BATCHES),
    "data/chunks.py": (f"{_DATA}/test_capitals.py", *_BATCHES),
    "data/examples.py": _BATCHES,
    "data/joining.py": _BATCHES,
}
"""The tests of each file below `attention_nmt`, the quick ones first."""

_FAULT_OF_OURS = 100
"""The status of a process that did not come to its tests."""

SECONDS = 240
"""The time after which a mutant's tests are ended; as they are, none takes a third of it."""

KILLED = "killed"
SURVIVED = "survived"
ENDLESS = "endless"
"""Results of a mutant: a test failed, none did, or the tests did not end and were ended."""


class Mutant(NamedTuple):
    """A fault in a file; without a site there is none, and its tests have to pass."""

    file: str
    site: Site | None

    def __str__(self) -> str:
        if self.site is None:
            return f"attention_nmt/{self.file} as it is"
        where = f"attention_nmt/{self.file}:{self.site.line}"
        return f"{where} {self.site.kind}: {self.site.before} -> {self.site.after}"


def drawn(count: int, seed: int, only: str) -> list[Mutant]:
    """Mutants drawn from all sites of the files whose names contain `only`.

    A site is drawn by what it says, so that a change of other code draws the same ones again.
    """
    ranks: dict[Mutant, str] = {}
    for file in TESTS:
        if only not in file:
            continue
        source = (ROOT / "attention_nmt" / file).read_text(encoding="utf-8")
        alike: Counter[str] = Counter()
        for site in sites(source):
            said = f"{seed} {file} {site.kind} {site.before} {site.after}"
            alike[said] += 1
            rank = hashlib.sha256(f"{said} {alike[said]}".encode()).hexdigest()
            ranks[Mutant(file, site)] = rank

    chosen = sorted(ranks, key=ranks.__getitem__)[:count]
    print(f"{len(chosen)} of {len(ranks)} sites, seed {seed}.", flush=True)
    return sorted(chosen, key=str)


def run(mutants: Sequence[Mutant], processes: int) -> Iterator[tuple[Mutant, str, float]]:
    """Runs each mutant's tests; gives its result and its seconds as they end.

    Raises:
        RuntimeError: tests could not be run.
    """
    waiting = list(reversed(mutants))
    running: dict[int, tuple[Mutant, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < processes:
                mutant = waiting.pop()
                running[_fork(mutant, Path(folder))] = (mutant, time.monotonic())

            pid, status = os.wait()
            mutant, began = running.pop(pid)
            yield mutant, _result(mutant, status), time.monotonic() - began


def _result(mutant: Mutant, status: int) -> str:
    """What the end of a process says of a mutant."""
    import pytest

    results = {
        pytest.ExitCode.OK: SURVIVED,
        pytest.ExitCode.TESTS_FAILED: KILLED,
        pytest.ExitCode.INTERRUPTED: KILLED,  # an error where pytest imports the tests
        pytest.ExitCode.USAGE_ERROR: KILLED,  # an error where it imports a conftest
        -signal.SIGALRM: ENDLESS,
        -signal.SIGABRT: KILLED,
        -signal.SIGSEGV: KILLED,
    }
    code = os.waitstatus_to_exitcode(status)
    if code not in results:
        raise RuntimeError(f"{mutant}: its tests could not be run, status {code}")
    return results[code]


def passes_as_it_is(mutants: Sequence[Mutant], processes: int) -> bool:
    """Whether all tests pass without a fault: only then does a failure say that one was noticed."""
    one_of_each = {TESTS[mutant.file]: Mutant(mutant.file, None) for mutant in mutants}
    failed = [
        mutant
        for mutant, result, _ in run(list(one_of_each.values()), processes)
        if result != SURVIVED
    ]
    for mutant in failed:
        print(f"{mutant}: its tests fail.")
    return not failed


def _import_what_is_slow() -> None:
    """What the tests import and is not the project's; nothing of it has been used at the fork."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    import keras  # noqa: F401
    import pytest  # noqa: F401
    import sentencepiece  # noqa: F401
    import tensorflow  # noqa: F401
    import tensorflow_text  # noqa: F401


def _fork(mutant: Mutant, folder: Path) -> int:
    """Starts the tests of a mutant; the process ends with pytest's status."""
    pid = os.fork()
    if pid:
        return pid

    signal.alarm(SECONDS)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    status = _FAULT_OF_OURS
    try:
        if mutant.site is not None:
            _install(mutant.file, mutant.site, folder)
        status = _tests(mutant.file)
    finally:
        os._exit(status)


def _install(file: str, site: Site, folder: Path) -> None:
    path = ROOT / "attention_nmt" / file
    source = ast.unparse(mutated(path.read_text(encoding="utf-8"), site))
    name = ".".join(("attention_nmt", *Path(file).with_suffix("").parts))
    install(folder / f"{os.getpid()}.json", name, path, source)


def _tests(file: str) -> int:
    import pytest

    # pytest-timeout has the alarm to itself, and cannot end a loop outside of Python.
    without = [f"no:{plugin}" for plugin in ("cacheprovider", "randomly", "timeout")]
    plugins = [part for name in without for part in ("-p", name)]
    flags = ["-x", "-q", "-n0", "-m", "not long", *plugins]
    return int(pytest.main([*flags, *(str(ROOT / test) for test in TESTS[file])]))


def main() -> int:
    """Prints survivors and the share that was killed; 1 if it is below the aim."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--only", default="", help="a part of the names of files")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at a time")
    parser.add_argument("--aim", type=float, default=0.95, help="the least share to be killed")
    flags = parser.parse_args()

    os.chdir(ROOT)
    mutants = drawn(flags.count, flags.seed, flags.only)
    _import_what_is_slow()
    if not passes_as_it_is(mutants, flags.processes):
        return 1

    survivors = []
    endless = 0
    for number, (mutant, result, seconds) in enumerate(run(mutants, flags.processes), 1):
        print(f"{number:4d} {result:8s} {seconds:5.0f} s  {mutant}", flush=True)
        endless += result == ENDLESS
        if result == SURVIVED:
            survivors.append(mutant)

    noticed = len(mutants) - len(survivors)
    share = noticed / len(mutants)
    print(f"\n{noticed} of {len(mutants)} noticed: {share:.1%}, {endless} by tests without end.")
    print(f"Survivors: {len(survivors)}")
    for mutant in survivors:
        print(f"  {mutant}")
    return int(share < flags.aim)


if __name__ == "__main__":
    sys.exit(main())
