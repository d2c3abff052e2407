"""Trainings on all devices of JAX, by Keras' `DataParallel`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from attention_nmt.checks import require

from .devices import DeviceConfig
from .presets import TrainConfig
from .progress import BatchSource, Progress

_ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
"""The variable of the environment that makes a process one of several; see Keras."""


def open_data_parallel(config: DeviceConfig) -> DataParallelDevices:
    """All devices, of several processes where Keras' variables of the environment name them.

    Raises:
        ValueError: there are not as many devices, or JAX has begun its work before.
        OSError: another process cannot be reached.
    """
    if config.devices is not None:
        try:
            jax.config.update("jax_num_cpu_devices", config.devices)
        except RuntimeError as error:
            expected = "asked for before JAX begins its work, as in a process of its own"
            raise ValueError(
                f"`devices` must be {expected}. Received: {config.devices}."
            ) from error

    if os.environ.get(_ADDRESSES):
        try:
            keras.distribution.initialize()
        except RuntimeError as error:
            raise OSError(f"the processes of {_ADDRESSES} cannot be reached: {error}") from error

    devices = jax.devices()
    own = jax.local_device_count()
    expected = f"at most {own}, the devices here"
    require(config.devices is None or config.devices <= own, "devices", expected, config.devices)
    if config.devices is not None and jax.process_count() == 1:
        devices = devices[: config.devices]
    return DataParallelDevices(
        keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    )


class DataParallelDevices:
    """The devices of a `keras.distribution.DataParallel`.

    Args:
        distribution: the distribution.

    Attributes:
        parts: the parts into which a batch is cut.
        is_chief: whether this process writes the run folder.
    """

    def __init__(self, distribution: keras.distribution.DataParallel) -> None:
        self.distribution = distribution
        self.parts = int(np.prod(distribution.device_mesh.shape))
        self.is_chief = jax.process_index() == 0

    def scope(self) -> AbstractContextManager:
        """A block in which variables are made that all devices have."""
        return self.distribution.scope()

    def from_chief(self, make: Callable[[], float]) -> float:
        """The number that `make` gives in the chief; other processes wait for it."""
        value = make() if self.is_chief else 0.0
        if jax.process_count() == 1:
            return value
        bits = np.frombuffer(np.float64(value).tobytes(), np.uint32)  # JAX has no float64
        return float(np.asarray(multihost_utils.broadcast_one_to_all(bits)).view(np.float64)[0])

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in some process."""
        if jax.process_count() == 1:
            return flag
        return bool(np.any(multihost_utils.process_allgather(np.int32(flag))))

    def fit(
        self,
        progress: Progress,
        batches: BatchSource,
        config: TrainConfig,
        callbacks: list[keras.callbacks.Callback],
        verbose: int,
    ) -> None:
        """Trains by Keras' `fit`; see `loop.fit`."""
        from .loop import fit

        shared = _OwnRows(batches, self.parts)
        with self.distribution.scope():
            fit(progress, shared, config, callbacks, verbose)


class _OwnRows:
    """The rows of batches that belong to this process.

    Args:
        batches: all rows.
        parts: the devices of all processes, which get equally many rows.
    """

    def __init__(self, batches: BatchSource, parts: int) -> None:
        self.batches = batches
        self.parts = parts

    def stream(self, epoch: int, skip: int, began: Callable[[int], None]) -> Any:
        """The batches from a position on; see `progress.BatchSource`."""
        for inputs, labels, weights in self.batches.stream(epoch, skip, began):
            fits = len(labels) % self.parts == 0
            expected = f"such that the rows of a batch are a multiple of the {self.parts} devices"
            require(fits, "batch_size", expected, len(labels))

            count = len(labels) // jax.process_count()
            own = slice(jax.process_index() * count, (jax.process_index() + 1) * count)
            mine = {name: np.asarray(ids)[own] for name, ids in inputs.items()}
            yield mine, np.asarray(labels)[own], np.asarray(weights)[own]
