"""`serving.batch`: files to files, by several processes, gone on with where a run has stopped."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from attention_nmt.translation.translator import Translator
from serving import batch
from serving.batch import BatchCommand, pipeline_options
from serving.batch_files import Chunk, chunks, jobs, translate_chunk
from serving.batch_model import Exported, ModelSpec, TranslationHandler
from tests.serving.exported import TEXTS
from tests.training.corpora import PAIRS, command, run

LINES = [source for source, _ in PAIRS]


class Upper:
    """A translation in capitals; what is longer than 40 characters is cut."""

    def __init__(self, text: str) -> None:
        self.text = text[:40].upper()
        self.truncated = len(text) > 40


def upper(texts: list[str]) -> list[Upper]:
    return [Upper(text) for text in texts]


def failing(texts: list[str]) -> list[Upper]:
    raise RuntimeError(texts)


def write(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def chunk_of(path: Path, output: Path, lines: int = 3) -> list[Chunk]:
    (job,) = jobs([path], output, "task")
    job.parts.mkdir(parents=True)
    return list(chunks(job, lines))


def test_chunks_are_the_lines_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "in/a.txt"
    path.parent.mkdir()
    path.write_bytes("\ufeffone\r\n\ntwo\nthrée\nfour\nfive".encode())
    found = chunk_of(path, tmp_path / "out", lines=2)
    assert [(chunk.first, chunk.offset, chunk.lines) for chunk in found] == [
        (1, 0, 2),
        (3, 9, 2),
        (5, 20, 2),
    ]
    for chunk in found:
        translate_chunk(chunk, upper, batch_size=2, document=False)
    written = [Path(chunk.output).read_text() for chunk in found]
    assert written == ["ONE\n\n", "TWO\nTHRÉE\n", "FOUR\nFIVE\n"]
    assert not any(chunk.dead.exists() for chunk in found)


def test_dead_lines_are_named_and_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\xff\tx\n" + b"long " * 9 + b"\nA b. C d.\n")
    (chunk,) = chunk_of(path, tmp_path / "out", lines=9)
    translate_chunk(chunk, upper, batch_size=9, document=True)
    assert Path(chunk.output).read_text() == f"ONE\n\n{'LONG ' * 8}"[:-1] + "\nA B. C D.\n"
    assert chunk.dead.read_text().splitlines() == [
        "2\tline 2, byte 1: expected UTF-8. Received: 0xff, as of Latin-1 or another encoding."
        "\t\\xff x",
        f"3\tis too long: only its beginning was translated\t{'long ' * 9}",
    ]


def test_a_chunk_that_is_there_is_not_translated_again(tmp_path: Path) -> None:
    (chunk,) = chunk_of(write(tmp_path / "a.txt", ["one"]), tmp_path / "out")
    Path(chunk.output).write_text("mine\n")

    translate_chunk(chunk, failing, batch_size=1, document=False)
    assert Path(chunk.output).read_text() == "mine\n"


def test_a_chunk_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (chunk,) = chunk_of(write(tmp_path / "a.txt", ["one"]), tmp_path / "out")

    with pytest.raises(RuntimeError):
        translate_chunk(chunk, failing, batch_size=1, document=False)
    assert list(Path(chunk.output).parent.iterdir()) == []


def test_an_exported_model_translates_as_the_translator(
    translator: Translator, version: Path
) -> None:
    exported = Exported(str(version), batch_size=2)
    found = exported([text for text in TEXTS if text])
    expected = translator([text for text in TEXTS if text])
    assert [answer.text for answer in found] == [answer.text for answer in expected]
    assert [answer.truncated for answer in found] == [answer.truncated for answer in expected]


def test_a_process_loads_the_model_and_writes_chunks(
    run_dir: Path, translator: Translator, tmp_path: Path
) -> None:
    found = chunk_of(write(tmp_path / "a.txt", LINES[:7]), tmp_path / "out", lines=4)
    spec = ModelSpec(str(run_dir), False, translator.search, batch_size=2, document=False)
    handler = TranslationHandler(spec)
    names = list(handler.run_inference(found, handler.load_model()))
    assert names == ["000000000001-4.txt", "000000000005-3.txt"]
    written = "".join(Path(chunk.output).read_text() for chunk in found)
    assert written.splitlines() == [answer.text for answer in translator(LINES[:7])]


def start(model: Path, folder: Path, *flags: str) -> subprocess.Popen:
    given = [f"--model={model}", f"--input={folder}/in/*.txt", f"--output={folder}/out", *flags]
    return subprocess.Popen(
        command("serving.batch", *given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=in_the_background,
    )


def in_the_background() -> None:
    """As a shell starts a job that Ctrl-C is not to reach."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_two_processes_write_what_the_command_translate_does(run_dir: Path, tmp_path: Path) -> None:
    """Two files, 300 lines, an empty one and one that is no UTF-8; then nothing is left to do."""
    write(tmp_path / "in/a.txt", [*LINES[:150], "", *LINES[150:199]])
    path = write(tmp_path / "in/b.txt", LINES[:99])
    path.write_bytes(path.read_bytes() + b"\xff\n")
    flags = ("--chunk-lines=40", "--workers=2", "--no-document")
    process = start(run_dir, tmp_path, *flags)
    printed, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors[-2000:]
    assert printed.splitlines() == [
        "2 files, 2 to do; 8 chunks to translate.",
        f"{tmp_path}/out/a.txt: 200 lines.",
        f"{tmp_path}/out/b.txt: 100 lines, of which 1 are named in b.txt.dead.tsv.",
    ]

    done = run(
        "serving.translate",
        f"--model={run_dir}",
        f"--input={tmp_path}/in/a.txt",
        f"--output={tmp_path}/expected",
    )
    assert done.returncode == 0, done.stderr
    expected = (tmp_path / "expected").read_text()
    assert (tmp_path / "out/a.txt").read_text() == expected
    lines = (tmp_path / "out/b.txt").read_text().splitlines()
    assert lines == [*expected.splitlines()[:99], ""]
    assert (tmp_path / "out/b.txt.dead.tsv").read_text().startswith("100\tline 100, byte 1")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a.txt", "b.txt", "b.txt.dead.tsv", "batch.json", "batch.log"}

    before = (tmp_path / "out/a.txt").stat().st_mtime_ns
    again = BatchCommand(
        model=str(run_dir), input=f"{tmp_path}/in/*.txt", output=tmp_path / "out", workers=2
    )
    batch.run(again)
    assert (tmp_path / "out/a.txt").stat().st_mtime_ns == before


