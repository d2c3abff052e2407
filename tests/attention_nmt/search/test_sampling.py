"""Samples have the model's distribution, and are the same in any batch."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.search import noise
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.noise import drawn_pieces, gumbel, mix, sentence_keys
from attention_nmt.search.search import search_steps
from attention_nmt.translation.translator import Translator
from tests.attention_nmt.search.test_search_of_models import ending_model
from tests.attention_nmt.search.toy import Toy, trimmed
from tests.attention_nmt.tiny import tiny_batch

KEYS = np.arange(5000, dtype=np.int32)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """MurmurHash3's finalizer, on numbers without a sign."""
    h = np.array(numbers, np.uint32)
    h ^= h >> 16
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> 13
    h *= np.uint32(0xC2B2AE35)
    return h ^ (h >> 16)


def test_mix_is_the_finalizer_of_murmurhash() -> None:
    numbers = np.random.default_rng(0).integers(-(2**31), 2**31, 1000).astype(np.int32)
    expected = mixed(numbers.astype(np.uint32)).astype(np.int32)
    np.testing.assert_array_equal(np.asarray(mix(tf.constant(numbers))), expected)


def test_a_draw_needs_no_other_operations_than_those_of_litert() -> None:
    """And gives the same there."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 40])], autograph=False)
    def draw(logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        numbers = gumbel(tf.constant([7, 8]), 5, 2, tf.constant(3), 40)
        return drawn_pieces(logits, numbers, 0.7, 0)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([draw.get_concrete_function()])
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    logits = np.random.default_rng(4).normal(size=(2, 2, 40)).astype(np.float32)
    (taken,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(taken["index"], logits.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], logits)
    interpreter.invoke()
    given = {
        g["dtype"]: interpreter.get_tensor(g["index"]) for g in interpreter.get_output_details()
    }
    log_probabilities, pieces = draw(logits)
    np.testing.assert_array_equal(given[np.int32], pieces)
    np.testing.assert_allclose(given[np.float32], log_probabilities, atol=1e-5)


def test_a_sentence_has_the_same_numbers_in_every_version() -> None:
    """Exports of today and of later versions are to draw the same samples."""
    source = tiny_batch([(4, 1), (3, 1)], source_length=6)[0]["source"]
    words = mixed(source.astype(np.uint32) + mixed(np.arange(1, 7)))
    keys = np.where(source == 0, np.uint32(0), words).sum(axis=1, dtype=np.uint32)
    np.testing.assert_array_equal(sentence_keys(source, 0), keys.astype(np.int32))

    samples = mixed(np.arange(3) + 9 * 65536)
    rows = mixed(mixed(keys[:, None] + samples) + np.uint32(2))[:, :, None]
    drawn = mixed(rows + mixed(np.arange(5))) % 2**23
    expected = -np.log(-np.log((drawn + 0.5) / 2**23))
    found = gumbel(keys.astype(np.int32), 9, 3, tf.constant(2), 5)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_smallest_number_drawn_is_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 2^23 numbers the first would else be the logarithm of 0."""
    monkeypatch.setattr(noise, "mix", lambda numbers: numbers * 0)
    found = gumbel(KEYS[:1], 1, 1, tf.constant(0), 1)
    np.testing.assert_allclose(found, -np.log(-np.log(0.5 / 2**23)), rtol=1e-5)


