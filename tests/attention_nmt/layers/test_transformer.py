"""The parts of a Transformer, against Keras' own layer and by hand."""

import math
from typing import Any

import keras
import numpy as np
import pytest

from attention_nmt.config import TransformerConfig
from attention_nmt.layers.attention import mask_bias
from attention_nmt.layers.heads import MultiHeadAttention
from attention_nmt.layers.transformer import positions
from attention_nmt.layers.transformer_decoder import TransformerDecoder
from attention_nmt.layers.transformer_encoder import TransformerEncoder
from tests.attention_nmt.tiny import VARIANTS, tiny_batch, tiny_config, tiny_model


def test_attention_of_many_heads_is_that_of_keras() -> None:
    """With the same weights, which Keras keeps head by head."""
    units, heads, size = 8, 2, 4
    generator = np.random.default_rng(2)
    x = generator.normal(size=(3, 5, units)).astype(np.float32)
    y = generator.normal(size=(3, 6, 7)).astype(np.float32)
    mask = np.arange(6) < np.array([[6], [4], [1]])
    own = MultiHeadAttention(units, heads)
    own(x, y)
    for weight in own.weights:
        weight.assign(generator.normal(size=weight.shape))

    query, query_bias, memory, memory_bias, output, output_bias = own.get_weights()
    key, value = np.split(memory, 2, axis=1)
    key_bias, value_bias = np.split(memory_bias, 2)
    theirs: Any = keras.layers.MultiHeadAttention(heads, size)
    theirs.build(x.shape, y.shape, y.shape)
    kernels = [(query, query_bias), (key, key_bias), (value, value_bias)]
    weights = []
    for kernel, bias in kernels:
        weights += [kernel.reshape(-1, heads, size), bias.reshape(heads, size)]
    theirs.set_weights([*weights, output.reshape(heads, size, units), output_bias])

    read, alignments = own(x, y, mask_bias(mask, "float32")[:, None, None])
    expected, scores = theirs(x, y, attention_mask=mask[:, None, :], return_attention_scores=True)
    np.testing.assert_allclose(read, expected, atol=1e-5)
    np.testing.assert_allclose(alignments, scores, atol=1e-6)


