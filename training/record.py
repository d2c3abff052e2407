"""`python -m training.record` with the flags of `training.train`: a run folder that
`training.replay` trains.

For machines that have Keras on JAX but no TensorFlow, which makes the batches.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

import numpy as np

from attention_nmt.config import END
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from .build import build
from .presets import TrainConfig
from .recording import Recording
from .train import parse, prepare, training_batches


def record(config: TrainConfig, run: RunFolder) -> None:
    """Begins a run folder as `training.train` does, and writes the batches of all its steps.

    Raises:
        ValueError, OSError: as `training.train.train`; or the run folder has been trained.
    """
    if run.checkpoint.is_file() or run.best.is_file():
        raise ValueError(f"{run.path} must be a run folder that is new. It holds a model.")
    with prepare(config, run) as data:
        # A model or a search that cannot be made is refused here, and not where the recording is
        # sent to.
        model = build(config, data.source.vocabulary_size, data.target.vocabulary_size)
        Translator(model, data.source, config.search, data.target)
        batches = training_batches(config, data).stream(0, 0, lambda _: None).as_numpy_iterator()
        limit = config.search.maximum_source_length
        sources = [[*ids[: limit - 1], END] for ids in data.source.encode(data.dev_sources)]
        recording = Recording.of(
            itertools.islice(batches, config.steps), sources, data.dev_references
        )
        recording.save(run.recording)
        tokens = int(np.sum(recording.target_lengths, dtype=np.int64))
        print(f"{config.steps} batches of {tokens:,} target tokens in {run.recording}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when the recording is written, 1 with one line on what is at fault, 130
    on Ctrl-C."""
    config, run = parse(sys.argv[1:] if arguments is None else arguments, "training.record")
    try:
        record(config, run)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
