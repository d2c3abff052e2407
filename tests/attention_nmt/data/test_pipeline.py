"""A process ends though an exception has left an iterator whose thread runs Python."""

import subprocess
import sys

import pytest

SCRIPT = """
import gc, time
import tensorflow as tf
import attention_nmt.data.pipeline

def generate():
    while True:
        end = time.time() + 0.05
        while time.time() < end:
            pass
        yield 1

class Holder:
    pass

data = tf.data.Dataset.from_generator(generate, output_signature=tf.TensorSpec([], tf.int32))
data = data.prefetch(1000).map(lambda x: x + 1)

def fit():
    holder = Holder()
    holder.itself = holder
    holder.iterator = iter(data)
    for _ in range(5):
        next(holder.iterator)
    raise SystemExit(143)

gc.disable()
fit()
"""


@pytest.mark.long
def test_a_process_ends_behind_an_exception() -> None:
    """Without a collection at its end two of three hang, in TensorFlow 2.21."""
    processes = [subprocess.Popen([sys.executable, "-c", SCRIPT]) for _ in range(4)]
    try:
        assert [process.wait(timeout=150) for process in processes] == [143] * 4
    finally:
        for process in processes:
            process.kill()
