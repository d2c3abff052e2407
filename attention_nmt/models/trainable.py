"""`TrainableModel`: a translation model under Keras' `fit`, `evaluate`, `predict` and `export`."""

from __future__ import annotations

import contextlib
import inspect
import warnings
import weakref
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from attention_nmt.backend import current_value, sum_over_replicas
from attention_nmt.checks import require
from attention_nmt.losses import CrossEntropy, token_weights
from attention_nmt.models.batch_checks import Expected, check_arrays, checked, plain_errors
from attention_nmt.types import Tensor

UNQUANTIZED = "left out: `attention-nmt tflite` makes a model with weights in int8"
"""What is expected where Keras' own quantization is asked for."""


class TrainableModel(keras.Model):
    """A translation model that Keras trains, evaluates and exports.

    Its loss over an epoch or a dataset is the mean over the tokens: over the labels that are not
    padding, weighted by `sample_weight`. Keras' own is the mean over batches, weighted by their
    rows, those of padding included. So it stays for a loss whose reduction of a batch is none by
    weights: another one than Keras' `mean_with_sample_weight`, which `CrossEntropy` has.

    Evaluations leave out the consistency of a `CrossEntropy`: their batches hold each pair once.

    `fit`, `evaluate`, `predict` and their forms for one batch refuse what the model cannot read
    before its step, on every backend, compiled or not: strings, and ids beyond a vocabulary. They
    look into arrays, `tf.data.Dataset`s, `PyDataset`s and generators.

    A subclass has the vocabulary sizes of `TranslationModel`. Its inputs are `source` and `target`,
    and any others beside them.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._token_loss = keras.metrics.Mean(name="loss", dtype="float32")
        self._loaded_optimizer: weakref.ref | None = None

    @property
    def source_vocabulary_size(self) -> int:
        """Pieces of the source language."""
        raise NotImplementedError

    @property
    def target_vocabulary_size(self) -> int:
        """`V`, pieces of the target language."""
        raise NotImplementedError

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Those of `compile`, with the loss by tokens in place of Keras' own."""
        others = [metric for metric in super().metrics if metric is not self._token_loss]
        if not self._has_token_loss():
            return others
        return [self._token_loss, *(one for one in others if one is not self._loss_tracker)]

    def _has_token_loss(self) -> bool:
        """Whether the loss of a batch is a mean over its tokens."""
        return getattr(self.loss, "reduction", None) == "mean_with_sample_weight"

    def compute_loss(
        self,
        x: Any = None,
        y: Tensor | None = None,
        y_pred: Tensor | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of a batch, which counts in the loss over all batches by its tokens."""
        leaves_out: contextlib.AbstractContextManager = contextlib.nullcontext()
        if not training and isinstance(self.loss, CrossEntropy):
            leaves_out = self.loss.without_consistency()
        with leaves_out:
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not self._has_token_loss():
            return loss

        # The losses of replicas add up to the loss of the whole batch.
        tokens = ops.sum(token_weights(y, sample_weight))
        self._token_loss.total.assign_add(loss * sum_over_replicas(tokens))
        self._token_loss.count.assign_add(tokens)
        return loss

    def fit(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does, and takes the same arguments but `class_weight`.

        Raises:
            ValueError: the model was not compiled, or was loaded with an optimizer whose learning
                rate is 0; or the data is at fault, see the class.
        """
        given = inspect.signature(super().fit).bind(x, y, *args, **kwargs)
        self._check_training(given.arguments)
        given.arguments["x"] = self._checked(x, y)
        given.arguments["callbacks"] = _with_rate_warning(given.arguments.get("callbacks"))

        validation = given.arguments.get("validation_data")
        if validation is not None:
            x, y, weights = keras.utils.unpack_x_y_sample_weight(validation)
            given.arguments["validation_data"] = (self._checked(x, y), y, weights)

        with plain_errors():
            return super().fit(*given.args, **given.kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.evaluate` does; the data is checked, see the class."""
        with plain_errors():
            return super().evaluate(self._checked(x, y), y, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The logits of a corpus in one array `[N, T, V]`, as `keras.Model.predict` gives them.

        The array takes `4 N T V` bytes. `TrainingBatches.evaluation` makes batches of one width, in
        the order of the corpus. For translations there is `Translator`, for the loss of a corpus
        `evaluate`, for the logits of one batch `predict_on_batch`.

        Raises:
            ValueError: targets are not equally wide in all batches, or the data is at fault, see
                the class.
        """
        with plain_errors():
            data = self._checked(x, labels=False, one_width=True)
            return super().predict(data, *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.train_on_batch` does; raises what `fit` raises."""
        given = inspect.signature(super().train_on_batch).bind(x, y, *args, **kwargs)
        self._check_training(given.arguments)
        self._checked(x, y)
        return super().train_on_batch(*given.args, **given.kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.test_on_batch` does; the data is checked, see the class."""
        return super().test_on_batch(self._checked(x, y), y, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """The logits `[B, T, V]` of one batch; the data is checked, see the class."""
        return super().predict_on_batch(self._checked(x, labels=False))

    def _checked(
        self, x: Any, y: Any = None, *, labels: bool = True, one_width: bool = False
    ) -> Any:
        """The data, which has been checked or checks itself batch by batch."""
        expected = Expected(
            source_size=self.source_vocabulary_size,
            target_size=self.target_vocabulary_size,
            labels=labels,
            one_width=one_width,
        )
        in_memory = isinstance(x, (Mapping, list, tuple, str)) or hasattr(x, "dtype")
        if in_memory or y is not None:
            check_arrays(x, y, expected)
            return x
        return checked(x, expected)

    def _check_training(self, arguments: Mapping[str, Any]) -> None:
        """Checks what would train nothing, or something else."""
        classes = arguments.get("class_weight")
        # Keras would take the position of the greatest id in a row for the class of the row.
        require(classes is None, "class_weight", "None: weights are `sample_weight`", classes)

        if not self.compiled or self.optimizer is None:
            return
        step = self._step_at_rate_0()
        if step is None:
            return

        loaded = self._loaded_optimizer is not None and self._loaded_optimizer() is self.optimizer
        expected = "a new one, by `compile`: the file's has come to a learning rate of 0"
        require(not loaded, "optimizer", expected, f"{self.optimizer.name} at step {step}")
        _warn_of_rate(step)

    def _step_at_rate_0(self) -> int | None:
        """The optimizer's step, if its learning rate has come to 0; a schedule may begin there."""
        optimizer: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of float16
        step = current_value(self, optimizer.iterations)
        schedule = optimizer._learning_rate
        rate = schedule(step) if callable(schedule) else schedule
        return int(_number(step)) if _number(step) > 0 and _number(rate) == 0 else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a model that is loaded from a file, and notes whose optimizer it has."""
        super().compile_from_config(config)
        if self.optimizer is not None:
            self._loaded_optimizer = weakref.ref(self.optimizer)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Exports as `keras.Model.export` does, for ids of any shape unless a signature is given.

        Serving translates with what `attention-nmt export` writes; this is logits of given targets.
        """
        given = inspect.signature(super().export).bind(filepath, *args, **kwargs)
        if given.arguments.get("input_signature") is None:
            ids = keras.layers.InputSpec(shape=(None, None), dtype="int32")
            given.arguments["input_signature"] = [{"source": ids, "target": ids}]
        super().export(*given.args, **given.kwargs)

    def quantize(self, mode: Any = None, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Is refused: Keras quantizes layers, whose weights a search reads as floats.

        Raises:
            ValueError: always.
        """
        require(False, "quantize", UNQUANTIZED, mode)


def _warn_of_rate(step: int) -> None:
    """Says that an optimizer trains nothing any more."""
    warnings.warn(
        f"The learning rate is 0 at step {step}: no weight will change. "
        "`compile` with a new optimizer to train on.",
        stacklevel=2,
    )


class _RateWarning(keras.callbacks.Callback):
    """Says so where the learning rate has come to 0 and another epoch begins."""

    def __init__(self) -> None:
        super().__init__()
        self._is_first = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Looks once an epoch; `fit` has looked before the first one."""
        del epoch, logs  # the contract of Keras
        step = None if self._is_first else self.model._step_at_rate_0()
        self._is_first = False
        if step is not None:
            _warn_of_rate(step)


def _with_rate_warning(callbacks: Any) -> Any:
    """The callbacks of `fit`, and one that looks at the learning rate."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    if callbacks is None:
        callbacks = []
    if not isinstance(callbacks, (list, tuple)):
        callbacks = [callbacks]
    return [*callbacks, _RateWarning()]


def _number(variable: Any) -> float:
    """The value of a variable, which may have a copy on each of several devices."""
    return float(ops.convert_to_numpy(ops.add(variable, 0)))
