"""A pretrained encoder of KerasHub in a training: its settings, its tokenizer, its weights."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

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

    begun = run.config.is_file() and run.source_tokenizer.is_file()
    description = config.model.backbone
    if begun and not description:
        description = read_config(run).model.backbone
    if not description:
        backbone = _load(config.model.preset, load_weights=False)
        description = describe_backbone(backbone)
        longest = getattr(backbone, "max_sequence_length", None)
        if longest is not None:
            _check_lengths(config, longest)
    model = dataclasses.replace(config.model, backbone=description)
    return dataclasses.replace(config, model=model, shared_vocabulary=False)


def _check_lengths(config: TrainConfig, longest: int) -> None:
    expected = f"at most the encoder's {longest} positions"
    length = config.batches.maximum_length + 1  # the start symbol, too
    require(length <= longest, "maximum_length", f"below the encoder's {longest} positions", length)
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
