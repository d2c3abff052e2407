"""What the studies say of memory is of their own process."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.training.corpora import run
from training.studies import memory
from training.studies.memory import peak_mb, resident_mb


def test_a_peak_is_not_that_of_the_process_before() -> None:
    """Linux hands the peak of `getrusage` on to a process that is started."""
    held = np.ones(2**27, np.uint8)
    assert resident_mb() > held.nbytes / 2**20
    done = run("tests.training.studies.peak")
    assert done.returncode == 0, done.stderr
    own, inherited = map(float, done.stdout.split())
    assert own < 100 < inherited


def test_a_peak_on_macos_is_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    used = SimpleNamespace(ru_maxrss=3 * 2**20)
    monkeypatch.setattr(memory.resource, "getrusage", lambda _: used)
    assert peak_mb() == 3
