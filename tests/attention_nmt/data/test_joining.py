"""Neighbours become one, as many as were asked for, nothing is lost and nothing too long."""

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.data.joining import draw_groups, join


def test_joined_by_hand() -> None:
    rows = tf.ragged.constant([[5, 6], [7], [8, 9, 10], [11]], dtype=tf.int32)
    assert join(rows, tf.constant([0, 1, 1, 2], tf.int64)).to_list() == [
        [5, 6],
        [7, 8, 9, 10],
        [11],
    ]


def test_nothing_to_join() -> None:
    rows = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))
    groups = draw_groups(np.zeros((0, 2), np.int64), 3, 10, (1,))
    assert join(rows, tf.constant(groups, tf.int64)).to_list() == []


@pytest.mark.parametrize("most", [1, 2, 3])
def test_each_number_equally_often(most: int) -> None:
    count = 60_000
    groups = draw_groups(np.ones((count, 2), np.int64), most, 100, (1, 2))
    assert set(np.diff(groups)) <= {0, 1}
    sizes = np.bincount(np.bincount(groups), minlength=most + 1)
    assert sizes @ np.arange(most + 1) == count
    np.testing.assert_allclose(sizes[1:-1] / sizes[1:].sum(), 1 / most, atol=0.01)
    assert len(sizes) == most + 1


def test_a_group_that_would_be_too_long_stays_apart() -> None:
    lengths = np.random.default_rng(1).integers(1, 12, (5000, 2))
    groups = draw_groups(lengths, 3, 20, (1,))
    wished = draw_groups(lengths, 3, 1000, (1,))
    for group in range(wished[-1] + 1):
        members = groups[wished == group]
        apart = (lengths[wished == group].sum(axis=0) > 20).any()
        assert len(set(members)) == (len(members) if apart else 1)
    assert len(set(groups)) == groups[-1] + 1 > wished[-1] + 1


def test_the_draw_is_that_of_its_seed() -> None:
    lengths = np.ones((100, 2), np.int64)
    assert (draw_groups(lengths, 2, 9, (1, 2)) == draw_groups(lengths, 2, 9, (1, 2))).all()
    assert (draw_groups(lengths, 2, 9, (1, 2)) != draw_groups(lengths, 2, 9, (1, 3))).any()
