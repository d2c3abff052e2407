"""A training without a run folder: `python -m tests.training.shared_training FILE SETTINGS`.

It writes each step's loss, and the weights at the end.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from attention_nmt.config import from_dict
from attention_nmt.types import SPECIAL
from training.build import build
from training.devices import open_devices
from training.presets import TrainConfig
from training.progress import Progress

ROWS = 8
PIECES = 40


def pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids `[ROWS, 9]` of sources and labels; the last rows are shorter, one is padding."""
    drawn = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        ids = drawn.integers(4, PIECES, (ROWS, 9))
        for row in range(ROWS):
            length = 8 - row if row < ROWS - 1 else 0
            ids[row, length:] = SPECIAL.pad
            if length:
                ids[row, length] = SPECIAL.end
        sides.append(ids.astype(np.int32))
    return sides[0], sides[1]


class Batches:
    """Batches of numbers, four of them again and again.

    Args:
        parts: the parts of a batch.
        copies: the copies of a pair.
    """

    def __init__(self, parts: int, copies: int) -> None:
        self.parts = parts
        self.copies = copies

    def stream(self, epoch: int, skip: int, began: Any) -> Iterator[Any]:
        """The batches from a position on."""
        del epoch, began
        index = skip
        while True:
            source, labels = map(self._copied, pairs(index % 4))
            start = np.full((len(labels), 1), SPECIAL.start, np.int32)
            target = np.concatenate([start, labels[:, :-1]], axis=1)
            target[target == SPECIAL.end] = SPECIAL.pad
            weights = (labels != SPECIAL.pad).astype(np.float32)
            yield {"source": source, "target": target}, labels, weights
            index += 1

    def _copied(self, ids: np.ndarray) -> np.ndarray:
        parts = np.split(ids, self.parts)
        return np.concatenate([part for part in parts for _ in range(self.copies)])


class Losses(keras.callbacks.Callback):
    """Keeps each step's loss; an epoch is a step."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress
        self.found: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the step."""
        del batch
        self.progress.advance()
        self.found.append(float(logs["loss"]))


def main(output: str, settings: dict[str, Any]) -> None:
    """Trains by settings, and writes what comes of it."""
    config = from_dict(TrainConfig, {**SETTINGS, **settings})
    devices = open_devices(config.devices, config.dtype_policy)
    with devices.scope():
        model = build(config, PIECES, PIECES)
    progress = Progress(model, 0.0, writes=devices.is_chief)
    losses = Losses(progress)
    copies = 2 if config.consistency else 1
    devices.fit(progress, Batches(devices.parts, copies), config, [losses], 0)

    if devices.is_chief:
        arrays: dict[str, Any] = {"losses": np.array(losses.found)}
        for index, weight in enumerate(model.trainable_variables):
            arrays[str(index)] = np.asarray(weight)
        np.savez(Path(output), **arrays)


SETTINGS: dict[str, Any] = {
    "model": {
        "embedding_size": 6,
        "encoder_units": 5,
        "decoder_units": 7,
        "attention_units": 4,
        "readout_units": 3,
    },
    "steps": 200,
    "evaluate_steps": 1,
    "warmup_steps": 10,
    "learning_rate": 0.01,
    "label_smoothing": 0.1,
    "jit_compile": False,
}

if __name__ == "__main__":
    import json

    main(sys.argv[1], json.loads(sys.argv[2]))
