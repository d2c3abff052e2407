"""Padding never changes a number."""

from typing import Any

import keras
import numpy as np
import pytest

from attention_nmt.losses import CrossEntropy, Perplexity, TokenAccuracy
from attention_nmt.models.seq2seq import Seq2Seq
from tests.attention_nmt.tiny import (
    FEW,
    VARIANTS,
    Batch,
    kinds,
    loss_and_gradients,
    tiny_batch,
    tiny_model,
)

LENGTHS = [(4, 3), (2, 5)]
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(params=kinds(VARIANTS, FEW))
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    return tiny_model(**request.param)


@pytest.fixture(params=FEW.values(), ids=list(FEW))
def one_of_few(request: pytest.FixtureRequest) -> Seq2Seq:
    return tiny_model(**request.param)


def assert_same_loss_and_gradients(model: Seq2Seq, batch: Batch, other: Batch) -> None:
    loss, gradients = loss_and_gradients(model, batch, CrossEntropy(0.1))
    padded_loss, padded_gradients = loss_and_gradients(model, other, CrossEntropy(0.1))
    assert padded_loss == pytest.approx(loss, rel=1e-5)
    for path, gradient in gradients.items():
        assert np.isfinite(padded_gradients[path]).all(), path
        np.testing.assert_allclose(padded_gradients[path], gradient, **CLOSE, err_msg=path)


def test_columns_and_rows_of_padding(model: Seq2Seq) -> None:
    """Longer padding, and rows of nothing else, as the last batch of a bucket holds them."""
    batch, padded = (
        tiny_batch(LENGTHS),
        tiny_batch([*LENGTHS, (0, 0), (0, 0)], source_length=6, target_length=7),
    )
    assert padded[0]["source"].shape == (4, 6)
    assert (padded[0]["source"][2:] == 0).all()
    assert (padded[2][2:] == 0).all()
    logits, padded_logits = np.asarray(model(batch[0])), np.asarray(model(padded[0]))
    for row, (_, t) in enumerate(LENGTHS):
        np.testing.assert_allclose(padded_logits[row, :t], logits[row, :t], **CLOSE)
    assert np.isfinite(padded_logits).all()
    assert_same_loss_and_gradients(model, batch, padded)


def test_longer_neighbours(one_of_few: Seq2Seq) -> None:
    model = one_of_few
    batch, larger = tiny_batch(LENGTHS), tiny_batch([*LENGTHS, (12, 1), (1, 13)])
    logits, larger_logits = np.asarray(model(batch[0])), np.asarray(model(larger[0]))
    for row, (_, t) in enumerate(LENGTHS):
        np.testing.assert_allclose(larger_logits[row, :t], logits[row, :t], **CLOSE)
    without = (
        larger[0],
        larger[1],
        np.where(np.arange(4)[:, None] < 2, larger[2], 0).astype(np.float32),
    )
    assert_same_loss_and_gradients(model, batch, without)


def test_the_loss_of_a_batch_is_that_of_its_sentences(one_of_few: Seq2Seq) -> None:
    """Each weighted by its words: nothing is divided by padding."""
    model = one_of_few
    lengths = [*LENGTHS, (6, 1)]
    whole, _ = loss_and_gradients(model, tiny_batch(lengths), CrossEntropy())
    parts = [loss_and_gradients(model, tiny_batch([pair]), CrossEntropy())[0] for pair in lengths]
    assert whole == pytest.approx(np.average(parts, weights=[t for _, t in lengths]), rel=1e-5)


def test_alignments() -> None:
    model = tiny_model()
    alone = np.asarray(model.align(tiny_batch(LENGTHS[:1])[0]))[0]
    padded = np.asarray(model.align(tiny_batch([*LENGTHS, (8, 9)])[0]))[0]
    np.testing.assert_allclose(padded[:3, :4], alone, **CLOSE)
    assert (padded[:, 4:] == 0).all()
    np.testing.assert_allclose(padded.sum(axis=1), 1, atol=1e-5)


def test_a_batch_of_padding_only(one_of_few: Seq2Seq) -> None:
    model = one_of_few
    loss, gradients = loss_and_gradients(
        model, tiny_batch([(0, 0), (0, 0)], 3, 4), CrossEntropy(0.1)
    )
    assert loss == 0
    for path, gradient in gradients.items():
        assert (gradient == 0).all(), path


def test_what_padding_is_made_of_does_not_matter_to_the_loss() -> None:
    """Target ids under weight 0 may be anything: later words never reach earlier ones."""
    model = tiny_model()
    batch = tiny_batch([(4, 3)], target_length=6)
    other = (
        {**batch[0], "target": np.where(batch[1] == 0, 17, batch[0]["target"])},
        batch[1],
        batch[2],
    )
    assert (other[0]["target"] != batch[0]["target"]).any()
    assert_same_loss_and_gradients(model, batch, other)


@pytest.mark.parametrize(
    "metric", [Perplexity(), TokenAccuracy(), CrossEntropy(0.1)], ids=lambda m: m.name
)
def test_metrics_of_padded_batches(metric: keras.metrics.Metric | keras.losses.Loss) -> None:
    model = tiny_model()
    inputs, labels, weights = tiny_batch(LENGTHS)
    padded_inputs, padded_labels, padded_weights = tiny_batch(LENGTHS, 9, 11)
    plain = float(metric(labels, model(inputs), weights))
    if isinstance(metric, keras.metrics.Metric):
        metric.reset_state()
    assert float(metric(padded_labels, model(padded_inputs), padded_weights)) == pytest.approx(
        plain, rel=1e-5
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_rows_of_padding_under_mixed_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = tiny_model()
    batch = tiny_batch([*LENGTHS, (0, 0)])
    assert np.isfinite(np.asarray(keras.ops.cast(model(batch[0]), "float32"))).all()
    _, gradients = loss_and_gradients(model, batch, CrossEntropy(0.1))
    assert all(np.isfinite(gradient.astype(np.float32)).all() for gradient in gradients.values())
