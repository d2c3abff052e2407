"""The batches of a whole training in one file, for machines that have no TensorFlow: NumPy only."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from attention_nmt.config import END, PAD, START
from attention_nmt.files import atomic_write


@dataclass(frozen=True)
class Recording:
    """The batches of a training and the dev sentences that it is evaluated on.

    Ids are those of all rows in order, end symbols included and padding left out.
    """

    shapes: np.ndarray  # [steps, 3]: rows B, and the lengths S and T of each batch
    source_lengths: np.ndarray  # [rows]: 0 in rows of padding
    target_lengths: np.ndarray  # [rows]
    source_ids: np.ndarray  # [sum of source_lengths]
    target_ids: np.ndarray  # [sum of target_lengths]
    dev_lengths: np.ndarray  # [dev sentences]
    dev_ids: np.ndarray  # [sum of dev_lengths]
    dev_references: np.ndarray  # [dev sentences], strings

    @classmethod
    def of(
        cls, batches: Iterable[tuple], dev_sources: list[list[int]], dev_references: list[str]
    ) -> Recording:
        """Records batches as `TrainingBatches` gives them, and dev sources with their end
        symbols."""
        shapes = list[tuple[int, int, int]]()
        lengths: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        ids: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for inputs, labels, _ in batches:
            shapes.append((*inputs["source"].shape, labels.shape[1]))
            for side, rows in enumerate((inputs["source"], labels)):
                real = rows != PAD
                lengths[side].append(real.sum(axis=1).astype(np.uint16))
                ids[side].append(_narrow(rows[real]))
        return cls(
            np.array(shapes, np.int32),
            np.concatenate(lengths[0]),
            np.concatenate(lengths[1]),
            np.concatenate(ids[0]),
            np.concatenate(ids[1]),
            np.array([len(line) for line in dev_sources], np.int32),
            np.array([piece for line in dev_sources for piece in line], np.int32),
            np.array(dev_references, np.str_),
        )

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, **{field.name: getattr(self, field.name) for field in fields(self)}
            )

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no whole recording.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: expected a whole recording. Received: {error}.") from error

    def batches(self) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        """What `fit` takes: the batches that were recorded, once."""
        row, at = 0, [0, 0]
        for count, *widths in self.shapes.tolist():
            sides = []
            for side, (lengths, ids) in enumerate(self._sides()):
                here = lengths[row : row + count].astype(np.int64)
                end = at[side] + int(here.sum())
                sides.append(_padded(here, ids[at[side] : end], widths[side]))
                at[side] = end
            row += count
            source, labels = sides
            yield (
                {"source": source, "target": _shifted(labels)},
                labels,
                (labels != PAD).astype(np.float32),
            )

    def _sides(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        return (self.source_lengths, self.source_ids), (self.target_lengths, self.target_ids)

    def dev_sources(self) -> list[np.ndarray]:
        """The ids of each dev sentence."""
        return np.split(self.dev_ids, np.cumsum(self.dev_lengths)[:-1])


def _narrow(ids: np.ndarray) -> np.ndarray:
    """Ids in half the bytes where none is too large: files are made for being sent somewhere."""
    return ids.astype(np.uint16) if ids.size and ids.max() < 2**16 else ids


def _padded(lengths: np.ndarray, ids: np.ndarray, width: int) -> np.ndarray:
    """Ids `[B, width]` from flat ones."""
    rows = np.full((len(lengths), width), PAD, np.int32)
    rows[np.arange(width) < lengths[:, None]] = ids
    return rows


def _shifted(labels: np.ndarray) -> np.ndarray:
    """What the decoder reads to write labels: the start symbol and all but the last, as
    `TrainingBatches` has it."""
    target = np.concatenate([np.full((len(labels), 1), START, np.int32), labels[:, :-1]], axis=1)
    target[target == END] = PAD
    return target
