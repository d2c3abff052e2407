"""Weights in files of fewer bits: what comes back, and what is refused."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from attention_nmt.weights import STORAGES, Storage, read_weights, scaled, write_weights
from tests.attention_nmt.tiny import VARIANTS, kinds, tiny_model


def test_a_matrix_in_8_bits_by_hand() -> None:
    # The largest of each row are 127 and 2.54: the scales of rows are 1 and 0.02.
    matrix = np.array([[127.0, 100.0], [0.02, -2.54]], np.float32)
    found = scaled(matrix)
    np.testing.assert_allclose(found.scale, [[1.0], [0.02]], rtol=1e-6)
    assert found.numbers.tolist() == [[127, 100], [1, -127]]

    found = scaled(matrix.T)
    np.testing.assert_allclose(found.scale, [[1.0, 0.02]], rtol=1e-6)
    assert found.numbers.tolist() == [[127, 1], [100, -127]]


def test_rows_of_zeros_stay_zeros() -> None:
    found = scaled(np.zeros((2, 3), np.float32))
    assert not (found.numbers * found.scale).any()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("options", kinds(VARIANTS))
def test_weights_come_back(options: dict[str, Any], storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = tiny_model(**options)
    write_weights(model, path, storage)
    read = tiny_model(seed=2, **options)
    read_weights(read, path)

    for expected, found in zip(model.get_weights(), read.get_weights(), strict=True):
        error = np.abs(found - expected)
        if storage == "float32" or expected.ndim != 2:
            assert not error.any()
        elif storage == "float16":
            assert (error <= np.abs(expected) * 2.0**-11 + 2.0**-25).all()
        else:
            # Half a step, the largest number of a row or of a column being 127 steps.
            steps = [np.abs(expected).max(axis, keepdims=True) / 127 for axis in (0, 1)]
            assert any((error <= step / 2 + 1e-6).all() for step in steps)
            assert error.any()


def test_each_storage_is_smaller(tmp_path: Path) -> None:
    model = tiny_model(embedding_size=64, source_vocabulary_size=2000)
    sizes = []
    for storage in STORAGES:
        path = tmp_path / f"{storage}.weights.h5"
        write_weights(model, path, storage)
        sizes.append(path.stat().st_size)
    assert sizes[0] > 1.6 * sizes[1] > 2.4 * sizes[2]


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_keras_does_not_take_8_bits_for_numbers(storage: Storage, tmp_path: Path) -> None:
    model = tiny_model()
    write_weights(model, tmp_path / "model.weights.h5", storage)
    with pytest.raises(ValueError, match="could not be loaded"):
        model.load_weights(tmp_path / "model.weights.h5")


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = tiny_model()
    with pytest.raises(ValueError, match="`storage` must be one of"):
        write_weights(model, path, "int4")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        read_weights(model, path)

    write_weights(model, path, "int8")
    with pytest.raises(ValueError, match=r"weights.h5: expected a whole file of weights"):
        read_weights(tiny_model(decoder_units=8), path)

    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"weights.h5: expected a whole file of weights"):
        read_weights(model, path)


def test_a_small_file_of_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("vars/0", (2**16, 2**16), "f4", chunks=(2**8, 2**8))
    with pytest.raises(ValueError, match=r"expected arrays of .* bytes. Received: 17,179,869,184"):
        read_weights(tiny_model(), path)
