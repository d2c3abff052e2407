"""Pairs in capitals and in title case: which, how often, and the same in every process."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf

from attention_nmt.config import BatchConfig
from attention_nmt.data.capitals import capitals, recased_pairs, recased_texts, title_case
from attention_nmt.data.chunks import ChunkTokenizer
from attention_nmt.data.tokenizer import Tokenizer

PAIRS = [(f"the red dress {index}", f"la robe rouge {index}") for index in range(2000)]


@pytest.mark.parametrize(
    ("text", "upper", "title"),
    [
        ("the red dress.", "THE RED DRESS.", "The Red Dress."),
        (
            "l'homme (à Paris) : « oui »",
            "L'HOMME (À PARIS) : « OUI »",
            "L'homme (À Paris) : « Oui »",
        ),
        ("die Straße 3b, o'clock", "DIE STRASSE 3B, O'CLOCK", "Die Straße 3b, O'clock"),
        ("ǆungla über", "ǄUNGLA ÜBER", "ǅungla Über"),
        ("红色 1 %", "红色 1 %", "红色 1 %"),
        ("", "", ""),
    ],
)
def test_by_hand(text: str, upper: str, title: str) -> None:
    assert capitals(text) == upper
    assert title_case(text) == title


def test_both_sides_have_the_same_case_and_the_share_is_the_one_asked_for() -> None:
    """Within four standard errors, of capitals and of title case each."""
    recased = recased_pairs(PAIRS, 0.3, (1, 2))
    counts = {capitals: 0, title_case: 0}
    for pair, (source, target) in zip(PAIRS, recased, strict=True):
        if (source, target) != pair:
            (case,) = [case for case in counts if case(pair[0]) == source]
            assert case(pair[1]) == target
            counts[case] += 1

    error = math.sqrt(0.15 * 0.85 * len(PAIRS))
    for count in counts.values():
        assert abs(count - 0.15 * len(PAIRS)) < 4 * error


def test_the_seed_alone_decides() -> None:
    assert recased_pairs(PAIRS, 0.3, (1, 2)) == recased_pairs(PAIRS, 0.3, (1, 2))
    assert recased_pairs(PAIRS, 0.3, (1, 2)) != recased_pairs(PAIRS, 0.3, (1, 3))
    assert recased_pairs(PAIRS, 0.0, (1, 2)) == PAIRS
    sources = [source for source, _ in PAIRS]
    assert list(recased_texts(sources, 0.3, 1)) == list(recased_texts(iter(sources), 0.3, 1))
    assert list(recased_texts(sources, 0.0, 1)) == sources
    drawn = list(recased_texts(sources, 1.0, 1))
    assert set(drawn) <= {case(text) for case in (capitals, title_case) for text in sources}
    assert len(drawn) == len(sources)


def test_a_side_without_capitals_leaves_its_pair_as_it_is() -> None:
    """A Chinese source cannot tell which case is wanted."""
    pairs = [("红色的连衣裙", "the red dress"), ("the red dress", "لباس قرمز"), ("a", "1 %")]
    assert recased_pairs(pairs * 20, 1.0, (1,)) == pairs * 20


def test_they_are_drawn_anew_in_each_epoch(sentences: list[str]) -> None:
    """And the same ones in any process: a training that goes on sees what it would have seen.

    A text that is no UTF-8 is read as it is elsewhere.
    """
    tokenizer = Tokenizer.train([*sentences, *map(capitals, sentences)], 400)
    english = [*sentences[:19], "a red dress\ufffd"]
    german = sentences[20:]
    encoded = [*english[:19], b"a red dress\xff"]
    pairs = tf.data.Dataset.from_tensors((encoded, german))
    config = BatchConfig(maximum_length=200, capitals=0.5)
    chunks = ChunkTokenizer(tokenizer, tokenizer, config, seed=3)

    def epoch(number: int) -> list[tuple[str, str]]:
        (chunk,) = chunks.chunks(pairs, lambda: number)
        sides = [tokenizer.decode(ids.to_list()) for ids in (chunk.source, chunk.target)]
        return list(zip(*sides, strict=True))

    cases = {
        (case(source), case(target)): (source, case)
        for source, target in zip(english, german, strict=True)
        for case in (str, capitals, title_case)
    }
    first = epoch(0)
    assert first == epoch(0)
    assert {cases[pair][0] for pair in first} == set(english)
    assert {cases[pair][1] for pair in first} == {str, capitals, title_case}
    assert set(first) != set(epoch(1))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_range(share: float) -> None:
    with pytest.raises(ValueError, match="`capitals` must be a share from 0 to 1"):
        BatchConfig(capitals=share)
