"""The devices that share a training, and the processes that do; Keras only.

A batch is cut into parts, one for each device, or several, one after another. What is trained is
that of one device: the parts' gradients are added before the weights change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attention_nmt.checks import require

if TYPE_CHECKING:
    import keras

    from .presets import TrainConfig
    from .progress import BatchSource, Progress

Distribute = Literal["none", "mirrored", "multiworker", "tpu", "data_parallel"]

_BACKENDS = {"mirrored": "tensorflow", "multiworker": "tensorflow", "tpu": "tensorflow"}
"""The backend that each way needs."""


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """The devices of a training; a run may go on with others.

    Attributes:
        distribute: `none`: one device. `mirrored`: the GPUs of this machine, or processors;
            `multiworker`: those of several machines, which `TF_CONFIG` names; `tpu`: the cores of a
            TPU. On JAX `data_parallel`: all devices of one or several machines.
        devices: the devices of this machine that share the batches: all, unless a number is given.
            Where there is no GPU, the processor is taken for that number of devices.
        tpu: the name or the address of the TPU, as its cluster resolver takes it.
        accumulate: the parts of a device's share of a batch, one after another; their gradients are
            added. It takes less memory and trains the same.

    Raises:
        ValueError: a value outside its range.
    """

    distribute: Distribute = "none"
    devices: int | None = None
    tpu: str = ""
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name in ("devices", "accumulate"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, "at least 1", value)

        one = self.distribute == "none" and self.devices not in (None, 1)
        require(not one, "distribute", "a way to share a training with `devices`", "none")

        named = bool(self.tpu) and self.distribute != "tpu"
        require(not named, "tpu", "left out unless `distribute` is 'tpu'", self.tpu)


class Devices(Protocol):
    """The devices of a training, as the training loop uses them.

    Attributes:
        parts: the parts into which a batch is cut.
        is_chief: whether this process writes the run folder; one of all does.
    """

    parts: int
    is_chief: bool

    def scope(self) -> AbstractContextManager:
        """A block in which a model is built that all devices train."""
        ...

    def from_chief(self, make: Callable[[], float]) -> float:
        """The number that `make` gives in the chief; other processes wait for it."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in some process."""
        ...

    def fit(
        self,
        progress: Progress,
        batches: BatchSource,
        config: TrainConfig,
        callbacks: list[keras.callbacks.Callback],
        verbose: int,
    ) -> None:
        """Trains from where the progress stands; see `loop.fit`."""
        ...


class OneProcess:
    """One process, which is the chief."""

    parts = 1
    is_chief = True

    def scope(self) -> AbstractContextManager:
        """A block like any other."""
        return contextlib.nullcontext()

    def from_chief(self, make: Callable[[], float]) -> float:
        """What `make` gives."""
        return make()

    def any(self, flag: bool) -> bool:
        """The flag."""
        return flag

    def fit(self, *arguments: Any) -> None:
        """Trains by Keras' `fit`."""
        from .loop import fit

        fit(*arguments)


def open_devices(config: DeviceConfig, dtype_policy: str) -> Devices:
    """The devices that a config asks for.

    It comes before anything else that a process does with its backend.

    Args:
        config: the settings.
        dtype_policy: of the model.

    Raises:
        ValueError: the backend has no such way to share a training, or a setting does not fit it.
        OSError: a device or another process cannot be reached.
    """
    from attention_nmt import backend

    backend.check()
    if config.distribute == "none" and config.accumulate == 1:
        return OneProcess()

    needed = _BACKENDS.get(config.distribute)
    if config.distribute == "data_parallel":
        needed = "jax"
    elif config.accumulate > 1:
        needed = "tensorflow"
    name = "distribute" if config.distribute != "none" else "accumulate"
    value = getattr(config, name)
    require(needed == backend.name(), name, f"one of those for {backend.name()}", value)

    if needed == "jax":
        whole = config.accumulate == 1
        require(whole, "accumulate", "1 with 'data_parallel'", config.accumulate)

        from .data_parallel import open_data_parallel

        return open_data_parallel(config)

    # The scale of the loss would have to be found by all replicas together.
    fits = dtype_policy != "mixed_float16"
    require(fits, "dtype_policy", "another one than mixed_float16 on several devices", dtype_policy)

    from .strategy import open_strategy

    return open_strategy(config)
