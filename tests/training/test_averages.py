"""Averaged weights against the recurrence that defines them."""

import keras
import numpy as np
import pytest

from training.averages import Averages


def test_an_average_follows_the_weights() -> None:
    """A young one takes 100 / (step + 100) of them, an old one 1 - decay ** 10; every 10th step."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    (weight,) = model.trainable_variables
    weight.assign([[1.0]])
    averages = Averages(model, decay=0.95)
    expected = 1.0

    for step in range(1, 101):
        weight.assign([[float(step)]])
        averages.update(step)
        if step % 10 == 0:
            share = max(100 / (step + 100), 1 - 0.95**10)
            expected += share * (step - expected)
        assert float(np.asarray(averages.values[0])[0, 0]) == pytest.approx(expected, rel=1e-5)

    averages.swap()
    assert float(weight.numpy()[0, 0]) == pytest.approx(expected, rel=1e-5)
    averages.swap()
    assert float(weight.numpy()[0, 0]) == 100.0
