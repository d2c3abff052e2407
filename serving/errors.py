"""Errors of libraries, as the ones that a command line reports in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def tensorflow_errors(*others: type[Exception]) -> Iterator[None]:
    """Turns errors of TensorFlow's operations, and of the kinds that are given, into `OSError`.

    Args:
        *others: other kinds of errors, such as a client's.

    Raises:
        OSError: the block raised one of them.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, *others) as error:
        raise OSError(str(error)) from error
