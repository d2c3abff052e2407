"""What users expect of a Keras model: fit, save, configs, dtype policies, compiled or not,
dropout, seeds."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from attention_nmt.config import CellConfig
from attention_nmt.layers.attention import BahdanauAttention, FixedContext, LuongAttention, Memory
from attention_nmt.layers.decoder import Decoder
from attention_nmt.layers.decoder_recurrence import DecoderRecurrence
from attention_nmt.layers.dropout import SentenceDropout, WordDropout
from attention_nmt.layers.encoder import Encoder
from attention_nmt.layers.heads import MultiHeadAttention
from attention_nmt.layers.readout import Readout
from attention_nmt.layers.recurrent import Recurrent, StackedOrthogonal
from attention_nmt.layers.transformer_decoder import TransformerDecoder
from attention_nmt.layers.transformer_encoder import TransformerEncoder
from attention_nmt.losses import CrossEntropy, Perplexity, TargetTokens, TokenAccuracy
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.types import SPECIAL
from tests.attention_nmt.tiny import (
    FEW,
    NORMALIZED,
    ONE_HEAD,
    TIED,
    VARIANTS,
    Batch,
    kinds,
    tiny_batch,
    tiny_config,
    tiny_model,
)

LENGTHS = [(4, 3), (2, 5), (5, 4)]
WITH_DROPOUT = {"cell": {"reset_after": False}, "readout_dropout": 0.3}
SAVED = [
    *kinds(VARIANTS, FEW),
    pytest.param(TIED, id="tied"),
    pytest.param(WITH_DROPOUT, id="dropout", marks=pytest.mark.long),
]

LAYERS: list[Callable[[], keras.layers.Layer]] = [
    lambda: BahdanauAttention(4, name="a"),
    lambda: FixedContext(name="f"),
    lambda: LuongAttention("dot", name="l"),
    lambda: Recurrent(5, CellConfig(reset_after=False), reverse=True, name="g"),
    lambda: SentenceDropout(0.2, 2, name="d"),
    lambda: Encoder(
        5,
        layers=2,
        bidirectional=False,
        cell=CellConfig(kind="lstm"),
        dropout=0.2,
        layer_dropout=0.1,
        name="e",
    ),
    lambda: DecoderRecurrence(
        7, BahdanauAttention(4), CellConfig(layer_normalization=True), name="r"
    ),
    lambda: DecoderRecurrence(
        7,
        LuongAttention(),
        layers=3,
        query="current",
        feed_units=5,
        layer_dropout=0.1,
        name="r",
    ),
    lambda: DecoderRecurrence(7, FixedContext(), name="r"),
    lambda: Readout(3, dropout=0.4, name="o"),
    lambda: MultiHeadAttention(6, 3, dropout=0.1, name="m"),
    lambda: TransformerEncoder(
        6, layers=2, config=ONE_HEAD, layer_dropout=0.1, dropout=0.2, name="t"
    ),
    lambda: TransformerDecoder(
        6, layers=2, config=ONE_HEAD, layer_dropout=0.1, dropout=0.2, name="t"
    ),
    lambda: Decoder(
        7,
        3,
        BahdanauAttention(4, name="own"),
        cell=CellConfig(kind="lstm"),
        layers=2,
        query="current",
        input_feeding=True,
        readout_dropout=0.1,
        layer_dropout=0.2,
        name="d",
    ),
    lambda: WordDropout(0.2, name="w"),
    lambda: Seq2Seq(tiny_config(embedding_dropout=0.2, **TIED), name="s"),
]


def fit_losses(model: Seq2Seq, batch: Batch, epochs: int = 3, **options: Any) -> list[float]:
    """The losses of epochs of one batch, without a graph unless the options say so: tracing takes
    seconds."""
    inputs, labels, weights = batch
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9)
    model.compile(optimizer, CrossEntropy(0.1), **(options or {"run_eagerly": True}))
    history = model.fit(
        inputs,
        labels,
        sample_weight=weights,
        batch_size=len(labels),
        epochs=epochs,
        shuffle=False,
        verbose=0,
    )
    return history.history["loss"]


def test_summary_counts_the_weights() -> None:
    lines: list[str] = []
    model = tiny_model()
    model.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert all(
        name in text for name in ("encoder", "decoder", "source_embedding", "output_projection")
    )
    assert f"{model.count_params():,}" in text
    # E_x, E_y; both directions; W_s; the decoder's unit; W_a, v_a, U_a; the maxout; W_o.
    unit = 6 * 21 + 10 * 21 + 7 * 21 + 2 * 21
    total = (
        2 * 40 * 6
        + 2 * (6 * 15 + 5 * 15 + 30)
        + 5 * 7
        + 7
        + unit
        + 7 * 4
        + 4
        + 10 * 4
        + 23 * 6
        + 6
        + 3 * 40
    )
    assert model.count_params() == total

    # Scales of the products of inputs and of states, in both directions and in the decoder.
    normalized = tiny_model(cell=NORMALIZED)
    assert normalized.count_params() == total + 2 * (15 + 15 + 21)


@pytest.mark.long
def test_learns_to_copy() -> None:
    """One distribution, four words: after a hundred updates the loss is near that of knowing the
    answer."""
    generator = np.random.default_rng(0)
    words = generator.integers(4, 8, (64, 3)).astype(np.int32)
    end = np.full((64, 1), SPECIAL.end, np.int32)
    labels = np.concatenate([words, end], axis=1)
    inputs = {"source": labels, "target": np.concatenate([end * 0 + 2, words], axis=1)}
    sizes = {"embedding_size": 16, "encoder_units": 16, "decoder_units": 32, "attention_units": 16}
    keras.utils.set_random_seed(1)
    model = Seq2Seq(tiny_config(**{**sizes, "readout_units": 16}))
    metrics = [Perplexity(), TokenAccuracy(), TargetTokens()]
    model.compile(
        keras.optimizers.Adam(0.02), CrossEntropy(0.1), weighted_metrics=metrics, jit_compile=False
    )
    before = model.evaluate(inputs, labels, batch_size=64, verbose=0, return_dict=True)
    repeated = {name: np.tile(ids, (100, 1)) for name, ids in inputs.items()}
    model.fit(repeated, np.tile(labels, (100, 1)), batch_size=64, shuffle=False, verbose=0)
    after = model.evaluate(inputs, labels, batch_size=64, verbose=0, return_dict=True)
    assert before["loss"] > 3
    assert after["accuracy"] > 0.9
    assert after["perplexity"] < 2
    assert after["tokens"] == 64 * 4
    predicted = model.predict(inputs, batch_size=64, verbose=0)
    assert predicted.shape == (64, 4, 40)
    assert (predicted.argmax(axis=-1) == labels).mean() == pytest.approx(after["accuracy"])


@pytest.mark.parametrize("options", SAVED)
def test_keras_file_round_trip(options: dict[str, Any], tmp_path: Path) -> None:
    model = tiny_model(**options)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    inputs = tiny_batch(LENGTHS)[0]
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def test_keras_file_keeps_optimizer_and_loss(tmp_path: Path) -> None:
    """A training goes on from the file as if it had never stopped."""
    batch, model = tiny_batch(LENGTHS), tiny_model()
    fit_losses(model, batch, epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 2
    losses = [
        m.train_on_batch(*batch, return_dict=True)["loss"]
        for m in (model, loaded)
        for _ in range(2)
    ]
    assert losses[:2] == pytest.approx(losses[2:], rel=1e-5)


@pytest.mark.parametrize("options", [*FEW.values(), TIED], ids=str)
def test_weights_file_round_trip(options: dict[str, Any], tmp_path: Path) -> None:
    model, other = tiny_model(1, **options), tiny_model(2, **options)
    inputs = tiny_batch(LENGTHS)[0]
    assert np.abs(np.asarray(model(inputs)) - np.asarray(other(inputs))).max() > 0.1
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other(inputs), model(inputs))


def test_layers_say_what_does_not_go_together() -> None:
    cell: Any = "lstm"
    with pytest.raises(
        ValueError, match=r"`cell` must be a CellConfig, its fields, or None\. Received: 'lstm'"
    ):
        Encoder(5, cell=cell)
    query: Any = "next"
    with pytest.raises(
        ValueError, match=r"`query` must be 'previous' or 'current'\. Received: 'next'"
    ):
        Decoder(7, 3, BahdanauAttention(4), query=query)
    with pytest.raises(
        ValueError,
        match=r"`attention` must be one that aligns, with input feeding.* 'FixedContext'",
    ):
        Decoder(7, 3, FixedContext(), query="current", input_feeding=True)
    for attention, query in ((LuongAttention(), "previous"), (BahdanauAttention(4), "current")):
        with pytest.raises(
            ValueError,
            match="`word_query` must be False without a BahdanauAttention by the previous",
        ):
            Decoder(7, 3, attention, query=query, word_query=True)
    with pytest.raises(ValueError, match="'general' must follow `build`"):
        LuongAttention().prepare(np.zeros((1, 2, 3), np.float32), np.ones((1, 2), bool))


@pytest.mark.parametrize("make", LAYERS, ids=lambda make: type(make()).__name__)
def test_configs_round_trip(make: Callable[[], keras.layers.Layer]) -> None:
    """Through JSON, and equal in every field after it."""
    layer = make()
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert keras.saving.deserialize_keras_object(serialized).get_config() == config


def built_decoder(attention: keras.layers.Layer, **options: Any) -> Decoder:
    decoder = Decoder(7, 3, attention, **options)
    decoder.build(
        (None, None, 6), (None, 5), Memory((None, None, 7), (None, None, 4), (None, None))
    )
    return decoder


def built_transformer() -> TransformerDecoder:
    decoder = TransformerDecoder(6, layers=2, config=ONE_HEAD)
    decoder.build((None, None, 6), None, ((None, None, 7), (None, None)))
    return decoder


@pytest.mark.parametrize(
    "make",
    [
        lambda: built_decoder(BahdanauAttention(4), word_query=True),
        lambda: built_decoder(LuongAttention(), query="current", input_feeding=True),
        lambda: built_decoder(BahdanauAttention(4)).attention,
        lambda: built_decoder(LuongAttention()).attention,
        lambda: built_decoder(FixedContext()),
        lambda: built_transformer(),
        lambda: built_transformer().layers[0].source,
    ],
)
def test_built_layers_come_back_with_their_weights(make: Callable[[], keras.layers.Layer]) -> None:
    layer = make()
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(serialized)
    assert [(w.name, w.shape) for w in again.weights] == [(w.name, w.shape) for w in layer.weights]
    again.set_weights(layer.get_weights())
    assert layer.weights or isinstance(layer, FixedContext)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        (lambda: Encoder(5), lambda: Decoder(7, 3, BahdanauAttention(4))),
        (
            lambda: TransformerEncoder(6, config=ONE_HEAD),
            lambda: TransformerDecoder(6, config=ONE_HEAD),
        ),
    ],
    ids=["rnn", "transformer"],
)
def test_a_model_of_ones_own_is_saved_and_loaded(
    encoder: Callable[[], Any], decoder: Callable[[], Any], tmp_path: Path
) -> None:
    """Its layers do not warn of a mask that they use."""
    embedded, mask = (
        np.random.default_rng(1).normal(size=(2, 4, 6)).astype("float32"),
        np.arange(4)[None] < [[4], [2]],
    )
    model = Own(encoder(), decoder())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        expected = model([embedded, mask])
    model.save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras", custom_objects={"Own": Own})
    for again, once in zip(loaded([embedded, mask]), expected, strict=True):
        np.testing.assert_allclose(again, once, atol=1e-6)


class Own(keras.Model):
    """One step of a decoder over an encoder's annotations."""

    def __init__(self, encoder: Any, decoder: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder

    def call(self, inputs: list[Any]) -> Any:
        embedded, mask = inputs
        annotations, summary = self.encoder(embedded, mask=keras.ops.cast(mask, "bool"))
        memory = self.decoder.prepare(annotations, keras.ops.cast(mask, "bool"))
        return self.decoder(embedded, summary, memory)

    def get_config(self) -> dict[str, Any]:
        layers = {"encoder": self.encoder, "decoder": self.decoder}
        return {name: keras.saving.serialize_keras_object(layer) for name, layer in layers.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Own":
        return cls(
            **{name: keras.saving.deserialize_keras_object(layer) for name, layer in config.items()}
        )


def test_attention_of_another_precision_than_its_decoder() -> None:
    """A row without any word stays finite, as batches have them."""
    decoder = Decoder(7, 3, BahdanauAttention(4), dtype="mixed_float16")
    annotations = np.ones((2, 4, 6), "float32")
    memory = decoder.attention.prepare(annotations, np.array([[True] * 4, [False] * 4]))
    outputs = decoder(annotations, np.ones((2, 5), "float32"), memory)
    assert all(np.isfinite(np.asarray(x, "float32")).all() for x in keras.tree.flatten(outputs))


def test_initializer_config_round_trip() -> None:
    again = StackedOrthogonal.from_config(StackedOrthogonal(seed=5).get_config())
    np.testing.assert_array_equal(again((3, 9)), StackedOrthogonal(seed=5)((3, 9)))


def float_dtypes(structure: Any) -> set[str]:
    """The dtypes of the tensors of a structure that are no integers."""
    leaves = [x for x in keras.tree.flatten(structure) if x is not None]
    found = {keras.backend.standardize_dtype(x.dtype) for x in leaves}
    return found - {"int32"}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="default"),
        *(
            pytest.param(FEW[name], id=name, marks=pytest.mark.long)
            for name in FEW
            if name != "default"
        ),
        pytest.param(TIED, id="tied", marks=pytest.mark.long),
    ],
)
def test_mixed_bfloat16_is_near_float32(options: dict[str, Any]) -> None:
    batch = tiny_batch(LENGTHS)
    expected = np.asarray(tiny_model(**options)(batch[0]))
    model = tiny_model(dtype="mixed_bfloat16", **options)
    np.testing.assert_allclose(keras.ops.cast(model(batch[0]), "float32"), expected, atol=0.1)
    assert all(weight.dtype == "float32" for weight in model.weights)
    memory, state = model.start(batch[0]["source"], 5)
    assert float_dtypes((memory, state)) == {"bfloat16"}
    step_logits, state, _ = model.step(batch[0]["target"][:, :1], state, memory)
    assert float_dtypes(state) == {"bfloat16"}
    np.testing.assert_allclose(
        keras.ops.cast(step_logits[:, 0], "float32"), expected[:, 0], atol=0.1
    )
    losses = fit_losses(model, batch)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("options", [{}, TIED], ids=str)
