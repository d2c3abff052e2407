"""The local server in a process of its own; `test_contract` and `test_soak` start a real one."""

import os
import signal
import sys
from pathlib import Path

import pytest

from serving.process import local_server


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Takes Python's place, so that nothing is loaded; what it does is still to be written."""
    program = tmp_path / "python"
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    # It is dead, and its status is there for its parent.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_its_command_and_its_address(stand_in: Path, tmp_path: Path) -> None:
    stand_in.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/command\necho Serving at 127.0.0.1:7\nexec sleep 60\n'
    )
    with local_server(tmp_path) as server:
        assert server.address == "127.0.0.1:7"
    command = (tmp_path / "command").read_text(encoding="utf-8")
    assert command == f"-m serving.server --model-dir {tmp_path} --name nmt --port 0\n"


def test_a_server_that_ends_by_itself_is_an_error(stand_in: Path, tmp_path: Path) -> None:
    stand_in.write_text("#!/bin/sh\necho Serving at 127.0.0.1:7\nexec sleep 60\n")
    with (
        pytest.raises(OSError, match="ended by itself with status -9"),
        local_server(tmp_path) as server,
    ):
        kill(server.pid)


def test_a_server_that_does_not_start_is_an_error(stand_in: Path, tmp_path: Path) -> None:
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(OSError, match="did not start"), local_server(tmp_path):
        pass