@pytest.mark.long
def test_a_killed_process_ends_the_run_and_the_same_command_goes_on(
    run_dir: Path, tmp_path: Path
) -> None:
    write(tmp_path / "in/a.txt", LINES * 8)
    flags = ("--chunk-lines=20", "--workers=2")
    process = start(run_dir, tmp_path, *flags)
    end = time.monotonic() + 200
    while len(list((tmp_path / "out").glob(".a.txt.*/[0-9]*.txt"))) < 4:
        assert time.monotonic() < end
        time.sleep(0.05)

    (first, *_) = workers_of(process.pid)
    os.kill(first, signal.SIGKILL)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the pipeline failed" in errors
    assert "The same command goes on with what was written" in errors
    assert not (tmp_path / "out/a.txt").exists()
    assert not workers_of(process.pid)

    process = start(run_dir, tmp_path, *flags)
    again, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors[-2000:]
    counts = [int(said.split("; ")[1].split()[0]) for said in (printed, again)]
    assert counts[1] <= counts[0] - 4
    assert len((tmp_path / "out/a.txt").read_text().splitlines()) == 8 * len(LINES)


def workers_of(pid: int) -> list[int]:
    """The processes of Python below a process that run Beam's worker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            is_worker = b"sdk_worker_main" in path.read_bytes()
            status = (path.parent / "status").read_text()
        except OSError:
            continue
        parent = int(status.split("PPid:")[1].split()[0])
        if is_worker and pid in (parent, _parent(parent)) and "python" in status.split()[1]:
            found.append(int(path.parent.name))
    return found


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("PPid:")[1].split()[0])


def test_other_weights_and_other_texts_are_translated_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "in/a.txt", ["one"])
    output = tmp_path / "out"
    (job,) = jobs([path], output, "task")
    write(job.output, ["uno"])
    (output / "batch.json").write_text(json.dumps({"a.txt": batch_identity(path, "task")}))
    assert jobs([path], output, "task") == []
    assert jobs([path], output, "other")[0].parts != job.parts
    write(path, ["two"])
    assert [each.output for each in jobs([path], output, "task")] == [job.output]


def batch_identity(path: Path, task: str) -> str:
    from serving.batch_files import _identity

    return _identity(path, task)


def test_the_options_of_a_runner_arrive() -> None:
    from apache_beam.options.pipeline_options import (
        DirectOptions,
        GoogleCloudOptions,
        StandardOptions,
    )

    def options(**settings: Any) -> Any:
        command = BatchCommand(model="m", input="i", output=Path("o"), **settings)
        return pipeline_options(command)

    local = options(workers=3).view_as(DirectOptions)
    assert local.direct_num_workers == 3
    assert local.direct_running_mode == "multi_processing"

    cloud = options(runner="DataflowRunner", runner_options=("project=mine", "region=here"))
    assert cloud.view_as(StandardOptions).runner == "DataflowRunner"
    assert cloud.view_as(GoogleCloudOptions).project == "mine"
    assert cloud.view_as(GoogleCloudOptions).region == "here"
    for runner in ("FlinkRunner", "SparkRunner"):
        made = options(runner=runner, runner_options=("environment_type=LOOPBACK",))
        assert made.view_as(StandardOptions).runner == runner
        assert made.get_all_options()["environment_type"] == "LOOPBACK"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--chunk-lines=0"], "--chunk-lines must be at least 1"),
        (["--runner-options", "x=1"], "--runner-options must be left out of the local runner"),
        (["--runner=FlinkRunner", "--workers=2"], "--workers must be left out of another runner"),
        (["--input=nowhere/*.txt"], "nowhere/*.txt: expected at least one file. Received: none."),
    ],
)
def test_what_is_refused(
    flags: list[str],
    message: str,
    run_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [f"--model={run_dir}", f"--input={tmp_path}/*.txt", f"--output={tmp_path}/out"]
    assert batch.main([*arguments, *flags]) == 1
    assert message in capsys.readouterr().err


def test_names_must_differ_and_nothing_is_written_over(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{folder}/a.txt", ["one"]) for folder in ("x", "y")]
    with pytest.raises(ValueError, match=r"`input` must be files of different names.*a\.txt"):
        jobs(files, tmp_path / "out", "task")
    with pytest.raises(ValueError, match="`output` must be another folder than the input's"):
        jobs(files[:1], tmp_path / "x", "task")
    with pytest.raises(ValueError, match=r"`input` must be files of other names.*batch\.json"):
        jobs([write(tmp_path / "x/batch.json", ["one"])], tmp_path / "out", "task")


def test_an_export_has_its_own_search(
    version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.txt", ["one"])
    arguments = [f"--model={version.parent}", f"--input={tmp_path}/*.txt", "--beam-size=2"]
    assert batch.main([*arguments, f"--output={tmp_path}/out"]) == 1
    assert "must be left out: an export has its own" in capsys.readouterr().err
