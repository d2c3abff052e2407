"""Searches among some pieces: as among all, where the others are impossible."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.model_folder import ModelFolder
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.prefix import begun_with
from attention_nmt.search.search import WORD_PRODUCTS_BYTES, search_model, search_steps
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.translation.translator import Translator
from tests.attention_nmt.conftest import VOCABULARY_SIZE
from tests.attention_nmt.search.test_search_of_models import ending_model
from tests.attention_nmt.search.toy import Toy
from tests.attention_nmt.tiny import FEW, tiny_batch
from tests.attention_nmt.translation.test_translator import SHORT, TEXTS

CHANGING = LoopOptions(changing_shapes=True)


def of_all(pieces: int = VOCABULARY_SIZE) -> Shortlist:
    """Every piece for every source."""
    return Shortlist(np.zeros((pieces, 1), np.int32), np.arange(pieces), pieces)


def half(pieces: int = VOCABULARY_SIZE) -> Shortlist:
    """The special pieces, and for each source piece those of the other end and beside it."""
    ids = np.arange(pieces)
    candidates = np.stack([pieces - 1 - ids, np.minimum(ids + 1, pieces - 1)], axis=1)
    return Shortlist(candidates, np.arange(8), pieces)


def test_the_pieces_of_a_batch() -> None:
    candidates = np.array([[0, 0], [7, 4], [0, 9], [4, 0]])
    shortlist = Shortlist(candidates, np.array([3, 5]), 10)
    assert shortlist.source_vocabulary_size == 4
    found = shortlist.pieces(np.array([[1, 3, 3], [3, 0, 0]]))
    np.testing.assert_array_equal(found, [0, 3, 4, 5, 7])
    found = shortlist.pieces(np.array([[2]]), np.array([[8, 0], [5, 8]]))
    np.testing.assert_array_equal(found, [0, 3, 5, 8, 9])
    assert found.dtype == tf.int32


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("prefix", [None, [[5, 1], [1, 0]] * 4])
def test_the_others_are_impossible(beam_size: int, prefix: list[list[int]] | None) -> None:
    """Piece 4 of the toy's language is not on the list."""
    pieces = [0, 1, 2, 3, 5]
    sentences = np.arange(8, dtype=np.int32)
    limits = np.full(8, 5, np.int32)
    config = SearchConfig(beam_size=beam_size, n_best=beam_size)
    toy, without = Toy(), Toy()
    without.logits[:, 4] = -1e9

    def short(ids: Any, state: Any, memory: Any) -> tuple:
        logits, state, alignment = toy.step(ids, state, memory)
        return tf.gather(logits, pieces, axis=-1), state, alignment

    def search(toy: Toy, **changes: Any) -> Hypotheses:
        problem = toy.problem(sentences, limits)._replace(**changes)
        if prefix is not None:
            problem = begun_with(problem, np.array(prefix, np.int32))
        return search_steps(problem, config)

    found = search(toy, step=short, pieces=tf.constant(pieces, tf.int32))
    expected = search(without)
    assert not np.array_equal(expected.ids, search(toy).ids)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert found.alignments is not None
    assert expected.alignments is not None
    np.testing.assert_allclose(found.alignments, expected.alignments)


@pytest.mark.parametrize(("beam_size", "kind"), [(1, "default"), *((3, kind) for kind in FEW)])
def test_of_all_pieces_it_changes_nothing(beam_size: int, kind: str) -> None:
    model = ending_model(**FEW[kind])
    source = tiny_batch([(7, 1), (3, 1), (5, 1)], vocabulary=VOCABULARY_SIZE)[0]["source"]
    config = SearchConfig(beam_size=beam_size, n_best=min(2, beam_size), maximum_length_ratio=1.0)
    weights = model.search_weights(WORD_PRODUCTS_BYTES)

    def search(source: tf.Tensor, shortlist: Shortlist | None) -> list[tf.Tensor | None]:
        return list(
            search_model(model, source, config, weights=weights, shortlist=shortlist, loop=CHANGING)
        )

    signature = [tf.TensorSpec([None, None], tf.int32)]
    found = tf.function(lambda x: search(x, of_all()), signature, autograph=False)(source)
    expected = tf.function(lambda x: search(x, None), signature, autograph=False)(source)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    assert (found[2] is None) == (expected[2] is None) == (FEW[kind].get("attention") == "none")
    if found[2] is not None:
        np.testing.assert_allclose(found[2], expected[2], atol=1e-5)


