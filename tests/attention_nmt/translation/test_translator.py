"""Strings in, translations out."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation import graph as graph_module
from attention_nmt.translation import translator as translator_module
from attention_nmt.translation.graph import MAXIMUM_LOGITS, TranslationGraph, rows_together
from attention_nmt.translation.translator import Translator
from tests.attention_nmt.search.test_search_of_models import VOCABULARIES, ending_model
from tests.attention_nmt.tiny import tiny_model

SHORT = SearchConfig(
    beam_size=3,
    n_best=3,
    maximum_length_ratio=0.5,
    maximum_length_extra=5,
    maximum_source_length=60,
)
TEXTS = ["A dog.", "", "Two young girls are playing in the green grass.", "   ", "ein Kind malt"]


@pytest.fixture
def translator(tokenizer: Tokenizer) -> Translator:
    return Translator(ending_model(), tokenizer, SHORT, batch_size=4)


def test_translations(translator: Translator, tokenizer: Tokenizer) -> None:
    """Everything a translation holds; texts keep their order, whatever batches they were in."""
    for text, found in zip(TEXTS, translator.n_best(TEXTS), strict=True):
        assert len(found) == 3
        assert [t.score for t in found] == sorted((t.score for t in found), reverse=True)
        source = tokenizer.encode([text])[0]
        for translation in found:
            assert "".join(translation.source_tokens[:-1]).replace(
                "▁", " "
            ).strip() == tokenizer.normalize(text)
            assert translation.source_tokens[-1] == "</s>"
            assert len(translation.source_tokens) == len(source) + 1
            if not text.strip():
                assert (translation.text, translation.score, translation.target_tokens) == (
                    "",
                    0.0,
                    [],
                )
                continue
            tokens = [token for token in translation.target_tokens if token != "</s>"]
            assert len(translation.target_tokens) - len(tokens) <= 1
            assert len(translation.target_tokens) <= (len(source) + 1) // 2 + 5
            assert translation.alignment is not None
            assert translation.alignment.shape == (
                len(translation.target_tokens),
                len(translation.source_tokens),
            )
            np.testing.assert_allclose(translation.alignment.sum(axis=1), 1, atol=1e-5)
    assert [t.text for t in translator(TEXTS)] == [
        found[0].text for found in translator.n_best(TEXTS)
    ]


@pytest.mark.parametrize(
    ("options", "limit_bytes"),
    [
        pytest.param({}, 2**28, marks=pytest.mark.long),
        ({"attention": "none", "cell": {"reset_after": False}}, 2**28),
        ({"tie_output": True, "readout_units": 6}, 0),
    ],
    ids=str,
)
def test_frozen_weights_translate_alike(
    options: dict[str, Any], limit_bytes: int, tokenizer: Tokenizer
) -> None:
    model = tiny_model(**options, **VOCABULARIES)
    plain = Translator(model, tokenizer, SHORT, batch_size=4)
    frozen = plain.frozen(limit_bytes)
    assert frozen.search_weights is not None
    assert (frozen.search_weights.word_products is None) == (limit_bytes == 0)
    assert (frozen.search, frozen.batch_size) == (plain.search, plain.batch_size)
    for expected, found in zip(plain.n_best(TEXTS), frozen.n_best(TEXTS), strict=True):
        assert [t.text for t in found] == [t.text for t in expected]
        np.testing.assert_allclose([t.score for t in found], [t.score for t in expected], atol=1e-4)
    before = [t.score for t in frozen(TEXTS)]
    model.target_embedding.embeddings.assign(-model.target_embedding.embeddings)
    if frozen.search_weights.word_products is not None:
        assert [t.score for t in frozen(TEXTS)] == before
    frozen.refresh()
    after = [t.score for t in frozen(TEXTS)]
    assert after != before
    np.testing.assert_allclose(after, [t.score for t in plain(TEXTS)], atol=1e-4)


def test_strings_bytes_and_tensors_are_alike(translator: Translator) -> None:
    expected = [t.text for t in translator(TEXTS)]
    assert [t.text for t in translator(tf.constant(TEXTS))] == expected
    assert [t.text for t in translator([t.encode() for t in TEXTS])] == expected
    assert [t.text for t in translator(tuple(TEXTS))] == expected
    assert translator([]) == []


@pytest.mark.parametrize(
    "text", ["A dog.", b"A dog.", tf.constant("A dog.")], ids=["string", "bytes", "tensor"]
)
def test_one_string_is_no_sequence(text: str, translator: Translator) -> None:
    with pytest.raises(ValueError, match="`texts` must be a sequence of strings"):
        translator(text)


@pytest.mark.parametrize(
    "texts",
    [{"A dog.": 1}, {"A dog."}, 3, np.array([["a", "b"]])],
    ids=["dict", "set", "int", "table"],
)
def test_what_is_no_sequence_of_texts(texts: Any, translator: Translator) -> None:
    """A good call behind it is answered: TensorFlow once kept a lock."""
    with pytest.raises(ValueError, match="`texts` must be a sequence of strings"):
        translator(texts)
    assert len(translator(["A dog."])) == 1


@pytest.mark.parametrize("missing", [float("nan"), None, 7], ids=str)
def test_an_element_that_is_no_string_is_named(missing: Any, translator: Translator) -> None:
    message = rf"`texts\[1\]` must be a string\. Received: {missing}\."
    with pytest.raises(TypeError, match=message):
        translator(["A dog.", missing])
    message = rf"`targets\[0\]` must be a string\. Received: {missing}\."
    with pytest.raises(TypeError, match=message):
        translator.align(["A dog."], [missing])


class Column:
    """Texts under labels of their own, as a column of a table has them."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = {f"row {number}": text for number, text in enumerate(texts)}

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts.values())

    def __getitem__(self, label: str) -> str:
        return self.texts[label]


