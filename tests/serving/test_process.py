"""The local server in a process of its own."""

import os
import signal
from pathlib import Path

import pytest

from serving.process import local_server


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitid(
        os.P_PID, pid, os.WEXITED | os.WNOWAIT
    )  # it is dead, and its status is there for its parent


def test_a_server_that_ends_by_itself_is_an_error(model_dir: Path) -> None:
    with (
        pytest.raises(OSError, match="ended by itself with status -9"),
        local_server(model_dir) as server,
    ):
        kill(server.pid)
