"""The loss and the metrics, by hand."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.losses import (
    CrossEntropy,
    Perplexity,
    TargetTokens,
    TokenAccuracy,
    smoothed_cross_entropy,
    token_weights,
)
from tests.attention_nmt.models import oracle

# Probabilities 1/4, 1/2, 1/4 at the first position, 1/8, 3/4, 1/8 at the second, even ones at the
# third, which is padding.
LOGITS = (
    np.log([[[0.25, 0.5, 0.25], [0.125, 0.75, 0.125], [1 / 3, 1 / 3, 1 / 3]]]).astype(np.float32)
    + 3
)
LABELS = np.array([[1, 2, 0]])
WEIGHTS = np.array([[1, 1, 0]], np.float32)

MODULE = CrossEntropy.__module__


def test_cross_entropy_by_hand() -> None:
    losses = smoothed_cross_entropy(LABELS, LOGITS)
    np.testing.assert_allclose(losses, [[np.log(2), np.log(8), np.log(3)]], rtol=1e-6)


def test_smoothed_cross_entropy_by_hand() -> None:
    """eps = 0.3: the label has 0.7 + 0.1, each other id 0.1."""
    first = 0.8 * np.log(2) + 0.1 * np.log(4) + 0.1 * np.log(4)
    second = 0.1 * np.log(8) + 0.1 * np.log(4 / 3) + 0.8 * np.log(8)
    losses = smoothed_cross_entropy(LABELS, LOGITS, 0.3)
    np.testing.assert_allclose(losses, [[first, second, np.log(3)]], rtol=1e-6)


def test_the_mean_is_over_weights_and_not_over_padding() -> None:
    """With weights that leave out padding, with some that do not, and without any."""
    expected = (np.log(2) + np.log(8)) / 2
    for weights in (WEIGHTS, np.ones_like(WEIGHTS), np.ones(1), np.ones((1, 1)), None):
        assert float(CrossEntropy()(LABELS, LOGITS, weights)) == pytest.approx(expected)
    words = np.array([[1, 2, 1]])
    assert float(CrossEntropy()(words, LOGITS)) == pytest.approx((2 * expected + np.log(3)) / 3)
    uneven = np.array([[3, 1, 0]], np.float32)
    assert float(CrossEntropy()(LABELS, LOGITS, uneven)) == pytest.approx(
        (3 * np.log(2) + np.log(8)) / 4
    )
    assert float(CrossEntropy()(LABELS, LOGITS, 0 * WEIGHTS)) == 0


def test_a_replica_counts_by_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two replicas with 2 and 1 tokens; Keras divides the loss of each by their number."""
    parts = [LABELS, np.array([[0, 0, 2]])]
    monkeypatch.setattr(f"{MODULE}.replicas", lambda: 2)
    monkeypatch.setattr(f"{MODULE}.sum_over_replicas", lambda _: 3.0)
    found = [float(CrossEntropy()(labels, LOGITS)) / 2 for labels in parts]
    assert found[0] == pytest.approx((np.log(2) + np.log(8)) / 3)
    assert found[1] == pytest.approx(np.log(3) / 3)

    sums = [float(CrossEntropy(reduction="sum")(labels, LOGITS)) for labels in parts]
    assert sums == pytest.approx([np.log(2) + np.log(8), np.log(3)])


def test_the_loss_of_a_batch_of_padding_is_zero() -> None:
    for weights in (None, WEIGHTS):
        assert float(CrossEntropy()(0 * LABELS, LOGITS, weights)) == 0


def test_other_reductions_leave_out_padding_too() -> None:
    losses = [np.log(2), np.log(8), 0]
    each = CrossEntropy(reduction="none")(LABELS, LOGITS)
    np.testing.assert_allclose(each, [losses], rtol=1e-6)
    assert float(CrossEntropy(reduction="sum")(LABELS, LOGITS)) == pytest.approx(sum(losses))


def test_weights_of_sentences_are_not_those_of_positions() -> None:
    """Two sentences of two words: `[B]` has the shape of a row of positions."""
    weights = token_weights(np.array([[5, 6], [7, 0]]), np.array([3, 2]))
    np.testing.assert_array_equal(weights, [[3, 3], [2, 0]])
    for wrong in (np.ones(3), np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 2, 1)), np.ones(())):
        with pytest.raises(
            ValueError, match=r"`sample_weight` must be \[B\], \[B, 1\] or \[B, T\]"
        ):
            token_weights(np.array([[5, 6], [7, 0]]), wrong)
    with pytest.raises(
        ValueError, match=r"`y_true` must be ids \[B, T\]\. Received: 'shape \(2,\)'"
    ):
        token_weights(np.array([5, 6]))


