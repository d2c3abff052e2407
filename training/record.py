"""`python -m training.record` with the flags of `training.train`: a run folder that `training.replay` trains.

For machines that have Keras on JAX but no TensorFlow, which makes the batches.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

import numpy as np

from attention_nmt.config import END
from attention_nmt.run_folder import RunFolder
from training.presets import TrainConfig
from training.recording import Recording
from training.train import parse, prepare, training_batches


def record(config: TrainConfig, run: RunFolder) -> int:
    """Begins a run folder as `training.train` does, and writes the batches of all its steps.

    Returns:
        The size of the recording in bytes.

    Raises:
        ValueError, OSError: as `training.train.train`; or the run folder has been trained.
    """
    if run.checkpoint.is_file() or run.best.is_file():
        raise ValueError(f"{run.path} must be a run folder that is new. It holds a model.")
    with prepare(config, run) as data:
        batches = training_batches(config, data).stream(0, 0, lambda _: None).as_numpy_iterator()
        limit = config.search.maximum_source_length
        sources = [[*ids[: limit - 1], END] for ids in data.source.encode(data.dev_sources)]
        recording = Recording.of(itertools.islice(batches, config.steps), sources, data.dev_references)
        recording.save(run.recording)
        tokens = int(np.sum(recording.target_lengths, dtype=np.int64))
        print(f"{config.steps} batches of {tokens:,} target tokens in {run.recording}.")
    return run.recording.stat().st_size


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when the recording is written, 1 with one line on what is at fault."""
    config, run = parse(sys.argv[1:] if arguments is None else arguments, "training.record")
    try:
        record(config, run)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