def test_a_precision_reaches_every_layer_and_stays_in_the_file(
    options: dict[str, Any], tmp_path: Path
) -> None:
    model = tiny_model(dtype="mixed_bfloat16", **options)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, again):
        layers = [layer for layer in one._flatten_layers() if not isinstance(layer, WordDropout)]
        assert len(layers) > 10
        assert {layer.dtype_policy.name for layer in layers} == {"mixed_bfloat16"}
    inputs = tiny_batch(LENGTHS)[0]
    np.testing.assert_array_equal(
        *(keras.ops.cast(one(inputs), "float32") for one in (model, again))
    )


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"attention": "none", "readout_units": 4}, id="small", marks=pytest.mark.long),
        pytest.param({}, id="default", marks=pytest.mark.long),
        pytest.param(VARIANTS["everything"], id="everything", marks=pytest.mark.long),
    ],
)
def test_under_xla_or_not_the_losses_are_equal(options: dict[str, Any]) -> None:
    """Over three updates, so the gradients count too. What XLA compiles is a graph."""
    batch = tiny_batch(LENGTHS)
    expected = fit_losses(tiny_model(**options), batch)
    assert len(set(expected)) == 3
    assert fit_losses(tiny_model(**options), batch, jit_compile=True) == pytest.approx(
        expected, rel=1e-4
    )


