"""The batches of a whole training in one file, for machines without TensorFlow; NumPy only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from attention_nmt.archives import COMPRESSED, open_arrays, whole
from attention_nmt.checks import require
from attention_nmt.files import atomic_write
from attention_nmt.types import SPECIAL

Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""A batch for `fit`: ids `source` [B, S] and `target` [B, T], labels and weights [B, T]."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The batches of a training and the dev sentences that it is evaluated on.

    Ids are those of all rows in order, end symbols included and padding left out.

    Attributes:
        shapes: `[steps, 3]`: rows `B`, and the lengths `S` and `T` of each batch.
        source_lengths: `[rows]`, 0 in rows of padding.
        target_lengths: `[rows]`, likewise.
        source_ids: `[sum of source_lengths]`.
        target_ids: `[sum of target_lengths]`.
        dev_lengths: `[dev sentences]`.
        dev_ids: `[sum of dev_lengths]`.
        dev_references: `[dev sentences]`, strings.
        tokenizers: SHA-256 of the tokenizers' files by their names, as JSON; of nothing in older
            recordings.
    """

    shapes: np.ndarray
    source_lengths: np.ndarray
    target_lengths: np.ndarray
    source_ids: np.ndarray
    target_ids: np.ndarray
    dev_lengths: np.ndarray
    dev_ids: np.ndarray
    dev_references: np.ndarray
    tokenizers: np.ndarray

    @classmethod
    def of(
        cls,
        batches: Iterable[tuple],
        dev_sources: Sequence[Sequence[int]],
        dev_references: Sequence[str],
        tokenizers: Mapping[str, str] | None = None,
    ) -> Recording:
        """Records batches as `TrainingBatches` gives them.

        Args:
            batches: the batches of all steps.
            dev_sources: the ids of each dev sentence, its end symbol included.
            dev_references: their translations.
            tokenizers: SHA-256 of the tokenizers' files, by their names.
        """
        shapes: list[tuple[int, int, int]] = []
        source = _Side()
        target = _Side()
        for inputs, labels, _ in batches:
            rows, source_length = inputs["source"].shape
            shapes.append((rows, source_length, labels.shape[1]))
            source.add(inputs["source"])
            target.add(labels)

        return cls(
            shapes=np.array(shapes, np.int32),
            source_lengths=np.concatenate(source.lengths),
            target_lengths=np.concatenate(target.lengths),
            source_ids=np.concatenate(source.ids),
            target_ids=np.concatenate(target.ids),
            dev_lengths=np.array([len(ids) for ids in dev_sources], np.int32),
            dev_ids=np.concatenate([np.asarray(ids, np.int32) for ids in dev_sources]),
            dev_references=np.array(dev_references, np.str_),
            tokenizers=np.array(json.dumps(dict(tokenizers or {}))),
        )

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Reads a file that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no whole recording.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: training.record writes it.")

        kind = "recording"
        with whole(path, kind), open_arrays(path, kind, COMPRESSED) as arrays:
            found = {
                field.name: arrays[field.name] for field in fields(cls) if field.name in arrays
            }
            found.setdefault("tokenizers", np.array("{}"))
            missing = [field.name for field in fields(cls) if field.name not in found]
            require(not missing, "recording", "one with all entries", missing)

            recording = cls(**found)
            recording._check_lengths()
        return recording

    def _check_lengths(self) -> None:
        """Checks that the arrays belong together."""
        rows = int(self.shapes[:, 0].sum())
        lengths = {
            "source_lengths": (len(self.source_lengths), rows),
            "target_lengths": (len(self.target_lengths), rows),
            "source_ids": (len(self.source_ids), int(self.source_lengths.sum(dtype=np.int64))),
            "target_ids": (len(self.target_ids), int(self.target_lengths.sum(dtype=np.int64))),
            "dev_ids": (len(self.dev_ids), int(self.dev_lengths.sum(dtype=np.int64))),
            "dev_references": (len(self.dev_references), len(self.dev_lengths)),
        }
        for name, (found, expected) in lengths.items():
            require(found == expected, name, f"an array of {expected}", found)

    def tokenizer_sums(self) -> dict[str, str]:
        """SHA-256 of the tokenizers' files that it was made with, by their names."""
        return json.loads(str(self.tokenizers))

    @property
    def steps(self) -> int:
        """The number of batches."""
        return len(self.shapes)

    @property
    def target_tokens(self) -> int:
        """The number of target pieces of all batches, end symbols included."""
        return int(np.sum(self.target_lengths, dtype=np.int64))

    def check(self, source_size: int, target_size: int) -> None:
        """Checks that it was made with vocabularies of these sizes.

        Raises:
            ValueError: an id is outside of its vocabulary.
        """
        sizes = {
            "source": (source_size, (self.source_ids, self.dev_ids)),
            "target": (target_size, (self.target_ids,)),
        }
        for side, (size, arrays) in sizes.items():
            largest = max((int(ids.max()) for ids in arrays if ids.size), default=0)
            expected = f"one of the run's vocabulary, with {side} ids below {size}"
            require(largest < size, "recording", expected, largest)

    def stream(self, epoch: int, skip: int, began: Callable[[int], None]) -> Iterator[Batch]:
        """The batches from a position on; see `progress.BatchSource`.

        Args:
            epoch: 0; the whole recording is one epoch.
            skip: batches that are left out, the first ones.
            began: never called.
        """
        del began
        require(epoch == 0, "epoch", "0, which is all of a recording", epoch)

        row_ends = np.cumsum(self.shapes[:, 0], dtype=np.int64)
        source_ends = np.cumsum(self.source_lengths, dtype=np.int64)
        target_ends = np.cumsum(self.target_lengths, dtype=np.int64)

        for step in range(skip, self.steps):
            count, source_width, target_width = self.shapes[step].tolist()
            rows = slice(int(row_ends[step]) - count, int(row_ends[step]))
            source = _padded(self.source_lengths, self.source_ids, source_ends, rows, source_width)
            labels = _padded(self.target_lengths, self.target_ids, target_ends, rows, target_width)
            weights = (labels != SPECIAL.pad).astype(np.float32)
            yield {"source": source, "target": _shifted(labels)}, labels, weights

    def dev_sources(self) -> list[list[int]]:
        """The ids of each dev sentence, its end symbol included."""
        parts = np.split(self.dev_ids, np.cumsum(self.dev_lengths)[:-1])
        return [part.tolist() for part in parts]


