"""The model gives the numbers of the papers' equations, and of Keras' own layers where these
compute the same."""

import itertools
from typing import Any, Literal

import keras
import numpy as np
import pytest

from attention_nmt.config import CellConfig
from attention_nmt.layers.attention import BahdanauAttention, LuongAttention, Memory
from attention_nmt.layers.cells import hidden
from attention_nmt.layers.encoder import Encoder
from attention_nmt.layers.recurrent import Recurrent, StackedOrthogonal
from attention_nmt.losses import CrossEntropy
from attention_nmt.models.seq2seq import Seq2Seq
from tests.attention_nmt.models import oracle
from tests.attention_nmt.tiny import (
    SHORT,
    TIED,
    VARIANTS,
    kinds,
    loss_and_gradients,
    tiny_batch,
    tiny_model,
)

CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-5}
LENGTHS = [(5, 4), (3, 6), (1, 1), (6, 5)]
MODELS = VARIANTS | {
    f"tied, {attention}": {"attention": attention, **TIED} for attention in ("bahdanau", "none")
}


@pytest.fixture(params=kinds(MODELS))
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    return tiny_model(**request.param)


@pytest.mark.parametrize(
    "options", kinds(MODELS, (*SHORT, "no attention", "luong general", "normalized, reset before"))
)
def test_forward_values_are_those_of_the_equations(options: dict[str, Any]) -> None:
    model = tiny_model(**options)
    inputs, _, _ = tiny_batch(LENGTHS)
    logits = np.asarray(model(inputs))
    memory, summary = model.encode(inputs["source"])
    for row, (s, t) in enumerate(LENGTHS):
        expected = oracle.run(model, inputs["source"][row, :s], inputs["target"][row, :t])
        np.testing.assert_allclose(logits[row, :t], expected.logits, rtol=0, atol=1e-5)
        np.testing.assert_allclose(summary[row], expected.summary, rtol=0, atol=1e-5)
        if model.aligns:
            alignment = np.asarray(model.align(inputs))[row]
            np.testing.assert_allclose(alignment[:t, :s], expected.alignments, rtol=0, atol=1e-5)
            assert (alignment[:t, s:] == 0).all()
            np.testing.assert_allclose(
                memory.annotations[row, :s], expected.annotations, rtol=0, atol=1e-5
            )
        else:
            assert expected.contexts is not None
            np.testing.assert_allclose(
                memory.annotations[row, 0], expected.contexts[0], rtol=0, atol=1e-5
            )


@pytest.mark.parametrize("maximum_length", [6, None])
def test_steps_are_teacher_forcing_one_word_at_a_time(
    model: Seq2Seq, maximum_length: int | None
) -> None:
    """`step` with two equal hypotheses a sentence gives the states, alignments and logits of the
    equations."""
    inputs, _, _ = tiny_batch(LENGTHS)
    memory, state = model.start(inputs["source"], maximum_length)
    state = keras.tree.map_structure(
        lambda x: keras.ops.repeat(x, 2, axis=1) if len(x.shape) else x, state
    )
    rows = [
        oracle.run(model, inputs["source"][r, :s], inputs["target"][r, :t])
        for r, (s, t) in enumerate(LENGTHS)
    ]
    for position in range(max(t for _, t in LENGTHS)):
        ids = np.repeat(inputs["target"][:, position, None], 2, axis=1)
        logits, state, alignment = model.step(ids, state, memory)
        for row, (s, t) in enumerate(LENGTHS):
            if position >= t:
                continue
            for beam in (0, 1):
                np.testing.assert_allclose(logits[row, beam], rows[row].logits[position], **CLOSE)
                expected = rows[row].states
                if expected is not None:
                    states = np.concatenate([layer[row, beam] for layer in state.layers])
                    np.testing.assert_allclose(states, expected[position], **CLOSE)
                if alignment is not None:
                    np.testing.assert_allclose(
                        alignment[row, beam, :s], rows[row].alignments[position], **CLOSE
                    )


def test_the_loss_and_every_gradient_are_those_of_the_equations(model: Seq2Seq) -> None:
    """Against central differences of the float64 oracle: along each weight's largest entry, and
    through all of it."""
    batch, smoothing = tiny_batch([(4, 3), (2, 4)]), 0.1
    value, gradients = loss_and_gradients(model, batch, CrossEntropy(smoothing))
    weights = oracle.read_weights(model)
    assert value == pytest.approx(oracle.loss(model, batch, weights, smoothing), abs=1e-5)
    generator, epsilon = np.random.default_rng(0), 1e-5
    assert gradients.keys() == weights.keys()
    for path, weight in weights.items():
        directions = [generator.choice([-1.0, 1.0], weight.shape)]
        directions += [
            np.eye(1, weight.size, int(np.abs(gradients[path]).argmax())).reshape(weight.shape)
        ]
        for direction in directions:
            moved = [weights | {path: weight + sign * epsilon * direction} for sign in (1, -1)]
            plus, minus = (oracle.loss(model, batch, w, smoothing) for w in moved)
            computed = (gradients[path] * direction).sum()
            assert computed == pytest.approx((plus - minus) / (2 * epsilon), abs=1e-5), path


