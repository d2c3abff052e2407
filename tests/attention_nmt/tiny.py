"""Small models, batches and texts that many tests share."""

import json
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pytest

from attention_nmt.config import ModelConfig, from_dict
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.types import SPECIAL

SIZES: dict[str, Any] = {
    "source_vocabulary_size": 40,
    "target_vocabulary_size": 40,
    "embedding_size": 6,
    "encoder_units": 5,
    "decoder_units": 7,
    "attention_units": 4,
    "readout_units": 3,
}
LSTM = {"kind": "lstm"}
RESET_BEFORE = {"reset_after": False}
NORMALIZED = {"layer_normalization": True}

POST_NORM = {"heads": 3, "feed_forward_units": 7, "pre_norm": False}
ONE_HEAD = {"heads": 3, "feed_forward_units": 7, "alignment_layer": 0, "alignment_heads": [1]}

BACKBONE = json.dumps(
    {
        "registered_name": "keras_hub>BertBackbone",
        "config": {
            "vocabulary_size": 39,
            "num_layers": 2,
            "num_heads": 2,
            "hidden_dim": 6,
            "intermediate_dim": 5,
            "dropout": 0.0,
            "max_sequence_length": 64,
            "num_segments": 2,
        },
    }
)
"""A tiny BERT, whose ids are those of a source less 1."""

PRETRAINED = {"encoder": "keras_hub:a_tiny_bert", "backbone": BACKBONE}

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no attention": {"attention": "none"},
    "reset before": {"cell": RESET_BEFORE},
    "no attention, reset before": {"attention": "none", "cell": RESET_BEFORE},
    "lstm, word query": {"cell": LSTM, "word_query": True},
    "no attention, lstm layers": {
        "attention": "none",
        "cell": LSTM,
        "encoder_layers": 2,
        "decoder_layers": 3,
    },
    "layers, word query": {"encoder_layers": 3, "decoder_layers": 3, "word_query": True},
    "normalized": {"cell": NORMALIZED, "encoder_layers": 2, "decoder_layers": 2},
    "normalized, reset before": {"cell": {**NORMALIZED, **RESET_BEFORE}},
    "normalized lstm": {"cell": {**NORMALIZED, **LSTM}},
    "luong general": {
        "attention": "luong_general",
        "query": "current",
        "cell": LSTM,
        "decoder_layers": 2,
    },
    "luong dot, fed": {
        "attention": "luong_dot",
        "query": "current",
        "input_feeding": True,
        "encoder_units": 5,
        "decoder_units": 10,
    },
    "luong general, previous": {"attention": "luong_general"},
    "fed": {"query": "current", "input_feeding": True},
    "everything": {
        "attention": "luong_general",
        "query": "current",
        "input_feeding": True,
        "cell": {**NORMALIZED, **LSTM},
        "encoder_layers": 2,
        "decoder_layers": 2,
    },
    "current": {"query": "current", "cell": NORMALIZED},
    "transformer": {
        "encoder": "transformer",
        "decoder": "transformer",
        "encoder_layers": 2,
        "decoder_layers": 2,
        "transformer": ONE_HEAD,
    },
    "transformer, post norm": {
        "encoder": "transformer",
        "decoder": "transformer",
        "decoder_layers": 2,
        "transformer": POST_NORM,
    },
    "transformer encoder": {
        "encoder": "transformer",
        "encoder_layers": 2,
        "transformer": POST_NORM,
    },
    "transformer decoder": {
        "decoder": "transformer",
        "decoder_layers": 2,
        "transformer": ONE_HEAD,
    },
    "pretrained encoder": PRETRAINED,
    "pretrained encoder, transformer decoder": {
        **PRETRAINED,
        "decoder": "transformer",
        "transformer": ONE_HEAD,
    },
}
"""Models of every kind, by name: what holds for one is to hold for all."""

FEW_NAMES = ("default", "no attention, lstm layers", "everything", "transformer")
FEW = {name: VARIANTS[name] for name in FEW_NAMES}
"""For what takes seconds a model."""

SHORT = (
    *FEW,
    "reset before",
    "lstm, word query",
    "luong dot, fed",
    "tied, bahdanau",
    "transformer encoder",
    "pretrained encoder",
)
"""The kinds that `make test` takes through each property; `make test-long` takes all."""


def kinds(models: dict[str, dict[str, Any]], short: Iterable[str] = SHORT) -> list[Any]:
    """The options of models as parameters, by their names; all but the short ones take long."""
    return [
        pytest.param(options, id=name, marks=() if name in short else pytest.mark.long)
        for name, options in models.items()
    ]


TIED: dict[str, Any] = {"tie_output": True, "tie_source": True, "readout_units": 6}

Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]


def tiny_config(**options: Any) -> ModelConfig:
    return from_dict(ModelConfig, {**SIZES, **options})


def tiny_model(
    seed: int = 1, scale: float = 0.5, dtype: str | None = None, **options: Any
) -> Seq2Seq:
    """A model whose weights, biases too, are normal with deviation `scale`: every term then
    counts."""
    model = Seq2Seq(tiny_config(**options), dtype=dtype)
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(generator.normal(0, scale, weight.shape))
    return model


def tiny_batch(
    lengths: list[tuple[int, int]],
    source_length: int = 0,
    target_length: int = 0,
    vocabulary: int = 40,
    seed: int = 7,
) -> Batch:
    """Random pairs of `lengths` (source, target; the end symbols included), padded to the longest
    or further.

    A pair is the same whatever else is in the batch and however long the padding.
    """
    source_length = max(source_length, *(s for s, _ in lengths), 1)
    target_length = max(target_length, *(t for _, t in lengths), 1)
    source = np.zeros((len(lengths), source_length), np.int32)
    target, labels = (np.zeros((len(lengths), target_length), np.int32) for _ in range(2))
    for row, (s, t) in enumerate(lengths):
        generator = np.random.default_rng([seed, s, t])
        source[row, :s] = [*generator.integers(4, vocabulary, max(s - 1, 0)), SPECIAL.end][:s]
        labels[row, :t] = [*generator.integers(4, vocabulary, max(t - 1, 0)), SPECIAL.end][:t]
        target[row, :t] = [SPECIAL.start, *labels[row, :t]][:t]
        target[row, 0] = SPECIAL.start
    return {"source": source, "target": target}, labels, (labels != 0).astype(np.float32)


def loss_and_gradients(
    model: Seq2Seq, batch: Batch, loss: keras.losses.Loss
) -> tuple[float, dict[str, np.ndarray]]:
    """The loss of a batch and its gradient by every weight, by the weights' paths within the
    model."""
    import tensorflow as tf

    inputs, labels, weights = batch
    with tf.GradientTape() as tape:
        value = loss(labels, model(inputs, training=True), weights)
    variables = model.trainable_weights
    gradients = tape.gradient(value, [v.value for v in variables])
    paths = [v.path.split("/", 1)[1] for v in variables]
    return float(value), {
        p: tf.convert_to_tensor(g).numpy() for p, g in zip(paths, gradients, strict=True)
    }
