"""Translations that begin with given pieces: those of enumeration, and no others."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.prefix import begun_with
from attention_nmt.search.search import search_model, search_steps
from attention_nmt.translation.translator import Translator
from tests.attention_nmt.search.test_search_of_models import ending_model
from tests.attention_nmt.search.toy import Found, Toy, trimmed
from tests.attention_nmt.tiny import tiny_batch, tiny_model
from tests.attention_nmt.translation.test_translator import SHORT, TEXTS

PREFIXES = [(4, 5), (5,), (), (1, 4)]
LIMITS = [5, 3, 4, 2]
SENTENCES = [3, 50, 7, 11]


def padded(prefixes: list[tuple[int, ...]]) -> np.ndarray:
    width = max(map(len, prefixes))
    return np.array([[*ids, *[0] * (width - len(ids))] for ids in prefixes], np.int32)


def enumerated(
    toy: Toy, sentence: int, limit: int, prefix: tuple[int, ...], alpha: float
) -> list[Found]:
    """Every sequence with a prefix, by the log-probability of what follows it."""
    found = []
    for ids in toy.everything(limit, prefix):
        follows = toy.log_probability(sentence, ids)
        if prefix:
            follows -= toy.log_probability(sentence, prefix)
        found.append(Found(follows / ((5 + len(ids)) / 6) ** alpha, ids))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("changing_shapes", [True, False])
def test_all_that_begins_with_a_prefix_is_enumerated(changing_shapes: bool) -> None:
    toy = Toy()
    config = SearchConfig(beam_size=300, n_best=3, lookahead=1000)

    signature = [tf.TensorSpec(shape, tf.int32) for shape in ([None], [None], [None, None])]

    @tf.function(autograph=False, input_signature=signature)
    def find(sentences: tf.Tensor, limits: tf.Tensor, prefix: tf.Tensor) -> Hypotheses:
        problem = begun_with(toy.problem(sentences, limits), prefix)
        return search_steps(problem, config, LoopOptions(changing_shapes=changing_shapes))

    found = find(np.array(SENTENCES, np.int32), np.array(LIMITS, np.int32), padded(PREFIXES))
    for row, (sentence, limit, prefix) in enumerate(zip(SENTENCES, LIMITS, PREFIXES, strict=True)):
        expected = enumerated(toy, sentence, limit, prefix, 1.0)[:3]
        for n, (score, ids) in enumerate(expected):
            assert trimmed(found.ids[row, n]) == ids
            assert float(found.scores[row, n]) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("changing_shapes", [True, False])
def test_where_there_are_fewer_than_asked_for_the_others_are_empty(changing_shapes: bool) -> None:
    """Behind an end there is one translation, and the other slots have no pieces of any."""
    toy = Toy()
    config = SearchConfig(beam_size=4, n_best=3)
    signature = [tf.TensorSpec(shape, tf.int32) for shape in ([None], [None], [None, None])]

    @tf.function(autograph=False, input_signature=signature)
    def find(sentences: tf.Tensor, limits: tf.Tensor, prefix: tf.Tensor) -> Hypotheses:
        problem = begun_with(toy.problem(sentences, limits), prefix)
        return search_steps(problem, config, LoopOptions(changing_shapes=changing_shapes))

    given = np.array([3, 50], np.int32), np.array([6, 6], np.int32)
    found = find(*given, padded([(4, 5, 3), (5, 3)]))
    assert [trimmed(ids) for ids in found.ids[:, 0]] == [(4, 5, 3), (5, 3)]
    np.testing.assert_array_equal(found.ids[:, 1:], 0)
    np.testing.assert_allclose(found.scores, [[0, -1e9, -1e9]] * 2, atol=1e-6)


def test_a_prefix_of_other_sentences_is_refused() -> None:
    source = tiny_batch([(4, 1), (3, 1)])[0]["source"]
    with pytest.raises(ValueError, match="`prefix` must be of 2 rows, as the source"):
        search_model(tiny_model(), source, SearchConfig(), prefix=padded([(7,)]))


@pytest.mark.parametrize(
    "options",
    [{"beam_size": 1}, {"beam_size": 4, "n_best": 4}, {"beam_size": 3, "temperature": 0.7}],
)
def test_every_search_begins_with_the_prefix(options: dict[str, Any]) -> None:
    model = tiny_model()
    source = tiny_batch([(4, 1), (3, 1), (6, 1)])[0]["source"]
    prefixes: list[tuple[int, ...]] = [(7, 30, 12), (9,), ()]
    config = SearchConfig(maximum_length_ratio=0.0, maximum_length_extra=2, **options)

    found = search_model(model, source, config, prefix=padded(prefixes))
    for row, prefix in enumerate(prefixes):
        for ids in np.asarray(found.ids[row]):
            assert trimmed(ids)[: len(prefix)] == prefix
            assert len(prefix) < len(trimmed(ids)) <= len(prefix) + 2

    free = search_model(model, source, config)
    np.testing.assert_array_equal(np.asarray(free.ids[2])[:, :2], np.asarray(found.ids[2])[:, :2])


def test_a_translator_takes_a_prefix_and_another_search(tokenizer: Tokenizer) -> None:
    translator = Translator(ending_model(), tokenizer, SHORT)
    for one in (translator, translator.frozen()):
        found = one.translate(TEXTS[0], prefix="ein Hund", n_best=2)
        assert len(found) == 2
        assert all(translation.text.startswith("ein Hund") for translation in found)
        assert found[0].score >= found[1].score

        (greedy,) = one.translate(TEXTS[0], beam_size=1, n_best=1)
        expected = Translator(
            translator.model,
            tokenizer,
            SearchConfig(**{**vars(SHORT), "beam_size": 1, "n_best": 1}),
        )
        assert greedy.text == expected([TEXTS[0]])[0].text


def test_what_a_call_refuses(tokenizer: Tokenizer) -> None:
    translator = Translator(ending_model(), tokenizer, SHORT)
    with pytest.raises(TypeError, match=r"`text` must be one string\. Received: \['a'\]"):
        translator.translate(["a"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`prefix` must be one string\. Received: None"):
        translator.translate("a", prefix=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`n_best` must be from 1 to beam_size=3"):
        translator.translate("a", n_best=4)
    with pytest.raises(TypeError, match="beams"):
        translator.translate("a", beams=4)
