"""The shapes of batches: few, for XLA compiles a step for each, and near the lengths of the
pairs."""

from __future__ import annotations

import itertools

import numpy as np

TARGET_COST = 2
"""The time of a target position over that of a source position. In products it is 3 to 4, but the
source, too, should have little padding."""


def rectangles(histogram: np.ndarray, count: int) -> list[tuple[int, int]]:
    """At most `count` rectangles `(S, T)` such that each pair, put into the first that holds it,
    costs little.

    A rectangle costs `S + TARGET_COST T`. Starts from rectangles that hold equal shares of the
    pairs and moves their sides as long as that saves padding. The last one is for pairs longer
    than those that were counted.

    Args:
        histogram: pairs by source and target length.

    Returns:
        From the cheapest to the dearest.
    """
    limit = (histogram.shape[0] - 1, histogram.shape[1] - 1)
    lengths = np.argwhere(histogram)
    pairs = histogram[lengths[:, 0], lengths[:, 1]]
    shapes = np.array(
        [_quantiles(lengths, pairs, (i + 1) / (count - 1)) for i in range(count - 1)]
    ).reshape(-1, 2)
    least = _cost(shapes, limit, lengths, pairs)
    steps = [step for size in (8, 4, 2, 1) for step in (-size, size)]
    improved = True
    while improved:
        improved = False
        for index, axis, step in itertools.product(range(len(shapes)), (0, 1), steps):
            moved = shapes.copy()
            moved[index, axis] = np.clip(moved[index, axis] + step, 2, limit[axis])
            cost = _cost(moved, limit, lengths, pairs)
            if cost < least:
                shapes, least, improved = moved, cost, True
    distinct = {(int(s), int(t)) for s, t in shapes} - {limit}
    return [*sorted(distinct, key=lambda shape: (shape[0] + TARGET_COST * shape[1], shape)), limit]


def _quantiles(lengths: np.ndarray, pairs: np.ndarray, share: float) -> list[int]:
    """The source and the target length that `share` of the pairs do not exceed."""
    found = []
    for axis in (0, 1):
        order = np.argsort(lengths[:, axis])
        total = np.cumsum(pairs[order])
        found.append(int(lengths[order, axis][np.searchsorted(total, share * total[-1])]))
    return found


def _cost(
    shapes: np.ndarray, limit: tuple[int, int], lengths: np.ndarray, pairs: np.ndarray
) -> int:
    """The cost of all pairs, padding included, if every pair goes into the cheapest rectangle that
    holds it."""
    shapes = np.concatenate([shapes, [limit]])
    fits = (lengths[:, None] <= shapes).all(axis=-1)
    costs = np.where(fits, shapes[:, 0] + TARGET_COST * shapes[:, 1], np.iinfo(np.int64).max).min(
        axis=1
    )
    return int((costs * pairs).sum())