DROPOUTS = [
    "embedding_dropout",
    "annotation_dropout",
    "layer_dropout",
    "readout_dropout",
    "source_word_dropout",
    "target_word_dropout",
]


FED: dict[str, Any] = {"decoder_layers": 2, "query": "current", "input_feeding": True}
DROPPED = [
    *(({"encoder_layers": 2}, name) for name in DROPOUTS),
    ({"decoder_layers": 2}, "layer_dropout"),
    (FED, "layer_dropout"),
    (FED, "readout_dropout"),
]


@pytest.mark.parametrize(("layers", "name"), DROPPED, ids=str)
def test_dropout_acts_in_training_only(layers: dict[str, Any], name: str) -> None:
    dropped = layers | {name: 0.5}
    inputs = tiny_batch(LENGTHS)[0]
    plain, model = tiny_model(**layers), tiny_model(**dropped)
    np.testing.assert_array_equal(model(inputs), plain(inputs))
    np.testing.assert_array_equal(model(inputs, training=False), plain(inputs))
    first, second = (
        np.asarray(model(inputs, training=True)),
        np.asarray(model(inputs, training=True)),
    )
    assert np.abs(first - np.asarray(plain(inputs))).max() > 1e-3
    assert np.abs(first - second).max() > 1e-3


def test_word_dropout_spares_padding_start_and_end() -> None:
    ids = np.random.default_rng(0).integers(0, 10, (200, 50)).astype(np.int32)
    dropped = np.asarray(WordDropout(0.3)(ids, training=True))
    assert dropped.dtype == np.int32
    assert (dropped[ids <= SPECIAL.end] == ids[ids <= SPECIAL.end]).all()
    words = ids > SPECIAL.end
    assert set(np.unique(dropped[words & (dropped != ids)])) == {1}
    assert (dropped != ids)[words].mean() == pytest.approx(0.3, abs=0.03)


def test_what_layers_are_if_they_are_told_nothing_else() -> None:
    decoder = DecoderRecurrence(1, BahdanauAttention(2)).get_config()
    assert (decoder["layers"], decoder["query"], decoder["word_query"]) == (1, "previous", False)
    assert (decoder["feed_units"], decoder["layer_dropout"]) == (0, 0.0)

    layer = Recurrent(1)
    layer.build((None, None, 3))
    texts = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    forward = np.asarray(layer.read(texts))
    np.testing.assert_allclose(layer.read(texts, reverse=False), forward)
    np.testing.assert_allclose(layer.read(texts[:2]), forward[:2], atol=1e-6)


def test_seeds_reproduce() -> None:
    """Initial weights and dropout alike; other seeds give others."""

    def train(seed: int) -> list[float]:
        keras.utils.set_random_seed(seed)
        rates: dict[str, Any] = {
            "embedding_dropout": 0.2,
            "readout_dropout": 0.2,
            "source_word_dropout": 0.2,
        }
        return fit_losses(Seq2Seq(tiny_config(**rates)), tiny_batch(LENGTHS))

    first = train(3)
    assert train(3) == first
    assert train(4) != first
