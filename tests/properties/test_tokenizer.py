"""Whatever the text: nothing is lost, graphs do as Python does, cuts are at characters."""

from __future__ import annotations

import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from attention_nmt.data import limits, normalization
from attention_nmt.data.limits import cut_text, cut_texts
from attention_nmt.data.normalization import NORMALIZATIONS, SPACE, Spellings
from attention_nmt.data.tokenizer import Tokenizer
from tests.attention_nmt.data.test_normalization import SCRIPTS, expected

VOCABULARY_SIZE = 515
"""Pieces of a vocabulary that has every character of the scripts."""

COVERED = sorted(set("".join(SCRIPTS.values())))
LETTERS = [character for character in COVERED if not unicodedata.combining(character)]

SPELLINGS = Spellings(normalization._decompositions())

covered = st.text(st.sampled_from(COVERED), max_size=30)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
texts = st.one_of(
    covered,
    anything,
    covered.map(lambda text: unicodedata.normalize("NFD", text)),
)

spelled = st.sampled_from(LETTERS).flatmap(
    lambda letter: st.sampled_from(sorted(SPELLINGS.of(letter)))
)
"""A letter of the scripts in any spelling; no mark stands before it."""

composed = st.sampled_from(sorted(normalization._decompositions())).flatmap(
    lambda character: st.sampled_from(sorted(SPELLINGS.of(character)))
)
"""Any character that is made of others, in any spelling."""

names = st.sampled_from(NORMALIZATIONS)


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    """A tokenizer of each normalization."""
    lines = list(SCRIPTS.values()) * 20
    return {
        name: Tokenizer.train(lines, VOCABULARY_SIZE, 1.0, name)  # type: ignore[arg-type]
        for name in NORMALIZATIONS
    }


def one_space(text: str) -> str:
    """A text as `none` promises it: runs of plain spaces become one, and none is at the ends."""
    return " ".join(word for word in text.replace(SPACE, " ").split(" ") if word)


@given(name=names, text=texts)
def test_nothing_is_lost_but_by_normalization(
    tokenizers: dict[str, Tokenizer], name: str, text: str
) -> None:
    tokenizer = tokenizers[name]
    (ids,) = tokenizer.encode([text])
    normalized = tokenizer.normalize(text)
    assert tokenizer.decode([ids]) == [normalized]
    assert tokenizer.normalize(normalized) == normalized
    assert all(3 < piece < tokenizer.vocabulary_size for piece in ids)


@given(text=texts)
def test_none_changes_spaces_alone(tokenizers: dict[str, Tokenizer], text: str) -> None:
    assert tokenizers["none"].normalize(text) == one_space(text)


@given(letters=st.lists(st.one_of(spelled, st.just(" ")), max_size=20))
def test_nfc_of_words(tokenizers: dict[str, Tokenizer], letters: list[str]) -> None:
    text = "".join(letters)
    assert tokenizers["nfc"].normalize(text) == one_space(expected(text))


@given(spelling=composed)
def test_nfc_of_any_composed_character(tokenizers: dict[str, Tokenizer], spelling: str) -> None:
    text = f"({spelling})"
    assert tokenizers["nfc"].normalize(text) == one_space(expected(text))


@given(text=texts)
def test_nfc_of_any_text_is_canonically_equivalent(
    tokenizers: dict[str, Tokenizer], text: str
) -> None:
    found = unicodedata.normalize("NFD", tokenizers["nfc"].normalize(text))
    assert found == unicodedata.normalize("NFD", one_space(expected(text)))


@given(
    name=names,
    found=st.lists(st.one_of(texts.map(str.encode), st.binary(max_size=12)), max_size=4),
    limit=st.integers(2, 12),
)
def test_a_graph_does_as_python_does(
    tokenizers: dict[str, Tokenizer], name: str, found: list[bytes], limit: int
) -> None:
    """Of bytes that are no text, too: as many characters replace them."""
    tokenizer = tokenizers[name]
    strings = tf.constant(found, tf.string)
    ids = tokenizer.encode(found)
    ragged = tokenizer.tokenize(strings)
    assert ragged.to_list() == ids

    decoded = tokenizer.detokenize(ragged.to_tensor(tokenizer.special.pad)).numpy().tolist()
    assert [text.decode() for text in decoded] == tokenizer.decode(ids)

    cut = tokenizer.graph.source_ids(strings, limit)
    rows = tf.RaggedTensor.from_tensor(cut.ids, padding=tokenizer.special.pad).to_list()
    assert rows == tokenizer.source_ids(found, limit)
    assert cut.truncated.numpy().tolist() == [len(row) >= limit for row in ids]
    assert cut.empty.numpy().tolist() == [not row for row in ids]


@given(name=names, found=st.lists(texts, max_size=3), seed=st.integers(0, 99))
def test_drawn_pieces_spell_the_text(
    tokenizers: dict[str, Tokenizer], name: str, found: list[str], seed: int
) -> None:
    tokenizer = tokenizers[name]
    drawn = tokenizer.sample(found, [seed], 0.3)
    assert tokenizer.decode(drawn) == [tokenizer.normalize(text) for text in found]
    assert Tokenizer(tokenizer.model_proto).sample(found, [seed], 0.3) == drawn


@given(text=texts, limit=st.integers(4, 20))
def test_a_text_is_cut_at_the_last_character_that_fits(text: str, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MAXIMUM_TEXT_BYTES", limit)
        cut = cut_text(text.encode()).decode()

    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    following = text[len(cut) : len(cut) + 1]
    assert not following or len((cut + following).encode()) > limit


@given(
    found=st.lists(st.one_of(texts.map(str.encode), st.binary(max_size=30)), max_size=4),
    limit=st.integers(4, 20),
)
def test_a_graph_cuts_as_python_does(found: list[bytes], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MAXIMUM_TEXT_BYTES", limit)
        python = [cut_text(text) for text in found]
        graph = cut_texts(tf.constant(found, tf.string))

    assert graph.texts.numpy().tolist() == python
    assert graph.truncated.numpy().tolist() == [len(text) > limit for text in found]
    assert all(len(text) <= limit for text in python)