def test_a_column_with_labels_of_its_own(translator: Translator) -> None:
    texts = ["A dog runs.", "Oh"]
    expected = [translation.text for translation in translator(texts)]
    assert [translation.text for translation in translator(Column(texts))] == expected
    aligned = translator.align(Column(texts), Column(texts))
    assert [len(alignment.weights) for alignment in aligned] == [
        len(alignment.weights) for alignment in translator.align(texts, texts)
    ]


def test_refreshing_what_is_not_frozen(translator: Translator) -> None:
    with pytest.raises(ValueError, match="`search_weights` must be those of a translator that `fr"):
        translator.refresh()


ON_JAX = """
import sys
from attention_nmt.translation.translator import Translator
for make in (lambda: Translator(None, None), lambda: Translator.from_run(sys.argv[1])):
    try:
        make()
    except ValueError as error:
        print(error)
"""


def test_another_backend_is_refused_in_one_line(tmp_path: Path) -> None:
    """Before the model is looked at, or a run folder."""
    process = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path / "no run")],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    first, second = process.stdout.splitlines()
    assert first == second
    assert first.startswith("`KERAS_BACKEND` must be 'tensorflow' for a Translator")
    assert first.endswith("Received: 'jax'.")


def test_one_string_is_not_aligned(translator: Translator) -> None:
    with pytest.raises(
        ValueError, match=r"`targets` must be a sequence of strings\. Received: 'Hi'"
    ):
        translator.align(["Oh"], "Hi")
    with pytest.raises(
        ValueError, match=r"`sources` must be a sequence of strings\. Received: 'Oh'"
    ):
        translator.align("Oh", ["Hi"])


def test_a_batch_of_nothing(translator: Translator) -> None:
    with pytest.raises(ValueError, match=r"`batch_size` must be at least 1\. Received: 0"):
        Translator(translator.model, translator.source_tokenizer, batch_size=0)


def test_texts_that_are_no_text(translator: Translator) -> None:
    broken = tf.constant(
        [b"\xff\xfe", b"A dog\xc3", b"\x00", "\ud800".encode("utf-8", "surrogatepass")]
    )
    assert len(translator(broken)) == 4
    assert len(translator(["\ud800 lone", "\x00\x01", "🐕" * 50])) == 3


