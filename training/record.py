"""`attention-nmt record`, with the flags of `train`: a run folder for `replay` to train.

For machines that have Keras on JAX but no TensorFlow, which makes the batches.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.config import PARTS
from attention_nmt.run_folder import RunFolder

from .devices import DeviceConfig
from .presets import TrainConfig
from .train import TrainCommand, check_sizes, usual_command


def record(config: TrainConfig, run: RunFolder, *, quiet: bool = False) -> None:
    """Begins a run folder as `train` does, and writes the batches of all its steps.

    Args:
        config: the settings.
        run: the folder.
        quiet: print the end only.

    Raises:
        ValueError: as `train`; or the run folder has been trained, or there is an `initial` model.
        OSError: as `train`.
    """
    from .build import build
    from .dev_translation import check_search
    from .prepare import describe, prepare, training_batches
    from .recording import Recording

    expected = "left out: a recording holds batches and no weights to begin with"
    require(config.initial is None, "initial", expected, config.initial)
    expected = f"one of {PARTS}: a recording holds batches and no weights to begin with"
    require(config.model.encoder in PARTS, "encoder", expected, config.model.encoder)
    expected = "left out: `replay` takes the devices"
    require(config.devices == DeviceConfig(), "distribute", expected, config.devices)
    if run.checkpoint.is_file() or run.best.is_file():
        raise ValueError(f"{run.path} must be a run folder that is new. It holds a model.")

    with prepare(config, run, quiet=quiet) as data:
        # A model or a search that cannot be made is refused here, and not where the recording is
        # sent to.
        source, target = data.tokenizers
        model = build(config, source.vocabulary_size, target.vocabulary_size)
        check_search(model, config.search)

        batches = training_batches(config, data)
        if not quiet:
            print(describe(config, batches), flush=True)

        stream = batches.stream(0, 0, lambda _: None).as_numpy_iterator()
        recording = Recording.of(
            itertools.islice(stream, config.steps),
            source.source_ids(data.dev_sources, config.search.maximum_source_length),
            data.dev_references,
            run.tokenizer_sums(),
        )
        recording.save(run.recording)

    tokens = f"{recording.target_tokens:,} target tokens"
    print(f"{config.steps} batches of {tokens} in {run.recording}.")


def act(command: TrainCommand) -> None:
    """Records."""
    check_sizes(command)
    record(command.config, RunFolder(command.run_dir), quiet=command.quiet)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `run_command` for its exit status."""
    return run_command(
        TrainCommand,
        act,
        arguments,
        prog="attention-nmt record",
        default=lambda: usual_command(arguments),
        imports=["tensorflow"],
    )


if __name__ == "__main__":
    sys.exit(main())
