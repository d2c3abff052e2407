"""The loss of a translation model and what is said of it: perplexity, accuracy, tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from attention_nmt.backend import replicas, sum_over_replicas
from attention_nmt.checks import require
from attention_nmt.types import SPECIAL, Tensor


def smoothed_cross_entropy(
    labels: Tensor, logits: Tensor, label_smoothing: float = 0.0, consistency: float = 0.0
) -> Tensor:
    """The cross-entropy of each position, in nats, and what two passes over one pair disagree by.

        - (1 - eps) log p(label) - eps / V sum_v log p(v) + alpha / 2 D
        log p = logits - logsumexp(logits)
        D = 1/2 (KL(p || q) + KL(q || p)) = 1/2 sum_v (p(v) - q(v)) (log p(v) - log q(v))

    `q` is the distribution at the same position of the same pair in the other half of the batch.

    Args:
        labels: ids `[B, T]`.
        logits: `[B, T, V]`.
        label_smoothing: eps.
        consistency: alpha; above 0, row `i + B / 2` must be the pair of row `i` again.

    Returns:
        `[B, T]` in float32.

    Source: Szegedy et al. (2016), arXiv 1512.00567, section 7; Liang et al. (2021), arXiv
    2106.14448, Eq. 4, whose loss of a pair is the sum of its two rows. The gradients are written
    here by hand: what a backend derives from these equations takes twice the time on a CPU.
    """
    run = _with_own_gradient(label_smoothing, consistency)
    return run(logits, ops.cast(labels, "float32"))


def _with_own_gradient(smoothing: float, consistency: float) -> Callable[..., Tensor]:
    """The loss of each position as a function of tensors with its own gradient."""

    @ops.custom_gradient
    def run(logits: Tensor, labels: Tensor) -> tuple[Tensor, Callable]:
        dtype = logits.dtype
        logits = ops.cast(logits, "float32")
        ids = ops.cast(labels, "int32")
        normalizer = ops.logsumexp(logits, axis=-1)

        loss = normalizer - (1 - smoothing) * _at(logits, ids)
        if smoothing:
            loss = loss - smoothing * ops.mean(logits, axis=-1)
        if consistency:
            loss = loss + consistency / 2 * _divergence(logits - normalizer[..., None])

        def gradients(*upstream: Tensor) -> tuple[Tensor, Tensor]:
            given = upstream[0]
            log_p = logits - normalizer[..., None]
            smoothed = _smoothed_labels(ids, logits.shape[-1], smoothing)
            gradient = given[..., None] * (ops.exp(log_p) - smoothed)
            if consistency:
                both = (given + _swap_halves(given))[..., None]
                gradient = gradient + consistency / 2 * both * _divergence_gradient(log_p)
            return ops.cast(gradient, dtype), ops.zeros_like(labels)

        return loss, gradients

    return run


def _smoothed_labels(ids: Tensor, size: int, smoothing: float) -> Tensor:
    """The distributions `[B, T, V]` that labels `[B, T]` stand for."""
    is_label = ops.equal(ops.arange(size, dtype="int32"), ids[..., None])
    return ops.where(is_label, 1 - smoothing + smoothing / size, smoothing / size)


def _swap_halves(x: Tensor) -> Tensor:
    """Row `i + B / 2` at `i` and row `i` at `i + B / 2`."""
    half = ops.shape(x)[0] // 2
    return ops.concatenate([x[half:], x[:half]], axis=0)


def _divergence(log_p: Tensor) -> Tensor:
    """`D` of `smoothed_cross_entropy` at each position, `[B, T]`; equal in both halves."""
    log_q = _swap_halves(log_p)
    return ops.sum((ops.exp(log_p) - ops.exp(log_q)) * (log_p - log_q), axis=-1) / 2


def _divergence_gradient(log_p: Tensor) -> Tensor:
    """The gradient of each position's `D` by its own logits.

    It is `1/2 (p (d - E_p d) + p - q)` with `d = log p - log q`.
    """
    log_q = _swap_halves(log_p)
    p = ops.exp(log_p)
    d = log_p - log_q
    mean = ops.sum(p * d, axis=-1, keepdims=True)
    return (p * (d - mean) + p - ops.exp(log_q)) / 2


def _at(logits: Tensor, ids: Tensor) -> Tensor:
    """The logit of each id, `[B, T]`."""
    return ops.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]


def token_weights(labels: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """The weights of positions `[B, T]` in float32: 0 on padding, whatever is given.

    Args:
        labels: ids `[B, T]`.
        sample_weight: of sentences, `[B]` or `[B, 1]`, or of positions `[B, T]`; 1 by default.

    Raises:
        ValueError: the labels or the weights have other shapes.
    """
    labels = ops.convert_to_tensor(labels)
    require(len(labels.shape) == 2, "y_true", "ids [B, T]", f"shape {tuple(labels.shape)}")

    weights = ops.ones((), "float32")
    if sample_weight is not None:
        weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
        if len(weights.shape) == 1:
            # Without this, weights of sentences would be taken for weights of positions.
            weights = weights[:, None]
        _check_weights(weights.shape, labels.shape)
    return ops.where(ops.not_equal(labels, SPECIAL.pad), weights, 0.0)


def _check_weights(weights: Any, labels: Any) -> None:
    """Checks as much of the shapes as is known."""
    fits = len(weights) == 2
    for given, known in zip(weights, labels, strict=False):
        fits = fits and (None in (given, known) or given in (1, known))
    expected = f"[B], [B, 1] or [B, T] for labels of shape {tuple(labels)}"
    require(fits, "sample_weight", expected, f"shape {tuple(weights)}")


@keras.saving.register_keras_serializable("attention_nmt")
class CrossEntropy(keras.losses.Loss):
    """Label-smoothed cross-entropy, averaged over the tokens.

    Those are the labels that are not padding, weighted by `sample_weight`. Under a
    `tf.distribute.Strategy` each replica gives its share of the mean over the tokens of all.

    Args:
        label_smoothing: eps in [0, 1), see `smoothed_cross_entropy`.
        consistency: alpha of R-Drop, at least 0. Above 0 it is for batches that hold each pair
            twice, half of the rows apart, as `TrainingBatches` with `copies=2` gives them, and for
            no others: which rows belong together cannot be seen.
        name: its name.
        reduction: Keras' name of what is made of the losses of a batch.

    Raises:
        ValueError: a smoothing outside [0, 1), a consistency below 0, or, with one, a number of
            rows that is known and odd.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        consistency: float = 0.0,
        name: str = "cross_entropy",
        reduction: str | None = "mean_with_sample_weight",
    ) -> None:
        require(0 <= label_smoothing < 1, "label_smoothing", "in [0, 1)", label_smoothing)
        require(consistency >= 0, "consistency", "at least 0", consistency)

        # Ids beyond 256 would not be exact in a lower precision.
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.label_smoothing = label_smoothing
        self.consistency = consistency

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch from ids `[B, T]`, logits `[B, T, V]` and weights.

        See `token_weights` for the shapes of weights.
        """
        weights = token_weights(y_true, sample_weight)
        loss = super().__call__(y_true, y_pred, weights)
        if self.reduction != "mean_with_sample_weight" or replicas() == 1:
            return loss

        # Keras' is the mean over this replica's tokens, divided by the number of replicas.
        tokens = ops.sum(weights)
        share = ops.divide_no_nan(tokens, sum_over_replicas(tokens))
        return loss * replicas() * share

    @contextmanager
    def without_consistency(self) -> Iterator[None]:
        """A block in which the loss is that of batches that hold each pair once."""
        held = self.consistency
        self.consistency = 0.0
        try:
            yield
        finally:
            self.consistency = held

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of each position `[B, T]` from ids `[B, T]` and logits `[B, T, V]`."""
        rows = y_pred.shape[0]
        if self.consistency and rows is not None:
            expected = "of an even number of rows, each pair twice"
            require(rows % 2 == 0, "y_pred", expected, tuple(y_pred.shape))
        return smoothed_cross_entropy(y_true, y_pred, self.label_smoothing, self.consistency)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"label_smoothing": self.label_smoothing, "consistency": self.consistency}
        return {**super().get_config(), **own}


