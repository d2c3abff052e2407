"""Pairs that fit their neighbours better than each other: files that are out of step.

Three things are compared of a source and a target: their lengths, their punctuation and digits, and
the words that both have. For each of them the one target fits better, or the other, or neither: a
sign test.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .reading import BLOCK
from .sides import Pairs

SHIFTS = (-4, -3, -2, -1, 1, 2, 3, 4)
"""The lines by which a target may be away from its source."""

_FAR = 61
"""A distance at which a source and a target have nothing to do with each other."""

_SURE = 6.0
"""Standard deviations from which on a block is out of step."""

_TOGETHER = (1, 16, 256)
"""Blocks that are looked at together for sides that are out of step."""

_UNRELATED = 1.5
_RELATED = 6.0
_STRETCH = 4
"""Blocks that are looked at together for sides that are unrelated."""

_LEAST_PAIRS = 300
_LEAST_EFFECT = 0.1
"""The standard deviations, for each root of a pair, below which a whole file is unrelated."""


_LEAST_SPREAD = 0.1
"""The mean difference of logarithms of lengths, from which on lines are of different lengths."""

_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
"""The bits that are set in each byte."""


class Fit(NamedTuple):
    """The sign tests of `M` blocks of pairs."""

    sums: np.ndarray
    """`[M, shifts]`: the sum of signs of each shift's targets against own ones."""
    squares: np.ndarray
    """`[M, shifts]`: the sum of their squares."""
    far_sums: np.ndarray
    """`[M]`: the sum of signs of own targets against far ones."""
    far_squares: np.ndarray
    """`[M]`: the sum of their squares."""


class Run(NamedTuple):
    """Pairs from the number `first` to `last` that do not belong together."""

    first: int
    last: int
    shift: int
    """The lines by which targets are late, 0 where they are unrelated."""

    @property
    def pairs(self) -> int:
        """The number of pairs."""
        return self.last - self.first + 1


def fit(pairs: Pairs, median: float) -> Fit:
    """Compares each pair with its neighbours.

    Args:
        pairs: the pairs.
        median: the median of their `log_ratios`.
    """
    starts = np.arange(0, pairs.size, BLOCK)
    own = _closeness(pairs, 0, median)
    sums = np.zeros((len(starts), len(SHIFTS)))
    squares = np.zeros((len(starts), len(SHIFTS)))

    for column, shift in enumerate(SHIFTS):
        signs = _signs(_closeness(pairs, shift, median), own, shift)
        sums[:, column] = np.add.reduceat(signs, starts)
        squares[:, column] = np.add.reduceat(signs**2, starts)

    signs = -_signs(_closeness(pairs, _FAR, median), own, _FAR)
    signs = signs * np.repeat(_varied(pairs, starts), BLOCK)[: pairs.size]
    return Fit(
        sums=sums,
        squares=squares,
        far_sums=np.add.reduceat(signs, starts),
        far_squares=np.add.reduceat(signs**2, starts),
    )


def _varied(pairs: Pairs, starts: np.ndarray) -> np.ndarray:
    """The blocks `[M]` whose lines are of different lengths on both sides.

    In the order of their lengths, distant lines fit as well as those of a pair.
    """
    varied = np.ones(len(starts), bool)
    counts = np.diff(starts, append=pairs.size)
    for side in pairs.sides:
        lengths = np.log(side.characters + 10)
        distances = np.abs(np.roll(lengths, -_FAR) - lengths)
        varied &= np.add.reduceat(distances, starts) >= _LEAST_SPREAD * counts
    return varied


def _closeness(pairs: Pairs, shift: int, median: float) -> np.ndarray:
    """How well each source fits the target that is `shift` lines later, `[3, N]`."""
    source = pairs.source
    target = pairs.target

    characters = np.roll(target.characters, -shift)
    ratios = np.log((characters + 10) / (source.characters + 10)) - median
    punctuation = np.abs(np.roll(target.punctuation, -shift, axis=0) - source.punctuation)
    both = np.roll(target.word_sets, -shift, axis=0) & source.word_sets

    return np.stack(
        [
            -np.abs(ratios),
            -punctuation.sum(axis=1),
            _BITS[both.view(np.uint8)].sum(axis=1, dtype=np.int64),
        ]
    )


