"""Trainings under a `tf.distribute.Strategy`, and of batches in parts: TensorFlow only.

Keras' `fit` is not used here. It compiles a step with its exchange of gradients, which XLA cannot
do; it clips gradients before they are added; and under `MultiWorkerMirroredStrategy` it fails.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from attention_nmt.checks import require
from attention_nmt.losses import smoothed_cross_entropy, token_weights
from attention_nmt.models.seq2seq import Seq2Seq

from .devices import DeviceConfig
from .finite import CheckedAdam
from .presets import TrainConfig
from .progress import BatchSource, Progress

TPU_TIMEOUT_S = 30
"""Seconds in which a TPU must answer."""

_STREAM = 0x9E3779B1
"""The distance between the seeds of two replicas' masks: odd, so that no two of 2**32 are equal."""

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
"""Errors of an exchange whose other side is gone."""


class Sums(NamedTuple):
    """Sums over the tokens of some rows, scalars in float32."""

    loss: tf.Tensor
    cross_entropy: tf.Tensor
    correct: tf.Tensor
    tokens: tf.Tensor

    def logs(self) -> dict[str, float]:
        """The numbers of a training's metrics; none where there is no token."""
        loss, cross_entropy, correct, tokens = map(float, self)
        if tokens == 0:
            return {}
        return {
            "accuracy": correct / tokens,
            "loss": loss / tokens,
            "perplexity": float(np.exp(cross_entropy / tokens)),
            "tokens": tokens,
        }


def open_strategy(config: DeviceConfig) -> StrategyDevices:
    """The strategy that a config asks for.

    Raises:
        ValueError: there are not as many devices; `TF_CONFIG` names no workers; or TensorFlow has
            begun its work before.
        OSError: the TPU does not answer.
    """
    if config.distribute == "mirrored":
        return StrategyDevices(tf.distribute.MirroredStrategy(_devices(config)), config.accumulate)
    if config.distribute == "multiworker":
        _check_workers()
        _devices(config)
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        return StrategyDevices(strategy, config.accumulate)
    if config.distribute == "tpu":
        return StrategyDevices(_tpu_strategy(config.tpu), config.accumulate, compiles_all=True)
    strategy = tf.distribute.OneDeviceStrategy(_devices(config)[0])
    return StrategyDevices(strategy, config.accumulate)


def _devices(config: DeviceConfig) -> list[str]:
    """The names of this machine's devices that share a training."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        count = config.devices or len(gpus)
        require(count <= len(gpus), "devices", f"at most {len(gpus)}, the GPUs here", count)
        tf.config.set_visible_devices(gpus[:count], "GPU")
        return [f"GPU:{index}" for index in range(count)]

    count = config.devices or 1
    if count > 1:
        _part_processor(count)
    return [f"CPU:{index}" for index in range(count)]


def _part_processor(count: int) -> None:
    """Takes the processor for several devices."""
    processor = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(processor, parts)
    except RuntimeError as error:
        expected = "asked for before TensorFlow begins its work, as in a process of its own"
        raise ValueError(f"`devices` must be {expected}. Received: {count}.") from error


def _check_workers() -> None:
    """Checks that `TF_CONFIG` names the workers, and which of them this process is."""
    text = os.environ.get("TF_CONFIG", "")
    expected = (
        '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}} '
        "in the environment, the same cluster for all and an index for each"
    )
    try:
        found = json.loads(text)
        workers = found["cluster"]["worker"]
        task = found["task"]
        fits = task["type"] == "worker" and 0 <= int(task["index"]) < len(workers)
    except (ValueError, KeyError, TypeError):
        fits = False
    require(fits, "TF_CONFIG", expected, text)


def _tpu_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy of a TPU's cores.

    Raises:
        OSError: it does not answer.
    """
    found: list[Any] = []

    def connect() -> None:
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
            found.append(tf.distribute.TPUStrategy(resolver))
        except Exception as error:  # TensorFlow has no one kind of it
            found.append(error)

    # In a thread, because the resolver asks a server of Google's again and again.
    connecting = threading.Thread(target=connect, daemon=True)
    connecting.start()
    connecting.join(TPU_TIMEOUT_S)
    result = found[0] if found else f"no answer within {TPU_TIMEOUT_S} s"
    if isinstance(result, tf.distribute.Strategy):
        return result
    raise OSError(f"the TPU {name or 'of this machine'} cannot be reached: {result}")


