"""Translates many files by several processes or machines: the command `batch`."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges
from attention_nmt.files import make_folder
from attention_nmt.stored import ModelChoice

from .batch_files import LOG, Chunk, Job, chunks, jobs, join
from .runtime import check_backend

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from .batch_model import ModelSpec

LOCAL = "local"
"""The runner that needs nothing but Beam's package; Beam's usual one downloads a program."""


@dataclass(frozen=True, kw_only=True)
class BatchCommand(ModelChoice):
    """Translates files to files of the same names and lines, by several processes.

    The same command goes on with a run that was stopped.

    Attributes:
        input: the files, UTF-8 with a text a line, as a pattern: 'texts/*.txt'.
        output: the folder for the translations, another than the files' own.
        search: changes of the model's search; an exported model has its own.
        document: translate the sentences of a line one by one.
        batch_size: sentences that are translated together.
        chunk_lines: lines that are translated by one process and written together.
        workers: processes of this machine; as many as it has cores without it.
        runner: `local`, or one of Beam's: FlinkRunner, SparkRunner, DataflowRunner, ...
        runner_options: what Beam is to be told besides, each as `name=value`.

    Raises:
        ValueError: a number out of its range, options of a runner that takes none, or no model.
    """

    input: str
    output: Path
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)
    document: bool = False
    batch_size: int = 64
    chunk_lines: int = 2000
    workers: int | None = None
    runner: str = LOCAL
    runner_options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch_size", "chunk_lines", "workers"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, "at least 1", value)

        local = self.runner == LOCAL
        fits = not (local and self.runner_options)
        expected = "left out of the local runner"
        require(fits, "runner_options", expected, self.runner_options)
        fits = local or self.workers is None
        expected = "left out of another runner, which has its own options"
        require(fits, "workers", expected, self.workers)


def run(command: BatchCommand) -> None:
    """Translates what is not translated yet, and prints what was done.

    Raises:
        ImportError: the extra `beam` is missing.
        OSError: there is no such file, one cannot be read or written, or a process failed.
        ValueError: a setting is at fault.
    """
    check_backend("batch")
    spec, weights = _model(command)
    files = sorted(Path(name) for name in glob.glob(command.input, recursive=True))  # noqa: PTH207
    files = [path for path in files if path.is_file()]
    if not files:
        raise FileNotFoundError(f"{command.input}: expected at least one file. Received: none.")

    task = f"batch\0{weights}\0{spec.search}\0{spec.document}"
    left = jobs(files, command.output, task)
    parts = {job: list(chunks(job, command.chunk_lines)) for job in left}
    for job in left:
        make_folder(job.parts)

    waiting = [part for each in parts.values() for part in each if not Path(part.output).is_file()]
    print(f"{len(files)} files, {len(left)} to do; {len(waiting)} chunks to translate.", flush=True)
    if waiting:
        _translate(command, spec, waiting)
    _join(parts, task)


def _join(parts: dict[Job, list[Chunk]], task: str) -> None:
    """Puts the chunks of each file together."""
    for job, of_file in parts.items():
        dead = join(job, of_file, task)
        said = f"{sum(part.lines for part in of_file)} lines"
        if dead:
            said += f", of which {dead} are named in {job.dead.name}"
        print(f"{job.output}: {said}.", flush=True)


def _model(command: BatchCommand) -> tuple[ModelSpec, str]:
    """The model, and what tells its weights from others."""
    logging.disable(logging.WARNING)  # Beam warns of a package that only Google's cloud needs
    try:
        from .batch_model import ModelSpec
    finally:
        logging.disable(logging.NOTSET)

    chosen = str(command.chosen[0])
    exported = _exported(Path(chosen))
    if exported is not None:
        changed = command.search != SearchChanges()
        require(not changed, "search", "left out: an export has its own", command.search)
        spec = ModelSpec(
            model=str(exported),
            exported=True,
            search=None,
            batch_size=command.batch_size,
            document=command.document,
        )
        return spec, _identity(exported / "saved_model.pb")

    stored = command.open()
    search = stored.read_search(command.search, n_best=1)
    spec = ModelSpec(
        model=chosen,
        exported=False,
        search=search,
        batch_size=command.batch_size,
        document=command.document,
    )
    return spec, _identity(stored.weights)


def _exported(folder: Path) -> Path | None:
    """The SavedModel in a folder, the latest version where there are several; None: none."""
    if (folder / "saved_model.pb").is_file():
        return folder

    versions = [path.parent for path in folder.glob("*/saved_model.pb")]
    numbered = [path for path in versions if path.name.isdecimal()]
    return max(numbered, key=lambda path: int(path.name), default=None)


def _identity(path: Path) -> str:
    """Tells a file from others, and from itself when it has changed."""
    about = path.stat()
    return f"{path.resolve()}\0{about.st_size}\0{about.st_mtime_ns}"


def pipeline_options(command: BatchCommand) -> PipelineOptions:
    """What Beam is told."""
    from apache_beam.options.pipeline_options import PipelineOptions

    if command.runner != LOCAL:
        options = [f"runner={command.runner}", *command.runner_options]
        return PipelineOptions([f"--{option}" for option in options])
    return PipelineOptions(
        [
            "--direct_running_mode=multi_processing",
            f"--direct_num_workers={_workers(command)}",
        ]
    )


def _workers(command: BatchCommand) -> int:
    return command.workers or os.cpu_count() or 1


def _runner(command: BatchCommand) -> Any:
    """The runner; None is the one that the options name."""
    if command.runner != LOCAL:
        return None

    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    return FnApiRunner()


def _translate(command: BatchCommand, spec: ModelSpec, waiting: list[Chunk]) -> None:
    """Runs the pipeline. What its processes print is written to a log.

    Raises:
        OSError: a process failed.
    """
    import apache_beam as beam
    from apache_beam.ml.inference.base import RunInference

    from .batch_model import TranslationHandler

    if command.runner == LOCAL:
        # The processes share the cores.
        threads = max(1, (os.cpu_count() or 1) // _workers(command))
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))

    pipeline = beam.Pipeline(runner=_runner(command), options=pipeline_options(command))
    _ = (
        pipeline
        | "chunks" >> beam.Create([tuple(chunk) for chunk in waiting])
        | "spread over processes" >> beam.Reshuffle()
        | "translate and write" >> RunInference(TranslationHandler(spec))
    )
    log = command.output / LOG
    try:
        with _logged(log), _watched():
            pipeline.run().wait_until_finish()
    except Exception as error:  # Beam has no one kind of it
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        goes_on = "The same command goes on with what was written"
        raise OSError(f"the pipeline failed, see {log}: {reason}. {goes_on}") from error


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """A block that ends with an error when a process that it has started was killed.

    The local runner would wait for it for ever. It has a thread for each process, in which an
    exception is raised when that ends.

    Raises:
        RuntimeError: a process was killed.
    """
    found: list[BaseException] = []
    before = threading.excepthook

    def note(arguments: threading.ExceptHookArgs) -> None:
        before(arguments)
        if isinstance(arguments.exc_value, RuntimeError) and not found:
            found.append(arguments.exc_value)
            os.kill(os.getpid(), signal.SIGUSR1)

    # Not SIGINT: a shell starts its background jobs with that ignored.
    handler = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    threading.excepthook = note
    try:
        yield
    except KeyboardInterrupt:
        _end_children()
        if found:
            raise RuntimeError(str(found[0])) from None
        raise
    finally:
        threading.excepthook = before
        signal.signal(signal.SIGUSR1, handler)


def _end_children() -> None:
    """Kills the processes that this one has started, and those that they have."""
    found: list[int] = []
    parents = [os.getpid()]
    while parents:
        listed = Path(f"/proc/{parents.pop()}/task").glob("*/children")
        children = [int(pid) for path in listed for pid in path.read_text().split()]
        parents += children
        found += children

    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """A block in which this process and those that it starts write standard error to a file."""
    sys.stderr.flush()
    held = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(held, 2)
            os.close(held)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(
        BatchCommand, run, arguments, prog="attention-nmt batch", imports=["tensorflow"]
    )


if __name__ == "__main__":
    sys.exit(main())
