"""Checks of the batches that Keras' `fit`, `evaluate` and `predict` hand to a model.

An id beyond a vocabulary goes unseen through a step that XLA compiles, gives NaN on JAX and a long
trace elsewhere. So batches are checked on their way to the step, which takes microseconds.

They are copied, too. TensorFlow reads NumPy arrays of a generator where they lie if their address
is a multiple of 64, and of a part of their rows it forgets that they are not its own: an operation
may write its result into them. `tf.distribute` takes such parts, so the next epoch would read
other weights of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from types import GeneratorType
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from attention_nmt.backend import is_dataset
from attention_nmt.checks import require

_INPUTS = '{"source": ids [B, S], "target": ids [B, T]}, as `TrainingBatches` makes them of texts'
_ONE_WIDTH = "equally wide in all batches, as `TrainingBatches.evaluation` makes them"
_MESSAGE = re.compile(r"`\w+` must be [^\n]*? Received: [^\n]*?\.(?=[\]\n]|$)")
"""A message of `require` within one of TensorFlow's."""


class Expected(NamedTuple):
    """The data that a model reads."""

    source_size: int  # of its vocabulary
    target_size: int
    labels: bool  # whether labels are needed
    one_width: bool  # whether the targets of all batches must be equally wide


class _Ids(NamedTuple):
    """One tensor of a batch."""

    name: str
    value: Any  # an array, a tensor or a `tf.TensorSpec`
    size: int  # of the vocabulary

    @property
    def expected(self) -> str:
        """The ids that there are."""
        return f"ids from 0 to {self.size - 1}, those of the model's {self.size} pieces"


def check_arrays(x: Any, y: Any, expected: Expected) -> None:
    """Checks the inputs and the labels of a batch, or of a corpus in memory.

    Args:
        x: the inputs.
        y: the labels, or None.
        expected: what the model reads.

    Raises:
        ValueError: they are nothing that the model reads, or an id is beyond its vocabulary.
    """
    for part in _checked_types(x, y, expected):
        ids = ops.convert_to_numpy(part.value)
        wrong = ids[(ids < 0) | (ids >= part.size)]
        received = int(wrong[0]) if wrong.size else None
        require(received is None, part.name, part.expected, received)


def checked(data: Any, expected: Expected) -> Any:
    """The same data, which checks each batch before it hands on a copy of it.

    Args:
        data: a `tf.data.Dataset`, a `PyDataset` or a generator; anything else stays as it is.
        expected: what the model reads.

    Raises:
        ValueError: a dataset's batches are nothing that the model reads. What is raised later, by a
            batch, is a `ValueError` within `plain_errors`.
    """
    if is_dataset(data):
        return _checked_dataset(data, expected)
    if isinstance(data, keras.utils.PyDataset):
        return _CheckedPyDataset(data, _BatchCheck(expected))
    if isinstance(data, GeneratorType):
        return _checked_generator(data, _BatchCheck(expected))
    return data


@contextmanager
def plain_errors() -> Iterator[None]:
    """A block in which TensorFlow's error of a check becomes the `ValueError` that it reports."""
    try:
        yield
    except Exception as error:
        found = _MESSAGE.search(str(error))
        if found is None or not type(error).__module__.startswith("tensorflow"):
            raise
        raise ValueError(found.group()) from None


def _checked_types(x: Any, y: Any, expected: Expected) -> list[_Ids]:
    """The tensors of a batch, or the specs of a dataset's, which must be integers of two axes."""
    has_both = isinstance(x, Mapping) and "source" in x and "target" in x
    require(has_both, "x", _INPUTS, _Described(x))

    parts = [
        _Ids("source", x["source"], expected.source_size),
        _Ids("target", x["target"], expected.target_size),
    ]
    if y is not None or expected.labels:
        parts.append(_Ids("y", y, expected.target_size))

    for part in parts:
        dtype = getattr(part.value, "dtype", None)
        is_integer = getattr(dtype, "name", str(dtype)).startswith(("int", "uint"))
        fits = is_integer and _rank(part.value) in (2, None)
        require(fits, part.name, "an array of integer ids of two axes", _Described(part.value))
    return parts


def _rank(value: Any) -> int | None:
    """The number of axes, None where a dataset does not know it."""
    shape = value.shape
    return shape.rank if hasattr(shape, "rank") else len(shape)