def _signs(other: np.ndarray, own: np.ndarray, shift: int) -> np.ndarray:
    """From -3, if the own target fits better, to 3, if the other does, `[N]`."""
    signs = np.sign(other - own).sum(axis=0)
    # The first or last ones have been compared with the other end.
    if shift > 0:
        signs[-shift:] = 0
    else:
        signs[:-shift] = 0
    return signs


def runs(fits: Fit, pairs: int) -> list[Run]:
    """The stretches of a file that do not belong together, the longest first.

    Args:
        fits: of all of its blocks.
        pairs: the number of its pairs.
    """
    shifts = _bridged(_sure_shifts(fits), pairs)
    found = _runs(shifts != 0, shifts, pairs) + _unrelated(fits, shifts != 0, pairs)
    return sorted(found, key=lambda run: -run.pairs)


def _sure_shifts(fits: Fit) -> np.ndarray:
    """The shift of each block whose targets fit best, 0 where none is surely better than its own.

    Short lines, or lines in the order of their lengths, tell something in many blocks together.
    """
    blocks = np.arange(len(fits.sums))
    found = np.zeros(len(blocks), int)

    for size in _TOGETHER:
        groups = blocks // size
        starts = np.arange(0, len(blocks), size)
        squares = np.add.reduceat(fits.squares, starts)
        scores = np.add.reduceat(fits.sums, starts) / np.sqrt(np.maximum(squares, 1))

        best = scores.argmax(axis=1)[groups]
        sure = (scores.max(axis=1) >= _SURE)[groups] & (fits.sums[blocks, best] > 0)
        found = np.where((found == 0) & sure, np.array(SHIFTS)[best], found)
    return found


def _bridged(shifts: np.ndarray, pairs: int) -> np.ndarray:
    """Shifts of blocks, with one that is not sure taken for what is beside it."""
    bridged = shifts.copy()
    between = (shifts[1:-1] == 0) & (shifts[:-2] == shifts[2:])
    bridged[1:-1][between] = shifts[:-2][between]

    # A last block that is not whole may have too few pairs for any to be sure of.
    if pairs % BLOCK and len(shifts) > 1 and shifts[-1] == 0:
        bridged[-1] = bridged[-2]
    return bridged


def _runs(wanted: np.ndarray, shifts: np.ndarray, pairs: int, size: int = BLOCK) -> list[Run]:
    """Runs of blocks of one shift."""
    changes = np.flatnonzero((np.diff(shifts) != 0) | (np.diff(wanted) != 0)) + 1
    begins = np.concatenate([[0], changes])
    ends = np.append(changes, len(wanted))

    return [
        Run(int(begin) * size + 1, min(int(end) * size, pairs), int(shifts[begin]))
        for begin, end in zip(begins, ends, strict=True)
        if wanted[begin]
    ]


def _unrelated(fits: Fit, shifted: np.ndarray, pairs: int) -> list[Run]:
    """Stretches whose targets fit no better than any others.

    Args:
        fits: of all blocks.
        shifted: `[M]`: the blocks that are known to be out of step, and are none of them.
        pairs: the number of pairs.
    """
    block_sums = np.where(shifted, 0, fits.far_sums)
    block_squares = np.where(shifted, 0, fits.far_squares)

    total = block_sums.sum() / np.sqrt(max(block_squares.sum(), 1))
    told = block_squares.sum() >= _LEAST_PAIRS
    if told and not shifted.any() and total < _LEAST_EFFECT * np.sqrt(pairs):
        return [Run(1, pairs, 0)]

    starts = np.arange(0, len(block_sums), _STRETCH)
    squares = np.add.reduceat(block_squares, starts)
    scores = np.add.reduceat(block_sums, starts) / np.sqrt(np.maximum(squares, 1))

    # A stretch tells something only where others do: those that fit, or that fit a neighbour.
    if not shifted.any() and np.median(scores) < _RELATED:
        return []

    # And only if all of it is there.
    whole = np.arange(len(scores)) < len(block_sums) // _STRETCH
    in_step = np.add.reduceat(shifted.astype(int), starts) == 0
    unrelated = (scores < _UNRELATED) & (squares >= BLOCK) & whole & in_step
    return _runs(unrelated, np.zeros(len(scores), int), pairs, BLOCK * _STRETCH)
