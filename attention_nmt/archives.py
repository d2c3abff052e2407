"""Archives of arrays and of models: whole, and no larger than they look, before memory is taken."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_nmt.config import ModelConfig, from_dict

if TYPE_CHECKING:
    import keras

STORED = 1
"""How many times its size on disk an archive may have in memory that compresses nothing."""

COMPRESSED = 100
"""The same of an archive that compresses; ids of text come to 2 or 3."""

_SLACK_BYTES = 2**16

_NOTE = "attention_nmt.json"
"""The entry of a Keras file that says with which files its model was trained."""

_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged archive raises: any byte of it can be wrong."""


class Arrays:
    """The arrays of an open file that `numpy.savez` or `numpy.savez_compressed` wrote.

    Each is read when it is asked for, and checked: its sum, and its size before memory is taken.

    Args:
        path: the file, for messages.
        archive: the open archive.
        kind: what the file is, for messages.

    Attributes:
        names: those of the arrays.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, kind: str) -> None:
        self.path = path
        self._kind = kind
        self._archive = archive
        self.names = {name.removesuffix(".npy") for name in archive.namelist()}

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> np.ndarray:
        """An array.

        Raises:
            ValueError: there is no such entry, or it is damaged.
        """
        if name not in self:
            raise ValueError(f"{self.path}: expected an entry {name!r}. Received: none.")

        with whole(self.path, self._kind):
            content = self._archive.read(f"{name}.npy")
            declared = _declared_bytes(io.BytesIO(content))
            if declared > len(content):
                expected = f"{len(content):,} bytes of the entry {name!r}"
                raise ValueError(f"{self.path}: expected {expected}. Received: {declared:,}.")
            return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


@contextmanager
def open_arrays(path: Path, kind: str, expansion: int = STORED) -> Iterator[Arrays]:
    """A block with the arrays of a file.

    Args:
        path: the file.
        kind: what the file is, for the message, such as "checkpoint".
        expansion: `STORED` or `COMPRESSED`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole file of its kind.
    """
    with whole(path, kind):
        archive = zipfile.ZipFile(path)
    with archive:
        with whole(path, kind):
            _check_size(path, archive, expansion)
        yield Arrays(path, archive, kind)


@contextmanager
def whole(path: Path, kind: str) -> Iterator[None]:
    """A block in which whatever damage raises becomes a `ValueError` that names the file."""
    try:
        yield
    except _DAMAGE as error:
        text = " ".join(str(error).split())
        if str(path) in text:
            raise
        raise ValueError(f"{path}: expected a whole {kind}. Received: {text}.") from error


def _check_size(path: Path, archive: zipfile.ZipFile, expansion: int) -> None:
    """Checks that the entries of an archive are not much larger than it."""
    size = path.stat().st_size
    declared = sum(entry.file_size for entry in archive.infolist())
    limit = expansion * size + _SLACK_BYTES
    if declared > limit:
        expected = f"at most {limit:,} bytes in a file of {size:,}"
        raise ValueError(f"{path}: expected {expected}. Received: {declared:,}.")


def _declared_bytes(content: io.BytesIO) -> int:
    """The size of an array by its header."""
    version = np.lib.format.read_magic(content)
    read_header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read_header = np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(content)
    return math.prod(shape) * dtype.itemsize


def check_model_file(path: Path) -> None:
    """Checks a Keras file without making its model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole Keras file, or its model would be larger than its weights.
    """
    import h5py

    kind = "Keras file of a model"
    with whole(path, kind), zipfile.ZipFile(path) as archive:
        _check_size(path, archive, STORED)
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the entry {damaged!r} has another sum than it was written with")

        config = json.loads(archive.read("config.json"))
        with archive.open("model.weights.h5") as file:
            # h5py raises `OSError` where the content is damaged.
            try:
                with h5py.File(file, mode="r") as weights:
                    count = _weights(weights)
            except OSError as error:
                raise ValueError(str(error)) from error

        least = max(count, least_weights(config))

    size = path.stat().st_size
    if least > size // 2:
        expected = f"a model of at most {size // 2:,} weights in a file of {size:,} bytes"
        raise ValueError(f"{path}: expected {expected}. Received: {least:,}.")


def _weights(weights: Any) -> int:
    """The numbers in an HDF5 file as it declares them."""
    count = 0

    def add(_: str, item: Any) -> None:
        nonlocal count
        count += math.prod(getattr(item, "shape", None) or (0,))

    weights.visititems(add)
    return count


def least_weights(config: Any) -> int:
    """A number of weights that the model of a Keras file's `config.json` has at least.

    It is known of `Seq2Seq` and of an `Ensemble` of them; of another model it is 0.
    """
    arguments = config.get("config") if isinstance(config, dict) else None
    if not isinstance(arguments, dict):
        return 0
    if config.get("registered_name") == "attention_nmt>Ensemble":
        members = arguments.get("members")
        return sum(map(least_weights, members)) if isinstance(members, list) else 0
    if config.get("registered_name") != "attention_nmt>Seq2Seq":
        return 0

    fields = arguments.get("config")
    try:
        return from_dict(ModelConfig, fields or {}).least_weights()
    except ValueError:  # the model will say so
        return 0


def write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Writes a record into a Keras file, which Keras does not read."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_NOTE, json.dumps(note))


def read_note(path: Path) -> dict[str, Any]:
    """The record that `write_note` wrote into a Keras file; an older one has none, and gives {}.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole Keras file, or the note is no record.
    """
    with whole(path, "Keras file of a model"), zipfile.ZipFile(path) as archive:
        if _NOTE not in archive.namelist():
            return {}
        _check_size(path, archive, STORED)
        note = json.loads(archive.read(_NOTE))
        if not isinstance(note, dict):
            raise ValueError(f"a {type(note).__name__} in {_NOTE}")
        return note


def load_model(path: Path) -> keras.Model:
    """The model of a Keras file, without its optimizer.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole Keras file, its model would be larger than its weights, it holds
            code, its classes are not known, or a weight is not finite.
    """
    import keras

    check_model_file(path)
    with whole(path, "Keras file of a model"):
        model = keras.saving.load_model(path, compile=False)

    check_finite(model, str(path))
    return model


def check_finite(model: keras.Model, name: str) -> None:
    """Checks that all weights of a model are finite.

    Args:
        model: the model.
        name: of it, for the message.

    Raises:
        ValueError: one is not; the message names its variable.
    """
    from keras import ops

    for variable in model.weights:
        if not is_finite(ops.convert_to_numpy(variable)):
            expected = "expected weights that are finite numbers"
            raise ValueError(f"{name}: {expected}. Received: others in {variable.path}.")


def is_finite(array: np.ndarray) -> bool:
    """Whether all numbers of an array are finite; integers and strings are."""
    # NumPy does not count bfloat16 among its floating types; a checkpoint has it as bytes.
    is_float = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    return not is_float or bool(np.isfinite(array.astype(np.float32)).all())
