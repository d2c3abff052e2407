"""Descriptions of pretrained encoders."""

import json
from typing import Any

import pytest

from attention_nmt.backbones import Backbone
from attention_nmt.config import ModelConfig

CONFIG = {"vocabulary_size": 30, "hidden_dim": 8, "num_layers": 2, "max_sequence_length": 64}


def described(**changes: Any) -> str:
    """A description with other values; None leaves one out."""
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    return json.dumps({"registered_name": "keras_hub>BertBackbone", "config": config})


def test_a_description_is_read_and_written() -> None:
    backbone = Backbone.from_json(described())
    assert backbone.registered_name == "keras_hub>BertBackbone"
    assert backbone.vocabulary_size == 30
    assert backbone.longest_source == 64
    assert backbone.layers == 2
    assert backbone.depth == 8
    assert Backbone.from_json(backbone.to_json()) == backbone


def test_a_description_without_what_it_need_not_say() -> None:
    found = described(hidden_dim=None, num_layers=None, max_sequence_length=None)
    backbone = Backbone.from_json(found)
    assert (backbone.depth, backbone.layers, backbone.longest_source) == (0, 0, None)


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        json.dumps({"config": CONFIG}),
        json.dumps({"registered_name": "keras_hub>BertBackbone"}),
        json.dumps({"registered_name": "keras_hub>BertBackbone", "config": []}),
        described(vocabulary_size=None),
        described(vocabulary_size="30"),
        described(hidden_dim="8"),
        described(max_sequence_length=[64]),
    ],
)
def test_a_damaged_description(damaged: str) -> None:
    with pytest.raises(ValueError, match="`backbone` must be KerasHub's description of a backbone"):
        Backbone.from_json(damaged)
    if damaged:
        config = ModelConfig(encoder="keras_hub:bert", backbone=damaged)
        with pytest.raises(ValueError, match="`backbone` must be KerasHub's description"):
            config.least_weights()


def test_a_model_has_at_least_the_words_of_its_backbone() -> None:
    sizes: dict[str, Any] = {"embedding_size": 4, "decoder_units": 2, "attention_units": 3}
    config = ModelConfig(
        encoder="keras_hub:bert",
        backbone=described(),
        target_vocabulary_size=10,
        readout_units=5,
        **sizes,
    )
    assert config.least_weights() == 30 * 8 + 10 * 4 + 2 * 2 + 5 * 2 + 3 * 2


def test_luongs_dot_needs_the_depth_of_the_backbone() -> None:
    def config(units: int, backbone: str) -> ModelConfig:
        return ModelConfig(
            encoder="keras_hub:bert",
            backbone=backbone,
            attention="luong_dot",
            decoder_units=units,
        )

    message = r"`decoder_units` must be 8, the depth of the encoder, with `luong_dot`.* 6"
    with pytest.raises(ValueError, match=message):
        config(6, described())
    assert config(8, described()).decoder_units == 8
    assert config(6, described(hidden_dim=None)).decoder_units == 6
