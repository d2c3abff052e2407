"""Error rates and habits of attention, by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attention_nmt.translation.results import Alignment
from training.alignment.attention_links import aligned_pairs, error_rates, habits
from training.alignment.gold import GoldPair
from training.data import Corpus


def aligner(source: str, target: str, read: list[int]) -> Any:
    """A translator whose pieces are words, and which reads one source piece at each target piece,
    the end included."""
    tokens = [[f"\u2581{word}" for word in text.split()] + ["</s>"] for text in (source, target)]
    same = SimpleNamespace(normalize=lambda text: text)
    alignment = Alignment(tokens[0], tokens[1], np.eye(len(tokens[0]), dtype=np.float32)[read])
    return SimpleNamespace(
        source_tokenizer=same,
        target_tokenizer=same,
        align=lambda sources, _: [alignment for _ in sources],
    )


def test_error_rates_by_hand() -> None:
    """Of a b c with x y, where a-x is sure and c-y possible; a second pair is spelled otherwise."""
    gold = [
        GoldPair(
            source_words=["a", "b", "c"],
            target_words=["x", "y"],
            links=frozenset({(0, 0)}),
            possible=frozenset({(2, 1)}),
        ),
        GoldPair(source_words=["q"], target_words=["x"], links=frozenset({(0, 0)})),
    ]
    forward = aligner("a b c", "x y", [0, 1, 2])  # a-x b-y; later b-x c-y
    backward = aligner(
        "x y", "a b c", [0, 0, 1, 2]
    )  # a-x b-x c-y; later a-x b-y, and c with the first
    found = error_rates(forward, gold, ["a b c", "q"], ["x y", "x"], backward)
    assert found.pop("AER pairs left out") == 1
    assert found == pytest.approx(
        {
            "AER": 100 * (1 - 2 / 3),
            "AER later": 100 * (1 - 1 / 3),
            "AER of the other direction": 100 * (1 - 3 / 4),
            "AER of the other direction later": 100 * (1 - 2 / 4),
            "AER of both": 100 * (1 - 3 / 5),  # a-x is in both, and b-x, b-y and c-y grow from it
            "AER of both later": 100,  # nothing is in both
            "diagonal AER": 0,
        }
    )
    alone = error_rates(forward, gold, ["a b c", "q"], ["x y", "x"])
    assert alone == {name: found[name] for name in ("AER", "AER later", "diagonal AER")} | {
        "AER pairs left out": 1
    }


def test_what_was_read_for_words_and_where_no_spaces_are_for_pieces() -> None:
    translator = aligner("a b", "x", [1, 2])
    (pair,) = aligned_pairs(translator, Corpus("D", "en", "fr"), ["a b"], ["x"], ["reference"])
    assert (pair.source_words, pair.target_words, pair.reference) == (
        ["a", "b"],
        ["x"],
        "reference",
    )
    np.testing.assert_array_equal(pair.weights, [[0, 1]])
    (pair,) = aligned_pairs(translator, Corpus("D", "en", "zh"), ["a b"], ["x"], ["reference"])
    assert pair.source_words == ["\u2581a", "\u2581b", "</s>"]
    np.testing.assert_array_equal(pair.weights, [[0, 1, 0], [0, 0, 1]])
    assert aligned_pairs(translator, Corpus("D", "en", "fr"), ["other"], ["x"], ["reference"]) == []


def test_habits_by_hand() -> None:
    """Words needed: 2 (0.8 + 0.2), 1, 1 and, of weights that sum to a half, 2; most read: 0, 1, 0,
    0 and then 2."""
    first = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.95, 0.0, 0.05], [0.3, 0.0, 0.2]])
    second = np.array([[0.0, 0.05, 0.95]])
    found = habits([first, second])
    assert found.source_words == pytest.approx((2 + 1 + 1 + 2 + 1) / 5)
    assert found.moves_back == pytest.approx(100 / 3)  # of three moves one
    assert found.stays == pytest.approx(5 / 4)  # runs: 0, 1, 0 0, and 2


def test_habits_need_a_word() -> None:
    with pytest.raises(ValueError, match=r"at least one target word. Received: 0\."):
        habits([])
