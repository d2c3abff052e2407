"""Writes that are whole or not at all, leftovers of killed processes, locks, bounded reads."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from attention_nmt import files
from attention_nmt.files import (
    atomic_folder,
    atomic_write,
    file_sum,
    folder_lock,
    make_folder,
    one_line,
    read_bounded,
    read_record,
    remove_leftover_folders,
    remove_leftovers,
    sync_tree,
    temporary_folder,
)


@pytest.fixture
def umask() -> Iterator[None]:
    """A process whose files nobody else reads."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a script in another process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_write_replaces_the_file(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = os.umask(0o022)
    request.addfinalizer(lambda: os.umask(before))
    path = tmp_path / "deep" / "config.json"
    for text in ("old", "new"):
        with atomic_write(path) as temporary:
            assert temporary.parent == path.parent
            assert temporary.suffix == ".json"
            temporary.write_text(text)
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "above" / "model"
    with pytest.raises(IsADirectoryError), atomic_folder(path) as folder:
        folder.write_text("no file")
    assert list(path.parent.iterdir()) == []

    with atomic_folder(path) as folder:
        (folder / "first").touch()
        assert not path.exists()
    assert list(path.parent.iterdir()) == [path]

    with pytest.raises(OSError, match="not empty"), atomic_folder(path) as folder:
        (folder / "second").touch()
    assert [file.name for file in path.iterdir()] == ["first"]

    with atomic_folder(path, replace=True) as folder:
        (folder / "second").touch()
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_while_folders_are_exchanged_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "precious").touch()
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(path, replace=True) as folder:
        (folder / "second").touch()
    assert [file.name for file in path.iterdir()] == ["precious"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_replaced_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "precious").touch()
    with pytest.raises(FileNotFoundError), atomic_folder(path, replace=True) as folder:
        folder.rmdir()
    assert [file.name for file in path.iterdir()] == ["precious"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("umask")
def test_files_keep_the_umask(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "new" / "best.json") as temporary:
        temporary.write_text("{}")
        assert temporary.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "best.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700

    with temporary_folder(tmp_path, ".exporting-") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for name, target in (("link", precious), ("dangling", tmp_path / "nowhere")):
        link = tmp_path / name
        link.symlink_to(target)
        with atomic_write(link) as temporary:
            temporary.write_text("new")
        assert not link.is_symlink()
        assert link.read_text() == "new"
    assert precious.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_what_is_no_file_is_spared(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    to_folder = tmp_path / "to_folder"
    to_folder.symlink_to(tmp_path)
    for path in (pipe, tmp_path, to_folder, Path("/dev/stdout"), Path("/proc/self/fd/1")):
        with pytest.raises(OSError, match="must be a file, or nothing yet"), atomic_write(path):
            pytest.fail("there is nothing to write to")
    assert pipe.is_fifo()
    assert to_folder.is_symlink()


def test_the_old_file_stays_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_of_the_file_and_not_of_a_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_text("old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    said = pytest.raises(OSError, match=r"No space left.*checkpoint\.npz'$")
    with said as raised, atomic_write(path):
        raise full
    assert "." + path.stem not in str(raised.value)
    assert path.read_text() == "old"

    said = pytest.raises(FileNotFoundError, match=r": '[^']*/checkpoint\.npz'$")
    with said, atomic_write(path) as temporary:
        temporary.unlink()


def test_leftovers_of_a_killed_process_go_with_the_next_write(tmp_path: Path) -> None:
    """Nothing else goes, whatever its name begins with."""
    killed = python(
        """
        import os, signal, sys
        from attention_nmt.files import atomic_write
        with atomic_write(sys.argv[1]) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path / "best.keras",
    )
    assert killed.returncode == -9, killed.stderr
    assert len(list(tmp_path.iterdir())) == 1
    others = [".best.keras", ".best.original.keras", ".best.20261129.keras"]
    others += [".best.partial-0a1b2c3d.npz", ".checkpoint.partial-0a1b2c3d.keras"]
    for name in others:
        (tmp_path / name).write_text("not ours")
    (tmp_path / ".best.partial-0a1b2c3d.keras").mkdir()
    others.append(".best.partial-0a1b2c3d.keras")

    with atomic_write(tmp_path / "best.keras") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {*others, "best.keras"}


def test_what_a_living_process_writes_is_no_leftover(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    with atomic_write(path) as first:
        first.write_text("first")
        with atomic_write(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        assert not remove_leftovers(tmp_path, ["scores.json"])
    assert path.read_text() == "first"


def test_temporary_folders_of_killed_processes_go(tmp_path: Path) -> None:
    killed = python(
        """
        import os, pathlib, signal, sys
        from attention_nmt.files import temporary_folder
        with temporary_folder(pathlib.Path(sys.argv[1]), ".exporting-") as folder:
            (folder / "half").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path,
    )
    assert killed.returncode == -9, killed.stderr
    (tmp_path / ".exporting-original").mkdir()
    with temporary_folder(tmp_path, ".exporting-") as alive:
        assert {path.name for path in tmp_path.iterdir()} == {alive.name, ".exporting-original"}
        assert not remove_leftover_folders(tmp_path, ".exporting-")
        (alive / "model").mkdir()
        (alive / "model").rename(tmp_path / "1")
    assert {path.name for path in tmp_path.iterdir()} == {"1", ".exporting-original"}


def test_a_file_that_was_taken_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock another process may come."""
    removed: list[Path] = []
    flock = fcntl.flock

    def late(handle: int, kind: int) -> None:
        if not removed:
            removed.append(next(tmp_path.iterdir()))
            removed[0].unlink() if removed[0].is_file() else removed[0].rmdir()
        flock(handle, kind)

    monkeypatch.setattr(fcntl, "flock", late)
    with atomic_write(tmp_path / "config.json") as temporary:
        assert temporary != removed[0]
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]

    (tmp_path / "config.json").unlink()
    removed.clear()
    with temporary_folder(tmp_path, ".exporting-") as folder:
        assert folder != removed[0]
        assert folder.is_dir()


def test_names_last_when_the_power_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synchronized before it is renamed, its folder and those that are new after."""
    seen = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        seen.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("there is no /proc")
    monkeypatch.setattr(files.os, "fsync", noted)
    with atomic_write(tmp_path / "run" / "checkpoint.npz") as temporary:
        temporary.write_text("state")
    assert seen == [tmp_path, temporary, tmp_path / "run"]

    seen.clear()
    make_folder(tmp_path / "version" / "variables")
    (tmp_path / "version" / "variables" / "index").touch()
    (tmp_path / "version" / "saved_model.pb").touch()
    seen.clear()
    sync_tree(tmp_path / "version")
    version = tmp_path / "version"
    inner = version / "variables"
    assert seen == [inner / "index", inner, version / "saved_model.pb", version]


def test_one_process_at_a_time_has_a_folder(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "run", "training in"):
        other = python(
            """
            import pathlib, sys
            from attention_nmt.files import folder_lock
            with folder_lock(pathlib.Path(sys.argv[1]), "training in"):
                pass
            """,
            tmp_path / "run",
        )
        assert f"OSError: another process is training in {tmp_path / 'run'}" in other.stderr
    with folder_lock(tmp_path / "run", "training in"):
        pass


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(ValueError, match=r"model: expected at most 4 bytes\. Received: 5\."):
        read_bounded(path, 4)

    endless = tmp_path / "endless"
    endless.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="endless: expected a file"):
        read_bounded(endless, 10)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 10)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"3", b"\xff\xfe{}", b"[" * 100_000, b'{"a": 1}x']
)
def test_a_damaged_record_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.json: expected (a )?JSON"):
        read_record(path)


def test_sums_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"abc")
    assert file_sum(path).startswith("ba7816bf8f01cfea")
    assert one_line("one\ntwo\u2028three") == "one two three"
