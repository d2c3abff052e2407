"""Real corpora, where the environment variable ATTENTION_NMT_DATA names the folder that holds
them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.tokenizer import Tokenizer
from training.alignment.gold import gold_pairs
from training.alignment.links import alignment_error_rate, diagonal_links
from training.corpus.splits import look_at_start
from training.data import Corpus, iterate_texts
from training.presets import TrainConfig, base

DATA = os.environ.get("ATTENTION_NMT_DATA")
pytestmark = pytest.mark.skipif(
    DATA is None, reason="ATTENTION_NMT_DATA names no folder of real corpora"
)

LONG = pytest.mark.long


def corpus(name: str, source: str, target: str) -> Corpus:
    return Corpus(str(Path(DATA or "") / name), source, target)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    pairs = corpus("multi30k_en_de", "en", "de").pairs("train")
    return Tokenizer.train(iterate_texts(pairs), 4000)


def test_multi30k_through_the_pipeline(tokenizer: Tokenizer) -> None:
    data = corpus("multi30k_en_de", "en", "de")
    assert data.dev_split() == "val"
    # Sampled segmentations are others in each epoch, and so are what is too long and how much is
    # padding.
    config = replace(base().batches, sampling_alpha=0.0)
    batches = TrainingBatches(data.pairs("train"), tokenizer, tokenizer, config)
    assert len(batches.shapes) <= 12
    rows = 0
    pieces = 0
    positions = 0
    for _, labels, weights in batches.epoch(0).as_numpy_iterator():
        rows += int((weights[:, 0] > 0).sum())
        pieces += int(weights.sum())
        positions += labels.size
    statistics = batches.statistics
    assert rows == statistics.kept > 28_900
    assert statistics.kept + statistics.empty + statistics.too_long + statistics.uneven == 29_000
    assert pieces / positions > 0.85


def test_real_sentences_come_back_as_they_were(tokenizer: Tokenizer) -> None:
    sources, targets = corpus("multi30k_en_de", "en", "de").texts("test_2016_flickr")
    texts = [*sources, *targets]
    ids = tokenizer.tokenize(texts).to_tensor()
    assert [text.decode() for text in tokenizer.detokenize(ids).numpy()] == texts


def test_hand_made_links_in_both_directions() -> None:
    rates = []
    text = (Path(DATA or "") / "hansards_gold_en_fr" / "align.test.txt").read_text()
    for languages in (("en", "fr"), ("fr", "en")):
        gold = gold_pairs(corpus("hansards_gold_en_fr", *languages), "test")
        assert gold is not None
        assert len(gold) == 447
        diagonal = [diagonal_links(len(pair.source_words), len(pair.target_words)) for pair in gold]
        assert sum(len(pair.links) for pair in gold) == text.count("-")
        assert sum(len(pair.possible) for pair in gold) == text.count("?")
        rates.append(
            alignment_error_rate(diagonal, [p.links for p in gold], [p.possible for p in gold])
        )
    # 76 with the sides of the links exchanged.
    assert rates == pytest.approx([53.84, 54.00], abs=0.01)


FOLDERS = {
    "canlaw_en_fr": ("en", "fr"),
    "hansards_short_en_fr": ("en", "fr"),
    "iwslt14_de_en": ("de", "en"),
    "multi30k_en_de": ("en", "de"),
    "multi30k_en_fr": ("en", "fr"),
    "tatoeba_en_de": ("en", "de"),
    "tatoeba_en_fr": ("en", "fr"),
    "tatoeba_es_en": ("es", "en"),
    "ted_en_fr": ("en", "fr"),
}
ALARMS = {
    "iwslt14_de_en": [
        "val: pairs that hold HTML entities such as &amp;: 3,082 (42 %), lines 1, 2, 8, 12, 13",
        "train: pairs that hold HTML entities such as &amp;: 20,821 (43 %), lines 2, 4, 7, 8, 9",
    ]
}
"""All alarms that good corpora raise; this one's texts do hold `&apos;` and `&quot;`."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("multi30k_en_de", "iwslt14_de_en") else LONG)
        for name in FOLDERS
    ],
)
def test_good_corpora_raise_no_false_alarm(name: str) -> None:
    source, target = FOLDERS[name]
    config = TrainConfig(dataset=str(Path(DATA or "") / name), source=source, target=target)
    assert list(look_at_start(config, "val").warnings) == ALARMS.get(name, [])
