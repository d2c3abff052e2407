"""An encoder that was pretrained: a backbone of KerasHub."""

from __future__ import annotations

import re
from typing import Any

import keras
from keras import ops

from attention_nmt.backbones import Backbone
from attention_nmt.checks import missing_package, require, require_axes
from attention_nmt.layers.encoder import Encoded
from attention_nmt.layers.transformer_encoder import mean_of_words
from attention_nmt.types import Tensor

_INPUTS = {"token_ids", "padding_mask", "segment_ids"}

_BLOCK = re.compile(r"layer_\d+$")
"""The end of the name that a layer of a backbone has, as `transformer_layer_3`."""


def import_keras_hub() -> Any:
    """The module `keras_hub`, which registers its classes with Keras.

    Raises:
        ImportError: it is not installed; the message has the pip command.
    """
    try:
        import keras_hub
    except ModuleNotFoundError as error:
        raise ImportError(missing_package(error), name=error.name) from error
    return keras_hub


def reader(backbone: keras.Model) -> keras.Model:
    """The part of a backbone that annotates words, without what reads the whole sentence.

    Raises:
        ValueError: the backbone is no encoder of one text.
    """
    inputs = {tensor.name: tensor for tensor in backbone.inputs}
    output = backbone.output
    if isinstance(output, dict):
        output = output.get("sequence_output")
    reads_text = {"token_ids", "padding_mask"} <= set(inputs) <= _INPUTS
    encodes = reads_text and isinstance(output, keras.KerasTensor) and len(output.shape) == 3
    expected = "an encoder that gives a `sequence_output` of `token_ids`, as BERT's backbone"
    require(encodes, "backbone", expected, type(backbone).__name__)
    return keras.Model(inputs, output, name="reader")


@keras.saving.register_keras_serializable("attention_nmt")
class PretrainedEncoder(keras.layers.Layer):
    """Annotates words by a backbone of KerasHub, whose embedding it uses: it is called on ids.

    It reads ids of a `HubTokenizer`, which are those of KerasHub plus 1. The summary, for a
    recurrent decoder, is the mean of the annotations of words.

    Args:
        backbone: KerasHub's description of it as JSON, from `describe_backbone`.
        dropout: rate on the annotations, one mask per sentence for all of its positions.

    Raises:
        ImportError: KerasHub is not installed.
        ValueError: `backbone` describes something else than an encoder of KerasHub.

    Source: as a pretrained encoder under a new decoder, Rothe, Narayan and Severyn (2020), arXiv
    1907.12461.
    """

    def __init__(self, backbone: str, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.description = backbone
        self.rate = dropout
        self.dropout = keras.layers.Dropout(
            dropout, (None, 1, None), dtype=self.dtype_policy, name="dropout"
        )

    @property
    def longest_source(self) -> int | None:
        """The most positions of a source; None if there may be any number."""
        return Backbone.from_json(self.description).longest_source

    @property
    def depth(self) -> int:
        """`D`."""
        return self.reader.output.shape[-1]

    @property
    def summary_size(self) -> int:
        """`D`."""
        return self.depth

    def build(self, ids_shape: tuple, mask_shape: tuple | None = None) -> None:  # noqa: ARG002
        """Makes the backbone, here so that its weights' paths begin with the encoder's."""
        self.reader = reader(_made(self.description, self.dtype_policy))

    def call(self, ids: Tensor, mask: Tensor, training: bool = False) -> Encoded:
        """Annotates words.

        Args:
            ids: `[B, S]`, of a `HubTokenizer`.
            mask: True on words `[B, S]`.
            training: whether dropout is on.

        Raises:
            ValueError: a tensor has more axes or fewer.
        """
        require_axes("ids", ids, "[B, S]")
        require_axes("mask", mask, "[B, S]")
        inputs = {
            "token_ids": ops.maximum(ids - 1, 0),  # what padding is read as does not matter
            "padding_mask": ops.cast(mask, "int32"),
            "segment_ids": ops.zeros_like(ids),
        }
        names = [tensor.name for tensor in self.reader.inputs]
        annotations = self.reader({name: inputs[name] for name in names}, training=training)
        annotations = ops.cast(annotations, self.compute_dtype)
        summary = mean_of_words(annotations, mask)
        return Encoded(self.dropout(annotations, training=training), summary)

    def copy_weights(self, backbone: keras.Model) -> None:
        """Takes the weights of a backbone of the same description.

        Raises:
            ValueError: it is another one.
        """
        self.reader.set_weights(reader(backbone).get_weights())

    def layers_from_the_top(self) -> list[list[keras.Variable]]:
        """The weights of each layer of the backbone, the last layer first, embeddings last."""
        blocks = [layer for layer in self.reader.layers if _BLOCK.search(layer.name)]
        of_blocks = [list(layer.trainable_variables) for layer in reversed(blocks)]
        taken = {id(variable) for group in of_blocks for variable in group}
        others = [one for one in self.reader.trainable_variables if id(one) not in taken]
        return [*of_blocks, others]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Hands no mask on: the caller gives one to whatever comes behind."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"backbone": self.description, "dropout": self.rate}
        return {**super().get_config(), **own}


def describe_backbone(backbone: keras.Model) -> str:
    """KerasHub's description of a backbone as JSON, without its name, its dtype and its weights.

    Raises:
        ValueError: it is no encoder of one text.
    """
    reader(backbone)
    described = keras.saving.serialize_keras_object(backbone)
    left_out = ("name", "trainable", "dtype")
    config = {name: value for name, value in described["config"].items() if name not in left_out}
    return Backbone(registered_name=described["registered_name"], config=config).to_json()


def _made(description: str, dtype: Any) -> keras.Model:
    """A backbone with first weights.

    Raises:
        ImportError: KerasHub is not installed.
        ValueError: the description is of something else.
    """
    keras_hub = import_keras_hub()
    described = Backbone.from_json(description)
    config = {**described.config, "dtype": keras.dtype_policies.serialize(dtype)}
    cls = keras.saving.get_registered_object(described.registered_name)
    known = isinstance(cls, type) and issubclass(cls, keras_hub.models.Backbone)
    require(known, "backbone", "KerasHub's description of a backbone", description[:100])
    return cls.from_config(config)
