"""A training on JAX: `KERAS_BACKEND=jax python -m tests.training.jax_fit RUN`, see `test_jax_training`."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from attention_nmt.batching import TrainingBatches
from attention_nmt.config import BatchConfig, ModelConfig, to_json
from attention_nmt.run_folder import RunFolder
from attention_nmt.tokenizer import Tokenizer
from tests.training.corpora import PAIRS
from training.build import build
from training.presets import TrainConfig

SIZES = ModelConfig(310, 310, 12, 10, 16, attention_units=8, readout_units=12, embedding_dropout=0.1)


def main() -> None:
    """Fits a tiny model for two epochs; writes what a run folder holds, and logits of the first batch."""
    assert keras.backend.backend() == "jax"
    run = RunFolder(Path(sys.argv[1]))
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    batches = TrainingBatches(
        tf.data.Dataset.from_tensor_slices(tuple(map(list, zip(*PAIRS, strict=True)))),
        tokenizer,
        tokenizer,
        BatchConfig(batch_size=16, buckets=1),
    )
    config = TrainConfig(model=SIZES, vocabulary_size=310, learning_rate=0.01, warmup_steps=1, steps=100)
    model = build(config, 310, 310)
    history = model.fit(batches.dataset(), epochs=2, verbose=0)
    inputs, _, _ = next(batches.epoch(0).as_numpy_iterator())
    run.path.mkdir()
    run.config.write_text(to_json(config))
    tokenizer.save(run.source_tokenizer)
    model.save(run.best)
    run.path.joinpath("losses.json").write_text(json.dumps(history.history["loss"]))
    np.savez(run.path / "batch.npz", **inputs, logits=np.asarray(model(inputs)))


if __name__ == "__main__":
    main()
