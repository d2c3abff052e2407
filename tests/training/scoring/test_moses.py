"""Lowercased BLEU on Moses tokens, by hand."""

import pytest
from sacrebleu.metrics import BLEU

from training.scoring.moses import moses_bleu


def test_texts_are_normalized_tokenized_and_lowercased() -> None:
    """German quotes and dashes become plain ones, punctuation stands by itself, hyphens stay, case
    goes.

    It goes first, so that a full stop before a small letter is none, as in the files that come
    with Multi30k.
    """
    hypotheses = [
        "Ein „roter“ Hund – T-Shirt, schnell.",
        "Zwei Männer. Sie gehen die Straße entlang.",
    ]
    references = [
        "ein roter Hund im t-shirt, schnell!",
        "Zwei Frauen. Sie gehen die Straße entlang.",
    ]
    hypothesis_tokens = [
        'ein " roter " hund - t-shirt , schnell .',
        "zwei männer. sie gehen die straße entlang .",
    ]
    reference_tokens = [
        "ein roter hund im t-shirt , schnell !",
        "zwei frauen. sie gehen die straße entlang .",
    ]
    expected = (
        BLEU(tokenize="none", smooth_method="none", force=True)
        .corpus_score(hypothesis_tokens, [reference_tokens])
        .score
    )
    score = moses_bleu(hypotheses, references, "de-DE")
    assert score.value == pytest.approx(expected)
    assert 20 < score.value < 80
    assert score.lowercased
    assert "tok:none" in score.signature
    assert "sacremoses." in score.signature


def test_counts_must_agree() -> None:
    with pytest.raises(
        ValueError, match=r"`hypotheses` must be as many as references \(2\)\. Received: 1\."
    ):
        moses_bleu(["a"], ["a", "b"], "en")