@pytest.mark.parametrize("floatx", ["bfloat16", "float16"])
def test_labels_are_exact_in_any_precision(floatx: str) -> None:
    """4,001 has no bfloat16 and no float16."""
    logits = np.zeros((1, 1, 5000), np.float32)
    logits[..., 4001] = 50
    keras.config.set_floatx(floatx)
    try:
        assert float(CrossEntropy()(np.array([[4001]]), logits)) == pytest.approx(0, abs=1e-6)
    finally:
        keras.config.set_floatx("float32")


def test_consistency_by_hand() -> None:
    """p = (1/2, 1/4, 1/4) and q = (1/4, 1/4, 1/2): both divergences are 1/4 log 2, and half of
    alpha counts."""
    logits = np.log([[[0.5, 0.25, 0.25]], [[0.25, 0.25, 0.5]]]).astype(np.float32) - 2
    labels = np.array([[0], [0]])  # padding has a loss like any other, and no weight
    losses = smoothed_cross_entropy(labels, logits, consistency=6)
    np.testing.assert_allclose(losses, np.log([[2], [4]]) + 3 * np.log(2) / 4, rtol=1e-6)
    agreeing = np.concatenate([LOGITS, LOGITS])
    twice = np.concatenate([LABELS, LABELS])
    np.testing.assert_allclose(
        smoothed_cross_entropy(twice, agreeing, 0.1, consistency=6),
        smoothed_cross_entropy(twice, agreeing, 0.1),
    )


@pytest.mark.parametrize(
    ("smoothing", "consistency"), [(0.0, 0.0), (0.1, 0.0), (0.9, 0.0), (0.1, 5.0)]
)
def test_gradient_against_finite_differences(smoothing: float, consistency: float) -> None:
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(0, 2, (4, 3, 5)), generator.integers(0, 5, (4, 3))
    upstream = generator.normal(size=(4, 3))
    tensor = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        losses = smoothed_cross_entropy(labels, tensor, smoothing, consistency)
        loss = tf.reduce_sum(losses * upstream.astype(np.float32))
    gradient = tf.convert_to_tensor(tape.gradient(loss, tensor)).numpy()

    def value(logits: np.ndarray) -> float:
        losses = oracle.cross_entropy(logits.reshape(-1, 5), labels.reshape(-1), smoothing).reshape(
            4, 3
        )
        return float(((losses + consistency / 2 * oracle.divergence(logits)) * upstream).sum())

    epsilon = 1e-6
    for index in np.ndindex(logits.shape):
        moved = np.zeros_like(logits)
        moved[index] = epsilon
        expected = (value(logits + moved) - value(logits - moved)) / (2 * epsilon)
        assert gradient[index] == pytest.approx(expected, abs=1e-5)


