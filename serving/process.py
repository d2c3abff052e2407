"""The local server in a process of its own, for measurements."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class LocalServer(NamedTuple):
    """A server that answers."""

    address: str
    pid: int


@contextmanager
def local_server(model_dir: Path) -> Iterator[LocalServer]:
    """Runs `server` on the newest version in a folder, under the name `nmt`, at a free port.

    Raises:
        OSError: it did not start, or has ended by itself.
    """
    command = [
        *(sys.executable, "-m", f"{__package__}.server"),
        *("--model-dir", str(model_dir)),
        *("--name", "nmt"),
        *("--port", "0"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise OSError(f"the server of {model_dir} did not start")

            yield LocalServer(line.split()[-1], server.pid)

            if server.poll() is not None:
                status = f"with status {server.returncode}"
                raise OSError(f"the server of {model_dir} ended by itself {status}")
        finally:
            server.terminate()
