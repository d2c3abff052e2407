"""`serving.client` as a command, and its messages beside TensorFlow Serving's."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving import wire
from serving.client import Client, ClientConfig, ClientError, ClientTranslation, main, run
from serving.lines import resumed, translate_lines
from tests.serving.conftest import ENVIRONMENT, ROOT, ServerProcess

DEAD = "127.0.0.1:1"


def command(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "serving.client", *args],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )


class Shouting:
    """Stands in for a `Client` and notes what it is sent."""

    batch_size = 2

    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def translate(self, texts: list[str]) -> list[ClientTranslation]:
        self.sent.append(texts)
        return [ClientTranslation(f"{text}!\r\n!", 0.0, text == "long") for text in texts]


def test_lines_are_read_a_batch_at_a_time_and_stay_lines() -> None:
    client = Shouting()
    read = []
    lines = (read.append(line) or line for line in ["a", "", " \t", "", "b", "c", "d"])  # type: ignore[func-returns-value]
    translated = translate_lines(cast(Client, client), lines)
    assert next(translated) == "a! !"
    assert read == ["a", ""]
    assert list(translated) == ["", "", "", "b! !", "c! !", "d! !"]
    assert client.sent == [["a"], [], ["b", "c"], ["d"]]


def test_lines_that_were_cut_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["short", "long", "", "long"]
    assert len(list(translate_lines(cast(Client, Shouting()), lines, done=10))) == 4
    assert capsys.readouterr().err == "".join(
        f"warning: line {number} is too long: only its beginning was translated\n"
        for number in (12, 14)
    )


def test_outputs_that_are_no_files(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder is refused before anything is translated, a pipe and a link stay what they are."""
    source, real, link, pipe = (tmp_path / name for name in ("source", "real", "link", "pipe"))
    source.write_text("hello\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    arguments = ["--address", server.address, "--input", str(source), "--output"]
    assert main(["--address", DEAD, *arguments[2:], str(tmp_path / "folder")]) == 1
    assert "must be a file to write, not a folder" in capsys.readouterr().err
    link.symlink_to(real)
    assert main([*arguments, str(link)]) == 0
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "bonjour\n"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        assert main([*arguments, str(pipe)]) == 0
        assert reader.communicate(timeout=20)[0] == b"bonjour\n"
    assert pipe.is_fifo()
    assert not list(tmp_path.glob(".*"))


def test_command_line_with_texts(server: ServerProcess) -> None:
    done = command("--address", server.address, "hello", "a\u2028ß", "", "dog")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "bonjour\nA\u2028ß\n\nchien\n"


def test_command_line_with_standard_input(server: ServerProcess) -> None:
    stdin = "hello\n\na\u2028b\u0085c\r\n  \ndog\ncat".encode() + b"\xff"
    done = command("--address", server.address, "--batch-size", "2", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "bonjour\n\nA\u2028B\u0085C\n\nchien\nCAT\ufffd\n"


def test_command_line_with_files(server: ServerProcess, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("hello\ndog\n" * 50, encoding="utf-8")
    target.write_text("old", encoding="utf-8")
    assert main(["--address", server.address, "--input", str(source), "--output", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == "bonjour\nchien\n" * 50
    assert main(["--address", server.address, "--input", str(source), "--output", str(source)]) == 0
    assert source.read_text(encoding="utf-8") == "bonjour\nchien\n" * 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\n\n"])
def test_nothing_to_translate_needs_no_server(stdin: bytes, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(stdin)
    run(ClientConfig(address=DEAD, input=source, output=target))
    assert target.read_bytes() == stdin


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--address", DEAD, "a"], f"error: {DEAD}: UNAVAILABLE: "),
        (
            ["--address", "SERVER", "--name", "no", "a"],
            "NOT_FOUND: Servable not found for request: Latest(no)",
        ),
        (["--input", "/no/such/file"], "/no/such/file"),
        (["--batch-size", "0", "a"], "batch_size must be at least 1"),
        (["--tls", "--root-certificates", "/no/such/file", "a"], "/no/such/file"),
    ],
)
def test_errors_are_one_line(
    server: ServerProcess,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    output = tmp_path / "output"
    flags = [server.address if flag == "SERVER" else flag for flag in flags]
    assert main([*flags, "--output", str(output)]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not list(tmp_path.iterdir())


def test_a_failure_keeps_the_old_output(server: ServerProcess, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("hello\n" * 40 + "x" * 3_000_000, encoding="utf-8")
    target.write_text("old", encoding="utf-8")
    config = ClientConfig(address=server.address, input=source, output=target)
    with pytest.raises(ClientError, match="RESOURCE_EXHAUSTED"):
        run(config)
    assert target.read_text(encoding="utf-8") == "old"
    (part,) = tmp_path.glob(".target.*.part")
    assert part.read_text(encoding="utf-8") == "bonjour\n" * 32  # the first batch


def test_a_run_that_was_stopped_is_gone_on_with(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the line behind the last whole one; of another source nothing is gone on with."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("hello\ndog\ncat\n", encoding="utf-8")
    config = ClientConfig(address=server.address, input=source, output=target, batch_size=1)
    with (
        contextlib.suppress(ConnectionError),
        resumed(target, f"{server.address}\0nmt\0False", source) as (file, done),
    ):
        assert done == 0
        file.write(b"schon da\nhalb")
        raise ConnectionError
    sent, translate = list[str](), Client.translate

    def noted(client: Client, texts: list[str]) -> list[ClientTranslation]:
        sent.extend(texts)
        return translate(client, texts)

    monkeypatch.setattr(Client, "translate", noted)
    run(config)
    assert sent == ["dog", "cat"]
    assert target.read_text(encoding="utf-8") == "schon da\nchien\nCAT\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]
    source.write_text("hello\n", encoding="utf-8")
    run(config)
    assert target.read_text(encoding="utf-8") == "bonjour\n"


def test_a_pipe_is_read_as_it_comes(server: ServerProcess, tmp_path: Path) -> None:
    pipe, target = tmp_path / "pipe", tmp_path / "target"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"printf 'hello\\ndog\\n' > {pipe}"]):
        assert (
            main(["--address", server.address, "--input", str(pipe), "--output", str(target)]) == 0
        )
    assert target.read_text(encoding="utf-8") == "bonjour\nchien\n"


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("hello\n", encoding="utf-8")
    second = resumed(tmp_path / "target", "a", source)
    with (
        resumed(tmp_path / "target", "a", source),
        pytest.raises(OSError, match="another process is writing"),
    ):
        second.__enter__()


def test_documents_keep_their_line_breaks(server: ServerProcess) -> None:
    with Client(server.address) as client:
        assert (
            client.translate_document("hello\n\n  dog\tHello. Dog!\r\n")
            == "bonjour\n\n  DOG\tHELLO. DOG!\r\n"
        )
    stdin = b"Go. Now!  hello\n\ndog\n"
    done = command("--address", server.address, "--document", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"GO. NOW!  HELLO\n\nchien\n"


def test_texts_and_input_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either texts or input"):
        ClientConfig(texts=("a",), input=tmp_path)


def test_the_client_needs_no_tensorflow() -> None:
    code = "import sys, serving.client; sys.exit(any(name.partition('.')[0] == 'tensorflow' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (wire.PredictRequest, predict_pb2.PredictRequest),
        (wire.PredictResponse, predict_pb2.PredictResponse),
        (wire.Tensor, tensor_pb2.TensorProto),
    ],
)
def test_our_messages_are_a_part_of_the_originals(ours: Any, theirs: Any) -> None:
    compare(ours.DESCRIPTOR, theirs.DESCRIPTOR)


def compare(ours: Any, theirs: Any) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        kind = other.TYPE_INT32 if other.type == other.TYPE_ENUM else other.type
        assert (field.number, field.type, field.is_repeated) == (
            other.number,
            kind,
            other.is_repeated,
        )
        if field.message_type:
            compare(field.message_type, other.message_type)
