"""Steps whose loss or gradients are not finite: they change nothing and are counted. Keras only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import keras
from keras import ops

from attention_nmt import backend
from attention_nmt.losses import CrossEntropy
from attention_nmt.types import Tensor


class NotFiniteError(ValueError):
    """A training whose numbers are not finite; the message says which and what to do."""


class Pace(NamedTuple):
    """How fast a weight is trained."""

    share: float
    """Of the learning rate."""
    first_step: int
    """The step, counted from 0, from which on it is trained."""


Paces: TypeAlias = Mapping[int, Pace]
"""The paces of weights by their `id`."""


class CheckedCrossEntropy(CrossEntropy):
    """`CrossEntropy` whose gradients are NaN where the loss of the batch is not finite.

    The gradients of an infinite loss may be finite. A finite loss and its gradients keep their
    bits: they are multiplied by 1.
    """

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch; see `CrossEntropy`."""
        loss = super().__call__(y_true, y_pred, sample_weight)
        one = ops.where(ops.isfinite(loss), 1.0, float("nan"))
        return loss * ops.stop_gradient(ops.cast(one, loss.dtype))


class PacedAdam(keras.optimizers.Adam):
    """Adam with weights of other learning rates, which may begin later.

    Args:
        learning_rate: the schedule.
        paces: of weights that are trained otherwise, by the weights' `id`.
        **options: Keras'.
    """

    def __init__(self, learning_rate: Any, paces: Paces | None = None, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self._paces = dict(paces or {})
        self._pace_by_index: list[Pace | None] = []

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the state."""
        super().build(variables)
        self._pace_by_index = [self._paces.get(id(variable)) for variable in variables]

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Any) -> None:
        """Updates a weight, which may be given as the backend's own variable."""
        pace = self._pace_by_index[self._get_variable_index(variable)]
        if pace is not None:
            rate = ops.cast(learning_rate, "float32")
            begun = ops.cast(self.iterations >= pace.first_step, "float32")
            learning_rate = rate * begun * pace.share
        super().update_step(gradient, variable, learning_rate)


class CheckedAdam(PacedAdam):
    """Adam that leaves weights and its own state as they are where a gradient is not finite.

    Gradients are clipped as by `global_clipnorm`. A step that is skipped does not count in the
    schedule of the learning rate.

    Args:
        learning_rate: the schedule.
        gradient_norm: the global norm to which gradients are clipped.
        paces: see `PacedAdam`.

    Attributes:
        skips: `[2]`: the steps that were skipped, and those of them that were the last ones.
    """

    def __init__(
        self,
        learning_rate: keras.optimizers.schedules.LearningRateSchedule,
        *,
        gradient_norm: float,
        paces: Paces | None = None,
    ) -> None:
        super().__init__(learning_rate, paces)
        self.gradient_norm = gradient_norm

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the state; `skips` comes last, so that older checkpoints have what is before."""
        super().build(variables)
        self.skips = _new_skips(self)

    def apply(self, grads: list[Tensor], trainable_variables: Any = None) -> None:
        """Updates the variables, or none of them."""
        if backend.name() == "jax":
            super().apply(grads, trainable_variables)  # within `stateless_apply`
            return

        clipped, finite = self.clipped(grads)
        update = super().apply
        ops.cond(finite, lambda: update(clipped, trainable_variables), lambda: None)
        self.count(finite)

    def count(self, finite: Tensor) -> None:
        """Counts a step, which was skipped unless its gradients were finite."""
        self.skips.assign(_counted(self.skips, finite))

    def stateless_apply(
        self,
        optimizer_variables: list[Tensor],
        grads: list[Tensor],
        trainable_variables: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The new values of the variables and of the state, on JAX."""
        clipped, finite = self.clipped(grads)
        weights, state = super().stateless_apply(optimizer_variables, clipped, trainable_variables)
        weights = _selected(finite, weights, trainable_variables)
        state = _selected(finite, state, optimizer_variables)
        return weights, _with_count(self, state, optimizer_variables, finite)

    def clipped(self, grads: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Clipped gradients, and whether all were finite: their norm is.

        Source: `clip_by_global_norm` of Keras.
        """
        squares = [ops.sum(ops.square(gradient)) for gradient in grads]
        norm = ops.sqrt(ops.sum(ops.stack(squares)))
        scale = self.gradient_norm * ops.minimum(1.0 / norm, 1.0 / self.gradient_norm)
        return [gradient * scale for gradient in grads], ops.isfinite(norm)


class CountingLossScale(keras.optimizers.LossScaleOptimizer):
    """The optimizer of float16, which skips steps on its way to a scale; it counts them here.

    Attributes:
        skips: as in `CheckedAdam`.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the state."""
        super().build(variables)
        self.skips = _new_skips(self)

    def apply(self, grads: list[Tensor], trainable_variables: Any = None) -> None:
        """Updates the variables, or none of them."""
        super().apply(grads, trainable_variables)
        self.skips.assign(_counted(self.skips, self.check_finite(grads)))

    def stateless_apply(
        self,
        optimizer_variables: list[Tensor],
        grads: list[Tensor],
        trainable_variables: list[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The new values of the variables and of the state, on JAX."""
        weights, state = super().stateless_apply(optimizer_variables, grads, trainable_variables)
        finite = self.check_finite(grads)
        return weights, _with_count(self, state, optimizer_variables, finite)


class Skipped(NamedTuple):
    """Steps that changed no weight."""

    total: int
    last: int
    """Those since the last step that did."""


def read_skips(model: keras.Model) -> Skipped:
    """The steps that were skipped so far, also between two steps of `fit`."""
    total, last = ops.convert_to_numpy(backend.current_value(model, model.optimizer.skips)).tolist()
    return Skipped(total=total, last=last)


def _new_skips(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    return optimizer.add_variable((2,), dtype="int32", name="skips")


def _counted(skips: Tensor, finite: Tensor) -> Tensor:
    """The counts after a step."""
    skips = ops.convert_to_tensor(skips)
    total_only = ops.convert_to_tensor([1, 0], dtype="int32")
    return ops.where(finite, skips * total_only, skips + 1)


def _selected(finite: Tensor, new: list[Tensor], old: list[Tensor]) -> list[Tensor]:
    return [ops.where(finite, *pair) for pair in zip(new, old, strict=True)]


def _with_count(
    optimizer: Any, state: list[Tensor], before: list[Tensor], finite: Tensor
) -> list[Tensor]:
    """The state of an optimizer with the counts after a step."""
    index = [variable is optimizer.skips for variable in optimizer.variables].index(True)
    state = list(state)
    state[index] = _counted(before[index], finite)
    return state


def optimizer(
    schedule: keras.optimizers.schedules.LearningRateSchedule,
    *,
    gradient_norm: float,
    dtype_policy: str,
    paces: Paces | None = None,
) -> keras.optimizers.Optimizer:
    """The optimizer of a training.

    Args:
        schedule: of the learning rate.
        gradient_norm: the global norm to which gradients are clipped.
        dtype_policy: of the model; `mixed_float16` has its loss scaled, as Keras does by itself.
        paces: see `PacedAdam`.
    """
    if dtype_policy == "mixed_float16":
        adam = PacedAdam(schedule, paces, global_clipnorm=gradient_norm)
        return CountingLossScale(adam)
    return CheckedAdam(schedule, gradient_norm=gradient_norm, paces=paces)