@pytest.mark.parametrize("text", ["A dog runs. " * 8334, "dog" * 33334], ids=["words", "one word"])
def test_a_very_long_text(text: str, translator: Translator) -> None:
    """A hundred thousand characters are cut to what the search allows, and so are those beside a
    short text."""
    assert len(text) > 100_000
    short, long = translator(["A dog.", text])
    assert (short.truncated, long.truncated) == (False, True)
    assert len(long.source_tokens) == SHORT.maximum_source_length
    assert long.source_tokens[-1] == "</s>"
    assert len(long.target_tokens) <= SHORT.maximum_source_length // 2 + 5
    assert short.text == translator(["A dog."])[0].text
    assert short.score == pytest.approx(translator(["A dog."])[0].score, abs=1e-4)


@pytest.mark.parametrize(
    ("length", "vocabulary_size", "rows"),
    [
        (400, 32_000, 5),  # of 12,800,000 logits each, and 6 would have more than 2**26
        (16, 2**16, 64),
        (17, 2**16, 60),
        (10, 4_000, 64),
        (0, 4_000, 64),
        (400, 2**26, 1),  # more than the limit, and no fewer can be
        (2**20, 2**30, 1),
    ],
)
def test_pairs_whose_logits_are_computed_together(
    length: int, vocabulary_size: int, rows: int
) -> None:
    found = int(rows_together(64, tf.constant(length), vocabulary_size))
    assert found == rows
    assert found == 1 or found * length * vocabulary_size <= MAXIMUM_LOGITS == 2**26