class _TokenMean(keras.metrics.Mean):
    """A mean over the tokens of all batches, however wide each of them is."""

    def _add(self, values: Tensor, labels: Tensor, sample_weight: Tensor | None) -> None:
        """Adds the values of positions `[B, T]`."""
        weights = token_weights(labels, sample_weight)

        # Keras would take the mean of each row first, padding included.
        super().update_state(ops.reshape(values, (-1,)), ops.reshape(weights, (-1,)))


@keras.saving.register_keras_serializable("attention_nmt")
class Perplexity(_TokenMean):
    """exp of the mean cross-entropy without smoothing, over the tokens; padding is left out."""

    _direction = "down"  # which way is better, for `EarlyStopping` and the like

    def __init__(self, name: str = "perplexity", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds ids `[B, T]` and logits `[B, T, V]`; weights as for `token_weights`."""
        self._add(smoothed_cross_entropy(y_true, y_pred), y_true, sample_weight)

    def result(self) -> Tensor:
        """The perplexity so far."""
        return ops.exp(super().result())


@keras.saving.register_keras_serializable("attention_nmt")
class TokenAccuracy(_TokenMean):
    """The share of tokens whose label has the highest logit; padding is left out."""

    _direction = "up"

    def __init__(self, name: str = "accuracy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds ids `[B, T]` and logits `[B, T, V]`; weights as for `token_weights`."""
        # A maximum is one vectorized pass over the logits, an argmax is not.
        best = ops.equal(_at(y_pred, ops.cast(y_true, "int32")), ops.max(y_pred, axis=-1))
        self._add(ops.cast(best, "float32"), y_true, sample_weight)


@keras.saving.register_keras_serializable("attention_nmt")
class TargetTokens(keras.metrics.Sum):
    """The number of target tokens: the sum of the weights, padding left out."""

    _direction = "up"

    def __init__(self, name: str = "tokens", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch of labels `[B, T]` with their weights, as for `token_weights`."""
        del y_pred  # the contract of Keras
        super().update_state(token_weights(y_true, sample_weight))