class StrategyDevices:
    """The devices of a `tf.distribute.Strategy`.

    Args:
        strategy: the strategy.
        accumulate: the parts of a device's share of a batch, one after another.
        compiles_all: whether all that runs on a device is compiled anyway.

    Attributes:
        parts: the parts into which a batch is cut.
        is_chief: whether this process writes the run folder.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, accumulate: int, *, compiles_all: bool = False
    ) -> None:
        self.strategy = strategy
        self.accumulate = accumulate
        self.compiles_all = compiles_all
        self.replicas = strategy.num_replicas_in_sync
        self.parts = self.replicas * accumulate

        self._own_replicas = len(strategy.extended.worker_devices)
        self._has_others = self.replicas > self._own_replicas
        self.is_chief = not self._has_others or strategy.cluster_resolver.task_id == 0
        self._summed = tf.function(self._sum_of_processes, autograph=False)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """A block in which variables are made that all replicas have."""
        with self.strategy.scope(), self._clear_errors():
            yield

    def from_chief(self, make: Callable[[], float]) -> float:
        """The number that `make` gives in the chief; other processes wait for it."""
        value = make() if self.is_chief else 0.0
        return self._sum(value) if self._has_others else value

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in some process."""
        return self._sum(float(flag)) > 0 if self._has_others else flag

    def _sum(self, value: float) -> float:
        """The sum of the processes' numbers."""
        with self._clear_errors():
            return float(self._summed(tf.constant(value, tf.float64)))

    def _sum_of_processes(self, value: tf.Tensor) -> tf.Tensor:
        # `all_reduce` wants tensors that lie on a device.
        total = self.strategy.run(lambda: _added([tf.identity(value)])[0])
        return self.strategy.experimental_local_results(total)[0] / self._own_replicas

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """A block in which another process that is gone is called so."""
        try:
            yield
        except _LOST as error:
            if not self._has_others:
                raise
            found = re.search("Collective ops is aborted by: (.*)", str(error))
            reason = found.group(1) if found else str(error)
            raise OSError(
                f"another process of this training ended or cannot be reached ({reason}). When all "
                "are started again, they go on from the last checkpoint"
            ) from error

    def fit(
        self,
        progress: Progress,
        batches: BatchSource,
        config: TrainConfig,
        callbacks: list[keras.callbacks.Callback],
        verbose: int,
    ) -> None:
        """Trains from where the progress stands, as `loop.fit` does."""
        model = progress.model
        model.stop_training = False
        self._part_streams(model)
        step = ReplicatedStep(model, self)
        stream = iter(progress.stream(batches))

        listed = keras.callbacks.CallbackList(
            callbacks,
            add_progbar=bool(verbose),
            model=model,
            verbose=verbose,
            epochs=-(-config.steps // config.evaluate_steps),
            steps=config.evaluate_steps,
        )
        listed.on_train_begin()
        while progress.step < config.steps and not model.stop_training:
            block = progress.step // config.evaluate_steps
            end = min((block + 1) * config.evaluate_steps, config.steps)
            listed.on_epoch_begin(block)
            logs: dict[str, Any] = {}
            totals = np.zeros(len(Sums._fields))

            # A callback counts the steps.
            while progress.step < end:
                index = progress.step - block * config.evaluate_steps
                listed.on_train_batch_begin(index)
                with self._clear_errors():
                    sums = np.array(step(next(stream)), np.float64)
                if np.isfinite(sums).all():
                    totals += sums
                logs = Sums(*totals).logs()
                listed.on_train_batch_end(index, logs)
            listed.on_epoch_end(block, logs)
        listed.on_train_end()

    def shares(self, batch: Sequence[Any]) -> Any:
        """Each replica's rows of tensors `[B, ...]`."""

        def share(context: tf.distribute.experimental.ValueContext) -> tuple:
            rows = int(batch[0].shape[0]) // self.replicas
            first = context.replica_id_in_sync_group * rows
            return tuple(x[first : first + rows] for x in batch)

        return self.strategy.experimental_distribute_values_from_function(share)

    def _part_streams(self, model: Seq2Seq) -> None:
        """Gives each replica dropout masks of its own; those of the first stay."""
        ends = "seed_generator_state"
        states = [variable for variable in model.variables if variable.path.endswith(ends)]

        def part() -> None:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            for state in states:
                seed, drawn = tf.unstack(tf.cast(state, tf.int64))
                seed = (seed + tf.cast(number, tf.int64) * _STREAM) % 2**31
                state.assign(tf.stack([seed, drawn]))

        self.strategy.run(tf.function(part, autograph=False))


class ReplicatedStep:
    """A step of all replicas.

    Args:
        model: the compiled model.
        devices: the replicas.
    """

    def __init__(self, model: Seq2Seq, devices: StrategyDevices) -> None:
        self.model = model
        self.devices = devices
        jit_compile = bool(model.jit_compile) and not devices.compiles_all
        self._compiled = tf.function(self._gradients, jit_compile=jit_compile, autograph=False)
        self._run = tf.function(self._on_all, autograph=False)

    def __call__(self, batch: tuple[dict[str, Any], Any, Any]) -> Sums:
        """Trains on a batch; gives the sums over its tokens."""
        inputs, labels, weights = batch
        return self._run(self.devices.shares([inputs["source"], inputs["target"], labels, weights]))

    def _on_all(self, shares: Any) -> Sums:
        sums = self.devices.strategy.run(self._on_one, args=shares)
        local = self.devices.strategy.experimental_local_results
        return Sums(*(local(total)[0] for total in sums))

    def _on_one(self, *share: tf.Tensor) -> Sums:
        """The step of one replica, on its rows of the batch."""
        parts = zip(*(tf.split(x, self.devices.accumulate) for x in share), strict=True)
        found = [self._compiled(*part) for part in parts]
        added = _added([tf.add_n(values) for values in zip(*found, strict=True)])

        gradients = added[: -len(Sums._fields)]
        sums = Sums(*added[-len(Sums._fields) :])
        optimizer = self.model.optimizer
        means = [gradient / sums.tokens for gradient in gradients]
        clipped, finite = optimizer.clipped(means)
        finite = tf.logical_and(finite, tf.math.is_finite(sums.loss))
        merged = tf.__internal__.distribute.interim.maybe_merge_call
        weights = self.model.trainable_variables
        merged(_update, self.devices.strategy, optimizer, weights, clipped, finite)
        return sums

    def _gradients(
        self, source: tf.Tensor, target: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> list[tf.Tensor]:
        """The gradients of the sum of the losses of some rows, and the sums of the metrics."""
        weights = token_weights(labels, weights)
        with tf.GradientTape() as tape:
            logits = self.model({"source": source, "target": target}, training=True)
            loss = tf.reduce_sum(self.model.loss.call(labels, logits) * weights)
        gradients = tape.gradient(
            loss, self.model.trainable_variables, unconnected_gradients="zero"
        )

        cross_entropy = tf.reduce_sum(smoothed_cross_entropy(labels, logits) * weights)
        label_logits = tf.gather(logits, labels, axis=-1, batch_dims=2)
        best = tf.cast(label_logits == tf.reduce_max(logits, axis=-1), tf.float32)
        sums = Sums(
            loss=loss,
            cross_entropy=cross_entropy,
            correct=tf.reduce_sum(best * weights),
            tokens=tf.reduce_sum(weights),
        )
        return [*map(tf.convert_to_tensor, gradients), *sums]


def _added(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """The sums over all replicas, for each of them."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _update(
    strategy: tf.distribute.Strategy,
    optimizer: CheckedAdam,
    variables: Sequence[keras.Variable],
    gradients: Sequence[Any],
    finite: Any,
) -> None:
    """Updates each replica's weights by the gradients of all, unless some are not finite."""
    is_finite = strategy.experimental_local_results(finite)[0]

    def update() -> None:
        rate = optimizer.learning_rate
        for variable, gradient in zip(variables, gradients, strict=True):
            strategy.extended.update(
                variable.value, _update_one, args=(gradient, rate, optimizer), group=False
            )
        optimizer.iterations.assign_add(1)

    tf.cond(is_finite, update, lambda: None)
    optimizer.count(is_finite)


def _update_one(
    variable: tf.Variable, gradient: tf.Tensor, rate: tf.Tensor, optimizer: CheckedAdam
) -> None:
    optimizer.update_step(gradient, variable, rate)