class _Side:
    """One side of batches, collected.

    Attributes:
        lengths: the lengths `[B]` of each batch's rows.
        ids: the ids of each batch, without padding.
    """

    def __init__(self) -> None:
        self.lengths: list[np.ndarray] = []
        self.ids: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Adds a batch `[B, length]`."""
        real = rows != SPECIAL.pad
        self.lengths.append(real.sum(axis=1).astype(np.uint16))
        self.ids.append(_narrow(rows[real]))


def _narrow(ids: np.ndarray) -> np.ndarray:
    """Ids in half the bytes where none is too large: files are made for being sent somewhere."""
    return ids.astype(np.uint16) if ids.size and ids.max() < 2**16 else ids


def _padded(
    lengths: np.ndarray, ids: np.ndarray, ends: np.ndarray, rows: slice, width: int
) -> np.ndarray:
    """Some rows of one side as a batch.

    Args:
        lengths: of all rows.
        ids: of all rows, one behind the other.
        ends: the index in `ids` at which each row ends.
        rows: those of the batch.
        width: the length of the batch.

    Returns:
        `[B, width]`.
    """
    here = lengths[rows].astype(np.int64)
    end = int(ends[rows.stop - 1])
    padded = np.full((len(here), width), SPECIAL.pad, np.int32)
    padded[np.arange(width) < here[:, None]] = ids[end - int(here.sum()) : end]
    return padded


def _shifted(labels: np.ndarray) -> np.ndarray:
    """The decoder's inputs for labels `[B, T]`: the start symbol and all labels but the last.

    End symbols become padding, as in `TrainingBatches`.
    """
    start = np.full((len(labels), 1), SPECIAL.start, np.int32)
    target = np.concatenate([start, labels[:, :-1]], axis=1)
    target[target == SPECIAL.end] = SPECIAL.pad
    return target
