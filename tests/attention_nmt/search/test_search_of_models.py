"""Searches with a model: batches against single sentences, and against forced decoding."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import WORD_PRODUCTS_BYTES, SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.search import search_model
from attention_nmt.translation.translator import Translator
from attention_nmt.types import SPECIAL
from tests.attention_nmt.conftest import VOCABULARY_SIZE
from tests.attention_nmt.tiny import FEW, VARIANTS, tiny_batch, tiny_model

VOCABULARIES: dict[str, Any] = {
    "source_vocabulary_size": VOCABULARY_SIZE,
    "target_vocabulary_size": VOCABULARY_SIZE,
}


LIKES = {"no attention, lstm layers": 1.2}
"""How much a model has to like to end, where it is not 1.5, for lengths to differ."""


def ending_model(likes: float = 1.5, **options: Any) -> Seq2Seq:
    """A random model that likes to end, so that hypotheses have many lengths."""
    model = tiny_model(scale=1.0, **VOCABULARIES, **options)
    projection: Any = model.output_projection
    kernel = np.asarray(projection.kernel).copy()
    kernel[:, 3] = likes * np.abs(kernel[:, 3])
    projection.kernel.assign(kernel)
    return model


@pytest.mark.parametrize(("beam_size", "kind"), [(1, "default"), *((4, kind) for kind in FEW)])
def test_a_batch_translates_as_its_sentences_do(
    beam_size: int, kind: str, tokenizer: Tokenizer, sentences: list[str]
) -> None:
    # Behind a hundred pieces of random weights, two hypotheses that are nearly as good are likely.
    config = SearchConfig(beam_size=beam_size, n_best=min(2, beam_size), maximum_length_ratio=0.5)
    translator = Translator(ending_model(LIKES.get(kind, 1.5), **FEW[kind]), tokenizer, config)
    texts = ["A dog.", *sentences[::8], "One long sentence: " + " ".join(sentences[:3])]
    together = translator.n_best(texts)
    assert len({len(found[0].target_tokens) for found in together}) > 1
    for text, found in zip(texts, together, strict=True):
        (alone,) = translator.n_best([text])
        for one, other in zip(found, alone, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert one.target_tokens == other.target_tokens
            assert one.text == other.text
            assert (
                (one.alignment is None)
                == (other.alignment is None)
                == (FEW[kind].get("attention") == "none")
            )
            if one.alignment is not None and other.alignment is not None:
                np.testing.assert_allclose(one.alignment, other.alignment, atol=1e-4)


def operations(function: Any) -> set[str]:
    """The kinds of a function's operations, those of its loops among them."""
    graph = function.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for called in graph.library.function for node in called.node_def)]
    return {node.op for node in nodes}


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("kind", ["transformer", "everything"])
def test_shapes_that_change_find_the_same(beam_size: int, kind: str) -> None:
    """The state of a graph in which `B` is unknown and caches grow, against one of fixed shapes."""
    model = ending_model(**VARIANTS[kind])
    lengths = [(7, 1), (3, 1), (5, 1), (1, 1)]
    source = tiny_batch(lengths, vocabulary=VOCABULARY_SIZE)[0]["source"]
    config = SearchConfig(beam_size=beam_size, n_best=beam_size)

    def search(source: tf.Tensor, changing_shapes: bool) -> list[tf.Tensor]:
        loop = LoopOptions(changing_shapes=changing_shapes)
        return list(search_model(model, source, config, loop=loop))

    signature = [tf.TensorSpec([None, None], tf.int32)]
    changing = tf.function(lambda x: search(x, True), signature)
    fixed = tf.function(lambda x: search(x, False), signature)
    if kind == "everything":
        assert "TensorListReserve" in operations(changing)
    assert "TensorListReserve" not in operations(fixed)

    ids, *numbers = changing(source)
    expected_ids, *expected = fixed(source)
    assert len({int((row != 0).sum()) for row in np.asarray(ids[:, 0])}) > 1
    np.testing.assert_array_equal(ids, expected_ids)
    for found, wanted in zip(numbers, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_coverage_in_low_precision() -> None:
    """Sums are of float32, and alignments and scores finite, whatever attention computes in."""
    model = tiny_model(dtype="mixed_bfloat16", **VOCABULARIES)
    source = tiny_batch([(7, 1), (3, 1)], vocabulary=VOCABULARY_SIZE)[0]["source"]
    config = SearchConfig(beam_size=3, coverage_penalty=0.4, maximum_length_ratio=1)
    found = search_model(model, source, config)
    assert keras.backend.standardize_dtype(found.scores.dtype) == "float32"
    assert np.isfinite(np.asarray(found.scores)).all()
    assert np.isfinite(np.asarray(keras.ops.cast(found.alignments, "float32"))).all()


def test_coverage_ranks_alike_where_alignments_are_not_asked_for() -> None:
    model = ending_model()
    source = tiny_batch([(7, 1), (3, 1)], vocabulary=VOCABULARY_SIZE)[0]["source"]
    config = SearchConfig(beam_size=2, n_best=2, coverage_penalty=3.0, maximum_length_ratio=1)
    whole = search_model(model, source, config)
    found = search_model(model, source, config, alignments=False)
    assert found.alignments is None
    np.testing.assert_array_equal(found.ids, whole.ids)
    np.testing.assert_array_equal(found.scores, whole.scores)


def test_products_are_laid_out_for_large_vocabularies() -> None:
    """Of 32,768 pieces with 512 decoder and 256 readout units."""
    assert WORD_PRODUCTS_BYTES == 4 * 2**15 * (3 * 512 + 2 * 256)


def test_coverage_needs_attention(tokenizer: Tokenizer) -> None:
    model = tiny_model(attention="none", **VOCABULARIES)
    with pytest.raises(
        ValueError, match=r"`coverage_penalty` must be 0 for a model without attention.* 0\.2"
    ):
        Translator(model, tokenizer, SearchConfig(coverage_penalty=0.2))


@pytest.mark.parametrize(
    ("beam_size", "kind"),
    [
        (1, "default"),
        (4, "default"),
        pytest.param(4, "normalized, reset before", marks=pytest.mark.long),
        pytest.param(4, "luong dot, fed", marks=pytest.mark.long),
        (4, "everything"),
        (4, "transformer"),
    ],
)
def test_alignment_and_score_of_a_search_are_those_of_forced_decoding(
    beam_size: int, kind: str
) -> None:
    model = ending_model(**VARIANTS[kind])
    source = tiny_batch([(7, 1), (3, 1), (5, 1)], vocabulary=VOCABULARY_SIZE)[0]["source"]
    config = SearchConfig(beam_size=beam_size, n_best=min(2, beam_size), length_penalty=0.7)
    found = search_model(model, source, config)
    alignments = np.asarray(found.alignments)
    for n in range(found.ids.shape[1]):
        ids = np.asarray(found.ids[:, n])
        target = np.concatenate([np.full((len(ids), 1), SPECIAL.start), ids[:, :-1]], axis=1)
        inputs = {"source": source, "target": target}
        forced = np.asarray(model.align(inputs))
        log_p = np.asarray(keras.ops.log_softmax(model(inputs)))
        for row, length in enumerate((ids != 0).sum(axis=1)):
            np.testing.assert_allclose(alignments[row, n, :length], forced[row, :length], atol=1e-5)
            total = log_p[row, np.arange(length), ids[row, :length]].sum()
            assert float(found.scores[row, n]) == pytest.approx(
                total / ((5 + length) / 6) ** 0.7, abs=1e-4
            )
