"""TensorFlow in a command line: it starts without a word, and its errors take one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from attention_nmt.command import quiet_start


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
