"""`serving.client` as a command."""

import contextlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from serving.client import Client, ClientConfig, ClientError, ClientTranslation, main, run
from serving.job import JobConfig
from serving.lines import resumed
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
    stdin = "\ufeffhello\n\na\u2028b\u0085c\r\n  \ndog\ncat".encode()
    done = command("--address", server.address, "--batch-size", "2", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "bonjour\n\nA\u2028B\u0085C\n\nchien\nCAT\n"


def test_a_pipe_of_another_encoding_is_refused_at_its_line(server: ServerProcess) -> None:
    done = command("--address", server.address, "--batch-size", "1", stdin=b"dog\ncaf\xe9\ncat\n")
    assert (done.returncode, done.stdout) == (1, b"chien\n")
    message = b"error: standard input, line 2, byte 4: expected UTF-8. Received: 0xe9, "
    assert done.stderr.startswith(message)
    assert done.stderr.count(b"\n") == 1


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
    run(ClientConfig(address=DEAD, job=JobConfig(input=source, output=target)))
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
        (["a", "--input", "b"], "error: --input must be left out where texts are given"),
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


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--batch-size", "0"], "must be at least 1. Received: 0."),
        (["--timeout-s", "0"], "must be positive. Received: 0.0."),
        (["--wait-s", "-1"], "must be at least 0. Received: -1.0."),
        (["--root-certificates", "b"], "must be left out without"),
    ],
)
def test_values_out_of_range_are_refused(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["--address", DEAD, *flags, "a"])
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    assert status != 0
    assert message in " ".join(capsys.readouterr().err.replace("│", "").split())


@pytest.mark.parametrize("text", ["-Bonjour", "--Bonjour tout", "-Ja, klar"])
def test_a_text_that_begins_with_a_dash_is_explained(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--address", DEAD, "--quiet", text])
    assert end.value.code == 2
    example = f"attention-nmt client -- {shlex.quote(text)}"
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"A text that begins with a dash goes behind `--`: {example}"
    assert main(["--address", DEAD, "--", text]) == 1
    assert "UNAVAILABLE" in capsys.readouterr().err


def test_a_misspelt_flag_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--adress", DEAD, "a"])
    assert "begins with a dash" not in capsys.readouterr().err


def test_help_says_where_a_text_with_a_dash_goes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "Put `--` before a text that begins with a dash." in said


def test_a_failure_keeps_the_old_output(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("hello\n" * 40 + "dog", encoding="utf-8")
    target.write_text("old", encoding="utf-8")
    translate = Client.translate

    def lost(client: Client, texts: list[str]) -> list[ClientTranslation]:
        if "dog" in texts:
            raise ClientError(client.address, "RESOURCE_EXHAUSTED", "overload")
        return translate(client, texts)

    monkeypatch.setattr(Client, "translate", lost)
    config = ClientConfig(address=server.address, job=JobConfig(input=source, output=target))
    with pytest.raises(OSError, match="RESOURCE_EXHAUSTED"):
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
    job = JobConfig(input=source, output=target)
    config = ClientConfig(address=server.address, job=job, batch_size=1)
    with (
        contextlib.suppress(ConnectionError),
        resumed(target, f"{server.address}\0nmt\0False", source) as output,
    ):
        assert output.done == 0
        output.file.write(b"schon da\nhalb")
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