def test_gumbel_numbers_are_gumbel_distributed_and_independent() -> None:
    drawn = np.asarray(gumbel(KEYS, 1, 3, tf.constant(2), 7))
    assert drawn.shape == (5000, 3, 7)
    assert drawn.mean() == pytest.approx(np.euler_gamma, abs=0.02)
    assert drawn.var() == pytest.approx(np.pi**2 / 6, abs=0.05)
    others = [
        gumbel(KEYS, 2, 3, tf.constant(2), 7),
        gumbel(KEYS, 1, 3, tf.constant(3), 7),
        drawn[:, [1, 2, 0]],
    ]
    others += [drawn[:, :, [1, 2, 3, 4, 5, 6, 0]], np.roll(drawn, 1, axis=0)]
    for other in others:
        assert abs(np.corrcoef(drawn.ravel(), np.asarray(other).ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_pieces_are_drawn_from_the_softmax(temperature: float) -> None:
    """20,000 draws at each of two positions: shares within four standard deviations."""
    logits = np.random.default_rng(0).normal(0, 1.5, 9).astype(np.float32)
    logits[0] = 5.0  # likely, and never drawn
    rows = np.tile(logits, (5000, 4, 1))
    expected = np.exp(logits[1:] / temperature)
    expected /= expected.sum()
    log_p = logits - np.log(np.exp(logits.astype(np.float64)).sum())
    for position in (0, 11):
        drawn = gumbel(KEYS, 5, 4, tf.constant(position), 9)
        found, ids = drawn_pieces(rows, drawn, temperature, pad=0)
        shares = np.bincount(np.asarray(ids).ravel(), minlength=9) / 20_000
        assert shares[0] == 0
        assert (
            np.abs(shares[1:] - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000)
        ).all()
        np.testing.assert_allclose(found, log_p[np.asarray(ids)], atol=1e-5)


def test_keys_follow_the_words_and_their_order_and_not_the_padding() -> None:
    batch = tiny_batch([(4, 1), (3, 1)])[0]["source"]
    keys = np.asarray(sentence_keys(batch, 0))
    np.testing.assert_array_equal(sentence_keys(np.pad(batch, [(0, 0), (0, 5)]), 0), keys)
    turned = batch.copy()
    turned[:, :2] = turned[:, 1::-1]
    assert len({*keys.tolist(), *np.asarray(sentence_keys(turned, 0)).tolist()}) == 4


def run(
    toy: Toy, sentences: list[int], limits: list[int], compact: bool = True, **options: Any
) -> Hypotheses:
    config = SearchConfig(**options)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)] * 2, autograph=False)
    def find(sentences: tf.Tensor, limits: tf.Tensor) -> Hypotheses:
        keys = mix(sentences)
        return search_steps(
            toy.problem(sentences, limits, keys), config, LoopOptions(changing_shapes=compact)
        )

    return Hypotheses(
        *(x.numpy() for x in find(np.array(sentences, np.int32), np.array(limits, np.int32)))
    )


def test_samples_of_a_search() -> None:
    """Scored at temperature 1, ranked, with the alignments of their own steps; others with another
    seed."""
    toy, sentences, limits = Toy(), list(range(12)), [1 + i % 6 for i in range(12)]
    options: dict[str, Any] = {
        "beam_size": 6,
        "n_best": 4,
        "length_penalty": 0.6,
        "temperature": 1.3,
    }
    found = run(toy, sentences, limits, sampling_seed=3, **options)
    distinct = set()
    for row, (sentence, limit) in enumerate(zip(sentences, limits, strict=True)):
        scores = list(found.scores[row])
        assert scores == sorted(scores, reverse=True)
        for n in range(4):
            ids = trimmed(found.ids[row, n])
            distinct.add((sentence, ids))
            assert len(ids) == limit or ids[-1] == 3
            assert found.scores[row, n] == pytest.approx(toy.score(sentence, ids, 0.6), abs=1e-4)
            assert found.alignments is not None
            expected = toy.alignments[toy.codes(sentence, ids)]
            np.testing.assert_allclose(found.alignments[row, n, : len(ids)], expected, atol=1e-6)
    assert len(distinct) > 24
    np.testing.assert_array_equal(
        run(toy, sentences, limits, False, sampling_seed=3, **options).ids, found.ids
    )
    assert not np.array_equal(
        run(toy, sentences, limits, sampling_seed=4, **options).ids, found.ids
    )
    for sentence in (5, 11):
        alone = run(toy, [sentence], [limits[sentence]], sampling_seed=3, **options)
        length = limits[sentence]
        np.testing.assert_array_equal(alone.ids[0], found.ids[sentence, :, :length])


def test_a_temperature_near_zero_is_greedy() -> None:
    toy, sentences = Toy(), list(range(20))
    cold = run(toy, sentences, [6] * 20, beam_size=2, temperature=1e-3)
    greedy = run(toy, sentences, [6] * 20, beam_size=1)
    np.testing.assert_array_equal(cold.ids, greedy.ids)
    np.testing.assert_allclose(cold.scores, greedy.scores, atol=1e-4)


def test_a_temperature_needs_keys() -> None:
    toy = Toy()
    expected = "`sentence_keys` must be numbers of the sentences with a temperature"
    with pytest.raises(ValueError, match=expected):
        search_steps(toy.problem([1], np.array([3])), SearchConfig(temperature=1.0))


def test_a_translator_samples_the_same_in_any_batch(
    tokenizer: Tokenizer, sentences: list[str]
) -> None:
    config = SearchConfig(beam_size=3, n_best=3, temperature=1.0, sampling_seed=9)
    translator = Translator(ending_model(), tokenizer, config, batch_size=5)
    together = translator.n_best(sentences[:12])
    assert len({t.text for found in together for t in found}) > 20
    for text, found in zip(sentences[:3], together, strict=False):
        assert [t.text for t in translator.n_best([text])[0]] == [t.text for t in found]