def test_large_logits_overflow_nothing() -> None:
    logits = tf.constant([[[1e4, -1e4, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = smoothed_cross_entropy(np.array([[1]]), logits, 0.1)
    assert np.isfinite(loss.numpy()).all()
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_logits_are_summed_in_float32(dtype: str) -> None:
    """The values are those of the rounded logits in float32; the gradient has the logits' dtype."""
    logits = np.random.default_rng(0).normal(0, 3, (2, 3, 500)).astype(np.float32)
    labels = np.arange(6).reshape(2, 3)
    rounded = tf.cast(logits, dtype)
    with tf.GradientTape() as tape:
        tape.watch(rounded)
        losses = smoothed_cross_entropy(labels, rounded, 0.1)
    assert losses.dtype == tf.float32
    expected = smoothed_cross_entropy(labels, tf.cast(rounded, tf.float32), 0.1)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    assert tape.gradient(losses, rounded).dtype == rounded.dtype


def test_smoothing_is_validated_and_kept() -> None:
    with pytest.raises(ValueError, match=r"`label_smoothing` must be in \[0, 1\)\. Received: 1\.5"):
        CrossEntropy(1.5)
    with pytest.raises(ValueError, match=r"`consistency` must be at least 0\. Received: -1"):
        CrossEntropy(consistency=-1)
    with pytest.raises(
        ValueError, match=r"`y_pred` must be of an even number of rows, .*Received: \(1, 3, 3\)"
    ):
        CrossEntropy(consistency=1)(LABELS, LOGITS)
    # The rows count, not the positions.
    odd = np.zeros((3, 4), np.int32), np.zeros((3, 4, 5), np.float32)
    with pytest.raises(ValueError, match=r"Received: \(3, 4, 5\)"):
        CrossEntropy(consistency=1)(*odd)
    even = np.ones((4, 3), np.int32), np.zeros((4, 3, 5), np.float32)
    assert float(CrossEntropy(consistency=1)(*even)) == pytest.approx(np.log(5), abs=1e-6)
    loss = keras.losses.deserialize(
        json.loads(json.dumps(keras.losses.serialize(CrossEntropy(0.25, 2.0))))
    )
    assert (loss.label_smoothing, loss.consistency) == (0.25, 2.0)
    loss = keras.losses.deserialize(
        json.loads(json.dumps(keras.losses.serialize(CrossEntropy(0.25))))
    )
    assert float(loss(LABELS, LOGITS, WEIGHTS)) == float(
        CrossEntropy(0.25)(LABELS, LOGITS, WEIGHTS)
    )


def test_perplexity_by_hand() -> None:
    """exp((log 2 + log 8) / 2) = 4; with the third position as a second batch, exp((log 2 + log 8
    + log 3) / 3)."""
    metric = Perplexity()
    metric.update_state(LABELS, LOGITS, WEIGHTS)
    assert float(metric.result()) == pytest.approx(4, rel=1e-6)
    metric.update_state(np.array([[1, 2, 1]]), LOGITS, 1 - WEIGHTS)
    assert float(metric.result()) == pytest.approx(48 ** (1 / 3), rel=1e-6)


def test_perplexity_compares_no_sentences() -> None:
    """Rows half a batch apart have nothing to do with each other."""
    labels = np.array([[1], [2]])
    logits = np.log([[[0.2, 0.5, 0.3]], [[0.25, 0.5, 0.25]]])
    metric = Perplexity()
    metric.update_state(labels, logits)
    assert float(metric.result()) == pytest.approx((0.5 * 0.25) ** -0.5, rel=1e-6)


@pytest.mark.parametrize("weights", [None, np.ones((1, 3))])
def test_metrics_leave_out_padding_by_themselves(weights: np.ndarray | None) -> None:
    """As Keras calls those of `metrics=`, without weights, and with weights of sentences."""
    for metric, value in ((Perplexity(), 4), (TokenAccuracy(), 0.5), (TargetTokens(), 2)):
        metric.update_state(LABELS, LOGITS, weights)
        assert float(metric.result()) == pytest.approx(value, rel=1e-6)


def test_wide_batches_and_narrow_ones_count_by_their_tokens() -> None:
    """Keras' mean of each row first would weight a token by the width of its batch."""
    narrow = (LABELS[:, :1], LOGITS[:, :1])
    wide = (np.repeat(LABELS[:, 1:2], 3, axis=1), np.repeat(LOGITS[:, 1:2], 3, axis=1))
    for metric, value in ((Perplexity(), (2 * 8**3) ** (1 / 4)), (TokenAccuracy(), 1 / 4)):
        for labels, logits in (narrow, wide):
            metric.update_state(labels, logits)
        assert float(metric.result()) == pytest.approx(value, rel=1e-6)


def test_token_accuracy_by_hand() -> None:
    metric = TokenAccuracy()
    metric.update_state(LABELS, LOGITS, WEIGHTS)
    assert float(metric.result()) == 0.5  # the second label has 1/8 beside 3/4
    metric.update_state(np.array([[1, 1, 0]]), LOGITS, WEIGHTS)
    assert float(metric.result()) == 0.75


def test_target_tokens_by_hand() -> None:
    metric = TargetTokens()
    metric.update_state(LABELS, LOGITS, WEIGHTS)
    metric.update_state(LABELS, LOGITS, np.ones_like(WEIGHTS))
    assert float(metric.result()) == 4
    metric.reset_state()
    metric.update_state(np.array([[1, 2, 1]]), LOGITS)
    assert float(metric.result()) == 3


@pytest.mark.parametrize("metric_class", [Perplexity, TokenAccuracy, TargetTokens])
def test_metrics_round_trip(metric_class: type[keras.metrics.Metric]) -> None:
    metric = keras.metrics.deserialize(keras.metrics.serialize(metric_class(name="own")))
    assert isinstance(metric, metric_class)
    assert metric.name == "own"
