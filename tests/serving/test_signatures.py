"""Every signature of an export, on the path that TensorFlow Serving takes, against the library."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import SearchConfig
from attention_nmt.search.search import longest_translation
from attention_nmt.translation.translator import Translator
from attention_nmt.types import SPECIAL
from serving.servable import RequestError, Servable
from serving.signatures import maximum_aligned
from tests.serving.exported import SIGNATURES, TEXTS, string_proto


def ask(servable: Servable, signature: str, **texts: list[str]) -> dict[str, np.ndarray]:
    inputs = {name: string_proto(values) for name, values in texts.items()}
    return {
        name: tf.make_ndarray(proto) for name, proto in servable.predict(inputs, signature).items()
    }


def words(row: np.ndarray) -> list[str]:
    return [word.decode() for word in row if word]


def test_what_is_cut_is_flagged(servable: Servable) -> None:
    long = "the dog " * 300
    outputs = ask(servable, "serving_default", text=["the dog", long, ""])
    assert outputs["truncated"].tolist() == [False, True, False]
    assert outputs.keys() == {"translation", "score", "truncated"}
    assert ask(servable, "score_pairs", source=["a", "a"], target=[long, "b"])[
        "truncated"
    ].tolist() == [True, False]


def test_n_best(servable: Servable, run_dir: Path) -> None:
    search = SearchConfig(beam_size=3, n_best=3, maximum_length_ratio=1.5)
    expected = Translator.from_run(run_dir, search).n_best(TEXTS)
    outputs = ask(servable, "translate_nbest", text=TEXTS)
    assert outputs["translations"].shape == (len(TEXTS), 3)
    assert [words(row) for row in outputs["translations"][:-2]] == [
        [t.text for t in row if t.text] for row in expected[:-2]
    ]
    np.testing.assert_allclose(
        outputs["scores"], [[t.score for t in row] for row in expected], atol=1e-4
    )


def test_alignments(servable: Servable, translator: Translator) -> None:
    expected = translator(TEXTS)
    outputs = ask(servable, "translate_with_alignment", text=TEXTS)
    for row, one in enumerate(expected):
        assert words(outputs["source_tokens"][row]) == one.source_tokens
        assert words(outputs["target_tokens"][row]) == one.target_tokens
        assert one.alignment is not None
        alignment, (rows, columns) = outputs["alignment"][row], one.alignment.shape
        np.testing.assert_allclose(alignment[:rows, :columns], one.alignment, atol=1e-4)
        assert np.all(alignment[rows:] == 0)
        assert np.all(alignment[:, columns:] == 0)


def test_scores_of_given_translations(servable: Servable, translator: Translator) -> None:
    sources, targets = (
        TEXTS[:6] * 12,
        [text.upper() for text in TEXTS[1:7]] * 12,
    )  # more than a batch
    outputs = ask(servable, "score_pairs", source=sources, target=targets)
    np.testing.assert_allclose(
        outputs["log_probability"], outputs["token_log_probabilities"].sum(axis=1), rtol=1e-5
    )
    for row in (0, 5, 70, 71):
        source, labels = (
            [*ids, SPECIAL.end]
            for ids in translator.source_tokenizer.encode([sources[row], targets[row]])
        )
        inputs = {"source": np.array([source]), "target": np.array([[SPECIAL.start, *labels[:-1]]])}
        log_p = np.asarray(keras.ops.log_softmax(translator.model(inputs)))[
            0, np.arange(len(labels)), labels
        ]
        np.testing.assert_allclose(
            outputs["token_log_probabilities"][row, : len(labels)], log_p, atol=1e-4
        )
        assert np.all(outputs["token_log_probabilities"][row, len(labels) :] == 0)
        assert len(words(outputs["target_tokens"][row])) == len(labels)


def test_many_texts_are_translated_in_parts(
    servable: Servable, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request of 150 has each text's own answer, in order."""
    monkeypatch.setattr(translator, "batch_size", 32)
    texts = [TEXTS[number % len(TEXTS)] for number in range(150)]
    expected = translator(texts, alignments=False)
    outputs = ask(servable, "serving_default", text=texts)
    assert [text.decode() for text in outputs["translation"]] == [t.text for t in expected]
    np.testing.assert_allclose(outputs["score"], [t.score for t in expected], atol=1e-4)

    best = ask(servable, "translate_nbest", text=texts)
    assert best["translations"].shape == best["scores"].shape == (150, 3)
    assert best["translations"][:, 0].tolist() == outputs["translation"].tolist()
    assert not best["truncated"].any()


