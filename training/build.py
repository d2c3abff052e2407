"""The compiled model of a config: what `training.train` fits and `training.studies.benchmark`
times. Keras only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from attention_nmt.checks import require
from attention_nmt.losses import CrossEntropy, Perplexity, TargetTokens, TokenAccuracy
from attention_nmt.models.seq2seq import Seq2Seq

from .presets import TrainConfig


def build(config: TrainConfig, source_size: int, target_size: int) -> Seq2Seq:
    """The compiled model of a config.

    Raises:
        ValueError: an unknown dtype policy, or one with weights so coarse that small updates would
        not change them.
    """
    policy = keras.dtype_policies.get(config.dtype_policy)
    expected = "one with weights in float32, such as mixed_bfloat16"
    require(policy.variable_dtype == "float32", "dtype_policy", expected, config.dtype_policy)
    keras.utils.set_random_seed(config.seed)
    sized = dataclasses.replace(
        config.model, source_vocabulary_size=source_size, target_vocabulary_size=target_size
    )
    model = Seq2Seq(sized, dtype=config.dtype_policy)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if config.warmup_steps else config.learning_rate,
        config.steps - config.warmup_steps,
        alpha=config.final_learning_rate,
        warmup_target=config.learning_rate if config.warmup_steps else None,
        warmup_steps=config.warmup_steps,
    )
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=config.gradient_norm)
    metrics = [Perplexity(), TokenAccuracy(), TargetTokens()]
    loss = CrossEntropy(config.label_smoothing, config.consistency)
    # Without XLA JAX has no graphs, and calls each operation of a step by itself.
    jit_compile = config.jit_compile or keras.backend.backend() == "jax"
    model.compile(optimizer, loss, weighted_metrics=metrics, jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)  # mixed_float16 wraps the optimizer
    return model


def compiled(function: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    """A function of tensors as the backend compiles a step."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=jit_compile, autograph=False)