def test_positions_by_hand() -> None:
    found = positions(np.array([0, 1, 30]), 4, "float32")
    expected = [
        [math.sin(t), math.sin(t / 100), math.cos(t), math.cos(t / 100)] for t in (0, 1, 30)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_alignment_is_that_of_the_heads_that_are_asked_for() -> None:
    """The mean of all heads is that of each alone, and another layer has another one."""
    inputs = tiny_batch([(5, 4), (3, 6)])[0]
    options = VARIANTS["transformer"]

    def alignment(**changes: Any) -> np.ndarray:
        transformer = {"heads": 3, "feed_forward_units": 7, **changes}
        return np.asarray(tiny_model(**{**options, "transformer": transformer}).align(inputs))

    single = [alignment(alignment_heads=[head]) for head in range(3)]
    np.testing.assert_allclose(alignment(), np.mean(single, axis=0), atol=1e-6)
    np.testing.assert_array_equal(alignment(), alignment(alignment_layer=0))
    np.testing.assert_array_equal(alignment(alignment_layer=-1), alignment(alignment_layer=1))
    assert np.abs(alignment() - alignment(alignment_layer=1)).max() > 0.01
    layers = [TransformerConfig().layer_that_aligns(count) for count in (1, 2, 3, 6)]
    assert layers == [0, 0, 1, 4]

    trained = tiny_model(**options)
    other = trained.aligned_by(0, (2,))
    expected = alignment(alignment_layer=0, alignment_heads=[2])
    np.testing.assert_array_equal(other.align(inputs), expected)
    np.testing.assert_array_equal(other(inputs), trained(inputs))
    with pytest.raises(ValueError, match=r"`decoder` must be 'transformer', whose heads align"):
        tiny_model().aligned_by(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"embedding_size": 8, "transformer": {"heads": 3}},
            r"`embedding_size` must be an even multiple",
        ),
        (
            {"attention": "none", "transformer": {"heads": 3}},
            r"`attention` must be one that aligns, with a Transformer",
        ),
        ({"transformer": {"heads": 3, "alignment_heads": [3]}}, r"`alignment_heads` must be below"),
        ({"transformer": {"heads": 0}}, r"`heads` must be an integer of at least 1"),
        (
            {"decoder": "transformer", "transformer": {"heads": 3, "alignment_layer": 1}},
            r"`alignment_layer` must be one of decoder_layers=1",
        ),
        (
            {
                "decoder": "transformer",
                "query": "current",
                "input_feeding": True,
                "transformer": {"heads": 3},
            },
            r"`input_feeding` must be False with a Transformer",
        ),
        ({"encoder": "cnn"}, r"`encoder` must be one of"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(**{"encoder": "transformer", **options})


def test_a_layer_that_is_not_there_has_no_alignment() -> None:
    config = {"heads": 2, "alignment_layer": 2}
    with pytest.raises(ValueError, match=r"`alignment_layer` must be one of 2 layers\. .* 2"):
        TransformerDecoder(8, layers=2, config=config)
    with pytest.raises(ValueError, match=r"`embedded` must be of the depth 8 of the layers"):
        TransformerDecoder(8, layers=2).build((None, None, 6), None, ((None, None, 8), None))


def test_dropout_is_of_each_kind_and_in_training_only() -> None:
    """Each rate alone changes what training sees, and nothing else."""
    inputs = tiny_batch([(5, 4), (3, 6)])[0]
    options = VARIANTS["transformer"]
    still = np.asarray(tiny_model(**options)(inputs))
    np.testing.assert_array_equal(tiny_model(**options)(inputs, training=True), still)
    kinds: list[dict[str, Any]] = [
        {"layer_dropout": 0.5},
        {"annotation_dropout": 0.5},
        {"readout_dropout": 0.5},
        {"transformer": {**options["transformer"], "attention_dropout": 0.5}},
        {"transformer": {**options["transformer"], "feed_forward_dropout": 0.5}},
    ]
    for kind in kinds:
        model = tiny_model(**{**options, **kind})
        np.testing.assert_array_equal(model(inputs), still)
        assert np.abs(np.asarray(model(inputs, training=True)) - still).max() > 0.01, kind


def test_kernels_of_keys_and_values_start_each_by_themselves() -> None:
    """Between the limits of Glorot and Bengio (2010) for `[D, units]`, not for `[D, 2 units]`."""
    attention = MultiHeadAttention(32, 4)
    attention.build((None, None, 32), (None, None, 32))
    limit = math.sqrt(6 / (32 + 32))
    for block in np.split(np.asarray(attention.memory_kernel), 2, axis=1):
        assert 0.95 * limit < np.abs(block).max() <= limit
    keys, values = np.split(np.asarray(attention.memory_kernel), 2, axis=1)
    assert np.abs(keys - values).max() > 0.1


def test_a_memory_of_another_kind_is_refused() -> None:
    decoder = TransformerDecoder(8, layers=1)
    words = np.zeros((2, 3, 8), np.float32)
    with pytest.raises(TypeError, match="`memory` must be what `prepare` gives"):
        decoder(words, words[:, 0], (words, None, None))
    with pytest.raises(ValueError, match=r"`annotations` must be of shape \[B, S, D\]"):
        decoder.prepare(words[0], np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"`embedded` must be of shape \[B, S, E\]"):
        TransformerEncoder(8)(words[0], np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"`units` must be an even multiple of heads=7"):
        TransformerEncoder(7, config={"heads": 7})


def test_units_that_heads_cannot_share() -> None:
    with pytest.raises(ValueError, match=r"`units` must be a multiple of heads=3"):
        MultiHeadAttention(8, 3)
