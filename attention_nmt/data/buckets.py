"""The shapes of batches: few, as XLA compiles a step for each, and near the pairs' lengths."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

TARGET_COST = 2
"""The time of a target position over that of a source position.

In products it is 3 to 4, but the source, too, should have little padding.
"""

MOVES = (-8, 8, -4, 4, -2, 2, -1, 1)
"""The distances by which a side of a rectangle is moved, in this order, to lower the cost."""


class _Lengths(NamedTuple):
    """The lengths of the pairs of a corpus."""

    lengths: np.ndarray  # [N, 2]: the distinct lengths of source and target
    pairs: np.ndarray  # [N]: the pairs of each
    limit: tuple[int, int]  # the longest source and target that a batch may hold


def rectangles(histogram: np.ndarray, count: int) -> list[tuple[int, int]]:
    """At most `count` rectangles `(S, T)` such that all pairs together cost little.

    Each pair goes into the first rectangle that holds it, and a rectangle costs
    `S + TARGET_COST T`. The search starts from rectangles that hold equal shares of the pairs and
    moves their sides as long as that saves padding. The last rectangle is for pairs longer than
    those that were counted.

    Args:
        histogram: pairs by source and target length.
        count: the most rectangles.

    Returns:
        From the cheapest to the dearest.
    """
    lengths = np.argwhere(histogram)
    corpus = _Lengths(
        lengths,
        histogram[lengths[:, 0], lengths[:, 1]],
        (histogram.shape[0] - 1, histogram.shape[1] - 1),
    )

    shares = [(index + 1) / (count - 1) for index in range(count - 1)]
    start = [_quantiles(corpus, share) for share in shares]
    shapes = _descend(np.array(start).reshape(count - 1, 2), corpus)

    distinct = {(int(source), int(target)) for source, target in shapes} - {corpus.limit}
    ordered = sorted(distinct, key=lambda shape: (shape[0] + TARGET_COST * shape[1], shape))

    return [*ordered, corpus.limit]


def _quantiles(corpus: _Lengths, share: float) -> list[int]:
    """The source and the target length that `share` of the pairs do not exceed."""
    found = []
    for axis in (0, 1):
        order = np.argsort(corpus.lengths[:, axis])
        total = np.cumsum(corpus.pairs[order])
        position = np.searchsorted(total, share * total[-1])
        found.append(int(corpus.lengths[order, axis][position]))

    return found


def _descend(shapes: np.ndarray, corpus: _Lengths) -> np.ndarray:
    """Moves one side of one rectangle at a time, as long as that lowers the cost."""
    least = _cost(shapes, corpus)
    improved = True
    while improved:
        improved = False
        for index, axis, distance in itertools.product(range(len(shapes)), (0, 1), MOVES):
            moved = shapes.copy()
            moved[index, axis] = np.clip(moved[index, axis] + distance, 2, corpus.limit[axis])

            cost = _cost(moved, corpus)
            if cost < least:
                shapes = moved
                least = cost
                improved = True

    return shapes


def _cost(shapes: np.ndarray, corpus: _Lengths) -> int:
    """The cost of all pairs, padding included, if each goes into the cheapest that holds it."""
    shapes = np.concatenate([shapes, [corpus.limit]])
    fits = (corpus.lengths[:, None] <= shapes).all(axis=-1)

    costs = shapes[:, 0] + TARGET_COST * shapes[:, 1]
    cheapest = np.where(fits, costs, np.iinfo(np.int64).max).min(axis=1)

    return int((cheapest * corpus.pairs).sum())
