"""Searches among some pieces: as among all, where the others are impossible."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import WORD_PRODUCTS_BYTES, SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.model_folder import ModelFolder
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.loop import PLAIN, LoopOptions
from attention_nmt.search.prefix import begun_with
from attention_nmt.search.search import search_model, search_steps
from attention_nmt.search.shortlist import Shortlist, among
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


def test_what_is_allowed_to_each_sentence() -> None:
    """Padding of a source allows nothing, whatever its row has, and padding is a piece only where
    it is usual: a sentence may have the same pieces however wide its batch is."""
    candidates = np.array([[8, 6], [7, 4], [0, 9], [4, 0]])
    shortlist = Shortlist(candidates, np.array([5, 3, 5]), 10)
    assert shortlist.source_vocabulary_size == 4
    np.testing.assert_array_equal(shortlist.usual, [3, 5])
    source = np.array([[1, 3, 3], [2, 0, 0]])
    found = np.asarray(shortlist.allowed(source))
    assert [np.flatnonzero(row).tolist() for row in found] == [[3, 4, 5, 7], [3, 5, 9]]
    found = np.asarray(shortlist.allowed(source, np.array([[8, 0], [5, 7]])))
    assert [np.flatnonzero(row).tolist() for row in found] == [[3, 4, 5, 7, 8], [3, 5, 7, 9]]
    found = np.asarray(Shortlist(candidates, np.array([0, 5]), 10).allowed(source))
    assert [np.flatnonzero(row).tolist() for row in found] == [[0, 4, 5, 7], [0, 5, 9]]


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

    expected = search(without)
    assert not np.array_equal(expected.ids, search(toy).ids)
    allowed = np.tile([True, True, True, True, False, True], (8, 1))
    masked = among(toy.problem(sentences, limits), allowed)
    for changes in (
        {"step": short, "pieces": tf.constant(pieces)},
        {"step": masked.step, "memory": masked.memory},
    ):
        found = search(toy, **changes)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
        assert found.alignments is not None
        assert expected.alignments is not None
        np.testing.assert_allclose(found.alignments, expected.alignments)


@pytest.mark.parametrize("make", [of_all, half])
@pytest.mark.parametrize(("beam_size", "kind"), [(1, "default"), *((3, kind) for kind in FEW)])
def test_a_narrow_product_finds_what_a_mask_finds(
    beam_size: int, kind: str, make: Callable[[], Shortlist]
) -> None:
    """Columns of the output kernel are left out where shapes may change, and masked elsewhere; of
    all pieces, nothing changes."""
    model = ending_model(**FEW[kind])
    source = tiny_batch([(7, 1), (3, 1), (5, 1)], vocabulary=VOCABULARY_SIZE)[0]["source"]
    config = SearchConfig(beam_size=beam_size, n_best=min(2, beam_size), maximum_length_ratio=1.0)
    weights = model.search_weights(WORD_PRODUCTS_BYTES)

    def search(source: tf.Tensor, shortlist: Shortlist | None, loop: LoopOptions) -> list[Any]:
        return list(
            search_model(model, source, config, weights=weights, shortlist=shortlist, loop=loop)
        )

    signature = [tf.TensorSpec([None, None], tf.int32)]
    narrow = tf.function(lambda x: search(x, make(), CHANGING), signature, autograph=False)(source)
    masked = search(source, make(), PLAIN)
    free = search(source, None, PLAIN)
    assert np.array_equal(masked[0], free[0]) == (make is of_all)
    for expected in (masked, free) if make is of_all else (masked,):
        np.testing.assert_array_equal(narrow[0], expected[0])
        np.testing.assert_allclose(narrow[1], expected[1], atol=1e-5)
        assert (narrow[2] is None) == (expected[2] is None)
        if narrow[2] is not None:
            np.testing.assert_allclose(narrow[2], expected[2], atol=1e-5)


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
    """A text's own pieces decide, whoever is with it, of samples, too."""
    shortlist = half()
    translator = Translator(ending_model(), tokenizer, SHORT, shortlist=shortlist).frozen()
    free = Translator(ending_model(), tokenizer, SHORT)
    rows = [np.array([[*ids, 3]]) for ids in tokenizer.encode(TEXTS)]
    lists = [np.flatnonzero(shortlist.allowed(ids)).tolist() for ids in rows]
    allowed = [set(tokenizer.tokens(ids)) for ids in lists]
    written = {token for found in free(TEXTS) for token in found.target_tokens}
    assert not written <= set().union(*allowed)

    for text, tokens, found in zip(TEXTS, allowed, translator(TEXTS), strict=True):
        assert set(found.target_tokens) <= tokens
        (alone,) = translator([text])
        assert found.target_tokens == alone.target_tokens
        assert found.score == pytest.approx(alone.score, abs=1e-4)
        drawn = translator.translate(text, temperature=1.0)
        assert {token for one in drawn for token in one.target_tokens} <= tokens
    begun = translator.translate(TEXTS[0], prefix="Zwei junge Mädchen")
    assert all(one.text.startswith("Zwei junge Mädchen") for one in begun)


