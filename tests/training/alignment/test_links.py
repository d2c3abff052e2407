"""Links between words, by hand."""

import numpy as np
import pytest

from training.alignment.links import (
    Link,
    align,
    alignment_error_rate,
    diagonal_links,
    grow_diagonal,
    word_weights,
)


def test_source_pieces_are_summed_and_target_pieces_averaged_by_characters() -> None:
    weights = np.array([[0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5]])
    words = word_weights(
        weights, ["ha", "use", "▁x"], ["▁hou", "se", "▁y"], ["hause", "x"], ["house", "y"]
    )
    # Row 0: 2/5 of (0.3, 0.7) and 3/5 of (0.7, 0.3).
    np.testing.assert_allclose(words, [[0.54, 0.46], [0.5, 0.5]])


def test_elision_and_case() -> None:
    weights = np.array([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    words = word_weights(
        weights, ["The", "▁man"], ["L", "'", "homme"], ["the", "man"], ["l'", "homme"]
    )
    np.testing.assert_allclose(words, [[0.9, 0.1], [0.2, 0.8]])


def test_piece_across_words_splits_its_weight_by_characters() -> None:
    # "'hom" has one character in the first word and three in the second.
    words = word_weights(
        np.array([[0.2, 0.8, 0.0]]), ["x"], ["l", "'hom", "me"], ["x"], ["l'", "homme"]
    )
    np.testing.assert_allclose(words, [[0.4, 0.6]])
    words = word_weights(
        np.array([[1.0, 0.0], [0.0, 1.0]]), ["ab", "c▁d"], ["x", "▁y"], ["abc", "d"], ["x", "y"]
    )
    np.testing.assert_allclose(words, [[2 / 3, 1 / 3], [0.0, 1.0]])


def test_accents_are_one_character_in_either_form() -> None:
    weights = np.array([[0.5, 0.5]])
    for word in ("été", "e\u0301te\u0301"):
        words = word_weights(weights, ["a"], ["ét", "é▁x"], ["a"], [word, "x"])
        np.testing.assert_allclose(words, [[0.75, 0.25]])


def test_byte_pieces_are_decoded() -> None:
    # The euro sign is three bytes and "é" two; a byte piece counts as its part of the character.
    pieces = ["<0xE2>", "<0x82>", "<0xAC>", "<0xC3>", "<0xA9>", "s"]
    weights = np.array([[0.1, 0.1, 0.1, 0.2, 0.2, 0.3]])
    np.testing.assert_allclose(
        word_weights(weights, ["a"], pieces, ["a"], ["€", "és"]), [[0.3, 0.7]]
    )
    words = word_weights(np.eye(6), pieces, list("uvwxyz"), ["€", "és"], list("uvwxyz"))
    np.testing.assert_allclose(words, [[1 / 3, 1 / 3, 1 / 3, 0, 0, 0], [0, 0, 0, 0.25, 0.25, 0.5]])


def test_invalid_and_spelled_out_replacement_bytes() -> None:
    pieces = ["a", "<0xC3>", "<0xEF>", "<0xBF>", "<0xBD>", "<0x41>"]
    words = word_weights(np.eye(6), pieces, list("uvwxyz"), ["a\ufffd", "\ufffdA"], list("uvwxyz"))
    np.testing.assert_allclose(words, [[0.5, 0.5, 0, 0, 0, 0], [0, 0, 1 / 6, 1 / 6, 1 / 6, 0.5]])


def test_piece_of_spaces_belongs_to_the_next_word() -> None:
    weights = np.array([[0.2, 0.5, 0.1, 0.2]])
    np.testing.assert_allclose(
        word_weights(weights, ["a"], ["x", "▁", "y", "▁"], ["a"], ["x", "y"]), [[0.2, 0.6]]
    )
    words = word_weights(
        np.eye(3), ["x", "▁▁", "yz"], ["p", "q", "r"], ["x", "yz"], ["p", "q", "r"]
    )
    np.testing.assert_allclose(words, [[1.0, 0.0, 0.0], [0.0, 1 / 3, 2 / 3]])


def test_no_break_space_is_a_space_in_any_spelling() -> None:
    for space in (["\u00a0"], ["<0xC2>", "<0xA0>"]):
        pieces = ["oui", *space, "!"]
        weights = np.full((1, len(pieces)), 1 / len(pieces))
        words = word_weights(weights, ["a"], pieces, ["a"], ["oui", "!"])
        np.testing.assert_allclose(words, [[1 / len(pieces), 1 - 1 / len(pieces)]])


def test_special_pieces_belong_to_no_word() -> None:
    weights = np.array([[0.6, 0.4], [0.1, 0.9]])
    np.testing.assert_allclose(
        word_weights(weights, ["a", "</s>"], ["x", "</s>"], ["a"], ["x"]), [[0.6]]
    )


def test_rows_keep_their_weight() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(5), size=4)
    target, source = ["ab", "▁c", "d▁e", "f"], ["▁", "gh", "▁i", "'j", "k"]
    words = word_weights(weights, target, source, ["ab", "cd", "ef"], ["gh", "i'", "jk"])
    assert words.shape == (3, 3)
    np.testing.assert_allclose(words.sum(axis=1), 1.0)


def test_word_weights_names_the_first_difference() -> None:
    weights = np.zeros((1, 2))
    with pytest.raises(
        ValueError,
        match=r"`source_pieces` .*: 'h' at character 3 of 'lechat'. Received: 'a'",
    ):
        word_weights(weights, ["a"], ["le", "▁cat"], ["a"], ["le", "chat"])
    with pytest.raises(
        ValueError,
        match=r"`target_pieces` .*: 'b' at character 1 of 'ab'. Received: 'the end'",
    ):
        word_weights(weights, ["a"], ["x", "y"], ["ab"], ["xy"])
    with pytest.raises(ValueError, match=r"'the end' at character 1 of 'x'. Received: 'y'"):
        word_weights(weights, ["a"], ["x", "y"], ["a"], ["x"])


def test_word_weights_refuses_wrong_shapes_and_empty_words() -> None:
    with pytest.raises(
        ValueError, match=r"\(target, source pieces\) = \(1, 2\)\. Received: \(2, 1\)"
    ):
        word_weights(np.zeros((2, 1)), ["a"], ["x", "y"], ["a"], ["xy"])
    with pytest.raises(
        ValueError,
        match=r"`source_words\[1\]` must be of at least one visible character. Received: ' '",
    ):
        word_weights(np.zeros((1, 1)), ["a"], ["x"], ["a"], ["x", " "])


def test_align_takes_the_heaviest_source_word() -> None:
    assert align(np.array([[0.2, 0.7, 0.1], [0.5, 0.5, 0.0], [0.0, 0.1, 0.9]])) == {
        (1, 0),
        (0, 1),
        (2, 2),
    }
    for bad in (np.zeros(3), np.zeros((2, 0))):
        with pytest.raises(
            ValueError, match=r"`word_weights` must be \[target words, source words > 0\]"
        ):
            align(bad)


def test_error_rate_with_sure_and_possible_links() -> None:
    # |A| = 4, |S| = 2, |A & S| = 1, and P = S + {(1, 2), (2, 2)} holds 3 of A: 1 - (1 + 3) / (4 +
    # 2).
    hypothesis = {(0, 0), (1, 2), (2, 2), (3, 0)}
    sure, possible = {(0, 0), (1, 1)}, {(1, 2), (2, 2)}
    assert alignment_error_rate([hypothesis], [sure], [possible]) == pytest.approx(100 / 3)
    assert alignment_error_rate([hypothesis], [sure], [possible | sure]) == pytest.approx(100 / 3)
    # With P = S it is 1 less the F1 of the links.
    assert alignment_error_rate([hypothesis], [sure]) == pytest.approx(100 * (1 - 2 * 1 / 6))


def test_error_rate_counts_over_the_corpus() -> None:
    # 2 of 2 and 0 of 1 links right: 1 - (2 + 2) / (3 + 3), not the mean of 0 and 1.
    hypothesis, sure = [{(0, 0), (1, 1)}, {(0, 1)}], [{(0, 0), (1, 1)}, {(1, 0)}]
    assert alignment_error_rate(iter(hypothesis), iter(sure)) == pytest.approx(100 / 3)
    assert alignment_error_rate(sure, sure) == 0.0
    assert alignment_error_rate([set()], [{(0, 0)}]) == 100.0


def test_error_rate_refuses_unequal_counts_and_no_links() -> None:
    with pytest.raises(ValueError, match=r"one set a sentence, .*Received: \(2, 1, 1\)"):
        alignment_error_rate([{(0, 0)}, set()], [{(0, 0)}])
    with pytest.raises(ValueError, match=r"one set a sentence, .*Received: \(1, 1, 2\)"):
        alignment_error_rate([{(0, 0)}], [{(0, 0)}], [set(), set()])
    nothing: list[list[set[Link]]] = [[], [set()]]
    for sentences in nothing:
        with pytest.raises(ValueError, match="at least one link"):
            alignment_error_rate(sentences, sentences)


def test_diagonal_links() -> None:
    assert diagonal_links(3, 3) == {(0, 0), (1, 1), (2, 2)}
    assert diagonal_links(3, 6) == {(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5)}
    assert diagonal_links(6, 2) == {(1, 0), (4, 1)}
    assert diagonal_links(5, 1) == {(2, 0)}
    with pytest.raises(ValueError, match=r"`source_length` must be at least 1\. Received: 0"):
        diagonal_links(0, 3)


def test_grow_diagonal_by_hand() -> None:
    """Both have 0-0 and 3-3. 0-1 and 1-1 touch 0-0 and link a new word each, 2-2 then touches 1-1,
    6-6 nothing."""
    one = {(0, 0), (1, 1), (3, 3), (6, 6)}
    other = {(0, 0), (0, 1), (2, 2), (3, 3)}
    assert grow_diagonal(one, other) == {(0, 0), (0, 1), (1, 1), (2, 2), (3, 3)}
    assert grow_diagonal({(0, 0), (1, 1)}, {(0, 0), (1, 1), (0, 1)}) == {(0, 0), (1, 1)}
    assert grow_diagonal({(5, 5)}, {(1, 1)}) == set()
