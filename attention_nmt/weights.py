"""Weights of a model as one HDF5 file: as Keras writes them, or in fewer bits.

The layout is that of Keras' `model.weights.h5`. An array in fewer bits has another name there, so
that Keras, which knows nothing of it, refuses the file and reads no wrong numbers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from attention_nmt.archives import whole
from attention_nmt.checks import require

if TYPE_CHECKING:
    import h5py
    import keras

Storage = Literal["float32", "float16", "int8"]

STORAGES = get_args(Storage)
"""The ways to keep weights: as they are; in 16 bits; matrices in 8, and scales of their rows."""

_FLOAT16 = ".float16"
_INT8 = ".int8"
_SCALE = ".scale"
"""What stands behind the name of an array that is kept in another way."""

_LARGEST = 127
"""The largest number in 8 bits; the smallest is its negative."""

_SLACK_BYTES = 2**16

Arrays = Mapping[str, np.ndarray]
"""Arrays by their names in a file."""


class Scaled(NamedTuple):
    """A matrix in 8 bits: `numbers * scale`."""

    numbers: np.ndarray  # [M, N] int8
    scale: np.ndarray  # [M, 1] or [1, N] float32


def write_weights(model: keras.Model, path: Path, storage: Storage = "float32") -> None:
    """Writes the weights of a model.

    Args:
        model: the model.
        path: the file, whose name ends with `.weights.h5`.
        storage: one of `STORAGES`.

    Raises:
        ValueError: there is no such storage.
        OSError: the file cannot be written.
    """
    require(storage in STORAGES, "storage", f"one of {STORAGES}", storage)
    if storage == "float32":
        model.save_weights(path)
        return

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.weights.h5"
        model.save_weights(plain)
        _convert(plain, path, lambda name, dataset: _compact(name, dataset[()], storage))


def read_weights(model: keras.Model, path: Path) -> None:
    """Gives a model the weights of a file that `write_weights` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another model, or its weights are larger than it is.
    """
    path.stat()  # raises where there is no such file
    with whole(path, "file of weights"), tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.weights.h5"
        try:
            _convert(path, plain, _restored)
        except OSError as error:
            # That is what h5py raises where the content is damaged.
            raise ValueError(str(error)) from error
        model.load_weights(plain)


def scaled(matrix: np.ndarray) -> Scaled:
    """A matrix in 8 bits, with scales of its rows or of its columns: whichever is closer to it."""
    choices = [_scaled_along(matrix, axis) for axis in (0, 1)]
    return min(choices, key=lambda choice: _squared_error(matrix, choice))


def _scaled_along(matrix: np.ndarray, axis: int) -> Scaled:
    """A matrix in 8 bits, with one scale for all numbers along an axis."""
    largest = np.abs(matrix).max(axis, keepdims=True)
    scale = np.where(largest > 0, largest / _LARGEST, 1.0).astype(np.float32)
    return Scaled(np.rint(matrix / scale).astype(np.int8), scale)


def _squared_error(matrix: np.ndarray, choice: Scaled) -> float:
    return float(np.square(matrix - choice.numbers * choice.scale).sum())


def _compact(name: str, array: np.ndarray, storage: Storage) -> Arrays:
    """An array as a file keeps it: one that is no matrix of floats stays as it is."""
    if array.dtype != np.float32 or array.ndim != 2:
        return {name: array}
    if storage == "float16":
        return {f"{name}{_FLOAT16}": array.astype(np.float16)}

    numbers, scale = scaled(array)
    return {f"{name}{_INT8}": numbers, f"{name}{_SCALE}": scale}


def _restored(name: str, dataset: h5py.Dataset) -> Arrays:
    """What `_compact` made of an array, as Keras expects it."""
    if name.endswith(_SCALE):
        return {}
    if name.endswith(_FLOAT16):
        return {name.removesuffix(_FLOAT16): dataset[()].astype(np.float32)}
    if name.endswith(_INT8):
        plain = name.removesuffix(_INT8)
        return {plain: dataset[()] * dataset.file[f"{plain}{_SCALE}"][()]}
    return {name: dataset[()]}


def _convert(source: Path, target: Path, change: Callable[[str, h5py.Dataset], Arrays]) -> None:
    """Writes a file of the same groups as another one, whose arrays are changed."""
    import h5py

    with h5py.File(source) as read, h5py.File(target, "w") as written:
        _check_size(source, read)
        written.attrs.update(read.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                written.require_group(name).attrs.update(item.attrs)
                return
            for changed, array in change(name, item).items():
                written.create_dataset(changed, data=array)

        read.visititems(copy)


def _check_size(path: Path, file: h5py.File) -> None:
    """Checks that the arrays of a file are not larger than it is, before memory is taken."""
    declared = 0

    def add(_: str, item: Any) -> None:
        nonlocal declared
        declared += getattr(item, "nbytes", 0)

    file.visititems(add)
    limit = path.stat().st_size + _SLACK_BYTES
    if declared > limit:
        raise ValueError(f"{path}: expected arrays of {limit:,} bytes. Received: {declared:,}.")