class _Described:
    """A value in a message: its type, and its dtype and shape if it has them."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        described = type(self.value).__name__
        for name in ("dtype", "shape"):
            if hasattr(self.value, name):
                described += f", {name} {getattr(self.value, name)}"
        return described


class _BatchCheck:
    """Checks batches one after another."""

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.width: int | None = None

    def __call__(self, batch: Any) -> Any:
        """Gives a copy of the batch."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        check_arrays(x, y, self.expected)

        width = x["target"].shape[1]
        equal = not self.expected.one_width or self.width in (None, width)
        require(equal, "target", _ONE_WIDTH, (self.width, width))
        self.width = width
        return tree.map_structure(_own, batch)


def _own(value: Any) -> Any:
    """A copy of an array; any other value itself."""
    return value.copy() if isinstance(value, np.ndarray) else value


def _checked_generator(batches: Generator, check: _BatchCheck) -> Generator:
    for batch in batches:
        yield check(batch)


class _CheckedPyDataset(keras.utils.PyDataset):
    """A `PyDataset` that checks the batches of another one."""

    def __init__(self, dataset: keras.utils.PyDataset, check: _BatchCheck) -> None:
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset = dataset
        self.check = check

    def __getitem__(self, index: int) -> Any:
        return self.check(self.dataset[index])

    @property
    def num_batches(self) -> int | None:
        """The number of batches, None without end."""
        return self.dataset.num_batches

    def on_epoch_begin(self) -> None:
        """Tells the dataset."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the dataset."""
        self.dataset.on_epoch_end()


def _checked_dataset(dataset: Any, expected: Expected) -> Any:
    """A `tf.data.Dataset` that checks its batches within its own graph."""
    import tensorflow as tf

    spec = dataset.element_spec
    x, y, _ = keras.utils.unpack_x_y_sample_weight(spec)
    parts = _checked_types(x, y, expected)
    _check_declared(dataset, parts)

    def check(batch: Any, others: list[Any]) -> Any:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        assertions = [_ids_assertion(part) for part in _checked_types(x, y, expected)]
        with tf.control_dependencies([*assertions, *others]):
            # Other inputs may be ragged or sparse: their parts are copied.
            return tf.nest.map_structure(
                lambda part: tf.raw_ops.DeepCopy(x=part), batch, expand_composites=True
            )

    @tf.autograph.experimental.do_not_convert
    def check_width(width: Any, batch: Any) -> tuple[Any, Any]:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        now = tf.shape(x["target"])[1]
        return now, check(batch, [_width_assertion(width, now)])

    if expected.one_width:
        return dataset.scan(tf.constant(0), check_width)

    @tf.autograph.experimental.do_not_convert
    def check_batch(*batch: Any) -> Any:
        return check(batch if isinstance(spec, tuple) else batch[0], [])

    return dataset.map(check_batch)


def _check_declared(dataset: Any, parts: list[_Ids]) -> None:
    """Checks the sizes of vocabularies that a dataset declares, or one that it is made of.

    Those of `TrainingBatches` do: a tokenizer with more pieces than the model has is refused before
    the first step, and not when a rare piece comes.
    """
    for part in parts:
        declared = getattr(dataset, f"{part.name}_vocabulary_size", 0)
        expected = f"of at most {part.size} pieces, those of the model's vocabulary"
        require(declared <= part.size, f"{part.name} tokenizer", expected, declared)
    for origin in dataset._inputs():
        _check_declared(origin, parts)


def _ids_assertion(part: _Ids) -> Any:
    """An operation of TensorFlow that fails with the message that `require` would have."""
    import tensorflow as tf

    is_wrong = (part.value < 0) | (part.value >= part.size)
    first = tf.strings.reduce_join(tf.as_string(tf.boolean_mask(part.value, is_wrong)[:1]))
    message = tf.strings.join([f"`{part.name}` must be {part.expected}. Received: ", first, "."])
    return tf.debugging.Assert(~tf.reduce_any(is_wrong), [message])


def _width_assertion(width: Any, now: Any) -> Any:
    """An operation that fails where a batch is not as wide as the one before; 0: there is none."""
    import tensorflow as tf

    both = tf.strings.join([tf.as_string(width), tf.as_string(now)], ", ")
    message = tf.strings.join([f"`target` must be {_ONE_WIDTH}. Received: (", both, ")."])
    return tf.debugging.Assert((width == 0) | (width == now), [message])