def test_alignments_of_few_texts_only(servable: Servable, version: Path) -> None:
    """As many as the model card says."""
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    most = card["maximum_batch_with_alignment"]
    texts = ["dog"] * most
    assert len(ask(servable, "translate_with_alignment", text=texts)["score"]) == most == 42
    with pytest.raises(RequestError, match="at most 42 texts"):
        ask(servable, "translate_with_alignment", text=[*texts, "dog"])


@pytest.mark.parametrize(
    ("source", "ratio", "count"),
    [
        (400, 2.0, 32),  # 400 times 810 weights in each
        (400, 1.5, 42),
        (100, 2.0, 64),
        (2000, 2.0, 1),
        (2287, 2.0, 1),  # 2287 times 4584 weights
    ],
)
def test_an_answer_with_alignments_fits_a_client(source: int, ratio: float, count: int) -> None:
    """It has at most 40 MiB of weights, and the client takes 64."""
    search = SearchConfig(maximum_source_length=source, maximum_length_ratio=ratio)
    assert maximum_aligned(search) == count
    size = 4 * count * source * longest_translation(source, search)
    assert size <= 40 * 2**20


@pytest.mark.parametrize(
    ("source", "ratio", "longest"), [(2288, 2.0, "2,287"), (5000, 2.0, "2,287"), (400, 99.0, "325")]
)
def test_a_text_whose_alignment_fits_no_client_is_not_allowed(
    source: int, ratio: float, longest: str
) -> None:
    search = SearchConfig(maximum_source_length=source, maximum_length_ratio=ratio)
    expected = f"`maximum_source_length` must be at most {longest} for .* Received: {source}"
    with pytest.raises(ValueError, match=expected):
        maximum_aligned(search)


def test_a_text_of_4_mib_is_cut_before_it_is_tokenized(servable: Servable) -> None:
    """And is translated as its beginning is."""
    long = "the dog " * 2**19
    outputs = ask(servable, "serving_default", text=[long, long[:10_000], "x" * 2**22])
    assert outputs["truncated"].tolist() == [True, True, True]
    assert outputs["translation"][0] == outputs["translation"][1]
    scored = ask(servable, "score_pairs", source=["a", "a"], target=["b", "b" + " " * 70_000])
    assert scored["truncated"].tolist() == [False, True]
    alone, spaced = scored["log_probability"]
    np.testing.assert_allclose(spaced, alone, atol=1e-4)


def test_as_many_targets_as_sources(servable: Servable) -> None:
    with pytest.raises(RequestError, match="inputs must be of one size"):
        ask(servable, "score_pairs", source=["a", "b"], target=["c"])


def test_the_card_says_what_was_exported(version: Path) -> None:
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert card["search"]["beam_size"] == 3
    assert set(card["signatures"]) == SIGNATURES
    assert card["versions"]["tensorflow"] == tf.__version__
    assert card["model"]["source_vocabulary_size"] == 310
    assert card["dev_bleu"] == 12.5
    assert card["training"]["search"]["maximum_length_ratio"] == 1.5
    assert len(card["tokenizers_sha256"]["source"]) == 64


def test_warm_up_requests_of_every_signature(version: Path) -> None:
    records = list(
        tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    )
    assert len(records) == 2 * len(SIGNATURES)  # loading the version has run them
