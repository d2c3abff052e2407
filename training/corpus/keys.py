"""Lines and pairs that stand in a corpus more than once, by their hashes, in bounded memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CAPACITY = 2**21
"""The most lines that are remembered: of a longer file, every second one, every fourth, ..."""

_FREQUENT = 0.04
"""The share of a chunk from which on a line is counted by itself, however long the file."""


class Repeated(NamedTuple):
    """What stands in a file more than once."""

    lines: int
    """Lines that stand there before."""
    most: int
    """The number of times that the commonest line stands there, if it is common at all."""
    first: int
    """The number of the first such line, from 1."""
    examples: tuple[int, ...]
    """The numbers of some lines that stand there before."""


class Keys:
    """The hashes of lines, or of every `2 ** n`-th of different ones: all copies of a line or none.

    Args:
        capacity: the most that are remembered.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._level = 0
        self._keys: list[np.ndarray] = []
        self._numbers: list[np.ndarray] = []
        self._size = 0
        self._frequent: dict[int, tuple[int, int]] = {}

    @property
    def exact(self) -> bool:
        """False if only a part is remembered."""
        return self._level == 0

    def add(self, keys: np.ndarray, first: int) -> None:
        """Remembers lines.

        Args:
            keys: `[N]` uint64.
            first: the number of the first of them.
        """
        self._count_frequent(keys, first)
        self._append(keys, np.arange(first, first + len(keys), dtype=np.int64))

        while self._size > self._capacity and self._level < 63:
            self._level += 1
            all_keys = np.concatenate(self._keys)
            numbers = np.concatenate(self._numbers)
            self._keys = []
            self._numbers = []
            self._size = 0
            self._append(all_keys, numbers)

    def _count_frequent(self, keys: np.ndarray, first: int) -> None:
        values, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
        for index in np.flatnonzero(counts >= max(2, _FREQUENT * len(keys))):
            key = int(values[index])
            count, begin = self._frequent.get(key, (0, first + int(firsts[index])))
            self._frequent[key] = (count + int(counts[index]), begin)

    def _append(self, keys: np.ndarray, numbers: np.ndarray) -> None:
        if self._level:
            sampled = keys >> np.uint64(64 - self._level) == 0
            keys = keys[sampled]
            numbers = numbers[sampled]

        self._keys.append(keys)
        self._numbers.append(numbers)
        self._size += len(keys)

    def repeated(self, examples: int) -> Repeated:
        """What stands there more than once; `lines` is an estimate unless all are remembered.

        Args:
            examples: the most examples to give.
        """
        most, first = max(self._frequent.values(), default=(0, 0))
        if not self._size:
            return Repeated(lines=0, most=most, first=first, examples=())

        keys = np.concatenate(self._keys)
        numbers = np.concatenate(self._numbers)
        again = np.ones(len(keys), bool)
        again[np.unique(keys, return_index=True)[1]] = False
        return Repeated(
            lines=int(again.sum()) << self._level,
            most=most,
            first=first,
            examples=tuple(numbers[again][:examples].tolist()),
        )


class Overlap:
    """The lines of one split that stand in another one, too.

    Args:
        keys: `[N]` uint64, of the split's lines.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]
        self._found = np.zeros(len(keys), bool)

    def look(self, keys: np.ndarray) -> None:
        """Looks for the lines among some of the other split."""
        wanted = np.unique(keys)
        begins = np.searchsorted(self._sorted, wanted, side="left")
        ends = np.searchsorted(self._sorted, wanted, side="right")

        hits = begins < ends
        for begin, end in zip(begins[hits], ends[hits], strict=True):
            self._found[self._order[begin:end]] = True

    @property
    def size(self) -> int:
        """The number of lines that are looked for."""
        return len(self._found)

    @property
    def count(self) -> int:
        """The number of lines that were found."""
        return int(self._found.sum())

    def examples(self, most: int) -> tuple[int, ...]:
        """The numbers of some of them, from 1."""
        return tuple((np.flatnonzero(self._found)[:most] + 1).tolist())
