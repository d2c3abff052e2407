"""Layers between `keras.Input`s: such a model computes what the layers do, is saved and loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from attention_nmt.layers.attention import (
    Attention,
    BahdanauAttention,
    FixedContext,
    LuongAttention,
)
from attention_nmt.layers.decoder import Decoder
from attention_nmt.layers.encoder import Encoder
from attention_nmt.layers.transformer_decoder import TransformerDecoder
from attention_nmt.layers.transformer_encoder import TransformerEncoder
from tests.attention_nmt.tiny import tiny_model

IDS = np.array([[4, 5, 6, 3], [7, 3, 0, 0]], np.int32)
PAIRS = {"source": IDS, "target": IDS}
ATTENTIONS: dict[str, Callable[[], Attention]] = {
    "bahdanau": lambda: BahdanauAttention(5),
    "luong general": lambda: LuongAttention("general"),
    "luong dot": lambda: LuongAttention("dot"),
}


def ids(name: str) -> keras.KerasTensor:
    return keras.Input((None,), dtype="int32", name=name)


def classifier(attention: Attention) -> keras.Model:
    """A model that attends twice with one attention."""
    source = ids("source")
    mask = ops.not_equal(source, 0)
    annotations, summary = Encoder(4)(keras.layers.Embedding(20, 6)(source), mask)
    memory = attention.prepare(annotations, mask)

    query = keras.layers.Dense(8)(summary)[:, None]
    first, _ = attention(query, memory)
    second, alignment = attention(query + first, memory)
    return keras.Model(source, [keras.layers.Dense(3)((first + second)[:, 0]), alignment])


def translator(attention: Attention, **options: Any) -> keras.Model:
    source, target = ids("source"), ids("target")
    mask = ops.not_equal(source, 0)
    annotations, summary = Encoder(4, layers=2)(keras.layers.Embedding(20, 6)(source), mask)

    decoder = Decoder(8, 5, attention, layers=2, **options)
    memory = decoder.attention.prepare(annotations, mask)
    readout, _ = decoder(keras.layers.Embedding(20, 6)(target), summary, memory)
    logits = keras.layers.Dense(20)(readout)
    return keras.Model({"source": source, "target": target}, logits)


def transformer() -> keras.Model:
    source, target = ids("source"), ids("target")
    mask = ops.not_equal(source, 0)
    config = {"heads": 2, "feed_forward_units": 5}
    encoder = TransformerEncoder(8, layers=2, config=config)
    annotations, summary = encoder(keras.layers.Embedding(20, 8)(source), mask)

    decoder = TransformerDecoder(8, layers=2, config=config)
    memory = decoder.prepare(annotations, mask)
    read, alignment = decoder(keras.layers.Embedding(20, 8)(target), summary, memory)
    read = read + ops.matmul(alignment, annotations)
    return keras.Model({"source": source, "target": target}, keras.layers.Dense(20)(read))


def seq2seq() -> keras.Model:
    inputs = {"source": ids("source"), "target": ids("target")}
    return keras.Model(inputs, tiny_model()(inputs))


FED: dict[str, Any] = {"query": "current", "input_feeding": True}
MODELS: dict[str, Callable[[], keras.Model]] = {
    "bahdanau": lambda: translator(BahdanauAttention(5), word_query=True),
    "luong, fed": lambda: translator(LuongAttention("general"), **FED),
    "transformer": transformer,
    "seq2seq": seq2seq,
}


def predictions(model: keras.Model, inputs: Any) -> list[np.ndarray]:
    return [np.asarray(output) for output in keras.tree.flatten(model(inputs))]


def check_file(model: keras.Model, inputs: Any, labels: Any, path: Path) -> None:
    """Trains a model, loads its file, and trains both on: they are equal all the way."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = [loss, None] if isinstance(model.output, list) else loss
    # Eagerly: graphs of so little take longer to be made than to run.
    model.compile(keras.optimizers.Adam(0.01), losses, run_eagerly=True)
    targets = [labels, labels] if isinstance(losses, list) else labels
    model.train_on_batch(inputs, targets)
    model.save(path)

    again = keras.saving.load_model(path)
    assert again.count_params() == model.count_params()
    for one, other in zip(predictions(model, inputs), predictions(again, inputs), strict=True):
        np.testing.assert_array_equal(one, other)

    before = [np.asarray(weight.value).copy() for weight in again.trainable_weights]
    for trained in (model, again):
        trained.run_eagerly = True
        trained.train_on_batch(inputs, targets)
    weights = zip(model.trainable_weights, again.trainable_weights, before, strict=True)
    for weight, other, old in weights:
        np.testing.assert_allclose(weight.value, other.value, rtol=0, atol=1e-5)
        assert np.abs(np.asarray(other.value) - old).max() > 0, weight.path


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_functional_model_with_attention_is_saved_and_loaded(name: str, tmp_path: Path) -> None:
    """The attention has one kernel for the annotations, however often it attends."""
    model = classifier(ATTENTIONS[name]())
    check_file(model, IDS, np.array([0, 2]), tmp_path / "model.keras")
    alignment = predictions(model, IDS)[1]
    np.testing.assert_allclose(alignment.sum(axis=-1), 1, atol=1e-6)
    assert (alignment[1, :, 2:] == 0).all()


@pytest.mark.parametrize(
    "name",
    ["bahdanau", *(pytest.param(n, marks=pytest.mark.long) for n in list(MODELS)[1:])],
)
def test_a_functional_model_with_a_decoder_is_saved_and_loaded(name: str, tmp_path: Path) -> None:
    check_file(MODELS[name](), PAIRS, IDS, tmp_path / "model.keras")


def test_a_functional_model_computes_what_its_layers_do() -> None:
    attention = BahdanauAttention(5)
    query = keras.Input((2, 7))
    annotations = keras.Input((None, 6))
    mask = keras.Input((None,), dtype="bool")
    outputs = attention(query, attention.prepare(annotations, mask))
    model = keras.Model([query, annotations, mask], list(outputs))

    generator = np.random.default_rng(1)
    queries = generator.normal(size=(3, 2, 7)).astype(np.float32)
    words = generator.normal(size=(3, 4, 6)).astype(np.float32)
    is_word = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], bool)
    expected = attention(queries, attention.prepare(words, is_word))
    found = model([queries, words, is_word])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_an_attention_without_alignment_says_so_between_inputs() -> None:
    memory = (keras.Input((1, 6)), None, None)
    with pytest.raises(ValueError, match="must be tensors"):
        FixedContext()(keras.Input((2, 7)), memory)
