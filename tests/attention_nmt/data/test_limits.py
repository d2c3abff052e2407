"""A text is cut at a limit of bytes and at a character's boundary, in Python and in graphs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.data.limits import MAXIMUM_TEXT_BYTES, cut_text, cut_texts
from attention_nmt.data.tokenizer import Tokenizer
from tests.training.corpora import PAIRS

LIMIT = MAXIMUM_TEXT_BYTES

CASES = {
    "nothing": (b"", 0),
    "short": ("a dög".encode(), 6),
    "at the limit": (b"a" * LIMIT, LIMIT),
    "one letter more": (b"a" * (LIMIT + 1), LIMIT),
    "two bytes, whole": ("ä".encode() * LIMIT, LIMIT),
    "two bytes, at the limit": (b"a" + "ä".encode() * LIMIT, LIMIT - 1),
    "three bytes, one left over": ("語".encode() * LIMIT, LIMIT - 1),
    "three bytes, two left over": (b"aa" + "語".encode() * LIMIT, LIMIT - 2),
    "four bytes, three left over": (b"aaa" + "😀".encode() * LIMIT, LIMIT - 1),
    "four bytes, two left over": (b"aa" + "😀".encode() * LIMIT, LIMIT - 2),
    "four bytes, one left over": (b"a" + "😀".encode() * LIMIT, LIMIT - 3),
    "no text": (b"a" + b"\x80" * 2 * LIMIT, LIMIT),
    "no text from the beginning": (b"\x80" * 2 * LIMIT, LIMIT),
    "no text before a text": (b"\x80" + "ä".encode() * LIMIT, LIMIT - 1),
}
"""Texts, and the bytes that are left of them."""


@pytest.mark.parametrize("case", CASES)
def test_a_text_is_cut_at_a_character(case: str) -> None:
    text, left = CASES[case]
    cut = cut_text(text)
    assert len(cut) == left
    assert text.startswith(cut)


def test_a_graph_cuts_as_python_does() -> None:
    texts = [text for text, _ in CASES.values()]
    found = tf.function(cut_texts)(tf.constant(texts))
    assert found.texts.numpy().tolist() == [cut_text(text) for text in texts]
    assert found.truncated.numpy().tolist() == [len(text) > LIMIT for text in texts]
    assert cut_texts(tf.constant([], tf.string)).texts.shape == [0]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([text for pair in PAIRS for text in pair], 310)


def test_a_text_over_the_limit_is_truncated_even_if_its_pieces_are_few(
    tokenizer: Tokenizer,
) -> None:
    """Spaces are no pieces: what stands behind them is not read, and `truncated` says so."""
    spaces = " " * LIMIT
    texts = ["a dog", f"a dog{spaces}a cat", f"{spaces}a dog"]
    alone = tokenizer.encode(["a dog"])[0]

    found = tokenizer.graph.source_ids(tf.constant(texts), limit=400)
    rows = [[i for i in row if i] for row in found.ids.numpy().tolist()]
    assert rows == [[*alone, tokenizer.special.end]] * 2 + [[tokenizer.special.end]]
    assert found.truncated.numpy().tolist() == [False, True, True]
    assert found.empty.numpy().tolist() == [False, False, True]
    assert tokenizer.source_ids(texts, 400) == rows


def test_a_target_without_a_limit_is_read_to_its_end(tokenizer: Tokenizer) -> None:
    """As where given translations are aligned, and nothing says what was cut."""
    text = "a dog " * (LIMIT // 5)
    found = tokenizer.graph.target_ids(tf.constant([text]))
    assert found.ids.shape[1] == len(tokenizer.encode([text])[0]) + 1
    assert not np.any(found.truncated)
