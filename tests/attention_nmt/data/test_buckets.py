"""The shapes of batches: few, and near the pairs' lengths."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from attention_nmt.data.buckets import rectangles


def padded(histogram: np.ndarray, shapes: list[tuple[int, int]]) -> int:
    """Positions, if every pair goes into the first rectangle that holds it."""
    total = 0
    for s, t in np.argwhere(histogram):
        total += histogram[s, t] * sum(
            next(shape for shape in shapes if shape[0] >= s and shape[1] >= t)
        )
    return int(total)


def test_rectangles_by_hand() -> None:
    histogram = np.zeros((11, 11), np.int64)
    histogram[3, 4], histogram[9, 2] = 5, 5
    assert rectangles(histogram, 1) == [(10, 10)]
    assert rectangles(histogram, 3) == [(3, 4), (9, 2), (10, 10)]
    assert padded(histogram, rectangles(histogram, 3)) == 5 * 7 + 5 * 11
    assert rectangles(histogram, 8)[-1] == (10, 10)


def test_the_search_begins_with_equal_shares_of_the_pairs() -> None:
    """Lengths are so far apart that it also ends there: no move reaches the next one."""
    histogram = np.zeros((101, 121), np.int64)
    for source, target in ((5, 20), (40, 60), (75, 100)):
        histogram[source, target] = 7
    assert rectangles(histogram, 2) == [(75, 100), (100, 120)]
    assert rectangles(histogram, 3) == [(40, 60), (75, 100), (100, 120)]
    assert rectangles(histogram, 4) == [(5, 20), (40, 60), (75, 100), (100, 120)]
    assert rectangles(histogram.T, 3) == [(60, 40), (100, 75), (120, 100)]


def test_a_target_position_costs_as_much_as_two_of_a_source() -> None:
    histogram = np.zeros((41, 41), np.int64)
    histogram[10, 16], histogram[16, 10] = 5, 5
    assert rectangles(histogram, 3) == [(16, 10), (10, 16), (40, 40)]


def cost(histogram: np.ndarray, shapes: Sequence[tuple[int, int]]) -> int:
    """The sum over all pairs of the least `S + 2 T` that holds one."""
    found = 0
    for source, target in np.argwhere(histogram).tolist():
        holding = [s + 2 * t for s, t in shapes if source <= s and target <= t]
        found += min(holding) * int(histogram[source, target])
    return found


@pytest.mark.parametrize("seed", [1, 6, 10, 12])
def test_no_side_of_a_rectangle_is_better_elsewhere(seed: int) -> None:
    """By 1, 2, 4 or 8 in either direction."""
    rng = np.random.default_rng(seed)
    histogram = np.zeros((31, 31), np.int64)
    for _ in range(60):
        source = rng.integers(2, 31)
        histogram[source, np.clip(source + rng.integers(-9, 10), 2, 30)] += rng.integers(1, 30)

    *shapes, limit = rectangles(histogram, 4)
    assert limit == (30, 30)
    least = cost(histogram, [*shapes, limit])
    for index, axis in itertools.product(range(len(shapes)), (0, 1)):
        for distance in (1, 2, 4, 8, -1, -2, -4, -8):
            moved = [list(shape) for shape in shapes]
            moved[index][axis] = min(max(moved[index][axis] + distance, 2), 30)
            assert cost(histogram, [*((s, t) for s, t in moved), limit]) >= least


def test_more_rectangles_pad_less() -> None:
    generator = np.random.default_rng(1)
    histogram = np.zeros((41, 41), np.int64)
    for _ in range(500):
        source = generator.integers(2, 41)
        histogram[source, np.clip(source + generator.integers(-5, 6), 2, 40)] += 1
    paddings = []
    for count in (1, 2, 4, 8):
        shapes = rectangles(histogram, count)
        assert len(shapes) == count
        assert shapes == sorted(shapes, key=lambda shape: shape[0] + 2 * shape[1])
        assert shapes[-1] == (40, 40)
        paddings.append(padded(histogram, shapes))
    assert paddings == sorted(paddings, reverse=True)
    assert len(set(paddings)) == 4
    assert paddings[-1] < 0.65 * paddings[0]
