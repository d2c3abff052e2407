"""`attention-nmt replay`: trains on the batches that `attention-nmt record` wrote.

It needs no TensorFlow: Keras on JAX, NumPy, SentencePiece and sacreBLEU. Otherwise it is a training
like any other, with checkpoints and logs, and goes on where it was stopped.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.run_folder import RunFolder

from .devices import DeviceConfig, open_devices
from .folder import alone, load_tokenizers, read_config
from .recording import Recording
from .train import print_best

if TYPE_CHECKING:
    from .progress import BatchSource, Progress


@dataclass(frozen=True, kw_only=True)
class ReplayCommand:
    """Trains on recorded batches, without TensorFlow: `KERAS_BACKEND=jax attention-nmt replay`.

    Attributes:
        run_dir: a run folder that `attention-nmt record` wrote.
        quiet: print evaluations and the end only.
        devices: the devices that share a batch.
    """

    run_dir: Path
    quiet: bool = False
    devices: Annotated[DeviceConfig, NO_PREFIX] = field(default_factory=DeviceConfig)


def replay(run: RunFolder, *, quiet: bool = False, devices: DeviceConfig | None = None) -> Progress:
    """Trains, or goes on training, a run folder on its recording.

    Args:
        run: the folder.
        quiet: print evaluations only.
        devices: those that share a batch; one without it.

    Returns:
        The state at the end.

    Raises:
        FileNotFoundError: the folder is no run folder, or has no recording.
        ValueError: its recording or a tokenizer is at fault, or it was trained by `train` or by a
            replay that left no checkpoint; or its batches cannot be shared by these devices.
        OSError: another process is training in it.
        ImportError: a package that scoring the target language needs is missing.
        KeyboardInterrupt: Ctrl-C was pressed.
        SystemExit: the process was told to end, by SIGTERM; its code is 143.
    """
    from .dev_translation import SearchEvaluator
    from .loop import Training, train_model
    from .scoring.metrics import corpus_bleu

    config = read_config(run)
    given = devices or DeviceConfig()
    whole = given.distribute in ("none", "data_parallel") and given.accumulate == 1
    require(whole, "distribute", "'data_parallel': a recording's batches have no parts", given)
    opened = open_devices(given, config.dtype_policy)

    with alone(run.path) if opened.is_chief else contextlib.nullcontext():
        if run.best.is_file() and not run.checkpoint.is_file():
            raise ValueError(f"{run.path} holds a model without a checkpoint to go on from.")

        recording = Recording.load(run.recording)
        steps = f"those that {run.recording} has, {recording.steps}"
        require(recording.steps == config.steps, "steps", steps, config.steps)

        run.check_tokenizers(recording.tokenizer_sums(), run.recording)
        tokenizers = load_tokenizers(run)
        recording.check(tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size)

        # Anything that scoring this language lacks shows now.
        references = recording.dev_references.tolist()
        corpus_bleu(references, references, config.target)

        dev_sources = recording.dev_sources()
        training = Training(
            config=config,
            run=run,
            tokenizers=tokenizers,
            references=references,
            evaluator=lambda model: SearchEvaluator(model, tokenizers, config.search, dev_sources),
            batches=lambda: _source(recording),
            trained_on="recording",
            quiet=quiet,
            devices=opened,
        )
        return train_model(training)


def _source(recording: Recording) -> BatchSource:
    from attention_nmt import backend

    return _Dataset(recording) if backend.name() == "tensorflow" else recording


class _Dataset:
    """A recording as `tf.data.Dataset`.

    On TensorFlow, `fit` takes the shapes of a generator's batches to be those of the first two.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def stream(self, epoch: int, skip: int, began: Callable[[int], None]) -> Any:
        """The batches from a position on; see `Recording.stream`."""
        import tensorflow as tf

        from attention_nmt.data.batches import SIGNATURE

        return tf.data.Dataset.from_generator(
            lambda: self.recording.stream(epoch, skip, began),
            output_signature=SIGNATURE,
        )


def act(command: ReplayCommand) -> None:
    """Trains, and prints the end."""
    run = RunFolder(command.run_dir)
    try:
        progress = replay(run, quiet=command.quiet, devices=command.devices)
    except (KeyboardInterrupt, SystemExit):
        goes_on = "The same command goes on from the last checkpoint"
        print(f"\nStopped. {goes_on} in {run.path}.", file=sys.stderr)
        raise
    if progress.writes:
        print_best(progress, run)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `run_command` for its exit status."""
    return run_command(
        ReplayCommand,
        act,
        arguments,
        prog="attention-nmt replay",
        imports=["keras"],
    )


if __name__ == "__main__":
    sys.exit(main())
