"""Links and habits of attention, by hand."""

import numpy as np
import pytest

from training.aligning import grow_diagonal, habits


def test_habits_by_hand() -> None:
    """Words needed: 2 (0.8 + 0.2), 1, 1 and, of weights that sum to a half, 2; most read: 0, 1, 0, 0 and then 2."""
    first = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.95, 0.0, 0.05], [0.3, 0.0, 0.2]])
    second = np.array([[0.0, 0.05, 0.95]])
    found = habits([first, second])
    assert found.source_words == pytest.approx((2 + 1 + 1 + 2 + 1) / 5)
    assert found.moves_back == pytest.approx(100 / 3)  # of three moves one
    assert found.stays == pytest.approx(5 / 4)  # runs: 0, 1, 0 0, and 2


def test_habits_need_a_word() -> None:
    with pytest.raises(ValueError, match=r"at least one target word. Received: none\."):
        habits([])


def test_grow_diagonal_by_hand() -> None:
    """Both have 0-0 and 3-3. 0-1 and 1-1 touch 0-0 and link a new word each, 2-2 then touches 1-1, 6-6 nothing."""
    one = {(0, 0), (1, 1), (3, 3), (6, 6)}
    other = {(0, 0), (0, 1), (2, 2), (3, 3)}
    assert grow_diagonal(one, other) == {(0, 0), (0, 1), (1, 1), (2, 2), (3, 3)}
    assert grow_diagonal({(0, 0), (1, 1)}, {(0, 0), (1, 1), (0, 1)}) == {(0, 0), (1, 1)}
    assert grow_diagonal({(5, 5)}, {(1, 1)}) == set()
