"""The page of alignments: what it holds, and that it is one file."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from training.alignment.page import AlignedPair, alignment_page

PAIR = AlignedPair(
    source_words=["a", "</script><b>"],
    target_words=["un", "«b»", "c"],
    weights=np.array([[1, 0], [0.25, 0.7504], [0.0, 0.333]], np.float32),
    reference="r & s",
)


def test_the_page_holds_words_and_percents_and_asks_no_network() -> None:
    page = alignment_page("T <i>", "A & b.", ("en", "fr"), [PAIR])
    (text,) = re.findall(
        r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL
    )
    assert json.loads(text) == {
        "title": "T <i>",
        "about": "A & b.",
        "languages": ["en", "fr"],
        "sentences": [
            {
                "source": ["a", "</script><b>"],
                "target": ["un", "«b»", "c"],
                "weights": [[100, 0], [25, 75], [0, 33.3]],
                "reference": "r & s",
            }
        ],
    }
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|src=|<link|@import|url\(|fetch\(|innerHTML", page)


def test_weights_of_another_shape() -> None:
    with pytest.raises(
        ValueError, match=r"`weights of pair 0` must be of shape .* = \(3, 2\)\. Received: \(2, 3\)"
    ):
        alignment_page("T", "", ("en", "fr"), [PAIR._replace(weights=PAIR.weights.T)])