def test_frozen_weights_stay(tokenizer: Tokenizer) -> None:
    """Of a frozen translator training changes nothing before `refresh`, its output neither."""
    model = ending_model()
    projection: Any = model.output_projection
    translator = Translator(model, tokenizer, SHORT, shortlist=half()).frozen()
    before = [found.score for found in translator(TEXTS)]
    projection.kernel.assign(0.5 * projection.kernel)
    assert [found.score for found in translator(TEXTS)] == before
    translator.refresh()
    assert [found.score for found in translator(TEXTS)] != before


def test_it_is_saved_with_a_model(tokenizer: Tokenizer, tmp_path: Path) -> None:
    translator = Translator(ending_model(), tokenizer, SHORT).with_shortlist(half())
    folder = tmp_path / "model"
    translator.save(folder)
    loaded = Translator.from_preset(folder)
    assert loaded.shortlist is not None
    found, expected = (np.sort(one.candidates) for one in (loaded.shortlist, half()))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(loaded.shortlist.usual, half().usual)
    assert [t.text for t in loaded(TEXTS)] == [t.text for t in translator(TEXTS)]

    assert "no others: `shortlist.npz`." in ModelFolder(folder).readme.read_text()
    ModelFolder(folder).shortlist.unlink()
    with pytest.raises(FileNotFoundError, match=r"shortlist\.npz"):
        Translator.from_preset(folder)


def test_a_large_table_of_few_candidates(tmp_path: Path) -> None:
    """As of a multilingual encoder's pieces and a small corpus: it is not taken for a bomb."""
    random = np.random.default_rng(0)
    candidates = np.zeros((250_000, 25), np.int32)
    rows = random.choice(250_000, 4000, replace=False)
    candidates[rows, : 1 + 3] = random.integers(1, 8000, (4000, 4))
    candidates[rows[:3], 20] = 7
    path = tmp_path / "shortlist.npz"
    made = Shortlist(candidates, np.arange(5), 8000)
    made.save(path)
    assert path.stat().st_size < 200_000
    loaded = Shortlist.load(path)
    assert loaded.candidates.shape == (250_000, 5)
    wide = np.sort(made.candidates)[:, -5:]
    np.testing.assert_array_equal(np.sort(loaded.candidates), wide)


def test_a_file_that_does_not_fit_together(tmp_path: Path) -> None:
    path = tmp_path / "shortlist.npz"
    whole: dict[str, Any] = {
        "sources": np.array([1, 1, 4]),
        "candidates": np.array([5, 6, 7]),
        "usual": np.array([3]),
        "source_vocabulary_size": 5,
        "target_vocabulary_size": 9,
    }
    np.savez(path, **whole)
    table = [[0, 0], [5, 6], [0, 0], [0, 0], [7, 0]]
    np.testing.assert_array_equal(Shortlist.load(path).candidates, table)
    for change in (
        {"sources": np.array([1, 4])},
        {"sources": np.array([1, 4, 1])},
        {"sources": np.array([1, 1, 5])},
        {"sources": np.array([-1, 1, 4])},
        {"candidates": np.array([5, 6, 9])},
        {"source_vocabulary_size": 2**30},
    ):
        np.savez(path, **{**whole, **change})
        with pytest.raises(ValueError, match=r"shortlist\.npz: expected a whole shortlist"):
            Shortlist.load(path)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "shortlist.npz"
    half().save(path)
    loaded = Shortlist.load(path)
    assert loaded.target_vocabulary_size == VOCABULARY_SIZE
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"shortlist\.npz: expected a whole shortlist"):
        Shortlist.load(path)
    np.savez(path, usual=[3])
    with pytest.raises(ValueError, match=r"shortlist\.npz: expected an entry"):
        Shortlist.load(path)
    np.savez_compressed(path, usual=np.zeros(2**27, np.int8))
    with pytest.raises(ValueError, match=r"shortlist\.npz: expected at most .* bytes in a file"):
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


def test_samples_are_of_all_logits() -> None:
    toy = Toy()
    problem = toy.problem(np.array([3]), np.array([5]), keys=np.array([7]))
    with pytest.raises(ValueError, match="`pieces` must be left out with a temperature"):
        search_steps(problem._replace(pieces=np.array([1, 3])), SearchConfig(temperature=1.0))


def test_another_models_list(tokenizer: Tokenizer) -> None:
    model = ending_model()
    with pytest.raises(ValueError, match=r"`shortlist` must be of the model's vocabularies of"):
        Translator(model, tokenizer, SHORT, shortlist=of_all(40))
    endless = Shortlist(of_all().candidates, np.arange(4, 90), VOCABULARY_SIZE)
    with pytest.raises(ValueError, match="`shortlist` must be one whose usual pieces have the end"):
        Translator(model, tokenizer, SHORT, shortlist=endless)
    few = Shortlist(np.zeros((VOCABULARY_SIZE, 1), np.int32), np.array([3, 4]), VOCABULARY_SIZE)
    with pytest.raises(ValueError, match="`beam_size` must be below the 2 usual pieces"):
        Translator(model, tokenizer, SHORT, shortlist=few)
    with pytest.raises(TypeError, match="`shortlist` must be a Shortlist"):
        Translator(model, tokenizer, SHORT, shortlist={"a": 1})  # type: ignore[arg-type]