def test_scores_are_those_of_one_part(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few pairs the limit of logits lets be in a part."""
    sources = ["A dog.", "a", "", "ein", "the dog"]
    targets = ["ein", "", "A dog.", "a", "dog"]
    graph = translator.graph
    whole = _scored(graph, sources, targets, 9, monkeypatch)
    assert whole.rows == [5]
    assert np.all(whole.sums < 0)

    logits = whole.tokens.shape[1] * graph.model.target_vocabulary_size
    monkeypatch.setattr(graph_module, "MAXIMUM_LOGITS", 2 * logits)
    parts = _scored(graph, sources, targets, 9, monkeypatch)
    assert parts.rows == [2, 2, 1]
    np.testing.assert_allclose(parts.tokens, whole.tokens, atol=1e-5)
    np.testing.assert_allclose(parts.sums, whole.sums, atol=1e-5)


class Scored(NamedTuple):
    """Scores of pairs, and the pairs in each part of which they were computed."""

    tokens: np.ndarray  # [B, T]
    sums: np.ndarray  # [B]
    rows: list[int]


def _scored(
    graph: TranslationGraph,
    sources: list[str],
    targets: list[str],
    batch_size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Scored:
    rows = list[int]()
    model = graph.model

    class Noting:
        """The model, and a note of the pairs that it is given."""

        target_vocabulary_size = model.target_vocabulary_size

        def __call__(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
            rows.append(int(tf.shape(inputs["target"])[0]))
            return model(inputs)

    with monkeypatch.context() as patch:
        patch.setattr(graph, "model", Noting())
        patch.setattr(graph, "batch_size", batch_size)
        found = graph.score(tf.constant(sources), tf.constant(targets))
    tokens = found.token_log_probabilities.numpy()
    return Scored(tokens, found.log_probability.numpy(), rows)


def test_scores_of_given_translations(translator: Translator) -> None:
    """In the order of the texts, whatever batches they were in."""
    sources = ["A dog.", "a", "Two young girls are playing.", "ein", "the dog"]
    targets = ["ein", "", "A dog.", "a", "dog"]
    found = translator.score(sources, targets)
    pairs = tf.constant(sources), tf.constant(targets)
    np.testing.assert_allclose(found, translator.graph.score(*pairs).log_probability, atol=1e-5)
    assert found.dtype == np.float32

    with pytest.raises(ValueError, match=r"`targets` must be as many as the sources \(5\)"):
        translator.score(sources, targets[:4])
    with pytest.warns(
        UserWarning, match="1 of 2 pairs have a text of more than 60 pieces, .*pair 1 "
    ):
        translator.score(["a", "a " * 500], ["b", "b"])
    with pytest.raises(TypeError, match=r"`targets\[1\]` must be a string. Received: nan"):
        translator.score(sources[:2], ["a", float("nan")])


def test_few_searches_are_kept(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones, with their graphs."""
    monkeypatch.setattr(translator_module, "SEARCHES_KEPT", 2)
    translator = Translator(ending_model(), tokenizer, SHORT)
    for beam_size in (3, 1, 3, 2):
        translator.translate("A dog.", beam_size=beam_size, n_best=1)
    assert [search.beam_size for search in translator._others] == [3, 2]


def test_alignments_of_given_translations(translator: Translator) -> None:
    """Forced decoding of what a search found gives the search's alignment."""
    texts = [text for text in TEXTS if text.strip()]
    found = translator(texts)
    aligned = translator.align(texts, [t.text for t in found])
    compared = 0
    for translation, alignment in zip(found, aligned, strict=True):
        assert alignment.source_tokens == translation.source_tokens
        assert alignment.weights.shape == (
            len(alignment.target_tokens),
            len(alignment.source_tokens),
        )
        np.testing.assert_allclose(alignment.weights.sum(axis=1), 1, atol=1e-5)
        if (
            alignment.target_tokens == translation.target_tokens
            and translation.alignment is not None
        ):
            np.testing.assert_allclose(alignment.weights, translation.alignment, atol=1e-4)
            compared += 1
    assert compared > 0
    with pytest.raises(
        ValueError, match=r"`targets` must be as many as the sources \(3\)\. Received: 1"
    ):
        translator.align(texts, ["one"])


def test_alignment_of_a_model_without_attention(tokenizer: Tokenizer) -> None:
    translator = Translator(tiny_model(attention="none", **VOCABULARIES), tokenizer, SHORT)
    with pytest.raises(ValueError, match="`attention` must be one that aligns"):
        translator.align(["a"], ["b"])


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_vocabulary_of_another_size(side: str, tokenizer: Tokenizer) -> None:
    model = tiny_model(**{**VOCABULARIES, f"{side}_vocabulary_size": 77})
    message = (
        f"`{side}_tokenizer` must be of the model's {side}_vocabulary_size=77 pieces. Received: 360"
    )
    with pytest.raises(ValueError, match=message):
        Translator(model, tokenizer)


def make_run(path: Path, tokenizer: Tokenizer) -> RunFolder:
    run = RunFolder(path)
    path.mkdir(exist_ok=True)
    run.config.write_text(json.dumps({"search": dataclasses.asdict(SHORT)}))
    tokenizer.save(run.source_tokenizer)
    ending_model().save(run.best)
    return run


def test_from_run(translator: Translator, tokenizer: Tokenizer, tmp_path: Path) -> None:
    make_run(tmp_path / "run", tokenizer)
    loaded = Translator.from_run(tmp_path / "run")
    assert loaded.search == SHORT
    assert [t.text for t in loaded(TEXTS)] == [t.text for t in translator(TEXTS)]
    greedy = Translator.from_run(str(tmp_path / "run"), SearchConfig(beam_size=1))
    assert greedy.search == SearchConfig(beam_size=1)


def test_from_run_with_two_vocabularies(
    tokenizer: Tokenizer, sentences: list[str], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", tokenizer)
    other = Tokenizer.train(sentences[20:], 350)
    other.save(run.target_tokenizer)
    with pytest.raises(
        ValueError, match=r"`target_tokenizer` must be .*=360 pieces\. Received: 350"
    ):
        Translator.from_run(run.path)


@pytest.mark.parametrize("missing", ["config", "source_tokenizer", "best"])
def test_a_run_folder_with_a_missing_piece(
    missing: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    path: Path = getattr(make_run(tmp_path / "run", tokenizer), missing)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        Translator.from_run(tmp_path / "run")


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Translator.from_run(tmp_path / "nowhere")
