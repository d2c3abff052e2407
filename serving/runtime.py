"""TensorFlow in a command line: it starts without a word, and its errors take one line."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

from attention_nmt.checks import require
from attention_nmt.command import quiet_start


def check_backend(command: str) -> None:
    """Makes sure that Keras is not asked to run on another backend, before anything is loaded.

    Args:
        command: what needs TensorFlow, for the message.

    Raises:
        ValueError: `KERAS_BACKEND` names another one.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    expected = f"'tensorflow' for {command}, which runs a graph of TensorFlow"
    require(backend == "tensorflow", "KERAS_BACKEND", expected, backend)


def one_thread_an_operation() -> None:
    """Makes operations of this process run on one thread each, and several of them at a time.

    A search has many small products, which lose more by being cut than they gain: whole batches,
    one on each core, are faster. A `TF_NUM_INTRAOP_THREADS` of more than 1 says otherwise; and so
    does a TensorFlow that has started, as in a notebook.
    """
    import tensorflow as tf

    if os.environ.get("TF_NUM_INTRAOP_THREADS", "1") == "1":
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)


def spare_what_is_loaded() -> None:
    """Takes the objects that there are now from the garbage collector, for good.

    It looks through all objects at times, and no thread of Python runs meanwhile. Those of
    TensorFlow and of a model's graphs are some 400,000, which takes a fifth of a second.
    """
    gc.freeze()


@contextlib.contextmanager
def tensorflow_runtime(*errors: type[Exception]) -> Iterator[None]:
    """Imports TensorFlow, and turns errors of its operations into `OSError`.

    Args:
        *errors: other kinds of errors that are turned into it, such as a client's.

    Raises:
        ImportError: TensorFlow is not installed.
        OSError: the block raised one of them.
    """
    quiet_start(["tensorflow", "tensorflow_text"])
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, *errors) as error:
        raise OSError(str(error)) from error
