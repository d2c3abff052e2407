"""Serves a SavedModel over gRPC: a small stand-in for TensorFlow Serving.

Production runs the real TensorFlow Serving. This server exists for machines without it: it speaks
the same gRPC services (PredictionService: Predict, GetModelMetadata; ModelService: GetModelStatus;
grpc.health.v1), loads a SavedModel along the same path, and answers mistakes with the same status
codes and messages, so that an export which works here works there. Reloading of versions, batching,
TLS, REST and metrics are left to TensorFlow Serving.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attention_nmt.checks import require
from attention_nmt.command import run_command

from .runtime import one_thread_an_operation, spare_what_is_loaded, tensorflow_runtime

if TYPE_CHECKING:
    from .services import RunningServer


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Serves the newest version of a SavedModel over gRPC until SIGTERM or SIGINT.

    Attributes:
        model_dir: a folder of numbered version folders; the latest is served.
        name: the model's name in requests.
        host: the address to listen on; the default can be reached from this machine only.
        port: the port to listen on; 0 picks a free one.
        max_workers: the number of requests that run the model at the same time; others wait.
        max_waiting: the most requests that wait for the model; one more is answered with
            RESOURCE_EXHAUSTED. Those for health and for the status of the model do not wait.
        max_message_bytes: the size of the largest request, in bytes.
        grace_s: the time that running requests may take to finish after SIGTERM or SIGINT, in
            seconds.

    Raises:
        ValueError: a number out of its range, or an empty name.
    """

    model_dir: Path
    name: str = "nmt"
    host: str = "127.0.0.1"
    port: int = 8500
    max_workers: int = 4
    max_waiting: int = 64
    max_message_bytes: int = 4 * 2**20
    grace_s: float = 30.0

    def __post_init__(self) -> None:
        require(bool(self.name), "name", "a name", self.name)
        require(0 <= self.port <= 65535, "port", "in 0..65535", self.port)
        least = {"max_workers": 1, "max_waiting": 0, "max_message_bytes": 1, "grace_s": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            require(value >= lowest, name, f"at least {lowest}", value)


def serve(config: ServerConfig) -> RunningServer:
    """Loads the latest version and starts to answer.

    Raises:
        OSError: there is no model in `config.model_dir`, or the address is taken.
        RuntimeError: the SavedModel has no graph to serve.
        tf.errors.OpError: the SavedModel cannot be initialized.
    """
    from .servable import Servable, latest_version
    from .services import start

    version, folder = latest_version(config.model_dir)
    return start(
        Servable(config.name, version, folder),
        config.host,
        config.port,
        max_workers=config.max_workers,
        max_waiting=config.max_waiting,
        max_message_bytes=config.max_message_bytes,
    )


def run(config: ServerConfig) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        OSError: there is nothing to serve, it cannot be loaded, or the address is taken.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    # TensorFlow would warn of the v1 loader, which is the point here.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with tensorflow_runtime(RuntimeError):
        one_thread_an_operation()
        running = serve(config)
    spare_what_is_loaded()

    served = f"{config.name} version {running.servable.version}"
    print(f"Serving {served} at {running.address}", flush=True)
    stop.wait()
    running.stop(config.grace_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 0 after a signal, and 1 with nothing to serve."""
    return run_command(ServerConfig, run, arguments, prog="attention-nmt serve")


if __name__ == "__main__":
    sys.exit(main())