@pytest.mark.parametrize(
    "cell", [CellConfig(), CellConfig(reset_after=False), CellConfig(kind="lstm")], ids=str
)
@pytest.mark.parametrize("reverse", [True, False])
def test_cells_equal_those_of_keras(cell: CellConfig, reverse: bool) -> None:
    """With the same weights; Keras has one bias where an LSTM, or a GRU that resets before the
    product, has two."""
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(3, 6, 4)).astype(np.float32)
    mask = np.arange(6) < np.array([[6], [4], [1]])
    own = Recurrent(5, cell, reverse)
    theirs: Any = keras.layers.LSTM(5, return_sequences=True)
    if cell.kind == "gru":
        theirs = keras.layers.GRU(5, reset_after=cell.reset_after, return_sequences=True)
    own.build((6, 3, 4))
    theirs.build((3, 6, 4))
    for weight in own.weights:
        weight.assign(generator.normal(size=weight.shape))
    kernel, input_bias, recurrent_kernel, recurrent_bias = own.get_weights()
    two = cell.kind == "gru" and cell.reset_after
    theirs.set_weights(
        [
            kernel,
            recurrent_kernel,
            np.stack([input_bias, recurrent_bias]) if two else input_bias + recurrent_bias,
        ]
    )
    states = np.transpose(own(inputs.transpose(1, 0, 2), mask.T), (1, 0, 2))
    for row, length in enumerate(mask.sum(axis=1)):
        words = inputs[row : row + 1, :length]
        expected = np.asarray(theirs(words[:, ::-1] if reverse else words))[0]
        np.testing.assert_allclose(
            states[row, :length], expected[::-1] if reverse else expected, rtol=0, atol=1e-5
        )


def test_an_lstm_starts_with_its_forget_gate_open() -> None:
    layer = Recurrent(2, CellConfig(kind="lstm"))
    layer.build((6, 3, 4))
    np.testing.assert_array_equal(layer.recurrent_bias, [0, 0, 1, 1, 0, 0, 0, 0])


def test_the_hidden_state_is_the_first_columns_of_a_state() -> None:
    """Also where there are as many rows as units."""
    state = np.arange(50, dtype=np.float32).reshape(5, 10)
    np.testing.assert_array_equal(hidden(state, 5), state[:, :5])
    assert hidden(state, 10) is state


def test_a_gru_starts_with_biases_of_zero() -> None:
    layer = Recurrent(2, CellConfig())
    layer.build((6, 3, 4))
    np.testing.assert_array_equal(layer.recurrent_bias, np.zeros(6))


def test_luong_attention_by_hand() -> None:
    """Two words: e = s . h, and s . 2h with W_a = 2; softmax and the mean of the annotations."""
    annotations = np.array([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]], np.float32)
    mask, query = np.array([[True, True, False]]), np.array([[[0.5, 0.1]]], np.float32)
    scores: list[tuple[Literal["dot", "general"], float]] = [("dot", 1.0), ("general", 2.0)]
    for score, factor in scores:
        attention = LuongAttention(score)
        attention.build(query.shape, Memory(annotations.shape, None, None))
        if score == "general":
            attention.key_projection.kernel.assign(2 * np.eye(2))
        context, alignment = attention(query, attention.prepare(annotations, mask))
        first = 1 / (1 + np.exp(factor * (0.2 - 0.5)))
        np.testing.assert_allclose(alignment, [[[first, 1 - first, 0]]], atol=1e-6)
        np.testing.assert_allclose(context, [[[first, 2 * (1 - first)]]], atol=1e-6)
    with pytest.raises(
        ValueError,
        match=r"`query` must be of the annotations' depth 2 with the score 'dot'. .* 3\.",
    ):
        LuongAttention("dot").build((1, 1, 3), Memory((1, 3, 2), None, None))


def test_attention_alone_by_hand() -> None:
    """One unit, two words: e = v tanh(w s + u h), softmax and the mean of the annotations."""
    attention = BahdanauAttention(1)
    annotations = np.array([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]], np.float32)
    memory = attention.prepare(annotations, np.array([[True, True, False]]))
    query = np.array([[[0.5]]], np.float32)
    attention(query, memory)
    attention.query_kernel.assign([[2.0]])
    attention.scale.assign([3.0])
    attention.key_projection.kernel.assign([[1.0], [-0.5]])
    context, alignment = attention(
        query, attention.prepare(annotations, np.array([[True, True, False]]))
    )
    energies = 3 * np.tanh([1.0 + 1.0, 1.0 - 1.0])
    first = 1 / (1 + np.exp(energies[1] - energies[0]))
    np.testing.assert_allclose(alignment, [[[first, 1 - first, 0]]], atol=1e-6)
    np.testing.assert_allclose(context, [[[first, 2 * (1 - first)]]], atol=1e-6)


def test_the_summary_is_the_backward_annotation_of_the_first_word() -> None:
    encoder = Encoder(5)
    inputs = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    encoded = encoder(inputs, np.arange(4) < np.array([[4], [2]]))
    np.testing.assert_array_equal(encoded.summary, encoded.annotations[:, 0, 5:])


def test_recurrent_kernels_start_as_distinct_orthogonal_matrices() -> None:
    """Appendix B.1."""
    blocks = np.split(np.asarray(StackedOrthogonal(seed=1)((6, 18))), 3, axis=1)
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(6), atol=1e-5)
    assert min(np.abs(a - b).max() for a, b in itertools.combinations(blocks, 2)) > 0.1
