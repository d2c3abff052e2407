"""A pretrained encoder of KerasHub in a training: its settings, its tokenizer, its weights."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

from attention_nmt.backbones import Backbone
from attention_nmt.checks import require
from attention_nmt.layers.pretrained_encoder import (
    PretrainedEncoder,
    describe_backbone,
    import_keras_hub,
)
from attention_nmt.run_folder import RunFolder

from .folder import read_config
from .presets import TrainConfig

if TYPE_CHECKING:
    import keras

    from attention_nmt.models.seq2seq import Seq2Seq


def with_backbone(config: TrainConfig, run: RunFolder) -> TrainConfig:
    """The settings with the description of the pretrained encoder, if they have one.

    Its tokenizer is of the source alone, so that the target has a vocabulary of its own.

    Args:
        config: the settings.
        run: the folder of the training. If it has begun, the preset may be gone.

    Raises:
        ImportError: KerasHub is not installed.
        ValueError: there is no such preset, or it is of no encoder of one text; or sources may be
            longer than it reads.
    """
    if config.model.embeds_source:
        return config

    description = config.model.backbone or _begun(config, run)
    if not description:
        description = describe_backbone(_load(config.model.preset, load_weights=False))
    backbone = Backbone.from_json(description)
    _check_lengths(config, backbone.longest_source)
    _warn_of_layers(config, backbone.layers)
    model = dataclasses.replace(config.model, backbone=description)
    return dataclasses.replace(config, model=model, shared_vocabulary=False)


def _warn_of_layers(config: TrainConfig, layers: int) -> None:
    """Warns of layers whose turn never comes."""
    layers += 1  # the embeddings
    begun = min(layers, (config.steps - 1) // config.thaw_steps) if config.thaw_steps else layers
    if begun < layers:
        from .prepare import warn

        warn(
            f"--thaw-steps {config.thaw_steps} begins with {begun} of the encoder's {layers} "
            f"layers, embeddings included, in --steps {config.steps}"
        )


def _begun(config: TrainConfig, run: RunFolder) -> str:
    """The description in a run that has begun with this encoder; empty if there is none."""
    if not run.config.is_file() or not run.checkpoint.is_file():
        return ""
    begun = read_config(run).model
    return begun.backbone if begun.encoder == config.model.encoder else ""


def _check_lengths(config: TrainConfig, longest: int | None) -> None:
    if longest is None:
        return
    expected = f"at most the encoder's {longest} positions"
    length = config.batches.maximum_length
    require(length <= longest, "maximum_length", expected, length)
    length = config.search.maximum_source_length
    require(length <= longest, "maximum_source_length", expected, length)


def pretrained_encoder(model: Seq2Seq) -> PretrainedEncoder:
    """The encoder of a model whose config has a pretrained one."""
    return cast(PretrainedEncoder, model.encoder)


def begin_pretrained(preset: str, model: Seq2Seq) -> None:
    """Gives a new model the weights of its pretrained encoder.

    Raises:
        ImportError: KerasHub is not installed.
        ValueError: there is no such preset.
    """
    pretrained_encoder(model).copy_weights(_load(preset, load_weights=True))


def _load(preset: str, *, load_weights: bool) -> keras.Model:
    """A backbone of KerasHub.

    Raises:
        ValueError: there is no such preset, or it cannot be loaded.
    """
    keras_hub: Any = import_keras_hub()
    try:
        return keras_hub.models.Backbone.from_preset(preset, load_weights=load_weights)
    except (ValueError, OSError) as error:
        expected = "'keras_hub:' with a preset that KerasHub loads"
        message = f"`encoder` must be {expected}. Received: {preset!r}, of which it says: {error}"
        raise ValueError(message) from error
