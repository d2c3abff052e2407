"""The compiled model of a config: what the training loop fits; Keras only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras

from attention_nmt import backend
from attention_nmt.checks import require
from attention_nmt.losses import Perplexity, TargetTokens, TokenAccuracy
from attention_nmt.models.seq2seq import Seq2Seq

from .finite import CheckedCrossEntropy, Pace, optimizer
from .presets import TrainConfig
from .pretrained import pretrained_encoder


def build(config: TrainConfig, source_size: int, target_size: int) -> Seq2Seq:
    """Builds and compiles the model of a config.

    Args:
        config: the settings of the training.
        source_size: pieces of the source language.
        target_size: pieces of the target language.

    Raises:
        ValueError: Keras runs on a backend without support here; the dtype policy is unknown or has
            weights so coarse that small updates would not change them; or the model has no part of
            a name in `freeze`, or none is left to train.
    """
    backend.check()
    policy = keras.dtype_policies.get(config.dtype_policy)
    expected = "one with weights in float32, such as mixed_bfloat16"
    require(policy.variable_dtype == "float32", "dtype_policy", expected, config.dtype_policy)

    keras.utils.set_random_seed(config.seed)
    sized = dataclasses.replace(
        config.model,
        source_vocabulary_size=source_size,
        target_vocabulary_size=target_size,
    )
    model = Seq2Seq(sized, dtype=config.dtype_policy)
    _freeze(model, config.freeze)

    compiled = config.jit_compile or backend.compiles_always()
    model.compile(
        optimizer(
            _schedule(config),
            gradient_norm=config.gradient_norm,
            dtype_policy=config.dtype_policy,
            paces=_paces(model, config),
        ),
        CheckedCrossEntropy(config.label_smoothing, config.consistency),
        weighted_metrics=[Perplexity(), TokenAccuracy(), TargetTokens()],
        jit_compile=compiled,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _freeze(model: Seq2Seq, names: Sequence[str]) -> None:
    """Keeps the weights of a model's parts as they are."""
    parts = {layer.name: layer for layer in model.layers if layer.weights}
    for name in names:
        require(name in parts, "freeze", f"of the model's parts {sorted(parts)}", name)
        parts[name].trainable = False
    require(bool(model.trainable_weights), "freeze", "such that a part is left to train", names)


def _paces(model: Seq2Seq, config: TrainConfig) -> dict[int, Pace]:
    """The pace of each weight of the encoder, by its `id`, where it has one of its own.

    Raises:
        ValueError: layers are to begin one after another, of an encoder that is not pretrained.
    """
    if not config.thaw_steps:
        if config.encoder_rate == 1:
            return {}
        pace = Pace(config.encoder_rate, 0)
        return {id(variable): pace for variable in model.encoder.trainable_variables}

    expected = "0 where the encoder is not pretrained"
    require(not config.model.embeds_source, "thaw_steps", expected, config.thaw_steps)
    paces: dict[int, Pace] = {}
    for number, layer in enumerate(pretrained_encoder(model).layers_from_the_top(), 1):
        pace = Pace(config.encoder_rate, number * config.thaw_steps)
        paces |= {id(variable): pace for variable in layer}
    return paces


def _schedule(config: TrainConfig) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate: a linear rise, then a fall along a cosine."""
    rises = config.warmup_steps > 0
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if rises else config.learning_rate,
        decay_steps=config.steps - config.warmup_steps,
        alpha=config.final_learning_rate,
        warmup_target=config.learning_rate if rises else None,
        warmup_steps=config.warmup_steps,
    )
