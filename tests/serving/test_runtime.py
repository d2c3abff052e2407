"""The threads of a process that translates, and what its garbage collector looks at."""

import gc
import os
import subprocess
import sys

import pytest

from serving.runtime import spare_what_is_loaded

THREADS = """
import sys
import tensorflow as tf
from attention_nmt.translation.translator import _batches_at_a_time
from serving.runtime import one_thread_an_operation
if "started" in sys.argv:
    tf.constant(1) + 1
one_thread_an_operation()
print(tf.config.threading.get_intra_op_parallelism_threads(), _batches_at_a_time())
"""


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, (1, os.cpu_count())),
        pytest.param(["started"], {}, (0, 2), marks=pytest.mark.long),
        pytest.param([], {"TF_NUM_INTRAOP_THREADS": "2"}, (0, 2), marks=pytest.mark.long),
        pytest.param(
            [], {"TF_NUM_INTRAOP_THREADS": "1"}, (1, os.cpu_count()), marks=pytest.mark.long
        ),
    ],
    ids=["a command", "a notebook", "one that was told", "one that was told the same"],
)
def test_one_thread_an_operation(
    arguments: list[str], environment: dict[str, str], expected: tuple[int, int]
) -> None:
    """0 is TensorFlow's own choice, as many as cores."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_NUM_INTRAOP_THREADS"}
    command = [sys.executable, "-c", THREADS, *arguments]
    done = subprocess.run(
        command, env={**kept, **environment}, capture_output=True, text=True, check=True
    )
    assert tuple(map(int, done.stdout.split())) == expected


def test_what_is_loaded_is_spared() -> None:
    """A full collection looks at what came later, and collects it."""
    loaded = [[index] for index in range(1000)]
    try:
        spare_what_is_loaded()
        later = [[index] for index in range(1000)]

        looked_at = {id(item) for item in gc.get_objects()}
        assert not looked_at & {id(item) for item in loaded}
        assert looked_at >= {id(item) for item in later}
    finally:
        gc.unfreeze()