def test_a_tied_output() -> None:
    """Its columns are rows of the embedding."""
    model = ending_model()
    tied = type(model)(
        type(model.config)(**{**vars(model.config), "tie_output": True, "embedding_size": 3})
    )
    pieces = tf.constant([0, 3, 9, 250])
    rows = np.random.default_rng(1).normal(size=(2, tied.decoder.output_size)).astype(np.float32)
    for one in (model, tied):
        short = one.shortened(None, pieces).output_kernel
        whole = one.search_weights(0).output_kernel
        np.testing.assert_allclose(
            rows @ short, (rows @ whole).numpy()[:, pieces.numpy()], rtol=1e-5
        )


def test_translations_have_no_others(tokenizer: Tokenizer) -> None:
    """A text's own pieces decide, whoever is with it; and samples are of all pieces."""
    shortlist = half()
    translator = Translator(ending_model(), tokenizer, SHORT, shortlist=shortlist).frozen()
    allowed = [
        set(tokenizer.tokens(shortlist.pieces(np.array([[*ids, 3]])).numpy()))
        for ids in tokenizer.encode(TEXTS)
    ]
    together = set().union(*allowed)
    free = Translator(ending_model(), tokenizer, SHORT)
    written = {token for found in free(TEXTS) for token in found.target_tokens}
    assert not written <= together

    for text, tokens in zip(TEXTS, allowed, strict=True):
        assert set(translator([text])[0].target_tokens) <= tokens
    assert {token for found in translator(TEXTS) for token in found.target_tokens} <= together
    drawn = translator.translate(TEXTS[2], temperature=1.0)
    assert drawn[0].text == free.translate(TEXTS[2], temperature=1.0)[0].text
    begun = translator.translate(TEXTS[0], prefix="Zwei junge Mädchen")
    assert all(one.text.startswith("Zwei junge Mädchen") for one in begun)


def test_it_is_saved_with_a_model(tokenizer: Tokenizer, tmp_path: Path) -> None:
    translator = Translator(ending_model(), tokenizer, SHORT).with_shortlist(half())
    folder = tmp_path / "model"
    translator.save(folder)
    loaded = Translator.from_preset(folder)
    assert loaded.shortlist is not None
    np.testing.assert_array_equal(loaded.shortlist.candidates, half().candidates)
    np.testing.assert_array_equal(loaded.shortlist.usual, half().usual)
    assert [t.text for t in loaded(TEXTS)] == [t.text for t in translator(TEXTS)]

    ModelFolder(folder).shortlist.unlink()
    with pytest.raises(FileNotFoundError, match=r"shortlist\.npz"):
        Translator.from_preset(folder)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "shortlist.npz"
    half().save(path)
    loaded = Shortlist.load(path)
    assert loaded.target_vocabulary_size == VOCABULARY_SIZE
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"shortlist\.npz: expected a whole shortlist"):
        Shortlist.load(path)
    np.savez(path, usual=[3])
    with pytest.raises(ValueError, match=r"shortlist\.npz: expected a whole shortlist"):
        Shortlist.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": np.zeros(4, np.int32)}, "`candidates` must be integers of 2 axes"),
        ({"candidates": np.zeros((4, 1))}, r"Received: 'float64 \(4, 1\)'"),
        ({"usual": np.array([3, 10])}, "`usual` must be of pieces below the vocabulary's size 10"),
        ({"usual": np.zeros(0, np.int32)}, "`usual` must be integers of 1 axes, at least one"),
    ],
    ids=["axes", "floats", "too high", "none"],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    given = {"candidates": np.zeros((4, 1), np.int32), "usual": np.array([3, 5])}
    with pytest.raises(ValueError, match=message):
        Shortlist(**{**given, **change}, target_vocabulary_size=10)


def test_another_models_list(tokenizer: Tokenizer) -> None:
    model = ending_model()
    with pytest.raises(ValueError, match=r"`shortlist` must be of the model's vocabularies of"):
        Translator(model, tokenizer, SHORT, shortlist=of_all(40))
    few = Shortlist(np.zeros((VOCABULARY_SIZE, 1), np.int32), np.array([3, 4]), VOCABULARY_SIZE)
    with pytest.raises(
        ValueError, match="`shortlist` must be with more usual pieces than beam_size=3"
    ):
        Translator(model, tokenizer, SHORT, shortlist=few)
    with pytest.raises(TypeError, match="`shortlist` must be a Shortlist"):
        Translator(model, tokenizer, SHORT, shortlist={"a": 1})  # type: ignore[arg-type]
